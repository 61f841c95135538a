"""Multiply a sparse matrix by a dense one, faster than scipy.sparse.

`multiply(data, indices, indptr, dense)` gets a sparse (m, n) matrix A in compressed rows: the entries of row r are
data[indptr[r] : indptr[r + 1]], float64, in the columns indices[indptr[r] : indptr[r + 1]], which rise strictly within
a row. indices and indptr, of length m + 1, are int32; rows may be empty and entries may be zero. `dense` is X, float64,
(n, c) with c >= 1, in C order. All are read-only and finite, and no product overflows. It returns the (m, c) float64
product A X.

An answer y is right where |y - A X| <= g |A| |X| in each element: g = q u / (1 - q u) with q the number of entries of
the row and u = 2^-53 is what rounding may do to a sum of q products in any order (Higham, Accuracy and Stability of
Numerical Algorithms, 2nd ed., section 3.1). An element whose terms cancel may have no correct digit, and an empty row
must be zero.

The objective is the speed-up over scipy.sparse.csr_array, by CPU time, on matrices of 8,000 rows and some 80,000 to
320,000 entries: evenly spread ones by one and by 8 columns, one with a few very long rows, and a banded one. Programs
may import numpy, numba and scipy.

The seed goes through the matrix once for each column of X, compiled by numba.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from evolve import Array, Case, Limits, Measure, Problem, ProblemError, Rejected, Speed, problem

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

# EVOLVE-BLOCK-START
import numba
import numpy as np


@numba.njit
def multiply(data, indices, indptr, dense):
    """Return the product of the sparse matrix and the dense one."""
    product = np.zeros((len(indptr) - 1, dense.shape[1]))
    for column in range(dense.shape[1]):
        for row in range(len(indptr) - 1):
            for place in range(indptr[row], indptr[row + 1]):
                product[row, column] += data[place] * dense[indices[place], column]
    return product


# EVOLVE-BLOCK-END

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int32]

SCIPY = """
from scipy.sparse import csr_array


def multiply(data, indices, indptr, dense):
    return csr_array((data, indices, indptr), shape=(len(indptr) - 1, len(dense))) @ dense
"""

REDUCEAT = """
import numpy as np


def multiply(data, indices, indptr, dense):
    product = np.zeros((len(indptr) - 1, dense.shape[1]))
    filled = np.flatnonzero(indptr[1:] > indptr[:-1])
    if len(filled):
        product[filled] = np.add.reduceat(data[:, None] * dense[indices], indptr[filled], axis=0)
    return product
