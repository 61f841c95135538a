"""Statistics of paired ratios: exact intervals of a median, fixed and sequential, with no assumption on the noise.

Knows numbers only; no clock and no program. Everything rests on one fact: the values that lie below the true
median of a continuous distribution are as many as the heads of a fair coin. Ties only widen the intervals.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "bootstrap_interval",
    "crossing_ranks",
    "geometric_mean",
    "holm",
    "median",
    "order_interval",
    "order_rank",
    "rank_interval",
    "sign_test",
]

RESAMPLES: Final = 10_000
"""Resamples of a bootstrap: the ends of a 95 % interval then rest on 250 of them each."""
SPENDING: Final = 0.19
"""Exponent of the spending of error; see `crossing_ranks`."""


def median(values: ArrayLike) -> float:
    """Return the median; the mean of the two middle values where their number is even.

    Args:
        values: any shape, read as f8.

    Raises:
        ValueError: no values, or a NaN among them.
    """
    return float(np.median(_numbers(values)))


def geometric_mean(values: ArrayLike, axis: int = -1) -> NDArray[np.float64]:
    """Return exp of the mean of the logarithms along one axis: the mean of ratios that treats x2 and x1/2 alike.

    Args:
        values: positive numbers, f8, any shape.
        axis: the axis that goes away.

    Raises:
        ValueError: no values, or one that is not a positive number.
    """
    array = _numbers(values)
    if not (array > 0).all():
        raise ValueError("statistics: a geometric mean is of positive numbers")
    mean: NDArray[np.float64] = np.exp(np.log(array).mean(axis=axis))
    return mean


def order_rank(count: int, confidence: float) -> int:
    """Return the greatest rank l such that [x_(l), x_(count+1-l)] holds the median with `confidence`.

    The probability that it does not is 2 P(Bin(count, 1/2) < l), whatever the distribution (David and
    Nagaraja, Order Statistics, 2003, section 7.1). Computed in whole numbers, so without rounding.

    Args:
        count: how many values there are.
        confidence: between 0 and 1.

    Returns:
        The rank, or 0 where even [x_(1), x_(count)] holds it with less.
    """
    budget = _error(confidence) * 2**count
    tail, rank = 0, 0
    while 2 * (rank + 1) <= count + 1:
        tail += math.comb(count, rank)
        if 2 * tail > budget:
            break
        rank += 1
    return rank


def order_interval(values: ArrayLike, confidence: float) -> tuple[float, float]:
    """Return the narrowest symmetric pair of order statistics that holds the median with `confidence`.

    Args:
        values: independent values of one distribution, f8, shape (n,).
        confidence: between 0 and 1.

    Returns:
        (low, high); (-inf, inf) where there are too few values.
    """
    array = _numbers(values)
    return rank_interval(array, order_rank(array.size, confidence))


def rank_interval(values: ArrayLike, rank: int) -> tuple[float, float]:
    """Return (x_(rank), x_(n+1-rank)) of n values; (-inf, inf) for rank 0."""
    if rank == 0:
        return -math.inf, math.inf
    ordered = np.sort(_numbers(values))
    return float(ordered[rank - 1]), float(ordered[-rank])


@lru_cache(maxsize=256)
def crossing_ranks(looks: tuple[int, ...], confidence: float) -> tuple[int, ...]:
    """Return ranks whose order-statistic intervals hold the median at all looks together.

    Under the true median each sign is a fair coin, so the number of values below it, counted as they come, is
    a walk that steps up with probability 1/2. An interval misses when the walk is outside [l, n - l] at a look. The
    probability that this happens at any look is summed by following the walk (in whole numbers, so exactly) and
    taking out what has crossed.

    How much of the error 1 - confidence may have been spent by a look at n of N values follows the error
    spending of Lan and DeMets (Biometrika 70, 1983) with the power family of Kim and DeMets (Biometrika 74,
    1987), (n / N) ** rho. At 6 values the only interval, from the least to the greatest, misses with 2/64 =
    3.1 %; rho = 0.19 is the largest that allows it within 5 % as the first of 64. That costs little power at the
    last look (an effect that 75 % of the signs show is found with 95 % instead of 98 %) and finds large effects,
    which are most, with 6 pairs instead of 10. What a look leaves unspent goes to the next ones.

    Args:
        looks: numbers of values at which the interval is looked at, increasing.
        confidence: that all intervals together hold the median, between 0 and 1.

    Returns:
        One rank a look, for `rank_interval`; 0 where a look can say nothing yet.

    Raises:
        ValueError: the looks do not increase from 1, or the confidence is not between 0 and 1.
    """
    if not looks or any(a >= b for a, b in zip((0, *looks), looks, strict=False)):
        raise ValueError(f"statistics: looks are {looks!r}; give increasing numbers of values, from 1")
    error = _error(confidence)
    spent = Fraction(0)
    walk: NDArray[Any] = np.array([1], dtype=object)  # Python's integers: paths by number of steps up
    ranks = []
    for count in range(1, looks[-1] + 1):
        walk = np.append(walk, 0) + np.append(0, walk)
        if count not in looks:
            continue
        budget = error if count == looks[-1] else error * Fraction((count / looks[-1]) ** SPENDING)
        rank = 0
        while 2 * (rank + 1) <= count + 1:
            crossing = spent + Fraction(int(walk[rank] + walk[count - rank]), 2**count)
            if crossing > budget:
                break
            spent = crossing
            walk[rank] = walk[count - rank] = 0
            rank += 1
        ranks.append(rank)
    return tuple(ranks)


def bootstrap_interval(
    values: NDArray[np.float64], confidence: float, seed: int, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the median over pairs of the geometric mean over cases.

    Whole pairs are drawn with replacement, so that what the cases of one pair share stays together. The
    percentile method, not BCa: the acceleration of BCa comes from the jackknife, which fails for a median (Efron
    and Tibshirani, An Introduction to the Bootstrap, 1993, section 11.6).

    Args:
        values: positive ratios, f8, shape (pairs, cases).
        confidence: between 0 and 1; approximate, as every bootstrap (use `order_interval` for an exact one).
        seed: the same seed gives the same interval, on every machine.
        resamples: how many are drawn.
    """
    from evolve.fastcore.kernels.bootstrap import resampled_medians  # Numba loads when it is needed

    if values.ndim != 2:
        raise ValueError(f"statistics: the values have shape {values.shape}; give (pairs, cases)")
    ordered = np.sort(geometric_mean(values, axis=1))
    medians = np.sort(resampled_medians(ordered, resamples, seed))
    cut = int(float(_error(confidence)) / 2 * resamples)
    return float(medians[cut]), float(medians[-1 - cut])


