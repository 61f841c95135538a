"""Random expression programs and inputs, ugly ones on purpose, and the plain-Python reference for them.

Knows the whitelist's names and what Python does with a text. Does not know how the interpreter works.
"""

from __future__ import annotations

import random
import struct
import warnings
from typing import Any

import numpy as np

Outcome = tuple[str, ...]
"""("value", type, dtype, shape, bytes in hex) or ("error", type, message)."""

_UNARY = """
    np.abs np.exp np.log np.sqrt np.sin np.cos np.tanh np.floor np.ceil np.sign np.square np.log1p
    np.expm1 np.arctan np.isfinite np.isnan np.logical_not np.rint np.negative np.cbrt np.reciprocal
    np.nan_to_num np.round np.log2 np.exp2 np.tan np.invert abs math.exp math.floor math.sqrt
    math.tanh math.isnan math.trunc math.log
"""
_BINARY = """
    np.minimum np.maximum np.mod np.hypot np.power np.arctan2 np.logical_and np.logical_or np.fmin
    np.fmax np.add np.divide np.floor_divide np.greater np.less_equal np.logaddexp np.heaviside
    np.fmod np.bitwise_and min max math.pow math.atan2 math.fmod math.log
"""
_NUMBERS = """
    0 1 2 3 -1 7 10 255 4096 9223372036854775807 9223372036854775808 4294967296 0.0 -0.0 0.5 1.5
    -2.25 1e-3 100.0 3.14159 1e308 1e-308 5e-324 1e400 0x1f 1_000 True False np.pi np.nan np.inf
    math.e 0.1 0.1 0.25 150.0
"""
UNARY, BINARY, NUMBERS = _UNARY.split(), _BINARY.split(), _NUMBERS.split()
TERNARY = ("np.where", "np.where", "np.where", "np.clip")
REDUCTIONS = ("np.sum", "np.prod", "np.max", "np.min", "np.mean", "np.argmax", "np.cumsum", "np.any")
OPERATORS = ("+", "-", "*", "/", "//", "%", "+", "-", "*", "/", "&", "|", "^")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


TAME_NUMBERS = ("0.5", "1.5", "0.25", "3.0", "100.0", "1e-3", "2", "1", "0.1", "np.pi", "150.0", "7")


