"""What a run may spend on models: reserved before a request is sent, settled when its reply is back.

Knows requests, tokens and prices; knows no server and no clock. Money is counted in whole units of 1e-12 of the
user's currency: prices are rounded up to that and limits down, so that no sum of floats drifts over a limit.

A reservation is `slack` times the worst case, prompt and `n * max_tokens`, since a prompt is counted here by
another tokenizer than the server's, and a server may generate more than it was asked to. While no reply is longer
than `slack` times what was asked, no limit is exceeded by one token, in any order of events. By what a
reply is longer than that, every later reservation is larger. A reply that was lost on its way may have been billed
all the same: no server says so, and nothing is charged for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from types import TracebackType
from typing import Final

from evolve.errors import UsageError
from evolve.llm.errors import Overspent
from evolve.llm.records import NOTHING, Request, Usage

__all__ = ["SLACK", "Hold", "Limits", "Price", "Purse", "Tally"]

SLACK: Final = 2.0
"""How much longer than asked a reply may be before a limit is in danger."""

_UNIT: Final = Decimal(10) ** 12


def _units(amount: float, rounding: str, what: str) -> int:
    value = Decimal(str(amount))
    if not value.is_finite() or value < 0:
        raise UsageError(f"{what}: {amount}; a number, and not below 0")
    return int((value * _UNIT).to_integral_value(rounding))


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that may be spent over all sessions of a run; None is no limit.

    Args:
        requests: that were answered or billed.
        tokens: prompt (cached or not) and completion (reasoning included).
        money: in the currency of the prices.
    """

    requests: int | None = None
    tokens: int | None = None
    money: float | None = None

    def __post_init__(self) -> None:
        for what in ("requests", "tokens", "money"):
            limit = getattr(self, what)
            if limit is not None and not 0 <= limit < float("inf"):
                raise UsageError(f"limit of {what}: {limit}; a number, and not below 0")


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, for a million tokens.

    Args:
        prompt: of prompt tokens that were not cached.
        completion: of generated tokens, reasoning included.
        cached: of prompt tokens found in the server's cache; None is the price of the others.
    """

    prompt: float
    completion: float
    cached: float | None = None

    def units(self) -> tuple[int, int, int]:
        """For one token, in units: prompt, cached, completion."""
        cached = self.prompt if self.cached is None else self.cached
        prices = ((self.prompt, "prompt"), (cached, "cached"), (self.completion, "completion"))
        prompt, cached, completion = (
            -(-_units(price, ROUND_CEILING, f"price of {what} tokens") // 1_000_000) for price, what in prices
        )
        return prompt, cached, completion


@dataclass(frozen=True, slots=True)
class Tally:
    """What was spent.

    Args:
        requests: that were answered or billed.
        usage: tokens of replies that were used.
        wasted: tokens of replies that failed and were billed.
        money: in the currency of the prices; 0 without prices.
    """

    requests: int = 0
    usage: Usage = NOTHING
    wasted: Usage = NOTHING
    money: float = 0.0


@dataclass(slots=True)
class _Amount:
    """Requests, tokens, units of money."""

    requests: int = 0
    tokens: int = 0
    money: int = 0

    def add(self, other: "_Amount", sign: int = 1) -> None:
        self.requests += sign * other.requests
        self.tokens += sign * other.tokens
        self.money += sign * other.money


class Hold:
    """Room in a purse that is set aside for one request. Settle or release it, once; leaving a `with` releases it.

    Attributes:
        asked: the worst case, without slack.
        book: writes an attempt down that failed and was billed, before anything else happens.
    """

    __slots__ = ("_amount", "_open", "_purse", "asked", "book", "model")

    def __init__(self, purse: "Purse", model: str, asked: Usage, amount: _Amount) -> None:
        self._purse = purse
        self._amount = amount
        self._open = True
        self.model = model
        self.asked = asked
        self.book: Callable[[Usage], None] | None = None

    def settle(self, usage: Usage | None) -> None:
        """Charge what the reply cost, and give the rest back.

        Args:
            usage: as the server says; None if it does not, and then all that was asked for is charged.
        """
        self.release()
        self._purse.charge(usage or self.asked, self.model, asked=self.asked)

    def waste(self, usage: Usage) -> None:
        """Charge an attempt that failed and was billed; what is held for the next attempt stays held.

        Raises:
            Overspent: the purse has no room for another attempt. The hold is released.
        """
        if not self._open:
            raise RuntimeError("waste: the hold is closed")
        if self.book is not None:
            self.book(usage)
        self.release()
        self._purse.charge(usage, self.model, asked=self.asked, wasted=True)
        self._amount = self._purse._admit(self.model, self.asked)
        self._open = True

    def release(self) -> None:
        """Give all of it back: nothing was billed. Does nothing the second time."""
        if self._open:
            self._open = False
            self._purse._held.add(self._amount, -1)

    def __enter__(self) -> "Hold":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Purse:
    """The budget of a run. For one event loop: no call waits, and none may come from another thread.

    State is a fold over `charge`: a resumed run makes a new purse and charges what its ledger holds.

    Args:
        limits: what may be spent.
        prices: by model; the one named "" is for all others.
        slack: how much longer than asked a reply may be, at least 1.

    Attributes:
        margin: tokens that the longest reply was beyond its slack; part of every later reservation.

    Raises:
        UsageError: a limit of money without prices; slack below 1.
    """

    def __init__(
        self, limits: Limits, prices: Mapping[str, Price] | None = None, slack: float = SLACK
    ) -> None:
        if limits.money is not None and not prices:
            raise UsageError("a limit of money needs prices: give the price of a million tokens")
        if not 1.0 <= slack < 1e6:
            raise UsageError(f"slack {slack}: at least 1")
        self.limits = limits
        self.margin = 0
        self._slack = Decimal(str(slack))
        self._prices = {model: price.units() for model, price in (prices or {}).items()}
        self._tops = _Amount(
            -1 if limits.requests is None else limits.requests,
            -1 if limits.tokens is None else limits.tokens,
            -1 if limits.money is None else _units(limits.money, ROUND_FLOOR, "limit of money"),
        )
        self._spent = _Amount()
        self._held = _Amount()
        self._tally = Tally()

    @property
    def tally(self) -> Tally:
        """What was spent so far."""
        return replace(self._tally, money=float(Decimal(self._spent.money) / _UNIT))

    @property
    def overrun(self) -> int:
        """Tokens spent over the limit: above 0 only if a reply was longer than `slack` times what was asked."""
        return max(0, self._spent.tokens - self._tops.tokens) if self._tops.tokens >= 0 else 0

    def reserve(self, request: Request, prompt_tokens: int) -> Hold:
        """Set aside the worst case of a request, `slack` times.

        Args:
            request: its model, `n` and `max_tokens` are read.
            prompt_tokens: of its prompt, counted or estimated.

        Raises:
            Overspent: no room; `pending` says whether some may come back.
            UsageError: money is limited and the model has no price.
        """
        asked = Usage(prompt=max(0, prompt_tokens), completion=request.n * request.max_tokens)
        return Hold(self, request.model, asked, self._admit(request.model, asked))

    def room(self, model: str, prompt_tokens: int, n: int = 1) -> int | None:
        """The largest `max_tokens` that could be reserved now; None without a limit, 0 if there is no room at all."""
        tops, spent, held = self._tops, self._spent, self._held
        if tops.requests >= 0 and spent.requests + held.requests >= tops.requests:
            return 0
        if tops.tokens < 0 and tops.money < 0:
            return None
        low, high = 0, 1 << 40
        while low < high:  # the room falls as max_tokens grows
            middle = (low + high + 1) // 2
            amount = self._amount(model, Usage(prompt=prompt_tokens, completion=n * middle))
            low, high = (low, middle - 1) if self._lacking(amount) else (middle, high)
        return low

    def charge(
        self,
        usage: Usage,
        model: str = "",
        *,
        asked: Usage | None = None,
        wasted: bool = False,
        requests: int = 1,
    ) -> None:
        """Count what was spent without a hold: when a run is resumed, from its ledger.

        Args:
            usage: as the server said.
            model: as the request named it.
            asked: what was asked for, where known: a reply beyond its slack widens `margin`.
            wasted: whether the reply had failed.
            requests: how many it counts for; 0 for what no proposal has asked.
        """
        self._spent.add(_Amount(requests, usage.tokens, self._cost(model, usage)))
        tally = self._tally
        self._tally = Tally(
            tally.requests + requests,
            tally.usage if wasted else tally.usage + usage,
            tally.wasted + usage if wasted else tally.wasted,
        )
        if asked is not None:
            beyond = max(
                usage.tokens - self._most(asked.tokens), usage.completion - self._most(asked.completion)
            )
            self.margin = max(self.margin, beyond)

    def _most(self, asked: int) -> int:
        return int((self._slack * asked).to_integral_value(ROUND_CEILING))

    def _price(self, model: str) -> tuple[int, int, int]:
        price = self._prices.get(model) or self._prices.get("")
        if price is not None:
            return price
        if not model and self._prices:  # any of them may serve it: each at its dearest
            prompts, cached, completions = zip(*self._prices.values(), strict=True)
            return max(prompts), max(cached), max(completions)
        if self._tops.money >= 0:
            raise UsageError(f"model {model!r} has no price, and money is limited: name its price")
        return 0, 0, 0

    def _cost(self, model: str, usage: Usage) -> int:
        prompt, cached, completion = self._price(model)
        return (usage.prompt - usage.cached) * prompt + usage.cached * cached + usage.completion * completion

    def _amount(self, model: str, asked: Usage) -> _Amount:
        """The worst case: each part `slack` times, all of the prompt at the dearer of its two prices, the margin."""
        prompt, cached, completion = self._price(model)
        prompts, completions = self._most(asked.prompt), self._most(asked.completion)
        money = prompts * max(prompt, cached) + completions * completion
        money += self.margin * max(prompt, cached, completion)
        return _Amount(1, prompts + completions + self.margin, money)

    def _lacking(self, amount: _Amount, besides: bool = True) -> str:
        """The first limit that `amount` would break, or ""; `besides` what is held."""
        for what in ("requests", "tokens", "money"):
            top = getattr(self._tops, what)
            taken = getattr(self._spent, what) + (getattr(self._held, what) if besides else 0)
            if top >= 0 and taken + getattr(amount, what) > top:
                return what
        return ""

    def _admit(self, model: str, asked: Usage) -> _Amount:
        amount = self._amount(model, asked)
        if what := self._lacking(amount):
            pending = not self._lacking(amount, besides=False)
            raise Overspent(what, self._words(what, amount), pending)
        self._held.add(amount)
        return amount

    def _words(self, what: str, amount: _Amount) -> str:
        def show(number: int) -> str:
            return f"{Decimal(number) / _UNIT:.6f}" if what == "money" else str(number)

        parts = (getattr(each, what) for each in (self._tops, self._spent, self._held, amount))
        limit, spent, held, needed = (show(part) for part in parts)
        return (
            f"budget of {what}: {spent} of {limit} spent and {held} set aside; "
            f"a request that may need {needed} has no room"
        )
