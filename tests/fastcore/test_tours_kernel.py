"""Compiled tours against plain ones, the best of all orders, and an optimum of TSPLIB."""

from itertools import pairwise, permutations
from math import isqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.fastcore.kernels.tours import (
    LIMIT,
    Axes,
    distances,
    guided_tour,
    nearest_first,
    searched_tour,
    tour_length,
)

AXES = Axes(np.array([0, 50, 100, 200]), np.array([0, 100, 300]), 5, 3)
SHAPE = (4, 5, 3, 3)

# berlin52 of TSPLIB (Reinelt, ORSA Journal on Computing 3, 1991); its shortest round trip is 7542 long.
BERLIN52 = """
565 575 25 185 345 750 945 685 845 655 880 660 25 230 525 1000 580 1175 650 1130 1605 620 1220 580 1465 200
1530 5 845 680 725 370 145 665 415 635 510 875 560 365 300 465 520 585 480 415 835 625 975 580 1215 245
1320 315 1250 400 660 180 410 250 420 555 575 665 1150 1160 700 580 685 595 685 610 770 610 795 645 720 635
760 650 475 960 95 260 875 920 700 500 555 815 830 485 1170 65 830 610 605 625 595 360 1340 725 1740 245
"""


def draws(count, kicks):
    return np.random.default_rng(count).integers(0, 2**31, (kicks, 3))


def points(seed, count, side=1000):
    return np.random.default_rng(seed).integers(0, side, (count, 2))


coordinates = st.one_of(st.integers(-LIMIT, LIMIT), st.sampled_from([-LIMIT, 0, LIMIT]))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=6))
def test_distances_are_rounded_roots_exactly(places):
    found = distances(np.array(places))
    for a, (x, y) in enumerate(places):
        for b, (u, v) in enumerate(places):
            assert found[a, b] == (isqrt(4 * ((x - u) ** 2 + (y - v) ** 2)) + 1) // 2


@pytest.mark.parametrize(
    ("places", "says"),
    [
        (np.array([[0.0, 1.0]]), "whole numbers"),
        (np.array([[True, False]]), "whole numbers"),
        (np.array([1, 2]), "shape"),
        (np.array([[0, LIMIT + 1]]), "beyond"),
        (np.array([[-(2**63), 0]]), "beyond"),
    ],
)
def test_what_is_no_map_is_an_error(places, says):
    with pytest.raises(ValueError, match=says):
        distances(places)


@pytest.mark.parametrize(
    "tour", [[0, 1, 2], [0, 1, 2, 2], [0, 1, 2, 4], [1, 2, 3, -4], [[0, 1, 2, 3]], [0, 1, 2, 3, 0]]
)
def test_what_does_not_visit_every_city_once_is_no_tour(tour):
    between = distances(points(0, 4))
    assert tour_length(between, np.array([2, 0, 1, 3])) > 0
    with pytest.raises(ValueError, match="each of the 4 cities once"):
        tour_length(between, np.array(tour))


def test_the_other_cities_come_nearest_first_and_equals_in_order():
    line = distances(np.array([[0, 0], [2, 0], [1, 0], [1, 0]]))
    assert nearest_first(line).tolist() == [[2, 3, 1], [2, 3, 0], [3, 0, 1], [2, 0, 1]]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(3, 30), st.sampled_from([3, 20, 1000]))
def test_a_table_that_tells_nothing_apart_gives_the_nearest_neighbours_tour(seed, count, side):
    between = distances(points(seed, count, side))
    tour, skips = guided_tour(np.zeros(SHAPE), between, nearest_first(between), AXES)
    expected = [0]
    while len(expected) < count:
        left = [city for city in range(count) if city not in expected]
        expected.append(min(left, key=lambda city: (between[expected[-1], city], city)))
    assert (tour.tolist(), skips) == (expected, 0)


def test_never_is_visited_last_but_visited():
    between = distances(points(1, 12))
    for value in (-np.inf, np.inf):
        tour, _ = guided_tour(np.full(SHAPE, value), between, nearest_first(between), AXES)
        assert tour_length(between, tour) > 0
    far = np.broadcast_to(np.arange(4.0)[:, None, None, None], SHAPE)
    _, skips = guided_tour(far, between, nearest_first(between), AXES)
    assert skips > 6


@pytest.mark.parametrize("seed", range(12))
def test_the_search_finds_the_shortest_of_all_tours_of_eight_cities(seed):
    between = distances(points(seed, 8))
    shortest = min(
        between[0, order[0]] + sum(between[a, b] for a, b in pairwise(order)) + between[order[-1], 0]
        for order in permutations(range(1, 8))
        if order[0] < order[-1]
    )
    assert tour_length(between, searched_tour(between, draws(8, 200))) == shortest


def test_the_search_finds_the_optimum_of_berlin52():
    places = np.array(BERLIN52.split(), np.int64).reshape(52, 2)
    between = distances(places)
    assert tour_length(between, searched_tour(between, draws(52, 5200))) == 7542


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(8, 40), st.sampled_from([2, 20, 10_000]))
def test_what_is_found_is_a_tour_that_no_exchange_of_two_edges_shortens(seed, count, side):
    between = distances(points(seed, count, side))
    tour = searched_tour(between, draws(count, 30))
    assert tour_length(between, tour) >= between.min(where=~np.eye(count, dtype=bool), initial=10**9) * count
    again = searched_tour(between, draws(count, 30))
    assert np.array_equal(tour, again)
    if count <= 11:  # every city looks at all the others
        for i in range(count):
            for j in range(i + 2, count):
                a, b, c, d = tour[i], tour[i + 1], tour[j], tour[(j + 1) % count]
                assert between[a, b] + between[c, d] <= between[a, c] + between[b, d]


def test_more_kicks_never_make_a_tour_longer():
    between = distances(points(3, 60))
    lengths = [
        tour_length(between, searched_tour(between, draws(1, 2000)[:kicks])) for kicks in (0, 20, 200, 2000)
    ]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] < lengths[0]


def test_what_does_not_fit_is_an_error():
    between = distances(points(0, 7))
    nearest = nearest_first(between)
    with pytest.raises(ValueError, match="has shape"):
        guided_tour(np.zeros((4, 5, 3, 2)), between, nearest, AXES)
    with pytest.raises(ValueError, match="2 cities"):
        guided_tour(np.zeros(SHAPE), between[:2, :2], nearest, AXES)
    with pytest.raises(ValueError, match="7 cities"):
        searched_tour(between, draws(7, 5))
    for bad in (draws(8, 5)[:, :2], -draws(8, 5) - 1):
        with pytest.raises(ValueError, match="draws are"):
            searched_tour(distances(points(0, 8)), bad)