class Writer:
    """Writes one program after another from a seeded generator."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.names: list[str] = []
        self.ugly = True

    def program(self, name: str = "entry", parameters: tuple[str, ...] = ("item", "remaining")) -> str:
        """One function over the parameters, with zero to six locals."""
        rng = self.rng
        self.names = [*parameters, "LIMIT", "SCALE"]
        # Two of three are tame, as evolved programs are: an ugly one rarely gets far before it raises.
        self.ugly = rng.random() < 0.33
        lines = [f"def {name}({', '.join(parameters)}):"]
        if rng.random() < 0.2:
            lines.append('    """A docstring."""')
        for k in range(rng.choice((0, 1, 2, 2, 3, 4, 6))):
            # A local may shadow a parameter or repeat an earlier one; some are never used.
            target = rng.choice((f"t{k}", f"t{k}", f"t{k}", rng.choice(parameters), "t0", "np2", "exp"))
            note = ": float" if rng.random() < 0.1 else ""
            lines.append(f"    {target}{note} = {self.expression(rng.choice((1, 2, 3, 4)))}")
            self.names.append(target)
        depth = rng.choice((0, 1, 2, 3, 4, 5)) if rng.random() > 0.02 else 40
        lines.append(f"    return {self.deep(depth) if depth == 40 else self.expression(depth)}")
        return "\n".join(lines) + "\n"

    def leaf(self) -> str:
        """A name twice as often as a number."""
        if self.rng.random() < 0.66:
            return self.rng.choice(self.names)
        return self.rng.choice(NUMBERS if self.ugly else TAME_NUMBERS)

    def deep(self, depth: int) -> str:
        """A tower of parentheses and signs."""
        text = self.leaf()
        for _ in range(depth):
            text = self.rng.choice(("-({})", "({} + 1)", "np.abs({})", "(0.5 * {})", "+({})", "({})")).format(
                text
            )
        return text

    def expression(self, depth: int) -> str:
        """Any expression of at most so many levels."""
        rng = self.rng
        if depth == 0 or rng.random() < 0.1:
            return self.leaf()

        def sub() -> str:
            return self.expression(depth - 1)

        choice = rng.random()
        if choice < 0.45:
            return f"({sub()} {rng.choice(OPERATORS if self.ugly else OPERATORS[:10])} {sub()})"
        if choice < 0.53:
            return f"({sub()} {rng.choice(COMPARISONS)} {sub()})"
        if choice < 0.60:
            return f"{rng.choice('-+-~' if self.ugly else '-')}({sub()})"
        if choice < 0.62 and self.ugly:
            return f"(not {sub()})"
        if choice < 0.68:
            return f"(({sub()}) ** {rng.choice(('2', '3', '2', 'POWER', '8', '0', '-1', '-2'))})"
        return self.called(rng.random(), sub)

    def called(self, choice: float, sub: Any) -> str:
        """A call of a whitelisted function."""
        rng = self.rng
        if choice < 0.5:
            return f"{rng.choice(UNARY if self.ugly else UNARY[:18])}({sub()})"
        if choice < 0.75:
            return f"{rng.choice(BINARY if self.ugly else BINARY[:8])}({sub()}, {sub()})"
        if choice < 0.93 or not self.ugly:
            return f"{rng.choice(TERNARY)}({sub()}, {sub()}, {sub()})"
        if choice < 0.97:
            axis = rng.choice(("", ", 0", ", 1", ", -1", ", 0.5"))
            return f"{rng.choice(REDUCTIONS)}({sub()}{axis})"
        return f"{rng.choice(('np.take', 'np.roll'))}({sub()}, {rng.choice(('0', '1', '3', '-1', sub()))}, 0)"


HEAD = "import math\nimport numpy as np\n\nLIMIT = 150\nSCALE = -0.75\nPOWER = 3\n\n\n"


def input_sets(size: int = 64, seed: int = 0) -> list[tuple[Any, ...]]:
    """Pairs of inputs: the grids of a table, awkward floats, integers, booleans, scalars, misfits."""
    rng = np.random.default_rng(seed)
    item = rng.integers(1, 100, size).astype(np.float64)
    remaining = item + rng.integers(0, 50, size)
    ugly = rng.normal(size=size) * 10.0 ** rng.integers(-200, 200, size)
    special = [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e308, 5e-324, -1.0, 0.5]
    ugly[: len(special)] = special
    whole = rng.integers(-5, 200, size)
    found: list[tuple[Any, ...]] = [
        *[(item, remaining)] * 5,
        (remaining, item),
        (ugly, rng.permutation(ugly)),
        (whole, whole[::-1].copy()),
        (whole % 2 == 0, item),
        (item.astype(np.float32), remaining),
        (whole.astype(np.int8), whole.astype(np.uint8)),
        (ugly[:, None].copy(), remaining[None, :10].copy()),
        (item[:12].reshape(3, 4).copy(), item[:4].copy()),
        (item, 0.5),
        (3, 4),
        (2.5, True),
        (np.float64(2.0), -1),
        (0, 0.0),
        (np.array(3.0), np.int64(-2)),
        (np.empty(0), 1.0),
        (item[:5].copy(), item[:7].copy()),
        (2**62, -(2**63)),
    ]
    for values in found:
        for value in values:
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
    return found


def described(value: object) -> Outcome:
    """A value down to its last bit."""
    if isinstance(value, (np.ndarray, np.generic)):
        return ("value", type(value).__name__, str(value.dtype), str(value.shape), value.tobytes().hex())
    data = struct.pack("<d", value).hex() if isinstance(value, float) else str(value)
    return ("value", type(value).__name__, "", "", data)


def in_python(function: Any, inputs: tuple[Any, ...]) -> Outcome:
    """What Python itself makes of the call."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return described(function(*inputs))
        except (ArithmeticError, TypeError, ValueError, IndexError) as error:
            return ("error", type(error).__name__, str(error))


def executed(source: str, entry: str = "entry") -> Any:
    """The function that Python makes of a benign text."""
    namespace: dict[str, Any] = {}
    exec(compile(source, "<program>", "exec"), namespace)
    return namespace[entry]
