"""Finds where a program can change: walks its functions and follows kinds from names to operators and calls.

Knows how kinds follow from names, operators and primitives. Changes nothing. Done once a parent and kept.
"""

import ast
import builtins
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from evolve.mutators.sites import UNKNOWN, Line, Map, Scope, Site
from evolve.tree import Node, Path, docstring
from evolve.vocabulary import ARITHMETIC, Primitive, Vocabulary, accepts, constant_of

__all__ = ["assigned", "dotted", "map_program"]

_BUILTIN = frozenset(dir(builtins))
_NUMBERS = frozenset({"pi", "e", "inf", "nan", "tau", "newaxis", "euler_gamma"})
_INTEGRAL = frozenset({"len", "range", "int"})
_FIXED = (ast.Lambda, ast.JoinedStr, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr, ast.Starred)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)


def map_program(tree: Node, entry: str, vocabulary: Vocabulary) -> Map | None:
    """Map a program; None if it does not define `entry` at its top level."""
    made = Map(tree)
    functions = [(i, one) for i, one in enumerate(tree.fields[0]) if one.kind is ast.FunctionDef]
    for i, function in functions:
        if function.fields[0] == entry:
            made.entry = ((0, i),)
            body = function.get("body")[int(docstring(function) is not None) :]
            made.plain = all(line.kind in (ast.Assign, ast.AnnAssign, ast.Return) for line in body)
    for i, function in functions:
        _Surveyor(made, vocabulary).function(function, ((0, i),), Scope(dict(vocabulary.names)))
    made.names = frozenset(_mentioned(tree))
    made.everywhere = _BUILTIN.union(_global(tree))
    for site in made.sites:
        made.by_kind.setdefault(site.own, []).append(site)
    return made if made.entry else None


def _mentioned(node: Node) -> Iterable[str]:
    for value in node.fields:
        for item in value if value.__class__ is tuple else (value,):
            if item.__class__ is Node:
                yield from _mentioned(item)
            elif item.__class__ is str:
                yield item


def _global(tree: Node) -> Iterable[str]:
    """Names that a module binds."""
    for line in tree.fields[0]:
        if line.kind in (ast.Import, ast.ImportFrom):
            for alias in line.get("names"):
                yield (alias.fields[1] or alias.fields[0]).partition(".")[0]
        elif line.kind in (ast.FunctionDef, ast.ClassDef):
            yield line.fields[0]
        else:
            yield from assigned(line)


def assigned(node: Node) -> Iterable[str]:
    """Names that are bound or deleted by statements and expressions within, at any depth; not those of imports."""
    if node.kind is ast.Name and node.fields[1] is not ast.Load:
        yield node.fields[0]
    for value in node.fields:
        for item in value if value.__class__ is tuple else (value,):
            if item.__class__ is Node:
                yield from assigned(item)


