"""How fast a run discovers: anytime curves, rates, how the archive is filled, what verifiers held, staleness.

Formulas and their sources are in docs/measures.md. Reads a ledger that is handed in, and nothing else;
`novelty.py` compares programs with each other.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from evolve.bench.novelty import Diversity, Novelty, Watched, novelty_of
from evolve.programs_db.archive import Archive
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.lineage import best_so_far
from evolve.programs_db.records import Measure, Objective
from evolve.summary import cpu_seconds_of, objective_of

__all__ = [
    "Claims",
    "Curve",
    "Filling",
    "Measures",
    "Rate",
    "Staleness",
    "area",
    "at",
    "claims_of",
    "curve_of",
    "earliness",
    "filling",
    "measure",
    "rate",
    "rate_of",
    "staleness_of",
]

Direction = Literal["min", "max"]
_THOUSAND = 1_000


@dataclass(frozen=True, eq=False)
class Curve:
    """An anytime curve: the best objective so far, a step function of the evaluations spent.

    Args:
        evaluations: (n,) int64, rising; those spent when the best changed, trials of the tuner included.
        values: (n,) float64, the best objective from there on; each better than the one before.

    Raises:
        ValueError: other shapes, or evaluations that fall.
    """

    evaluations: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.evaluations.ndim != 1 or self.evaluations.shape != self.values.shape:
            raise ValueError(
                f"curve with {self.evaluations.shape} evaluations and {self.values.shape} values"
            )
        if any(later < earlier for earlier, later in pairwise(self.evaluations.tolist())):
            raise ValueError("curve whose evaluations fall")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def first(self) -> float:
        """The objective that it begins with, in a run the seed program's; NaN for an empty one."""
        return float(self.values[0]) if len(self) else math.nan

    @property
    def final(self) -> float:
        """The best objective of all; NaN for an empty one."""
        return float(self.values[-1]) if len(self) else math.nan


def curve_of(book: Ledger) -> Curve:
    """The anytime curve of a run, by the scores of its present fingerprint."""
    points = best_so_far(book, objective_of(book), book.fingerprint)
    return Curve(
        np.array([point.evaluations for point in points], dtype=np.int64),
        np.array([point.objective for point in points], dtype=np.float64),
    )


def at(curve: Curve, evaluations: int) -> float:
    """The best objective after so many evaluations; NaN where nothing had been scored by then."""
    place = int(np.searchsorted(curve.evaluations, evaluations, side="right")) - 1
    return math.nan if place < 0 else float(curve.values[place])


def area(curve: Curve, until: int, direction: Direction) -> float:
    """The normalised area under a curve: the mean gain over its first value, over the evaluations of a budget.

    (1 / (until - e_0 + 1)) * sum over e = e_0..until of gain(best after e evaluations), where e_0 is the first
    evaluation of the curve. In units of the objective, never negative, larger is better in either direction.

    Args:
        curve: of a run; not empty.
        until: the budget, in evaluations; what came after it does not count.
        direction: of the objective.

    Raises:
        ValueError: the curve is empty, or begins after `until`.
    """
    if not len(curve) or until < curve.evaluations[0]:
        raise ValueError(f"no area up to {until} evaluations: the curve has no value there")
    kept = curve.evaluations <= until
    steps = np.append(curve.evaluations[kept], until + 1)
    weights = np.diff(steps) / float(until + 1 - steps[0])
    return float(np.sum(weights * _gains(curve.values[kept], curve.first, direction)))


def earliness(curve: Curve, until: int, direction: Direction) -> float | None:
    """How early the gain of a budget came: its area over the gain at its end, 0 to 1; None where nothing was gained."""
    gained = float(_gains(np.array([at(curve, until)]), curve.first, direction)[0])
    return area(curve, until, direction) / gained if 0.0 < gained < math.inf else None


