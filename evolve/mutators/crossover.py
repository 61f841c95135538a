"""Operators that join a program with parts of another elite.

Knows kinds and syntax. Knows nothing of scores, and holds nothing that is particular to a problem.
"""

import ast

from evolve.identity import form
from evolve.mutators.sites import Map, Scope, Site
from evolve.mutators.survey import assigned
from evolve.mutators.work import Work
from evolve.tree import Node, at, docstring
from evolve.vocabulary import ARITHMETIC, accepts, name_node, number

__all__ = ["blend", "cross", "with_names"]

_MIXED = frozenset({"num", "vec"})
_BINDERS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp, ast.Lambda, ast.NamedExpr)
_LARGEST = 400  # nodes of an answer that is written as one expression: names that stand for much multiply


def cross(work: Work) -> Node | None:
    """A subtree gives way to a subtree of another elite, or of the parent itself, of the same kind."""
    site = work.site(work.own.sites)
    if site is None:
        return None
    count = len(work.mates)
    foreign = count > 0 and work.rng.random() < 0.8
    chosen = work.rng.randrange(count) if foreign else -1
    giver = work.mates[chosen] if foreign else work.own
    pool = giver.by_kind.get(site.kind, ())
    if site.kind == "num":
        pool = [*pool, *giver.by_kind.get("int", ())]
    given = work.site(pool)
    if given is None:
        return None
    node = _at_home(work, given, site.scope, giver is work.own)
    work.grafted = chosen if foreign else None
    return work.put(site, node)


def blend(work: Work) -> Node | None:
    """An expression is joined by arithmetic with one of another elite: its answer with ours, or a part with a part.

    Half of them are weighted means, c a + (1 - c) b. Where errors are squared, such a mean of two answers is no worse
    than the worse of them and often better than both (geometric semantic crossover: Moraglio, Krawiec and Johnson,
    PPSN XII, 2012).
    """
    if not work.mates:
        return None
    chosen = work.rng.randrange(len(work.mates))
    of = _answers if work.rng.random() < 0.5 else _parts
    joined = of(work, work.mates[chosen])
    if joined is None:
        return None
    work.grafted = chosen
    site, node = joined
    return work.put(site, _joined(work, site.node, node))


def _joined(work: Work, one: Node, other: Node) -> Node:
    """The sum c one + (1 - c) other; or one + c other; or both with any operator between."""
    draw = work.rng.random()
    if draw < 0.5:
        share = round(work.rng.uniform(0.05, 0.95), 2)
        return _binary(_times(share, one), ast.Add, _times(round(1.0 - share, 2), other))
    if draw < 0.75:
        return _binary(one, ast.Add, _times(float(f"{work.rng.gauss(0.0, 0.5):.2g}"), other))
    return _binary(one, work.rng.choice(ARITHMETIC["num"]), other)


def _binary(left: Node, operator: type[ast.AST], right: Node) -> Node:
    return Node(ast.BinOp, (left, operator, right))


def _times(share: float, node: Node) -> Node:
    return _binary(number(share), ast.Mult, node)


def _parts(work: Work, giver: Map) -> tuple[Site, Node] | None:
    """An expression, and one of the same kind of the giver's."""
    site = work.site([site for site in work.own.sites if site.own in _MIXED])
    given = None if site is None else work.site(giver.by_kind.get(site.own, ()))
    node = None if site is None or given is None else _at_home(work, given, site.scope, False)
    return None if site is None or node is None else (site, node)


def _answers(work: Work, giver: Map) -> tuple[Site, Node] | None:
    """What the program returns, and what the giver does; both compute it in a straight line, of the same parameters."""
    site, theirs = _returned(work.own), _returned(giver)
    if site is None or theirs is None or not {site.own, theirs.own} <= _MIXED:
        return None
    function = at(work.own.tree, work.own.entry)
    parameters = _parameters(function)
    if parameters != _parameters(at(giver.tree, giver.entry)):
        return None
    node = _in_one(giver)
    if node is None or form(node) == form(site.node):
        return None
    names = _names(node)
    if not names.isdisjoint(assigned(function)) or not names - set(parameters) <= work.own.everywhere:
        return None  # it would read what this program has bound to something else, or to nothing
    return site, node


def _parameters(function: Node) -> tuple[str, ...]:
    """Names of all parameters, in order."""
    arguments = function.get("args")
    return tuple(
        one.fields[0] for name in ("posonlyargs", "args", "kwonlyargs") for one in arguments.get(name)
    )


def _returned(own: Map) -> Site | None:
    """The expression that a straight-line entry returns."""
    if not own.plain:
        return None
    function = at(own.tree, own.entry)
    body = function.kind._fields.index("body")
    path = (*own.entry, (body, len(function.fields[body]) - 1), ast.Return._fields.index("value"))
    return next((site for site in own.sites if site.path == path), None)


def _in_one(giver: Map) -> Node | None:
    """The answer of a straight-line entry as one expression of its parameters; None where that cannot be said."""
    function = at(giver.tree, giver.entry)
    known: dict[str, Node] = {}
    for line in function.get("body")[int(docstring(function) is not None) :]:
        value = line.get("value")
        if value is None or _binds_inside(value):
            return None
        value = _told(value, known)
        if value.size > _LARGEST:
            return None
        if line.kind is ast.Return:
            return value
        targets = line.fields[0] if line.kind is ast.Assign else (line.fields[0],)
        if len(targets) != 1 or targets[0].kind is not ast.Name:
            return None
        known[targets[0].fields[0]] = value
    return None


def _told(node: Node, known: dict[str, Node]) -> Node:
    """The node with expressions in the place of names that are read; shared where nothing changes."""
    if node.kind is ast.Name:
        return known.get(node.fields[0], node) if node.fields[1] is ast.Load else node
    changed = False
    fields = []
    for value in node.fields:
        new = value
        if value.__class__ is Node:
            new = _told(value, known)
            changed = changed or new is not value
        elif value.__class__ is tuple:
            items = [_told(one, known) if one.__class__ is Node else one for one in value]
            if any(a is not b for a, b in zip(items, value, strict=True)):
                new, changed = tuple(items), True
        fields.append(new)
    return Node(node.kind, tuple(fields)) if changed else node


def _binds_inside(node: Node) -> bool:
    """Whether names are bound in an expression, as comprehensions and lambdas do."""
    return node.kind in _BINDERS or any(
        item.__class__ is Node and _binds_inside(item)
        for value in node.fields
        for item in (value if value.__class__ is tuple else (value,))
    )


def _names(node: Node) -> set[str]:
    """Every name that is read."""
    return {piece for piece in form(node).split("\0")[1::2] if piece[0] not in "=!"}


def _at_home(work: Work, given: Site, scope: Scope, own: bool) -> Node | None:
    """The given expression with names that are bound here; None if that cannot be."""
    if _binds_inside(given.node):
        return None
    exchange: dict[str, str] = {}
    for name in sorted(_names(given.node)):
        kind = given.scope.kinds.get(name)
        if name in scope.kinds and (kind is None or accepts(kind, scope.kinds[name])):
            continue
        if kind is None:
            if not own and name not in work.own.everywhere:
                return None  # a function or module that this program does not know
            continue
        names = scope.names(kind)
        if not names:
            return None
        exchange[name] = names[work.rng.randrange(len(names))]
    return with_names(given.node, exchange) if exchange else given.node


def with_names(node: Node, exchange: dict[str, str]) -> Node:
    """The node with other names where names are read."""
    return _told(node, {old: name_node(new) for old, new in exchange.items()})
