"""What a run is reduced to, with figures made by hand."""

import sys
from pathlib import Path

import pytest

from evolve.bench.study.outcomes import Outcome, area, at, value_of, within

sys.path.insert(0, str(Path(__file__).parent))
from made_up_outcomes import outcome

STEPS = [(1.0, 10.0), (5.0, 4.0), (11.0, 1.0)]


def test_the_area_is_the_mean_of_the_best_so_far():
    assert area(STEPS, 21.0) == pytest.approx((10.0 * 4 + 4.0 * 6 + 1.0 * 10) / 20)
    assert area(STEPS[:2], 7.0) == pytest.approx((10.0 * 4 + 4.0 * 2) / 6)
    assert area([(1.0, 3.0)], 50.0) == 3.0
    assert area([(1.0, 3.0)], 1.0) == 3.0


def test_what_comes_after_the_budget_does_not_count():
    assert within(STEPS, 11.0) == 3
    assert within(STEPS, 10.0) == 2
    assert within(STEPS, 0.5) == 1, "the seed program always counts"


def test_the_best_so_far_at_a_place():
    assert [at(STEPS, place) for place in (0.0, 1.0, 4.9, 5.0, 100.0)] == [10.0, 10.0, 10.0, 4.0, 1.0]


def test_unseen_is_the_mean_over_suites_and_a_failure_is_none():
    assert value_of(outcome(unseen=(1.0, 3.0)), "unseen") == 2.0
    assert value_of(outcome(unseen=(1.0, None)), "unseen") is None
    assert value_of(outcome(fresh=(1.0, 2.0)), "fresh") == 1.5
    with pytest.raises(KeyError):
        value_of(outcome(), "fresh")


def test_an_outcome_is_read_as_it_was_written():
    one = outcome(unseen=(1.0, None), fresh=(2.0,))
    assert Outcome.of(one.as_dict()) == one
