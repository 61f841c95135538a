"""How unlike each other the programs of a run are: of each new elite to those before it, of an archive's elites now.

Formulas and their sources are in docs/measures.md. Knows archives and texts of programs; reads no ledger.
"""

import io
import math
import tokenize
from array import array
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from evolve.programs_db.archive import AddStatus, Archive
from evolve.programs_db.records import Commit, Elite, Measure, Objective

__all__ = [
    "Diversity",
    "Novelty",
    "Watched",
    "effective",
    "grams",
    "novelty_of",
    "placed",
    "spread",
    "structure_novelty",
]

MOST = 2_000
"""Elites that are compared with each other; of more, as many are taken, evenly over the run."""

_POINTS = 40  # of diversity over time, at most; half as many at least
_GRAM = 3
_SPREAD = 1_000  # points whose distances are all taken
_SKIPPED = frozenset((tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER))


@dataclass(frozen=True, slots=True)
class Diversity:
    """How unlike each other the elites of an archive are, at one time.

    Args:
        evaluations: spent until then.
        elites: in the union of its islands.
        structures: effective number of structures among them, 1..elites.
        spread: mean distance of two of them in behaviour, 0..1; 0 where there are fewer than two.
    """

    evaluations: int
    elites: int
    structures: float
    spread: float


@dataclass(frozen=True, eq=False)
class Novelty:
    """How far each elite was, when it entered the archive, from the nearest elite before it.

    Args:
        elites: how many entered.
        evaluations: (n,) int64, spent when each of those that were compared entered; n is at most `MOST`.
        behaviour: (n - 1,) float64, 0..1, of all but the first.
        structure: (n - 1,) float64, 0..1, likewise.
    """

    elites: int
    evaluations: npt.NDArray[np.int64]
    behaviour: npt.NDArray[np.float64]
    structure: npt.NDArray[np.float64]

    @property
    def sampled(self) -> bool:
        """Whether so many entered that not all were compared."""
        return self.elites > len(self.evaluations)

    def as_dict(self) -> dict[str, Any]:
        """Summaries: means over the run and over its last half, and the share whose structure was new."""
        half = len(self.behaviour) // 2
        return {
            "elites": self.elites,
            "compared": len(self.evaluations),
            "behaviour": _mean(self.behaviour),
            "behaviour_late": _mean(self.behaviour[half:]),
            "structure": _mean(self.structure),
            "structure_late": _mean(self.structure[half:]),
            "new_structure": _mean((self.structure > 0.0).astype(np.float64)),
        }


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    return float(values.mean()) if len(values) else None


class Watched(Archive):
    """An archive that remembers, as it is replayed, who entered it and how diverse it was.

    Attributes:
        evaluations: spent in the commits so far.
        staleness: of each proposal but the seed program.
        entered: (evaluations spent, elite) of each that filled or took a cell.
    """

    def __init__(
        self, objective: Objective, measures: Sequence[Measure], islands: int, drift: bool = False
    ) -> None:
        super().__init__(objective, measures, islands, drift)
        self.evaluations = 0
        self.staleness: list[int] = []
        self.entered: list[tuple[int, Elite]] = []
        self._points: list[Diversity] = []
        self._every = 1
        self._commits = 0

    def commit(self, commit: Commit) -> AddStatus | None:
        """As an archive does, and take notes."""
        self.evaluations += commit.proposal.evaluations
        if commit.proposal.number:
            self.staleness.append(commit.proposal.staleness)
        elite = self.elite_of(commit)
        status = super().commit(commit)
        if elite is not None and status is not None and status.outcome != "kept-out":
            self.entered.append((self.evaluations, elite))
        self._commits += 1
        if self._commits % self._every == 0:
            self._points.append(self._now())
            if len(self._points) == _POINTS:
                # How long the run is nobody has said: every other point goes, and half as many come.
                self._points = self._points[1::2]
                self._every *= 2
        return status

    def diversity(self) -> tuple[Diversity, ...]:
        """At some times, evenly by commits, and now."""
        ended = self._points and self._points[-1].evaluations == self.evaluations
        return tuple(self._points if ended or not self._commits else [*self._points, self._now()])

    def _now(self) -> Diversity:
        union = {elite.program.id: elite for island in range(self.islands) for elite in self.elites(island)}
        elites = list(union.values())
        return Diversity(
            self.evaluations,
            len(elites),
            effective(elite.program.structure for elite in elites),
            spread(placed(elites, self.measures)),
        )


