"""What a run found, on cases that the search never saw, beside the seed program and the baselines.

Runs after the search, on the same workers. Its figures are for people: nothing here flows back.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evolve.evaluator import Evaluator, Job
from evolve.programs_db.records import Status
from evolve.source import text_hash
from evolve.statement import Problem

__all__ = ["Finals", "Line", "score_finals"]


@dataclass(frozen=True, slots=True)
class Line:
    """One program on the training cases and on each unseen suite; a failure is said, never a number.

    Args:
        program: its id.
        value: aggregated objective on the training cases, or None.
        unseen: the same for each suite of unseen cases.
        failures: what went wrong, by suite ("" for training).
    """

    program: str
    value: float | None
    unseen: Mapping[str, float | None] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As in the document that `run --json` ends with."""
        told: dict[str, Any] = {"program": self.program, "value": self.value, "unseen": dict(self.unseen)}
        if self.failures:
            told["failures"] = dict(self.failures)
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
    sources = {"seed": problem.block, "best": best}
    sources.update({f"baseline {name}": source for name, source in problem.baselines.items()})
    lines = dict(
        zip(
            sources,
            await asyncio.gather(*(_line(evaluator, problem, s) for s in sources.values())),
            strict=True,
        )
    )
    baselines = {name: lines[f"baseline {name}"] for name in problem.baselines}
    return Finals(lines["seed"], lines["best"], baselines)


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
