"""Find a function on an interval that overlaps as little as possible with its complement, however that is shifted.

A function h on -1 .. 1 with values from 0 to 1 and integral 1 is sought; its complement is 1 - h. Both are zero
outside of -1 .. 1. The overlap at a shift s is the integral of h(t) (1 - h(t + s)), and the largest overlap over all
shifts s is to be as small as possible. The infimum is the constant of Erdős's minimum overlap problem.

Here h is a step function with n equal steps of heights h_0 .. h_{n-1}, whose sum is n / 2. The overlap is linear
between shifts by whole steps, so the objective is

    (2 / n) max over k = -(n-1) .. n-1 of the sum over i of h_i (1 - h_{i+k}), for i and i + k in 0 .. n-1

and a step function of any n gives an upper bound on that constant.

`heights(x)` gets the midpoints of the steps, n numbers in rising order from -1 to 1, and returns n heights. By
trusted code, what lies below 0 counts as 0 and above 1 as 1, heights are rounded to multiples of 2^-40, and their sum
is then made exactly n / 2, in rationals: where it is larger, all h are multiplied by one factor, and where it is
smaller, all 1 - h. So every answer of n numbers is a function of the kind that is sought.

The seed is the constant function. Unseen cases ask for other numbers of steps.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from evolve import (
    Array,
    Case,
    Certificate,
    Limits,
    Measure,
    Objective,
    Primitive,
    Problem,
    Reference,
    Rejected,
    certified,
    problem,
)

# EVOLVE-BLOCK-START
import numpy as np


def heights(x):
    """Heights of the steps with midpoints x, in -1 .. 1."""
    return 0.5 + 0.0 * x


# EVOLVE-BLOCK-END

_ONE = 1 << 40


def levelled(answer: npt.NDArray[np.float64], case: Case) -> tuple[npt.NDArray[np.int64], int]:
    """Heights whose mean is 1/2, as whole numbers and their common denominator; below 2^56 for 10,000 steps.

    Raises:
        Rejected: not one height for each step.
    """
    n = len(case.inputs[0])
    if len(answer) != n:
        raise Rejected(f"{len(answer)} heights, {n} are asked for")
    whole = np.rint(np.clip(answer, 0.0, 1.0) * _ONE).astype(np.int64)
    total = int(whole.sum())
    if 2 * total >= n * _ONE:  # h times n / (2 total)
        return n * whole, 2 * total
    rest = n * _ONE - total  # 1 - h times n / (2 rest)
    return 2 * rest - n * (_ONE - whole), 2 * rest


def score(answer: npt.NDArray[np.float64], case: Case) -> dict[str, float]:
    """The largest overlap; how far h is from its mirror image; share of shifts within 1 % of the largest overlap.

    Sums of products of non-negative floats are off by 2 n roundings at most, so there is nothing to be gained by
    them; the certificate is exact.
    """
    whole, one = levelled(answer, case)
    h = whole / one
    overlaps = np.correlate(h, 1.0 - h, "full") * (2.0 / len(h))
    largest = float(overlaps.max())
    return {
        "overlap": largest,
        "skew": float(np.abs(h - h[::-1]).mean()),
        "plateau": float(np.mean(overlaps >= 0.99 * largest)),
    }


def check(data: "dict[str, Any]") -> str:
    """Largest overlap of a step function with its complement; heights are whole numbers over one denominator."""
    from fractions import Fraction

    n, one, heights = data["n"], data["denominator"], data["heights"]
    if type(one) is not int or one < 1:
        raise ValueError("the denominator is no whole number from one on")
    if type(n) is not int or len(heights) != n:
        raise ValueError(f"there are not {n} heights")
    if any(type(height) is not int or not 0 <= height <= one for height in heights):
        raise ValueError("a height is no whole number from zero to the denominator")
    if 2 * sum(heights) != n * one:
        raise ValueError("the integral is not 1")
    # All shifts by one product: h, and 1 - h backwards, are the digits of two large numbers, in a base that no sum of
    # products reaches, so the digits of the product are the overlaps.
    size = (n * one**2).bit_length() // 8 + 1
    rests = [one - height for height in reversed(heights)]
    this, other = (
        int.from_bytes(b"".join(number.to_bytes(size, "little") for number in numbers), "little")
        for numbers in (heights, rests)
    )
    digits = (this * other).to_bytes(2 * n * size, "little")
    overlaps = [int.from_bytes(digits[at : at + size], "little") for at in range(0, len(digits), size)]
    return str(Fraction(2 * max(overlaps), n * one**2))


def certify(answer: npt.NDArray[np.float64], case: Case) -> Certificate:
    """The levelled heights, for `check`."""
    whole, one = levelled(answer, case)
    statement = (
        f"a step function h with {len(whole)} equal steps on an interval of length 2, values from 0 to 1 and integral "
        "1; with h and 1 - h zero outside, the integral of h(t) (1 - h(t + s)) is at most {value} for every s"
    )
    return certified(check, {"n": len(whole), "denominator": one, "heights": whole.tolist()}, statement)


TWO_STEPS = """
import numpy as np


