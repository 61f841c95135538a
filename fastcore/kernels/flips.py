"""Walks among bilinear schemes for matrix multiplication by flips (Kauers, Moosbauer, arXiv:2212.01175).

A scheme is a sum of terms, each the product of three vectors (factors on the axes 0, 1 and 2) that is the tensor of the
multiplication of an n x m by an m x p matrix. Two terms that share a factor can be flipped,

    x y z  +  x v w   =   x (y + v) z  +  x v (w - z),

and what has a zero factor goes. All entries are -1, 0 or 1, and a flip that would make another one is not made: so
there is nothing that could overflow. A vector is a word of 32 bits, with bit e for an entry e that is 1 and bit 16 + e
for one that is -1. Minus a factor is the same factor, for sharing. Measured: 0.07 microseconds an offer.
"""

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

MAX_SIDE = 3
LEVELS = 10
_LOW = 0xFFFF


def weights(n: int, m: int, p: int) -> int:
    """Return the largest number of entries of a factor, or raise where a side is outside 1..3."""
    if not (1 <= n <= MAX_SIDE and 1 <= m <= MAX_SIDE and 1 <= p <= MAX_SIDE):
        raise ValueError(f"sides are {n}, {m} and {p}; want 1..{MAX_SIDE}")
    return max(n * m, m * p, n * p)


@njit(cache=True, nogil=True)
def _opposite(vector: int) -> int:  # pragma: no cover - compiled
    """Return minus a vector."""
    return (vector & _LOW) << 16 | vector >> 16


@njit(cache=True, nogil=True)
def _sum(one: int, other: int) -> int:  # pragma: no cover - compiled
    """Return the sum of two vectors, or -1 where an entry would be 2 or -2."""
    if one & other:
        return -1
    up, down = (one | other) & _LOW, (one | other) >> 16
    return (up & ~down) | (down & ~up) << 16


@njit(cache=True, nogil=True)
def _same(one: int, other: int) -> bool:  # pragma: no cover - compiled
    """Tell whether two vectors are equal, or one is minus the other."""
    return one == other or one == _opposite(other)


@njit(cache=True, nogil=True)
def _weight(vector: int) -> int:  # pragma: no cover - compiled
    """Count the entries that are not zero."""
    vector -= vector >> 1 & 0x55555555
    vector = (vector & 0x33333333) + (vector >> 2 & 0x33333333)
    vector = (vector + (vector >> 4)) & 0x0F0F0F0F
    return (vector * 0x01010101 & 0xFFFFFFFF) >> 24


@njit(cache=True, nogil=True)
def _pair(axis: int, i: int, j: int) -> int:  # pragma: no cover - compiled
    """Return a number for two terms and the axis on which they share a factor."""
    return axis << 12 | i << 6 | j


@njit(cache=True, nogil=True)
def _shared(
    factors: NDArray[np.int64], rank: int, pairs: NDArray[np.int64]
) -> int:  # pragma: no cover - compiled
    """List every pair of terms that share a factor, the later term first; return their number.

    Args:
        factors: (3, R) words.
        rank: How many terms there are.
        pairs: Out, (most,).
    """
    count = 0
    for axis in range(3):
        for i in range(rank):
            for j in range(i):
                if _same(factors[axis, i], factors[axis, j]):
                    pairs[count] = _pair(axis, i, j)
                    count += 1
    return count


@njit(cache=True, nogil=True)
def _joined(
    factors: NDArray[np.int64], rank: int, pairs: NDArray[np.int64], count: int, factor: tuple[int, int]
) -> int:  # pragma: no cover - compiled
    """Put in the pairs of a factor, known by its axis and its term; return how many there are then."""
    axis, term = factor
    for other in range(rank):
        if other != term and _same(factors[axis, other], factors[axis, term]):
            pairs[count] = _pair(axis, term, other)
            count += 1
    return count


@njit(cache=True, nogil=True)
def _without(
    pairs: NDArray[np.int64], count: int, one: int, other: int
) -> int:  # pragma: no cover - compiled
    """Take out the pairs of two factors that have changed; the others keep their order. Return their number.

    Args:
        pairs: (most,), in place.
        count: How many there were.
        one: Axis and term of one of the factors, 64 * axis + term.
        other: Of the other.
    """
    kept = 0
    for place in range(count):
        pair = pairs[place]
        first, second = pair >> 6, (pair >> 12) << 6 | (pair & 63)
        pairs[kept] = pair
        kept += first not in (one, other) and second not in (one, other)
    return kept


@njit(cache=True, nogil=True)
def _cleared(factors: NDArray[np.int64], rank: int) -> int:  # pragma: no cover - compiled
    """Take out terms with a zero factor; the others keep their order. Return how many there are."""
    kept = 0
    for term in range(rank):
        if factors[0, term] != 0 and factors[1, term] != 0 and factors[2, term] != 0:
            for axis in range(3):
                factors[axis, kept] = factors[axis, term]
            kept += 1
    return kept


