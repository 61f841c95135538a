"""What compiled programs do most, as plain functions: a zygote compiles them once, so that no program has to.

Numba compiles each function of numpy anew for each type of its arguments, and keeps what it made: a first
`np.zeros` takes 0.1 s of CPU, a first `np.argsort` a second. Not one of these runs in parallel.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["KERNELS"]

Numbers = npt.NDArray[Any]


def walk(x: Numbers) -> Any:
    """Go along a line: new arrays, a list, loops over indices and over numbers, a reduction."""
    n = x.shape[0]
    work, kept, counts, seen = np.empty(n), np.zeros(n), np.zeros(n, np.int64), np.zeros(n, np.bool_)
    stack = [n - 1]
    while len(stack) > 0:
        at = stack.pop()
        work[at] = max(x[at], kept[at])
        counts[at] = max(counts[at], at)
        seen[at] = True
        if at > 0 and not seen[at - 1]:
            stack.append(min(at, n) - 1)
    for value in x.copy():
        kept[0] = min(kept[0], abs(value))
    return kept[0] + work[counts[0]] + np.arange(n)[0] + x.sum()


def cross(x: Numbers) -> Any:
    """Go over a grid: new ones, rows, neighbours."""
    n, m = x.shape
    best, steps = np.zeros((n, m)), np.zeros((n, m), np.int64)
    for i in range(1, n):
        row = x[i]
        for j in range(1, m):
            best[i, j] = max(best[i - 1, j], best[i, j - 1]) + row[j]
            steps[i, j] = 1 + steps[i - 1, j - 1]
    return best[-1, -1] + steps[-1, -1]


def order(x: Numbers) -> Any:
    """Sort numbers, and places by numbers."""
    return np.sort(x)[0] + np.argsort(x)[0]


KERNELS: Final[tuple[tuple[Callable[[Numbers], Any], Numbers], ...]] = (
    (walk, np.arange(4.0)),
    (cross, np.arange(4).reshape(2, 2)),
    (order, np.arange(4.0)),
)
"""Each with the argument to compile it for."""
