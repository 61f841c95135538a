"""The trusted side: forms, limits, statuses. Programs here are plain callables; jailed ones are tested elsewhere."""

import contextlib
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.fastcore.interpret import NotInterpretable
from evolve.fastcore.runner import Failure, Usage
from evolve.programs_db.records import Measure, Objective, Status
from evolve.scoring import Scorer, Stopped, aggregate
from evolve.spec import Array, Plain, Real
from evolve.statement import Case, Grid, Problem, Rejected, Stage


class Program:
    """A session whose program is a Python callable of the test."""

    def __init__(self, entry):
        self.entry = entry
        self.calls = []

    def begin_case(self):
        pass

    def call(self, args):
        self.calls.append(args)
        return self.entry(*args)

    def finish(self):
        return Usage(0.0, 0.0, 0, "", "none")


def make(**more):
    given = {
        "entry": "f",
        "cases": [Case("a", inputs=(1.0,), hidden=2.0), Case("b", inputs=(3.0,), hidden=6.0)],
        "score": lambda y, case: {"error": abs(y - case.hidden), "m": y},
        "objective": Objective("error", "min"),
        "measures": [Measure("m", 0.0, 1.0)],
        "returns": Real(),
    }
    return Problem(**{**given, **more})


def status_of(problem, entry):
    with pytest.raises(Stopped) as stop:
        Scorer(problem).run(Program(entry), problem.cases)
    return stop.value.status, stop.value.message


def test_scores_are_put_together_over_cases():
    problem = make(aggregate={"m": "max"})
    scored = Scorer(problem).run(Program(lambda x: x + 1.5), problem.cases)
    assert scored.status is Status.OK
    assert scored.objective == pytest.approx(1.0)
    assert scored.scores == {"a": {"error": 0.5, "m": 2.5}, "b": {"error": 1.5, "m": 4.5}}
    assert scored.measures == {"m": 4.5}


def test_programs_that_act_the_same_share_a_behaviour_and_others_do_not():
    problem = make()
    one, two, other = (
        Scorer(problem).run(Program(entry), problem.cases).behaviour
        for entry in (lambda x: 2 * x, lambda x: x + x, lambda x: 3 * x)
    )
    assert one == two != other


@pytest.mark.parametrize(
    ("score", "status", "says"),
    [
        (lambda y, c: 1 / 0, Status.UNSCORABLE, "case a: score raised ZeroDivisionError"),
        (lambda y, c: {"error": math.nan, "m": 0}, Status.UNSCORABLE, "score returned nan for 'error'"),
        (lambda y, c: {"error": 1.0, "m": math.inf}, Status.UNSCORABLE, "score returned inf for 'm'"),
        (lambda y, c: {"m": 0.0}, Status.UNSCORABLE, "no 'error'"),
        (lambda y, c: {"error": "small", "m": 0.0}, Status.UNSCORABLE, "of type str"),
        (lambda y, c: 3.0, Status.UNSCORABLE, "score returned float"),
        (lambda y, c: exit(), Status.UNSCORABLE, "SystemExit"),
        (lambda y, c: [0] * 10**13, Status.UNSCORABLE, "MemoryError"),
    ],
)
def test_a_score_that_breaks_is_unscorable(score, status, says):
    assert status_of(make(score=score), lambda x: x)[0] is status
    assert says in status_of(make(score=score), lambda x: x)[1]


def test_a_rejection_carries_its_reason_without_control_characters():
    def score(y, case):
        raise Rejected("too \x1b[31mlarge")

    status, message = status_of(make(score=score), lambda x: x)
    assert status is Status.REJECTED
    assert "large" in message
    assert "\x1b" not in message


def test_a_score_that_runs_on_is_stopped_in_time():
    def score(y, case):
        while True:
            with contextlib.suppress(Exception):
                time.sleep(0.01)

    started = time.monotonic()
    status, message = status_of(make(score=score, score_seconds=0.2), lambda x: x)
    assert time.monotonic() - started < 2.0
    assert status is Status.UNSCORABLE
    assert "0.2 s" in message


def test_the_answer_is_refused_before_score_sees_it():
    seen = []
    problem = make(score=lambda y, c: seen.append(y))
    assert status_of(problem, lambda x: math.nan) == (Status.REJECTED, "case a: answer is not finite")
    assert not seen


def test_a_table_is_made_once_a_grid_and_nan_means_never():
    x = np.arange(3.0)
    tables = []
    problem = make(
        form="table",
        cases=[Case("a", hidden=1), Case("b", hidden=2)],
        grid=Grid((x,)),
        simulate=lambda table, case: tables.append(table) or table[1:].sum(),
        score=lambda y, case: {"error": y, "m": 0.0},
    )
    program = Program(lambda x: 0.0 / x if x[0] else np.where(x > 0, x, np.nan))
    scored = Scorer(problem).run(program, problem.cases)
    assert len(program.calls) == 1
    assert scored.objective == 3.0
    assert tables[0][0] == -math.inf
    assert (
        Scorer(problem).run(Program(lambda x: 1), problem.cases).objective == 2.0
    )  # a constant is broadcast


