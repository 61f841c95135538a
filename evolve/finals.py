"""What a run found, on cases that the search never saw, beside the seed program and the baselines.

Runs after the search, on the same workers. Its figures are for people: nothing here flows back. Where speed is sought,
what was found is confirmed here, on inputs drawn from a seed that did not exist before.
"""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evolve.confirmation import ConfirmOrder
from evolve.evaluator import Evaluator, Job
from evolve.programs_db.records import Status
from evolve.source import text_hash
from evolve.statement import Problem

__all__ = ["Finals", "Line", "score_finals"]

_PAIRS = 200  # at least, for the best
_BRIEF = 26  # for programs that are shown for comparison only


@dataclass(frozen=True, slots=True)
class Line:
    """One program on the training cases and on each unseen suite; a failure is said, never a number.

    Args:
        program: its id.
        value: aggregated objective on the training cases, or None.
        unseen: the same for each suite of unseen cases.
        failures: what went wrong, by suite ("" for training; "strategy" for cases drawn from it).
        confirmation: where speed is sought, what was measured afresh; `value` is its speed-up.
    """

    program: str
    value: float | None
    unseen: Mapping[str, float | None] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    confirmation: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """As in the document that `run --json` ends with."""
        told: dict[str, Any] = {"program": self.program, "value": self.value, "unseen": dict(self.unseen)}
        if self.failures:
            told["failures"] = dict(self.failures)
        if self.confirmation is not None:
            told["confirmation"] = dict(self.confirmation)
        return told


@dataclass(frozen=True, slots=True)
class Finals:
    """Seed program, best program and baselines, side by side."""

    seed: Line
    best: Line
    baselines: Mapping[str, Line]


async def score_finals(evaluator: Evaluator, problem: Problem, best: str) -> Finals:
    """Score the seed program, the best one and every baseline on all suites.

    Args:
        evaluator: started.
        problem: the problem.
        best: source of the best program.
    """
    if problem.speed:
        seed = secrets.randbits(62)
        found = await _raced(
            evaluator, best, ConfirmOrder(seed, _PAIRS)
        )  # by itself, while nothing else is timed
        brief = ConfirmOrder(seed, pairs=_BRIEF, examples=0)
        others = [_raced(evaluator, source, brief) for source in (problem.block, *problem.baselines.values())]
    else:
        found = await _line(evaluator, problem, best)
        others = [
            _line(evaluator, problem, source) for source in (problem.block, *problem.baselines.values())
        ]
    first, *rest = await asyncio.gather(*others)
    return Finals(first, found, dict(zip(problem.baselines, rest, strict=True)))


async def _raced(evaluator: Evaluator, source: str, order: ConfirmOrder) -> Line:
    judged = await evaluator.evaluate(Job(source, confirm=order))
    evaluation, confirmation = judged.evaluation, judged.confirmation
    assert confirmation is not None
    failures = {"" if kind == "cases" else kind: why for kind, why in confirmation.wrong.items()}
    if confirmation.failed:
        failures[""] = confirmation.failed
    return Line(text_hash(source), evaluation.objective, {}, failures, confirmation.as_dict())


async def _line(evaluator: Evaluator, problem: Problem, source: str) -> Line:
    suites = ["", *problem.unseen]
    judged = await asyncio.gather(*(evaluator.evaluate(Job(source, suite=suite)) for suite in suites))
    evaluations = {suite: one.evaluation for suite, one in zip(suites, judged, strict=True)}
    failures = {
        suite: f"{one.status}: {one.message}"
        for suite, one in evaluations.items()
        if one.status is not Status.OK
    }
    values = {suite: one.objective for suite, one in evaluations.items()}
    return Line(text_hash(source), values.pop(""), values, failures)
