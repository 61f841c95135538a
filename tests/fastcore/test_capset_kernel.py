"""The compiled cap-set kernel against plain Python."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.fastcore.kernels.capset import greedy_cap, is_cap, vectors

Vector = tuple[int, ...]


def plain_third(a: Vector, c: Vector) -> Vector:
    """Return the vector that completes the line through a and c."""
    return tuple(-(x + y) % 3 for x, y in zip(a, c, strict=True))


def plain_greedy(priority: list[float], n: int) -> tuple[list[int], list[int]]:
    """Return the cap and the number of pairs that block each vector, straight from the definition."""
    space = list(itertools.product(range(3), repeat=n))
    keys = [-math.inf if math.isnan(p) else p for p in priority]
    cap: list[int] = []
    for c in sorted(range(3**n), key=lambda j: (-keys[j], j)):
        chosen = {space[a] for a in cap}
        if all(plain_third(a, space[c]) not in chosen for a in chosen):
            cap.append(c)
    thirds = [plain_third(space[a], space[c]) for a, c in itertools.combinations(cap, 2)]
    return cap, [thirds.count(w) for w in space]


def plain_is_cap(indices: list[int], n: int) -> bool:
    """Tell whether the indices are distinct vectors without three on a line."""
    if len(set(indices)) != len(indices) or any(not 0 <= j < 3**n for j in indices):
        return False
    space = list(itertools.product(range(3), repeat=n))
    return all(
        any(sum(digits) % 3 for digits in zip(space[a], space[b], space[c], strict=True))
        for a, b, c in itertools.combinations(indices, 3)
    )


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[float], int]:
    """Draw a dimension and a priority for every vector, with many ties, infinities and NaN."""
    n = draw(st.integers(1, 4))
    value = st.one_of(
        st.sampled_from([0.0, -0.0, 1.0, 2.0, math.nan, math.inf, -math.inf]),
        st.floats(allow_nan=True, allow_infinity=True),
    )
    return draw(st.lists(value, min_size=3**n, max_size=3**n)), n


@st.composite
def index_lists(draw: st.DrawFn) -> tuple[list[int], int]:
    """Draw a dimension and a few indices, now and then repeated or out of range."""
    n = draw(st.integers(1, 4))
    return draw(st.lists(st.integers(-1, 3**n), max_size=12)), n


@given(tables())
@settings(max_examples=60, deadline=None)
def test_greedy_is_the_plain_greedy(case: tuple[list[float], int]) -> None:
    priority, n = case
    cap, counts = greedy_cap(priority, n)
    plain_cap, plain_counts = plain_greedy(priority, n)
    assert cap.tolist() == plain_cap
    assert counts.tolist() == plain_counts
    assert is_cap(cap, n)


@given(index_lists())
@settings(max_examples=200, deadline=None)
def test_verifier_is_the_plain_verifier(case: tuple[list[int], int]) -> None:
    indices, n = case
    assert is_cap(np.array(indices, np.int64), n) == plain_is_cap(indices, n)


@given(st.integers(1, 7), st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_cap_is_complete_and_one_more_vector_breaks_it(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cap, counts = greedy_cap(rng.random(3**n), n)
    assert is_cap(cap, n)
    assert np.array_equal(np.flatnonzero(counts == 0), np.sort(cap))
    outside = np.flatnonzero(counts)
    assert not is_cap(np.append(cap, rng.choice(outside)), n)


def test_columns_are_the_vectors_in_lexicographic_order() -> None:
    for n in range(1, 6):
        assert list(map(tuple, vectors(n).T.tolist())) == list(itertools.product(range(3), repeat=n))


@pytest.mark.parametrize("n", [1, 4, 6, 8, 9])
def test_equal_priorities_give_the_cube(n: int) -> None:
    cap, _ = greedy_cap(np.zeros(3**n), n)
    assert cap.size == 2**n
    assert vectors(n)[:, cap].max() == 1


@pytest.mark.parametrize(
    "bad", [np.array([0.0, 1.0]), np.array([[0, 1]]), np.array([0, 0]), np.array([-1]), np.array([3**4])]
)
def test_verifier_refuses_what_is_no_list_of_vectors(bad: np.ndarray) -> None:
    assert not is_cap(bad, 4)


def test_the_elliptic_quadric_is_a_cap_of_twenty() -> None:
    v = vectors(4)
    form = (v[0] ** 2 + v[1] ** 2 + v[2] ** 2 - v[3] ** 2) % 3
    quadric = np.flatnonzero((form == 0) & v.any(axis=0))
    assert quadric.size == 20
    assert is_cap(quadric, 4)


@pytest.mark.parametrize("n", [0, 11])
def test_dimension_is_bounded(n: int) -> None:
    with pytest.raises(ValueError, match="dimension"):
        is_cap([], n)


def test_priorities_of_a_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        greedy_cap(np.zeros(9), 3)
