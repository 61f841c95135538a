"""Intervals hold what they promise: against enumeration where it is small, by seeded simulation where not."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from evolve.fastcore import stats

LOOKS = (6, 10, 16, 26, 42, 64)


def walks(looks):
    """Yield for each sequence of coin flips the number of heads at each look."""
    for flips in itertools.product((0, 1), repeat=looks[-1]):
        heads = list(itertools.accumulate(flips))
        yield [heads[n - 1] for n in looks]


def missing(looks, ranks):
    """The exact probability that some interval misses, by counting all walks."""
    missed = sum(
        any(not rank <= heads <= n - rank for n, rank, heads in zip(looks, ranks, walk, strict=True) if rank)
        for walk in walks(looks)
    )
    return Fraction(missed, 2 ** looks[-1])


def test_median_and_geometric_mean():
    assert stats.median([3.0, 1.0, 2.0, 10.0]) == 2.5
    assert stats.geometric_mean([[2.0, 8.0], [0.5, 2.0]], axis=1) == pytest.approx([4.0, 1.0])
    for call in (lambda: stats.median([]), lambda: stats.median([math.nan, 1.0])):
        with pytest.raises(ValueError, match="at least one value, and no NaN"):
            call()
    with pytest.raises(ValueError, match="positive"):
        stats.geometric_mean([1.0, 0.0])


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("count", range(1, 15))
def test_the_rank_is_the_greatest_that_enumeration_allows(count, confidence):
    rank = stats.order_rank(count, confidence)
    allowed = 1 - Fraction(str(confidence))
    assert missing((count,), (rank,)) <= allowed
    if 2 * (rank + 1) <= count + 1:
        assert missing((count,), (rank + 1,)) > allowed


def test_known_ranks_of_a_95_percent_interval():
    # Table A.7 of a textbook gives 6: (1, 6); 10: (2, 9); 20: (6, 15).
    assert [stats.order_rank(n, 0.95) for n in (5, 6, 10, 20)] == [0, 1, 2, 6]
    values = np.random.default_rng(1).permutation(np.arange(1.0, 21.0))
    assert stats.order_interval(values, 0.95) == (6.0, 15.0)
    assert stats.order_interval(values[:5], 0.95) == (-math.inf, math.inf)


@pytest.mark.parametrize("confidence", [0.6, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("looks", [(6,), (3, 6), (6, 10, 16), (1, 2, 3, 4, 5), (5, 9, 13), (12, 16)])
def test_simultaneous_ranks_against_all_walks(looks, confidence):
    ranks = stats.crossing_ranks(looks, confidence)
    allowed = 1 - Fraction(str(confidence))
    assert missing(looks, ranks) <= allowed
    # Nothing is given away: one more at the last look would be too much.
    if 2 * (ranks[-1] + 1) <= looks[-1] + 1:
        assert missing(looks, (*ranks[:-1], ranks[-1] + 1)) > allowed


def test_the_looks_of_a_race():
    assert stats.crossing_ranks(LOOKS, 0.95) == (1, 1, 3, 7, 13, 22)
    assert stats.crossing_ranks((64,), 0.95) == (stats.order_rank(64, 0.95),)
    assert stats.crossing_ranks((4, 64), 0.95)[0] == 0  # the least and the greatest of four miss with 12.5 %


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_all_looks_together_hold_the_median(confidence):
    """2,000 races of skewed noise, and of noise with ties; four standard errors of tolerance."""
    ranks = stats.crossing_ranks(LOOKS, confidence)
    rng = np.random.default_rng(7)
    noise = np.exp(0.3 * rng.standard_exponential((2000, LOOKS[-1]))) / math.exp(0.3 * math.log(2.0))
    for values in (noise, np.round(noise, 1)):
        truth = 1.0  # the median of both: rounding leaves it in place
        held = 0
        for race in values:
            intervals = [stats.rank_interval(race[:n], rank) for n, rank in zip(LOOKS, ranks, strict=True)]
            held += all(low <= truth <= high for low, high in intervals)
        assert held / 2000 >= confidence - 4 * math.sqrt(confidence * (1 - confidence) / 2000)


def test_without_the_correction_the_looks_would_miss_too_often():
    """The positive control of the test above: uncorrected intervals fail it."""
    ranks = [stats.order_rank(n, 0.95) for n in LOOKS]
    noise = np.random.default_rng(7).standard_normal((2000, LOOKS[-1]))
    held = sum(
        all(
            low <= 0.0 <= high
            for low, high in (
                stats.rank_interval(race[:n], rank) for n, rank in zip(LOOKS, ranks, strict=True)
            )
        )
        for race in noise
    )
    assert held / 2000 < 0.93


@pytest.mark.parametrize("looks", [(), (0, 5), (5, 5), (6, 3), (-1, 4)])
def test_looks_that_do_not_increase_are_refused(looks):
    with pytest.raises(ValueError, match="increasing"):
        stats.crossing_ranks(looks, 0.95)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0, 2.0, math.nan])
def test_a_confidence_is_between_0_and_1(confidence):
    with pytest.raises(ValueError, match="between 0 and 1"):
        stats.order_rank(10, confidence)


def test_bootstrap_repeats_by_seed_and_covers():
    rng = np.random.default_rng(3)
    held = 0
    for seed in range(300):
        values = np.exp(0.05 * rng.standard_normal((40, 3)) + 0.03 * rng.standard_normal((40, 1)))
        low, high = stats.bootstrap_interval(values, 0.9, seed, 1000)
        assert (low, high) == stats.bootstrap_interval(values, 0.9, seed, 1000)
        assert low <= stats.median(stats.geometric_mean(values, axis=1)) <= high
        held += low <= 1.0 <= high
    assert 0.83 <= held / 300 <= 0.97
    assert len({stats.bootstrap_interval(values, 0.9, seed, 20) for seed in range(9)}) > 1


def test_bootstrap_draws_medians_as_plain_numpy_does():
    """The medians that it draws have the distribution of those of `numpy.median` over `choice`."""
    values = np.random.default_rng(5).lognormal(0.0, 0.3, 9)[:, None]
    rng = np.random.default_rng(6)
    plain = np.median(rng.choice(values[:, 0], (20_000, 9)), axis=1)
    assert stats.bootstrap_interval(values, 0.8, 0, 20_000) == pytest.approx(np.quantile(plain, [0.1, 0.9]))
    even = values[:8]
    plain = np.median(rng.choice(even[:, 0], (20_000, 8)), axis=1)
    drawn = stats.bootstrap_interval(even, 0.5, 0, 20_000)
    assert drawn == pytest.approx(np.quantile(plain, [0.25, 0.75]), rel=0.03)
    with pytest.raises(ValueError, match=r"\(pairs, cases\)"):
        stats.bootstrap_interval(values[:, 0], 0.9, 0)


def test_sign_test_agrees_with_enumeration_and_with_the_interval():
    assert stats.sign_test([1.1] * 6) == pytest.approx(2 / 64)
    assert stats.sign_test([0.9] + [1.1] * 9) == pytest.approx(22 / 1024)
    assert stats.sign_test([1.0] * 6) == 1.0
    rng = np.random.default_rng(8)
    for _ in range(300):
        values = np.round(1.1 + 0.3 * rng.standard_normal(rng.integers(1, 30)), 1)
        low, high = stats.order_interval(values, 0.95)
        assert (stats.sign_test(values) <= 0.05) == (not low <= 1.0 <= high)


def test_holm_by_hand():
    assert stats.holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    assert stats.holm([]).tolist() == []
    with pytest.raises(ValueError, match="from 0 to 1"):
        stats.holm([0.5, 1.5])