def sign_test(values: ArrayLike, center: float = 1.0) -> float:
    """Return the exact two-sided p-value of "the median is `center`".

    A tie with `center` counts against a difference, on both sides: the p-value is at most `1 - confidence` just
    when `order_interval` with that confidence leaves `center` out.

    Args:
        values: independent values of one distribution, f8, shape (n,).
        center: the median that is doubted.
    """
    array = _numbers(values)
    fewer = min(int((array <= center).sum()), int((array >= center).sum()))
    tail = sum(math.comb(array.size, count) for count in range(fewer + 1))
    return min(1.0, float(Fraction(2 * tail, 2**array.size)))


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Return p-values adjusted for being many, by the step-down method of Holm (Scand. J. Statist. 6, 1979).

    Rejecting those that are at most alpha makes any false rejection at all no likelier than alpha.

    Args:
        p_values: from 0 to 1, any number of them.

    Returns:
        f8 array in the order given.
    """
    given = np.asarray(p_values, dtype=np.float64)
    if given.ndim != 1 or not ((given >= 0) & (given <= 1)).all():
        raise ValueError("statistics: p-values are numbers from 0 to 1")
    order = np.argsort(given, kind="stable")
    adjusted = np.empty_like(given)
    steps = given[order] * np.arange(given.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _error(confidence: float) -> Fraction:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"statistics: the confidence is {confidence!r}; give a number between 0 and 1")
    return 1 - Fraction(repr(float(confidence)))  # as it is written: 1 - 0.95 is more than 1/20 in binary


def _numbers(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if not array.size or np.isnan(array).any():
        raise ValueError("statistics: give at least one value, and no NaN")
    return array
