"""What is compared, and one course of it: who proposes, for which problem, from which seed."""

import asyncio
import json
import random
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import evolve
from bench.perf.random_model.servers import Served, chance
from evolve.config import Config
from evolve.evaluator import Evaluator, Job, Judged, TuneOrder
from evolve.llm.dials import Dials
from evolve.llm.edits import EditError, apply_choice
from evolve.llm.grammar import plan_edits, sample
from evolve.loader import load
from evolve.mutators.survey import map_program
from evolve.programs_db.ledger import Ledger
from evolve.source import to_tree
from evolve.statement import Problem
from evolve.vocabulary import Vocabulary

SEEDS: Final = range(6)
PROPOSALS: Final = 1_000
TASTE: Final = (-3.0, 2.5, 3.0)  # see `Served.taste`
TUNED: Final = 40  # evaluations for the constants of a fresh structure: the usual dial
WORKERS: Final = 2

_LEAF = re.compile(r"\d+: (?:\w+ = )?(?:[\w.]+|\(-[\d.]+\))")
"""A sentence that says one name or one number."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to propose.

    Args:
        problem: name of a shipped problem.
        who: "model", "chance" (draws in a model's place), or "draws" (independent, all from the seed program).
        biased: whether the model's tokens are biased by `TASTE`.
        tune: most evaluations for the constants of a fresh structure; 0 for none.
    """

    problem: str
    who: str
    biased: bool = False
    tune: int = 0

    @property
    def key(self) -> str:
        """For files and dictionaries."""
        return "-".join([self.problem, self.who, *(["biased"] if self.biased else []), f"tune{self.tune}"])

    @property
    def name(self) -> str:
        """For people."""
        who = {"model": "the model", "chance": "chance in its place", "draws": "independent draws"}[self.who]
        return f"{who}{', biased' if self.biased else ''}"


PACKING, MEMORY = "online_bin_packing", "memory_rule"
ARMS: Final = (
    Arm(MEMORY, "model"),
    *(Arm(MEMORY, who, who == "model") for who in ("model", "chance", "draws")),
    Arm(PACKING, "model"),
    *(Arm(PACKING, who, who == "model", tune) for tune in (0, TUNED) for who in ("model", "chance", "draws")),
)


def course(arm: Arm, seed: int, folder: Path, served: Served) -> dict[str, Any]:
    """The figures of one course; taken from the folder if they are there."""
    told = folder / f"{arm.key}-{seed}.json"
    if not told.exists():
        print(f"{arm.key} {seed}", flush=True)
        problem = load(arm.problem)
        made = _draws(arm, problem, seed) if arm.who == "draws" else _run(arm, seed, folder, served)
        sources = [source for _, _, source in made["points"]]
        made["unseen"] = asyncio.run(_unseen(problem, sources))
        told.write_text(json.dumps(made, indent=1) + "\n")
    found: dict[str, Any] = json.loads(told.read_text())
    return found


def _run(arm: Arm, seed: int, folder: Path, served: Served) -> dict[str, Any]:
    """A run that asks the model, or chance."""
    path = folder / f"{arm.key}-{seed}.db"
    for left in folder.glob(f"{path.name}*"):
        left.unlink()
    if arm.who == "chance":
        with chance(seed) as url:
            return _asked(arm, seed, path, {"llm": url})
    endpoints = served.endpoints()
    sampling = {"logit_bias": served.taste(*TASTE)} if arm.biased else {}
    return _asked(arm, seed, path, {"llm": endpoints}, sampling)


def _asked(
    arm: Arm, seed: int, path: Path, how: dict[str, Any], sampling: dict[str, Any] | None = None
) -> dict[str, Any]:
    dials = Dials(
        syntactic=False,
        formats=("grammar",),
        lessons=0,
        tune=arm.tune,
        context=8_192,
        sampling=sampling or {},
    )
    began = time.monotonic()
    run = evolve.run(
        arm.problem,
        seed=seed,
        ledger=path,
        dials=dials,
        proposals=PROPOSALS,
        workers=WORKERS,
        **how,
    )
    seconds = time.monotonic() - began
    if run.stopped != "budget":
        raise SystemExit(f"{path} was stopped: {run.stopped}")
    rows = [(row["number"], row["objective"], row["source"]) for row in run.programs]
    with Ledger.read(path) as book:
        said = [one.text or "" for told in book.dialogues() if told.answered for one in told.answered.said]
    document = run.document
    failed = sum(document["model"]["failures"].values())
    return {
        **_figures(rows, run.objective.direction),
        "leaves": _leaves(said),
        "valid": 1.0 - failed / PROPOSALS,
        "failures": document["model"]["failures"],
        "statuses": document["statuses"],
        "evaluations": document["evaluations"],
        "tokens": document["tokens"],
        "staleness": document["model"]["staleness"],
        "seconds": seconds,
    }


