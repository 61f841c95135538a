"""A scorer that does whatever its answer says: raise, loop, take memory."""

import numpy as np

from evolve import Case, Integer, Objective, Problem, problem

# EVOLVE-BLOCK-START


def choose(x):
    for _ in [0]:
        pass
    return 0


# EVOLVE-BLOCK-END


def _deeper(n):
    return _deeper(n + 1)


def _loop():
    while True:
        pass


HARM = {
    1: lambda: {}["missing"],
    2: _loop,
    3: lambda: np.zeros(1 << 48),
    4: lambda: exit(1),
    5: lambda: _deeper(0),
    6: lambda: [bytes(1 << 44)],
}


def score(y, case):
    HARM.get(y, lambda: None)()
    return {"value": float(y)}


@problem
def fragile() -> Problem:
    return Problem(
        entry="choose",
        cases=[Case("only", inputs=(1,))],
        returns=Integer(),
        score=score,
        objective=Objective("value", "max"),
        score_seconds=0.2,
    )
