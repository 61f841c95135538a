"""MAP-Elites cells of each island, in memory, rebuilt by replaying the ledger.

Knows objectives, measures, cells and how often a parent was used; knows nothing of databases, and decides
nothing about who becomes a parent (`evolve.select` does).
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from types import MappingProxyType
from typing import Literal, NamedTuple, Self

from evolve.programs_db.records import Commit, Elite, Event, Measure, Objective

__all__ = ["AddStatus", "Archive", "Cell", "Stats"]

Cell = tuple[int, ...]
"""Bins, one for each measure, in their order; () where there is no measure."""


class AddStatus(NamedTuple):
    """What became of an elite that was offered.

    Args:
        outcome: "new" (it filled a cell), "improved" (it took one), "tied" (it took one from an equal) or "kept-out"
            (the incumbent stays).
        value: how much better than the incumbent it is, larger is better in either direction; not positive if
            kept out. For a new cell the objective itself (negated if it is minimised), as in pyribs.
        cell: the cell it belongs to.
    """

    outcome: Literal["new", "improved", "tied", "kept-out"]
    value: float
    cell: Cell


@dataclass(frozen=True, slots=True)
class Stats:
    """How well the cells of an island, or of the union of all islands, are filled.

    Args:
        cells: how many there are.
        filled: how many hold an elite.
        coverage: filled / cells.
        qd_score: sum over the filled cells of objective - offset (offset - objective if it is minimised).
        offset: what `qd_score` counts from.
        best: the best elite there now.
        clipped: how many elites have a measure outside its bounds.
    """

    cells: int
    filled: int
    coverage: float
    qd_score: float
    offset: float
    best: Elite | None
    clipped: int


class _Island:
    """Cells, and the same elites in order."""

    __slots__ = ("cells", "elites", "order", "uses")

    def __init__(self) -> None:
        self.cells: dict[Cell, Elite] = {}
        # Best first: sort keys and elites, side by side, so that both can be had without building a list.
        self.order: list[tuple[float, int, Cell]] = []
        self.elites: list[Elite] = []
        self.uses: dict[str, int] = {}

    def put(self, cell: Cell, elite: Elite, key: float) -> None:
        entry = (-key, elite.number, cell)
        at = bisect_left(self.order, entry)
        self.order.insert(at, entry)
        self.elites.insert(at, elite)
        self.cells[cell] = elite

    def take(self, cell: Cell, key: float) -> None:
        at = bisect_left(self.order, (-key, self.cells.pop(cell).number, cell))
        del self.order[at], self.elites[at]


class Archive:
    """One elite a cell, for each of several islands.

    A cell holds the best elite offered to it since its island was last reset; of equals, the first. Whatever
    moves the archive is in the ledger (commits and their events), so that `replay` gives the same archive.

    Args:
        objective: what is better.
        measures: axes of the grid; none makes a single cell.
        islands: how many, numbered from 0.
        drift: whether of equals the last stays in a cell, and not the first.

    Raises:
        ValueError: `islands` is less than 1.
    """

    def __init__(
        self, objective: Objective, measures: Sequence[Measure], islands: int, drift: bool = False
    ) -> None:
        if islands < 1:
            raise ValueError(f"archive with {islands} islands; at least 1 is needed")
        self.objective = objective
        self.measures = tuple(measures)
        self._names = tuple(measure.name for measure in self.measures)
        self._islands = [_Island() for _ in range(islands)]
        self._sign = objective.sign
        self._drift = drift
        self._first: Elite | None = None
        self._best: Elite | None = None
        self._kept: dict[str, Elite] = {}
        self._commits = 0
        self._begun = [0] * islands  # commits that there were when each was last reset

    @classmethod
    def replay(
        cls,
        commits: Iterable[Commit],
        objective: Objective,
        measures: Sequence[Measure],
        islands: int,
        founders: Collection[str] | None = None,
        drift: bool = False,
    ) -> Self:
        """The archive that `commits` make under the given measures, which may be other ones than then.

        Args:
            commits: in the order in which they were recorded (`Ledger.replay`).
            objective: as for the archive.
            measures: as for the archive; each commit's evaluation must have values for them.
            islands: as for the archive.
            founders: ids of all programs that events name (`Ledger.event_programs`). Under other bins they
                need not be elites when their event comes, and only these are then remembered until the end;
                by default every program is.
            drift: as for the archive.

        Raises:
            ValueError: as for `commit`.
        """
        archive = cls(objective, measures, islands, drift)
        for commit in commits:
            program = commit.program
            if program is not None and (founders is None or program.id in founders):
                elite = archive.elite_of(commit)
                if elite is not None:
                    archive._kept.setdefault(program.id, elite)
            # A rescore may have failed since what an event names: such an event moves no more.
            archive.commit(replace(commit, events=tuple(filter(archive.knows, commit.events))))
        archive._kept.clear()
        return archive

    # Growing

    def add(self, island: int, elite: Elite) -> AddStatus:
        """Offer an elite to an island. O(log n) comparisons for n elites there.

        Args:
            island: 0..islands-1.
            elite: with as many measures as the archive has.

        Raises:
            ValueError: another number of measures.
        """
        cell = self._cell(elite.measures)
        key = self._sign * elite.objective
        if self._first is None:
            self._first = elite
        if self._best is None or key > self._sign * self._best.objective:
            self._best = elite
        place = self._islands[island]
        incumbent = place.cells.get(cell)
        if incumbent is None:
            place.put(cell, elite, key)
            return AddStatus("new", key, cell)
        standing = self._sign * incumbent.objective
        if key < standing or (key == standing and not self._drift):
            return AddStatus("kept-out", key - standing, cell)
        place.take(cell, standing)
        place.put(cell, elite, key)
        return AddStatus("improved" if key > standing else "tied", key - standing, cell)

    def commit(self, commit: Commit) -> AddStatus | None:
        """Take in one commit: its parents' uses, its evaluation if it is `ok`, its events in order.

        Returns:
            What became of its program; None if it has no `ok` evaluation, or was drawn before its island was reset
            and is not the best so far: it would bring back what the reset did away with.

        Raises:
            ValueError: the evaluation lacks a measure, the program is missing, or an event is not understood.
        """
        proposal = commit.proposal
        elite = self._offered(commit)
        if proposal.parents:
            uses = self._islands[proposal.island].uses
            for parent in proposal.parents:
                uses[parent] = uses.get(parent, 0) + 1
        self._commits += 1
        status = None if elite is None else self.add(proposal.island, elite)
        if commit.events:
            self.move(commit.events)
        return status

    def _offered(self, commit: Commit) -> Elite | None:
        """What a commit that comes next offers to its island, if anything."""
        elite, proposal = self.elite_of(commit), commit.proposal
        late = self._commits - proposal.staleness < self._begun[proposal.island]
        if elite is not None and late and self._best is not None:
            return elite if self.objective.better(elite.objective, self._best.objective) else None
        return elite

    def move(self, events: Sequence[Event]) -> None:
        """Let the events of one commit move the archive, in order.

        "reset" empties the island, forgets the uses of its parents and offers the founders; "migration"
        offers the migrants. Both name programs that are elites of some island, now or before the first of
        `events` (or, during a replay, were offered before); they keep the number of the proposal they came
        from.

        Raises:
            ValueError: another kind, or a program that is no elite of any island.
        """
        # One event may push out of its cell what a later one names.
        before = {program: self._find(program) for event in events[1:] for program in event.programs}
        for event in events:
            self._apply(event, before)

    def knows(self, event: Event) -> bool:
        """Whether every program that an event names is an elite, or was offered before."""
        return all(self._find(program) or program in self._kept for program in event.programs)

    def _apply(self, event: Event, before: Mapping[str, Elite | None]) -> None:
        if event.kind not in ("reset", "migration"):
            raise ValueError(
                f"event {event.kind!r} of island {event.island}: its kind must be 'reset' or 'migration'"
            )
        offered = []
        for program in event.programs:
            elite = self._find(program) or before.get(program) or self._kept.get(program)
            if elite is None:
                raise ValueError(
                    f"event {event.kind!r} of island {event.island} names program {program}, which is no "
                    "elite of any island; name one that is"
                )
            offered.append(elite)
        if event.kind == "reset":
            self._islands[event.island] = _Island()
            self._begun[event.island] = self._commits
        for elite in offered:
            self.add(event.island, elite)

    def _find(self, program: str) -> Elite | None:
        """The elite of that id, of the first island that has it; or the first elite of all."""
        # Events are rare (every some hundred commits), so a scan is cheaper than a directory kept up to date.
        for island in self._islands:
            for elite in island.elites:
                if elite.program.id == program:
                    return elite
        return self._first if self._first is not None and self._first.program.id == program else None

    def elite_of(self, commit: Commit) -> Elite | None:
        """What a commit offers; None without an `ok` evaluation.

        Raises:
            ValueError: the evaluation lacks a measure, or the program is missing.
        """
        evaluation, number = commit.evaluation, commit.proposal.number
        if evaluation is None or evaluation.objective is None:
            return None
        if commit.program is None:
            raise ValueError(f"proposal {number}: an ok evaluation without its program; put it in the commit")
        try:
            measures = tuple([evaluation.measures[name] for name in self._names])
        except KeyError as error:
            raise ValueError(
                f"proposal {number}: its evaluation has no measure {error}, only "
                f"{sorted(evaluation.measures)}; `evolve rescore` evaluates it again"
            ) from None
        return Elite(commit.program, evaluation.objective, measures, evaluation.behaviour, number)

    def _cell(self, values: Sequence[float]) -> Cell:
        if len(values) != len(self.measures):
            raise ValueError(f"elite with {len(values)} measures in an archive of {len(self.measures)}")
        return tuple([measure.bin(value) for measure, value in zip(self.measures, values, strict=True)])

    # Asking

    @property
    def islands(self) -> int:
        """How many islands there are."""
        return len(self._islands)

    def would_enter(self, commit: Commit) -> bool:
        """Whether the commit's program would become an elite of its island; nothing changes."""
        elite = self._offered(commit)
        if elite is None:
            return False
        incumbent = self._islands[commit.proposal.island].cells.get(self._cell(elite.measures))
        return incumbent is None or self.objective.better(elite.objective, incumbent.objective)

    def cells(self, island: int) -> Mapping[Cell, Elite]:
        """The filled cells of an island: a live view, unordered."""
        return MappingProxyType(self._islands[island].cells)

    def elites(self, island: int) -> Sequence[Elite]:
        """The elites of an island, best first, of equals the earlier proposal: a live view, not a copy."""
        return self._islands[island].elites

    def best(self, island: int | None = None) -> Elite | None:
        """The best elite of an island now; without one, the best ever offered to any, of equals the first."""
        if island is None:
            return self._best
        elites = self._islands[island].elites
        return elites[0] if elites else None

    @property
    def first(self) -> Elite | None:
        """The first elite ever offered: in a run, the seed program."""
        return self._first

    def uses(self, island: int, program: str) -> int:
        """How often a program was a parent in an island since its last reset."""
        return self._islands[island].uses.get(program, 0)

    def stats(self, island: int | None = None, offset: float | None = None) -> Stats:
        """How well an island is filled; without one, the union of all (of each cell the best elite).

        Args:
            island: 0..islands-1, or None.
            offset: objective that the QD score counts from (`qd_score_offset` of pyribs, where it should be
                the lowest possible objective). By default that of the first elite ever offered, which in a
                run is the seed program: a constant of the problem.
        """
        best_of: dict[Cell, Elite] = {}
        for place in self._islands if island is None else [self._islands[island]]:
            for cell, elite in place.cells.items():
                known = best_of.get(cell)
                if known is None or self.objective.better(elite.objective, known.objective):
                    best_of[cell] = elite
        if offset is None:
            offset = self._first.objective if self._first is not None else 0.0
        elites = list(best_of.values())
        cells = prod(measure.bins for measure in self.measures)
        return Stats(
            cells=cells,
            filled=len(elites),
            coverage=len(elites) / cells,
            qd_score=sum(self._sign * (elite.objective - offset) for elite in elites),
            offset=offset,
            best=min(elites, key=lambda elite: (-self._sign * elite.objective, elite.number), default=None),
            clipped=sum(map(self._is_clipped, elites)),
        )

    def _is_clipped(self, elite: Elite) -> bool:
        return any(
            not measure.low <= value <= measure.high
            for measure, value in zip(self.measures, elite.measures, strict=True)
        )