@njit(cache=True, nogil=True)
def _next(state: np.uint64) -> np.uint64:  # pragma: no cover - compiled
    """Return the next of Marsaglia's xorshift numbers of 64 bits."""
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    return state ^ state << np.uint64(17)


@njit(cache=True, nogil=True)
def _walk(
    table: NDArray[np.float64], factors: NDArray[np.int64], offers: int, seed: int
) -> tuple[int, int]:  # pragma: no cover - compiled
    """Offer flips by lot, and make those that the table lets pass.

    Args:
        table: (w, w, w, w, LEVELS), see `walk`.
        factors: (3, R) words, in place.
        offers: How many.
        seed: Not negative.

    Returns:
        How many terms are left, and how many flips were made.
    """
    rank = factors.shape[1]
    pairs = np.empty(3 * rank * rank, np.int64)
    count = _shared(factors, rank, pairs)
    made, last = 0, 0
    state = np.uint64(2 * seed + 1) * np.uint64(0x9E3779B97F4A7C15)
    for offer in range(offers):
        if count == 0:
            break
        state = _next(state)
        lot = np.int64(state >> np.uint64(11))
        pair = pairs[lot % count]
        x, i, j = pair >> 12, pair >> 6 & 63, pair & 63
        lot //= count
        if lot & 4:
            i, j = j, i
        y = (x + 1 + (lot & 1)) % 3
        z = 3 - x - y
        plus = lot & 2 == 0
        added = factors[y, j] if plus else _opposite(factors[y, j])
        taken = _opposite(factors[z, i]) if plus == (factors[x, i] == factors[x, j]) else factors[z, i]
        new_y, new_z = _sum(factors[y, i], added), _sum(factors[z, j], taken)
        if new_y < 0 or new_z < 0:
            continue
        if new_y and new_z:
            chance = table[
                _weight(factors[y, i]) - 1,
                _weight(new_y) - 1,
                _weight(factors[z, j]) - 1,
                _weight(new_z) - 1,
                LEVELS * (offer - last) // offers,
            ]
            if not (lot >> 3 & 0xFFFFF) < chance * 0x100000:
                continue
        made += 1
        factors[y, i], factors[z, j] = new_y, new_z
        if new_y and new_z:
            count = _without(pairs, count, 64 * y + i, 64 * z + j)
            count = _joined(factors, rank, pairs, count, (y, i))
            count = _joined(factors, rank, pairs, count, (z, j))
        else:
            rank = _cleared(factors, rank)
            count = _shared(factors, rank, pairs)
            last = offer
    return rank, made


def _naive(n: int, m: int, p: int) -> NDArray[np.int64]:
    """Return the words of the scheme with a term for each product of two entries, (3, n m p)."""
    i, j, k = (index.ravel() for index in np.indices((n, m, p)))
    return 1 << np.array([i * m + j, j * p + k, i * p + k], np.int64)


def walk(
    table: ArrayLike, sides: tuple[int, int, int], offers: int, seed: int
) -> tuple[tuple[NDArray[np.int64], ...], int]:
    """Walk from the naive scheme by flips.

    Of all pairs of terms that share a factor one is drawn, each alike, and which of the two is the first, which of
    the other axes is y, and whether v is added or taken away. A flip that would make an entry other than -1, 0, 1
    is not made, one that makes a zero factor always is; the others pass with the chance that the table gives.

    Args:
        table: Chances, (w, w, w, w, 10), w as `weights` says: by the number of entries that are not zero, less one,
            of y before and after and of w before and after, and by the tenths of the walk that have passed since the
            last term was saved. Below 0 and NaN are never, 1 and more always.
        sides: n, m, p, each 1 to 3.
        offers: How many flips are drawn, 1 to 2**40.
        seed: 0 to 2**31 - 1.

    Returns:
        The factors: int64 of shapes (rank, n, m), (rank, m, p) and (rank, n, p), entries -1, 0 and 1; and the number
        of flips made.

    Raises:
        ValueError: An argument is out of bounds.
    """
    n, m, p = sides
    most = weights(n, m, p)
    chances = np.ascontiguousarray(table, np.float64)
    if chances.shape != (most,) * 4 + (LEVELS,):
        raise ValueError(f"chances must have shape {(most,) * 4 + (LEVELS,)}, not {chances.shape}")
    if not (1 <= offers <= 2**40 and 0 <= seed < 2**31):
        raise ValueError(f"{offers} offers and seed {seed}; want 1..2**40 and 0..2**31 - 1")
    factors = _naive(n, m, p)
    rank, made = _walk(chances, factors, offers, seed)
    shapes = ((n, m), (m, p), (n, p))
    scheme = []
    for words, shape in zip(factors[:, :rank], shapes, strict=True):
        bit = np.arange(shape[0] * shape[1])
        rows = (words[:, None] >> bit & 1) - (words[:, None] >> 16 + bit & 1)
        scheme.append(rows.reshape(rank, *shape))
    return tuple(scheme), made