class _Surveyor:
    """Walks one function, top to bottom, and fills a Map."""

    def __init__(self, made: Map, vocabulary: Vocabulary) -> None:
        self.made = made
        self.vocabulary = vocabulary
        self.depth = 0
        self.line = -1
        self.assigned: frozenset[str] = frozenset()

    # -- statements

    def function(self, node: Node, path: Path, scope: Scope) -> None:
        """A function's body; parameters are nums unless their annotation or the problem says otherwise."""
        arguments = node.get("args")
        self.assigned |= frozenset(assigned(node))
        late = self.assigned & self.vocabulary.names.keys()  # declared by the problem, bound by the block
        if late:
            scope = Scope({name: kind for name, kind in scope.kinds.items() if name not in late})
        for name in ("posonlyargs", "args", "kwonlyargs"):
            for argument in arguments.get(name):
                scope = scope.bind([argument.fields[0]], self._parameter(argument))
        self.block(
            node.get("body"), path, node.kind._fields.index("body"), scope, docstring(node) is not None
        )

    def _parameter(self, argument: Node) -> str:
        name, annotation = argument.fields[:2]
        if name in self.vocabulary.names:
            return self.vocabulary.names[name]
        if (
            annotation is None or self.made.plain
        ):  # straight-line programs index nothing: a num does for an int
            return "num"
        said = {"int": "int", "float": "num", "bool": "bool"}.get(dotted(annotation))
        return said or ("num" if self.vocabulary.declared else UNKNOWN)

    def block(
        self, body: Sequence[Node], path: Path, where: int, scope: Scope, documented: bool = False
    ) -> Scope:
        """A list of statements; answers with the names that are bound after it."""
        first = int(documented)
        for j in range(first, len(body)):
            own = (*path, (where, j))
            self.line = len(self.made.lines)
            self.made.lines.append(Line(own, body[j], scope, len(body) - first, j - first, self.depth))
            scope = self.statement(body[j], own, scope)
        return scope

    def statement(self, node: Node, path: Path, scope: Scope) -> Scope:
        """One statement; answers with the names that are bound after it."""
        kind = node.kind
        if kind in (ast.Assign, ast.AnnAssign, ast.AugAssign):
            return self.assignment(node, path, scope)
        if kind in (ast.Return, ast.Expr):
            at = node.kind._fields.index("value")
            if node.fields[at] is not None:
                self.expression(node.fields[at], (*path, at), scope, None)
            return scope
        if kind in (ast.For, ast.AsyncFor):
            source = self.expression(node.fields[1], (*path, 1), scope, None)
            scope = scope.bind(_bound(node.fields[0]), "int" if source == "range" else UNKNOWN)
        elif kind in (ast.If, ast.While):
            self.expression(node.fields[0], (*path, 0), scope, "bool")
        self.inner(node, path, scope)
        return scope.bind([node.fields[0]], "function") if kind in (ast.FunctionDef, ast.ClassDef) else scope

    def inner(self, node: Node, path: Path, scope: Scope) -> None:
        """Bodies of a compound statement."""
        loop = node.kind in (ast.For, ast.While, ast.AsyncFor)
        if node.kind is ast.FunctionDef:
            self.function(node, path, scope)
            return
        if node.kind not in (ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.Try):
            return
        line, self.depth = self.line, self.depth + loop
        for name in ("body", "orelse", "finalbody"):
            if name in node.kind._fields:
                self.block(node.get(name), path, node.kind._fields.index(name), scope)
        self.line, self.depth = line, self.depth - loop

    def assignment(self, node: Node, path: Path, scope: Scope) -> Scope:
        """What stands right of `=`; names on the left become that kind, or what the problem declares."""
        at = node.kind._fields.index("value")
        if node.fields[at] is None:
            return scope
        kind = self.expression(node.fields[at], (*path, at), scope, None)
        targets = node.fields[0] if node.kind is ast.Assign else (node.fields[0],)
        for target in targets:
            if target.kind is ast.Name:
                if node.kind is not ast.AugAssign:
                    name = target.fields[0]
                    scope = scope.bind([name], self.vocabulary.names.get(name, kind))
            else:
                scope = scope.bind(_bound(target), UNKNOWN)
        return scope

    # -- expressions

    def expression(self, node: Node, path: Path, scope: Scope, wanted: str | None) -> str:
        """Survey an expression and what is in it; answers with its kind.

        Args:
            node: the expression.
            path: from the module.
            scope: names bound there.
            wanted: kind that its place asks for; None if any does.
        """
        value = constant_of(node)
        if value is not None:
            own = "num" if isinstance(value, float) else "int"
            if wanted is not None and wanted in self.vocabulary.literals:
                own = wanted
        else:
            own = _RULES.get(node.kind, _Surveyor.other)(self, node, path, scope)
        if node.kind in _FIXED or own in ("range", "function", "text"):
            return own
        if wanted is None or not accepts(wanted, own):
            wanted = own
        site = Site(path, node, wanted, own, scope, self.line)
        if value is not None:
            self.made.constants.append(site)
        if wanted != "exponent":
            self.made.sites.append(site)
        return own

    def _parts(
        self, nodes: Sequence[Node], path: Path, where: int, scope: Scope, wanted: str | None
    ) -> list[str]:
        return [self.expression(node, (*path, (where, j)), scope, wanted) for j, node in enumerate(nodes)]

    def name(self, node: Node, _path: Path, scope: Scope) -> str:
        """A name: what is bound, else something of the module or a builtin."""
        name = node.fields[0]
        unbound = UNKNOWN if name in self.assigned else "function"
        return scope.kinds.get(name) or self.vocabulary.names.get(name, unbound)

    def constant(self, node: Node, _path: Path, _scope: Scope) -> str:
        """True and False are bools; texts and None stay as they are."""
        return "bool" if node.fields[0].__class__ is bool else "text"

    def binary(self, node: Node, path: Path, scope: Scope) -> str:
        """Arithmetic: the wider of both kinds."""
        left, operator, right = node.fields
        if operator is ast.Pow:
            kind = self.expression(left, (*path, 0), scope, None)
            if constant_of(right).__class__ is int:
                self._exponent(right, (*path, 2), scope)
                return kind
            other = self.expression(right, (*path, 2), scope, None)
        else:
            kind = self.expression(left, (*path, 0), scope, None)
            before = len(self.made.sites)
            other = self.expression(right, (*path, 2), scope, None)
        own = _joint(kind, other, operator)
        if own == "num" and operator is not ast.Pow:  # beside a num, an int may become one
            self._widen(before - 1, left)
            self._widen(len(self.made.sites) - 1, right)
        if operator in ARITHMETIC.get(own, ARITHMETIC["num"]):
            self.made.swaps.append(Site(path, node, own, own, scope, self.line))
        return own

    def _widen(self, index: int, node: Node) -> None:
        if index >= 0 and self.made.sites[index].node is node:
            self.made.sites[index] = replace(self.made.sites[index], kind="num")

    def _exponent(self, node: Node, path: Path, scope: Scope) -> None:
        self.made.constants.append(Site(path, node, "exponent", "exponent", scope, self.line))

    def unary(self, node: Node, path: Path, scope: Scope) -> str:
        """`-a` and `not a`."""
        operator, value = node.fields
        kind = self.expression(value, (*path, 1), scope, None)
        return "bool" if operator is ast.Not else kind

    def logical(self, node: Node, path: Path, scope: Scope) -> str:
        """`a and b`."""
        self._parts(node.fields[1], path, 1, scope, "bool")
        self.made.swaps.append(Site(path, node, "bool", "bool", scope, self.line))
        return "bool"

    def compare(self, node: Node, path: Path, scope: Scope) -> str:
        """`a < b`: what is compared may be any num."""
        left, _, others = node.fields
        self.expression(left, (*path, 0), scope, "num")
        self._parts(others, path, 2, scope, "num")
        self.made.swaps.append(Site(path, node, "bool", "bool", scope, self.line))
        return "bool"

    def conditional(self, node: Node, path: Path, scope: Scope) -> str:
        """`a if test else b`."""
        test, body, orelse = node.fields
        self.expression(test, (*path, 0), scope, "bool")
        kind = self.expression(body, (*path, 1), scope, None)
        other = self.expression(orelse, (*path, 2), scope, None)
        return _joint(kind, other, ast.Add)

    def calling(self, node: Node, path: Path, scope: Scope) -> str:
        """A call: of a primitive its arguments are of its kinds; of anything else of their own."""
        function, arguments, keywords = node.fields
        name = dotted(function)
        known = None if keywords else self._overload(name, arguments, path, scope)
        if known is not None:
            for j, wanted in enumerate(known.args):
                if isinstance(wanted, str):
                    self.expression(arguments[j], (*path, (1, j)), scope, wanted)
            self.made.swaps.append(Site(path, node, known.kind, known.kind, scope, self.line, known))
            return known.kind
        if name == "range":
            self._parts(arguments, path, 1, scope, "int")
            self.made.loops.append(Site(path, node, "range", "range", scope, self.line))
            return "range"
        self._parts(arguments, path, 1, scope, None)
        for j, keyword in enumerate(keywords):
            self.expression(keyword.fields[1], (*path, (2, j), 1), scope, None)
        if not name and function.kind is ast.Attribute:
            self.expression(function.fields[0], (*path, 0, 0), scope, None)
        return "int" if name in _INTEGRAL else UNKNOWN

    def _overload(self, name: str, arguments: Sequence[Node], path: Path, scope: Scope) -> Primitive | None:
        """The primitive that a call is of: by its number of arguments, its literals and the kinds it is given."""
        fitting = [
            one
            for one in self.vocabulary.functions.get(name, ())
            if len(one.args) == len(arguments)
            and all(
                isinstance(a, str) or constant_of(node) == a
                for a, node in zip(one.args, arguments, strict=True)
            )
        ]
        if len(fitting) < 2:
            return fitting[0] if fitting else None
        kinds = [self._peek(node, (*path, (1, j)), scope) for j, node in enumerate(arguments)]
        for one in fitting:
            if all(isinstance(a, int) or accepts(a, kind) for a, kind in zip(one.args, kinds, strict=True)):
                return one
        return fitting[0]

    def _peek(self, node: Node, path: Path, scope: Scope) -> str:
        """The kind of an expression, leaving no trace in the map."""
        lists: tuple[list[Site], ...] = (
            self.made.sites,
            self.made.constants,
            self.made.swaps,
            self.made.loops,
        )
        before = [len(one) for one in lists]
        kind = self.expression(node, path, scope, None)
        for one, length in zip(lists, before, strict=True):
            del one[length:]
        return kind

    def subscript(self, node: Node, path: Path, scope: Scope) -> str:
        """`a[i, j]` is a number, `a[i]` and slices may be anything."""
        value, index = node.fields[:2]
        self.expression(value, (*path, 0), scope, None)
        items = index.fields[0] if index.kind is ast.Tuple else (index,)
        if any(item.kind in (ast.Slice, ast.Starred) for item in items):
            return UNKNOWN
        if index.kind is ast.Tuple:
            self._parts(items, (*path, 1), 0, scope, None)
            return "num"
        self.expression(index, (*path, 1), scope, None)
        return UNKNOWN

    def attribute(self, node: Node, path: Path, scope: Scope) -> str:
        """`np.pi` is a number; a method is no value; anything else may be anything."""
        value, name = node.fields[:2]
        if value.kind is ast.Name and value.fields[0] not in scope.kinds:
            return "num" if name in _NUMBERS else "function"
        self.expression(value, (*path, 0), scope, None)
        return UNKNOWN

    def display(self, node: Node, path: Path, scope: Scope) -> str:
        """A tuple, list or set: its items change, itself it stays."""
        self._parts(node.fields[0], path, 0, scope, None)
        return "text"

    def comprehension(self, node: Node, path: Path, scope: Scope) -> str:
        """A comprehension: its first source, and its element with the targets bound."""
        where = len(node.fields) - 1
        for j, generator in enumerate(node.fields[where]):
            inner = (*path, (where, j))
            source = self.expression(generator.fields[1], (*inner, 1), scope, None)
            kind = "int" if source == "range" else UNKNOWN
            scope = scope.bind(_bound(generator.fields[0]), kind)
            self._parts(generator.fields[2], inner, 2, scope, "bool")
        for i in range(where):
            self.expression(node.fields[i], (*path, i), scope, None)
        return "text"

    def other(self, _node: Node, _path: Path, _scope: Scope) -> str:
        """Nothing in here is looked into."""
        return "text"


