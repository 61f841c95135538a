"""Find a non-negative function on an interval whose autoconvolution is as flat as possible.

A function f >= 0 on an interval of length 1/2 is sought for which max (f * f) / (integral of f)^2 is as small as
possible, where (f * f)(t) is the integral of f(s) f(t - s). Here f is a step function with n equal steps of heights
a_0 .. a_{n-1}. Its autoconvolution is linear between the knots, at which it is proportional to
c_k = sum of a_i a_{k-i}, so the objective is

    2 n max(c_0 .. c_{2n-2}) / (a_0 + .. + a_{n-1})^2

and a step function of any n gives an upper bound on the infimum over all functions. Only the shape counts: a
multiple of f, or f read backwards, has the same value.

`heights(x)` gets the midpoints of the steps, n numbers in rising order with the interval scaled to 0 .. 1, and
returns n heights. What lies below zero counts as zero. Then, by trusted code, heights are divided by the largest one
and rounded to multiples of 2^-40; the value is that of the rounded heights. If no height is above zero, the answer is
rejected.

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
    """Heights of the steps with midpoints x, in 0 .. 1."""
    return 1.0 + 0.0 * x


# EVOLVE-BLOCK-END

_BITS = 40


def whole(answer: npt.NDArray[np.float64], case: Case) -> npt.NDArray[np.int64]:
    """Heights as whole numbers, the largest of them 2^40.

    Raises:
        Rejected: not one height for each step, or none above zero.
    """
    steps = len(case.inputs[0])
    if len(answer) != steps:
        raise Rejected(f"{len(answer)} heights, {steps} are asked for")
    top = float(answer.max())
    if not top > 0.0:
        raise Rejected("no height is above zero")
    return np.rint(np.maximum(answer, 0.0) / top * 2.0**_BITS).astype(np.int64)


def score(answer: npt.NDArray[np.float64], case: Case) -> dict[str, float]:
    """The value; how far the function is from its mirror image; share of knots within 1 % of the highest.

    Sums of products of non-negative floats, in no order at all, are off by 2 n roundings at most: 1e-13 at n = 600,
    whatever the heights. There is nothing to be gained by it, and the certificate is exact.
    """
    a = whole(answer, case).astype(np.float64)
    at_knots = np.convolve(a, a)
    highest, total = float(at_knots.max()), float(a.sum())
    return {
        "value": 2.0 * len(a) * highest / total**2,
        "skew": float(np.abs(a - a[::-1]).sum()) / (2.0 * total),
        "plateau": float(np.mean(at_knots >= 0.99 * highest)),
    }


def check(data: "dict[str, Any]") -> str:
    """2 n max(a * a) / (sum of a)^2 for n steps whose heights a are whole numbers, as an exact fraction."""
    from fractions import Fraction

    n, heights = data["n"], data["heights"]
    if type(n) is not int or len(heights) != n:
        raise ValueError(f"there are not {n} heights")
    if any(type(height) is not int or height < 0 for height in heights):
        raise ValueError("a height is no whole number from zero on")
    if not any(heights):
        raise ValueError("no height is above zero")
    # All of a * a by one product: heights are the digits of one large number, in a base that no sum of products
    # reaches, so the digits of its square are the values at the knots.
    size = (n * max(heights) ** 2).bit_length() // 8 + 1
    packed = int.from_bytes(b"".join(height.to_bytes(size, "little") for height in heights), "little")
    square = (packed * packed).to_bytes(2 * n * size, "little")
    knots = [int.from_bytes(square[at : at + size], "little") for at in range(0, len(square), size)]
    return str(Fraction(2 * n * max(knots), sum(heights) ** 2))


def certify(answer: npt.NDArray[np.float64], case: Case) -> Certificate:
    """The rounded heights, for `check`."""
    rounded = whole(answer, case).tolist()
    statement = (
        f"a step function f >= 0 with {len(rounded)} equal steps on an interval of length 1/2 and "
        "max(f * f) / (integral of f)^2 = {value}"
    )
    return certified(check, {"n": len(rounded), "heights": rounded}, statement)


# The power series of (1 - z)^(-1/2): its square has coefficients 1, so the first n knots are level. As n grows, the
# value falls to pi / 2, which was conjectured to be the infimum.
SCHINZEL_SCHMIDT = """
import numpy as np


