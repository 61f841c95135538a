"""Multiply an n x m by an m x p matrix with few products of linear forms (a bilinear scheme over the whole numbers).

A scheme is a sum of terms. Each is the product of three matrices: A of n x m coefficients for the entries of the
left matrix, B of m x p for those of the right one, C of n x p for where the product of the two forms is added. The
terms must sum up to the tensor of matrix multiplication, exactly. Fewest terms are sought, and of equally many the
fewest coefficients that are not zero: the objective is the number of terms plus a thousandth of the number of such
coefficients, for the best scheme that is met.

The program steers walks among schemes. Each starts from the n m p terms of the definition. Whenever two terms share
one of their three matrices, x, they can be flipped without changing their sum,

    x y z  +  x v w   =   x (y + v) z  +  x v (w - z),

and if a matrix becomes zero its term is saved. Fixed, trusted code offers flips, drawn by lot, and makes those that
the program lets pass. Entries stay -1, 0 and 1: a flip that would make another one is never made. One that saves a
term always is. Several walks are made, with lots of their own; the best scheme at the end of a walk counts.

`passes(a, b, c, d, t)` gives the chance that a flip is made: y has a entries that are not zero and y + v has b; w has c
and w - z has d; t tenths of the walk have passed since a term was saved. All are whole numbers, a to d from 1 to 9, t
from 0 to 9. It is evaluated once, on arrays that broadcast to (9, 9, 9, 9, 10); 0 and less is never, 1 and more always.

The seed lets pass what makes terms sparser, which nothing does at the start. A scheme is worth what it is, however it
was met; what a policy is worth, walks with other lots say: they are the fresh cases.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from evolve import (
    Case,
    Certificate,
    Measure,
    Objective,
    Primitive,
    Problem,
    Reference,
    Rejected,
    certified,
    problem,
)
from evolve.fastcore.kernels.flips import LEVELS, walk

# EVOLVE-BLOCK-START
import numpy as np


def passes(a, b, c, d, t):
    """The chance that a flip is made."""
    return np.where(b + d < a + c, 1.0, 0.0)


# EVOLVE-BLOCK-END

Scheme = tuple[npt.NDArray[np.int64], ...]
Outcome = tuple[Scheme, list[int], float]


def _chosen(case: Case, found: Sequence[tuple[Scheme, int]]) -> Outcome:
    """The best scheme of some walks, the number of terms at the end of each, and the share of offers made."""
    best = min(found, key=lambda one: (len(one[0][0]), sum(map(np.count_nonzero, one[0]))))
    made = sum(moves for _, moves in found) / (case.hidden["offers"] * len(found))
    return best[0], [len(scheme[0]) for scheme, _ in found], made


def simulate(table: npt.NDArray[np.float64], case: Case) -> Outcome:
    """The best scheme that walks end at."""
    sides, offers = case.hidden["sides"], case.hidden["offers"]
    most = max(sides[0] * sides[1], sides[1] * sides[2], sides[0] * sides[2])
    chances = table[(slice(most),) * 4]
    return _chosen(case, [walk(chances, sides, offers, seed) for seed in case.hidden["seeds"]])


Matrix = tuple[int, ...]  # row by row
Place = tuple[int, int]  # axis and term


def _added(one: Matrix, other: Matrix, times: int) -> Matrix:
    return tuple([a + times * b for a, b in zip(one, other, strict=True)])


def _sharing(terms: Sequence[Sequence[Matrix]], axis: int, term: int, most: int) -> list[tuple[Place, Place]]:
    """Pairs of a term and each of the first ones that has the same matrix on an axis, or minus it."""
    matrix = terms[term][axis]
    either = matrix, _added(matrix, matrix, -2)
    return [
        ((axis, term), (axis, other))
        for other in range(most)
        if terms[other][axis] in either and other != term
    ]


def _shared(terms: Sequence[Sequence[Matrix]]) -> list[tuple[Place, Place]]:
    return [pair for x in range(3) for i in range(len(terms)) for pair in _sharing(terms, x, i, i)]


def plain(table: npt.NDArray[np.float64], case: Case) -> Outcome:
    """The same, with tuples of whole numbers for matrices."""
    return _chosen(case, [_plain_walk(table, case, seed) for seed in case.hidden["seeds"]])


def _plain_walk(table: npt.NDArray[np.float64], case: Case, seed: int) -> tuple[Scheme, int]:
    (n, m, p), offers = case.hidden["sides"], case.hidden["offers"]
    chances = (table * 2**20).tolist()
    shapes = ((n, m), (m, p), (n, p))
    scheme = [list(map(tuple, np.eye(rows * columns, dtype=int).tolist())) for rows, columns in shapes]
    places = product(range(n), range(m), range(p))
    terms = [[scheme[0][i * m + j], scheme[1][j * p + k], scheme[2][i * p + k]] for i, j, k in places]
    pairs, made, last = _shared(terms), 0, 0
    state = (2 * seed + 1) * 0x9E3779B97F4A7C15 % 2**64
    for offer in range(offers if pairs else 0):
        state ^= state << 13 & 2**64 - 1  # Marsaglia's xorshift
        state ^= state >> 7
        state ^= state << 17 & 2**64 - 1
        lot, place = divmod(state >> 11, len(pairs))
        (x, i), (_, j) = pairs[place] if not lot & 4 else pairs[place][::-1]
        y = (x + 1 + lot % 2) % 3
        z = 3 - x - y
        sign = -1 if lot & 2 else 1
        old_y, old_z = terms[i][y], terms[j][z]
        new_y = _added(old_y, terms[j][y], sign)
        new_z = _added(old_z, terms[i][z], -sign if terms[i][x] == terms[j][x] else sign)
        if 2 in new_y or -2 in new_y or 2 in new_z or -2 in new_z:
            continue
        saved = not any(new_y) or not any(new_z)
        if not saved:
            a, b, c, d = [len(matrix) - 1 - matrix.count(0) for matrix in (old_y, new_y, old_z, new_z)]
            if not (lot >> 3) % 2**20 < chances[a][b][c][d][LEVELS * (offer - last) // offers]:
                continue
        made += 1
        terms[i][y], terms[j][z] = new_y, new_z
        if saved:
            terms = [term for term in terms if all(map(any, term))]
            pairs, last = _shared(terms), offer
        else:
            new = ((y, i), (z, j))
            pairs = [pair for pair in pairs if pair[0] not in new and pair[1] not in new]
            for axis, term in new:
                pairs += _sharing(terms, axis, term, len(terms))
        if not pairs:
            break
    return tuple(np.array([term[x] for term in terms]).reshape(-1, *shapes[x]) for x in range(3)), made


@lru_cache
def _tensor(n: int, m: int, p: int) -> npt.NDArray[np.int64]:
    """What the terms must sum up to: 1 where entries (i, j) and (j, k) are multiplied for (i, k), else 0."""
    i, j, k = (np.eye(side, dtype=np.int64) for side in (n, m, p))
    tensor: npt.NDArray[np.int64] = np.einsum("jJ,iI,kK->ijJkIK", j, i, k)
    return tensor


def score(outcome: Outcome, case: Case) -> dict[str, float]:
    """Terms and thousandths for coefficients; how many there are in a matrix; how the walks went."""
    scheme, ranks, made = outcome
    n, m, p = case.hidden["sides"]
    rank = len(scheme[0])
    if [matrices.shape for matrices in scheme] != [(rank, n, m), (rank, m, p), (rank, n, p)]:
        raise Rejected("the matrices of the terms have other shapes")
    if any(np.abs(matrices).max(initial=0) > 1 for matrices in scheme):
        raise Rejected("an entry is not -1, 0 or 1")
    if not np.array_equal(np.einsum("rij,rJk,rIK->ijJkIK", *scheme), _tensor(n, m, p)):
        raise Rejected("the terms do not sum up to the multiplication of matrices")
    nonzero = int(sum(map(np.count_nonzero, scheme)))
    return {
        "rank": rank + nonzero / 1000.0,
        "density": nonzero / (3.0 * rank),
        "typical": sum(ranks) / (len(ranks) * n * m * p),
        "made": made,
    }


def check(data: "dict[str, Any]") -> str:
    """Terms of a bilinear scheme for an n x m by an m x p matrix, and after the point its non-zero coefficients."""
    from itertools import product

    def entries(matrix, rows, columns):
        kinds = (
            [isinstance(row, list) and list(map(type, row)) for row in matrix]
            if isinstance(matrix, list)
            else 0
        )
        if kinds != [[int] * columns] * rows:
            raise ValueError(f"{matrix} is no {rows} x {columns} matrix of whole numbers")
        return [(i, j, entry) for i, row in enumerate(matrix) for j, entry in enumerate(row) if entry]

    n, m, p = sides = [data[side] for side in "nmp"]
    if any(type(side) is not int or side < 1 for side in sides):
        raise ValueError("n, m and p must be whole numbers from 1")
    total: dict[tuple[int, ...], int] = {}
    nonzero = 0
    for term in data["terms"]:
        if not isinstance(term, list) or len(term) != 3:
            raise ValueError(f"{term} is not three matrices")
        a, b, c = map(entries, term, (n, m, n), (m, p, p))
        nonzero += len(a) + len(b) + len(c)
        for (i, j, x), (k, q, y), (u, v, z) in product(a, b, c):
            total[i, j, k, q, u, v] = total.get((i, j, k, q, u, v), 0) + x * y * z
    for i, j, k, q, u, v in product(range(n), range(m), range(m), range(p), range(n), range(p)):
        wanted, found = int(j == k and u == i and v == q), total.get((i, j, k, q, u, v), 0)
        if found != wanted:
            raise ValueError(f"A[{i}][{j}] B[{k}][{q}] comes {found} times in C[{u}][{v}], not {wanted}")
    if nonzero > 999:
        raise ValueError(f"{nonzero} non-zero coefficients do not fit into three digits")
    return f"{len(data['terms'])}.{nonzero:03d}"


def certify(outcome: Outcome, case: Case) -> Certificate:
    """The matrices of the best scheme, term by term, for `check`."""
    n, m, p = case.hidden["sides"]
    terms = [list(term) for term in zip(*(matrices.tolist() for matrices in outcome[0]), strict=True)]
    statement = f"a {n} x {m} by a {m} x {p} matrix; products, point, non-zero coefficients: {{value}}"
    return certified(check, {"n": n, "m": m, "p": p, "terms": terms}, statement)


ALWAYS = """
def passes(a, b, c, d, t):
    # The random walk of Kauers and Moosbauer: every flip is made.
    return 1.0
