"""Statistics of pairs, held against scipy, against all flips of signs, and against figures made by hand."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from evolve.bench.study.statistics import (
    LEAST_P,
    compared,
    least_seeds,
    mean_interval,
    median_interval,
    seeds_needed,
    signed_ranks,
    wilcoxon,
)


def all_flips(values):
    """The p-value by going through every way to set the signs."""
    plus, minus = signed_ranks(np.asarray(values, float))
    ranks = np.concatenate([plus, minus])
    sums = [
        sum(r for r, s in zip(ranks, signs, strict=True) if s)
        for signs in itertools.product((0, 1), repeat=len(ranks))
    ]
    lower = np.mean([total <= plus.sum() + 1e-9 for total in sums])
    upper = np.mean([total >= plus.sum() - 1e-9 for total in sums])
    return min(1.0, 2 * min(lower, upper))


@pytest.mark.parametrize("count", [1, 2, 5, 12, 30, 49])
def test_without_ties_the_test_is_that_of_scipy(count):
    rng = np.random.default_rng(count)
    values = rng.normal(0.3, 1.0, count)
    assert wilcoxon(values) == pytest.approx(stats.wilcoxon(values, method="exact").pvalue, rel=1e-9)


@pytest.mark.parametrize(
    "values",
    [
        [1, 1, 2, -2, 3],
        [0, 0, 1, 2, -1],
        [0, 5, 5, 5, -5, 16, 16],
        [2, 2, 2, 2],
        [0, 0, 0, -1],
        [-1, 1, 1, 1, 1, 1, 0, 3],
    ],
)
def test_ties_and_zeros_are_as_going_through_all_signs(values):
    assert wilcoxon(np.array(values, float)) == pytest.approx(all_flips(values))


def test_many_pairs_come_near_the_normal_approximation():
    values = np.random.default_rng(3).normal(0.1, 1.0, 400)
    assert wilcoxon(values) == pytest.approx(stats.wilcoxon(values, method="approx").pvalue, rel=0.02)


def test_no_difference_anywhere_is_no_evidence():
    found = compared([0.0] * 6)
    assert (found.p, found.effect, found.ties, found.median, found.mean) == (1.0, 0.0, 6, 0.0, 0.0)


def test_zeros_are_ranked_and_then_left_out():
    plus, minus = signed_ranks(np.array([0.0, 0.0, 1.0, -2.0, 2.0]))
    assert (sorted(plus), sorted(minus)) == ([3.0, 4.5], [4.5])
    assert compared([0.0, 0.0, 1.0, -2.0, 2.0]).effect == pytest.approx((7.5 - 4.5) / 12.0)


def test_turning_all_signs_turns_everything():
    gains = [0.5, -1.0, 3.0, 2.0, 0.0, 1.5, -0.25, 4.0]
    one, other = compared(gains), compared([-gain for gain in gains])
    assert (one.wins, one.losses, one.p) == (other.losses, other.wins, other.p)
    assert one.effect == -other.effect
    assert one.mean == pytest.approx(-other.mean)
    assert one.median == -other.median


def test_intervals_are_those_of_scipys_bootstrap():
    values = np.random.default_rng(8).exponential(1.0, 40)
    for function, interval in ((np.mean, mean_interval), (np.median, median_interval)):
        theirs = stats.bootstrap(
            (values,), function, method="percentile", n_resamples=10_000, rng=1
        ).confidence_interval
        low, high = interval(values)
        assert low == pytest.approx(theirs.low, abs=0.04)
        assert high == pytest.approx(theirs.high, abs=0.04)


def test_an_interval_of_the_mean_covers_it_about_as_often_as_it_says():
    rng = np.random.default_rng(4)
    held = [low <= 0.5 <= high for low, high in (mean_interval(rng.normal(0.5, 1.0, 30)) for _ in range(200))]
    assert 178 <= sum(held) <= 199  # 190 are wanted; the percentile method is a little short for 30 values


def test_a_failure_is_worse_than_any_figure_and_has_no_mean():
    found = compared([math.inf, math.inf, 1.0, -1.0])
    assert (found.wins, found.losses, found.mean, found.mean_low) == (3, 1, None, None)
    assert found.effect > 0
    assert compared([math.inf, -math.inf]).p == 1.0


def test_the_seeds_that_are_needed_are_those_of_noethers_formula():
    """For a normal shift of half a standard deviation, with p' = Phi(0.5 sqrt 2)."""
    gains = stats.norm.ppf((np.arange(400) + 0.5) / 400) + 0.5
    share = stats.norm.cdf(0.5 * math.sqrt(2))
    reach = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    found = compared(gains[::40])  # ten values of the same distribution
    wanted = reach**2 / (3 * (found.superiority - 0.5) ** 2)
    assert seeds_needed(found) == max(math.ceil(wanted), 11)
    assert compared(gains).superiority == pytest.approx(share, abs=0.01)


