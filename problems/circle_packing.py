"""Pack n discs in the unit square so that the sum of their radii is as large as possible.

`pack(n)` returns n rows (x, y, radius). Discs may touch each other and the sides, and must not overlap. The
answer is taken as the exact rationals that its floats are. Before it is scored, radii that break a rule are
shrunk, by trusted code, until every rule holds exactly; the score is the sum of what is left. Rejecting every
answer that is off by one rounding would leave the search nothing to climb; accepting a tolerance would sell
overlapping discs as records.

With n = 26 the problem is saturated (plain sampling from a model reaches 2.63598), so it is a smoke test of
the engine rather than evidence for any method.
"""

from fractions import Fraction
from math import hypot
from typing import Any

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


def pack(n: int) -> np.ndarray:
    """Return n rows (x, y, radius)."""
    discs = np.zeros((n, 3))
    for i in range(n):
        angle = 2.0 * np.pi * i / n
        discs[i, 0] = 0.5 + 0.3 * np.cos(angle)
        discs[i, 1] = 0.5 + 0.3 * np.sin(angle)
    for i in range(n):
        x = discs[i, 0]
        y = discs[i, 1]
        radius = min(x, y, 1.0 - x, 1.0 - y)
        for j in range(n):
            if j != i:
                distance = np.hypot(x - discs[j, 0], y - discs[j, 1])
                radius = min(radius, 0.5 * distance)
        discs[i, 2] = radius
    return discs


# EVOLVE-BLOCK-END

_CLEAR = 1e-12  # far above the rounding of the float test for numbers in [0, 1], so what it clears is clear


def _inside(x: Fraction, y: Fraction, radius: Fraction) -> bool:
    return radius <= x <= 1 - radius and radius <= y <= 1 - radius


def _apart(one: tuple[float, ...], two: tuple[float, ...]) -> bool:
    """Whether two discs do not overlap, exactly: dx^2 + dy^2 >= (r1 + r2)^2 in rationals."""
    x1, y1, r1 = one
    x2, y2, r2 = two
    gap = (x1 - x2) ** 2 + (y1 - y2) ** 2 - (r1 + r2) ** 2
    if abs(gap) > _CLEAR:
        return gap > 0
    dx, dy, reach = Fraction(x1) - Fraction(x2), Fraction(y1) - Fraction(y2), Fraction(r1) + Fraction(r2)
    return dx * dx + dy * dy >= reach * reach


def shrink(discs: np.ndarray) -> list[list[float]]:
    """Shrink radii until no disc leaves the square and no two overlap, exactly. Centres stay.

    Args:
        discs: (n, 3) array of rows (x, y, radius), finite.

    Returns:
        The rows as lists of floats.

    Raises:
        Rejected: a centre lies outside the square, or a radius is negative.
    """
    rows: list[list[float]] = [[float(value) for value in row] for row in discs]
    for index, (x, y, radius) in enumerate(rows):
        if not (0.0 <= x <= 1.0 and 0.0 <= y <= 1.0):
            raise Rejected(f"the centre of disc {index} lies outside the square")
        if radius < 0.0:
            raise Rejected(f"disc {index} has a negative radius")
        radius = min(radius, x, y, 1.0 - x, 1.0 - y)
        while radius > 0.0 and not _inside(Fraction(x), Fraction(y), Fraction(radius)):
            radius = float(np.nextafter(radius, 0.0))
        rows[index][2] = radius
    for i, one in enumerate(rows):
        for two in rows[:i]:
            _separate(one, two)
    return rows


def _separate(one: list[float], two: list[float]) -> None:
    """Scale both radii down by one factor until the discs do not overlap. Never grows one, so earlier pairs hold."""
    factor, less = 1.0, 2.0**-52
    r1, r2 = one[2], two[2]
    while r1 + r2 > 0.0 and not _apart(tuple(one), tuple(two)):
        distance = hypot(one[0] - two[0], one[1] - two[1])
        # Twice as much less each time: among the smallest numbers there are, one rounding is a large share.
        factor = min(factor, distance / (r1 + r2)) * max(0.0, 1.0 - less)
        less *= 2.0
        one[2], two[2] = r1 * factor, r2 * factor


