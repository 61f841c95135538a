"""What a finished run is reduced to: its anytime curve, the area under it, its best and what that is worth elsewhere.

Reads ledgers, and has programs scored on cases that no search sees; compares nothing.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any, Self

from evolve.bench.study.plan import Plan
from evolve.evaluator import Evaluator, Job
from evolve.handle import Run
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.lineage import best_so_far
from evolve.programs_db.records import Objective, Status
from evolve.proving import VerifyOrder
from evolve.statement import Problem
from evolve.text import clean

__all__ = [
    "Elsewhere",
    "Outcome",
    "at",
    "classical",
    "course_of",
    "elsewhere",
    "lacks",
    "outcome_of",
    "source_of",
    "value_of",
]

Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """One program on cases that no search sees.

    Args:
        unseen: objective by suite; None where the program fails.
        fresh: objective on each fresh draw of cases, the same draws for all programs of a problem.
        failures: what went wrong, by suite, or "fresh"; cleaned.
    """

    unseen: Mapping[str, float | None]
    fresh: tuple[float | None, ...]
    failures: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run.

    Args:
        problem: label.
        strategy: name.
        seed: of the run.
        final: best objective on the training cases within the budget.
        area: mean of the best so far over the budget, in units of the objective.
        program: id of the best.
        elsewhere: what it is worth on other cases.
        curve: (budget spent, best objective from there on), in the unit of the study's budget.
        evaluations: spent, as are `proposals`, `seconds` and `cpu_seconds`.
        statuses: of the evaluations.
        spent: of the budget, in its unit; a run that found nothing new to try ends before its budget.
        content: hash of the ledger's content; "" where nothing was searched.
    """

    problem: str
    strategy: str
    seed: int
    final: float
    area: float
    program: str
    elsewhere: Elsewhere
    curve: tuple[tuple[float, float], ...]
    evaluations: int
    proposals: int
    seconds: float
    cpu_seconds: float
    statuses: Mapping[str, int]
    spent: float
    content: str

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """From plain data."""
        there = given["elsewhere"]
        curve = tuple((float(spent), float(value)) for spent, value in given["curve"])
        other = Elsewhere(there["unseen"], tuple(there["fresh"]), there["failures"])
        return cls(**{**given, "curve": curve, "elsewhere": other})


def value_of(one: Outcome, outcome: str) -> float | None:
    """What a run is compared by.

    Args:
        one: the run.
        outcome: "final", "area", "unseen" (mean over the unseen suites) or "fresh" (mean over the draws).

    Returns:
        None where the program fails there.

    Raises:
        KeyError: the problem has no such cases.
    """
    if outcome in ("final", "area"):
        return one.final if outcome == "final" else one.area
    values = list(one.elsewhere.unseen.values() if outcome == "unseen" else one.elsewhere.fresh)
    if not values:
        raise KeyError(outcome)
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None


def course_of(ledger: Path, plan: Plan) -> tuple[list[tuple[float, float]], list[str], float]:
    """The anytime curve of a run in the unit of the plan's budget, the programs of its steps, and what was spent.

    Evaluations and proposals are counted. Seconds and CPU seconds go by the moment of each commit, scaled so that the
    last one is what the run took; requests, tokens and money by the number of proposals.
    """
    run = Run(ledger)
    document = run.document
    with Ledger.read(ledger) as book:
        points = best_so_far(book, run.objective, book.fingerprint)
        elapsed = {
            row["number"]: row["elapsed"] for row in book.query("SELECT number, elapsed FROM proposals")
        }
    spent, proposals = _spent(plan, document), max(1, int(document["proposals"]))
    last = float(max(elapsed.values())) or 1.0

    def place(number: int, evaluations: int) -> float:
        if plan.kind == "evaluations":
            return float(evaluations)
        if plan.kind == "cpu_seconds":
            return spent * float(elapsed[number]) / last
        return spent * number / proposals

    steps = [(place(point.number, point.evaluations), point.objective) for point in points]
    return steps, [point.program for point in points], spent


def _spent(plan: Plan, document: Mapping[str, Any]) -> float:
    if "simulated" in document and plan.kind in document["simulated"]["cost"]:
        return float(document["simulated"]["cost"][plan.kind])
    if plan.kind in document and not isinstance(document[plan.kind], Mapping):
        return float(document[plan.kind])
    return plan.amount  # of a model: what ends such a run is its budget


