"""A grammar whose every sentence is one edit of a given program, for decoding under a constraint.

A sentence is the number of a site, a colon, and the expression that goes there: `3: np.exp((old * 0.5))`. `old` is
what stands there now. Expressions follow the kinds of the syntactic mutator, end at a fixed depth, and use only
names that are bound at the site. Knows kinds and sites; knows nothing of a model or a server.
"""

import ast
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evolve.llm.bnf import Grammar
from evolve.llm.records import Constraint
from evolve.llm.replies import EditError, quote
from evolve.llm.rules import SIGNS, Builder
from evolve.printing import lines, text
from evolve.source import SourceError, parse
from evolve.text import clean
from evolve.tree import Node, at, from_ast, replace
from evolve.vocabulary import Vocabulary

if TYPE_CHECKING:  # the mutators are above: they make the map, and use what is made here
    from evolve.mutators.sites import Map, Site

__all__ = ["EditPlan", "plan_edits", "sample"]

_SPOKEN = frozenset(
    {ast.Name, ast.Attribute, ast.Constant, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call, ast.Load, ast.USub}
    | set(SIGNS)
)
"""What expressions of a grammar are made of."""


@dataclass(frozen=True)
class EditPlan:
    """The edits that a grammar allows for one parent.

    Args:
        block: text of the parent.
        entry: function whose name and parameters stay.
        own: the parent's map.
        sites: places by number.
        hole: the name that stands for what is at the site now.
        grammar: of the sentences.
        longest: characters of the longest sentence; as many tokens are always enough.
        vocabulary: what expressions are made of.
    """

    block: str
    entry: str
    own: "Map"
    sites: "tuple[Site, ...]"
    hole: str
    grammar: Grammar
    longest: int
    vocabulary: Vocabulary

    @property
    def constraint(self) -> Constraint:
        """The grammar as a request carries it."""
        return Constraint("grammar", self.grammar.text())

    def listing(self) -> str:
        """The sites by number, for a prompt: each statement, and below it the expressions in it that may change."""
        said: list[str] = []
        line = -1
        for number, site in enumerate(self.sites):
            if site.line != line:
                line = site.line
                said.append(_short(lines(self.own.lines[line].node)[0]))
            said.append(f"  {number}: {_short(text(site.node))}  ({site.kind})")
        return "\n".join(said) + "\n"

    def put(self, number: int, expression: str) -> Node:
        """The parent's tree with an expression at a site.

        Laxer than the grammar, for endpoints that cannot constrain: parentheses are free, and kinds and depth are
        not looked at. Names, calls and operators must be the grammar's.

        Raises:
            EditError: "unknown_site", "syntax", "too_large" or "outside_grammar".
        """
        if number >= len(self.sites):
            raise EditError(
                "unknown_site", f"There is no site {number}; sites go from 0 to {len(self.sites) - 1}."
            )
        if len(expression) > self.longest:
            raise EditError(
                "too_large", f"The expression has {len(expression)} characters; write a shorter one."
            )
        try:
            module = parse(f"({expression})")
        except SourceError:
            raise EditError(
                "syntax", f"What is to be put at site {number} is no expression: {quote(expression)}."
            ) from None
        site = self.sites[number]
        given = (
            module.body[0].value if len(module.body) == 1 and isinstance(module.body[0], ast.Expr) else None
        )
        foreign = "a statement" if given is None else self._foreign(given, site)
        if given is None or foreign:
            raise EditError(
                "outside_grammar",
                f"What is to be put at site {number} uses {foreign}, which is not known there.",
            )
        return replace(self.own.tree, site.path, _filled(from_ast(given), self.hole, site.node))

    def _foreign(self, given: ast.expr, site: "Site") -> str:
        """What of an expression is not said in this grammar; empty if nothing."""
        known = {self.hole, *site.scope.kinds}
        known |= {one.name.partition(".")[0] for one in self.vocabulary.primitives}
        for node in ast.walk(given):
            if type(node) not in _SPOKEN:
                return quote(type(node).__name__)
            if isinstance(node, ast.Name) and node.id not in known:
                return quote(node.id)
            if isinstance(node, ast.Constant) and not isinstance(node.value, int | float):
                return quote(repr(node.value)[:80])
        return ""


def _short(line: str) -> str:
    return clean(line.partition("\n")[0], 100)


def _filled(node: Node, hole: str, old: Node) -> Node:
    """The node with `old` where the hole is named."""
    if node.kind is ast.Name:
        return old if node.fields[0] == hole else node
    fields = [
        tuple(_filled(one, hole, old) for one in value)
        if value.__class__ is tuple and all(one.__class__ is Node for one in value)
        else _filled(value, hole, old)
        if value.__class__ is Node
        else value
        for value in node.fields
    ]
    return Node(node.kind, tuple(fields))


def sample(plan: EditPlan, rng: random.Random) -> str:
    """A sentence of the plan's grammar, without any model: every alternative of a rule is equally likely."""
    return plan.grammar.draw(rng)


def plan_edits(
    block: str, own: "Map", vocabulary: Vocabulary, depth: int = 2, longest: int = 400
) -> EditPlan:
    """The edits of one parent as a grammar.

    Args:
        block: text of the parent.
        own: its map, made with this vocabulary (`mutators.survey.map_program`).
        vocabulary: the problem's primitives, or what is derived from its block (`mutators.syntactic`).
        depth: levels of a fresh expression above its leaves; less where sentences would become too long.
        longest: characters that a sentence may have.

    Raises:
        EditError: "no_site", if nothing in the parent may change.
    """
    hole = _fresh("old", own.names)
    found = sorted(
        [*own.sites, *(site for site in own.constants if site.kind == "exponent")],
        key=lambda site: site.line,
    )
    for levels in range(depth, -1, -1):
        made = Builder(vocabulary, hole, levels)
        sites = made.edits(found)
        if not sites:
            raise EditError("no_site", "Nothing in the parent may change.")
        grammar = Grammar(made.rules)
        length = grammar.longest()
        if length <= longest:
            entry: str = at(own.tree, own.entry).fields[0]
            return EditPlan(block, entry, own, tuple(sites), hole, grammar, length, vocabulary)
    raise EditError("no_site", f"No edit of the parent fits {longest} characters.")


def _fresh(name: str, taken: Iterable[str]) -> str:
    i, made = 0, name
    while made in taken:
        made, i = f"{name}{i}", i + 1
    return made
