"""What a run found, on cases that the search never saw, beside the seed program and the baselines.

Runs after the search, on the same workers. Its figures are for people: nothing here flows back. Where speed is sought,
what was found is verified here, on inputs drawn from a seed that did not exist before.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from evolve.confirmation import ConfirmOrder
from evolve.evaluator import Evaluator, Job
from evolve.programs_db.records import Status
from evolve.source import text_hash
from evolve.statement import Problem
from evolve.verifier import Claim, Verdict, verify

__all__ = ["Finals", "Line", "score_finals"]

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
    """Seed program, best program and baselines, side by side; and what the best one's claim is worth."""

    seed: Line
    best: Line
    baselines: Mapping[str, Line]
    verdict: Verdict


async def score_finals(evaluator: Evaluator, problem: Problem, claim: Claim) -> Finals:
    """Verify what was found, and score the seed program and every baseline on all suites.

    Args:
        evaluator: started.
        problem: the problem.
        claim: the best program, and what it is said to be worth.
    """
    sources = (problem.block, *problem.baselines.values())
    if problem.speed:
        verdict = await verify(evaluator, problem, claim)  # by itself, while nothing else is timed
        brief = ConfirmOrder(verdict.seed, pairs=_BRIEF, examples=0)
        first, *rest = await asyncio.gather(*(_raced(evaluator, source, brief) for source in sources))
    else:
        first, *rest = await asyncio.gather(*(_line(evaluator, problem, source) for source in sources))
        verdict = await verify(evaluator, problem, replace(claim, seed_unseen=first.unseen))
    best = _found(claim.source, verdict)
    return Finals(first, best, dict(zip(problem.baselines, rest, strict=True)), verdict)


def _found(source: str, verdict: Verdict) -> Line:
    """The line of the program that was verified."""
    found = {one.name: one for one in verdict.findings}
    if "timing" in found:
        told = dict(found["timing"].data)
        value = told.pop("value")
        return Line(text_hash(source), value, {}, _wrong(told), told)
    again, unseen = found["rerun"], found["unseen"].data if "unseen" in found else {}
    failures = dict(unseen.get("failures", {}))
    if again.holds is False and again.data["value"] is None:
        failures[""] = again.words
    return Line(text_hash(source), again.data["value"], unseen.get("values", {}), failures)


def _wrong(confirmation: Mapping[str, Any]) -> dict[str, str]:
    failures = {"" if kind == "cases" else kind: why for kind, why in confirmation.get("wrong", {}).items()}
    if confirmation.get("failed"):
        failures[""] = confirmation["failed"]
    return failures


async def _raced(evaluator: Evaluator, source: str, order: ConfirmOrder) -> Line:
    judged = await evaluator.evaluate(Job(source, confirm=order))
    assert judged.confirmation is not None
    told = judged.confirmation.as_dict()
    return Line(text_hash(source), judged.evaluation.objective, {}, _wrong(told), told)


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
