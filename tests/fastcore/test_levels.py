"""Counts rounded down to levels."""

import pytest

from evolve.fastcore.kernels.levels import level_of, levels


def test_levels_are_exact_up_to_eight_and_then_some_a_doubling():
    assert levels(32).tolist() == [*range(1, 9), 10, 12, 14, 16, 20, 24, 28, 32]
    assert levels(33, steps=2).tolist() == [*range(1, 9), 12, 16, 24, 32]
    assert level_of(levels(12), 15).tolist() == [0, *range(8), 7, 8, 8, 9, 9, 9, 9]


@pytest.mark.parametrize(("most", "steps"), [(7, 4), (8, 3), (8, 16)])
def test_levels_that_cannot_be_are_an_error(most, steps):
    with pytest.raises(ValueError, match="levels up to"):
        levels(most, steps)
