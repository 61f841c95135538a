"""One worker of a study: a process that does task after task on workers that stay warm, and says what came of each.

Started by `trials` (`python -m evolve.bench.study.job`), never forked. Tasks and answers are JSON, a line each. What a
run found is on the disk before it is said; a worker that is killed loses the run in hand, which is gone on with.
"""

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TextIO

import evolve
from evolve.bench.study.outcomes import Elsewhere, elsewhere, outcome_of, source_of
from evolve.bench.study.places import Places
from evolve.bench.study.plan import Plan, plan_of
from evolve.budget import Budget
from evolve.errors import EvolveError, InfrastructureError
from evolve.evaluator import Job
from evolve.fastcore.jail import die_with_parent
from evolve.fastcore.pool import JudgeError, JudgeStartError
from evolve.handle import Run
from evolve.llm.dials import Dials
from evolve.programs_db.errors import LedgerError, LedgerUnreadable
from evolve.programs_db.ledger import Ledger
from evolve.session import last_budget
from evolve.statement import Problem
from evolve.summary import ended_document
from evolve.text import clean
from evolve.workers import Workers

__all__ = ["main"]

_PROPOSALS = 25
"""Proposals for each evaluation of a budget after which a run ends all the same: it finds nothing new to try."""


def main() -> None:
    """Serve tasks until their end, or until whoever gives them is gone."""
    die_with_parent(int(sys.argv[1]))
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what a problem prints is no answer
    start = json.loads(sys.stdin.readline())
    plan = plan_of(start["plan"], Path(start["home"]))
    with Workers(1, start["unsafe"]) as kept:
        bench = _Bench(plan, Places(Path(start["folder"])), kept)
        for line in sys.stdin:
            _answer(answers, bench, json.loads(line))


def _answer(answers: TextIO, bench: "_Bench", task: Mapping[str, Any]) -> None:
    began = time.monotonic()
    try:
        told = getattr(bench, f"do_{task['do']}")(task)
    except (EvolveError, LedgerError, JudgeError, JudgeStartError, OSError) as error:
        code = getattr(error, "exit_code", InfrastructureError.exit_code)
        told = {"failed": clean(str(error), 4_000), "code": code, "again": not isinstance(error, EvolveError)}
    answers.write(json.dumps({**told, "seconds": time.monotonic() - began}) + "\n")