def test_a_table_of_the_wrong_shape_or_kind_is_rejected():
    problem = make(
        form="table",
        cases=[Case("a")],
        grid=Grid((np.arange(3.0),)),
        simulate=lambda table, case: 0.0,
    )
    assert status_of(problem, lambda x: np.zeros(4))[0] is Status.REJECTED
    assert status_of(problem, lambda x: "text")[0] is Status.REJECTED
    assert status_of(problem, lambda x: x * 1j)[0] is Status.REJECTED


def test_a_step_program_is_asked_one_decision_at_a_time():
    def simulate(decide, case):
        state = np.zeros(2)
        for _ in range(3):
            state = decide(state)
        return float(state.sum())

    problem = make(form="step", cases=[Case("a", hidden=6.0)], simulate=simulate, returns=Array("f8", (2,)))
    assert Scorer(problem).run(Program(lambda s: s + 1.0), problem.cases).objective == 0.0
    assert status_of(problem, lambda s: s * math.nan) == (
        Status.REJECTED,
        "case a: answer holds a value that is not finite",
    )

    def fails(state):
        raise Failure("timeout", "too slow")

    with pytest.raises(Failure):
        Scorer(problem).run(Program(fails), problem.cases)


def test_the_clock_of_simulate_stands_still_while_the_program_thinks():
    def simulate(decide, case):
        return float(decide(0.0))

    problem = make(form="step", cases=[Case("a", hidden=0.0)], simulate=simulate, score_seconds=0.1)
    assert Scorer(problem).run(Program(lambda s: time.sleep(0.3) or 0.0), problem.cases).objective == 0.0


def test_a_cascade_stops_a_program_that_misses_the_gate():
    problem = make(stages=[Stage(("b",), gate=1.0)])
    program = Program(lambda x: 0.0)
    with pytest.raises(Stopped, match="does not reach the gate 1"):
        Scorer(problem).run(program, problem.cases)
    assert program.calls == [(3.0,)]  # the cheap stage alone was run
    assert Scorer(problem).run(Program(lambda x: 2 * x), problem.cases).objective == 0.0


def test_repeats_run_each_case_with_other_seeds_each_round():
    problem = make(repeats=2, score=lambda y, c: {"error": y, "m": 0.0})
    first, second = (
        Scorer(problem).run(Program(lambda x, seed: float(seed)), problem.cases, round).scores
        for round in (0, 1)
    )
    assert {name: case["error"] for name, case in first.items()} == {"a#0": 0, "a#1": 1, "b#0": 0, "b#1": 1}
    assert {case["error"] for case in second.values()} == {2.0, 3.0}


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_aggregates_are_what_they_are_called(values):
    assert aggregate("min", values) == min(values)
    assert aggregate("max", values) == max(values)
    assert aggregate("sum", values) == math.fsum(values)
    assert min(values) - 1e-9 <= aggregate("mean", values) <= max(values) + 1e-9
    assert aggregate(min, values) == min(values)


@pytest.mark.parametrize(
    ("more", "entry", "says"),
    [
        ({"returns": Plain()}, lambda x: 10**400, "score returned inf for 'm'"),
        ({"returns": Plain()}, lambda x: -(10**400), "score returned -inf for 'm'"),
        ({"score": lambda y, c: {"error": np.complex128(1j), "m": 0.0}}, float, "of type complex128"),
        ({"stages": [Stage(("a", "b"), gate=1.0)]}, lambda x: 1.7e308, "aggregate raised OverflowError"),
        ({"aggregate": {"m": lambda values: math.nan}}, float, "the aggregated 'm' is nan"),
        (
            {"aggregate": {"error": lambda v: 1 / 0}, "stages": [Stage(("a",), gate=1.0)]},
            float,
            "ZeroDivision",
        ),
    ],
)
def test_numbers_beyond_a_float_are_unscorable_and_never_an_error_of_the_judge(more, entry, says):
    score = {"score": lambda y, c: {"error": 1.0 if type(y) is int else y, "m": y}}
    status, message = status_of(make(**{**score, **more}), entry)
    assert (status, says in message) == (Status.UNSCORABLE, True), message


def test_a_decision_that_only_the_jail_can_make_is_no_fault_of_simulate():
    problem = make(
        form="step",
        cases=[Case("a", hidden=1)],
        simulate=lambda decide, case: decide(1),
        score=lambda y, c: {"error": y, "m": y},
    )

    def entry(x):
        raise NotInterpretable("integer beyond 2**63")

    with pytest.raises(NotInterpretable):
        Scorer(problem).run(Program(entry), problem.cases)
