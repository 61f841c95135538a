"""The compiled cache against plain ones, and Belady's rule against the best of all choices."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.fastcore.kernels.cache import Replay, fewest_misses, replay
from evolve.fastcore.kernels.levels import levels

GRADES = levels(12), levels(9), levels(24, steps=2)
SHAPE = tuple(map(len, GRADES))


def array(pages):
    return np.array(pages, np.int64)


def plain_replay(table, pages, slots):
    """Serve request by request from a list of (page, last, came, uses), with no cleverness."""
    inside, gone, misses = [], [], 0
    for now, page in enumerate(pages):
        found = [entry for entry in inside if entry[0] == page]
        if found:
            inside.remove(found[0])
            inside.append((page, now, found[0][2], found[0][3] + 1))
            continue
        misses += 1
        if len(inside) == slots:
            ranked = []
            for entry in inside:
                counts = now - entry[1], entry[3], now - entry[2]
                place = tuple(
                    max(i for i, level in enumerate(axis) if level <= count)
                    for axis, count in zip(GRADES, counts, strict=True)
                )
                ranked.append((table[place], entry[1], entry))
            out = min(ranked)[2]
            inside.remove(out)
            gone.append((now - out[1], out[3]))
        inside.append((page, now, now, 1))
    return Replay(misses, len(gone), sum(u == 1 for _, u in gone), sum(a < slots for a, _ in gone))


def fewest_by_trying(pages, slots):
    """The fewest misses over all ways to let pages go."""

    @cache
    def left(now, inside):
        if now == len(pages):
            return 0
        if pages[now] in inside:
            return left(now + 1, inside)
        more = inside | {pages[now]}
        if len(more) <= slots:
            return 1 + left(now + 1, more)
        return 1 + min(left(now + 1, more - {page}) for page in inside)

    return left(0, frozenset())


traces = st.lists(st.integers(0, 7), max_size=60)
values = st.sampled_from([-np.inf, np.inf, -1.0, -0.0, 0.0, 1.0, 2.0])


@settings(max_examples=150, deadline=None)
@given(traces, st.integers(1, 6), st.integers(0, 2**32), st.lists(values, min_size=1, max_size=7))
def test_agrees_with_a_plain_cache(pages, slots, seed, some):
    table = np.random.default_rng(seed).choice(some, SHAPE)
    assert replay(table, array(pages), slots, GRADES) == plain_replay(table, pages, slots)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=14), st.integers(1, 4))
def test_belady_is_the_best_of_all_choices(pages, slots):
    assert fewest_misses(array(pages), slots) == fewest_by_trying(tuple(pages), slots)


@settings(max_examples=60, deadline=None)
@given(traces, st.integers(1, 6), st.integers(0, 2**32))
def test_no_table_beats_belady(pages, slots, seed):
    table = np.random.default_rng(seed).normal(size=SHAPE)
    assert replay(table, array(pages), slots, GRADES).misses >= fewest_misses(array(pages), slots)


def test_a_trace_and_a_table_that_cannot_be_written_are_served():
    pages, table = array([0, 1, 2, 0]), np.zeros(SHAPE)
    pages.flags.writeable = table.flags.writeable = False
    assert replay(table, pages, 2, GRADES).misses == 4
    assert fewest_misses(pages, 2) == 3


def test_what_does_not_fit_is_an_error():
    with pytest.raises(ValueError, match="has shape"):
        replay(np.zeros((2, 2, 2)), array([0]), 1, GRADES)
    with pytest.raises(ValueError, match="0 slots"):
        replay(np.zeros(SHAPE), array([0]), 0, GRADES)
    with pytest.raises(ValueError, match="page -1"):
        fewest_misses(array([0, -1]), 1)
