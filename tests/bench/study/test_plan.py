"""Plans: what they say, what they refuse, and that another process reads the same one."""

import json
import os

import pytest

from evolve.bench.study.cost import spans
from evolve.bench.study.plan import Plan, plan_of, read_plan, seeds_of
from evolve.bench.study.strategies import SHIPPED
from evolve.budget import Budget
from evolve.errors import UsageError
from evolve.mutators.simulated import Simulated

GOOD = {"problems": ["capset n=4"], "budget": "100ev"}


def plan(home, **given):
    return plan_of({**GOOD, **given}, home)


def test_a_file_says_everything(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text(
        """
        problems = ["online_bin_packing", {name = "capset", n = 6}, "mine/my.py:other k=2"]
        seeds = [3, 5]
        budget = "2Mtok"
        compare = [["rare", "evolution"], ["rare", "tuner"]]
        outcome = "unseen"
        draws = 0
        [strategies.rare]
        migrate = 10000
        [strategies.rarer]
        extends = "rare"
        islands = 8
        [simulated]
        tokens = 1000
        slots = 16
        """
    )
    made = read_plan(path)
    assert [one.label for one in made.problems] == ["online_bin_packing", "capset n=6", "other k=2"]
    assert made.problems[2].name == str(tmp_path / "mine/my.py:other")
    assert (made.seeds, made.budget, made.draws) == ((3, 5), Budget(tokens=2_000_000), 0)
    assert [one.name for one in made.strategies] == ["rare", "rarer", "evolution", "tuner"]
    assert made.strategy("rarer").dials == {"migrate": 10000, "islands": 8}
    assert made.simulated == Simulated(tokens=1000, slots=16)
    assert plan_of(made.as_given(), tmp_path / "elsewhere") == made


def test_the_first_strategy_is_compared_with_each_other(tmp_path):
    made = plan(tmp_path, strategies=["evolution", "independent", {"name": "wide", "islands": 9}])
    assert made.compare == (("evolution", "independent"), ("evolution", "wide"))
    assert plan_of(made.as_given(), tmp_path) == made


def test_every_shipped_strategy_says_what_it_is_and_has_dials_that_exist():
    for name, one in SHIPPED.items():
        assert one.name == name
        assert len(one.about.split()) > 3
        one.config()
    assert not SHIPPED["no_archive"].config().cells
    assert SHIPPED["independent"].config().root == 1.0
    assert SHIPPED["hill_climbing"].config().window == 1


@pytest.mark.parametrize(
    ("words", "seeds"), [("0-3", (0, 1, 2, 3)), ("7", (7,)), ("1, 4-5", (1, 4, 5)), ([9, 2], (9, 2))]
)
def test_seeds_are_said_in_several_ways(words, seeds):
    assert seeds_of(words) == seeds


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"problem": "x"}, "no key called 'problem'"),
        ({"problems": []}, "at least one problem"),
        ({"problems": "capset"}, "problems is a list"),
        ({"problems": ["capset n"]}, "NAME PARAMETER=VALUE"),
        ({"problems": ["capset n=4", "capset n=4"]}, "'capset n=4' is given twice"),
        ({"seeds": "0-"}, "seeds '0-' are not understood"),
        ({"seeds": "0-1,9-5"}, "seeds '0-1,9-5' are not understood"),
        ({"seeds": [1, 1]}, "seed 1 is given twice"),
        ({"budget": "60s"}, "seconds match nothing"),
        ({"budget": "2Mtok"}, "needs a model"),
        ({"budget": "many"}, "is not understood"),
        ({"strategies": ["nonesuch"]}, "no strategy called 'nonesuch'"),
        ({"strategies": [{"name": "evolution", "islands": 2}]}, "ships with evolve"),
        ({"strategies": [{"name": "mine", "isles": 2}]}, "no dial called 'isles'"),
        ({"strategies": [{"name": "mine", "extends": "yours"}]}, "extends 'yours'"),
        ({"strategies": [{"name": "../up", "islands": 2}]}, "a name has letters"),
        ({"strategies": ["classical"]}, "no strategy searches"),
        ({"strategies": ["evolution", "no_inspirations"]}, "only where a model is asked"),
        ({"strategies": ["evolution"], "compare": [["evolution", "evolution"]]}, "two different strategies"),
        ({"compare": ["evolution"]}, "list of pairs"),
        ({"outcome": "luck"}, "outcome 'luck'"),
        ({"simulated": {"invalid": 2}}, "shares from 0 to 1"),
        ({"simulated": {}, "llm": "auto"}, "not both"),
        ({"draws": True}, "a whole number"),
        ({"problems": ['capset n="4']}, "No closing quotation"),
        ({"problems": ["café.py", "cafè.py"]}, "differ only in what no file is named after"),
        ({"simulated": {"tokens": float("inf")}}, "tokens is inf; it takes int"),
        ({"strategies": [{"name": "mine", "islands": float("inf")}]}, "islands is inf; it takes int"),
        ({"strategies": [{"name": "mine", "cells": "maybe"}]}, "cells is 'maybe'; it takes yes or no"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(tmp_path, given, words):
    with pytest.raises(UsageError, match=words):
        plan(tmp_path, **given)


def test_a_plan_file_that_is_none_is_refused_by_name(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text("problems = [")
    with pytest.raises(UsageError, match=r"plan\.toml: not TOML"):
        read_plan(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_plan(tmp_path / "none.toml")


def test_where_a_problem_lies_is_no_part_of_what_is_asked(tmp_path):
    one, other = (plan(tmp_path / name, problems=["my.py"]) for name in ("a", "b"))
    assert isinstance(one, Plan)
    assert one.problems != other.problems
    assert one.as_dict() == other.as_dict()


@pytest.mark.parametrize(
    "given",
    [
        {"budget": "0.00001money", "simulated": {"price": 0.000001}},
        {"budget": "0.00002cpu"},
        {"problems": ["my.py name=ann 'words=two of them'"]},
    ],
)
def test_another_process_makes_the_same_plan_of_what_it_is_told(tmp_path, given):
    one = plan(tmp_path, **given)
    assert plan_of(json.loads(json.dumps(one.as_given())), tmp_path / "elsewhere") == one


def test_more_runs_side_by_side_than_cores_promise_no_sooner_end(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    asked = plan(tmp_path)
    trial = {"lengths": [10, 20], "taken": [1.0, 2.0], "bytes": [10, 20], "after": 0.0, "unit": "evaluations"}
    seconds = [spans(asked, {"capset n=4": trial}, {"capset n=4": 8}, jobs)["seconds"] for jobs in (1, 2, 8)]
    assert seconds == pytest.approx([80.0, 40.0, 40.0])


def test_runs_that_ended_say_more_of_those_to_come_than_a_trial_and_nothing_of_another_problem(tmp_path):
    asked = plan(tmp_path)
    trial = {"lengths": [10, 20], "taken": [1.0, 2.0], "bytes": [10, 20], "after": 0.0, "unit": "evaluations"}
    tried = {"quick": trial, "slow": trial}
    todo = {"quick": 1, "slow": 4}
    assert spans(asked, tried, todo, 1, ({"quick": [1.0, 3.0], "slow": []}, ()))["seconds"] == pytest.approx(
        42.0
    )
    assert spans(asked, tried, todo, 1, ({"quick": [2.0], "slow": [30.0]}, ()))["seconds"] == pytest.approx(
        122.0
    )
    assert spans(asked, tried, todo, 1)["bytes"] == 500
    unknown = spans(asked, {"quick": trial}, todo, 1)
    assert (unknown["runs"], unknown["seconds"], unknown["bytes"]) == (5, None, None)
