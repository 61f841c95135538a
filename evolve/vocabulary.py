"""What the syntactic mutator may say: primitives with kinds, the operators that go without saying, constants.

Knows kinds (num, int, bool, vec, index, any word) and how expressions of each are built. Knows nothing of a
program, and holds nothing that is particular to a problem: primitives come from the problem or its block.
"""

import ast
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from evolve.tree import Node

__all__ = [
    "ARITHMETIC",
    "COMPARISONS",
    "UNKNOWN",
    "Primitive",
    "Production",
    "Vocabulary",
    "accepts",
    "call",
    "constant_of",
    "name_node",
    "number",
]

UNKNOWN = "thing"  # kind of what cannot be told: an array or a number of a general block


@dataclass(frozen=True, slots=True)
class Primitive:
    """A function that proposals may call by position; without arguments, a name or a whole number of that kind.

    `Primitive("np.sum", ("vec", 0), "num")` calls `np.sum(v, 0)`: a whole number in `args` stands there as it
    is. `Primitive("2", (), "index")` says that 2 is an index. One function may come several times, with other
    kinds; coming twice with the same makes it twice as likely.

    Args:
        name: as the block writes it, for instance "np.exp"; its module must be imported in the block.
        args: kinds of its arguments, or whole numbers.
        kind: kind of its value: num, int, bool, vec, index or any word of the problem's own.

    Raises:
        ValueError: the name is no dotted name, or a kind is no word.
    """

    name: str
    args: tuple[str | int, ...]
    kind: str

    def __post_init__(self) -> None:
        if self.literal is None and not all(part.isidentifier() for part in self.name.split(".")):
            raise ValueError(
                f"primitive {self.name!r} is no name; write it as the block would, like 'np.exp'"
            )
        if self.literal is not None and self.args:
            raise ValueError(f"primitive {self.name!r}: a number takes no arguments")
        for kind in (*self.args, self.kind):
            if isinstance(kind, str) and not kind.isidentifier():
                raise ValueError(
                    f"primitive {self.name!r}: kind {kind!r} is no word; say num, bool, int, ..."
                )

    @property
    def literal(self) -> int | None:
        """The whole number that it is, if it is one."""
        digits = self.name.removeprefix("-")
        return int(self.name) if digits.isascii() and digits.isdigit() else None


def accepts(wanted: str, kind: str | None) -> bool:
    """Whether a value of `kind` may stand where `wanted` is due: an int is a num."""
    return kind == wanted or (wanted == "num" and kind == "int")


def name_node(name: str) -> Node:
    """A node that reads a name or dotted name."""
    first, *rest = name.split(".")
    node = Node(ast.Name, (first, ast.Load))
    for part in rest:
        node = Node(ast.Attribute, (node, part, ast.Load))
    return node


