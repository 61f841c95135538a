import math

import pytest

from evolve.fastcore.limits import AnswerBounds, Limits


def test_the_defaults_are_valid_and_frozen():
    limits = Limits()
    assert (limits.seconds, limits.memory, limits.threads) == (10.0, 1 << 30, 1)
    with pytest.raises(AttributeError):
        limits.seconds = 3.0


@pytest.mark.parametrize("name", ["seconds", "cpu_seconds", "setup_seconds"])
@pytest.mark.parametrize("value", [0, -1.0, math.inf, math.nan, "10"])
def test_a_time_that_is_not_positive_and_finite_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        Limits(**{name: value})


@pytest.mark.parametrize("name", ["memory", "answer_bytes", "threads"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_a_size_that_is_not_a_positive_integer_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        Limits(**{name: value})


def test_no_output_may_be_kept_at_all():
    assert Limits(output_bytes=0).output_bytes == 0


def test_bounds_deeper_than_the_wire_are_refused():
    with pytest.raises(ValueError, match="depth"):
        AnswerBounds(depth=65)
