"""Find a finite set of whole numbers that has many more differences than sums.

For a finite set U of whole numbers from zero on, with 0 in U, let U + U be the set of sums a + b and U - U the set of
differences a - b of its members, a and b equal or not. The objective, to be as large as possible, is

    1 + ln(|U - U| / |U + U|) / ln(2 max(U) + 1)

It is 1 for a set that has as many differences as sums, such as all numbers below a bound or any set that is symmetric.
By a theorem of Gyarmati, Hennecart and Ruzsa each set U gives a lower bound on how fast the differences of two large
sets can grow with their sums.

`members(x, k)` returns whole numbers in an array of one axis, of any length and in any order. Those below zero are
left out; what is there twice counts once; the least of them is subtracted from all. The rest is U. It has 2 to 4,096
members (another number where the problem is given `most`), none above 2^25, or the answer is rejected.

x and k are candidates, to be used or not: each column of x, shape (d, b^d), is a word of d digits from 0 to b - 1, and
k, shape (b^d,), holds the number that the word stands for in base 2 b - 1, its first digit being that of ones.
Columns come in rising order of k. As digits are below b, neither a sum of two candidates nor a difference carries.

The kinds of the vocabulary are `vec`, a number for each digit of each word; `num`, a number for each word; `int`, a
whole one; and truth values. The seed takes 0, 1 and 3. Unseen cases have other d and b.
"""

from collections.abc import Sequence
from math import log, log2
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
from evolve.fastcore.kernels.sumset import LARGEST, sums_and_differences

# EVOLVE-BLOCK-START
import numpy as np


def members(x, k):
    """Members of the set; numbers below zero are left out."""
    return np.where((k < 4) & (k != 2), k, -1)


# EVOLVE-BLOCK-END


def chosen(answer: npt.NDArray[np.int64], case: Case) -> npt.NDArray[np.int64]:
    """The set U, in rising order from 0.

    Raises:
        Rejected: too few members, too many, or one that is too large.
    """
    found: npt.NDArray[np.int64] = np.unique(answer[answer >= 0])
    if not 2 <= len(found) <= case.hidden:
        raise Rejected(f"{len(found)} members; from 2 to {case.hidden} are asked for")
    found -= found[0]
    if found[-1] > LARGEST:
        raise Rejected(f"a member is {found[-1]}, above {LARGEST}")
    return found


def score(answer: npt.NDArray[np.int64], case: Case) -> dict[str, float]:
    """The exponent; the number of members, by its logarithm; the share of pairs whose sum no other pair has.

    The counts are exact; logarithms of whole numbers are off by a rounding.
    """
    found = chosen(answer, case)
    count = len(found)
    sums, differences = sums_and_differences(found)
    return {
        "exponent": 1.0 + log(differences / sums) / log(2 * int(found[-1]) + 1),
        "members": log2(count),
        "apart": sums / (count * (count + 1) / 2),
        "sums": sums,
        "differences": differences,
    }


def check(data: "dict[str, Any]") -> str:
    """1 + ln(|U - U| / |U + U|) / ln(2 max(U) + 1) of a set U of whole numbers, 1 or rounded down in the 15th place."""
    from decimal import ROUND_FLOOR, Context, Decimal

    members = data["members"]
    if any(type(member) is not int or member < 0 for member in members):
        raise ValueError("a member is no whole number from zero on")
    if len(set(members)) != len(members) or len(members) < 2:
        raise ValueError("there are not two members or more, all different")
    if 0 not in members:
        raise ValueError("0 is no member")
    if max(members) > 2**25:
        raise ValueError("a member is above 2^25")
    # A mark for each sum, and for each difference from zero on: those below are as many as those above.
    top = max(members)
    sums, differences = bytearray(2 * top + 1), bytearray(top + 1)
    members = sorted(members)
    for place, one in enumerate(members):
        for other in members[: place + 1]:
            sums[one + other] = differences[one - other] = 1
    if 2 * differences.count(1) - 1 == sums.count(1):
        return "1"
    # Decimal.ln is rounded correctly to 50 digits, so each logarithm lies between the neighbours of what it returns.
    # Every step takes the side that makes the result smaller.
    context = Context(prec=50, rounding=ROUND_FLOOR)

    def at_least(number: int) -> Decimal:
        return context.next_minus(context.ln(Decimal(number)))

    def at_most(number: int) -> Decimal:
        return context.next_plus(context.ln(Decimal(number)))

    gain = context.subtract(at_least(2 * differences.count(1) - 1), at_most(sums.count(1)))
    scale = at_most(2 * top + 1) if gain >= 0 else at_least(2 * top + 1)
    return str(context.add(Decimal(1), context.divide(gain, scale)).quantize(Decimal("1e-15"), ROUND_FLOOR))


def certify(answer: npt.NDArray[np.int64], case: Case) -> Certificate:
    """The members, for `check`."""
    found = chosen(answer, case).tolist()
    statement = (
        f"a set U of {len(found)} whole numbers, 0 the least and {found[-1]} the largest, for which "
        "1 + ln(|U - U| / |U + U|) / ln(2 max(U) + 1) is at least {value}"
    )
    return certified(check, {"members": found}, statement)


