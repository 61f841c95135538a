"""Which islands are open, when each last gained, and what moves between them: a fold over commits.

Knows evaluations and bests; does not know who becomes a parent (`select` does), nor what is evaluated.
"""

from collections.abc import Sequence

from evolve.config import Config
from evolve.programs_db.archive import Archive
from evolve.programs_db.records import Commit, Event

__all__ = ["Islands"]


class Islands:
    """The islands of an archive, in a search.

    Args:
        archive: whose islands they are.
        config: the dials.
        staged: whether they are opened one by one, each when those that are open gain no more: a search that is
            short or getting on is not spread thin, and one that is stuck starts again elsewhere.
    """

    def __init__(self, archive: Archive, config: Config, staged: bool) -> None:
        self.archive = archive
        self.config = config
        # Of those that are open, and of each: evaluations of the run when it was opened, or started again.
        self._since = [0] * (1 if staged and config.patience else config.islands)
        self._gained = [0] * config.islands

    @property
    def opened(self) -> int:
        """How many are open: those from 0 on."""
        return len(self._since)

    def gained(self, island: int) -> int:
        """Evaluations of the run when an island last bettered its best, was opened, or started again."""
        return self._gained[island]

    def note(self, island: int, evaluations: int) -> None:
        """An island has bettered its best."""
        self._gained[island] = evaluations

    def moved(self, events: Sequence[Event], evaluations: int) -> None:
        """The events of a commit have moved the archive; one more island is opened if those that are open are stuck."""
        for event in events:
            if event.kind == "reset":
                self._since[event.island] = self._gained[event.island] = evaluations
        if self.opened == self.config.islands:
            return
        waited = evaluations - max(self._gained[: self.opened])
        if evaluations >= self.opened * self.config.migrate and waited >= self.config.patience * evaluations:
            # It has had no time to gain: it waits from now on.
            self._gained[self.opened] = evaluations
            self._since.append(evaluations)

    def events(self, before: int, after: int, commit: Commit) -> list[Event]:
        """Founders of the other islands at the start; then resets and migrations by number of evaluations.

        Args:
            before: evaluations of the run before the commit.
            after: and after it.
            commit: the archive has taken it.
        """
        if commit.proposal.number == 0:
            founder = () if commit.program is None else (commit.program.id,)
            others = (island for island in range(self.config.islands) if island != commit.proposal.island)
            return [Event("migration", island, founder) for island in others]
        count = self.opened
        if count > 1 and before // self.config.reset != after // self.config.reset:
            return self._resets(count)
        if count > 1 and before // self.config.migrate != after // self.config.migrate:
            return self._migrations(count, after)
        return self._restart(commit.proposal.island, after)

    def _migrations(self, count: int, evaluations: int) -> list[Event]:
        """The best of each goes to its neighbour as well, unless that is young: it would be one more of the same."""
        grown = [evaluations - since >= self.config.migrate for since in self._since]
        bests = [
            (island, self.archive.best(island)) for island in range(count) if grown[(island + 1) % count]
        ]
        return [
            Event("migration", (island + 1) % count, (best.program.id,))
            for island, best in bests
            if best is not None
        ]

    def _resets(self, count: int) -> list[Event]:
        """The worse half of the islands starts again: from the best of the better half, or from the seed program."""
        bests = [(island, self.archive.best(island)) for island in range(count)]
        alive = [(island, best) for island, best in bests if best is not None]
        alive.sort(key=lambda pair: (-self.archive.objective.key(pair[1].objective), pair[0]))
        keep = max(1, count - count // 2)
        poor = alive[keep:]
        founders = [alive[place % keep][1] for place in range(len(poor))]
        first = self.archive.first
        if first is not None:
            for place in range(max(0, len(poor) - self.config.fresh), len(poor)):
                founders[place] = first
        return [
            Event("reset", island, (founder.program.id,))
            for (island, _), founder in zip(poor, founders, strict=True)
        ]

    def _restart(self, island: int, evaluations: int) -> list[Event]:
        """An island that has gained nothing for long starts again from the seed program."""
        first = self.archive.first
        waited = evaluations - self._gained[island]
        if not self.config.restart or waited < self.config.restart or first is None:
            return []
        return [Event("reset", island, (first.program.id,))]
