"""The rules of an edit grammar: what may be put at each site of a program, by kinds and names.

Knows kinds, productions and the names bound at a site. Ends at a fixed depth, so that no rule uses itself.
"""

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from evolve.llm.bnf import Alternative, Ref
from evolve.printing import text
from evolve.tree import Node
from evolve.vocabulary import ARITHMETIC, UNKNOWN, Production, Vocabulary, accepts

if TYPE_CHECKING:
    from evolve.mutators.sites import Line, Scope, Site

__all__ = ["DELETE", "SIGNS", "Builder"]

_T = TypeVar("_T")

_MOST_NAMES = 12  # of a kind at a site; those bound last
_MOST_TARGETS = 4  # of a kind that a statement may give another value
_LONGEST_NAME = 60

SIGNS: dict[type[ast.AST], str] = {
    ast.Add: " + ",
    ast.Sub: " - ",
    ast.Mult: " * ",
    ast.Div: " / ",
    ast.FloorDiv: " // ",
    ast.Mod: " % ",
    ast.Pow: " ** ",
    ast.BitAnd: " & ",
    ast.BitOr: " | ",
    ast.Lt: " < ",
    ast.LtE: " <= ",
    ast.Gt: " > ",
    ast.GtE: " >= ",
}
"""Operators between two expressions, as sentences write them."""

DELETE = "del"
"""What a sentence says of a statement that goes."""

_NUMBERS: dict[str, tuple[Alternative, ...]] = {
    "nonzero": tuple((digit,) for digit in "123456789"),
    "digit": tuple((digit,) for digit in "0123456789"),
    "int": ((Ref("digit"),), (Ref("nonzero"), Ref("digit"))),
    "whole": (("0",), (Ref("digit"),), (Ref("nonzero"), Ref("digit"))),  # small numbers are the likelier ones
    "part": tuple((Ref("digit"),) * count for count in (1, 2, 3)),
    "float": ((Ref("whole"), ".", Ref("part")), ("(-", Ref("whole"), ".", Ref("part"), ")")),
    "exponent": (("2",), ("3",), ("4",)),
}
_DELETABLE = frozenset({ast.Assign, ast.AugAssign, ast.Expr, ast.If, ast.For, ast.While})
_CONSTANTS = {"num": "float", "int": "int", "exponent": "exponent"}


@dataclass(frozen=True, slots=True)
class _Group:
    """Productions that are written alike, and differ in one word only.

    Args:
        args: kinds of the parts.
        words: the operators or functions to choose from.
        form: "call", "sign" or "between".
        fixed: literals among a call's arguments, by their place.
    """

    args: tuple[str, ...]
    words: tuple[str, ...]
    form: str
    fixed: tuple[tuple[int, str], ...] = ()


def _grouped(productions: Sequence[Production]) -> list[_Group]:
    words: dict[_Group, list[str]] = {}
    for one in productions:
        if one.function is not None:
            fixed = tuple((place, _literal(text(node))) for place, node in one.fixed)
            group, word = _Group(one.args, (), "call", fixed), text(one.function)
        elif one.operator is ast.USub:
            group, word = _Group(one.args, (), "sign"), "-"
        elif one.operator is not None:
            group, word = _Group(one.args, (), "between"), SIGNS[one.operator]
        words.setdefault(group, []).append(word)
    return [
        _Group(group.args, tuple(dict.fromkeys(some)), group.form, group.fixed)
        for group, some in words.items()
    ]


def _literal(written: str) -> str:
    return f"({written})" if written.startswith("-") else written


