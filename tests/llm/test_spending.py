"""The purse: no schedule of reservations and replies exceeds a limit by one token."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.errors import UsageError
from evolve.llm.errors import Overspent
from evolve.llm.records import Message, Request, Usage
from evolve.llm.spending import SLACK, Limits, Price, Purse


def ask(max_tokens=50, n=1, model=""):
    return Request((Message("user", "u"),), "s", model, max_tokens, n=n)


def test_a_hold_is_settled_and_the_rest_comes_back():
    purse = Purse(Limits(tokens=300), slack=1.0)
    first = purse.reserve(ask(100), 20)
    second = purse.reserve(ask(100), 20)
    with pytest.raises(Overspent, match="budget of tokens: 0 of 300 spent and 240 set aside") as caught:
        purse.reserve(ask(100), 20)
    assert caught.value.pending
    first.settle(Usage(20, 10, 30, 5))
    second.release()
    third = purse.reserve(ask(200), 50)
    third.settle(None)
    assert purse.tally.usage == Usage(70, 10, 230, 5)
    with pytest.raises(Overspent) as caught:
        purse.reserve(ask(1), 0)
    assert not caught.value.pending
    assert purse.tally.requests == 2


def test_requests_are_limited_and_what_was_not_billed_is_none():
    purse = Purse(Limits(requests=2))
    for _ in range(5):
        with purse.reserve(ask(), 5):
            pass
    assert purse.tally.requests == 0
    purse.reserve(ask(), 5).settle(Usage(5, 0, 5))
    hold = purse.reserve(ask(), 5)
    assert purse.room("", 5) == 0
    with pytest.raises(Overspent, match="requests"):
        purse.reserve(ask(), 5)
    hold.settle(Usage(5, 0, 5))
    hold.release()
    assert purse.tally.requests == 2


def test_money_is_counted_to_the_last_unit():
    prices = {"small": Price(prompt=0.1, completion=0.3, cached=0.01), "": Price(1.0, 2.0)}
    purse = Purse(Limits(money=1.0), prices, slack=1.0)
    purse.charge(Usage(1_000_000, 400_000, 1_000_000), "small")
    assert purse.tally.money == pytest.approx(0.06 + 0.004 + 0.3, abs=1e-12)
    purse.charge(Usage(100_000, 0, 200_000), "other")
    assert purse.tally.money == pytest.approx(0.864, abs=1e-12)
    purse.reserve(ask(68_000, model="other"), 0).release()
    with pytest.raises(Overspent, match=r"money: 0\.864000 of 1\.000000"):
        purse.reserve(ask(68_001, model="other"), 0)
    assert purse.room("other", 0) == 68_000


def test_a_tenth_ten_times_is_one():
    purse = Purse(Limits(money=1.0), {"": Price(0.0, 0.1)}, slack=1.0)
    for _ in range(10):
        purse.reserve(ask(1_000_000), 0).settle(Usage(0, 0, 1_000_000))
    assert purse.tally.money == 1.0
    with pytest.raises(Overspent):
        purse.reserve(ask(1), 0)


def test_what_was_cached_may_be_dearer_and_no_price_is_too_small_to_count():
    purse = Purse(Limits(money=1.0), {"": Price(prompt=1.0, completion=0.0, cached=2.0)}, slack=1.0)
    with pytest.raises(Overspent):
        purse.reserve(ask(1), 500_001)
    purse.reserve(ask(1), 500_000).settle(Usage(500_000, 500_000, 1))
    assert purse.tally.money == 1.0
    with pytest.raises(Overspent):
        purse.reserve(ask(1), 1)
    purse = Purse(Limits(money=1.0), {"": Price(0.0, 1e-13)})
    purse.charge(Usage(0, 0, 1))
    assert purse.tally.money == 1e-12


def test_a_model_without_a_name_costs_what_the_dearest_costs():
    purse = Purse(Limits(money=1.0), {"a": Price(1.0, 2.0), "b": Price(3.0, 1.0)})
    purse.charge(Usage(1_000_000, 0, 1_000_000))
    assert purse.tally.money == 5.0
    with pytest.raises(UsageError, match="model 'c' has no price"):
        purse.reserve(ask(model="c"), 5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Limits(tokens=-1), "limit of tokens: -1"),
        (lambda: Limits(money=float("nan")), "limit of money"),
        (lambda: Purse(Limits(money=1.0)), "needs prices"),
        (lambda: Purse(Limits(), {"": Price(-1.0, 1.0)}), "price of prompt tokens"),
        (lambda: Purse(Limits(), slack=0.5), "slack"),
    ],
)
def test_what_cannot_be_meant_is_said(make, words):
    with pytest.raises(UsageError, match=words):
        make()


def test_a_wasted_attempt_is_charged_and_the_next_needs_room_of_its_own():
    purse = Purse(Limits(tokens=220), slack=1.0)
    hold = purse.reserve(ask(90), 10)
    hold.waste(Usage(10, 0, 90))
    hold.waste(Usage(10, 0, 10))
    with pytest.raises(Overspent):
        hold.waste(Usage(1, 0, 0))
    assert (purse.tally.wasted.tokens, purse.tally.requests) == (121, 3)
    with pytest.raises(RuntimeError):
        hold.waste(Usage(1, 0, 0))
    assert purse.room("", 0) == 99


def test_a_reply_beyond_its_slack_widens_what_follows():
    purse = Purse(Limits(tokens=10_000), slack=1.0)
    purse.reserve(ask(100), 0).settle(Usage(0, 0, 180))
    assert purse.margin == 80
    assert purse.room("", 0) == 10_000 - 180 - 80
    assert purse.overrun == 0


class Schedule:
    """Any order of reservations, replies, failures, resumptions."""

    def __init__(self, data, longest):
        self.data, self.longest = data, longest
        self.limits = Limits(
            requests=data.draw(st.none() | st.integers(0, 30)),
            tokens=data.draw(st.integers(0, 2_000)),
            money=data.draw(st.none() | st.floats(0, 0.01)),
        )
        price = st.floats(0, 10)
        self.prices = {"": Price(data.draw(price), data.draw(price), data.draw(st.none() | price))}
        self.purse = Purse(self.limits, self.prices)
        self.open, self.settled = [], []

    def usage(self, asked):
        longest = self.longest
        prompt = self.data.draw(st.integers(0, int(longest * asked.prompt)))
        completion = self.data.draw(st.integers(0, int(longest * asked.completion)))
        return Usage(prompt, self.data.draw(st.integers(0, prompt)), completion)

    def take(self):
        return self.open.pop(self.data.draw(st.integers(0, len(self.open) - 1)))

    def step(self):
        act = self.data.draw(st.sampled_from(("reserve", "reserve", "settle", "release", "waste", "resume")))
        if act == "reserve":
            request = ask(self.data.draw(st.integers(1, 60)), self.data.draw(st.integers(1, 4)))
            try:
                self.open.append(self.purse.reserve(request, self.data.draw(st.integers(0, 100))))
            except Overspent:
                return
        elif act == "resume":
            # What is in flight comes back first: a session ends when its replies are in the ledger.
            for hold in self.open:
                self.settle(hold, waste=False)
            self.open.clear()
            self.purse = Purse(self.limits, self.prices)
            for usage, asked, wasted in self.settled:
                self.purse.charge(usage, asked=asked, wasted=wasted)
        elif self.open:
            hold = self.take()
            if act == "release":
                hold.release()
            else:
                self.settle(hold, waste=act == "waste")

    def settle(self, hold, waste):
        usage = self.usage(hold.asked)
        self.settled.append((usage, hold.asked, waste))
        if not waste:
            hold.settle(usage)
            return
        try:
            hold.waste(usage)
        except Overspent:
            return
        self.open.append(hold)

    def spent(self):
        total = sum(usage.tokens for usage, _, _ in self.settled)
        tally = self.purse.tally
        assert total == tally.usage.tokens + tally.wasted.tokens
        assert tally.requests == len(self.settled)
        return total


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_limit_is_exceeded_in_any_schedule_also_when_replies_are_longer_than_asked(data):
    schedule = Schedule(data, longest=SLACK)
    for _ in range(data.draw(st.integers(5, 60))):
        schedule.step()
        assert schedule.spent() <= schedule.limits.tokens
        assert schedule.purse.overrun == 0
        if schedule.limits.requests is not None:
            assert len(schedule.settled) <= schedule.limits.requests
        if schedule.limits.money is not None:
            assert schedule.purse.tally.money <= schedule.limits.money


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_replies_without_measure_end_a_budget_and_are_told(data):
    schedule = Schedule(data, longest=50 * SLACK)
    for _ in range(data.draw(st.integers(5, 60))):
        held = len(schedule.open)
        schedule.step()
        spent, limit = schedule.spent(), schedule.limits.tokens
        assert schedule.purse.overrun == max(0, spent - limit)
        if spent >= limit:
            assert len(schedule.open) <= held  # nothing new begins