class _Bench:
    """What a worker knows between tasks."""

    def __init__(self, plan: Plan, places: Places, kept: Workers) -> None:
        self.plan = plan
        self.places = places
        self.kept = kept
        self._problems: dict[str, Problem] = {}
        self._scored: dict[tuple[str, str], Elsewhere] = {}

    def problem(self, label: str) -> Problem:
        """A problem, loaded once."""
        if label not in self._problems:
            problem = self.plan.asked(label).load()
            self.places.expect_problem(label, problem)
            self._problems[label] = problem
        return self._problems[label]

    def do_given(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """What the seed program and the baselines of a problem are worth."""
        label = task["problem"]
        problem = self.problem(label)
        objective = problem.objective
        told = {
            "objective": {"name": objective.name, "direction": objective.direction, "unit": objective.unit},
            "timed": problem.speed is not None,
            "seed_program": self._worth(label, problem.block),
            "baselines": {
                clean(name, 80): self._worth(label, text) for name, text in problem.baselines.items()
            },
        }
        self.places.write(self.places.given(label), told)
        return {}

    def _worth(self, label: str, source: str) -> dict[str, Any]:
        problem = self.problem(label)

        async def scored() -> tuple[float | None, Elsewhere]:
            async with self.kept.lent(problem) as evaluator:
                value = (await evaluator.evaluate(Job(source))).evaluation.objective
                return value, await elsewhere(evaluator, problem, source, self.plan.draws)

        value, other = self.kept.wait(scored())
        return {"value": value, "elsewhere": asdict(other)}

    def do_run(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """A run to its end, and what is left of it."""
        label, strategy, seed = task["problem"], task["strategy"], task["seed"]
        ledger = self.places.ledger(label, strategy, seed)
        ledger.parent.mkdir(parents=True, exist_ok=True)
        whole = self._searched(label, strategy, seed, ledger)
        program, source = source_of(ledger, self.plan)
        if (label, program) not in self._scored:
            self._scored[label, program] = self._elsewhere(label, source)
        outcome = outcome_of((label, strategy, seed), ledger, self.plan, self._scored[label, program])
        self.places.write(self.places.outcome(label, strategy, seed), outcome.as_dict())
        self.places.tidy(ledger)
        return {"value": outcome.final, "whole": whole}

    def _elsewhere(self, label: str, source: str) -> Elsewhere:
        problem = self.problem(label)

        async def scored() -> Elsewhere:
            async with self.kept.lent(problem) as evaluator:
                return await elsewhere(evaluator, problem, source, self.plan.draws)

        return self.kept.wait(scored())

    def _searched(self, label: str, strategy: str, seed: int, ledger: Path) -> bool:
        """Begin a run, or go on with it; one that was killed by the clock's budget begins anew.

        Returns:
            Whether it was begun here.
        """
        how = {"budget": self._budget(), **self._how()}
        if ledger.exists():
            if _ended(ledger, self._budget()):
                return False
            if self.plan.kind == "cpu_seconds":
                self.places.remove(ledger)
            elif _resumed(ledger, how):
                return False
            else:
                aside = self.places.set_aside(ledger)
                print(
                    f"{ledger}: no ledger, or a damaged one: moved to {aside.name}, the run begins anew",
                    file=sys.stderr,
                )
        chosen = self.plan.strategy(strategy)
        if self.plan.llm:
            how["dials"] = Dials.of(chosen.llm)
        run = evolve.run(self.problem(label), seed=seed, ledger=ledger, config=chosen.config(), **how)
        _finished(run)
        return True

    def _how(self) -> dict[str, Any]:
        """How runs are run here."""
        how: dict[str, Any] = {"workers": 1, "verify": False, "kept": self.kept, "unsafe": self.kept.unsafe}
        how["simulated"] = self.plan.simulated
        return {**how, "llm": self.plan.llm} if self.plan.llm else how

    def _budget(self) -> Budget:
        """Of a run, with an end for one that finds nothing new to evaluate."""
        budget, simulated = self.plan.budget, self.plan.simulated
        if budget.evaluations is not None:
            return replace(budget, proposals=_PROPOSALS * budget.evaluations)
        return budget if simulated is None else simulated.budget(budget)

    def do_trial(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """Two short runs of one problem, of different length, so that a start is not taken for searching."""
        label = task["problem"]
        problem, chosen = self.problem(label), self.plan.searching[0]
        told: list[tuple[int, float, int]] = []
        with self.places.passing() as folder:
            for place, length in enumerate((task["lengths"][0], *task["lengths"])):
                began = time.monotonic()
                run = evolve.run(
                    problem,
                    seed=1_000_003 + place,
                    ledger=folder / f"{place}.db",
                    config=chosen.config(),
                    budget=Budget(**{task["unit"]: length, "seconds": task["seconds"]}),
                    **self._how(),
                )
                _finished(run)
                size = run.ledger.stat().st_size
                told.append((run.document[task["unit"]], time.monotonic() - began, size))
            began = time.monotonic()
            self._elsewhere(label, problem.block)
        # The first of them paid for what a worker does once.
        lengths, taken, sizes = zip(*told[1:], strict=True)
        return {"lengths": lengths, "taken": taken, "after": time.monotonic() - began, "bytes": sizes}


def _ended(ledger: Path, budget: Budget) -> bool:
    """Whether the run of a ledger has spent its budget, and that was this one."""
    try:
        with Ledger.read(ledger) as book:
            told = ended_document(book)
            return told is not None and told["stopped"] == "budget" and last_budget(book) == budget
    except LedgerError:
        return False


def _resumed(ledger: Path, how: Mapping[str, Any]) -> bool:
    """Go on with a run; False where its ledger cannot even be read.

    Raises:
        LedgerError: it can be read and not gone on with, as on a full disk: what it holds is kept.
    """
    try:
        run = evolve.resume(ledger, **how)
    except LedgerUnreadable:
        if _readable(ledger):
            raise
        return False
    _finished(run)
    return True


def _readable(ledger: Path) -> bool:
    try:
        with Ledger.read(ledger) as book:
            return not book.integrity()
    except LedgerUnreadable:
        return False


def _finished(run: Run) -> None:
    if run.stopped == "interrupted":
        raise SystemExit(130)
    if run.stopped != "budget":
        raise InfrastructureError(f"{run.ledger}: the run stopped before its budget was spent: {run.stopped}")


if __name__ == "__main__":
    main()
