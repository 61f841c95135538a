"""The compiled greedy choice of vectors against plain Python."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.fastcore.kernels.kissing import (
    MAX_DIMENSION,
    MAX_NORM,
    count_pairs,
    greedy_kissing,
    shell,
)


def plain_greedy(priority, vectors, norm):
    """Choose vectors from the definition."""
    keys = [-math.inf if math.isnan(value) else value for value in priority]
    chosen = []
    for index in sorted(range(len(vectors)), key=lambda index: (-keys[index], index)):
        if all(math.dist(vectors[index], vectors[other]) ** 2 >= norm - 0.5 for other in chosen):
            chosen.append(index)
    return chosen


@st.composite
def priorities(draw):
    """Draw a shell, and priorities with many ties, infinities and NaN."""
    d, norm = draw(st.sampled_from([(1, 4), (2, 5), (3, 3), (3, 9), (4, 4), (5, 2)]))
    value = st.one_of(st.sampled_from([0.0, 1.0, math.nan, math.inf, -math.inf]), st.floats(-1.0, 1.0))
    count = len(shell(d, norm))
    return draw(st.lists(value, min_size=count, max_size=count)), d, norm


@settings(deadline=None)  # the first call compiles
@given(priorities())
def test_the_greedy_choice_is_the_plain_one(drawn):
    priority, d, norm = drawn
    assert greedy_kissing(priority, d, norm).tolist() == plain_greedy(priority, shell(d, norm).tolist(), norm)


@pytest.mark.parametrize(("d", "norm"), [(1, 1), (1, 4), (2, 5), (3, 9), (4, 4), (5, 7), (4, 16)])
def test_a_shell_is_every_vector_of_its_length_once(d, norm):
    square = range(-norm, norm + 1)
    every = {v for v in itertools.product(square, repeat=d) if sum(x * x for x in v) == norm}
    found = [tuple(row) for row in shell(d, norm).tolist()]
    assert len(found) == len(set(found))
    assert set(found) == every
    assert not shell(d, norm).flags.writeable


@pytest.mark.parametrize(
    ("d", "norm", "count"),
    # sums of 8 squares: 16 sum of (-1)^(n + m) m^3 over the divisors m of n (Jacobi)
    [
        (8, 1, 16),
        (8, 2, 112),
        (8, 4, 16 * (64 + 8 - 1)),
        (8, 8, 16 * (512 + 64 + 8 - 1)),
        (11, 4, 22 + 330 * 16),
    ],
)
def test_shells_have_as_many_vectors_as_number_theory_says(d, norm, count):
    assert shell(d, norm).shape == (count, d)


def test_the_order_of_a_shell_is_shuffled():
    rows = [tuple(row) for row in shell(6, 4).tolist()]
    assert rows != sorted(rows)
    assert rows != sorted(rows, reverse=True)


@pytest.mark.parametrize(
    ("d", "norm", "says"),
    [
        (0, 4, "d is 0"),
        (MAX_DIMENSION + 1, 4, f"d is {MAX_DIMENSION + 1}"),
        (8, 0, "norm 0"),
        (8, MAX_NORM + 1, f"norm {MAX_NORM + 1}"),
        (11, 8, "more than 60000"),
        (24, 16, "more than 60000"),
        (2, 3, "no vector"),
    ],
)
def test_a_shell_that_is_out_of_bounds_is_refused(d, norm, says):
    with pytest.raises(ValueError, match=says):
        shell(d, norm)


@pytest.mark.parametrize("shape", [(23,), (25,), (4, 6), (1, 24)])
def test_priorities_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="must have shape"):
        greedy_kissing(np.zeros(shape), 4, 4)


@settings(deadline=None)
@given(
    st.integers(1, 5).flatmap(
        lambda d: st.lists(st.tuples(*[st.integers(-3, 3)] * d), min_size=1, max_size=9)
    )
)
def test_pairs_are_counted_by_their_angle(vectors):
    products = [sum(x * y for x, y in zip(a, b, strict=True)) for a, b in itertools.combinations(vectors, 2)]
    for norm in (1, 4, 9):
        expected = (
            sum(2 * product > norm for product in products),
            sum(2 * product == norm for product in products),
            sum(product == -norm for product in products),
        )
        assert count_pairs(np.array(vectors), norm) == expected


def test_the_largest_coordinates_do_not_wrap_around():
    large = np.full((2, MAX_DIMENSION), 4096)
    assert count_pairs(large, 4) == (1, 0, 0)
    with pytest.raises(ValueError, match="larger than 4096"):
        count_pairs(large + 1, 4)
    with pytest.raises(ValueError, match="larger than 4096"):
        count_pairs([[2**40, 0], [0, 1]], 4)


@pytest.mark.parametrize(
    "vectors", [[1, 2], [[1.0, 2.0]], [[True, False]], np.zeros((2, 25), int), np.zeros((2, 0), int)]
)
def test_vectors_of_another_kind_are_refused(vectors):
    with pytest.raises(ValueError, match="whole numbers of shape"):
        count_pairs(vectors, 4)
