"""Find kissing configurations: many integer vectors, no two of which are nearer to each other than the longest is long.

Vectors x, y, ... of d integers, none of them zero, form a kissing configuration if |x - y|^2 >= max |z|^2 for every two
of them, z being any. Then two of them enclose 60 degrees or more, so that spheres of one size can be put in their
directions, all touching one in the middle and none overlapping another. The number of vectors is to be large.

The program gives a priority to each vector of one shell: all vectors of d integers whose squared length is `norm`. On
a shell the rule says that x . y <= norm / 2. Fixed, trusted code adds vectors in order of falling priority, skipping
each that is too near to one that is there. Of equals, the one that comes first in v is tried first, and v is in a
fixed random order: what is left to ties is left to chance.

`priority(v, d)` is evaluated once, on all vectors at a time: `v` is an integer array of shape (d, M) whose column j is
vector j. What it returns is broadcast to (M,). The unseen case has one dimension more.

The kinds of the vocabulary are `vec`, a number for each coordinate of each vector, shape (d, M); `num`, a number for
each vector; and their truth values. It is the general language of vectors: nothing in it knows of codes or lattices.
"""

from collections.abc import Sequence
from math import inf, isnan, log
from typing import Any

import numpy as np
import numpy.typing as npt

from evolve import (
    Case,
    Certificate,
    Grid,
    Measure,
    Objective,
    Primitive,
    Problem,
    Reference,
    Rejected,
    certified,
    problem,
)
from evolve.fastcore.kernels.kissing import count_pairs, greedy_kissing, shell

# EVOLVE-BLOCK-START
import numpy as np


def priority(v, d):
    """Priority of each vector; the highest is tried first."""
    return np.sum(v * 0, 0)


# EVOLVE-BLOCK-END

Outcome = tuple[npt.NDArray[np.int64], int]


def simulate(table: npt.NDArray[np.float64], case: Case) -> Outcome:
    """The vectors that the priorities give, (k, d), and how many different priorities there are."""
    d, norm = case.hidden
    chosen = greedy_kissing(table, d, norm)
    return shell(d, norm)[chosen].astype(np.int64), len(np.unique(table))


def plain(table: npt.NDArray[np.float64], case: Case) -> Outcome:
    """The same, vector by vector."""
    d, norm = case.hidden
    priorities = [-inf if isnan(value) else value for value in table.tolist()]
    vectors = shell(d, norm).tolist()
    members: list[list[int]] = []
    for index in sorted(range(len(vectors)), key=lambda index: (-priorities[index], index)):
        vector = vectors[index]
        if all(sum((x - y) ** 2 for x, y in zip(vector, one, strict=True)) >= norm for one in members):
            members.append(vector)
    return np.array(members), len(set(priorities))


def score(outcome: Outcome, case: Case) -> dict[str, float]:
    """Number of vectors; share with their negative; how many others one touches; number of levels, by its logarithm."""
    vectors, levels = outcome
    d, norm = case.hidden
    count = len(vectors)
    if count == 0 or ((vectors * vectors).sum(axis=1) != norm).any():
        raise Rejected(f"a vector is not of squared length {norm}")
    near, touching, opposite = count_pairs(vectors, norm)
    if near:
        raise Rejected("two vectors are nearer to each other than they are long")
    return {
        "count": count,
        "antipodal": 2.0 * opposite / count,
        "touching": 2.0 * touching / count**2,
        "levels": log(levels) / log(len(shell(d, norm))),
    }


def check(data: "dict[str, Any]") -> str:
    """Number of integer vectors, none zero, no two of them nearer to each other than the longest is long."""
    from operator import mul

    d, vectors = data["dimension"], data["vectors"]
    if type(d) is not int or d < 1:
        raise ValueError("the dimension is no whole number from one on")
    if not vectors:
        raise ValueError("there is no vector")
    for x in vectors:
        if not isinstance(x, list) or len(x) != d or any(type(number) is not int for number in x):
            raise ValueError(f"{x} is no vector of {d} whole numbers")
    squares = [sum(map(mul, x, x)) for x in vectors]
    if min(squares) == 0:
        raise ValueError("a vector is zero")
    longest = max(squares)
    for place, x in enumerate(vectors):
        for y, square in zip(vectors[:place], squares, strict=False):
            # |x - y|^2, in whole numbers of any size.
            if squares[place] + square - 2 * sum(map(mul, x, y)) < longest:
                raise ValueError(f"{x} and {y} are nearer to each other than the longest is long")
    return str(len(vectors))


