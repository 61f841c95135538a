"""Random walks among the assignments of a formula in clauses of three literals, in compiled code.

Each step picks one of the clauses that are not satisfied, each as likely as another, and flips one of its three
variables, chosen with a probability that is proportional to its weight. The weight is looked up in a table by three
whole numbers of the variable: `makes` and `breaks`, how many clauses its flip would satisfy and would leave
unsatisfied, and its age, the steps since its last flip, rounded down to a level. (WalkSAT: Selman, Kautz and Cohen,
AAAI 1994; by weights: Balint and Schoening, SAT 2012.)

All chance comes in from outside, as numbers from 0 to 1. Measured: 2,000 steps among 852 clauses of 200
variables cost 0.6 to 1.1 ms.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evolve.fastcore.kernels.levels import Ints, level_of

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Walk(NamedTuple):
    """What a walk did; all are counts."""

    fewest: int
    """Fewest unsatisfied clauses at any time, the start included."""
    steps: int
    """Flips made: fewer than allowed where every clause was satisfied."""
    least: int
    """Flips that left no more clauses unsatisfied than a flip of another variable of the clause would have."""
    recent: int
    """Flips of a variable that was flipped before, no more steps ago than a tenth of the variables."""


def walk(weights: Floats, clauses: Ints, start: Bools, luck: Floats, ages: Ints) -> Walk:
    """Walk until every clause is satisfied, or as many steps as there are rows of `luck`.

    Args:
        weights: By makes (1, 2, ...), breaks (0, 1, ...) and level of age, float64, each axis ending with "so many or
            more", from 0 up, finite, and small enough for three of them to be added. Where those of all three
            variables are zero, the last one is flipped.
        clauses: int64, (m, 3): literal v + 1 says that variable v is true, -v - 1 that it is false; the variables of
            a clause differ.
        start: The first assignment, bool, (n,).
        luck: float64, (steps, 2), from 0 up and below 1: which clause, and which of its variables.
        ages: Levels of age. A variable that was never flipped has the last one.

    Returns:
        The counts. The clauses that are not satisfied are kept in a list, at first in order: what becomes unsatisfied
        is added at its end, in order of the clauses, and the last one takes the place of what becomes satisfied.

    Raises:
        ValueError: the table does not fit the levels or holds what is no weight, a clause is none, or luck is none.
    """
    if weights.ndim != 3 or min(weights.shape) < 1 or weights.shape[2] != len(ages):
        raise ValueError(f"weights have shape (makes, breaks, {len(ages)}), not {weights.shape}")
    if not (np.isfinite(weights).all() and weights.min() >= 0.0 and weights.max() < 1e300):
        raise ValueError("a weight is a number from 0 to 1e300")
    if luck.ndim != 2 or luck.shape[1] != 2 or (luck.size and not 0.0 <= luck.min() <= luck.max() < 1.0):
        raise ValueError("luck is two numbers from 0 up and below 1 for each step")
    places = np.append(level_of(ages, len(luck)), len(ages) - 1)
    return Walk(
        *_walk(
            np.require(weights, np.float64, ["C", "W"]),
            np.require(clauses, np.int64, ["C", "W"]),
            start.astype(np.bool_),
            np.require(luck, np.float64, ["C", "W"]),
            (places, *_uses(clauses, len(start))),
        )
    )


def _uses(clauses: Ints, count: int) -> tuple[Ints, Ints]:
    """Return where in the second array the uses of each variable begin, and the uses, in order of the clauses.

    A use is twice the clause, and one more where it wants the variable to be true.
    """
    if clauses.ndim != 2 or clauses.shape[1] != 3 or clauses.dtype.kind not in "iu":
        raise ValueError(f"clauses are whole numbers of shape (m, 3), not {clauses.dtype} {clauses.shape}")
    variables = np.abs(clauses) - 1
    if clauses.size and not 0 <= int(variables.min()) <= int(variables.max()) < count:
        raise ValueError(f"a literal names none of {count} variables")
    ordered = np.sort(variables, axis=1)
    if (ordered[:, 1:] == ordered[:, :-1]).any():
        raise ValueError("a clause names a variable twice")
    flat = variables.ravel()
    first = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(flat, minlength=count), out=first[1:])
    order = np.argsort(flat, kind="stable")
    return first, (order // 3 * 2 + (clauses.ravel()[order] > 0)).astype(np.int64)


@njit(cache=True, nogil=True)
def _true(literal: int, assigned: Bools) -> bool:  # pragma: no cover - compiled
    """Tell whether a literal is true."""
    return bool(assigned[literal - 1]) if literal > 0 else not assigned[-literal - 1]


@njit(cache=True, nogil=True)
def _begin(clauses: Ints, assigned: Bools, counts: Ints, broken: Ints) -> int:  # pragma: no cover - compiled
    """Fill in the state of a walk, and return how many clauses are not satisfied.

    Args:
        clauses: (m, 3).
        assigned: (n,).
        counts: Zeros, (2, m); out, the number of true literals of each clause, and the sum of their variables: where
            one is true, that is its variable.
        broken: Out, (2, m): the clauses that are not satisfied, and the place of each of them in that list.
    """
    left = 0
    for clause in range(clauses.shape[0]):
        for literal in clauses[clause]:
            if _true(literal, assigned):
                counts[0, clause] += 1
                counts[1, clause] += abs(literal) - 1
        if counts[0, clause] == 0:
            broken[0, left] = clause
            broken[1, clause] = left
            left += 1
    return left


@njit(cache=True, nogil=True)
def _makes_breaks(variable: int, uses: Ints, counts: Ints) -> tuple[int, int]:  # pragma: no cover - compiled
    """How many of the clauses that use a variable its flip would satisfy, and would leave unsatisfied."""
    makes = breaks = 0
    for use in uses:
        true = counts[0, use >> 1]
        if true == 0:
            makes += 1
        elif true == 1 and counts[1, use >> 1] == variable:
            breaks += 1
    return makes, breaks


@njit(cache=True, nogil=True)
def _flip(
    variable: int, value: bool, uses: Ints, counts: Ints, broken: Ints, left: int
) -> int:  # pragma: no cover - compiled
    """Give a variable its new value, and return how many clauses are not satisfied now; they were `left`."""
    for use in uses:
        clause = use >> 1
        if (use & 1) == value:
            if counts[0, clause] == 0:
                left -= 1
                moved = broken[0, left]
                broken[0, broken[1, clause]] = moved
                broken[1, moved] = broken[1, clause]
            counts[0, clause] += 1
            counts[1, clause] += variable
        else:
            counts[0, clause] -= 1
            counts[1, clause] -= variable
            if counts[0, clause] == 0:
                broken[0, left] = clause
                broken[1, clause] = left
                left += 1
    return left


@njit(
    "UniTuple(int64, 4)(float64[:, :, ::1], int64[:, ::1], bool_[::1], float64[:, ::1],"
    " UniTuple(int64[::1], 3))",
    cache=True,
    nogil=True,
)
def _walk(
    weights: Floats, clauses: Ints, assigned: Bools, luck: Floats, lists: tuple[Ints, Ints, Ints]
) -> tuple[int, int, int, int]:  # pragma: no cover - compiled
    places, first, uses = lists
    most_makes, most_breaks = weights.shape[0], weights.shape[1] - 1
    counts = np.zeros((2, clauses.shape[0]), np.int64)
    broken = np.zeros((2, clauses.shape[0]), np.int64)
    left = _begin(clauses, assigned, counts, broken)
    flipped = np.full(assigned.size, -1, np.int64)
    share = np.empty(3, np.float64)
    spoils = np.empty(3, np.int64)
    fewest, least, recent = left, 0, 0
    for step in range(luck.shape[0]):
        if left == 0:
            return fewest, step, least, recent
        picked = clauses[broken[0, int(luck[step, 0] * left)]]
        for k in range(3):
            one = abs(picked[k]) - 1
            makes, breaks = _makes_breaks(one, uses[first[one] : first[one + 1]], counts)
            age = places[step - flipped[one]] if flipped[one] >= 0 else places[-1]
            share[k] = weights[min(makes, most_makes) - 1, min(breaks, most_breaks), age]
            spoils[k] = breaks
        drawn = luck[step, 1] * (share[0] + share[1] + share[2])
        chosen = 0 if drawn < share[0] else 1 if drawn < share[0] + share[1] else 2
        variable = abs(picked[chosen]) - 1
        least += spoils[chosen] == spoils.min()
        recent += flipped[variable] >= 0 and 10 * (step - flipped[variable]) <= assigned.size
        flipped[variable] = step
        assigned[variable] = not assigned[variable]
        own = uses[first[variable] : first[variable + 1]]
        left = _flip(variable, assigned[variable], own, counts, broken, left)
        fewest = min(fewest, left)
    return fewest, luck.shape[0], least, recent