def _gains(values: npt.NDArray[np.float64], first: float, direction: Direction) -> npt.NDArray[np.float64]:
    with np.errstate(over="ignore"):  # a gain that no number holds is infinite
        return values - first if direction == "max" else first - values


@dataclass(frozen=True, slots=True)
class Rate:
    """What was gained, and what for.

    Args:
        gain: of the best over the seed program, in units of the objective; positive is better.
        log_gain: the logarithm of their ratio, positive is better; None where their signs differ or one is 0.
        per_evaluation: gain for each evaluation spent.
        per_cpu_second: for each CPU second; None where those are not known.
        per_thousand_tokens: for each 1,000 tokens; None where no model was asked.
    """

    gain: float
    log_gain: float | None
    per_evaluation: float
    per_cpu_second: float | None
    per_thousand_tokens: float | None


def rate(values: tuple[float, float], direction: Direction, cost: tuple[int, float, int]) -> Rate:
    """What was gained for a cost.

    Args:
        values: objective of the seed program, and of the best.
        direction: of the objective.
        cost: evaluations (at least 1), CPU seconds, tokens; 0 for what is not known or was not used.
    """
    seed, best = values
    evaluations, seconds, tokens = cost
    gain = best - seed if direction == "max" else seed - best
    logarithm = None
    if seed * best > 0.0:
        # A negative objective that is raised comes nearer to zero: its ratio falls while it gets better.
        sign = math.copysign(1.0, seed) * (1.0 if direction == "max" else -1.0)
        logarithm = sign * (math.log(abs(best)) - math.log(abs(seed)))
    return Rate(
        gain,
        logarithm,
        gain / max(1, evaluations),
        gain / seconds if seconds > 0.0 else None,
        gain / tokens * _THOUSAND if tokens > 0 else None,
    )


def rate_of(book: Ledger, curve: Curve, cpu_seconds: float | None = None) -> Rate | None:
    """What a run gained for what it cost; None where nothing has a score.

    Args:
        book: its ledger.
        curve: of it.
        cpu_seconds: that all of its sessions used; by default what they have told, if all have.
    """
    if not len(curve):
        return None
    used, wasted = book.spent()
    spent = book.query("SELECT coalesce(sum(evaluations), 0) AS n FROM proposals")[0]["n"]
    seconds = cpu_seconds_of(book) if cpu_seconds is None else cpu_seconds
    cost = int(spent), seconds or 0.0, used.tokens + wasted.tokens
    return rate((curve.first, curve.final), objective_of(book).direction, cost)


@dataclass(frozen=True, slots=True)
class Filling:
    """How well an archive is filled: the union of its islands, of each cell the best elite.

    Args:
        cells: how many there are.
        filled: how many hold an elite.
        coverage: filled / cells.
        qd_score: sum over the filled cells of how much better than `offset` their elites are (pyribs).
        normalised: qd_score / cells.
        offset: objective that is counted from.
        above: the same sum over those elites alone that are better than `offset`: it cannot fall when a cell is filled.
    """

    cells: int
    filled: int
    coverage: float
    qd_score: float
    normalised: float
    offset: float
    above: float


def filling(archive: Archive, offset: float | None = None) -> Filling:
    """How well an archive is filled.

    Args:
        archive: as a run left it.
        offset: objective that the QD score counts from; the seed program's by default.
    """
    stats = archive.stats(offset=offset)
    best: dict[tuple[int, ...], float] = {}
    for island in range(archive.islands):
        for cell, elite in archive.cells(island).items():
            gain = archive.objective.key(elite.objective) - archive.objective.key(stats.offset)
            best[cell] = max(gain, best.get(cell, -math.inf))
    above = sum((gain for gain in best.values() if gain > 0.0), 0.0)  # fsum raises where this is infinite
    return Filling(
        stats.cells,
        stats.filled,
        stats.coverage,
        stats.qd_score,
        stats.qd_score / stats.cells,
        stats.offset,
        above,
    )