_RULES: dict[type[ast.AST], Any] = {
    ast.Name: _Surveyor.name,
    ast.Constant: _Surveyor.constant,
    ast.BinOp: _Surveyor.binary,
    ast.UnaryOp: _Surveyor.unary,
    ast.BoolOp: _Surveyor.logical,
    ast.Compare: _Surveyor.compare,
    ast.IfExp: _Surveyor.conditional,
    ast.Call: _Surveyor.calling,
    ast.Subscript: _Surveyor.subscript,
    ast.Attribute: _Surveyor.attribute,
    ast.Tuple: _Surveyor.display,
    ast.List: _Surveyor.display,
    ast.Set: _Surveyor.display,
    **dict.fromkeys(_COMPREHENSIONS, _Surveyor.comprehension),
}


def _bound(target: Node) -> list[str]:
    if target.kind is ast.Name:
        return [target.fields[0]]
    if target.kind in (ast.Tuple, ast.List):
        return [name for item in target.fields[0] for name in _bound(item)]
    return []


def dotted(node: Node) -> str:
    """A name or dotted name as it is written; empty for anything else."""
    if node.kind is ast.Name:
        name: str = node.fields[0]
        return name
    if node.kind is ast.Attribute:
        before = dotted(node.fields[0])
        return f"{before}.{node.fields[1]}" if before else ""
    return ""


def _joint(one: str, other: str, operator: type[ast.AST]) -> str:
    """Kind of an operator's value."""
    both = {one, other}
    if both == {"int"}:
        return "num" if operator is ast.Div else "int"
    if both <= {"num", "int"}:
        return "num"
    if both <= {"num", "int", "vec"}:
        return "vec"
    return one if one == other else UNKNOWN
