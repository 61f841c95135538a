"""The length of a vector: a problem small enough that the true score of every answer is known."""

import numpy as np

from evolve import Array, Case, Limits, Objective, Problem, problem

# EVOLVE-BLOCK-START


def norm(x):
    return np.sqrt((x * x).sum())


# EVOLVE-BLOCK-END


def _cases(first, count):
    return [
        Case(f"v{seed}", inputs=(values,), hidden=float(np.sqrt(np.sum(values * values))))
        for seed in range(first, first + count)
        for values in [np.random.default_rng(seed).standard_normal(50)]
    ]


def score(y, case):
    return {"error": abs(float(y) - case.hidden)}


@problem
def norms(seconds: float = 2.0) -> Problem:
    return Problem(
        entry="norm",
        cases=_cases(0, 3),
        returns=Array("f8", ()),
        score=score,
        objective=Objective("error", "min"),
        unseen={"far": _cases(100, 2)},
        limits=Limits(seconds=seconds, setup_seconds=seconds, memory=256 << 20),
    )
