"""The operators of the syntactic mutator: each takes a program in the making, and gives a tree or None.

Knows kinds and syntax. Knows nothing of scores, and holds nothing that is particular to a problem.
"""

import ast
import math
import random
from collections.abc import Callable, Sequence
from itertools import pairwise

from evolve.identity import form
from evolve.mutators.crossover import blend, cross, with_names
from evolve.mutators.sites import Line, Map, Site
from evolve.mutators.work import Work
from evolve.tree import Node, Path, edit_body, replace
from evolve.vocabulary import ARITHMETIC, COMPARISONS, accepts, call, constant_of, name_node, number

__all__ = ["OPERATORS", "applicable"]

_EVERY_COMPARISON = (*COMPARISONS, ast.Eq, ast.NotEq)
_SIMPLE = frozenset({ast.Assign, ast.AugAssign, ast.Expr})
_MOVABLE = frozenset({*_SIMPLE, ast.If, ast.For, ast.While})
_LARGEST_INT = 10_000  # a loop bound or an array's size: more only runs out of time


# -- expressions


def replace_part(work: Work) -> Node | None:
    """A subtree gives way to a fresh one."""
    site = work.site(work.own.sites)
    return None if site is None else work.put(site, work.grow(site.kind, site.scope, 2))


def grow_part(work: Work) -> Node | None:
    """A leaf gives way to a larger fresh expression."""
    leaves = [site for site in work.own.sites if site.node.size <= 2]
    site = work.site(leaves)
    return None if site is None else work.put(site, work.grow(site.kind, site.scope, 3))


def shrink_part(work: Work) -> Node | None:
    """A subtree gives way to a name or a constant."""
    site = work.site([site for site in work.own.sites if site.node.size > 1])
    return None if site is None else work.put(site, work.leaf(site.kind, site.scope))


def wrap_part(work: Work) -> Node | None:
    """A subtree becomes a part of a fresh expression of its kind."""
    site = work.site(work.own.sites)
    return None if site is None else work.put(site, work.around(site.node, site.own, site.kind, site.scope))


def hoist_part(work: Work) -> Node | None:
    """A subtree gives way to a part of its own of the same kind."""
    site = work.site([site for site in work.own.sites if site.node.size > 1])
    if site is None:
        return None
    deep = len(site.path)
    inner = [
        other
        for other in work.own.sites
        if len(other.path) > deep
        and other.scope is site.scope
        and other.path[:deep] == site.path
        and accepts(site.kind, other.own)
    ]
    part = work.site(inner)
    return None if part is None else work.put(site, part.node)


def swap_operator(work: Work) -> Node | None:
    """An operator or function gives way to another of its signature, or its operands change sides."""
    site = work.site(work.own.swaps)
    if site is None:
        return None
    node, rng = site.node, work.rng
    if node.kind is ast.BinOp:
        left, operator, right = node.fields
        if rng.random() < 0.25:
            return work.put(site, Node(ast.BinOp, (right, operator, left)))
        others = [one for one in ARITHMETIC.get(site.own, ARITHMETIC["num"]) if one is not operator]
        return work.put(site, Node(ast.BinOp, (left, rng.choice(others), right)))
    if node.kind is ast.BoolOp:
        other = ast.Or if node.fields[0] is ast.And else ast.And
        return work.put(site, Node(ast.BoolOp, (other, node.fields[1])))
    if node.kind is ast.Compare:
        return work.put(site, _compared(node, rng))
    return work.put(site, _called(work, site))


def _compared(node: Node, rng: random.Random) -> Node | None:
    left, operators, others = node.fields
    place = rng.randrange(len(operators))
    if operators[place] not in _EVERY_COMPARISON:
        return None
    chosen = rng.choice([one for one in _EVERY_COMPARISON if one is not operators[place]])
    return Node(ast.Compare, (left, (*operators[:place], chosen, *operators[place + 1 :]), others))


def _called(work: Work, site: Site) -> Node | None:
    """Another function of the same signature, or the arguments of one kind change sides."""
    function, arguments, _ = site.node.fields
    known = site.primitive
    if known is None:
        return None
    written = form(function)
    others = [one for one in work.vocabulary.swaps[known.args, known.kind] if form(one) != written]
    if others:
        return call(work.rng.choice(others), arguments)
    mirrored = len(known.args) == 2 and known.args[0] == known.args[1]
    return call(function, arguments[::-1]) if mirrored else None


