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
    ],
)
def test_a_budget_is_understood(text, budget):
    assert Budget.parse(text) == budget


@pytest.mark.parametrize("text", ["", "s", "-5", "1.5", "5 bananas", "0", "0s", "1e3", "nan", "12__3"])
def test_a_malformed_budget_says_what_may_be_said(text):
    with pytest.raises(UsageError, match="budget"):
        Budget.parse(text)


def test_a_budget_in_tokens_needs_a_model():
    with pytest.raises(UsageError, match="needs a model"):
        Budget.parse("2Mtok")


def test_an_unknown_dial_is_an_error_that_lists_the_dials():
    with pytest.raises(UsageError, match=r"no dial called 'isles'; there are: .*islands"):
        Config.of({"isles": 3})
    with pytest.raises(UsageError, match="islands is 'many'"):
        Config.of({"islands": "many"})
    with pytest.raises(UsageError, match="at least 1"):
        Config(islands=0)
    assert Config.of({"islands": "3", "retest": "false"}) == Config(islands=3, retest=False)