# The points of a simplex, read as numbers.
SIMPLEX = """
import numpy as np


def members(x, k):
    return np.where(np.sum(x, 0) <= np.max(x), k, -1)
"""

# The shortest ruler with six marks on which every distance is there once at most.
RULER = """
import numpy as np


def members(x, k):
    return np.array([0, 1, 4, 10, 12, 17])
"""


def _case(d: int, b: int, most: int) -> Case:
    words = np.arange(b**d)[None, :] // b ** np.arange(d)[:, None] % b
    numbers = (words * (2 * b - 1) ** np.arange(d)[:, None]).sum(axis=0)
    return Case(f"d{d}_b{b}", inputs=(words, numbers), hidden=most)


def strategy() -> Any:
    """A few small shapes."""
    from hypothesis import strategies

    return strategies.builds(
        _case, strategies.integers(1, 4), strategies.integers(2, 4), strategies.just(4096)
    )


def _language(d: int, b: int) -> Sequence[Primitive]:
    both = [
        Primitive(name, (kind, kind), kind)
        for kind in ("vec", "num")
        for name in ("np.remainder", "np.minimum", "np.maximum")
    ]
    compared = [
        Primitive(name, ("vec", "vec"), "truths")
        for name in ("np.equal", "np.not_equal", "np.less", "np.greater")
    ]
    over_digits = [
        Primitive("np.sum", ("vec", 0), "num"),
        Primitive("np.sum", ("vec", 0), "num"),
        Primitive("np.sum", ("truths", 0), "num"),
        Primitive("np.max", ("vec", 0), "num"),
        Primitive("np.min", ("vec", 0), "num"),
        Primitive("np.prod", ("vec", 0), "num"),
        Primitive("np.take", ("vec", "index", 0), "num"),
    ]
    rearranged = [
        Primitive("np.roll", ("vec", "index", 0), "vec"),
        Primitive("np.cumsum", ("vec", 0), "vec"),
        Primitive("np.where", ("truths", "vec", "vec"), "vec"),
        Primitive("np.where", ("bool", "int", "int"), "int"),
        Primitive("np.where", ("bool", "num", "num"), "num"),
        Primitive("np.abs", ("vec",), "vec"),
    ]
    names = [Primitive("x", (), "vec"), Primitive("k", (), "int")]
    # Places that words of every shape have, the unseen ones too.
    literals = [Primitive(str(index), (), "index") for index in range(max(1, d - 1))]
    digits = [Primitive(str(digit), (), "vec") for digit in range(b)]
    return [*names, *both, *compared, *over_digits, *rearranged, *literals, *digits]


@problem
def sumdiff(d: int = 7, b: int = 4, most: int = 4096) -> Problem:
    """A set of whole numbers with many more differences than sums."""
    if not 3 <= most <= 20_000:
        raise ValueError(f"most is {most}; a number of members from 3 to 20000")
    shapes = [(d, b), (d - 1, b + 1), (d + 1, b - 1)]
    for digits, below in shapes:
        if digits < 1 or below < 2 or below**digits > 20_000 or (2 * below - 1) ** digits > LARGEST:
            raise ValueError(
                f"d is {d} and b is {b}; that makes a case of {digits} digits below {below}: candidates are 20,000 at "
                f"most, and none is above {LARGEST} (the unseen cases have one digit less and more)"
            )
    train, *others = [_case(*shape, most) for shape in shapes]
    return Problem(
        entry="members",
        cases=[train],
        returns=Array("i8", (None,)),
        score=score,
        certify=certify,
        check=check,
        objective=Objective("exponent", "max"),
        measures=[Measure("members", 0.0, 12.0, bins=16), Measure("apart", 0.0, 1.0, bins=16)],
        unseen={case.name: [case] for case in others},
        strategy=strategy,
        primitives=_language(d, b),
        baselines={"simplex": SIMPLEX, "ruler": RULER},
        references=[
            Reference("simplex", 1.14465, "Gyarmati, Hennecart, Ruzsa, Funct. Approx. 37, 175-186", "2007"),
            Reference("AlphaEvolve, 2,003 members", 1.1479, "arXiv:2506.13131, B.6", "2025"),
            Reference("AlphaEvolve, 54,265 members", 1.1584, "arXiv:2506.13131, B.6", "2025"),
            Reference("counted, not listed", 1.173050, "Gerbicz, arXiv:2505.16105", "2025"),
            Reference("counted, not listed", 1.173077, "Zheng, arXiv:2506.01896", "2025"),
            Reference("counted, not listed", 1.1835129, "github.com/teorth/optimizationproblems, 3a", "2026"),
        ],
        limits=Limits(seconds=5.0),
        score_seconds=10.0 * max(1.0, (most / 4096) ** 2),  # pairs are what takes time
        max_nodes=60,
    )
