"""Walks by flips: what they leave is the multiplication of matrices, whatever the table says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.fastcore.kernels.flips import LEVELS, walk, weights

SIDES = [(1, 1, 1), (1, 2, 3), (2, 2, 2), (2, 2, 3), (3, 2, 2), (2, 3, 3), (3, 3, 3)]


def table(sides, value=1.0):
    return np.full((weights(*sides),) * 4 + (LEVELS,), value)


def multiplies(scheme, sides):
    """Whether a scheme multiplies two matrices of large whole numbers, in numbers without bounds."""
    n, m, p = sides
    rng = np.random.default_rng(7)
    a = np.array(rng.integers(-(2**40), 2**40, (n, m)).tolist(), dtype=object)
    b = np.array(rng.integers(-(2**40), 2**40, (m, p)).tolist(), dtype=object)
    left, right, into = (matrices.astype(object) for matrices in scheme)
    products = [(x * a).sum() * (y * b).sum() for x, y in zip(left, right, strict=True)]
    return (sum(z * product for z, product in zip(into, products, strict=True)) == a.dot(b)).all()


@settings(deadline=None)  # the first call compiles
@given(
    st.sampled_from(SIDES),
    st.integers(1, 600),
    st.integers(0, 2**31 - 1),
    st.sampled_from([0.05, 0.5, 1.0, 2.0, np.inf, np.nan]),
)
def test_whatever_the_table_says_the_scheme_multiplies(sides, offers, seed, value):
    chances = table(sides, value)
    chances[np.random.default_rng(seed).random(chances.shape) < 0.3] = 0.0
    scheme, made = walk(chances, sides, offers, seed)
    n, m, p = sides
    rank = len(scheme[0])
    assert [one.shape for one in scheme] == [(rank, n, m), (rank, m, p), (rank, n, p)]
    assert rank <= n * m * p
    assert 0 <= made <= offers
    assert all(np.abs(one).max() == 1 for one in scheme)
    assert all(one.any(axis=(1, 2)).all() for one in scheme)  # no term is zero
    assert multiplies(scheme, sides)


@pytest.mark.parametrize("value", [0.0, -1.0, -np.inf, np.nan])
def test_never_leaves_the_terms_of_the_definition(value):
    scheme, made = walk(table((3, 3, 3), value), (3, 3, 3), 1000, 4)
    assert made == 0
    assert len(scheme[0]) == 27
    assert all(np.array_equal(np.abs(one).sum(axis=(1, 2)), np.ones(27)) for one in scheme)


def test_a_walk_repeats_and_another_lot_is_another_walk():
    first, again, other = (walk(table((3, 3, 3)), (3, 3, 3), 2000, seed) for seed in (5, 5, 6))
    assert first[1] == again[1]
    assert all(np.array_equal(one, two) for one, two in zip(first[0], again[0], strict=True))
    assert not all(
        one.shape == two.shape and (one == two).all() for one, two in zip(first[0], other[0], strict=True)
    )


def test_a_chance_is_how_often_a_flip_is_made():
    always, half = (walk(table((3, 3, 3), value), (3, 3, 3), 20_000, 3)[1] for value in (1.0, 0.5))
    assert 0.4 * always < half < 0.75 * always  # from 20,000 offers; each walk meets other flips


def test_walks_find_seven_products_for_two_by_two():
    ranks = [len(walk(table((2, 2, 2)), (2, 2, 2), 60_000, seed)[0][0]) for seed in range(8)]
    assert min(ranks) == 7  # and none is below: it is the optimum (Winograd 1971)


def test_time_since_the_last_saving_is_told_in_tenths():
    for tenth in (0, 4, 9):
        chances = table((3, 3, 3), 0.0)
        chances[..., tenth] = 1.0
        scheme, made = walk(chances, (3, 3, 3), 1000, 1)
        assert len(scheme[0]) == 27  # nothing is saved, so the count of tenths never starts again
        assert 30 < made <= 100


@pytest.mark.parametrize(
    ("shape", "sides", "offers", "seed", "says"),
    [
        ((4, 4, 4, 4, 9), (2, 2, 2), 10, 0, "must have shape"),
        ((9, 9, 9, 9, 10), (2, 2, 2), 10, 0, "must have shape"),
        ((4, 4, 4, 4, 10), (2, 2, 4), 10, 0, "sides are"),
        ((4, 4, 4, 4, 10), (0, 2, 2), 10, 0, "sides are"),
        ((4, 4, 4, 4, 10), (2, 2, 2), 0, 0, "0 offers"),
        ((4, 4, 4, 4, 10), (2, 2, 2), 10, -1, "seed -1"),
        ((4, 4, 4, 4, 10), (2, 2, 2), 10, 2**31, "seed"),
    ],
)
def test_what_is_out_of_bounds_is_refused(shape, sides, offers, seed, says):
    with pytest.raises(ValueError, match=says):
        walk(np.ones(shape), sides, offers, seed)
