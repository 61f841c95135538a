"""A program in the making: the parent's map, its mates', and fresh expressions of a wanted kind.

Knows kinds and chance. Knows nothing of operators, nor of scores.
"""

import ast
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from evolve.mutators.sites import UNKNOWN, Map, Scope, Site
from evolve.tree import Node, replace
from evolve.vocabulary import ARITHMETIC, Vocabulary, accepts, constant_of, name_node

__all__ = ["Work"]


@dataclass
class Work:
    """One proposal in the making.

    Args:
        rng: of the proposal.
        own: the parent's map.
        mates: maps of other elites.
        vocabulary: what may be said.
        grafted: index in `mates` of the one that a part was taken of, or None.
    """

    rng: random.Random
    own: Map
    mates: Sequence[Map]
    vocabulary: Vocabulary
    grafted: int | None = field(default=None, init=False)

    def site(self, sites: Sequence[Site]) -> Site | None:
        """One of `sites`, evenly."""
        return sites[int(self.rng.random() * len(sites))] if sites else None

    def put(self, site: Site, node: Node | None) -> Node | None:
        """The program with `node` at a site."""
        return None if node is None or node is site.node else replace(self.own.tree, site.path, node)

    # -- fresh expressions

    def leaf(self, kind: str, scope: Scope) -> Node | None:
        """A name or a constant of a kind; names three times out of four, where there are any."""
        names = scope.names(kind)
        if names and (self.rng.random() < 0.75 or kind not in ("num", "int")):
            return name_node(names[int(self.rng.random() * len(names))])
        return self.vocabulary.constant(kind, self.rng)

    def grow(self, kind: str, scope: Scope, depth: int) -> Node | None:
        """A fresh expression of a kind, at most `depth` levels above its leaves; None if there is no way."""
        if depth <= 0 or (depth < 3 and self.rng.random() < 0.2):
            made = self.leaf(kind, scope)
            if made is not None or depth < -2:
                return made
        productions = self.vocabulary.productions.get(kind, ())
        if not productions:
            return self.leaf(kind, scope)
        production = productions[int(self.rng.random() * len(productions))]
        parts: list[Node] = []
        for wanted in production.args:
            part = self.grow(wanted, scope, depth - 1)
            if part is None:
                return self.leaf(kind, scope)
            parts.append(part)
        return production.build(self._telling(parts, production.args, scope))

    def _telling(self, parts: list[Node], kinds: Sequence[str], scope: Scope) -> list[Node]:
        """Parts that say something: `a - a`, and what is made of constants alone, are drawn once more."""
        if all(constant_of(part) is not None for part in parts):
            names = scope.names(kinds[0])
            if names:
                parts[0] = name_node(self.rng.choice(names))
        last = parts[-1]
        if len(parts) > 1 and last.kind is ast.Name and parts[-2].fields == last.fields:
            others = [name for name in scope.names(kinds[-1]) if name != last.fields[0]]
            if others:
                parts[-1] = name_node(self.rng.choice(others))
        return parts

    def around(self, node: Node, own: str, kind: str, scope: Scope) -> Node | None:
        """An expression of `kind` with `node`, of kind `own`, as one of its parts."""
        if kind == UNKNOWN:  # scaled or shifted: fits a number and an array alike
            factor = self.grow("num", scope, 1)
            operator = ARITHMETIC["num"][int(self.rng.random() * 4)]
            return None if factor is None else Node(ast.BinOp, (node, operator, factor))
        fitting = [
            (production, j)
            for production in self.vocabulary.productions.get(kind, ())
            for j, wanted in enumerate(production.args)
            if accepts(wanted, own)
        ]
        if not fitting:
            return None
        production, place = fitting[int(self.rng.random() * len(fitting))]
        parts: list[Node] = []
        for j, wanted in enumerate(production.args):
            part = node if j == place else self.grow(wanted, scope, 1)
            if part is None:
                return None
            parts.append(part)
        return production.build(parts)

    def fresh_name(self) -> str:
        """A name that the program does not mention."""
        i = 0
        while f"t{i}" in self.own.names:
            i += 1
        return f"t{i}"
