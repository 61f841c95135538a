"""What a run tells while it goes on: commits are queued for next to nothing, digested when someone looks.

Knows commits and counts; knows neither terminal nor ledger. The engine's thread only appends to a queue (0.1
us a commit); everything else happens on the thread of whoever shows it.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from evolve.budget import Budget
from evolve.llm.pool import Notice
from evolve.programs_db.lineage import best_so_far, statuses
from evolve.programs_db.reading import Reading
from evolve.programs_db.records import Commit, Measure, Objective, Status

__all__ = ["Improvement", "Watch"]

_RATE_SECONDS = 5.0
_TOLD = frozenset({"down", "outage", "serving", "recovered", "refused", "poisoned", "warning"})


@dataclass(frozen=True, slots=True)
class Improvement:
    """A new best of the run."""

    number: int
    evaluations: int
    elapsed: float
    objective: float
    program: str
    how: str


@dataclass
class Watch:
    """State of a run for whoever looks; an `Observer` of the engine.

    Args:
        objective: what is sought.
        measures: axes of the archive.
        islands: how many.
        budget: a total over all sessions.
    """

    objective: Objective
    measures: tuple[Measure, ...]
    islands: int
    budget: Budget
    commits: int = 0
    proposals: int = 0
    evaluations: int = 0
    elapsed: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    improvements: list[Improvement] = field(default_factory=list)
    island_bests: dict[int, float] = field(default_factory=dict)
    reached: set[tuple[int, ...]] = field(default_factory=set)
    notices: list[tuple[float, str]] = field(default_factory=list)
    asking: Callable[[], Mapping[str, float]] | None = None
    metered: float = 0.0
    _queue: deque[tuple[Commit, bool] | Notice] = field(default_factory=deque)
    _holders: dict[int, tuple[str, float]] = field(default_factory=dict)
    _paces: deque[tuple[float, int]] = field(default_factory=deque)

    def on_commit(self, commit: Commit, improved: bool) -> None:
        """Take a commit; called on the event loop's thread."""
        self._queue.append((commit, improved))

    def on_notice(self, notice: Notice) -> None:
        """Take what a client says of its servers; retries and the like are of no interest to a human."""
        if notice.kind in _TOLD:
            self._queue.append(notice)

    def on_asking(self, state: Callable[[], Mapping[str, float]]) -> None:
        """From now on `state` says how many questions are out, and what they have cost."""
        self.asking = state

    def on_metered(self, cpu_seconds: float) -> None:
        """So many CPU seconds are spent, over all sessions; told where a budget is in them."""
        self.metered = cpu_seconds

    def recall(self, book: Reading) -> None:
        """Begin where earlier sessions ended: the curve so far, and what was counted."""
        points = best_so_far(book, self.objective, book.fingerprint)
        counts = book.query(
            "SELECT coalesce(max(number), 0) AS number, coalesce(sum(evaluations), 0) AS evaluations, "
            "coalesce(max(elapsed), 0) AS elapsed FROM proposals"
        )[0]
        self.proposals, self.evaluations, self.elapsed = counts.values()
        self.statuses.update(statuses(book))
        self.improvements = [
            Improvement(point.number, point.evaluations, 0.0, point.objective, point.program, "")
            for point in points
        ]

    def digest(self) -> list[Improvement]:
        """Bring the counts up to date; to be called by one thread at a time.

        Returns:
            What has improved on the best since the last call.
        """
        fresh: list[Improvement] = []
        while self._queue:
            event = self._queue.popleft()
            if isinstance(event, Notice):
                told = f"{event.endpoint}: {event.words}" if event.endpoint else event.words
                self.notices.append((self.elapsed, told))
                continue
            commit, improved = event
            self._take(commit)
            if improved and commit.evaluation is not None and commit.evaluation.objective is not None:
                fresh.append(self._improvement(commit, commit.evaluation.objective))
        self.improvements += fresh
        now = time.monotonic()
        self._paces.append((now, self.evaluations))
        while len(self._paces) > 2 and now - self._paces[0][0] > _RATE_SECONDS:
            self._paces.popleft()
        return fresh

    def _improvement(self, commit: Commit, objective: float) -> Improvement:
        proposal = commit.proposal
        how = f"{proposal.mutator}:{proposal.operator}".rstrip(":")
        return Improvement(
            proposal.number, self.evaluations, proposal.elapsed, objective, proposal.program or "", how
        )

    def _take(self, commit: Commit) -> None:
        proposal, evaluation = commit.proposal, commit.evaluation
        self.commits += 1
        self.proposals = max(self.proposals, proposal.number)
        self.evaluations += proposal.evaluations
        self.elapsed = proposal.elapsed
        if evaluation is not None:
            self.statuses[evaluation.status.value] += 1
            if evaluation.status is Status.OK and evaluation.objective is not None:
                values = evaluation.measures
                self.reached.add(tuple(measure.bin(values[measure.name]) for measure in self.measures))
                self._offer(proposal.island, evaluation.program, evaluation.objective)
        elif proposal.error:
            self.statuses["no program"] += 1
        if commit.events:
            self._move(commit)

    def _offer(self, island: int, program: str, objective: float) -> None:
        held = self._holders.get(island)
        if held is None or self.objective.better(objective, held[1]):
            self._holders[island] = program, objective
            self.island_bests[island] = objective

    def _move(self, commit: Commit) -> None:
        """Founders and migrants are the best of some island when they move."""
        known = dict(self._holders.values())
        for event in commit.events:
            if event.kind == "reset":
                self._holders.pop(event.island, None)
                self.island_bests.pop(event.island, None)
            for program in event.programs:
                if program in known:
                    self._offer(event.island, program, known[program])

    @property
    def cells(self) -> int:
        """How many cells the grid of one island has."""
        count = 1
        for measure in self.measures:
            count *= measure.bins
        return count

    @property
    def rate(self) -> float:
        """Evaluations a second, lately."""
        if len(self._paces) < 2:
            return 0.0
        (then, before), (now, after) = self._paces[0], self._paces[-1]
        return (after - before) / (now - then) if now > then else 0.0

    @property
    def failures(self) -> list[tuple[str, int]]:
        """Failures by kind, the most frequent first."""
        return [(kind, count) for kind, count in self.statuses.most_common() if kind != Status.OK.value]

    @property
    def left(self) -> tuple[float, str]:
        """The share of the budget that is spent, and what is left of it in words."""
        spent, words = 0.0, []
        if self.budget.seconds is not None:
            spent = min(1.0, self.elapsed / self.budget.seconds)
            words.append(f"{max(0.0, self.budget.seconds - self.elapsed):.0f} s")
        if self.budget.cpu_seconds is not None:
            spent = max(spent, min(1.0, self.metered / self.budget.cpu_seconds))
            words.append(f"{max(0.0, self.budget.cpu_seconds - self.metered):.0f} CPU s")
        for name, done in (("proposals", self.proposals), ("evaluations", self.evaluations)):
            limit = getattr(self.budget, name)
            if limit is not None:
                spent = max(spent, min(1.0, done / limit))
                words.append(f"{max(0, limit - done)} {name}")
        spendings = self.asking() if self.asking is not None else {}
        for name in ("requests", "tokens", "money"):
            limit, amount = getattr(self.budget, name), spendings.get(name, 0)
            if limit is not None:
                spent = max(spent, min(1.0, amount / limit))
                words.append(f"{max(0, limit - amount):{'.2f' if name == 'money' else 'd'}} {name}")
        return spent, " or ".join(words)