def test_so_many_seeds_settle_it_four_times_out_of_five():
    rng = np.random.default_rng(11)
    pilot = compared(stats.norm.ppf((np.arange(20) + 0.5) / 20) + 0.4)
    needed = seeds_needed(pilot)
    settled = [wilcoxon(rng.normal(0.4, 1.0, needed)) < 0.05 for _ in range(300)]
    assert 0.70 < np.mean(settled) < 0.90


def test_where_nothing_is_seen_no_number_of_seeds_is_named():
    assert seeds_needed(compared([1.0, -1.0, 2.0, -2.0, 3.0, -3.0])) is None


def test_fewer_than_six_seeds_settle_nothing():
    assert least_seeds(0.05) == 6
    assert compared([1.0] * 5).p > 0.05
    assert compared([1.0] * 6).p < 0.05


@pytest.mark.parametrize("zeros", [0, 25, 75])
def test_with_ties_so_many_seeds_settle_it_too(zeros):
    """Gains of equal size, some of which are zeros: without the variance that these leave it is 1.7 times more."""
    rng = np.random.default_rng(zeros)
    pilot = [0.0] * zeros + [1.0] * 17 + [-1.0] * 8

    def drawn(count):
        return rng.choice(pilot, count)

    needed = seeds_needed(compared(pilot))
    settled = [wilcoxon(drawn(needed)) < 0.05 for _ in range(400)]
    assert 0.70 < np.mean(settled) < 0.90


def test_of_too_few_pairs_no_number_of_seeds_is_named():
    assert seeds_needed(compared([1.0, -0.5])) is None
    assert seeds_needed(compared([1.0, 1.0, 2.0, -0.5, 1.0])) is None
    assert seeds_needed(compared([1.0, 1.0, 2.0, -0.5, 1.0, 3.0, -2.0])) is not None


def test_above_some_hundred_pairs_the_normal_sum_is_as_good():
    rng = np.random.default_rng(7)
    for shift in (0.0, 0.1, 0.2):
        values = np.round(rng.normal(shift, 1.0, 300), 1)  # with ties and zeros
        exact = wilcoxon(values)
        plus, minus = signed_ranks(values)
        off = abs(plus.sum() - minus.sum()) / math.sqrt((plus**2).sum() + (minus**2).sum())
        assert math.erfc(off / math.sqrt(2)) == pytest.approx(exact, rel=0.05)
    many = np.round(rng.normal(0.02, 1.0, 20_000), 2)
    assert wilcoxon(many) == pytest.approx(
        stats.wilcoxon(many, zero_method="pratt", method="approx").pvalue, rel=1e-6
    )


def test_a_p_value_is_never_zero():
    assert wilcoxon(np.ones(5_000)) == LEAST_P


def test_superiority_is_that_of_all_pairs():
    rng = np.random.default_rng(9)
    values = np.concatenate([np.round(rng.normal(0.1, 1.0, 60), 1), [0.0, 0.0, math.inf, -math.inf]])
    opposed = {math.inf, -math.inf}
    every = itertools.combinations(values.tolist(), 2)
    sums = [0.0 if {one, other} == opposed else one + other for one, other in every]
    wanted = np.mean([0.5 * (total == 0) + (total > 0) for total in sums])
    assert compared(values).superiority == pytest.approx(wanted)


def test_intervals_of_many_pairs_are_drawn_a_few_at_a_time(monkeypatch):
    values = np.random.default_rng(2).normal(0.2, 1.0, 50)
    whole = mean_interval(values), median_interval(values)
    monkeypatch.setattr("evolve.bench.study.statistics._AT_ONCE", 1_000)
    assert (mean_interval(values), median_interval(values)) == whole
