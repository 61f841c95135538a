"""How long exact certificates take, by their own checkers: milliseconds, the median of seven.

    python bench/perf/certificate_cost.py

The configuration of 593 vectors in dimension 11 and the cap of 512 in dimension 8 are not ours to ship: the checkers
are given the largest that the problems' baselines find there (with coordinates of 13 digits, as published ones have),
and their time is scaled by the number of pairs.
"""

from collections.abc import Callable
from itertools import product
from statistics import median
from time import perf_counter

import numpy as np

from evolve.evaluator import Job, Judge
from evolve.fastcore.kernels.capset import greedy_cap
from evolve.loader import load
from evolve.problems import autocorr1, capset, circle_packing, kissing

_LARGE = 10**12


def milliseconds(call: Callable[[], object]) -> float:
    """Median of seven calls."""
    taken = []
    for _ in range(7):
        started = perf_counter()
        call()
        taken.append(1000.0 * (perf_counter() - started))
    return median(taken)


def steps() -> float:
    """600 steps of all sizes up to 2^40."""
    heights = np.random.default_rng(0).integers(0, 2**40, 600).tolist()
    return milliseconds(lambda: autocorr1.check({"n": 600, "heights": heights}))


def spheres() -> tuple[int, float]:
    """How many vectors the order finds, and the time that 593 would take."""
    problem = load("kissing", {"d": 11})
    judge = Judge(problem)
    try:
        outcomes = judge.judge(Job(problem.baselines["lexicographic"], detail=True)).outcomes
        assert outcomes is not None
        outcome = outcomes["d11"]
    finally:
        judge.close()
    vectors = (outcome[0].astype(object) * _LARGE).tolist()
    taken = milliseconds(lambda: kissing.check({"dimension": 11, "vectors": vectors}))
    return len(vectors), taken * (593 / len(vectors)) ** 2


def discs() -> float:
    """26 discs: a grid of 5 by 5 that touch, and a small one in a gap."""
    grid = [["0." + str(2 * x + 1), "0." + str(2 * y + 1), "0.1"] for x, y in product(range(5), repeat=2)]
    rows = [*grid, ["0.2", "0.2", "0.04142135623"]]
    return milliseconds(lambda: circle_packing.check({"n": 26, "discs": rows}))


def cap() -> tuple[int, float]:
    """How many vectors the fewest zeros give in 8 dimensions, and the time that 512 would take."""
    words = ["".join(word) for word in product("012", repeat=8)]
    chosen, _ = greedy_cap(np.array([-float(word.count("0")) for word in words]), 8)
    vectors = [words[index] for index in chosen]
    taken = milliseconds(lambda: capset.check({"n": 8, "vectors": vectors}))
    return len(vectors), taken * (512 / len(vectors)) ** 2


def main() -> None:
    """Print the table."""
    found, taken = spheres()
    size, caught = cap()
    for name, spent in (
        ("autocorr1, 600 steps", steps()),
        (f"kissing, 593 vectors of dimension 11 (by {found})", taken),
        ("circle_packing, 26 discs", discs()),
        (f"capset, 512 vectors of dimension 8 (by {size})", caught),
    ):
        print(f"{name:48}{spent:8.1f} ms")


if __name__ == "__main__":
    main()
