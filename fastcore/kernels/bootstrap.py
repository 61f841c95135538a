"""Bootstrap of a median, in compiled code.

A resample of sorted values is a count of how often each was drawn, and its median is found by walking along the
counts: no sorting, and no array a resample. 10,000 resamples of 64 values take about 1 ms of CPU. The random
numbers are SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), so that a seed means the same on every machine and with
every version of Numba.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray


def resampled_medians(ordered: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Return the medians of samples drawn from `ordered` with replacement, each as large as it.

    Args:
        ordered: Values in increasing order, float64, shape ``(n,)``, at least one.
        resamples: How many samples to draw.
        seed: Any integer.

    Returns:
        float64 array of shape ``(resamples,)``, in the order drawn.
    """
    values = np.ascontiguousarray(ordered, dtype=np.float64)
    if values.ndim != 1 or not values.size or resamples < 1:
        raise ValueError("a bootstrap needs one row of values and at least one resample")
    medians: NDArray[np.float64] = _medians(values, resamples, np.uint64(seed % 2**64))
    return medians


@njit("float64[::1](float64[::1], int64, uint64)", cache=True, nogil=True)
def _medians(ordered: NDArray[np.float64], resamples: int, seed: np.uint64) -> NDArray[np.float64]:
    count = ordered.shape[0]
    lower = (count - 1) // 2  # ranks, from 0, of the two middle values: the same one where count is odd
    upper = count // 2
    medians = np.empty(resamples, np.float64)
    drawn = np.empty(count, np.int64)
    state = seed
    for resample in range(resamples):
        drawn[:] = 0
        for _ in range(count):
            state += np.uint64(0x9E3779B97F4A7C15)
            mixed = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            mixed ^= mixed >> np.uint64(31)
            drawn[np.int64(((mixed >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32))] += 1
        place = 0
        seen = drawn[0]
        while seen <= lower:
            place += 1
            seen += drawn[place]
        low = ordered[place]
        while seen <= upper:
            place += 1
            seen += drawn[place]
        medians[resample] = 0.5 * (low + ordered[place])
    return medians