def outcome_of(key: tuple[str, str, int], ledger: Path, plan: Plan, other: Elsewhere) -> Outcome:
    """A finished run.

    Args:
        key: label of the problem, name of the strategy, seed.
        ledger: that has ended.
        plan: of the study.
        other: its best program on other cases.
    """
    steps, programs, spent = course_of(ledger, plan)
    kept = within(steps, plan.amount)
    document = Run(ledger).document
    return Outcome(
        *key,
        final=steps[kept - 1][1],
        area=area(steps[:kept], plan.amount),
        program=programs[kept - 1],
        elsewhere=other,
        curve=tuple(steps[:kept]),
        evaluations=document["evaluations"],
        proposals=document["proposals"],
        seconds=document["seconds"],
        cpu_seconds=document["cpu_seconds"],
        statuses=document["statuses"],
        spent=spent,
        content=document["content_hash"],
    )


def within(steps: Curve, amount: float) -> int:
    """How many steps of a curve lie within the budget; the seed program always does.

    A run finishes what it has in hand, so that its last step may lie above: it does not count.
    """
    return max(1, sum(place <= amount * (1 + 1e-9) for place, _ in steps))


def area(steps: Curve, amount: float) -> float:
    """The mean of the best so far from the seed program's evaluation to the end of the budget.

    Args:
        steps: (place, value from there on), rising in place.
        amount: where the budget ends.
    """
    first = steps[0][0]
    if amount <= first:
        return steps[-1][1]
    ends = [*(min(place, amount) for place, _ in steps), amount]
    return sum(
        value * (end - begin) for (begin, end), (_, value) in zip(pairwise(ends), steps, strict=True)
    ) / (amount - first)


def at(steps: Curve, place: float) -> float:
    """The best so far at a place; the first value before it began."""
    value = steps[0][1]
    for begin, objective in steps:
        if begin > place:
            break
        value = objective
    return value


def source_of(ledger: Path, plan: Plan) -> tuple[str, str]:
    """Id and text of the best program within the budget."""
    steps, programs, _ = course_of(ledger, plan)
    name = programs[within(steps, plan.amount) - 1]
    with Ledger.read(ledger) as book:
        return name, book.program(name).source


def lacks(problem: Problem, outcome: str, draws: int) -> bool:
    """Whether a problem has nothing to judge by this outcome: what `elsewhere` would find nothing for."""
    if outcome not in ("unseen", "fresh"):
        return False
    if problem.speed is not None:
        return True
    return (
        not problem.unseen if outcome == "unseen" else not draws or not (problem.fresh or problem.repeats > 1)
    )


async def elsewhere(evaluator: Evaluator, problem: Problem, source: str, draws: int) -> Elsewhere:
    """A program on every suite of unseen cases, and on fresh draws that depend on the problem's name alone.

    Where speed is sought there is nothing to do: its inputs are fresh at every race.

    Args:
        evaluator: of the problem.
        problem: the problem.
        source: text of the program.
        draws: how many.
    """
    if problem.speed is not None:
        return Elsewhere({}, (), {})
    jobs = {suite: Job(source, suite=suite) for suite in problem.unseen}
    first = int.from_bytes(hashlib.blake2b(problem.name.encode(), digest_size=6).digest())
    if problem.fresh is not None:
        orders = [Job(source, verify=VerifyOrder(fresh=first + draw)) for draw in range(draws)]
    elif problem.repeats > 1:
        orders = [Job(source, round=1_000 + draw) for draw in range(draws)]
    else:
        orders = []
    judged = await asyncio.gather(*(evaluator.evaluate(job) for job in (*jobs.values(), *orders)))
    evaluations = [one.evaluation for one in judged]
    names = [*jobs, *("fresh" for _ in orders)]
    failures = {
        name: clean(f"{one.status}: {one.message}", 300)
        for name, one in zip(names, evaluations, strict=True)
        if one.status is not Status.OK
    }
    unseen = {name: one.objective for name, one in zip(jobs, evaluations, strict=False)}
    return Elsewhere(unseen, tuple(one.objective for one in evaluations[len(jobs) :]), failures)


def classical(key: tuple[str, str, int], given: Mapping[str, Any]) -> Outcome | None:
    """The best baseline of a problem as if it were a run; None where no baseline scores.

    Args:
        key: label of the problem, name of the strategy, seed of the pair.
        given: what its seed program and baselines are worth, see `job`.
    """
    scored = {name: one for name, one in given["baselines"].items() if one["value"] is not None}
    if not scored:
        return None
    objective = Objective(**given["objective"])
    name = max(scored, key=lambda one: objective.key(scored[one]["value"]))
    value, there = scored[name]["value"], scored[name]["elsewhere"]
    return Outcome(
        *key,
        final=value,
        area=value,
        program=name,
        elsewhere=Elsewhere(there["unseen"], tuple(there["fresh"]), there["failures"]),
        curve=((1.0, value),),
        evaluations=len(given["baselines"]),
        proposals=0,
        seconds=0.0,
        cpu_seconds=0.0,
        statuses={},
        spent=float(len(given["baselines"])),
        content="",
    )