"""


def _language() -> Sequence[Primitive]:
    kinds = ("int", "num")  # the narrower first: what is made of whole numbers stays whole
    both = [Primitive(name, (kind, kind), kind) for kind in kinds for name in ("np.minimum", "np.maximum")]
    return [
        *(Primitive(name, (), "int") for name in "abcdt"),
        *both,
        *(Primitive("np.abs", (kind,), kind) for kind in kinds),
        *(Primitive("np.where", ("bool", kind, kind), kind) for kind in kinds),
        Primitive("np.exp", ("num",), "num"),
        Primitive("np.equal", ("num", "num"), "bool"),
    ]


def _case(name: str, sides: tuple[int, int, int], offers: int, seeds: Sequence[int]) -> Case:
    return Case(name, hidden={"sides": sides, "offers": offers, "seeds": tuple(seeds)})


# Saturated: walks find the best known ranks of all these sides within seconds, whatever the policy; what a search
# saves are coefficients. A smoke test of exact tensors, not evidence for any method.
@problem
def matmul_rank(n: int = 3, m: int = 3, p: int = 3, offers: int = 200_000, walks: int = 4) -> Problem:
    """Multiply an n x m by an m x p matrix, sides 2 or 3, with few products."""
    if not {2, 3}.issuperset((n, m, p)):
        raise ValueError(f"sides are {n}, {m} and {p}; each is 2 or 3")
    if not (1 <= offers <= 10**8 and 1 <= walks <= 100):
        raise ValueError(f"{offers} offers and {walks} walks; 1 to 10^8, and 1 to 100")
    sides = (n, m, p)
    others = [
        other for other in ((2, 2, 2), (2, 2, 3), (2, 3, 3), (3, 3, 3)) if other != tuple(sorted(sides))
    ]
    entries = [
        np.arange(1, 10).reshape([-1 if place == axis else 1 for place in range(5)]) for axis in range(4)
    ]
    return Problem(
        entry="passes",
        form="table",
        grid=(*entries, np.arange(LEVELS)),
        cases=[_case(f"{n}x{m}x{p}", sides, offers, range(walks))],
        simulate=simulate,
        plain=plain,
        score=score,
        certify=certify,
        check=check,
        objective=Objective("rank", "min"),
        measures=[
            Measure("density", 1.0, 5.0, bins=12),
            Measure("typical", 0.8, 1.0, bins=10),
            Measure("made", 0.0, 1.0, bins=8),
        ],
        unseen={
            "x".join(map(str, other)): [
                _case("x".join(map(str, other)), other, offers, range(100, 100 + walks))
            ]
            for other in others
        },
        fresh=lambda rng: [_case("fresh", sides, offers, rng.integers(2**31, size=walks).tolist())],
        primitives=_language(),
        baselines={"always": ALWAYS},
        # Ranks alone, without thousandths.
        references=[
            Reference("optimum", 7, "Strassen 1969; Winograd 1971", "1971", "2x2x2"),
            Reference("optimum", 11, "Hopcroft, Kerr 1971; Alekseyev 1985", "1985", "2x2x3"),
            Reference("best known", 15, "Hopcroft, Kerr 1971", "1971", "2x3x3"),
            Reference("best known", 23, "Laderman 1976", "1976", "3x3x3"),
        ],
        score_seconds=60.0,  # the plain simulation takes many times the time of the compiled one
    )
