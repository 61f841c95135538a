"""Budgets are read as people write them."""

import pytest

from evolve.budget import Budget
from evolve.config import Config
from evolve.errors import UsageError


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("60s", Budget(seconds=60)),
        ("1.5m", Budget(seconds=90)),
        ("2h", Budget(seconds=7200)),
        ("5000", Budget(proposals=5000)),
        ("5_000", Budget(proposals=5000)),
        ("10k", Budget(proposals=10_000)),
        (" 3 min ", Budget(seconds=180)),
        ("2Mtok", Budget(tokens=2_000_000)),
        ("1.5ktok", Budget(tokens=1500)),
        ("300req", Budget(requests=300)),
        ("12.50money", Budget(money=12.5)),
        ("2000ev", Budget(evaluations=2000)),
        ("1.5kev", Budget(evaluations=1500)),
        ("300cpu", Budget(cpu_seconds=300)),
    ],
)
def test_a_budget_is_understood(text, budget):
    assert Budget.parse(text) == budget


@pytest.mark.parametrize("text", ["", "s", "-5", "1.5", "5 bananas", "0", "0s", "1e3", "nan", "12__3"])
def test_a_malformed_budget_says_what_may_be_said(text):
    with pytest.raises(UsageError, match="budget"):
        Budget.parse(text)


def test_several_budgets_are_one_and_none_is_given_twice():
    assert Budget.parse_all(["60s", "2Mtok", "10"]) == Budget(seconds=60, tokens=2_000_000, proposals=10)
    assert Budget.parse_all([]) == Budget()
    with pytest.raises(UsageError, match="seconds are limited twice"):
        Budget.parse_all(["60s", "10", "2m"])


def test_a_budget_comes_back_from_a_ledger_and_is_told():
    budget = Budget(seconds=60, tokens=5000, money=0.5)
    assert Budget(**budget.as_dict()) == budget
    assert str(budget) == "60s or 5000 tokens or 0.5 of money"
    assert Budget(proposals=5).as_dict() == {"proposals": 5, "seconds": None}


def test_an_unknown_dial_is_an_error_that_lists_the_dials():
    with pytest.raises(UsageError, match=r"no dial called 'isles'; there are: .*islands"):
        Config.of({"isles": 3})
    with pytest.raises(UsageError, match="islands is 'many'"):
        Config.of({"islands": "many"})
    for number in (2.5, "2.5", float("nan")):
        with pytest.raises(UsageError, match=r"islands is .*; it takes int"):
            Config.of({"islands": number})
    with pytest.raises(UsageError, match="at least 1"):
        Config(islands=0)
    for word in ("maybe", "", [1]):
        with pytest.raises(UsageError, match=r"retest is .*; it takes yes or no"):
            Config.of({"retest": word})
    assert Config.of({"retest": "on", "cells": "off"}) == Config(retest=True, cells=False)
    assert Config.of({"islands": "3", "retest": "false"}) == Config(islands=3, retest=False)


def test_a_ledger_that_is_older_than_a_dial_goes_on_without_it():
    old = {"islands": 4, "window": 32, "greedy": 0.5, "anneal": 20_000, "keep": 0.3}
    config = Config.recorded(old)
    assert (config.greedy, config.keep, config.ramp, config.patience) == (0.5, 0.3, 0, 0.0)
    assert (config.cells, config.root, config.brood, config.restart) == (True, 0.0, 1, 0)
    assert Config.recorded(Config(ramp=3, patience=0.5).as_dict()) == Config(ramp=3, patience=0.5)


@pytest.mark.parametrize(
    "dials",
    [
        {"pressure": "nan"},
        {"pressure": -1.0},
        {"pressure": "inf"},
        {"fatigue": -1000},
        {"fatigue": "inf"},
        {"islands": 1_000_000_000},
        {"greedy": "nan"},
    ],
)
def test_a_dial_that_cannot_be_meant_is_refused(dials):
    with pytest.raises(UsageError, match=f"config: {next(iter(dials))} is "):
        Config.of(dials)


def test_yes_and_no_are_read_in_any_case():
    assert Config.of({"cells": "False", "exhaust": "NO", "retest": "True"}) == Config(
        cells=False, exhaust=False
    )
