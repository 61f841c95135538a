"""How long a run may go on: proposals, seconds, requests, tokens, money; a total over all of its sessions."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from evolve.errors import UsageError

__all__ = ["Budget"]

_SECONDS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_TOKENS = {"tok": 1.0, "ktok": 1e3, "mtok": 1e6, "gtok": 1e9}
_FORMS = "60s, 10m, 2h, 5000 (proposals), 300req, 2Mtok or 12.50money"


@dataclass(frozen=True, slots=True)
class Budget:
    """A total over all sessions of a run; what is reached first ends it.

    Args:
        proposals: the seed program not counted.
        seconds: of searching; loading, and the report at the end, are not counted.
        requests: to models.
        tokens: of prompts and answers.
        money: in the currency of the prices.
    """

    proposals: int | None = None
    seconds: float | None = None
    requests: int | None = None
    tokens: int | None = None
    money: float | None = None

    def __post_init__(self) -> None:
        if self.proposals is not None and self.proposals < 1:
            raise UsageError(f"budget: {self.proposals} proposals; at least 1")
        if self.seconds is not None and not 0 < self.seconds < 1e9:
            raise UsageError(f"budget: {self.seconds} s; more than nothing, and finite")
        for name in ("requests", "tokens", "money"):
            amount = getattr(self, name)
            if amount is not None and not 0 < amount < 1e18:
                raise UsageError(f"budget: {amount} {name}; more than nothing, and finite")

    @property
    def needs_model(self) -> bool:
        """Whether it limits what only models cost."""
        return not (self.requests is None and self.tokens is None and self.money is None)

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """Read `60s`, `10m`, `2h`, `5000` (proposals), `300req`, `2Mtok` or `12.50money`.

        Raises:
            UsageError: anything else.
        """
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\d{1,3}(?:[_,]\d{3})+)\s*([A-Za-z]*)\s*", text)
        if match:
            number, unit = match[1].replace("_", "").replace(",", ""), match[2].lower()
            if unit in _SECONDS:
                return cls(seconds=float(number) * _SECONDS[unit])
            if unit in ("", "k") and (unit or "." not in number):
                return cls(proposals=round(float(number) * (1000 if unit else 1)))
            if unit in _TOKENS:
                return cls(tokens=round(float(number) * _TOKENS[unit]))
            if unit == "req" and "." not in number:
                return cls(requests=int(number))
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
            for name, amount in asdict(cls.parse(word)).items():
                if amount is not None and name in given:
                    raise UsageError(f"budget {word!r}: {name} are limited twice; say it once")
                if amount is not None:
                    given[name] = amount
        return cls(**given)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for the ledger: proposals and seconds, and what else is limited."""
        told = asdict(self)
        return {
            name: amount
            for name, amount in told.items()
            if amount is not None or name in ("proposals", "seconds")
        }

    def __str__(self) -> str:
        parts = []
        if self.seconds is not None:
            parts.append(f"{self.seconds:g}s")
        for name in ("proposals", "requests", "tokens"):
            amount = getattr(self, name)
            if amount is not None:
                parts.append(f"{amount} {name}")
        if self.money is not None:
            parts.append(f"{self.money:g} of money")
        return " or ".join(parts) or "none"