@dataclass(frozen=True, slots=True)
class Claims:
    """What verifiers said last of each program that they were asked about.

    Args:
        certified: programs.
        confirmed: programs.
        refuted: programs.
        unverified: programs of which nothing could be settled.
        share: certified and confirmed among all of them; None where nobody was asked.
    """

    certified: int
    confirmed: int
    refuted: int
    unverified: int
    share: float | None


def claims_of(book: Ledger) -> Claims:
    """What was said of the programs of a run, under the problem as it is."""
    last = {one.program: one.verdict for one in book.rulings() if one.fingerprint == book.fingerprint}
    verdicts = list(last.values())
    names = ("certified", "confirmed", "refuted", "unverified")
    certified, confirmed, refuted, unverified = (verdicts.count(name) for name in names)
    share = (certified + confirmed) / len(verdicts) if verdicts else None
    return Claims(certified, confirmed, refuted, unverified, share)


@dataclass(frozen=True, slots=True)
class Staleness:
    """How many commits there were between the choice of parents and the commit of what came of them."""

    mean: float
    median: float
    high: float
    most: int


def staleness_of(values: Sequence[int]) -> Staleness | None:
    """Mean, median, 95th percentile and maximum of the staleness of proposals; None without any."""
    if not values:
        return None
    array = np.asarray(values, dtype=np.float64)
    median, high = np.percentile(array, [50.0, 95.0])
    return Staleness(float(array.mean()), float(median), float(high), max(values))


@dataclass(frozen=True, eq=False)
class Measures:
    """All measures of one run.

    Args:
        curve: the anytime curve.
        evaluations: spent in all.
        area: mean gain over the evaluations spent, see `area`; None where nothing has a score.
        earliness: see there.
        rate: what was gained for what.
        filling: of the archive.
        novelty: of the elites.
        diversity: of the archive, over time.
        claims: what verifiers said.
        staleness: of the proposals.
    """

    curve: Curve
    evaluations: int
    area: float | None
    earliness: float | None
    rate: Rate | None
    filling: Filling
    novelty: Novelty
    diversity: tuple[Diversity, ...]
    claims: Claims
    staleness: Staleness | None

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain data; of curves their summaries."""
        last = self.diversity[-1] if self.diversity else None
        return {
            "evaluations": self.evaluations,
            "area": self.area,
            "earliness": self.earliness,
            **(asdict(self.rate) if self.rate else {}),
            "archive": asdict(self.filling),
            "novelty": self.novelty.as_dict(),
            "diversity": asdict(last) if last else None,
            "claims": asdict(self.claims),
            "staleness": asdict(self.staleness) if self.staleness else None,
        }


def measure(book: Ledger, cpu_seconds: float | None = None) -> Measures:
    """Take all measures of a run, by the scores of its present fingerprint.

    Args:
        book: its ledger; of one that is being written, take them within `book.snapshot()`.
        cpu_seconds: as for `rate_of`.

    Raises:
        ValueError: a program lacks one of the measures that its problem states now.
    """
    objective = objective_of(book)
    axes = tuple(Measure(*one) for one in book.problem["measures"])
    watched = _replayed(book, objective, axes)
    curve = curve_of(book)
    spent = watched.evaluations
    told = len(curve) > 0
    direction = objective.direction
    return Measures(
        curve,
        spent,
        area(curve, spent, direction) if told else None,
        earliness(curve, spent, direction) if told else None,
        rate_of(book, curve, cpu_seconds),
        filling(watched),
        novelty_of(watched.entered, axes),
        watched.diversity(),
        claims_of(book),
        staleness_of(watched.staleness),
    )


def _replayed(book: Ledger, objective: Objective, axes: Sequence[Measure]) -> Watched:
    # The grid is that of the problem, even where the search had no cells: what is measured is what it found.
    islands = book.run["config"]["islands"]
    return Watched.replay(book.replay(book.fingerprint), objective, axes, islands, book.event_programs())
