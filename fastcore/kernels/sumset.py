"""How many sums and differences a finite set of whole numbers has, in compiled code.

Every sum a + b and every difference a - b of two members is marked in a row of bytes, and the marks are counted; all
in whole numbers. The sum of two members is there with either first, and so is the size of a difference, so half of the
pairs will do. Measured, and in brackets numpy with a fancy index for each member: 36 members below 235,299 take 0.04 ms
(0.09), 736 below 386,562 take 0.31 (2.2), 4,146 below 408,171 take 30 (124).
"""

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

LARGEST = 1 << 25
"""No member may be larger: 100 MB of marks."""


@njit(cache=True, nogil=True)
def _counts(members: NDArray[np.int64]) -> tuple[int, int]:  # pragma: no cover - compiled
    """Count sums and differences.

    Args:
        members: In 0..LARGEST, at least one, (k,).

    Returns:
        The number of different sums, and of different differences, zero and both signs included.
    """
    largest = 0
    for member in members:
        largest = max(largest, member)
    sums = np.zeros(2 * largest + 1, np.uint8)
    differences = np.zeros(largest + 1, np.uint8)
    for place in range(members.size):
        one = members[place]
        for other in members[: place + 1]:
            sums[one + other] = 1
            differences[abs(one - other)] = 1
    apart = int(np.count_nonzero(differences))
    return int(np.count_nonzero(sums)), 2 * apart - 1  # zero is its own negative


def sums_and_differences(members: ArrayLike) -> tuple[int, int]:
    """Return |U + U| and |U - U|.

    Args:
        members: The set U: whole numbers in 0..LARGEST in any order, at least one, (k,). One that is there twice
            counts once.

    Raises:
        ValueError: No members, another shape, or a number that is out of range or not whole.
    """
    given = np.asarray(members)
    if given.ndim != 1 or not given.size or given.dtype.kind not in "iu":
        raise ValueError(
            f"members are at least one whole number in a row, not {given.dtype} of shape {given.shape}"
        )
    if int(given.min()) < 0 or int(given.max()) > LARGEST:
        raise ValueError(f"members lie in 0..{LARGEST}, not in {given.min()}..{given.max()}")
    sums, differences = _counts(np.ascontiguousarray(given, np.int64))
    return int(sums), int(differences)
