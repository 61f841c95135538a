"""What a study says of how far it is: counts that stay, words that fit, and a time that goes down."""

import io
from collections import Counter

import pytest
from rich.console import Console

from evolve.bench.study import watch
from evolve.bench.study.plan import plan_of
from evolve.bench.study.watch import Watch

TRIAL = {"lengths": [10, 20], "taken": [1.0, 2.0], "bytes": [10, 20], "after": 0.0, "unit": "evaluations"}
"""Ten seconds for a run of 100 evaluations."""


@pytest.fixture
def console(monkeypatch):
    def of(width, terminal):
        made = Console(
            file=io.StringIO(), width=width, force_terminal=terminal, highlight=False, markup=False
        )
        monkeypatch.setattr(watch, "err", lambda: made)
        return made.file

    return of


def watched(tmp_path, tried, **todo):
    plan = plan_of({"problems": ["capset n=4"], "budget": "100ev"}, tmp_path)
    return Watch(plan, 10, tried, Counter(todo), 1)


def ended(problem, seconds, whole=True):
    task = {"do": "run", "problem": problem, "strategy": "evolution", "seed": 7}
    return task, {"seconds": seconds, "whole": whole, "value": 1.5}


def said(one, in_hand=()):
    return one._line(in_hand)


def test_the_time_left_is_that_of_the_problems_that_are_left(tmp_path):
    one = watched(tmp_path, {"quick": TRIAL, "slow": TRIAL}, quick=2, slow=4)
    assert said(one) == "4 of 10 runs; about 60 s left"
    one.done(*ended("quick", 2.0))
    assert said(one) == "5 of 10 runs; about 42 s left; quick, evolution, seed 7: 1.5 (2.0 s a run)"
    one.done(*ended("slow", 20.0))
    assert "about 62 s left" in said(one)


def test_a_run_in_hand_is_not_all_to_come(tmp_path):
    one = watched(tmp_path, {"slow": TRIAL}, slow=2)
    assert "about 13 s left" in said(one, [("slow", 7.0)])
    assert "about 10 s left" in said(one, [("slow", 70.0)])


def test_a_run_that_was_resumed_says_nothing_of_whole_ones(tmp_path):
    one = watched(tmp_path, {"slow": TRIAL}, slow=3)
    one.done(*ended("slow", 1.0, whole=False))
    assert said(one) == "8 of 10 runs; about 20 s left; slow, evolution, seed 7: 1.5"


def test_without_a_trial_the_runs_that_ended_tell_and_before_them_nothing_does(tmp_path):
    one = watched(tmp_path, {}, asked=3, other=1)
    assert said(one) == "6 of 10 runs"
    one.done(*ended("asked", 5.0))
    assert "about 15 s left" in said(one)


def test_the_last_word_is_no_time(tmp_path, console):
    file = console(80, terminal=False)
    one = watched(tmp_path, {"slow": TRIAL}, slow=1)
    with one:
        one.tick(())
        one.done(*ended("slow", 5.0))
        one.tick(())
    assert file.getvalue() == "10 of 10 runs; slow, evolution, seed 7: 1.5\n"


@pytest.mark.parametrize("width", [24, 80, 120])
def test_a_terminal_shows_the_count_however_narrow_and_names_as_they_are(tmp_path, console, width):
    file = console(width, terminal=True)
    one = watched(tmp_path, {"a [/b] [red]": TRIAL}, **{"a [/b] [red]": 2})
    with one:
        one.done(*ended("a [/b] [red]", 5.0))
        one.tick(())
    assert "9 of 10 runs; " in file.getvalue()
    assert width < 80 or "a [/b] [red]" in file.getvalue()
