"""Packing discs with a tolerance, or with a certificate that is wrong: what `evolve redteam` must find.

Each is a tuple: the attack that must find the flaw, words of its finding, the seed block, the rest of the file, and
what stands for FLAW in it: first the flawed code, then the right one.
"""

DISCS = """
import numpy as np
from fractions import Fraction
from evolve import Certificate


FLAW


@problem
def small(n: int = 4) -> Problem:
    return Problem(
        entry="place",
        cases=[Case(f"n{m}", inputs=(m,)) for m in (n, n + 1)],
        returns=Array("f8", (None, 3)),
        score=score,
        certify=CERTIFY,
        objective=Objective("sum", "max"),
    )
"""

TOUCHING = """
import numpy as np


def place(n):
    side = 1
    while side * side < n:
        side = side + 1
    made = np.zeros((n, 3))
    for i in range(n):
        made[i, 0] = (i % side + 0.5) / side
        made[i, 1] = (i // side + 0.5) / side
        made[i, 2] = 0.5 / side * SLACK
    return made
"""

_SCORE = """
def score(discs, case):
    if len(discs) != case.inputs[0]:
        raise Rejected("count")
    for i, (x, y, r) in enumerate(discs):
        if not (r >= 0 and min(x - r, y - r) >= -TOL and max(x + r, y + r) <= 1 + TOL):
            raise Rejected("outside")
        for u, v, s in discs[:i]:
            if not np.hypot(x - u, y - v) >= r + s - TOL:
                raise Rejected("overlap")
    return {"sum": float(sum(discs[:, 2]))}
"""

_EXACT = """
def score(discs, case):
    if len(discs) != case.inputs[0]:
        raise Rejected("count")
    rows = [tuple(Fraction(float(value)) for value in row) for row in discs]
    for i, (x, y, r) in enumerate(rows):
        if not (r >= 0 and x - r >= 0 and x + r <= 1 and y - r >= 0 and y + r <= 1):
            raise Rejected("outside")
        for u, v, s in rows[:i]:
            if (x - u) ** 2 + (y - v) ** 2 < (r + s) ** 2:
                raise Rejected("overlap")
    return {"sum": float(sum(row[2] for row in rows))}
"""

_CERTIFY = """

def certify(discs, case):
    rows = [tuple(Fraction(float(value)) for value in row) for row in discs]
    valid = len(rows) == case.inputs[0]
    for i, (x, y, r) in enumerate(rows):
        valid = valid and r >= 0 and x - r >= 0 and x + r <= 1 and y - r >= 0 and y + r <= 1
        for u, v, s in rows[:i]:
            valid = valid and (x - u) ** 2 + (y - v) ** 2 >= (r + s) ** 2
    return Certificate(valid, str(sum(row[2] for row in rows)), "discs")
"""

_REPEATS = """

def certify(discs, case):
    try:
        value = score(discs, case)["sum"]
    except Rejected:
        return Certificate(False, "0", "discs")
    return Certificate(True, repr(value), "discs")
"""


def _discs(attack, says, flawed, certify, right):
    return (
        attack,
        says,
        TOUCHING.replace("SLACK", "(1.0 - 1e-9)"),
        DISCS.replace("CERTIFY", certify),
        flawed,
        right,
    )


PLANTED = {
    "a tolerance in score, and no certificate": _discs(
        "tolerance", "the tolerance is worth", _SCORE.replace("TOL", "1e-6"), "None", _EXACT
    ),
    "a tolerance in score, and an exact certificate": _discs(
        "tolerance",
        "certify does not",
        _SCORE.replace("TOL", "1e-6") + _CERTIFY,
        "certify",
        _EXACT + _CERTIFY,
    ),
    "a certificate that repeats the tolerance of score": _discs(
        "tolerance",
        "the tolerance is worth",
        _SCORE.replace("TOL", "1e-6") + _REPEATS,
        "certify",
        _EXACT + _CERTIFY,
    ),
    "a tolerance with a name, used through isclose": _discs(
        "tolerance",
        "the tolerance is worth",
        "CLOSE = 10**-7\n\n"
        + _SCORE.replace("TOL", "0.0").replace(
            "not np.hypot(x - u, y - v) >= r + s - 0.0",
            "not (np.hypot(x - u, y - v) >= r + s or np.isclose(np.hypot(x - u, y - v), r + s, rtol=0.0, atol=CLOSE))",
        ),
        "None",
        _EXACT,
    ),
    "a certificate without the rule on the count": _discs(
        "length",
        "certify calls it valid",
        _EXACT + _CERTIFY.replace("len(rows) == case.inputs[0]", "True"),
        "certify",
        _EXACT + _CERTIFY,
    ),
    "a certificate of another value": _discs(
        "honest",
        "score says",
        _EXACT + _CERTIFY.replace("str(sum(row[2] for row in rows))", "str(len(rows))"),
        "certify",
        _EXACT + _CERTIFY,
    ),
}
