"""Sort each row of a matrix of whole numbers, faster than numpy.sort.

`small_sort(rows)` is given an int32 array of shape (m, k), many rows of few numbers (k is at most 8), and returns an
int32 array of the same shape whose every row is in rising order: exactly what `numpy.sort(rows, axis=1)` returns. The
input is read-only; a program that works in place copies it first.

A sort of each row by itself pays for the call, the choice of an algorithm and its branches again and again, for a few
numbers. A sorting network does the same comparisons whatever they are, so that each comparator can be done for
all rows at once: the smaller of two columns goes to the left, the larger to the right. Where the numbers of a
column lie in memory decides how fast that is.
"""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt

from evolve import Array, Case, Measure, Primitive, Problem, ProblemError, Rejected, Speed, problem

# EVOLVE-BLOCK-START
import numpy as np


def small_sort(rows):
    """Return the rows, each of them in rising order."""
    x = np.ascontiguousarray(np.copy(rows))
    for last in range(x.shape[1] - 1, 0, -1):
        for i in range(last):
            low = np.minimum(x[:, i], x[:, i + 1])
            x[:, i + 1] = np.maximum(x[:, i], x[:, i + 1])
            x[:, i] = low
    return x


# EVOLVE-BLOCK-END

NUMPY_SORT = """
import numpy as np


def small_sort(rows):
    return np.sort(rows, axis=1)
"""

# Each number's place is how many of its row come before it; a key in rows and places puts it there.
BY_RANK = """
import numpy as np


def small_sort(rows):
    m, k = rows.shape
    place = np.zeros((m, k), np.intp)
    for i in range(k):
        for j in range(i):
            after = rows[:, i] >= rows[:, j]
            place[:, i] += after
            place[:, j] += ~after
    out = np.empty_like(rows)
    np.put_along_axis(out, place, rows, 1)
    return out
"""

Rows = npt.NDArray[np.int32]
LOWEST, HIGHEST = -(2**31), 2**31 - 1


def _case(name: str, rows: npt.NDArray[Any]) -> Case:
    """A case with its only right answer."""
    rows = np.ascontiguousarray(rows, dtype=np.int32)
    return Case(name, inputs=(rows,), hidden=np.sort(rows, axis=1))


def score(answer: Rows, case: Case) -> Mapping[str, float]:
    """Nothing to tell but right or wrong: every number must be the one that numpy.sort puts there."""
    rows: Rows = case.inputs[0]
    if answer.shape != rows.shape:
        raise Rejected(f"the answer has shape {answer.shape}, the rows have {rows.shape}")
    wrong = np.flatnonzero((answer != np.sort(rows, axis=1)).any(axis=1))
    if wrong.size:
        raise Rejected(
            f"{wrong.size} of {len(rows)} rows are not what they are sorted, the first is row {wrong[0]}"
        )
    return {}


def _adversarial(k: int) -> Sequence[Case]:
    rng = np.random.default_rng(7)
    rising = np.arange(k)
    ends = rng.choice([LOWEST, LOWEST + 1, -1, 0, 1, HIGHEST - 1, HIGHEST], (64, k))
    # By the 0-1 principle a network that sorts all rows of zeros and ones sorts everything.
    bits = np.arange(2**k)[:, None] >> rising & 1
    sizes = [
        _case(f"m{m}", rng.integers(-99, 99, (m, k))) for m in (0, 1, 2, 7, 8, 9, 63, 64, 65, 255, 256, 257)
    ]
    return [
        # The last row is out of order: an answer that is the question may not be right by chance.
        _case("equal", np.vstack([np.full((5, k), 3), -rising])),
        _case("rising", np.vstack([np.tile(rising, (5, 1)), -rising])),
        _case("falling", np.tile(rising[::-1], (5, 1))),
        _case("extremes", ends),
        _case("bits", bits),
        _case("permutations", np.array(list(permutations(range(k))))),
        *sizes,
    ]


def _unseen(k: int) -> Sequence[Case]:
    rng = np.random.default_rng(11)
    return [
        *(_case(f"m{m}", rng.integers(LOWEST, HIGHEST, (m, k), endpoint=True)) for m in (31, 33, 1023, 4097)),
        _case("opposites", rng.choice([LOWEST, HIGHEST], (500, k))),
    ]


def _fresh(m: int, k: int, rng: np.random.Generator) -> Sequence[Case]:
    uniform = rng.integers(LOWEST, HIGHEST, (m, k), np.int32, endpoint=True)
    nearly = np.sort(uniform, axis=1)
    nearly[np.arange(m), rng.integers(0, k, m)] = uniform[:, 0]
    return [
        _case("uniform", uniform),
        _case("few_values", rng.integers(0, 4, (m, k), np.int32)),
        _case("nearly_sorted", nearly),
        _case("falling", np.sort(uniform, axis=1)[:, ::-1]),
    ]


def _strategy(k: int) -> Any:
    from hypothesis import strategies
    from hypothesis.extra import numpy as arrays

    numbers = strategies.one_of(
        strategies.integers(-3, 3),
        strategies.integers(LOWEST, HIGHEST),
        strategies.sampled_from([LOWEST, HIGHEST]),
    )
    shape = strategies.tuples(strategies.integers(0, 70), strategies.just(k))
    return arrays.arrays(np.int32, shape, elements=numbers).map(lambda rows: _case("any", rows))


@problem
def small_sort(k: int = 8, m: int = 40_000) -> Problem:  # type: ignore[no-redef]  # as the block calls it
    """Sort `m` rows of `k` whole numbers each, faster than numpy.sort(axis=1)."""
    if not 2 <= k <= 8:
        raise ProblemError(f"k is {k}; rows of 2 to 8 numbers are small")
    if m < 1:
        raise ProblemError(f"m is {m}; give at least one row")
    return Problem(
        entry="small_sort",
        cases=_adversarial(k),
        returns=Array("i4", (None, k)),
        score=score,
        objective=Speed(baseline="numpy_sort"),
        baselines={"numpy_sort": NUMPY_SORT, "by_rank": BY_RANK},
        unseen={"other_rows": _unseen(k)},
        fresh=lambda rng: _fresh(m, k, rng),
        strategy=lambda: _strategy(k),
        # How it fares where branches are foreseen, and how large it is.
        measures=[Measure("speedup:few_values", 0.0, 8.0, bins=16), Measure("nodes", 0, 160, bins=16)],
        # What copies a matrix, in one order of memory or the other.
        primitives=[
            Primitive("rows", (), "matrix"),
            Primitive("np.copy", ("matrix",), "matrix"),
            Primitive("np.ascontiguousarray", ("matrix",), "matrix"),
            Primitive("np.asfortranarray", ("matrix",), "matrix"),
        ],
    )
