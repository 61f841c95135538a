"""Comparisons of real programs in real jails: the gate, the control, the rows, and what is drawn."""

from dataclasses import replace

import pytest

from evolve.bench.compare.comparing import ReferenceFails, compare, groups_of, problem_of_plan
from evolve.bench.compare.contenders import Wanted, planned
from evolve.bench.compare.orders import derived, timed_stream
from evolve.bench.compare.records import ALL_CASES, CONTROL, Contender, Report, Rules
from evolve.errors import UsageError
from evolve.source import text_hash

QUICK = Rules(pairs=6, rounds=1, draws=1)
# Right on what is not negative.
WRONG = "import numpy as np\n\ndef total(x):\n    return float(np.sum(x * np.abs(x)))\n"


def contender(name, source):
    return Contender(name, text_hash(source), source)


def rows(report, name):
    return {row.case: row for row in report.rows if row.contender == name}


def test_a_program_that_does_three_times_the_work_is_called_slower_on_every_case(reports):
    found = rows(reports["squares"], "wasteful")
    assert list(found) == ["short", "long", ALL_CASES]
    for row in found.values():
        assert row.verdict == "slower"
        assert row.low <= row.ratio <= row.high < 1.0
        assert row.pairs == 8
        assert row.disagreement is not None
    assert found["short"].ratio == pytest.approx(1 / 3, rel=0.3)
    assert len(found["short"].seconds) == 8 * 3


def test_every_report_holds_the_reference_against_itself(reports):
    for report in reports.values():
        control = rows(report, CONTROL)
        assert control
        for row in control.values():
            assert row.program == report.reference["program"]
            assert row.p_corrected is None


def test_a_control_that_does_not_hold_1_has_failed(reports):
    report = reports["squares"]
    moved = tuple(replace(row, low=1.2, high=1.3) if row.is_control else row for row in report.rows)
    assert replace(report, rows=moved).control_failed == ("short", "long", ALL_CASES)


def test_a_program_that_is_wrong_on_unseen_cases_is_not_timed(runs):
    plan = planned(runs["squares"], Wanted(seed=1, rules=QUICK))
    plan = replace(plan, contenders=(contender("wrong", WRONG), contender("loop", "while True: pass\n")))
    report = compare(plan)
    gates = {gate.contender: gate for gate in report.gates}
    assert gates[CONTROL].passed
    assert not gates["wrong"].passed
    assert "minus" in gates["wrong"].why
    assert gates["loop"].why.startswith("timeout")
    assert {row.contender for row in report.rows} == {CONTROL}


def test_a_reference_that_is_wrong_ends_the_comparison(runs):
    plan = replace(planned(runs["squares"], Wanted(rules=QUICK)), reference=contender("plain", WRONG))
    with pytest.raises(ReferenceFails, match="'plain' is itself wrong"):
        compare(plan)


def test_where_speed_is_not_sought_the_objective_is_compared_by_draw_and_by_case(reports):
    report = reports["lines"]
    assert report.reference["name"] == "close"
    off = rows(report, "off")
    assert off["fresh"].verdict == "worse"
    assert off["fresh"].gain < off["fresh"].gain_high < 0.0
    assert off["fresh"].pairs == 8
    assert off["far"].verdict == "too few pairs"
    assert (off["far"].value, off["far"].other) == (pytest.approx(400.0), pytest.approx(10.0))
    assert off["fresh"].ratio is not None
    assert rows(report, CONTROL)["fresh"].gain == 0.0


def test_neighbouring_seeds_and_draws_share_nothing():
    seeds = {
        derived(kind, seed, draw) for kind in ("gate", "drawn") for seed in range(30) for draw in range(30)
    }
    assert len(seeds) == 2 * 30 * 30
    assert timed_stream(1, 2) != timed_stream(2, 1)


def test_the_same_seed_draws_the_same_cases_again(runs, reports):
    again = compare(planned(runs["lines"], Wanted(seed=1, rules=Rules(pairs=8, rounds=3, draws=1))))
    for row, before in zip(again.rows, reports["lines"].rows, strict=True):
        assert (row.contender, row.case, row.value, row.gain) == (
            *(before.contender, before.case),
            *(before.value, before.gain),
        )
    other = compare(planned(runs["lines"], Wanted(seed=2, rules=QUICK)))
    assert rows(other, "off")["fresh"].value != rows(again, "off")["fresh"].value


def test_a_report_comes_back_as_it_was_written(reports):
    for report in reports.values():
        assert Report.from_dict(report.as_dict(seconds=True)) == report


def test_each_text_is_compared_once_and_the_reference_only_with_itself(runs):
    plan = planned(runs["squares"], Wanted(programs=["0"], islands=True, reference="wasteful"))
    sources = [one.source for one in plan.contenders]
    assert len(set(sources)) == len(sources)
    assert plan.reference.source not in sources
    assert {one.name for one in plan.contenders} >= {"best", "plain"}
    assert planned(runs["squares"], Wanted(reference="seed")).reference.name == "seed"


def test_a_reference_that_is_not_there_is_a_plain_error(runs):
    with pytest.raises(UsageError, match="there are: plain, wasteful, seed"):
        planned(runs["squares"], Wanted(reference="plane"))


def test_too_few_pairs_for_any_interval_are_refused():
    with pytest.raises(UsageError, match="pairs is 5: at least 6"):
        Rules(pairs=5)


def test_a_suite_that_is_called_fresh_is_kept_apart_from_fresh_draws(runs):
    problem = problem_of_plan(planned(runs["lines"], Wanted(seed=1, rules=QUICK)))
    case = problem.cases[0]
    drawn = replace(problem, fresh=lambda rng: [case], unseen={"fresh": [replace(case, name="u")]})
    assert groups_of(drawn, 1) == ("fresh draws", "fresh")
    assert groups_of(replace(drawn, unseen={}), 1) == ("fresh",)
