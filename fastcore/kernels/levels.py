"""Counts rounded down to levels, exact where they are small: so that a table over them stays small."""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_EXACT = 8


def levels(most: int, steps: int = 4) -> Ints:
    """Return the levels that counts are rounded down to.

    Args:
        most: The last level is not above it; larger counts are rounded down to the last level.
        steps: Levels a doubling, 1, 2, 4 or 8, beyond 8.

    Returns:
        int64, increasing: 1 to 8, and then so many steps a doubling.
    """
    if most < _EXACT or steps not in (1, 2, 4, 8):
        raise ValueError(f"levels up to {most} in {steps} steps; give 8 or more, and 1, 2, 4 or 8 steps")
    found = list(range(1, _EXACT))
    step = _EXACT // steps
    start = _EXACT
    while start <= most:
        found += range(start, min(2 * start, most + 1), step)
        start, step = 2 * start, 2 * step
    return np.array(found, np.int64)


def level_of(grades: Ints, count: int) -> Ints:
    """Return the place in `grades` of each number 0 to `count`, int64 of shape ``(count + 1,)``; 0 counts as 1."""
    return np.maximum(np.searchsorted(grades, np.arange(count + 1), side="right") - 1, 0).astype(np.int64)