def heights(x):
    i = np.arange(1, len(x))
    return np.cumprod(np.concatenate([[1.0], (2 * i - 1) / (2 * i)]))
"""

# The function that refuted it: A (0.00195 - 2 t)^(-1/3) up to the middle, B (0.500166 - 2 t)^(-0.65) from there on,
# with t in -1/4 .. 1/4; heights are its exact means over the steps.
MATOLCSI_VINUESA = """
import numpy as np


def heights(x):
    t = np.linspace(-0.25, 0.25, len(x) + 1)
    left = 1.392887 * -0.75 * (0.00195 - 2.0 * np.minimum(t, 0.0)) ** (2.0 / 3.0)
    right = 0.338537 / -0.7 * (0.500166 - 2.0 * np.maximum(t, 0.0)) ** 0.35
    return np.diff(left + right)
"""


def _case(n: int) -> Case:
    return Case(f"n{n}", inputs=((np.arange(n) + 0.5) / n,))


def strategy() -> Any:
    """Any number of steps up to 40."""
    from hypothesis import strategies

    return strategies.integers(1, 40).map(_case)


@problem
def autocorr1(n: int = 600, seconds: float = 5.0) -> Problem:
    """A step function with n steps whose autoconvolution is flat."""
    if not 2 <= n <= 10_000:
        raise ValueError(f"n is {n}; a number of steps from 2 to 10000")
    return Problem(
        entry="heights",
        cases=[_case(n)],
        returns=Array("f8", (None,), max_size=100_000),
        score=score,
        certify=certify,
        check=check,
        objective=Objective("value", "min"),
        measures=[Measure("skew", 0.0, 1.0, bins=16), Measure("plateau", 0.0, 1.0, bins=16)],
        unseen={f"n{m}": [_case(m)] for m in (max(2, n // 4), 2 * n)},
        strategy=strategy,
        primitives=[
            Primitive("x", (), "num"),
            Primitive("np.sqrt", ("num",), "num"),
            Primitive("np.abs", ("num",), "num"),
            Primitive("np.exp", ("num",), "num"),
            Primitive("np.log", ("num",), "num"),
            Primitive("np.cos", ("num",), "num"),
            Primitive("np.power", ("num", "num"), "num"),
            Primitive("np.minimum", ("num", "num"), "num"),
            Primitive("np.maximum", ("num", "num"), "num"),
            Primitive("np.where", ("bool", "num", "num"), "num"),
        ],
        baselines={"schinzel_schmidt": SCHINZEL_SCHMIDT, "matolcsi_vinuesa": MATOLCSI_VINUESA},
        references=[
            Reference(
                "conjectured infimum, refuted", 1.5707963, "Schinzel, Schmidt, Acta Arith. 104", "2002"
            ),
            Reference("step function", 1.50992, "Matolcsi, Vinuesa, arXiv:0907.1379", "2010"),
            Reference("AlphaEvolve", 1.505294, "arXiv:2506.13131, B.1", "2025"),
            Reference("AlphaEvolve", 1.503164, "arXiv:2511.02864", "2025"),
            Reference("ThetaEvolve", 1.503133, "arXiv:2511.23473", "2025"),
            Reference("TTT-Discover", 1.5029, "Yuksekgonul et al., arXiv:2601.16175", "2026"),
            Reference("no function is below", 1.28, "Cloninger, Steinerberger, arXiv:1403.7988", "2017"),
        ],
        limits=Limits(seconds=seconds),
        max_nodes=60,
    )
