"""Find the k largest of many numbers and where they are, faster than numpy.argpartition.

`top(values, k)` gets a read-only vector of n finite float64 (no NaN) and 1 <= k <= n. It returns two vectors of
length k: the k largest values, the largest first, and their indices in `values`. Of equal values the one with the
smaller index comes first, and where only some of them have room, those with the smallest indices are taken; 0.0 and
-0.0 are equal. So exactly one answer is right. Values are compared bit by bit.

The objective is the speed-up, by CPU time, over numpy.argpartition and what it takes to put its answer in that order,
on 400,000 values at a time: normal ones (k = 10), ones with few different values (k = 100), ones that rise (k = 100)
and ones of very different sizes (k = 1000).

The seed sorts all values to learn the k-th largest, and picks what is not smaller.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from evolve import Case, Limits, Measure, Primitive, Problem, Rejected, Speed, problem

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

# EVOLVE-BLOCK-START
import numpy as np


def top(values, k):
    """Return the k largest values, the largest first, and their indices."""
    place = len(values) - k
    bound = np.sort(values)[place]
    picked = np.flatnonzero(values >= bound)
    order = np.argsort(-values[picked], kind="stable")
    indices = picked[order[:k]]
    return values[indices], indices


# EVOLVE-BLOCK-END

Floats = npt.NDArray[np.float64]

# Which of the values that equal the smallest are in, argpartition leaves open.
ARGPARTITION = """
import numpy as np


def top(values, k):
    picked = np.argpartition(values, len(values) - k)[len(values) - k :]
    least = np.min(values[picked])
    sure = np.sort(picked[values[picked] > least])
    tied = np.flatnonzero(values == least)[: k - len(sure)]
    indices = np.concatenate([sure, tied])
    indices = indices[np.argsort(-values[indices], kind="stable")]
    return values[indices], indices
"""

FULL_SORT = """
import numpy as np


def top(values, k):
    indices = np.argsort(-values, kind="stable")[:k]
    return values[indices], indices
"""


def case(name: str, values: Floats, k: int) -> Case:
    """A case; hidden are the indices."""
    largest = np.sort(values)[len(values) - k]
    picked = np.flatnonzero(values >= largest)
    return Case(name, inputs=(values, k), hidden=picked[np.argsort(-values[picked], kind="stable")[:k]])


def score(answer: Any, case: Case) -> dict[str, float]:
    """Nothing but whether both vectors are right."""
    right: npt.NDArray[np.int64] = case.hidden
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise Rejected("the answer is not two vectors")
    for what, vector, kinds in (("values", answer[0], "f"), ("indices", answer[1], "iu")):
        if not isinstance(vector, np.ndarray) or vector.dtype.kind not in kinds or vector.dtype.itemsize != 8:
            raise Rejected(f"the {what} are no array of 64-bit {'numbers' if kinds == 'f' else 'integers'}")
        if vector.shape != right.shape:
            raise Rejected(f"the {what} have shape {vector.shape}, not {right.shape}")
    if not np.array_equal(answer[1], right):
        raise Rejected(f"index {int(np.argmax(answer[1] != right))} of {len(right)} is not the right one")
    if answer[0].tobytes() != case.inputs[0][right].tobytes():
        raise Rejected("the values are not those at the indices")
    return {}


def nasty() -> list[Case]:
    """Inputs on which selection goes wrong first: ties at the edge above all."""
    rng = np.random.default_rng(11)
    zeros = np.array([0.0, -0.0, -1.0, 0.0, -0.0, -0.0, 0.0])
    top = np.finfo(np.float64)
    extremes = np.array([top.max, top.min, top.tiny, -top.tiny, 5e-324, -5e-324, 0.0, -0.0])
    some = rng.standard_normal(257)
    cases = [
        case("one", np.array([3.0]), 1),
        case("all", some, 257),
        case("largest", some, 1),
        case("all_but_one", some, 256),
        case("equal", np.full(100, 2.5), 7),
        case("rising", np.arange(1000.0), 13),
        case("falling", -np.arange(1000.0), 13),
        case("tied_at_the_edge", np.array([1.0, 5.0, 3.0, 5.0, 3.0, 3.0, 9.0, 3.0]), 5),
        *(case(f"zeros_{k}", zeros, k) for k in range(1, 8)),
        case("extremes", rng.choice(extremes, 500), 50),
        case("bits", rng.integers(0, 2, 4000).astype(np.float64), 2000),
        case("last_is_largest", np.append(np.zeros(4096), 1.0), 2),
    ]
    sizes = (2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 127, 128, 129, 1023, 1024, 1025)
    for n in sizes:
        cases += [case(f"n{n}_k{k}", rng.integers(-n, n, n) / 2.0, k) for k in sorted({1, n // 2, n})]
    return cases


def other() -> list[Case]:
    """Sizes and values that no search meets."""
    rng = np.random.default_rng(13)
    spiky = np.where(rng.random(5000) < 0.01, 1e300 * rng.random(5000), rng.random(5000))
    return [
        *(case(f"n{n}", rng.standard_normal(n), n // 3) for n in (3, 31, 33, 4097)),
        case("spiky", spiky, 70),
        case("waves", np.round(np.sin(np.arange(3000.0)), 2), 100),
    ]


def fresh(rng: np.random.Generator, n: int) -> list[Case]:
    """One batch: four kinds of n values."""
    return [
        case("normal", rng.standard_normal(n), 10),
        case("few_values", rng.integers(-500, 500, n).astype(np.float64), 100),
        case("rising", np.arange(n) + 50.0 * rng.standard_normal(n), 100),
        case("all_sizes", np.exp(20.0 * rng.standard_normal(n)), 1000),
    ]


def any_values() -> "SearchStrategy[Case]":
    """Some finite numbers, often equal, and any k that they have room for."""
    from hypothesis import strategies as st

    number = st.one_of(st.integers(-3, 3).map(float), st.floats(allow_nan=False, allow_infinity=False))
    numbers = st.lists(number, min_size=1, max_size=60)
    return numbers.flatmap(
        lambda drawn: st.integers(1, len(drawn)).map(lambda k: case("any", np.array(drawn), k))
    )


def _language() -> Sequence[Primitive]:
    return [
        Primitive("np.sort", ("array",), "ordered"),
        Primitive("np.partition", ("array", "index"), "ordered"),
        Primitive("values", (), "array"),
        Primitive("place", (), "index"),
    ]


@problem
def topk(n: int = 400_000) -> Problem:
    """The k largest of n values and their indices."""
    if n < 1000:
        raise ValueError(f"n is {n}; at least 1000 values, as k goes up to 1000")
    return Problem(
        entry="top",
        cases=nasty(),
        score=score,
        objective=Speed(baseline="argpartition"),
        baselines={"argpartition": ARGPARTITION, "full_sort": FULL_SORT},
        unseen={"other_values": other()},
        fresh=lambda rng: fresh(rng, n),
        strategy=any_values,
        measures=[Measure("nodes", 0, 120, bins=12), Measure("speedup:few_values", 0.0, 4.0, bins=16)],
        primitives=_language(),
        limits=Limits(seconds=5.0, cpu_seconds=20.0),
    )
