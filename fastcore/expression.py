"""Reads straight-line Python text into a flat list of operations, without executing a byte of it.

Knows Python's syntax and its scoping rules. Does not know numpy, what a value is, or how operations are run.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from evolve.fastcore.module_names import (
    ModuleNames,
    NotExpression,
    Number,
    is_text,
    number_of,
    parse_source,
    refuse,
)

MAX_DEPTH = 100
"""Levels of one expression. Reading recurses, and must work wherever in the stack its caller stands."""
MAX_OPERATIONS = 1_000
MAX_EXPONENT = 8

Operation = tuple[Callable[..., Any], int, int | None, int | None, int]
"""(callable, id of each of up to three arguments or None, id of the result)."""

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
    ast.Invert: operator.invert,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_NUMBERS = {
    **{
        f"{home}.{name}": getattr(math, name) for home in ("np", "math") for name in ("pi", "e", "inf", "nan")
    },
    "math.tau": math.tau,
    "np.euler_gamma": 0.5772156649015329,
}


@dataclass(frozen=True, slots=True)
class Function:
    """One function that an expression may call, by position only.

    `call` must be pure (equal calls are made once), hashable, never write to an argument, and fail only with
    ArithmeticError, TypeError, ValueError or IndexError.

    Attributes:
        name: dotted name, numpy's module written `np`; without a dot it is a builtin.
        call: the very object that Python would find under that name.
        arity: number of positional arguments, 1 to 3.
        optional: how many of the last arguments may be left out.
        elements: None if the result has the broadcast shape of the arguments; otherwise, given the arguments,
            an upper bound on the elements of the result.

    Raises:
        ValueError: the arity is outside 1 to 3, or too many arguments are optional.
    """

    name: str
    call: Callable[..., Any]
    arity: int
    optional: int = 0
    elements: Callable[..., int] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.optional < self.arity <= 3:
            raise ValueError(
                f"function {self.name}: {self.arity} arguments, {self.optional} optional; want 1 to 3"
            )


@dataclass(frozen=True, slots=True)
class StraightLine:
    """A function body as data. Ids name values: parameters are 0 to p-1, then in order of appearance.

    Attributes:
        parameters: names of the parameters.
        constants: float literals of the body in source order.
        constant_ids: the id of each.
        fixed: ids and values of integers, booleans and constants of the module.
        operations: in Python's order of evaluation, equal ones once.
        result: id of the returned value.
        functions: the whitelisted functions called.
        may_warn: an operator is used that may issue a Python warning.
    """

    parameters: tuple[str, ...]
    constants: tuple[float, ...]
    constant_ids: tuple[int, ...]
    fixed: tuple[tuple[int, Number], ...]
    operations: tuple[Operation, ...]
    result: int
    functions: tuple[Function, ...]
    may_warn: bool


def read_expression(source: str, entry: str, functions: Mapping[str, Function]) -> StraightLine:
    """Read the function `entry` of `source`; every other function of the text must be straight-line too.

    Args:
        source: Python text, at most 64 kB.
        entry: name of the function.
        functions: what may be called, by dotted name (`np.exp`, `math.exp`, `abs`).

    Raises:
        NotExpression: the text is invalid, or holds anything but straight-line arithmetic.
    """
    module = ModuleNames(parse_source(source).body)
    if entry not in module.functions:
        raise NotExpression(f"no function {entry!r}")
    found: StraightLine | None = None
    for name, node in module.functions.items():
        # A body that is never called can still make the whole text a SyntaxError (`break` outside a loop,
        # say), which only a compiler would notice. Reading them all keeps the verdict equal to Python's.
        body = _Body(module, functions, node).read()
        if name == entry:
            found = body
    assert found is not None
    return found


class _Body:
    """Turns one function body into operations."""

    def __init__(self, module: ModuleNames, functions: Mapping[str, Function], node: ast.FunctionDef) -> None:
        self.module = module
        self.allowed = functions
        self.node = node
        self.count = 0
        self.slots: dict[str, int] = {}
        self.locals: set[str] = set()
        self.constants: list[float] = []
        self.constant_ids: list[int] = []
        self.fixed: dict[tuple[type, Number | str], tuple[int, Number]] = {}
        self.seen: dict[tuple[Callable[..., Any], int, int | None, int | None], int] = {}
        self.used: dict[str, Function] = {}
        self.may_warn = False

    def read(self) -> StraightLine:
        """Read the whole body. Raises NotExpression."""
        parameters = self._parameters()
        body = self.node.body[1:] if is_text(self.node.body[0]) else self.node.body
        last = body[-1] if body else self.node
        if not isinstance(last, ast.Return) or last.value is None:
            refuse(last, "the last statement is not `return expression`")
        for names, value in [self._assigned(node) for node in body[:-1]]:
            slot = self.value(value, 0)
            for name in names:
                self.slots[name] = slot
        result = self.value(last.value, 0)
        if len(self.seen) > MAX_OPERATIONS:
            refuse(self.node, f"more than {MAX_OPERATIONS} operations")
        return StraightLine(
            parameters,
            tuple(self.constants),
            tuple(self.constant_ids),
            tuple(self.fixed.values()),
            tuple([(*operation, slot) for operation, slot in self.seen.items()]),
            result,
            tuple(self.used.values()),
            self.may_warn,
        )

    def _parameters(self) -> tuple[str, ...]:
        arguments = self.node.args
        names = tuple([argument.arg for argument in (*arguments.posonlyargs, *arguments.args)])
        for name in names:
            if name in self.slots or name.startswith("__"):
                refuse(self.node, f"parameter {name}")
            self.slots[name] = self._new()
        self.locals.update(names)
        return names

    def _assigned(self, node: ast.stmt) -> tuple[list[str], ast.expr]:
        # All of them are collected before any value is read: a name assigned anywhere in a function is local
        # everywhere in it, so it hides the module's from the first line on.
        if not isinstance(node, (ast.Assign, ast.AnnAssign)):
            refuse(node, f"{type(node).__name__} in a function")
        names, value = self.module.assigned(node)
        self.locals.update(names)
        return names, value

    def _new(self) -> int:
        self.count += 1
        return self.count - 1

    def value(self, node: ast.expr, depth: int) -> int:
        """The id of an expression's value."""
        if isinstance(node, ast.Name):
            slot = self.slots.get(node.id)
            return self._outer(node) if slot is None else slot
        read = _READERS.get(type(node))
        if read is None:
            refuse(node, type(node).__name__)
        if depth > MAX_DEPTH:
            refuse(node, f"more than {MAX_DEPTH} levels deep")
        return read(self, node, depth + 1)

    def _outer(self, node: ast.Name) -> int:
        name = node.id
        if name in self.locals:
            refuse(node, f"{name} is used before it is assigned")
        if name not in self.module.numbers:
            refuse(node, f"{name} is not a number or a parameter")
        return self._fix((str, name), self.module.numbers[name])

    def _fix(self, key: tuple[type, Number | str], value: Number) -> int:
        found = self.fixed.get(key)
        if found is None:
            found = self.fixed[key] = (self._new(), value)
        return found[0]

    def _emit(self, call: Callable[..., Any], a: int, b: int | None = None, c: int | None = None) -> int:
        operation = (call, a, b, c)
        slot = self.seen.get(operation)
        if slot is None:
            slot = self.seen[operation] = self.count
            self.count += 1
        return slot

    def constant(self, node: ast.Constant, _depth: int) -> int:
        """A literal; each float is a value of its own, since a tuner may move one of two equal ones."""
        value = number_of(node)
        if type(value) is not float:
            return self._fix((type(value), value), value)
        slot = self._new()
        self.constants.append(value)
        self.constant_ids.append(slot)
        return slot

    def binary(self, node: ast.BinOp, depth: int) -> int:
        """`a + b` and its like."""
        kind = type(node.op)
        if kind is ast.Pow:
            base = self.value(node.left, depth)
            exponent = self._exponent(node.right)
            return self._emit(operator.pow, base, self._fix((int, exponent), exponent))
        call = _OPERATORS.get(kind)
        if call is None:
            refuse(node, f"operator {kind.__name__}")
        return self._emit(call, self.value(node.left, depth), self.value(node.right, depth))

    def _exponent(self, node: ast.expr) -> int:
        negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
        literal = node.operand if isinstance(node, ast.UnaryOp) and negative else node
        exponent: object = literal.value if isinstance(literal, ast.Constant) else None
        if isinstance(literal, ast.Name) and literal.id not in self.locals:
            exponent = self.module.numbers.get(literal.id)
        if type(exponent) is not int or abs(exponent) > MAX_EXPONENT:
            refuse(node, f"exponent other than an integer within {MAX_EXPONENT}")
        return -exponent if negative else exponent

    def unary(self, node: ast.UnaryOp, depth: int) -> int:
        """`-a` and its like."""
        kind = type(node.op)
        self.may_warn = self.may_warn or kind is ast.Not or kind is ast.Invert
        return self._emit(_OPERATORS[kind], self.value(node.operand, depth))

    def compare(self, node: ast.Compare, depth: int) -> int:
        """`a < b`; a chain is refused, it asks for the truth value of an array."""
        call = _OPERATORS.get(type(node.ops[0]))
        if call is None or len(node.ops) != 1:
            refuse(node, "chained or other comparison")
        return self._emit(call, self.value(node.left, depth), self.value(node.comparators[0], depth))

    def _dotted(self, node: ast.expr) -> str:
        """The canonical name of a function or number outside the text. Raises NotExpression."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            prefix = self.module.imports.get(node.value.id)
            if prefix is not None and node.value.id not in self.locals:
                return prefix + node.attr
        elif isinstance(node, ast.Name) and node.id not in self.locals and node.id not in self.module.names:
            return node.id
        refuse(node, "not a whitelisted name of numpy, math or Python")

    def attribute(self, node: ast.Attribute, _depth: int) -> int:
        """`np.pi` and its like: numbers, but not to be tuned."""
        name = self._dotted(node)
        if name not in _NUMBERS:
            refuse(node, f"{name} is not a known number")
        return self._fix((str, name), _NUMBERS[name])

    def call(self, node: ast.Call, depth: int) -> int:
        """`np.exp(a)`: a whitelisted function with its number of positional arguments."""
        name = self._dotted(node.func)
        function = self.allowed.get(name)
        if function is None:
            refuse(node, f"{name} is not whitelisted")
        given = len(node.args)
        if node.keywords or not function.arity - function.optional <= given <= function.arity:
            refuse(node, f"{name} takes {function.arity} arguments by position")
        self.used[name] = function
        return self._emit(function.call, *[self.value(argument, depth) for argument in node.args])


_READERS: dict[type[ast.expr], Callable[[_Body, Any, int], int]] = {
    ast.Constant: _Body.constant,
    ast.BinOp: _Body.binary,
    ast.UnaryOp: _Body.unary,
    ast.Compare: _Body.compare,
    ast.Attribute: _Body.attribute,
    ast.Call: _Body.call,
}
