"""Plain records that travel between the parts of `evolve.llm`."""

from dataclasses import dataclass

__all__ = ["Constraint"]


@dataclass(frozen=True, slots=True)
class Constraint:
    """How decoding is constrained.

    Args:
        kind: "regex", "grammar", "json" or "choice".
        value: text of the regex, EBNF grammar or JSON schema; for "choice" a JSON list.
    """

    kind: str
    value: str
