"""A grammar whose every sentence is one edit of a given program, for decoding under a constraint.

A sentence is the number of a site, a colon, and the expression that goes there: `3: np.exp((old * 0.5))`. `old` is
what stands there now. Higher numbers are statements: `9: gap = (gap * 2.0)` puts an assignment before one, `9: del`
deletes it. Expressions follow the kinds of the syntactic mutator, end at a fixed depth, and use only
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
from evolve.llm.rules import DELETE, SIGNS, Builder
from evolve.printing import lines, text
from evolve.source import SourceError, parse
from evolve.text import clean
from evolve.tree import Node, at, edit_body, from_ast, replace
from evolve.vocabulary import Vocabulary

if TYPE_CHECKING:  # the mutators are above: they make the map, and use what is made here
    from evolve.mutators.sites import Line, Map, Site

__all__ = ["EditPlan", "plan_edits", "sample"]

_LARGEST = 200_000  # characters of a grammar's text: each request carries it, and the server compiles it

_MOST_SITES = (128, 64, 32, 16, 8)  # fewer, where the grammar became too large

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
        sites: expressions that may give way, by number.
        statements: what may be deleted or get an assignment before it; their numbers go on where the sites' end.
        hole: the name that stands for what is at the site now.
        grammar: of the sentences.
        longest: characters of the longest sentence; as many tokens are always enough.
        vocabulary: what expressions are made of.
    """

    block: str
    entry: str
    own: "Map"
    sites: "tuple[Site, ...]"
    statements: "tuple[Line, ...]"
    hole: str
    grammar: Grammar
    longest: int
    vocabulary: Vocabulary

    @property
    def constraint(self) -> Constraint:
        """The grammar as a request carries it."""
        return Constraint("grammar", self.grammar.text())

    def listing(self) -> str:
        """The numbers and what they mean, for a prompt: below each statement the expressions in it."""
        numbers = {id(line): len(self.sites) + i for i, line in enumerate(self.statements)}
        said: list[str] = []
        for index, line in enumerate(self.own.lines):
            inner = [(i, site) for i, site in enumerate(self.sites) if site.line == index]
            number = numbers.get(id(line))
            if inner or number is not None:
                said.append(("" if number is None else f"{number}: ") + _short(lines(line.node)[0]))
            said += [f"  {i}: {_short(text(site.node))}  ({site.kind})" for i, site in inner]
        return "\n".join(said) + "\n"

    def put(self, number: int, words: str) -> Node:
        """The parent's tree after one edit.

        Laxer than the grammar, for endpoints that cannot constrain: parentheses are free, and kinds and depth are
        not looked at. Names, calls and operators must be the grammar's.

        Args:
            number: of a site or a statement.
            words: the expression; for a statement an assignment, or "del".

        Raises:
            EditError: "unknown_site", "syntax", "too_large" or "outside_grammar".
        """
        count = len(self.sites)
        if number >= count + len(self.statements):
            raise EditError(
                "unknown_site",
                f"There is no number {number}; they end at {count + len(self.statements) - 1}.",
            )
        if len(words) > self.longest:
            raise EditError("too_large", f"What follows the colon has {len(words)} characters; be shorter.")
        if number < count:
            site = self.sites[number]
            given = self._expression(number, words, {self.hole, *site.scope.kinds})
            return replace(self.own.tree, site.path, _filled(given, self.hole, site.node))
        line = self.statements[number - count]
        if words == DELETE:
            return edit_body(self.own.tree, line.path, () if line.siblings > 1 else (Node(ast.Pass, ()),))
        name, equals, value = words.partition("=")
        name = name.strip()
        if not equals or name not in line.scope.kinds or "." in name:
            raise EditError(
                "outside_grammar",
                f"Number {number} is a statement; say '{DELETE}', or a name bound there, '=' and its value.",
            )
        target = Node(ast.Name, (name, ast.Store))
        assigned = Node(ast.Assign, ((target,), self._expression(number, value, set(line.scope.kinds)), None))
        return edit_body(self.own.tree, line.path, (assigned, line.node))

    def _expression(self, number: int, words: str, names: set[str]) -> Node:
        try:
            module = parse(f"({words.strip()})")
        except SourceError:
            raise EditError(
                "syntax", f"What is said of number {number} is no expression: {quote(words)}."
            ) from None
        only = module.body[0] if len(module.body) == 1 else None
        foreign = self._foreign(only.value, names) if isinstance(only, ast.Expr) else "a statement"
        if foreign or not isinstance(only, ast.Expr):
            raise EditError(
                "outside_grammar", f"What is said of number {number} uses {foreign}, unknown there."
            )
        return from_ast(only.value)

    def _foreign(self, given: ast.expr, names: set[str]) -> str:
        """What of an expression is not said in this grammar; empty if nothing."""
        known = names | {one.name.partition(".")[0] for one in self.vocabulary.primitives}
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
        depth: levels of a fresh expression above its leaves; less where sentences or the grammar became too long.
        longest: characters that a sentence may have.

    Raises:
        EditError: "no_site", if nothing in the parent may change.
    """
    hole = _fresh("old", own.names)
    entry: str = at(own.tree, own.entry).fields[0]
    found = sorted(
        [*own.sites, *(site for site in own.constants if site.kind == "exponent")],
        key=lambda site: site.line,
    )
    for levels in range(depth, -1, -1):
        for most in _MOST_SITES:
            made = Builder(vocabulary, hole, levels)
            sites, statements = made.edits(found, own.lines, most)
            if "root" not in made.rules:
                break
            grammar = Grammar(made.rules)
            length = grammar.longest()
            if length > longest:
                break
            if len(grammar.text()) <= _LARGEST:
                places = tuple(sites), tuple(statements)
                return EditPlan(block, entry, own, *places, hole, grammar, length, vocabulary)
    raise EditError(
        "no_site",
        f"Nothing in the parent may change within {longest} characters and a grammar of {_LARGEST}.",
    )


def _fresh(name: str, taken: Iterable[str]) -> str:
    i, made = 0, name
    while made in taken:
        made, i = f"{name}{i}", i + 1
    return made
