"""Grammars without recursion, as values: their text, their longest sentence, and sentences drawn from them.

The text is the EBNF that xgrammar takes, and llama.cpp's GBNF: `rule ::= "text" other | "more"`, begun at `root`.
Only literal texts and rules are used, so that every dialect of the family reads the same.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Alternative", "Grammar", "Ref"]


@dataclass(frozen=True, slots=True)
class Ref:
    """A rule's name, where it is used."""

    rule: str


Alternative = tuple[str | Ref, ...]
"""Literal texts and rules, one after another."""


@dataclass(frozen=True)
class Grammar:
    """Rules by name; each has at least one alternative, and uses only rules that stand before it. `root` is last.

    Args:
        rules: alternatives of each rule.
    """

    rules: Mapping[str, tuple[Alternative, ...]]

    def text(self) -> str:
        """The grammar in EBNF, `root` first."""
        return "".join(
            f"{name} ::= {' | '.join(' '.join(map(_part, one)) for one in alternatives)}\n"
            for name, alternatives in reversed(list(self.rules.items()))
        )

    def longest(self) -> int:
        """Characters of the longest sentence."""
        lengths: dict[str, int] = {}
        for name, alternatives in self.rules.items():
            lengths[name] = max(
                sum(len(part) if isinstance(part, str) else lengths[part.rule] for part in one)
                for one in alternatives
            )
        return lengths["root"]

    def draw(self, rng: random.Random) -> str:
        """A sentence; wherever there is a choice, every alternative of the rule is equally likely."""
        said: list[str] = []
        open_parts: list[str | Ref] = [Ref("root")]
        while open_parts:
            part = open_parts.pop()
            if isinstance(part, str):
                said.append(part)
            else:
                alternatives = self.rules[part.rule]
                open_parts.extend(reversed(alternatives[int(rng.random() * len(alternatives))]))
        return "".join(said)


def _part(part: str | Ref) -> str:
    if isinstance(part, Ref):
        return part.rule
    escaped = part.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
