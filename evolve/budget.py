"""How long a run may go on: proposals, seconds, or both; a total over all of its sessions."""

import re
from dataclasses import dataclass
from typing import Any

from evolve.errors import UsageError

__all__ = ["Budget"]

_UNITS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True)
class Budget:
    """A total over all sessions of a run.

    Args:
        proposals: the seed program not counted.
        seconds: of searching; loading, and the report at the end, are not counted.
    """

    proposals: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.proposals is not None and self.proposals < 1:
            raise UsageError(f"budget: {self.proposals} proposals; at least 1")
        if self.seconds is not None and not 0 < self.seconds < 1e9:
            raise UsageError(f"budget: {self.seconds} s; more than nothing, and finite")

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """Read `60s`, `10m`, `2h` or `5000` (proposals).

        Raises:
            UsageError: anything else.
        """
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\d{1,3}(?:[_,]\d{3})+)\s*([A-Za-z]*)\s*", text)
        if match:
            number, unit = match[1].replace("_", "").replace(",", ""), match[2].lower()
            if unit in _UNITS:
                return cls(seconds=float(number) * _UNITS[unit])
            if unit in ("", "k") and (unit or "." not in number):
                return cls(proposals=round(float(number) * (1000 if unit else 1)))
            if unit.endswith("tok"):
                raise UsageError(f"budget {text!r}: a budget in tokens needs a model, and this run has none")
        raise UsageError(f"budget {text!r} is not understood; say 60s, 10m, 2h or 5000 (proposals)")

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for the ledger."""
        return {"proposals": self.proposals, "seconds": self.seconds}

    def __str__(self) -> str:
        parts = []
        if self.seconds is not None:
            parts.append(f"{self.seconds:g}s")
        if self.proposals is not None:
            parts.append(f"{self.proposals} proposals")
        return " or ".join(parts) or "none"
