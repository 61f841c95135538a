"""The functions of numpy, math and Python that an expression may call.

Knows which of them are pure, bounded in time and memory, and equal in every process of one machine. Does not
know what calls them.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np

from evolve.fastcore.expression import Function

__all__ = ["numpy_functions"]

# Absent on purpose: copysign and signbit, the only ones that could turn the sign of a NaN into a number
# (interpret.Plan says where that sign may differ); dot and matmul (BLAS sums by the number of its threads);
# factorial, comb and perm (unbounded); everything with `out`, a generator or an order of its own.
_UFUNCS = """
    abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and bitwise_or
    bitwise_xor cbrt ceil conjugate cos cosh deg2rad degrees divide equal exp exp2 expm1 fabs float_power
    floor floor_divide fmax fmin fmod greater greater_equal heaviside hypot invert isfinite isinf isnan
    less less_equal log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or
    logical_xor maximum minimum mod multiply negative not_equal positive power rad2deg radians reciprocal
    remainder rint sign sin sinh sqrt square subtract tan tanh true_divide trunc
"""
_MATH = """
    acos:1 acosh:1 asin:1 asinh:1 atan:1 atan2:2 atanh:1 cbrt:1 ceil:1 cos:1 cosh:1 degrees:1 erf:1 erfc:1
    exp:1 exp2:1 expm1:1 fabs:1 floor:1 fmod:2 gamma:1 hypot:2 isfinite:1 isinf:1 isnan:1 ldexp:2 lgamma:1
    log:2:1 log10:1 log1p:1 log2:1 pow:2 radians:1 remainder:2 sin:1 sinh:1 sqrt:1 tan:1 tanh:1 trunc:1
"""
_REDUCTIONS = "sum prod max min mean amax amin any all argmax argmin cumsum cumprod std var ptp"
_BUILTINS = "abs:1 max:2 min:2"


def _size(array: Any, *_: Any) -> int:
    return int(np.size(array))


def _size_of_roll(array: Any, shift: Any, _axis: Any = None) -> int:
    # numpy walks through an array of shifts in Python: leave such a call to the jail and its clock.
    return int(np.size(array)) if np.ndim(shift) == 0 else np.iinfo(np.int64).max


def _size_of_take(array: Any, indices: Any, axis: Any = None) -> int:
    shape = np.shape(array)
    if not shape or axis is None:
        return int(np.size(indices))
    try:
        return int(math.prod(shape[:axis]) * np.size(indices) * math.prod(shape[axis:][1:]))
    except TypeError:
        return 0  # numpy refuses that axis before it makes an array


@cache
def numpy_functions() -> Mapping[str, Function]:
    """Safe functions by dotted name: numpy's elementwise ones, reductions, `take`, `roll`; math's.

    `np.sum(a)`, `np.sum(a, axis)` and their like, by position only. Read-only and shared: copy it to add.
    """
    found = [Function(f"np.{name}", getattr(np, name), getattr(np, name).nin) for name in _UFUNCS.split()]
    found += [
        Function("np.where", np.where, 3),
        Function("np.clip", np.clip, 3),
        Function("np.round", np.round, 2, 1),
        Function("np.nan_to_num", np.nan_to_num, 1),
        Function("np.roll", np.roll, 3, 1, _size_of_roll),
        Function("np.take", np.take, 3, 1, _size_of_take),
    ]
    found += [Function(f"np.{name}", getattr(np, name), 2, 1, _size) for name in _REDUCTIONS.split()]
    for module, names in (("math.", _MATH), ("", _BUILTINS)):
        for name, arity, *optional in (word.split(":") for word in names.split()):
            home = math if module else builtins
            found.append(Function(module + name, getattr(home, name), int(arity), int(*optional)))
    return MappingProxyType({function.name: function for function in found})
