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
        self._count = 1 if staged and config.patience else config.islands
        self._last = 0  # evaluations of the run when the last of them was opened
        self._gained = [0] * config.islands
        # In which period of migration each was opened or started again.
        self._since = [-1] * config.islands

    @property
    def opened(self) -> int:
        """How many are open: those from 0 on."""
        return self._count

    def gained(self, island: int) -> int:
        """Evaluations of the run when an island last bettered its best, was opened, or started again."""
        return self._gained[island]

    def note(self, island: int, evaluations: int) -> None:
        """An island has bettered its best."""
        self._gained[island] = evaluations

    def moved(self, commit: Commit, events: Sequence[Event], evaluations: int) -> None:
        """A commit and its events have moved the archive; one more island is opened if those that are open are stuck.

        Args:
            commit: of the run.
            events: that the archive has taken with it.
            evaluations: of the run, those of the commit included.
        """
        for event in events:
            if event.kind == "reset":
                self._begin(event.island, evaluations)
        # Where a record is scored anew, other islands may gain than did; what was tried there then was open.
        while self._count <= commit.proposal.island:
            self._open(evaluations)
        if self._count < self.config.islands and self._stuck(evaluations):
            self._open(evaluations)

    def _open(self, evaluations: int) -> None:
        """One more island is open."""
        self._begin(self._count, evaluations)
        self._count += 1
        self._last = evaluations

    def _begin(self, island: int, evaluations: int) -> None:
        """An island begins, or begins again: it has had no time to gain, and waits from now on."""
        self._gained[island] = evaluations
        self._since[island] = evaluations // self.config.migrate

    def _stuck(self, evaluations: int) -> bool:
        """Whether no open island has gained for long, and none was opened lately."""
        waited = evaluations - max(self._gained[: self._count])
        return (
            evaluations - self._last >= self.config.migrate and waited >= self.config.patience * evaluations
        )

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
        """The best of each goes to its neighbour as well.

        Not the first time after that has begun: it would be one more of the same.
        """
        grown = [evaluations // self.config.migrate - since > 1 for since in self._since]
        bests = [self.archive.best(island) for island in range(count)]
        return [
            Event("migration", (island + 1) % count, (best.program.id,))
            for island, best in enumerate(bests)
            if best is not None and grown[(island + 1) % count]
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
