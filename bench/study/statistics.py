"""Statistics of paired runs: how often one is better, by how much, and whether chance alone would do as well.

Knows numbers only. A gain is how much better the first run of a pair is than the second, positive where it is better,
of either sign infinite where one of them failed; pairs are runs of equal seeds.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evolve.fastcore.stats import RESAMPLES

__all__ = [
    "ALPHA",
    "LEAST_P",
    "Paired",
    "compared",
    "least_seeds",
    "mean_interval",
    "median_interval",
    "seeds_needed",
    "signed_ranks",
    "wilcoxon",
]

ALPHA: Final = 0.05
_POWER: Final = 0.8
_CONFIDENCE: Final = 0.95
LEAST_P: Final = 1e-300
_EXACT: Final = 300  # pairs, up to which a tenth of a second is enough
_AT_ONCE: Final = 4_000_000  # numbers drawn
_MOST_SEEDS: Final = 100_000
_SEED: Final = 20_240_229  # of the bootstrap: the same pairs give the same interval


@dataclass(frozen=True, slots=True)
class Paired:
    """What pairs of runs say.

    Args:
        pairs: how many.
        wins: in which the first is better.
        losses: in which it is worse.
        median: of the gains; `median_low` to `median_high` holds it with 95 % (bootstrap).
        mean: of the gains, None where one is infinite; likewise.
        p: two-sided, of the Wilcoxon signed-rank test.
        effect: matched-pairs rank biserial correlation, from -1 (always worse) to 1 (always better).
        superiority: probability that the sum of two gains is positive, ties counted half; for `seeds_needed`.
        spread: variance of the rank sum if chance is all there is, over what it were without ties and zeros; likewise.
    """

    pairs: int
    wins: int
    losses: int
    median: float | None
    median_low: float | None
    median_high: float | None
    mean: float | None
    mean_low: float | None
    mean_high: float | None
    p: float
    effect: float
    superiority: float
    spread: float

    @property
    def ties(self) -> int:
        """Pairs in which neither is better."""
        return self.pairs - self.wins - self.losses


def compared(gains: Sequence[float], confidence: float = _CONFIDENCE) -> Paired:
    """Everything that is said of one comparison.

    Args:
        gains: of the pairs, at least one, none of them NaN.
        confidence: of the intervals.
    """
    values = np.asarray(gains, dtype=np.float64)
    plus, minus = signed_ranks(values)
    total = float(plus.sum() + minus.sum())
    untied = len(values) * (len(values) + 1) * (2 * len(values) + 1) / 6
    finite = bool(np.isfinite(values).all())
    mean = mean_interval(values, confidence) if finite else (None, None)
    median = median_interval(values, confidence)
    return Paired(
        pairs=len(values),
        wins=int((values > 0).sum()),
        losses=int((values < 0).sum()),
        median=_finite(_median(np.sort(values)[None, :])[0]),
        median_low=median[0],
        median_high=median[1],
        mean=float(values.mean()) if finite else None,
        mean_low=mean[0],
        mean_high=mean[1],
        p=wilcoxon(values),
        effect=float(plus.sum() - minus.sum()) / total if total else 0.0,
        superiority=_superiority(values),
        spread=float((plus**2).sum() + (minus**2).sum()) / untied,
    )


def signed_ranks(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ranks of the sizes of what is positive, and of what is negative.

    Zeros take part in the ranking and are left out then (Pratt, J. Am. Stat. Assoc. 54, 1959); equals share the mean of
    their ranks.

    Args:
        values: gains, f8, shape (n,).
    """
    sizes = np.abs(values)
    _, where, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2.0)[where]
    return ranks[values > 0], ranks[values < 0]


def wilcoxon(values: NDArray[np.float64]) -> float:
    """Two-sided p-value of the signed-rank test (Wilcoxon, Biometrics Bulletin 1, 1945), exact for up to 300 pairs.

    Given the ranks, each sign is a fair coin if chance is all there is. The distribution of the sum of the positive
    ones is summed in floating point over twice the ranks, which are whole numbers, ties and zeros included; so no
    correction for ties is needed. The work grows with the third power of the pairs; above 300 the sum is taken as
    normal with its exact mean and variance, given the ranks. No p-value is said to be below 1e-300.

    Args:
        values: gains, f8, shape (n,).
    """
    plus, minus = signed_ranks(values)
    doubled = np.rint(2 * np.concatenate([plus, minus])).astype(np.int64)
    if not doubled.size:
        return 1.0
    if doubled.size > _EXACT:
        off = abs(float(plus.sum() - minus.sum())) / math.sqrt(float((plus**2).sum() + (minus**2).sum()))
        return max(math.erfc(off / math.sqrt(2)), LEAST_P)
    ways = np.zeros(int(doubled.sum()) + 1)
    ways[0] = 1.0
    for rank in doubled:
        ways[rank:] = 0.5 * (ways[rank:] + ways[: ways.size - rank])
        ways[:rank] *= 0.5
    observed = int(np.rint(2 * plus.sum()))
    lower, upper = float(ways[: observed + 1].sum()), float(ways[observed:].sum())
    return min(1.0, max(2.0 * min(lower, upper), LEAST_P))


