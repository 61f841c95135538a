"""Which fresh structures are worth tuning: each rung of a tuning lets only a share of those it has seen pass.

Knows scores of recent tunings at fixed shares of their budgets. Scale-free: a rung's bar is a quantile, in
units of the objective whatever they are. State is a fold over commits.
"""

import math
import random
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Sequence

from evolve.programs_db.records import Commit, Objective

__all__ = ["Screening", "looks", "tuning_budget"]

_RUNGS = (0.0, 0.2, 0.5)
"""Shares of a tuning's budget after which its best so far is looked at; 0 is the program as proposed."""

_WINDOW = 300
_FEWEST = 8  # until a rung has seen so many, everything passes


def tuning_budget(most: int, each: int, constants: int) -> int:
    """Trials for so many constants, the program as proposed included."""
    return min(most, each * constants)


def looks(budget: int) -> tuple[int, ...]:
    """For each rung the number of trials, of a tuning with this budget, after which it looks."""
    return tuple(max(1, math.ceil(share * budget)) for share in _RUNGS)


class _Rung:
    """The scores that a rung saw last, in the order of arrival and sorted; larger is better."""

    def __init__(self) -> None:
        self.recent: deque[float] = deque()
        self.ranked: list[float] = []

    def note(self, key: float) -> None:
        self.recent.append(key)
        insort(self.ranked, key)
        if len(self.recent) > _WINDOW:
            del self.ranked[bisect_left(self.ranked, self.recent.popleft())]

    def bar(self, keep: float, lot: random.Random) -> float:
        """What must be reached. Most changes change nothing: if all that tie with the bar passed, nearly all would.

        So ties are drawn by lot, such that the share `keep` passes.
        """
        count = len(self.ranked)
        if count < _FEWEST:
            return -math.inf
        bar = self.ranked[min(count - 1, int((1.0 - keep) * count))]
        above = count - bisect_right(self.ranked, bar)
        ties = count - above - bisect_left(self.ranked, bar)
        return bar if lot.random() * ties < keep * count - above else math.nextafter(bar, math.inf)


class Screening:
    """Bars for tunings, from what tunings before them reached.

    Args:
        objective: what is better.
        keep: share of those seen at a rung that pass it.
    """

    def __init__(self, objective: Objective, keep: float) -> None:
        self.objective = objective
        self.keep = keep
        self._rungs = [_Rung() for _ in _RUNGS]

    def bars(self, lot: random.Random) -> tuple[float | None, ...]:
        """For each rung the objective that must be reached; None where anything passes. Ties go by `lot`."""
        keys = [rung.bar(self.keep, lot) for rung in self._rungs]
        return tuple(None if math.isinf(key) else self.objective.key(key) for key in keys)

    def note(self, commit: Commit, budget: int) -> None:
        """Take note of a commit: its program as proposed, and what its tuning had reached at each rung.

        Args:
            commit: any; one whose structure cannot be fresh (operator "constant") is passed over.
            budget: of its tuning.
        """
        evaluation = commit.evaluation
        if evaluation is None or commit.proposal.operator == "constant":
            return
        scores = [trial.objective for trial in commit.trials] or [evaluation.objective]
        for tried, rung in zip(looks(budget), self._rungs, strict=True):
            if len(scores) < tried:
                return
            rung.note(self._best(scores[:tried]))

    def _best(self, scores: Sequence[float | None]) -> float:
        return max((self.objective.key(score) for score in scores if score is not None), default=-math.inf)