def _draws(arm: Arm, problem: Problem, seed: int) -> dict[str, Any]:
    """Sentences of the seed program's grammar, each an edit of the seed program."""
    vocabulary = Vocabulary(tuple(problem.primitives), True)
    own = map_program(to_tree(problem.block), problem.entry, vocabulary)
    assert own is not None
    plan = plan_edits(problem.block, own, vocabulary)
    rng = random.Random(seed)
    said, blocks, failed = [], [problem.block], 0
    for _ in range(PROPOSALS):
        said.append(sample(plan, rng))
        try:
            blocks.append(apply_choice(said[-1], plan))
        except EditError:
            blocks.append("")
            failed += 1
    order = TuneOrder(arm.tune, Config().tune_each, seed) if arm.tune else None
    began = time.monotonic()
    different = [block for block in dict.fromkeys(blocks) if block]
    judged = dict(
        zip(
            different, asyncio.run(_judged(problem, [Job(one, tune=order) for one in different])), strict=True
        )
    )
    first = asyncio.run(_judged(problem, [Job(problem.block)]))[
        0
    ]  # as in a run: the seed program is not tuned
    judged[problem.block] = first
    rows = [
        (number, judged[block].evaluation.objective, judged[block].source)
        for number, block in enumerate(blocks)
        if block
    ]
    once = dict(zip((block for block in blocks if block), rows, strict=True)).values()
    return {
        **_figures(rows, problem.objective.direction),
        "same": _figures(once, problem.objective.direction)["same"],
        "leaves": _leaves(said),
        "valid": 1.0 - failed / PROPOSALS,
        "evaluations": sum(max(1, len(one.trials)) for one in judged.values()),
        "seconds": time.monotonic() - began,
    }


def _figures(rows: Iterable[tuple[int, float | None, str]], direction: str) -> dict[str, Any]:
    """Improvements, and how many programs do just as well as the seed program.

    Args:
        rows: number, objective and source of each evaluated proposal.
        direction: "min" or "max".
    """
    sign = 1.0 if direction == "min" else -1.0
    points: list[tuple[int, float, str]] = []
    evaluated = same = 0
    for number, value, source in sorted(rows, key=lambda row: row[0]):
        if value is not None and (not points or sign * value < sign * points[-1][1]):
            points.append((number, value, source))
        if number:
            evaluated += 1
            same += value == points[0][1]
    return {"points": points, "same": same / evaluated}


def _leaves(said: Sequence[str]) -> float:
    return sum(_LEAF.fullmatch(one) is not None for one in said) / len(said)


async def _judged(problem: Problem, jobs: Sequence[Job]) -> list[Judged]:
    async with Evaluator(problem, WORKERS) as evaluator:
        return await asyncio.gather(*map(evaluator.evaluate, jobs))


async def _unseen(problem: Problem, sources: Sequence[str]) -> dict[str, list[float | None]]:
    """Objective of each program on each suite of unseen cases."""
    jobs = [Job(source, suite=suite) for suite in problem.unseen for source in sources]
    values = iter([one.evaluation.objective for one in await _judged(problem, jobs)])
    return {suite: [next(values) for _ in sources] for suite in problem.unseen}


def at(told: dict[str, Any], proposals: int, suite: str = "") -> float:
    """Objective of the best program after so many proposals, on the training cases or a suite; NaN where it fails."""
    index = sum(number <= proposals for number, _, _ in told["points"]) - 1
    value = told["unseen"][suite][index] if suite else told["points"][index][1]
    return float("nan") if value is None else float(value)
