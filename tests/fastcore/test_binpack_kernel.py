"""The compiled bin packer against a plain simulator that keeps every bin."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.fastcore.kernels import binpack


def plain_packing(table: dict[tuple[int, int], float], items: list[int], capacity: int) -> binpack.Packing:
    """Pack bin by bin, as the rules are written, with no cleverness."""
    bins: list[int] = []
    early = 0
    for item in items:
        fitting = [room for room in bins if room >= item]
        choice, best = capacity, -math.inf
        for room in sorted({*fitting, capacity}):
            priority = table[item, room]
            if not math.isnan(priority) and priority > best:
                choice, best = room, priority
        if choice == capacity:
            early += bool(fitting)
        else:
            bins.remove(choice)
        bins.append(choice - item)
    full = bins.count(0)
    return binpack.Packing(bins=len(bins), full=full, unfilled=len(bins) - full, early=early)


def best_fit(capacity: int) -> np.ndarray:
    item, remaining = binpack.legal_pairs(capacity)
    return (item - remaining).astype(np.float64)


priorities = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0]),
    st.integers(-3, 3).map(float),
    st.floats(width=64),
)


@st.composite
def packings(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    capacity = draw(st.integers(1, 14))
    cells = capacity * (capacity + 1) // 2
    table = draw(st.lists(priorities, min_size=cells, max_size=cells))
    items = draw(st.lists(st.integers(1, capacity), max_size=60))
    return np.array(table, np.float64), np.array(items, np.int64), capacity


@settings(max_examples=400, deadline=None)
@given(packings())
def test_agrees_with_a_plain_simulator(case: tuple[np.ndarray, np.ndarray, int]) -> None:
    table, items, capacity = case
    pairs = zip(*(axis.tolist() for axis in binpack.legal_pairs(capacity)), strict=True)
    plain = plain_packing(dict(zip(pairs, table.tolist(), strict=True)), items.tolist(), capacity)
    assert binpack.pack_table(table, items, capacity) == plain


@pytest.mark.parametrize("seed", range(4))
def test_agrees_on_a_long_stream(seed: int) -> None:
    rng = np.random.default_rng(seed)
    capacity = 100
    items = np.clip(np.rint(45 * rng.weibull(3, 600)), 1, capacity).astype(np.int64)
    table = np.round(rng.normal(size=capacity * (capacity + 1) // 2), seed)
    table[rng.random(table.size) < 0.1] = np.nan
    pairs = zip(*(axis.tolist() for axis in binpack.legal_pairs(capacity)), strict=True)
    plain = plain_packing(dict(zip(pairs, table.tolist(), strict=True)), items.tolist(), capacity)
    assert binpack.pack_table(table, items, capacity) == plain


def test_legal_pairs_are_by_item_then_remaining() -> None:
    item, remaining = binpack.legal_pairs(3)
    assert item.tolist() == [1, 1, 1, 2, 2, 3]
    assert remaining.tolist() == [1, 2, 3, 2, 3, 3]


def test_best_fit_fills_the_tightest_bin() -> None:
    items = np.array([6, 5, 4, 5], np.int64)
    assert binpack.pack_table(best_fit(10), items, 10) == binpack.Packing(bins=2, full=2, unfilled=0, early=0)


def test_never_everywhere_opens_a_bin_for_each_item() -> None:
    never = np.full(55, np.nan)
    items = np.array([3, 3, 3], np.int64)
    assert binpack.pack_table(never, items, 10) == binpack.Packing(bins=3, full=0, unfilled=3, early=2)


def test_no_items_use_no_bins() -> None:
    assert binpack.pack_table(best_fit(10), np.array([], np.int64), 10) == binpack.Packing(0, 0, 0, 0)


@pytest.mark.parametrize("item", [0, -1, 11])
def test_an_item_that_fits_no_bin_is_an_error(item: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        binpack.pack_table(best_fit(10), np.array([item], np.int64), 10)


def test_a_table_of_the_wrong_size_is_an_error() -> None:
    with pytest.raises(ValueError, match="55 cells"):
        binpack.rank_table(np.zeros(54), 10)


@pytest.mark.parametrize("capacity", [0, -1, binpack.MAX_CAPACITY + 1])
def test_a_capacity_out_of_range_is_an_error(capacity: int) -> None:
    with pytest.raises(ValueError, match="capacity"):
        binpack.legal_pairs(capacity)