def certify(outcome: Outcome, case: Case) -> Certificate:
    """The chosen vectors, for `check`."""
    d = case.hidden[0]
    statement = f"{{value}} spheres in dimension {d} touch one of their size and do not overlap"
    return certified(check, {"dimension": d, "vectors": outcome[0].tolist()}, statement)


LEXICOGRAPHIC = """
import numpy as np


def priority(v, d):
    # Conway's and Sloane's lexicodes: what comes first in the dictionary is taken first.
    base = 2 * np.max(v) + 1
    return -np.sum(v * base ** np.arange(d - 1, -1, -1)[:, None], 0)
"""


def _language(d: int) -> Sequence[Primitive]:
    both = [
        Primitive(name, (kind, kind), kind)
        for kind in ("vec", "num")
        for name in ("np.remainder", "np.minimum", "np.maximum")
    ]
    compared = [
        Primitive(name, (kind, kind), truth)
        for kind, truth in (("vec", "truths"), ("num", "bool"))
        for name in ("np.equal", "np.not_equal", "np.less", "np.greater")
    ]
    over_coordinates = [Primitive("np.sum", ("vec", 0), "num")] * 3 + [
        Primitive("np.sum", ("truths", 0), "num"),
        Primitive("np.max", ("vec", 0), "num"),
        Primitive("np.min", ("vec", 0), "num"),
        Primitive("np.prod", ("vec", 0), "num"),
        Primitive("np.take", ("vec", "index", 0), "num"),
    ]
    rearranged = [
        Primitive("np.roll", ("vec", "index", 0), "vec"),
        Primitive("np.roll", ("vec", "index", 0), "vec"),
        Primitive("np.cumsum", ("vec", 0), "vec"),
        Primitive("np.where", ("truths", "vec", "vec"), "vec"),
        Primitive("np.where", ("bool", "num", "num"), "num"),
        Primitive("np.abs", ("vec",), "vec"),
        Primitive("np.abs", ("num",), "num"),
    ]
    names = [Primitive("v", (), "vec"), Primitive("d", (), "num")]
    literals = [Primitive(str(index), (), "index") for index in range(-d, d)]
    digits = [Primitive(str(digit), (), "vec") for digit in range(3)]
    return [*names, *both, *compared, *over_coordinates, *rearranged, *literals, *digits]


# Saturated at d = 8: the baseline has the optimum, and so has a search within seconds. A smoke test; other d are not.
@problem
def kissing(d: int = 8, norm: int = 4) -> Problem:
    """A large kissing configuration among the integer vectors of d coordinates and one length."""
    shells = {f"d{m}": shell(m, norm) for m in (d, d + 1)}
    return Problem(
        entry="priority",
        form="table",
        grid={
            name: Grid((vectors.T.astype(np.int64), vectors.shape[1]), shape=(len(vectors),))
            for name, vectors in shells.items()
        },
        cases=[Case(f"d{d}", hidden=(d, norm), grid=f"d{d}")],
        simulate=simulate,
        plain=plain,
        score=score,
        certify=certify,
        check=check,
        objective=Objective("count", "max"),
        measures=[
            Measure("antipodal", 0.0, 1.0, bins=8),
            Measure("touching", 0.0, 0.4, bins=8),
            Measure("levels", 0.0, 1.0, bins=8),
        ],
        unseen={f"d{d + 1}": [Case(f"d{d + 1}", hidden=(d + 1, norm), grid=f"d{d + 1}")]},
        primitives=_language(d),
        baselines={"lexicographic": LEXICOGRAPHIC},
        # What was best known before 2022 is all in Conway, Sloane, Sphere Packings, Lattices and Groups.
        references=[
            Reference("optimum", 240, "Levenshtein 1979; Odlyzko, Sloane 1979", "1979", "d8"),
            Reference("best known", 306, "Conway, Sloane, 3rd edition, table 1.5", "1998", "d9"),
            Reference("best known before", 500, "Conway, Sloane, 3rd edition, table 1.5", "1998", "d10"),
            Reference("Ganzhinov", 510, "arXiv:2207.08266", "2022", "d10"),
            Reference("best known before", 582, "Conway, Sloane, 3rd edition, table 1.5", "1998", "d11"),
            Reference("Ganzhinov", 592, "arXiv:2207.08266", "2022", "d11"),
            Reference("AlphaEvolve", 593, "arXiv:2506.13131, B.11", "2025", "d11"),
            Reference("best known", 840, "Conway, Sloane, 3rd edition, table 1.5", "1998", "d12"),
        ],
    )
