"""Find large cap sets: sets of vectors over F_3 in which no three lie on a line.

Three distinct vectors a, b, c of F_3^n lie on a line exactly when a + b + c = 0 (mod 3) in each coordinate. The
program gives each of the 3^n vectors a priority. Fixed, trusted code then adds vectors in order of falling
priority (of equals, the one with the smaller index), skipping each that would complete a line.

`priority(v, n)` is evaluated once, on all vectors at a time: `v` is an integer array of shape (n, 3^n) whose
column j is vector j in lexicographic order, its coordinates 0, 1 or 2. What it returns is broadcast to (3^n,).

The kinds of the vocabulary are `vec`, a number for each coordinate of each vector, shape (n, 3^n); `num`, a number
for each vector; and their truth values. It is the general language of vectors: nothing in it knows of caps.
"""

from collections.abc import Sequence
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
    certified,
    problem,
)
from evolve.fastcore.kernels.capset import greedy_cap, vectors

# EVOLVE-BLOCK-START
import numpy as np


def priority(v, n):
    """Priority of each vector; the highest is tried first."""
    return np.sum(v * 0, 0)


# EVOLVE-BLOCK-END


def simulate(table: npt.NDArray[np.float64], case: Case) -> npt.NDArray[np.int64]:
    """The cap that the priorities give, as indices."""
    return greedy_cap(table, case.hidden)[0]


def plain(table: npt.NDArray[np.float64], case: Case) -> npt.NDArray[np.int64]:
    """The same cap, straight from the rules: of two chosen vectors the third of their line is taken out."""
    n = case.hidden
    words = [tuple(index // 3**place % 3 for place in reversed(range(n))) for index in range(3**n)]
    chosen: list[int] = []
    blocked = set()
    for index in sorted(range(3**n), key=lambda index: (-table[index], index)):
        if words[index] not in blocked:
            for other in chosen:
                blocked.add(tuple(-(x + y) % 3 for x, y in zip(words[index], words[other], strict=True)))
            chosen.append(index)
    return np.array(chosen)


def score(cap: npt.NDArray[np.int64], case: Case) -> dict[str, float]:
    """Size; the share of zero coordinates among the chosen, and by how much their numbers of zeros differ.

    Caps are built of vectors with few different numbers of zeros, so these tell kinds of caps apart, good and poor.
    """
    zero = vectors(case.hidden)[:, cap] == 0
    return {"size": len(cap), "zeros": float(zero.mean()), "spread": float(zero.sum(axis=0).std())}


def check(data: "dict[str, Any]") -> str:
    """Number of vectors of F_3^n, given as words of digits, no three of which lie on a line."""
    n, words = data["n"], data["vectors"]
    if type(n) is not int or n < 1:
        raise ValueError("n is no whole number from one on")
    for word in words:
        if len(word) != n or set(word) - set("012"):
            raise ValueError(f"{word} is no vector of F_3^{n}")
    vectors = [tuple(map(int, word)) for word in words]
    chosen = set(vectors)
    if len(chosen) != len(vectors):
        raise ValueError("a vector is there twice")
    for place, a in enumerate(vectors):
        for b in vectors[:place]:
            third = tuple([-(x + y) % 3 for x, y in zip(a, b, strict=True)])
            if third in chosen:
                raise ValueError(f"{a}, {b} and {third} lie on a line")
    return str(len(vectors))


def certify(cap: npt.NDArray[np.int64], case: Case) -> Certificate:
    """The chosen vectors, for `check`."""
    n = case.hidden
    words = ["".join(str(index // 3**place % 3) for place in reversed(range(n))) for index in cap.tolist()]
    return certified(
        check, {"n": n, "vectors": words}, f"{{value}} vectors of F_3^{n}, no three of them on a line"
    )


def _language(n: int) -> Sequence[Primitive]:
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
    ]
    names = [Primitive("v", (), "vec"), Primitive("n", (), "num")]
    literals = [Primitive(str(index), (), "index") for index in range(-n, n)]
    digits = [Primitive(str(digit), (), "vec") for digit in range(3)]
    return [*names, *both, *compared, *over_coordinates, *rearranged, *literals, *digits]


@problem
def capset(n: int = 6) -> Problem:
    """A large cap set in n dimensions, by a priority for each vector."""
    dimensions = (n, n + 1)
    return Problem(
        entry="priority",
        form="table",
        grid={f"n{m}": Grid((vectors(m), m), shape=(3**m,)) for m in dimensions},
        cases=[Case(f"n{n}", hidden=n, grid=f"n{n}")],
        simulate=simulate,
        plain=plain,
        score=score,
        certify=certify,
        check=check,
        objective=Objective("size", "max"),
        measures=[Measure("zeros", 0.0, 2.0 / 3.0, bins=16), Measure("spread", 0.0, n / 3.0, bins=16)],
        unseen={f"n{n + 1}": [Case(f"n{n + 1}", hidden=n + 1, grid=f"n{n + 1}")]},
        primitives=_language(n),
        baselines={"fewest_zeros": FEWEST_ZEROS},
        references=[
            Reference("optimum", 20, "Pellegrino 1970", "1970", "n4"),
            Reference("optimum", 45, "Edel, Ferret, Landjev, Storme 2002", "2002", "n5"),
            Reference("optimum", 112, "Potechin 2008", "2008", "n6"),
            Reference("best known before", 236, "Calderbank, Fishburn 1994", "1994", "n7"),
            Reference("FunSearch", 512, "Romera-Paredes et al., Nature 625, figure 4a", "2024", "n8"),
            Reference("best known", 1082, "Calderbank, Fishburn 1994", "1994", "n9"),
        ],
    )


FEWEST_ZEROS = """
import numpy as np


def priority(v, n):
    return -np.sum(v == 0, 0)
"""
