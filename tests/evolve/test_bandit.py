"""The bandit: a fold over credits, and a fair one."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.mutators.bandit import Bandit, reward_of

ARMS = ("a", "b", "c")
credits_given = st.lists(st.tuples(st.sampled_from(ARMS), st.floats(0, 1), st.floats(0, 50)), max_size=40)


@given(credits_given)
def test_state_is_a_fold_over_credits(history):
    one, other = Bandit(ARMS), Bandit(ARMS)
    rng = random.Random(1)
    for arm, reward, cost in history:
        one.choose(rng)  # choosing leaves no trace
        one.credit(arm, reward, cost)
        other.credit(arm, reward, cost)
    assert one.shares() == other.shares()
    assert [one.choose(random.Random(i)) for i in range(20)] == [
        other.choose(random.Random(i)) for i in range(20)
    ]


@given(credits_given)
def test_shares_are_probabilities_and_no_arm_dies(history):
    bandit = Bandit(ARMS)
    for credit in history:
        bandit.credit(*credit)
    shares = bandit.shares()
    assert sum(shares.values()) == pytest.approx(1.0)
    assert min(shares.values()) >= bandit.floor / len(ARMS) - 1e-12


def test_an_arm_that_earns_is_chosen_more():
    bandit = Bandit(ARMS)
    for _ in range(100):
        for arm in ARMS:
            bandit.credit(arm, 0.5 if arm == "b" else 0.01, 1.0)
    rng = random.Random(0)
    chosen = [bandit.choose(rng) for _ in range(1000)]
    assert chosen.count("b") > 600


def test_a_reward_that_costs_more_counts_for_less():
    bandit = Bandit(ARMS)
    for _ in range(100):
        bandit.credit("a", 0.3, 1.0)
        bandit.credit("b", 0.3, 30.0)
    assert bandit.shares()["a"] > 2 * bandit.shares()["b"]


def test_what_earned_long_ago_is_forgotten():
    bandit = Bandit(ARMS)
    for _ in range(50):
        bandit.credit("a", 1.0, 1.0)
    high = bandit.shares()["a"]
    for _ in range(3000):
        for arm in ARMS:
            bandit.credit(arm, 0.05, 1.0)
    assert high > 0.5
    assert bandit.shares()["a"] == pytest.approx(1 / 3, abs=0.02)


def test_an_unknown_arm_is_no_error_and_a_negative_reward_is():
    bandit = Bandit(ARMS)
    bandit.credit("of an older version", 1.0, 1.0)
    with pytest.raises(ValueError, match="negative"):
        bandit.credit("a", -0.1, 1.0)
    with pytest.raises(ValueError, match="negative"):
        bandit.credit("a", float("nan"), 1.0)
    with pytest.raises(ValueError, match="no name twice"):
        Bandit(("a", "a"))


def test_rewards_are_ranks():
    assert reward_of(None, 10, False) == 0.0
    assert reward_of(0, 10, True) == 1.0
    assert 0.0 < reward_of(9, 10, False) < reward_of(2, 10, False) < 0.5


def test_only_arms_that_are_asked_for_are_chosen():
    bandit = Bandit(ARMS)
    some = frozenset("ab")
    assert {bandit.choose(random.Random(i), some) for i in range(50)} == {"a", "b"}
    bandit.credit("a", 1.0, 0.0)
    assert sum(bandit.shares(some).values()) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="is an arm"):
        bandit.choose(random.Random(0), frozenset("z"))
