"""The objective of a problem that asks for speed, and what such a problem must and may say. Values only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evolve.programs_db.records import Objective

if TYPE_CHECKING:
    from evolve.statement import Problem

__all__ = ["ALL", "ON_CASE", "Speed", "complaints"]

ALL = "all"
"""Key, among the scores of a program, of what was found over all cases of a batch together."""

ON_CASE = "speedup:"
"""A measure called so, and by the name of one of `fresh`'s cases, is the speed-up on that case."""


@dataclass(frozen=True, slots=True, init=False)
class Speed(Objective):
    """How many times as fast as a baseline: the ratio of CPU times, baseline / program, on fresh inputs.

    Nothing else in a problem speaks of time: the evaluator races each program that answers right against the
    baseline, on batches of `Problem.fresh`, and takes the median over pairs of runs of the geometric mean over cases.

    Args:
        baseline: name of one of the problem's `baselines`.
        name: of the objective.
        unit: for people.
    """

    baseline: str = ""

    def __init__(self, baseline: str, name: str = "speedup", unit: str = "x") -> None:
        for field, value in (("name", name), ("direction", "max"), ("unit", unit), ("baseline", baseline)):
            object.__setattr__(self, field, value)


def complaints(problem: "Problem", measures: Sequence[str]) -> list[tuple[bool, str]]:
    """What can be said against a problem as far as speed goes, before any program has run.

    Args:
        problem: any; most of the list is about those whose objective is `Speed`.
        measures: names of its measures.
    """
    objective = problem.objective
    on_case = [name for name in measures if name.startswith(ON_CASE)]
    if not isinstance(objective, Speed):
        return [
            (bool(on_case), f"measure {', '.join(on_case)} needs objective=Speed(...)"),
        ]
    return [
        (
            objective.baseline not in problem.baselines,
            f"Speed names baseline {objective.baseline!r}, which is not among baselines=: "
            f"{', '.join(problem.baselines) or 'none'}",
        ),
        (
            problem.fresh is None,
            "an objective of Speed needs fresh=, a function of a random generator that makes one batch of cases: "
            "every timed run gets inputs that no run had before",
        ),
        (problem.form != "call", f"an objective of Speed needs form 'call', not {problem.form!r}"),
        (problem.repeats != 1, "an objective of Speed takes no repeats=; its runs are repeated anyway"),
        (
            bool(problem.stages),
            "an objective of Speed takes no stages=; a slow program is given up early anyway",
        ),
        (
            objective.name in problem.aggregate,
            f"aggregate= cannot be given for {objective.name!r}: speed-ups are put together by the geometric mean",
        ),
    ]