def number(value: float) -> Node:
    """A literal; a negative number is a sign and a literal, as Python reads it.

    Raises:
        ValueError: if `value` is not finite.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} is no literal")
    if math.copysign(1.0, value) < 0.0:
        return Node(ast.UnaryOp, (ast.USub, Node(ast.Constant, (-value, None))))
    return Node(ast.Constant, (value, None))


def constant_of(node: Node) -> int | float | None:
    """The number that a literal with at most one sign stands for; None for anything else (bool included)."""
    if node.kind is ast.UnaryOp and node.fields[0] is ast.USub:
        inner = constant_of(node.fields[1]) if node.fields[1].kind is ast.Constant else None
        return None if inner is None else -inner
    if node.kind is ast.Constant and node.fields[0].__class__ in (float, int):
        value: int | float = node.fields[0]
        return value
    return None


def call(function: Node, arguments: Sequence[Node]) -> Node:
    """`function(*arguments)`."""
    return Node(ast.Call, (function, tuple(arguments), ()))


@dataclass(frozen=True, slots=True)
class Production:
    """One way to build an expression.

    Args:
        args: kinds of its parts.
        kind: kind of the whole.
        operator: an operator class of `ast`, or None for a call.
        function: what is called, or None.
        fixed: literals among a call's arguments, by their place, the first one first.
    """

    args: tuple[str, ...]
    kind: str
    operator: type[ast.AST] | None = None
    function: Node | None = None
    fixed: tuple[tuple[int, Node], ...] = ()

    def build(self, parts: Sequence[Node]) -> Node:
        """The expression from its parts, one for each of `args` (for a power, the exponent is the second)."""
        if self.function is not None:
            whole = list(parts)
            for place, literal in self.fixed:
                whole.insert(place, literal)
            return call(self.function, whole)
        operator = self.operator
        if operator is ast.USub:
            if parts[0].kind is ast.UnaryOp and parts[0].fields[0] is ast.USub:
                return cast(Node, parts[0].fields[1])  # two signs are none
            return Node(ast.UnaryOp, (operator, parts[0]))
        if operator in COMPARISONS:
            return Node(ast.Compare, (parts[0], (operator,), (parts[1],)))
        return Node(ast.BinOp, (parts[0], operator, parts[1]))


def _called(one: Primitive) -> Production:
    fixed = tuple((place, number(value)) for place, value in enumerate(one.args) if isinstance(value, int))
    kinds = tuple(kind for kind in one.args if isinstance(kind, str))
    return Production(kinds, one.kind, function=name_node(one.name), fixed=fixed)


COMPARISONS: tuple[type[ast.AST], ...] = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
ARITHMETIC: Mapping[str, tuple[type[ast.AST], ...]] = {
    "num": (ast.Add, ast.Sub, ast.Mult, ast.Div),
    "vec": (ast.Add, ast.Sub, ast.Mult, ast.Div),
    "int": (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod),
    "bool": (ast.BitAnd, ast.BitOr),  # not `and`: a truth value may be an array
}


# How often arithmetic is drawn, beside once for each other way to build an expression: formulas are mostly sums
# and products, and a vocabulary of twenty functions would drown them.
_WEIGHT: Mapping[type[ast.AST], int] = {ast.Add: 3, ast.Sub: 3, ast.Mult: 3, ast.Div: 2}


def _built_in() -> list[Production]:
    """What needs no primitive.

    A `num` is a scalar, or an array that broadcasts like one; so num with vec gives vec, and no operator
    turns a vec into a num.
    """
    made = [
        Production((kind, kind), kind, operator)
        for kind, operators in ARITHMETIC.items()
        for operator in operators
        for _ in range(_WEIGHT.get(operator, 1))
    ]
    made += [Production(("vec", "num"), "vec", operator) for operator in ARITHMETIC["vec"]]
    made += [Production(("num", "vec"), "vec", operator) for operator in (ast.Sub, ast.Div)]
    made += [Production(("num", "num"), "bool", operator) for operator in COMPARISONS]
    made += [Production((kind,), kind, ast.USub) for kind in ("num", "vec")]
    made += [Production((kind, "exponent"), kind, ast.Pow) for kind in ("num", "vec")]
    return made


_BUILT_IN = _built_in()


@dataclass(frozen=True)
class Vocabulary:
    """Everything proposals may be made of.

    Args:
        primitives: functions and names, of the problem or derived from its block.
        declared: whether the problem gave them, so that every number in the program is known to be a num.
    """

    primitives: tuple[Primitive, ...] = ()
    declared: bool = False
    productions: Mapping[str, tuple[Production, ...]] = field(init=False, compare=False)
    functions: Mapping[str, tuple[Primitive, ...]] = field(init=False, compare=False)
    swaps: Mapping[tuple[tuple[str | int, ...], str], tuple[Node, ...]] = field(init=False, compare=False)
    names: Mapping[str, str] = field(init=False, compare=False)
    literals: Mapping[str, tuple[Node, ...]] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        productions: dict[str, list[Production]] = {}
        for production in (*_BUILT_IN, *(_called(one) for one in self.primitives if one.args)):
            productions.setdefault(production.kind, []).append(production)
        swaps: dict[tuple[tuple[str | int, ...], str], list[Node]] = {}
        functions: dict[str, list[Primitive]] = {}
        literals: dict[str, list[Node]] = {}
        for one in self.primitives:
            if one.args:
                swaps.setdefault((one.args, one.kind), []).append(name_node(one.name))
                functions.setdefault(one.name, []).append(one)
            elif one.literal is not None:
                literals.setdefault(one.kind, []).append(number(one.literal))
        named = [one for one in self.primitives if not one.args and one.literal is None]
        self._set("productions", {kind: tuple(some) for kind, some in productions.items()})
        self._set("swaps", {signature: tuple(some) for signature, some in swaps.items()})
        self._set("functions", {name: tuple(dict.fromkeys(some)) for name, some in functions.items()})
        self._set("literals", {kind: tuple(some) for kind, some in literals.items()})
        self._set("names", {one.name: one.kind for one in named})

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def constant(self, kind: str, rng: random.Random) -> Node | None:
        """A fresh constant of a kind: one of the problem's, else small round numbers or log-uniform ones."""
        if kind in self.literals:
            return self.literals[kind][int(rng.random() * len(self.literals[kind]))]
        if kind == "num":
            if rng.random() < 0.4:
                return number(float(rng.randrange(4)))
            value = float(f"{10.0 ** rng.uniform(-2.0, 2.0):.3g}")
            return number(-value if rng.random() < 0.25 else value)
        if kind == "int":
            return number(rng.randrange(5))
        if kind == "exponent":  # no problem's interpreter takes large ones
            return number(2 if rng.random() < 0.7 else 3)
        return None
