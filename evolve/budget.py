"""How long a run may go on: evaluations, proposals, seconds, tokens, money; a total over all of its sessions."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from evolve.errors import UsageError

__all__ = ["Budget"]

_SECONDS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_TOKENS = {"tok": 1.0, "ktok": 1e3, "mtok": 1e6, "gtok": 1e9}
_COUNTS = {
    "": ("proposals", 1),
    "k": ("proposals", 1000),
    "ev": ("evaluations", 1),
    "kev": ("evaluations", 1000),
    "req": ("requests", 1),
}
_FORMS = (
    "60s, 10m, 2h, 300cpu (CPU seconds), 5000 (proposals), 2000ev (evaluations), 300req, 2Mtok or 12.50money"
)


@dataclass(frozen=True, slots=True)
class Budget:
    """A total over all sessions of a run; what is reached first ends it.

    Args:
        proposals: the seed program not counted.
        seconds: of searching; loading, and the report at the end, are not counted.
        requests: to models.
        tokens: of prompts and answers.
        money: in the currency of the prices.
        evaluations: trials of the tuner and second looks included, the seed program's too. What is in hand when they
            are spent is finished, so a run may end some evaluations (a tuning's) above.
        cpu_seconds: of searching, over the engine, its workers and all that they start.
    """

    proposals: int | None = None
    seconds: float | None = None
    requests: int | None = None
    tokens: int | None = None
    money: float | None = None
    evaluations: int | None = None
    cpu_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.proposals is not None and self.proposals < 1:
            raise UsageError(f"budget: {self.proposals} proposals; at least 1")
        for name, unit in (("seconds", "s"), ("cpu_seconds", "CPU seconds")):
            amount = getattr(self, name)
            if amount is not None and not 0 < amount < 1e9:
                raise UsageError(f"budget: {amount} {unit}; more than nothing, and finite")
        for name in ("requests", "tokens", "money", "evaluations"):
            amount = getattr(self, name)
            if amount is not None and not 0 < amount < 1e18:
                raise UsageError(f"budget: {amount} {name}; more than nothing, and finite")

    @property
    def needs_model(self) -> bool:
        """Whether it limits what only models cost."""
        return not (self.requests is None and self.tokens is None and self.money is None)

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """Read `60s`, `10m`, `2h`, `300cpu`, `5000` (proposals), `2000ev`, `300req`, `2Mtok` or `12.50money`.

        Raises:
            UsageError: anything else.
        """
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\d{1,3}(?:[_,]\d{3})+)\s*([A-Za-z]*)\s*", text)
        if match:
            number, unit = match[1].replace("_", "").replace(",", ""), match[2].lower()
            if unit in _SECONDS:
                return cls(seconds=float(number) * _SECONDS[unit])
            if unit in _COUNTS and (unit.startswith("k") or "." not in number):
                name, times = _COUNTS[unit]
                return cls(**{name: round(float(number) * times)})
            if unit == "cpu":
                return cls(cpu_seconds=float(number))
            if unit in _TOKENS:
                return cls(tokens=round(float(number) * _TOKENS[unit]))
            if unit == "money":
                return cls(money=float(number))
        raise UsageError(f"budget {text!r} is not understood; say {_FORMS}")

    @classmethod
    def parse_all(cls, words: Iterable[str]) -> "Budget":
        """Read several words, each of another kind.

        Raises:
            UsageError: one that is not understood, or two of one kind.
        """
        given: dict[str, Any] = {}
        for word in words:
            for name, amount in cls.parse(word).given.items():
                if name in given:
                    raise UsageError(f"budget {word!r}: {name} are limited twice; say it once")
                given[name] = amount
        return cls(**given)

    @property
    def given(self) -> dict[str, Any]:
        """What is limited, and by how much."""
        return {name: amount for name, amount in asdict(self).items() if amount is not None}

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for the ledger: proposals and seconds, and what else is limited."""
        return {"proposals": self.proposals, "seconds": self.seconds, **self.given}

    def __str__(self) -> str:
        parts = []
        if self.seconds is not None:
            parts.append(f"{self.seconds:g}s")
        if self.cpu_seconds is not None:
            parts.append(f"{self.cpu_seconds:g} CPU seconds")
        for name in ("proposals", "evaluations", "requests", "tokens"):
            amount = getattr(self, name)
            if amount is not None:
                parts.append(f"{amount} {name}")
        if self.money is not None:
            parts.append(f"{self.money:g} of money")
        return " or ".join(parts) or "none"