def median_interval(
    values: NDArray[np.float64], confidence: float = _CONFIDENCE
) -> tuple[float | None, float | None]:
    """Percentile bootstrap interval of the median gain; pairs are drawn with replacement. None where it has no end."""
    medians = _resampled(values, lambda drawn: _median(np.sort(drawn, axis=1)))
    cut = int((1 - confidence) / 2 * len(medians))
    return _finite(medians[cut]), _finite(medians[-1 - cut])


def mean_interval(values: NDArray[np.float64], confidence: float = _CONFIDENCE) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean gain (Efron and Tibshirani, 1993, chapter 13); finite gains only."""
    means = _resampled(values, lambda drawn: drawn.mean(axis=1))
    cut = int((1 - confidence) / 2 * len(means))
    return float(means[cut]), float(means[-1 - cut])


def _resampled(
    values: NDArray[np.float64], figure: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """A figure of each resample, in rising order; a few resamples at a time, for there may be many pairs."""
    rng = np.random.default_rng(_SEED)
    rows = max(1, _AT_ONCE // values.size)
    sizes = [min(rows, RESAMPLES - done) for done in range(0, RESAMPLES, rows)]
    found = [figure(values[rng.integers(values.size, size=(size, values.size))]) for size in sizes]
    return np.sort(np.concatenate(found))


def _median(ordered: NDArray[np.float64]) -> NDArray[np.float64]:
    """Medians of sorted rows; of two infinite middles of both signs it is the lower one."""
    count = ordered.shape[1]
    low, high = ordered[:, (count - 1) // 2], ordered[:, count // 2]
    opposed = np.isinf(low) & np.isinf(high) & (low != high)
    middle: NDArray[np.float64] = np.where(opposed, low, 0.5 * low + 0.5 * np.where(opposed, low, high))
    return middle


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _superiority(values: NDArray[np.float64]) -> float:
    """P(one gain + another > 0) over all pairs of different gains, and half of those that are 0."""
    if values.size < 2:
        return 0.5 + 0.5 * float(np.sign(values[0]))
    ordered = np.sort(np.clip(values, -1e300, 1e300))  # two failures of opposite signs are a tie
    above = values.size - np.searchsorted(
        ordered, -ordered, side="right"
    )  # with how many its sum is positive
    equal = values.size - np.searchsorted(ordered, -ordered, side="left") - above
    pairs = values.size * (values.size - 1)
    own = (ordered > 0) + 0.5 * (ordered == 0)  # no gain is paired with itself
    return float((above + 0.5 * equal - own).sum() / pairs)


def seeds_needed(found: Paired, alpha: float = ALPHA) -> int | None:
    """How many pairs would settle a comparison with 80 % power, if the gains go on being as those seen.

    Noether's formula for the signed-rank test (J. Am. Stat. Assoc. 82, 1987), N = c (z_alpha/2 + z_beta)^2 /
    (3 (p' - 1/2)^2) with p' the probability that the sum of two gains is positive; c, 1 without ties, is what ties and
    zeros leave of the variance under the null hypothesis (`Paired.spread`). At least as many as the exact test needs to
    reach `alpha` at all, and more than there are.

    Args:
        found: a comparison that is not settled.
        alpha: that its p-value must reach, before correction.

    Returns:
        None where it is more than 100,000: as far as is seen there is no difference. None, too, of so few pairs that
        no test could settle anything: neither do they say how large a difference is.
    """
    if found.pairs < least_seeds(ALPHA):
        return None
    off = abs(found.superiority - 0.5)
    if off < 1e-9:
        return None
    normal = NormalDist()
    reach = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(_POWER)
    count = max(math.ceil(found.spread * reach**2 / (3 * off**2)), least_seeds(alpha), found.pairs + 1)
    return count if count <= _MOST_SEEDS else None


def least_seeds(alpha: float) -> int:
    """With fewer pairs than this even the same sign in all of them is no p-value of `alpha`: 2 / 2**n > alpha."""
    return math.ceil(math.log2(2 / alpha))