def heights(x):
    return np.where(x < 0.0, 1.0 / 3.0, 2.0 / 3.0)
"""

THREE_STEPS = """
import numpy as np


def heights(x):
    return np.where(np.abs(x) < 1.0 / 3.0, 0.5 + 0.1**0.5, 0.5 - 0.025**0.5)
"""


def _case(n: int) -> Case:
    return Case(f"n{n}", inputs=((2.0 * np.arange(n) + 1.0) / n - 1.0,))


def strategy() -> Any:
    """Any number of steps up to 40."""
    from hypothesis import strategies

    return strategies.integers(1, 40).map(_case)


@problem
def erdos_overlap(n: int = 204, seconds: float = 5.0) -> Problem:
    """A step function with n steps that overlaps little with its complement."""
    if not 2 <= n <= 10_000:
        raise ValueError(f"n is {n}; a number of steps from 2 to 10000")
    return Problem(
        entry="heights",
        # 204 steps hold functions of 2, 3, 4, 12, 17, 51 or 102 steps exactly.
        cases=[_case(n)],
        returns=Array("f8", (None,), max_size=100_000),
        score=score,
        certify=certify,
        check=check,
        objective=Objective("overlap", "min"),
        measures=[Measure("skew", 0.0, 1.0, bins=16), Measure("plateau", 0.0, 1.0, bins=16)],
        unseen={f"n{m}": [_case(m)] for m in (max(2, n // 2), 2 * n)},
        strategy=strategy,
        primitives=[
            Primitive("x", (), "num"),
            Primitive("np.sqrt", ("num",), "num"),
            Primitive("np.abs", ("num",), "num"),
            Primitive("np.exp", ("num",), "num"),
            Primitive("np.cos", ("num",), "num"),
            Primitive("np.sin", ("num",), "num"),
            Primitive("np.minimum", ("num", "num"), "num"),
            Primitive("np.maximum", ("num", "num"), "num"),
            Primitive("np.where", ("bool", "num", "num"), "num"),
        ],
        baselines={"two_steps": TWO_STEPS, "three_steps": THREE_STEPS},
        references=[
            Reference("two steps", 4 / 9, "Erdős, as Haugland tells, neutreeko.net/mop", "1955"),
            Reference("three steps", 0.4, "Motzkin, Ralston, Selfridge, Bull. AMS 62, 558", "1956"),
            Reference("21 steps", 0.382002, "Haugland, J. Number Theory 58, 71-78", "1996"),
            Reference("51 steps", 0.380927, "Haugland, arXiv:1609.08000", "2016"),
            Reference("AlphaEvolve", 0.380924, "arXiv:2506.13131, B.5", "2025"),
            Reference("TTT-Discover", 0.380876, "Yuksekgonul et al., arXiv:2601.16175", "2026"),
            Reference("no function is below", 0.379005, "White, arXiv:2201.05704", "2022"),
        ],
        limits=Limits(seconds=seconds),
        max_nodes=60,
    )
