"""The compiled counts of sums and differences against sets of plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.fastcore.kernels.sumset import LARGEST, sums_and_differences

NUMBERS = st.lists(st.one_of(st.integers(0, 40), st.integers(0, 100_000)), min_size=1, max_size=40)


@given(NUMBERS, st.sampled_from(["i8", "i4", "u4", "u8"]))
def test_counts_are_those_of_sets(members, dtype):
    sums = {a + b for a in members for b in members}
    differences = {a - b for a in members for b in members}
    assert sums_and_differences(np.array(members, dtype)) == (len(sums), len(differences))
    assert sums_and_differences(members[::-1]) == (len(sums), len(differences))


def test_the_largest_member_has_room():
    assert sums_and_differences([0, LARGEST]) == (3, 3)
    assert sums_and_differences([LARGEST]) == (1, 1)


def test_every_second_member_of_an_array_is_read_as_such():
    assert sums_and_differences(np.array([0, 99, 1, 99, 3])[::2]) == (6, 7)


@pytest.mark.parametrize(
    "members", [[], [[1, 2]], [0.5, 1.0], [True, False], ["1"], [-1, 2], [0, LARGEST + 1], 3, [0, 1 << 63]]
)
def test_what_is_no_set_of_numbers_in_range_is_refused(members):
    with pytest.raises(ValueError, match="members"):
        sums_and_differences(members)
