"""Runs expression programs without executing them: the callables that Python would use, on a flat tape.

Knows operations, arrays and their cost. Does not know Python's syntax (expression.py) nor which functions are
safe (whitelist.py).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evolve.fastcore.expression import Function, Operation, StraightLine, read_expression
from evolve.fastcore.module_names import MAX_INTEGER, NotExpression
from evolve.fastcore.whitelist import numpy_functions

__all__ = [
    "MAX_WORK",
    "Bound",
    "Function",
    "InterpretError",
    "NotExpression",
    "NotInterpretable",
    "Plan",
    "compile_expression",
    "numpy_functions",
]

MAX_WORK = 2**25
"""Operations times elements of a run: 0.3 s at the 10 ns of `np.power`, 256 MB if every array is kept."""

_PLAIN = frozenset("?bBhHiIlLqQfd")
"""Type codes of what may cross the wire of the jail: no float16, no long double, no objects."""
_FAILURES = (ArithmeticError, TypeError, ValueError, IndexError)


class InterpretError(Exception):
    """The program failed as it would have failed in Python.

    Attributes:
        kind: name of the exception's type, such as `ZeroDivisionError`.
        message: its text.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class NotInterpretable(Exception):  # noqa: N818 (a verdict: the jail must run this)
    """These inputs ask for more than the interpreter grants (huge integers, arrays or work)."""


