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
        staged: whether they are opened one by one: a search of few evaluations is not spread thin, and one that goes
            on starts again elsewhere.
    """

    def __init__(self, archive: Archive, config: Config, staged: bool) -> None:
        self.archive = archive
        self.config = config
        self._staged = staged
        # An island that opens has had no time to gain: it waits from then on.
        self._gained = [island * config.migrate if staged else 0 for island in range(config.islands)]

    def opened(self, evaluations: int) -> int:
        """How many are open after so many evaluations: those from 0 on."""
        count = self.config.islands
        return min(count, 1 + evaluations // self.config.migrate) if self._staged else count

    def gained(self, island: int) -> int:
        """Evaluations of the run when an island last bettered its best, was opened, or started again."""
        return self._gained[island]

    def note(self, island: int, evaluations: int) -> None:
        """An island has bettered its best."""
        self._gained[island] = evaluations

    def moved(self, events: Sequence[Event], evaluations: int) -> None:
        """Events have moved the archive."""
        for event in events:
            if event.kind == "reset":
                self._gained[event.island] = evaluations

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
        count = self.opened(before)
        if count > 1 and before // self.config.reset != after // self.config.reset:
            return self._resets(count)
        if count > 1 and before // self.config.migrate != after // self.config.migrate:
            return self._migrations(count)
        return self._restart(commit.proposal.island, after)

    def _migrations(self, count: int) -> list[Event]:
        """The best of each goes to its neighbour as well."""
        bests = [self.archive.best(island) for island in range(count)]
        return [
            Event("migration", (island + 1) % count, (best.program.id,))
            for island, best in enumerate(bests)
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