def effective(kinds: Iterable[Hashable]) -> float:
    """The effective number of kinds: exp(-sum p ln p), the Hill number of order 1; 0 without any."""
    counts = np.array(list(Counter(kinds).values()), dtype=np.float64)
    if not len(counts):
        return 0.0
    shares = counts / counts.sum()
    return math.exp(-float(np.sum(shares * np.log(shares))))


def placed(elites: Sequence[Elite], measures: Sequence[Measure]) -> npt.NDArray[np.float64]:
    """Behaviours as points of the unit cube, clipped as an archive clips them.

    Returns:
        (len(elites), len(measures)) float64, divided by the root of the number of measures: no distance exceeds 1.
    """
    if not measures or not elites:
        return np.zeros((len(elites), len(measures)))
    low = np.array([one.low for one in measures])
    wide = np.array([one.high - one.low for one in measures])
    points = (np.array([elite.measures for elite in elites], dtype=np.float64) - low) / wide
    points = np.nan_to_num(np.clip(points, 0.0, 1.0))
    scaled: npt.NDArray[np.float64] = points / math.sqrt(len(measures))
    return scaled


def spread(points: npt.NDArray[np.float64]) -> float:
    """The mean distance of two different points of (n, d), of many points of every k-th; 0 where there are not two."""
    if len(points) > _SPREAD:
        points = points[np.linspace(0, len(points) - 1, _SPREAD).astype(int)]
    count = len(points)
    if count < 2 or not points.shape[1]:
        return 0.0
    total = sum(
        float(np.linalg.norm(points[place + 1 :] - points[place], axis=1).sum()) for place in range(count)
    )
    return total / (count * (count - 1) / 2)


def grams(source: str) -> frozenset[tuple[str, ...]]:
    """The runs of three tokens of a program; comments and blank lines do not count, and every number is one.

    A text that is no Python is taken word by word.
    """
    try:
        found = list(tokenize.generate_tokens(io.StringIO(source).readline))
        words = [_word(token) for token in found if token.type not in _SKIPPED]
    except (tokenize.TokenError, SyntaxError):
        words = source.split()
    padded = ["", *words, "", ""]  # an empty text has one, too
    return frozenset(tuple(padded[at : at + _GRAM]) for at in range(len(padded) - _GRAM + 1))


def _word(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.NUMBER:
        return "0"
    if token.type in (tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE):
        return tokenize.tok_name[token.type]  # how deep the text is set in is no matter
    return token.string


def structure_novelty(sources: Sequence[str]) -> npt.NDArray[np.float64]:
    """The Jaccard distance of each text, by its `grams`, to the nearest text before it.

    Returns:
        (len(sources) - 1,) float64, 0..1, of all but the first.
    """
    sets = [grams(source) for source in sources]
    numbers: dict[tuple[str, ...], int] = {}
    holders: list[array[int]] = []
    sizes = np.array([len(one) for one in sets], dtype=np.int64)
    distances = np.zeros(max(0, len(sets) - 1))
    for place, own in enumerate(sets):
        known = [holders[numbers[gram]] for gram in own if gram in numbers]
        if place:
            shared = np.zeros(place, dtype=np.int64)
            if known:
                # Who shares how many: one pass over the holders of each gram instead of one over all pairs.
                shared = np.bincount(
                    np.concatenate([np.frombuffer(one, dtype=np.int64) for one in known]), minlength=place
                )
            union = sizes[place] + sizes[:place] - shared
            distances[place - 1] = float(np.min(1.0 - shared / np.maximum(1, union)))
        for gram in own:
            if gram not in numbers:
                numbers[gram] = len(holders)
                holders.append(array("q"))
            holders[numbers[gram]].append(place)
    return distances


def novelty_of(entered: Sequence[tuple[int, Elite]], measures: Sequence[Measure]) -> Novelty:
    """How novel each elite was when it entered.

    Args:
        entered: (evaluations spent, elite), in order.
        measures: of the archive.
    """
    kept = list(entered)
    if len(kept) > MOST:
        kept = [kept[place] for place in np.linspace(0, len(kept) - 1, MOST).astype(int)]
    elites = [elite for _, elite in kept]
    points = placed(elites, measures)
    nearest = [
        float(np.linalg.norm(points[:place] - points[place], axis=1).min()) for place in range(1, len(points))
    ]
    return Novelty(
        len(entered),
        np.array([spent for spent, _ in kept], dtype=np.int64),
        np.array(nearest, dtype=np.float64),
        structure_novelty([elite.program.source for elite in elites]),
    )
