"""A problem whose programs do a known amount of work: what is planted, a comparison must find, and no more.

For `controls.py`. The programs differ in digits of one number, so that none is longer than another, and tell how many
steps they took, so that the true ratio of work is known.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evolve import Case, Limits, Problem, Rejected, Speed, problem

# EVOLVE-BLOCK-START
STEPS = 10000


def walk(seed):
    state, counts, taken = seed, {}, 0
    recent = [0] * 64
    for step in range(STEPS):
        state = (state * 1103515245 + 12345) % 2147483648
        key = (state >> 16) % 97
        counts[key] = counts.get(key, 0) + 1
        recent[step % 64] = state
        taken += 1
    return [sum(recent) % 1000003 + counts[0], taken]


# EVOLVE-BLOCK-END


def program(percent: int) -> str:
    """A program that does so many hundredths of the seed's work."""
    return f"STEPS = {100 * percent}\n\n\n{inspect.getsource(walk)}"


def score(answer: Any, case: Case) -> Mapping[str, float]:
    """Right is who tells how many steps it took, and took as many as some program of the campaign does."""
    if not isinstance(answer, list) or len(answer) != 2 or answer[1] not in (10_000, 10_500):
        raise Rejected(f"{case.name}: a walk of 10000 or 10500 steps is asked for")
    return {}


def fresh(rng: np.random.Generator) -> Sequence[Case]:
    """One walk from somewhere."""
    return [Case("walk", inputs=(int(rng.integers(1 << 30)),))]


@problem
def planted_walk() -> Problem:
    """Walk as the seed program does, which nobody can do faster by less than a step."""
    return Problem(
        entry="walk",
        cases=[Case("from 1", inputs=(1,))],
        score=score,
        objective=Speed(baseline="slower"),
        baselines={"slower": program(105)},
        fresh=fresh,
        limits=Limits(cpu_seconds=600.0),
    )
