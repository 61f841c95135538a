"""Kissing configurations among the integer vectors of one length: the shell, the greedy choice, and a check.

Vectors x and y of squared length N are at least sqrt(N) apart exactly when 2 x.y <= N. Then spheres of one size in
their directions that touch one in the middle do not overlap. Bounds on the dimension and on N keep every number far
inside 32 bits.
"""

from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

MAX_DIMENSION = 24
MAX_NORM = 16
MAX_VECTORS = 60_000
_MAX_ENTRY = 4_096  # 24 products of two such sum up to less than 2**31


def _of_norm(d: int, norm: int) -> NDArray[np.int32]:
    """Return the integer vectors of d coordinates and squared length `norm`, int32 (M, d), in lexicographic order."""
    largest = int(norm**0.5)  # exact: norm is at most 16
    found = [np.zeros((int(left == 0), 0), np.int32) for left in range(norm + 1)]
    for _ in range(d):  # one more coordinate in front, by what it leaves of the norm
        longer = []
        for left in range(norm + 1):
            parts = [
                np.insert(found[left - x * x], 0, x, axis=1)
                for x in range(-largest, largest + 1)
                if x * x <= left
            ]
            longer.append(np.concatenate(parts))
            if len(longer[-1]) > MAX_VECTORS:
                raise ValueError(f"more than {MAX_VECTORS} vectors of {d} coordinates have norm {norm}")
        found = longer
    return found[norm]


@lru_cache(maxsize=16)
def shell(d: int, norm: int) -> NDArray[np.int32]:
    """Return the integer vectors of squared length `norm`, read-only int32 (M, d), in a fixed random order.

    Raises:
        ValueError: d or norm is out of bounds, or there are more than 60,000 such vectors, or none.
    """
    if not (1 <= d <= MAX_DIMENSION and 1 <= norm <= MAX_NORM):
        raise ValueError(f"d is {d} and norm {norm}; want 1..{MAX_DIMENSION} and 1..{MAX_NORM}")
    vectors = _of_norm(d, norm)
    if not len(vectors):
        raise ValueError(f"no vector of {d} coordinates has norm {norm}")
    shuffled = np.ascontiguousarray(vectors[np.random.default_rng(20).permutation(len(vectors))])
    shuffled.flags.writeable = False
    return shuffled


@njit(cache=True, nogil=True)
def _greedy(
    order: NDArray[np.int64], vectors: NDArray[np.int32], norm: int, chosen: NDArray[np.int64]
) -> int:  # pragma: no cover - compiled
    """Choose vectors in turn, passing over each that is too near to a chosen one.

    Args:
        order: The indices to try, (M,).
        vectors: All of squared length `norm`, (M, d).
        norm: See there.
        chosen: Out, (M,): the indices in order of choice.

    Returns:
        How many are chosen.
    """
    d = vectors.shape[1]
    members = np.empty_like(vectors)
    size = 0
    for candidate in order:
        vector = vectors[candidate]
        apart = True
        for place in range(size):
            product = 0
            for axis in range(d):
                product += vector[axis] * members[place, axis]
            if 2 * product > norm:
                apart = False
                break
        if apart:
            members[size] = vector
            chosen[size] = candidate
            size += 1
    return size


def greedy_kissing(priority: ArrayLike, d: int, norm: int) -> NDArray[np.int64]:
    """Add vectors of a shell by falling priority, passing over each that is nearer than sqrt(norm) to a chosen one.

    Args:
        priority: Reals, one for each vector of `shell(d, norm)`, taken as float64; NaN counts as -inf, ties go to
            the smaller index.
        d: The dimension.
        norm: The squared length.

    Returns:
        The indices of the chosen, int64, in order of choice.

    Raises:
        ValueError: There are not as many priorities as vectors, or there is no such shell.
    """
    vectors = shell(d, norm)
    keys = np.array(priority, np.float64)
    if keys.shape != (len(vectors),):
        raise ValueError(f"priorities must have shape ({len(vectors)},), not {keys.shape}")
    np.negative(keys, out=keys)
    keys[np.isnan(keys)] = np.inf
    chosen = np.empty(len(vectors), np.int64)
    size = _greedy(np.argsort(keys, kind="stable"), vectors, norm, chosen)
    return chosen[:size].copy()


@njit(cache=True, nogil=True)
def _count(vectors: NDArray[np.int32], norm: int) -> tuple[int, int, int]:  # pragma: no cover - compiled
    """Count pairs of vectors (k, d) whose product is more than half the norm, half the norm, and minus the norm."""
    near, touching, opposite = 0, 0, 0
    count, d = vectors.shape
    for i in range(count):
        for j in range(i):
            product = 0
            for axis in range(d):
                product += vectors[i, axis] * vectors[j, axis]
            near += 2 * product > norm
            touching += 2 * product == norm
            opposite += product == -norm
    return near, touching, opposite


def count_pairs(vectors: ArrayLike, norm: int) -> tuple[int, int, int]:
    """Count, exactly, the pairs of vectors of one length by the angle between them.

    Args:
        vectors: Whole numbers of at most 4,096 in size, (k, d), d from 1 to 24; their squared length is not checked.
        norm: What it should be.

    Returns:
        The number of pairs that are nearer than sqrt(norm), just sqrt(norm), and 2 sqrt(norm) apart.

    Raises:
        ValueError: The vectors are out of bounds.
    """
    rows = np.asarray(vectors)
    if rows.ndim != 2 or not 1 <= rows.shape[1] <= MAX_DIMENSION or rows.dtype.kind not in "iu":
        raise ValueError(f"vectors are whole numbers of shape (k, d), not {rows.dtype} {rows.shape}")
    if rows.size and not -_MAX_ENTRY <= int(rows.min()) <= int(rows.max()) <= _MAX_ENTRY:
        raise ValueError(f"a coordinate is larger than {_MAX_ENTRY}")
    near, touching, opposite = _count(np.ascontiguousarray(rows, np.int32), norm)
    return int(near), int(touching), int(opposite)