"""

_ROUNDING = 2.0**-53


def int32(numbers: Sequence[int]) -> Integers:
    """A vector of them."""
    return np.array(numbers, np.int32)


class Right(NamedTuple):
    """What an answer is held to: the product, and how far each element may be from it; both (m, c)."""

    product: Floats
    allowed: Floats


def _row_sums(terms: Floats, indptr: Integers) -> Floats:
    """Sums over the entries of each row; terms are (entries, c)."""
    sums = np.zeros((len(indptr) - 1, terms.shape[1]))
    filled = np.flatnonzero(np.diff(indptr))
    if len(filled):
        sums[filled] = np.add.reduceat(terms, indptr[filled], axis=0)
    return sums


def _right(data: Floats, indices: Integers, indptr: Integers, dense: Floats, exact: bool) -> Right:
    """The product, exactly and then rounded or in floats, and the bound with room for its own rounding.

    Next to g |A| |X| stands what underflow may do: half the smallest float for each product.
    """
    entries = np.diff(indptr)[:, None]
    size = _row_sums(np.abs(data[:, None] * dense[indices]), indptr)
    bound = (entries * _ROUNDING) / (1.0 - entries * _ROUNDING)
    if not exact:
        product = _row_sums(data[:, None] * dense[indices], indptr)
        return Right(product, 2.0 * bound * (1.0 + bound) * size + 2.0 * entries * 5e-324)
    product = np.zeros_like(size)
    columns = [[Fraction(value) for value in column] for column in dense.T.tolist()]
    for row in range(len(indptr) - 1):
        part = range(indptr[row], indptr[row + 1])
        for column, values in enumerate(columns):
            terms = (Fraction(float(data[place])) * values[indices[place]] for place in part)
            product[row, column] = float(sum(terms, Fraction(0)))
    return Right(product, (bound * (1.0 + bound) + _ROUNDING) * size + (entries + 1) * 5e-324)


def case(name: str, matrix: tuple[Floats, Integers, Integers], dense: Floats, exact: bool = True) -> Case:
    """A case; its product is worked out in rationals if `exact`, else by numpy, with twice the bound."""
    return Case(name, inputs=(*matrix, dense), hidden=_right(*matrix, dense, exact))


def score(answer: Floats, case: Case) -> dict[str, float]:
    """Nothing but whether each element is within its bound."""
    right: Right = case.hidden
    if answer.shape != right.product.shape:
        raise Rejected(f"the answer has shape {answer.shape}, not {right.product.shape}")
    error = np.abs(answer - right.product)
    wrong = np.argwhere(error > right.allowed)
    if len(wrong):
        row, column = wrong[0].tolist()
        told = f"off by {error[row, column]:.3g}, and {right.allowed[row, column]:.3g} is allowed"
        raise Rejected(f"row {row}, column {column} and {len(wrong) - 1} other elements: {told}")
    return {}


def matrix(
    keys: npt.NDArray[np.int64], m: int, n: int, rng: np.random.Generator
) -> tuple[Floats, Integers, Integers]:
    """Compressed rows of an (m, n) matrix with normal entries at row * n + column for each of `keys`."""
    keys = np.sort(keys)
    keys = keys[np.diff(keys, prepend=-1) > 0]
    indptr = np.searchsorted(keys, np.arange(m + 1) * n).astype(np.int32)
    return rng.standard_normal(len(keys)), (keys % n).astype(np.int32), indptr


def nasty() -> list[Case]:
    """Matrices on which products go wrong first."""
    rng = np.random.default_rng(12)

    def spread(m: int, n: int, entries: int) -> tuple[Floats, Integers, Integers]:
        return matrix(rng.integers(0, m * n, entries), m, n, rng)

    def normal(n: int, c: int) -> Floats:
        return rng.standard_normal((n, c))

    full = (rng.standard_normal(21), np.tile(np.arange(7, dtype=np.int32), 3), int32([0, 7, 14, 21]))
    huge, columns, starts = spread(20, 30, 100)
    cancelling = (
        np.array([1e16, 1.0, -1e16, 1e16, 3.0, -1e16]),
        int32([0, 1, 2, 0, 2, 3]),
        int32([0, 3, 6]),
    )
    no_entries = np.zeros(0), np.zeros(0, np.int32)
    return [
        case("no_rows", (*no_entries, np.zeros(1, np.int32)), normal(4, 2)),
        case("empty_rows", (*no_entries, np.zeros(6, np.int32)), normal(4, 3)),
        case("one", (np.array([2.5]), int32([0]), int32([0, 1])), np.array([[4.0]])),
        case("full", full, normal(7, 5)),
        case("first_and_last_empty", matrix(np.array([5, 6, 13]), 5, 5, rng), normal(5, 2)),
        case("last_only", matrix(np.array([24]), 5, 5, rng), normal(5, 2)),
        case("one_long_row", matrix(np.append(np.arange(200, 400), [7, 999]), 5, 200, rng), normal(200, 3)),
        case("one_column", spread(60, 50, 300), normal(50, 1)),
        case("one_wide", spread(1, 40, 20), normal(40, 9)),
        case("one_entry_columns", spread(50, 1, 30), normal(1, 4)),
        case("zeros", (np.zeros(len(huge)), columns, starts), normal(30, 4)),
        case("huge", (huge * 1e150, columns, starts), normal(30, 4) * 1e150),
        case("tiny", (huge * 1e-160, columns, starts), normal(30, 4) * 1e-160),
        case("mixed", (huge * 10.0 ** rng.integers(-90, 90, len(huge)), columns, starts), normal(30, 4)),
        case("cancelling", cancelling, np.array([[1.0], [1.0], [1.0], [1.0]])),
        *(case(f"c{c}", spread(33, 17, 120), normal(17, c)) for c in (2, 3, 7, 8, 15, 16, 17, 31, 33)),
    ]


def other() -> list[Case]:
    """Shapes that no search meets."""
    rng = np.random.default_rng(13)
    cases = []
    for m, n, c, entries in ((1, 1, 1, 1), (9, 500, 4, 700), (500, 9, 5, 700), (300, 300, 12, 2000)):
        made = matrix(rng.integers(0, m * n, entries), m, n, rng)
        cases.append(case(f"{m}x{n}x{c}", made, rng.standard_normal((n, c))))
    return cases


def fresh(rng: np.random.Generator, size: int) -> list[Case]:
    """One batch: four kinds of matrices of `size` rows."""
    even = matrix(rng.integers(0, size * size, 10 * size), size, size, rng)
    more = matrix(rng.integers(0, size * size, 40 * size), size, size, rng)
    skewed = (rng.pareto(1.0, 12 * size) * 50.0).astype(np.int64) % size  # row r is as long as 1 / r**2
    long_rows = matrix(skewed * size + rng.integers(0, size, 12 * size), size, size, rng)
    near = np.arange(size)[:, None] + rng.integers(-40, 41, (size, 24))
    band = matrix((np.arange(size)[:, None] * size + np.clip(near, 0, size - 1)).ravel(), size, size, rng)
    return [
        case("even", even, rng.standard_normal((size, 8)), exact=False),
        case("vector", more, rng.standard_normal((size, 1)), exact=False),
        case("long_rows", long_rows, rng.standard_normal((size, 8)), exact=False),
        case("band", band, rng.standard_normal((size, 8)), exact=False),
    ]


def any_product() -> "SearchStrategy[Case]":
    """Small matrices with entries of any size that cannot overflow."""
    from hypothesis import strategies as st

    number = st.one_of(st.integers(-9, 9).map(float), st.floats(-1e100, 1e100))

    @st.composite
    def draw(draw: Callable[..., Any]) -> Case:
        m, n, c = (draw(st.integers(low, 6)) for low in (0, 1, 1))
        kept = draw(st.lists(st.booleans(), min_size=m * n, max_size=m * n))
        keys = np.flatnonzero(kept)
        data = draw(st.lists(number, min_size=len(keys), max_size=len(keys)))
        values = draw(st.lists(number, min_size=n * c, max_size=n * c))
        _, columns, starts = matrix(keys, m, n, np.random.default_rng(0))
        return case("any", (np.array(data, float), columns, starts), np.array(values, float).reshape(n, c))

    return draw()


@problem
def csr_spmm(size: int = 8_000) -> Problem:
    """The product of a sparse matrix in compressed rows and a dense one."""
    if find_spec("scipy") is None:
        raise ProblemError(
            "it is raced against scipy, which is missing: pip install 'evolve-engine[problems]'"
        )
    if size < 100:
        raise ValueError(f"size is {size}; matrices of at least 100 rows")
    return Problem(
        entry="multiply",
        cases=nasty(),
        returns=Array("f8", (None, None)),
        score=score,
        objective=Speed(baseline="scipy"),
        baselines={"scipy": SCIPY, "reduceat": REDUCEAT},
        unseen={"other_shapes": other()},
        fresh=lambda rng: fresh(rng, size),
        strategy=any_product,
        preload=["scipy.sparse"],
        measures=[Measure("nodes", 0, 150, bins=15), Measure("speedup:vector", 0.0, 4.0, bins=16)],
        limits=Limits(seconds=10.0, cpu_seconds=30.0),
    )