@dataclass(frozen=True, slots=True)
class _Limit:
    """The bound on elements of a result, where shapes can outgrow the inputs; `None` where they cannot."""

    elements: int
    functions: tuple[Function, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """An expression program, ready to run; immutable and free of inputs.

    Inputs are numbers (bool, int, float or a numpy scalar of those) or numeric arrays. The contract that
    makes results equal Python's to the last bit: the jail hands the same values to its program as
    C-contiguous native arrays. Alignment is free, memory order is not: with negative strides or Fortran order
    numpy takes other loops, whose last bits differ, so other layouts are copied into C order first. Nothing
    is written to an input, and the result shares memory with none.

    One difference is known and left: on arrays of 256 kB or more CPython's numpy may swap the operands of
    `+` and `*` to reuse a temporary, and then, of two NaNs, the other one's sign and payload survive.
    """

    code: StraightLine
    _tape: tuple[Operation, ...]
    _temporaries: int
    _result: int
    _may_warn: bool
    _grows: bool

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the entry's parameters."""
        return self.code.parameters

    @property
    def constants(self) -> tuple[float, ...]:
        """The float literals of the entry in source order, without their signs: what a tuner may move."""
        return self.code.constants

    def run(
        self,
        inputs: tuple[Any, ...],
        constants: Sequence[float] | None = None,
        *,
        max_elements: int | None = None,
    ) -> Any:
        """What `entry(*inputs)` returns in Python: a number, a numpy scalar or a fresh array.

        Args:
            inputs: one value a parameter.
            constants: floats in place of `self.constants`, as many.
            max_elements: bound on the elements of any array made; by default four times the broadcast of
                the inputs.

        Raises:
            InterpretError: the program failed; Python would raise the same.
            NotInterpretable: only a jailed process can tell.
            ValueError: the number of constants is wrong.
        """
        values, limit = _admit(self, inputs, max_elements)
        values += _floats(self.code, constants)
        values += [value for _, value in self.code.fixed]
        held = len(values)
        values += [None] * self._temporaries
        _execute(self._tape, values, limit, self._may_warn)
        return _detached(values[self._result], values[:held])

    def bind(self, inputs: tuple[Any, ...], *, max_elements: int | None = None) -> Bound:
        """Evaluate, once, all that depends on no constant. See `run` for arguments and exceptions.

        A part that fails is left for `Bound.run`, where an earlier failure may come first.
        """
        code = self.code
        admitted, limit = _admit(self, inputs, max_elements)
        values: list[Any] = [None] * (len(code.parameters) + len(code.constants) + len(code.fixed))
        values += [None] * len(code.operations)
        values[: len(admitted)] = admitted
        for slot, value in code.fixed:
            values[slot] = value
        varying = set(code.constant_ids)
        rest = []
        for operation in code.operations:
            if varying.isdisjoint(operation[1:4]):
                try:
                    _execute((operation,), values, limit, self._may_warn)
                    continue
                except (InterpretError, NotInterpretable):
                    pass
            varying.add(operation[4])
            rest.append(operation)
        used = {slot for operation in rest for slot in operation[1:4] if slot is not None}
        held = sorted((used | {code.result}) - varying)
        tape, temporaries, result = _allocate(rest, [*code.constant_ids, *held], code.result)
        return Bound(self, [values[slot] for slot in held], tape, temporaries, result, limit)


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """A plan with its inputs, for trying many constants."""

    plan: Plan
    _held: list[Any]
    _tape: tuple[Operation, ...]
    _temporaries: int
    _result: int
    _limit: _Limit | None

    def run(self, constants: Sequence[float] | None = None) -> Any:
        """As `Plan.run` on the inputs bound."""
        values = _floats(self.plan.code, constants)
        values += self._held
        held = len(values)
        values += [None] * self._temporaries
        _execute(self._tape, values, self._limit, self.plan._may_warn)
        return _detached(values[self._result], values[:held])


def compile_expression(source: str, entry: str, functions: Mapping[str, Function]) -> Plan:
    """Make a plan of the function `entry` of a source text.

    Args:
        source: a module's text, at most 64 kB.
        entry: name of a function of it.
        functions: what it may call, such as `numpy_functions()`.

    Raises:
        NotExpression: it is no expression program (its `kind` tells an invalid text from one for the jail).
    """
    code = read_expression(source, entry, functions)
    slots = [*range(len(code.parameters)), *code.constant_ids, *[slot for slot, _ in code.fixed]]
    tape, temporaries, result = _allocate(code.operations, slots, code.result)
    may_warn = code.may_warn or not all(map(_is_quiet, code.functions))
    grows = any(function.elements is not None for function in code.functions)
    return Plan(code, tape, temporaries, result, may_warn, grows)


def _is_quiet(function: Function) -> bool:
    # Everything else may issue Python warnings, which cost 1 us a run to silence; ufuncs obey errstate.
    return isinstance(function.call, np.ufunc) or function.call is np.where


def _allocate(
    operations: Sequence[Operation], held: Sequence[int], result: int
) -> tuple[tuple[Operation, ...], int, int]:
    """Give every value a place in a list: first the held ones, then temporaries, each reused once dead.

    Freeing dead arrays at once is worth far more than computing into them: 20 operations on 5,050 float64
    take 1.3 us each so, 1.27 us with `out=`, and 17 us if all are kept to the end (as the locals of a Python
    function are), because the heap then grows and is given back to the kernel in every run.

    Returns:
        The operations with places for ids, the number of temporaries, the place of the result.
    """
    last: dict[int | None, int] = {}
    for at, (_, a, b, c, _slot) in enumerate(operations):
        last[a] = last[b] = last[c] = at
    last[result] = len(operations)
    top = first = len(held)
    places: dict[int | None, Any] = {slot: at for at, slot in enumerate(held)}
    places[None] = None
    spare: list[int] = []
    tape = []
    for at, (call, a, b, c, slot) in enumerate(operations):
        at_a, at_b, at_c = places[a], places[b], places[c]
        if last[a] == at and at_a >= first:
            spare.append(at_a)
        if b is not None and last[b] == at and at_b >= first and at_b != at_a:
            spare.append(at_b)
        if c is not None and last[c] == at and at_c >= first and at_c not in {at_a, at_b}:
            spare.append(at_c)
        if spare:
            place = spare.pop()
        else:
            place, top = top, top + 1
        places[slot] = place
        tape.append((call, at_a, at_b, at_c, place))
        if slot not in last:
            spare.append(place)
    return tuple(tape), top - first, places[result]


def _floats(code: StraightLine, constants: Sequence[float] | None) -> list[Any]:
    if constants is None:
        return list(code.constants)
    if len(constants) != len(code.constants):
        raise ValueError(f"{len(constants)} constants given; the program has {len(code.constants)}")
    # numpy's own float64 would promote a float32 array where Python's float does not.
    return [float(constant) for constant in constants]


def _admit(plan: Plan, inputs: tuple[Any, ...], cap: int | None) -> tuple[list[Any], _Limit | None]:
    """Check the inputs, bring them into C order and bound the work. Raises NotInterpretable."""
    if len(inputs) != len(plan.parameters):
        raise NotInterpretable(f"{len(inputs)} inputs for {len(plan.parameters)} parameters")
    values = [_admitted(value) for value in inputs]
    shapes = {value.shape for value in values if type(value) is np.ndarray}
    grows = plan._grows
    try:
        size = math.prod(np.broadcast_shapes(*shapes) if len(shapes) > 1 else next(iter(shapes), ()))
    except ValueError:
        size, grows = sum(math.prod(shape) for shape in shapes), True
    limit = None
    if grows or (cap is not None and cap < size):
        limit = _Limit(4 * max(size, 1) if cap is None else cap, plan.code.functions)
        size = limit.elements
    if size * len(plan.code.operations) > MAX_WORK:
        raise NotInterpretable(f"{len(plan.code.operations)} operations on {size} elements")
    return values, limit


def _admitted(value: Any) -> Any:
    if type(value) is np.ndarray:
        if value.dtype.char in _PLAIN and value.dtype.isnative:
            return value if value.flags.c_contiguous else value.copy()
        raise NotInterpretable(f"array of {value.dtype}")
    if type(value) is int:
        plain = -MAX_INTEGER <= value <= MAX_INTEGER
    else:
        plain = type(value) in {float, bool} or (isinstance(value, np.generic) and value.dtype.char in _PLAIN)
    if not plain:
        raise NotInterpretable(f"input of type {type(value).__name__}, or too large")
    return value


def _execute(tape: Sequence[Operation], values: list[Any], limit: _Limit | None, may_warn: bool) -> None:
    """Run a tape in place. Raises InterpretError, NotInterpretable."""
    try:
        with np.errstate(all="ignore"):
            if may_warn:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    _steps(tape, values, limit)
            else:
                _steps(tape, values, limit)
    except _FAILURES as error:
        raise InterpretError(type(error).__name__, str(error)) from None
    except MemoryError as error:
        raise NotInterpretable(f"out of memory: {error}") from None


def _steps(tape: Sequence[Operation], values: list[Any], limit: _Limit | None) -> None:
    growing = {function.call: function.elements for function in limit.functions} if limit else {}
    for call, a, b, c, place in tape:
        if limit is not None:
            arguments = [values[at] for at in (a, b, c) if at is not None]
            _check_growth(growing.get(call) or _broadcast, arguments, limit.elements)
        if b is None:
            value = call(values[a])
        elif c is None:
            value = call(values[a], values[b])
        else:
            value = call(values[a], values[b], values[c])
        if type(value) is int and not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise NotInterpretable("integer beyond 2**63")
        values[place] = value


def _check_growth(elements: Callable[..., int], arguments: list[Any], most: int) -> None:
    if elements(*arguments) > most:
        raise NotInterpretable(f"an array of more than {most} elements")


def _broadcast(*arguments: Any) -> int:
    shapes = {argument.shape for argument in arguments if type(argument) is np.ndarray}
    try:
        return math.prod(np.broadcast_shapes(*shapes) if len(shapes) > 1 else next(iter(shapes), ()))
    except ValueError:
        return 0  # and the call itself says what Python would say


def _detached(value: Any, held: list[Any]) -> Any:
    """The value, in memory of its own. Raises NotInterpretable if the jail could not hand it over."""
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.char not in _PLAIN:
        raise NotInterpretable(f"result of type {value.dtype}")
    if type(value) is np.ndarray:
        if value.base is not None:
            return value.copy()
        for other in held:
            if other is value:
                return value.copy()
    return value