def score(discs: np.ndarray, case: Case) -> dict[str, float]:
    """Sum of the radii that are exactly feasible, how unequal they are, and the share that touch a side."""
    if len(discs) != case.inputs[0]:
        raise Rejected(f"{len(discs)} discs, {case.inputs[0]} are asked for")
    rows = np.array(shrink(discs))
    radii = rows[:, 2]
    walls = np.minimum.reduce([rows[:, 0], rows[:, 1], 1.0 - rows[:, 0], 1.0 - rows[:, 1]])
    return {
        "sum_radii": float(radii.sum()),
        "spread": float(radii.std()),
        "on_wall": float(np.mean(walls - radii < 1e-6)),
    }


def check(data: "dict[str, Any]") -> str:
    """Sum of the radii of n discs (x, y, radius) in the unit square, no two of which overlap; exact rationals."""
    from fractions import Fraction

    n, discs = data["n"], [[Fraction(number) for number in disc] for disc in data["discs"]]
    if type(n) is not int or len(discs) != n or any(len(disc) != 3 for disc in discs):
        raise ValueError(f"there are not {n} discs of three numbers")
    for index, (x, y, r) in enumerate(discs):
        if not 0 <= r <= min(x, y, 1 - x, 1 - y):
            raise ValueError(f"disc {index} leaves the square")
        for other, (u, v, s) in enumerate(discs[:index]):
            if (x - u) ** 2 + (y - v) ** 2 < (r + s) ** 2:
                raise ValueError(f"discs {other} and {index} overlap")
    return str(sum(r for _, _, r in discs))


def certify(discs: np.ndarray, case: Case) -> Certificate:
    """The discs with their radii shrunk, for `check`."""
    rows = [[str(Fraction(value)) for value in row] for row in shrink(discs)]
    statement = f"{len(rows)} discs in the unit square, no two overlapping, with radii that sum to {{value}}"
    return certified(check, {"n": case.inputs[0], "discs": rows}, statement)


GRID = """
import numpy as np


def pack(n):
    side = int(np.ceil(np.sqrt(n)))
    discs = np.zeros((n, 3))
    for i in range(n):
        discs[i, 0] = (i % side + 0.5) / side
        discs[i, 1] = (i // side + 0.5) / side
        discs[i, 2] = 0.5 / side
    return discs
"""


@problem
def circle_packing(n: int = 26) -> Problem:
    """Pack n discs in the unit square."""
    if not 1 <= n <= 400:
        raise ValueError(f"n is {n}; a number of discs from 1 to 400")
    return Problem(
        entry="pack",
        cases=[Case(f"n{n}", inputs=(n,))],
        returns=Array("f8", (None, 3), max_size=30_000),
        score=score,
        objective=Objective("sum_radii", "max"),
        measures=[Measure("spread", 0.0, 0.1, bins=16), Measure("on_wall", 0.0, 1.0, bins=13)],
        unseen={f"n{m}": [Case(f"n{m}", inputs=(m,))] for m in (n + 1, n + 6)},
        certify=certify,
        check=check,
        baselines={"grid": GRID},
        primitives=[
            Primitive("np.sqrt", ("num",), "num"),
            Primitive("np.cos", ("num",), "num"),
            Primitive("np.sin", ("num",), "num"),
            Primitive("np.hypot", ("num", "num"), "num"),
            Primitive("np.floor", ("num",), "num"),
            Primitive("min", ("num", "num"), "num"),
            Primitive("max", ("num", "num"), "num"),
        ],
        references=[
            Reference("AlphaEvolve", 2.6358627564, "arXiv:2506.13131, B.12", "2025", "n26"),
            Reference(
                "best basin, strict optimum", 2.6359830849, "polished, exactly feasible", "2025", "n26"
            ),
            Reference("best human", 2.937, "arXiv:2506.13131, B.12", "2025", "n32"),
            Reference("CodeEvolve", 2.9395728, "arXiv:2510.14150", "2025", "n32"),
        ],
        limits=Limits(seconds=5.0),
        max_nodes=400,
    )