def rename_use(work: Work) -> Node | None:
    """A use of a name becomes the use of another name of its kind."""
    named = [site for site in work.own.sites if site.node.kind is ast.Name]
    site = work.site(named)
    if site is None:
        return None
    others = [name for name in site.scope.names(site.kind) if name != site.node.fields[0]]
    return work.put(site, name_node(work.rng.choice(others))) if others else None


def perturb_constant(work: Work) -> Node | None:
    """A constant moves: a little, by half, by a factor of two, to the other sign, or to a fresh value."""
    site = work.site(work.own.constants)
    value = None if site is None else constant_of(site.node)
    if site is None or value is None:
        return None
    if site.kind in work.vocabulary.literals:
        return work.put(site, work.vocabulary.constant(site.kind, work.rng))
    if isinstance(value, float):
        return work.put(site, _moved(value, work.rng))
    if site.kind == "exponent":
        return work.put(site, number(work.rng.choice([one for one in (2, 3, 4) if one != value])))
    whole = int(value)
    moves = (whole + 1, whole - 1, whole * 2, whole // 2, work.rng.randrange(10))
    chosen = moves[work.rng.randrange(len(moves))]
    return work.put(site, number(chosen)) if abs(chosen) <= _LARGEST_INT and chosen != value else None


def _moved(value: float, rng: random.Random) -> Node | None:
    draw = rng.random()
    size = abs(value) or 1.0
    if draw < 0.3:
        value += rng.gauss(0.0, 0.05) * size
    elif draw < 0.55:
        value += rng.gauss(0.0, 0.5) * size
    elif draw < 0.65:
        value *= 2.0
    elif draw < 0.75:
        value *= 0.5
    elif draw < 0.82:
        value = -value
    elif draw < 0.9:
        value = float(f"{value:.1g}")
    else:
        value = 10.0 ** rng.uniform(-2.0, 2.0)
    value = float(f"{value:.6g}")
    return number(value) if math.isfinite(value) else None


# -- statements


def insert_local(work: Work) -> Node | None:
    """A new local gets a fresh expression, and is used at once in the statement below."""
    sites = [site for site in work.own.sites if work.own.lines[site.line].node.kind in _USERS]
    site = work.site(sites)
    if site is None:
        return None
    line = work.own.lines[site.line]
    if site.scope is not line.scope:  # inside a comprehension
        return None
    kind = "num" if site.kind == "int" else site.kind
    value = work.grow(kind, line.scope, 2)
    if value is None or value.kind in (ast.Name, ast.Constant):
        return None
    name = work.fresh_name()
    extended = line.scope.bind([name], kind)
    use = work.around(name_node(name), kind, site.kind, extended) if work.rng.random() < 0.3 else None
    if use is None:
        use = _combined(work, site, name)
    below = replace(line.node, site.path[len(line.path) :], use)
    target = Node(ast.Name, (name, ast.Store))
    above = Node(ast.Assign, ((target,), value, None))
    return edit_body(work.own.tree, line.path, (above, below))


_USERS = frozenset({ast.Assign, ast.AugAssign, ast.Return, ast.AnnAssign})


def _combined(work: Work, site: Site, name: str) -> Node:
    """The site's expression with the new local beside it."""
    operators = ARITHMETIC.get(site.kind, ())
    if not operators or work.rng.random() < 0.2:
        return name_node(name)
    return Node(ast.BinOp, (site.node, work.rng.choice(operators), name_node(name)))


def _deletable(own: Map) -> list[Line]:
    return [line for line in own.lines if line.siblings > 1 and line.node.kind in _MOVABLE]


def _repeatable(own: Map) -> list[Line]:
    return [line for line in own.lines if line.node.kind in (ast.AugAssign, ast.For, ast.Expr)]


def delete_line(work: Work) -> Node | None:
    """A statement goes; what it alone had bound is read from another name of its kind."""
    lines = _deletable(work.own)
    line = work.rng.choice(lines) if lines else None
    if line is None:
        return None
    tree = edit_body(work.own.tree, line.path, ())
    bound = [name for name in _binds(line.node) if name not in line.scope.kinds]
    if not bound or not work.own.plain:
        return tree
    exchange: dict[str, str] = {}
    after = _kind_after(work, line, bound)
    for name in bound:
        names = line.scope.names(after.get(name, "num"))
        if not names:
            return None
        exchange[name] = work.rng.choice(names)
    path: Path = line.path[:1]
    function = tree.fields[0][path[0][1]]  # type: ignore[index]
    return replace(tree, path, with_names(function, exchange))


def _binds(node: Node) -> list[str]:
    pieces = form(node).split("\0")[1::2]
    return sorted({piece[1:] for piece in pieces if piece[0] == "="})


def _kind_after(work: Work, line: Line, names: Sequence[str]) -> dict[str, str]:
    for other in work.own.lines:
        if other.path[:-1] == line.path[:-1] and other.index == line.index + 1:
            return {name: other.scope.kinds[name] for name in names if name in other.scope.kinds}
    return {}


def duplicate_line(work: Work) -> Node | None:
    """A statement is done twice."""
    lines = _repeatable(work.own)
    line = work.rng.choice(lines) if lines else None
    return None if line is None else edit_body(work.own.tree, line.path, (line.node, line.node))


def swap_lines(work: Work) -> Node | None:
    """A statement and the next one change places; in a straight line that is an error or nothing at all."""
    pairs = _pairs(work.own)
    if not pairs:
        return None
    upper, lower = pairs[work.rng.randrange(len(pairs))]
    tree = replace(work.own.tree, upper.path, lower.node)
    return replace(tree, lower.path, upper.node)


def _pairs(own: Map) -> list[tuple[Line, Line]]:
    if own.plain:
        return []
    return [
        (line, other)
        for line, other in pairwise(own.lines)
        if other.index == line.index + 1
        and other.path[:-1] == line.path[:-1]
        and line.node.kind in _SIMPLE
        and other.node.kind in _MOVABLE
    ]


def move_bound(work: Work) -> Node | None:
    """A `range` starts or ends elsewhere."""
    site = work.site(work.own.loops)
    if site is None or not site.node.fields[1]:
        return None
    function, arguments, _ = site.node.fields
    place = work.rng.randrange(len(arguments))
    if len(arguments) == 3 and place == 2:
        return None  # a step of zero raises
    old = arguments[place]
    value = constant_of(old)
    chosen: Node | None
    if value is not None and work.rng.random() < 0.5:
        chosen = number(min(int(value) * 2, _LARGEST_INT) if work.rng.random() < 0.5 else int(value) // 2)
    else:
        operator = work.rng.choice((ast.Add, ast.Sub, ast.FloorDiv, ast.Mult))
        amount = 1 if operator in (ast.Add, ast.Sub) else 2
        chosen = Node(ast.BinOp, (old, operator, number(amount)))
    if len(arguments) == 1 and work.rng.random() < 0.2:
        start = work.leaf("int", site.scope)
        return None if start is None else work.put(site, call(function, (start, old)))
    return work.put(site, call(function, (*arguments[:place], chosen, *arguments[place + 1 :])))


OPERATORS: dict[str, Callable[[Work], Node | None]] = {
    "replace": replace_part,
    "grow": grow_part,
    "shrink": shrink_part,
    "wrap": wrap_part,
    "hoist": hoist_part,
    "swap": swap_operator,
    "name": rename_use,
    "constant": perturb_constant,
    "cross": cross,
    "blend": blend,
    "insert": insert_local,
    "delete": delete_line,
    "duplicate": duplicate_line,
    "exchange": swap_lines,
    "bound": move_bound,
}
"""Every operator by the name that proposals record."""


def applicable(own: Map) -> frozenset[str]:
    """The operators that may change a program; the others would only waste a choice."""
    large = any(site.node.size > 1 for site in own.sites)
    able = {
        "hoist": large,
        "shrink": large,
        "swap": bool(own.swaps),
        "constant": bool(own.constants),
        "delete": bool(_deletable(own)),
        "duplicate": bool(_repeatable(own)),
        "exchange": bool(_pairs(own)),
        "bound": bool(own.loops),
    }
    return frozenset([name for name in OPERATORS if able.get(name, bool(own.sites))])
