"""Answers are held to what the problem declares."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.spec import Array, Integer, Misfit, Plain, Real, Sequence, Text


@pytest.mark.parametrize(
    ("spec", "answer", "says"),
    [
        (Array("f8", (2, 3)), np.zeros((3, 2)), "shape"),
        (Array("f8", (2, None)), np.zeros(2), "shape"),
        (Array("f8", (1,)), np.array([math.nan]), "not finite"),
        (Array("f8", (1,)), [math.inf], "not finite"),
        (Array("f8", (1,)), ["x"], "type"),
        (Array("f8", (1,)), [1j], "type"),
        (Array("f8", (1,)), "1", "type str"),
        (Array("f8", (1,)), None, "NoneType"),
        (Array("f8", (2,)), [[1.0], [1.0, 2.0]], "not an array"),
        (Array("i8", (1,)), [1.5], "dtype"),
        (Array("i8", (1,)), [2**70], "type object"),
        (Array("i4", (1,)), [2**40], "outside"),
        (Array("f8", (1,), low=0.0), [-1.0], "below"),
        (Array("f8", (1,), high=1.0), [2.0], "above"),
        (Array("f8", None, max_size=3), np.zeros(4), "at most 3"),
        (Real(), True, "bool"),
        (Real(), math.nan, "not finite"),
        (Real(), 10**400, "too large"),
        (Real(low=1.0), 0.5, "below"),
        (Integer(), 1.0, "float"),
        (Integer(low=0), -1, "outside"),
        (Text(3), "abcd", "4 characters"),
        (Text(), 3, "int"),
        (Sequence(Integer()), [1, 2.0], "item 1"),
        (Sequence(Integer(), max_length=1), [1, 2], "2 items"),
        (Sequence(Integer()), 3, "int"),
        (Plain(), {"a": [1.0, math.nan]}, "not finite"),
        (Plain(), np.array([math.inf]), "not finite"),
    ],
)
def test_a_misfit_says_what_is_wrong(spec, answer, says):
    with pytest.raises(Misfit, match=says):
        spec.check(answer)


def test_an_array_that_fits_comes_back_in_the_declared_dtype():
    checked = Array("f8", (2, 2)).check([[1, 2], [3, 4]])
    assert checked.dtype == np.float64
    assert checked.flags.c_contiguous
    assert checked.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_a_table_may_hold_nan_where_the_spec_says_so():
    assert math.isnan(Array("f8", None, nan=True).check(math.nan))


@given(st.lists(st.integers(-5, 5), max_size=5))
def test_a_sequence_of_integers_comes_back_unchanged(items):
    assert Sequence(Integer(-5, 5)).check(items) == items
    assert Sequence(Integer(-5, 5)).check(np.array(items, dtype=np.int64)) == items
