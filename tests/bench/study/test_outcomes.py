"""What a run is reduced to, with figures made by hand."""

import sys
from pathlib import Path

import numpy as np
import pytest

from evolve.bench.study.outcomes import Outcome, area, at, classical, value_of, within
from evolve.bench.study.plan import plan_of
from evolve.bench.study.plots import places_of, said

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


def test_the_best_baseline_is_best_in_the_direction_of_its_objective():
    """And is the outcome of the strategy that asks for it, of which there may be two."""
    line = {"elsewhere": {"unseen": {}, "fresh": [], "failures": {}}}
    baselines = {name: {**line, "value": value} for name, value in (("a", 1.0), ("b", 3.0), ("c", None))}
    for direction, name in (("min", "a"), ("max", "b")):
        objective = {"name": "cost", "direction": direction, "unit": ""}
        found = classical(("p", "mine", 4), {"objective": objective, "baselines": baselines})
        assert (found.program, found.strategy, found.seed) == (name, "mine", 4)
    assert classical(("p", "mine", 4), {"objective": objective, "baselines": {"c": baselines["c"]}}) is None


@pytest.mark.parametrize(
    ("budget", "first"), [("0.4cpu", 0.001), ("1.2money", 0.003), ("80ev", 1.0), ("4000ev", 10.0)]
)
def test_curves_are_read_off_where_the_budget_is_spent(tmp_path, budget, first):
    plan = plan_of({"problems": ["capset"], "budget": budget, "simulated": {"price": 0.01}}, tmp_path)
    places = places_of(plan)
    assert (places[0], places[-1]) == pytest.approx((first, plan.amount))
    assert all(np.diff(places) > 0)


def test_a_budget_is_said_with_its_unit():
    assert said(1.0, "evaluations") == "1 evaluation"
    assert said(2000.0, "evaluations") == "2000 evaluations"
    assert said(2e6, "tokens") == "2,000,000 tokens"
    assert said(1.5, "money") == "1.5 money"
    assert said(1.0, "cpu_seconds") == "1 CPU second"