def _thinned(some: Sequence[_T], most: int) -> Sequence[_T]:
    """At most so many of them, evenly."""
    return some[:: -(-len(some) // most) or 1]


def _deletable(line: "Line") -> bool:
    """Whether a statement may go: others are beside it, and all that it binds is bound before."""
    if line.siblings < 2 or line.node.kind not in _DELETABLE:
        return False
    return _stored(line.node) <= set(line.scope.kinds)


def _stored(node: Node) -> set[str]:
    if node.kind is ast.Name:
        return set() if node.fields[1] is ast.Load else {node.fields[0]}
    found: set[str] = set()
    for value in node.fields:
        for item in value if value.__class__ is tuple else (value,):
            if item.__class__ is Node:
                found |= _stored(item)
    return found


class Builder:
    """Rules of one grammar. A rule is made once for each kind, depth and set of names that it is asked for.

    Args:
        vocabulary: what may be said.
        hole: the name that stands for what is at a site now.
        depth: levels of a fresh expression above its leaves.
    """

    def __init__(self, vocabulary: Vocabulary, hole: str, depth: int) -> None:
        self.hole = hole
        self.depth = depth
        self.rules: dict[str, tuple[Alternative, ...]] = {}
        self.groups = {kind: _grouped(some) for kind, some in vocabulary.productions.items()}
        self._literals = {
            kind: [_literal(text(one)) for one in some] for kind, some in vocabulary.literals.items()
        }
        self._given = frozenset(
            vocabulary.names
        )  # not the program's own: it may be a global that others read
        self._scopes: dict[tuple[tuple[str, tuple[str, ...]], ...], int] = {}
        self._known: dict[object, Ref | None] = {}

    def edits(
        self, sites: "Sequence[Site]", lines: "Sequence[Line]", most: int
    ) -> "tuple[list[Site], list[Line]]":
        """Make `root`; answers with the sites and the lines in the order of their numbers, evenly thinned.

        Args:
            sites: expressions that may give way.
            lines: statements.
            most: sites to keep; of the statements a quarter as many.
        """
        places = [(site, top) for site in _thinned(sites, most) if (top := self._top(site))]
        others = [(line, top) for line in _thinned(lines, most // 4) if (top := self._line(line))]
        tops = [top for _, top in places] + [top for _, top in others]
        if tops:
            self.rules["root"] = tuple((f"{i}: ", top) for i, top in enumerate(tops))
        return [site for site, _ in places], [line for line, _ in others]

    def _rule(self, name: str, alternatives: Iterable[Alternative]) -> Ref | None:
        """A rule of these alternatives; None without any."""
        different = tuple(dict.fromkeys(alternatives))
        if not different:
            return None
        self.rules[name] = different
        return Ref(name)

    def _choice(self, words: tuple[str, ...]) -> str | Ref:
        """One of several words: a rule, or the word itself if it is the only one."""
        if len(words) == 1:
            return words[0]
        if words not in self._known:
            self._known[words] = self._rule(f"word-{len(self.rules)}", [(one,) for one in words])
        return self._known[words] or words[0]

    def _constant(self, kind: str) -> Ref | None:
        """The rule for numbers of a kind, and first those that it uses."""
        wanted = _CONSTANTS.get(kind)
        if wanted is None:
            return None
        for name, alternatives in _NUMBERS.items():  # each stands below those that it uses
            self.rules.setdefault(name, alternatives)
        return Ref(wanted)

    def _scope(self, scope: "Scope") -> int:
        """Number of a set of names by kind; sites of one statement, and often more, share it."""
        return self._scopes.setdefault(tuple(sorted(scope.by_kind.items())), len(self._scopes))

    def _top(self, site: "Site") -> Ref | None:
        """What may be put at a site: a fresh expression, or one that what is there now is a part of."""
        fresh = self._expression(site.kind, site.scope, self.depth, text(site.node))
        around = ("around", site.kind, site.own, self._scope(site.scope))
        if around not in self._known:
            self._known[around] = self._rule(f"around-{len(self.rules)}", self._around(site))
        key = ("at", fresh, self._known[around])
        if key not in self._known:
            both = [(ref,) for ref in (fresh, self._known[around]) if ref is not None]
            self._known[key] = self._rule(f"at-{len(self.rules)}", both)
        return self._known[key]

    def _line(self, line: "Line") -> Ref | None:
        """What may be done at a statement: a name gets another value before it, or it is deleted."""
        key = ("line", self._scope(line.scope), _deletable(line))
        if key not in self._known:
            made: list[Alternative] = [(DELETE,)] if _deletable(line) else []
            for kind, names in line.scope.by_kind.items():
                own = [name for name in names if name not in self._given and len(name) <= _LONGEST_NAME]
                for name in own[-_MOST_TARGETS:] if kind in self.groups else ():
                    other = self._expression(kind, line.scope, self.depth, name)
                    made += [(f"{name} = ", other)] if other else []
            self._known[key] = self._rule(f"line-{len(self.rules)}", made)
        return self._known[key]

    def _expression(self, kind: str, scope: "Scope", depth: int, there: str = "") -> Ref | None:
        """A rule for expressions of a kind, at most so deep, but for what is there already; None if there are none."""
        names = [name for name in scope.names(kind) if len(name) <= _LONGEST_NAME][-_MOST_NAMES:]
        literals = self._literals.get(kind, [])
        key = (kind, self._scope(scope), depth, there if there in names or there in literals else "")
        if key not in self._known:
            alternatives = self._leaves(
                kind, [[one for one in some if one != there] for some in (names, literals)]
            )
            for group in self.groups.get(kind, ()) if depth > 0 else ():
                parts = [self._expression(wanted, scope, depth - 1) for wanted in group.args]
                alternatives += self._written(group, parts)
            said = kind if kind.isascii() and kind.isalpha() and kind.islower() else "kind"
            self._known[key] = self._rule(f"{said}-{len(self.rules)}", alternatives)
        return self._known[key]

    def _leaves(self, kind: str, words: list[list[str]]) -> list[Alternative]:
        """Names of a kind, and its constants: one alternative each, however many names there are."""
        made: list[Alternative] = [(self._choice(tuple(some)),) for some in words if some]
        constant = None if kind in self._literals else self._constant(kind)
        return made if constant is None else [*made, (constant,)]

    def _around(self, site: "Site") -> list[Alternative]:
        """What is at the site as a part of a fresh expression."""
        groups = self.groups.get(site.kind, [])
        if site.kind == UNKNOWN:  # scaled or shifted: fits a number and an array alike
            words = tuple(SIGNS[operator] for operator in ARITHMETIC["num"])
            groups = [*groups, _Group((UNKNOWN, "num"), words, "between")]
        made: list[Alternative] = []
        for group in groups:
            for place, wanted in enumerate(group.args):
                if accepts(wanted, site.own) or (wanted == site.kind == UNKNOWN):
                    parts: list[str | Ref | None] = [
                        self.hole if j == place else self._expression(other, site.scope, min(1, self.depth))
                        for j, other in enumerate(group.args)
                    ]
                    made += self._written(group, parts)
        return made

    def _written(self, group: _Group, parts: Sequence[str | Ref | None]) -> list[Alternative]:
        """A group with its parts, as one alternative; none if a part is lacking."""
        given = [part for part in parts if part is not None]
        if len(given) < len(parts):
            return []
        word = self._choice(group.words)
        if group.form == "sign":
            return [("(-", given[0], ")")]
        if group.form == "between":
            return [("(", given[0], word, given[1], ")")]
        for place, literal in group.fixed:
            given.insert(place, literal)
        listed = [part for one in given for part in (", ", one)][1:]
        return [(word, "(", *listed, ")")]
