"""Every dial of a search in one frozen value; an unknown one is an error."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from evolve.errors import UsageError

__all__ = ["Config"]

_LOWEST = {
    **dict.fromkeys(("islands", "window", "brood", "reset", "migrate"), 1),
    **dict.fromkeys(("ramp", "explore", "patience", "fresh", "restart", "mates", "tune"), 0),
}
_MOST_ISLANDS = 10_000
_AT_FIRST = 4
"""Proposals under way at the start of a ramp."""

_YES_OR_NO: Mapping[Any, bool] = {
    **dict.fromkeys((True, "1", "true", "yes", "on"), True),
    **dict.fromkeys((False, "0", "false", "no", "off"), False),
}
_BEFORE = {"ramp": 0, "explore": 0, "exhaust": False, "patience": 0.0}
"""What runs did before there was such a dial, where that is not what they do by default now."""


@dataclass(frozen=True, slots=True)
class Config:
    """How the search is steered. `docs/search.md` has the reasons and the measurements.

    Args:
        islands: isolated archives.
        window: proposals under way at once; proposal n sees the commits up to n - window, whatever the number of
            workers.
        ramp: proposals made for each one more that is under way, from four at first up to `window`; 0 for all at once.
        cells: whether the problem's measures make cells; if not, an island holds one program, of equals the latest.
        root: share of parents that are the seed program, whatever else was found.
        explore: evaluations after which half of the parents are still the seed program: their share is explore /
            (explore + evaluations), and at least `root`. Not for what a model is asked, nor where speed is sought.
        exhaust: whether that share is multiplied by the share of what was made of the seed program that acted like
            nothing before.
        brood: proposals in a row whose parent is the best of when the first of them was drawn.
        uniform: share of the other parents that is drawn uniformly from the filled cells.
        greedy: share of parents that are the island's incumbent, the latest program as good as its best, while
            it gains. Where a model is asked, its own dial says.
        patience: share of all evaluations so far, without a gain of the island, over which `greedy` falls to a fifth; 0
            is never. After such a wait of all islands that are open, and `migrate` evaluations after the last, one
            more is opened: 1 opens no other, 0 and a model all from the start.
        pressure: how strongly rank counts among the other parents; 0 is uniform.
        fatigue: how fast a parent's weight falls with its uses; 0 is never.
        reset: evaluations after which the worse half of the islands starts again from the better half's best.
        fresh: how many of the islands that start again do so from the seed program, the worst ones first.
        restart: evaluations without a gain after which an island starts again from the seed program; 0 is never.
        migrate: evaluations after which each island offers its best to its neighbour, if that has not just begun.
        mates: other elites handed to a mutator, for crossover.
        tune: most evaluations spent on the constants of one fresh structure of the mutator's; 0 for no tuning. For what
            a model writes its own dial says.
        tune_each: evaluations spent a constant.
        keep: share of the fresh structures that go on being tuned at each look.
        retest: whether would-be elites are evaluated again where the objective is random.
    """

    islands: int = 4
    window: int = 32
    ramp: int = 32
    cells: bool = True
    root: float = 0.0
    explore: int = 100
    exhaust: bool = True
    brood: int = 1
    uniform: float = 0.1
    greedy: float = 0.95
    patience: float = 0.25
    pressure: float = 6.0
    fatigue: float = 0.5
    reset: int = 10_000
    fresh: int = 1
    restart: int = 0
    migrate: int = 2_500
    mates: int = 2
    tune: int = 0
    tune_each: int = 4
    keep: float = 0.05
    retest: bool = True

    def __post_init__(self) -> None:
        for name, low in _LOWEST.items():
            if not getattr(self, name) >= low:
                raise UsageError(f"config: {name} is {getattr(self, name)}; at least {low}")
        if not self.islands <= _MOST_ISLANDS:
            raise UsageError(f"config: islands is {self.islands}; at most {_MOST_ISLANDS:,}")
        for name in ("pressure", "fatigue"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"config: {name} is {getattr(self, name)}; a number that is not negative")
        for name in ("root", "uniform", "greedy", "keep", "patience"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"config: {name} is {getattr(self, name)}; a share between 0 and 1")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Config":
        """A Config from plain options; text is turned into the type of the dial.

        Raises:
            UsageError: an unknown dial, or a value of the wrong type.
        """
        known = {field.name: field for field in fields(cls)}
        given: dict[str, Any] = {}
        for name, value in options.items():
            if name not in known:
                raise UsageError(f"config: no dial called {name!r}; there are: {', '.join(known)}")
            wanted: type[Any] = type(getattr(cls(), name))
            try:
                given[name] = _yes_or_no(value) if wanted is bool else wanted(value)
                if wanted is int and given[name] != float(value):
                    raise ValueError
            except (TypeError, ValueError, OverflowError, KeyError):
                takes = "yes or no" if wanted is bool else wanted.__name__
                raise UsageError(f"config: {name} is {value!r}; it takes {takes}") from None
        return cls(**given)

    @classmethod
    def recorded(cls, options: Mapping[str, Any]) -> "Config":
        """The Config of a ledger: one that is older than a dial goes on without it."""
        known = {field.name for field in fields(cls)}
        return cls.of({**_BEFORE, **{name: value for name, value in options.items() if name in known}})

    def width(self, number: int) -> int:
        """How many proposals may be under way when proposal `number` is drawn, itself included."""
        return min(self.window, _AT_FIRST + number // self.ramp) if self.ramp else self.window

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for the ledger."""
        return asdict(self)


def _yes_or_no(value: Any) -> bool:
    """Python's own words for it too, as a report prints a dial."""
    return _YES_OR_NO[value.lower() if isinstance(value, str) else value]
