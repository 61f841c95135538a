"""The compiled 0-1 kernel against plain Python."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.fastcore.kernels.zero_one import MAX_WIRES, depth_of, greedy_network, is_sorting_network


def plain_run(network, values):
    """Send values through a network."""
    values = list(values)
    for i, j in network:
        values[i], values[j] = min(values[i], values[j]), max(values[i], values[j])
    return values


def plain_sorts(network, n):
    """Tell whether every permutation leaves sorted: the definition, without the 0-1 principle."""
    return all(plain_run(network, p) == list(range(n)) for p in itertools.permutations(range(n)))


def plain_greedy(table, n, layers):
    """Build the network comparator by comparator, from the definition, on sets of 0-1 vectors."""
    network, passed = [], [0] * n
    reached = set(itertools.product((0, 1), repeat=n))
    pairs = list(itertools.combinations(range(n), 2))
    while True:
        useful = [(i, j) for i, j in pairs if any(v[i] > v[j] for v in reached)]
        if not useful:
            return network

        def priority(pair):
            i, j = pair
            value = table[pairs.index(pair)][min(passed[i], layers - 1)][min(passed[j], layers - 1)]
            return -math.inf if math.isnan(value) else value

        best = max(useful, key=lambda pair: (priority(pair), -pairs.index(pair)))
        network.append(best)
        passed[best[0]] = passed[best[1]] = max(passed[best[0]], passed[best[1]]) + 1
        reached = {tuple(plain_run([best], v)) for v in reached}


@st.composite
def networks(draw):
    """Draw a number of wires and comparators, often enough of them to sort."""
    n = draw(st.integers(2, 6))
    pair = st.sampled_from(list(itertools.combinations(range(n), 2)))
    return draw(st.lists(pair, max_size=24)), n


@st.composite
def tables(draw):
    """Draw a number of wires, a number of layers and priorities with many ties, infinities and NaN."""
    n, layers = draw(st.integers(2, 5)), draw(st.integers(1, 4))
    count = n * (n - 1) // 2 * layers * layers
    value = st.one_of(st.sampled_from([0.0, 1.0, math.nan, math.inf, -math.inf]), st.floats(-1.0, 1.0))
    values = draw(st.lists(value, min_size=count, max_size=count))
    return np.array(values).reshape(n * (n - 1) // 2, layers, layers), n


@settings(deadline=None)  # the first call compiles
@given(networks())
def test_it_sorts_exactly_when_every_permutation_leaves_sorted(drawn):
    network, n = drawn
    assert is_sorting_network(network, n) == plain_sorts(network, n)


@settings(deadline=None)
@given(tables())
def test_the_greedy_network_is_the_plain_one(drawn):
    table, n = drawn
    network = greedy_network(table, n)
    assert [tuple(pair) for pair in network.tolist()] == plain_greedy(table.tolist(), n, table.shape[1])
    assert is_sorting_network(network, n)


@pytest.mark.parametrize("n", [2, 5, 6, 7, 13, MAX_WIRES])
def test_bubble_sort_sorts_and_no_shorter_part_of_it_does(n):
    bubble = [(i, i + 1) for last in range(n - 1, 0, -1) for i in range(last)]
    assert is_sorting_network(bubble, n)
    for missing in (0, len(bubble) // 2, len(bubble) - 1):
        assert not is_sorting_network(bubble[:missing] + bubble[missing + 1 :], n)


def test_one_vector_in_65536_that_stays_unsorted_is_seen():
    n = MAX_WIRES
    first = [(i, i + 1) for last in range(n - 2, 0, -1) for i in range(last)]  # sorts all but the last wire
    insert = [(i - 1, i) for i in range(n - 1, 0, -1)]  # lets what is on the last wire rise to its place
    assert is_sorting_network(first + insert, n)
    # Without the last comparator only a zero below fifteen ones does not reach wire 0.
    assert plain_run(first + insert[:-1], [1] * 15 + [0]) == [1, 0] + [1] * 14
    assert plain_run(first + insert[:-1], [1] * 14 + [0, 0]) == [0, 0] + [1] * 14
    assert not is_sorting_network(first + insert[:-1], n)


def test_layers_are_counted_as_comparators_that_share_no_wire():
    assert depth_of([], 4) == 0
    assert depth_of([(0, 1), (2, 3)], 4) == 1
    assert depth_of([(0, 1), (2, 3), (0, 2), (1, 3), (1, 2)], 4) == 3


@pytest.mark.parametrize(
    "network", [[(1, 0)], [(1, 1)], [(0, 4)], [(-1, 2)], [(0, 1, 2)], [(0.0, 1.0)], [0, 1]]
)
def test_what_is_no_comparator_is_refused(network):
    for asked in (is_sorting_network, depth_of):
        with pytest.raises(ValueError, match="comparator"):
            asked(network, 4)


@pytest.mark.parametrize("n", [0, -1, MAX_WIRES + 1])
def test_a_number_of_wires_out_of_bounds_is_refused(n):
    with pytest.raises(ValueError, match=f"not {n}"):
        is_sorting_network([], n)


def test_a_table_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"3 wires have a table \(3, layers, layers\), not \(4, 2, 2\)"):
        greedy_network(np.zeros((4, 2, 2)), 3)
