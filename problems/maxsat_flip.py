"""Choose which variable to flip, so that a walk soon satisfies nearly every clause of a random formula.

A formula is a list of clauses. Each names three variables, says of each whether it is to be true or false, and is
satisfied if one of the three is as it says. A walk starts from a random assignment. Each step picks one of the clauses
that are not satisfied, each as likely as another, and flips one of its three variables, with a probability that is
proportional to exp(preference(makes, breaks, age, n)). A preference beyond -500 or 500 counts as that, NaN as -500.

What is known of a variable:

- makes: how many clauses its flip would satisfy that are not: 1, 2, ..., 8, where 8 stands for more, too;
- breaks: how many clauses its flip would leave unsatisfied that are: 0, 1, ..., 10, where 10 stands for more, too;
- age: steps since its last flip, 1 for the variable that was flipped just before, rounded down to a level: 1, 2, ...,
  8, 12, 16, 24, 32, 48, ..., 4096; a variable that was never flipped has age 4096;
- n: the number of variables.

The program is evaluated once, on the grid of all values, as numpy arrays that broadcast: makes (8, 1, 1), breaks
(1, 11, 1), age (1, 1, A), and the number n. A fixed simulator does the rest; so the program never meets a formula.

The walk ends after 10 steps a variable, or when every clause is satisfied. The objective is the smallest number of
unsatisfied clauses that it came by, in percent of all clauses, mean over formulas. A formula has 4.26 random clauses a
variable, which is where the hard ones lie.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evolve import Case, Grid, Measure, Objective, Primitive, Problem, Stage, problem
from evolve.fastcore.kernels.levels import levels
from evolve.fastcore.kernels.walksat import Walk, walk

# EVOLVE-BLOCK-START
import numpy as np


def preference(makes, breaks, age, n):
    """How much a variable of the picked clause asks to be flipped; the logarithm of its weight."""
    return 0.0 * breaks


# EVOLVE-BLOCK-END

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MAKES, BREAKS, AGES = np.arange(1, 9), np.arange(11), levels(4096, steps=2)
RATIO, STEPS = 4.26, 10


@dataclass(frozen=True, eq=False)
class Formula:
    """What is hidden from the program.

    Args:
        clauses: (m, 3) int64; v + 1 wants variable v to be true, -v - 1 to be false.
        start: (n,) bool, the assignment from which the walk starts.
        luck: (steps, 2) float64 from 0 up and below 1: which clause a step picks, and which of its variables.
    """

    clauses: Ints
    start: npt.NDArray[np.bool_]
    luck: Floats


def formula(rng: np.random.Generator, n: int, ratio: float = RATIO) -> Formula:
    """Each clause: three different variables, each to be true or false as a coin falls."""
    count = round(ratio * n)
    variables = np.argsort(rng.random((count, n)), axis=1)[:, :3] + 1
    signs = rng.choice(np.array([-1, 1]), (count, 3))
    return Formula(variables * signs, rng.random(n) < 0.5, rng.random((STEPS * n, 2)))


def simulate(table: Floats, case: Case) -> Walk:
    """Walk through the formula of `case`."""
    given: Formula = case.hidden
    weights = np.exp(np.clip(table, -500.0, 500.0))
    return walk(weights, given.clauses, given.start, given.luck, AGES)


def plain(table: Floats, case: Case) -> Walk:
    """The same, with no cleverness."""
    given: Formula = case.hidden
    clauses, assigned = given.clauses.tolist(), given.start.tolist()
    weights = np.exp(np.clip(table, -500.0, 500.0)).tolist()
    n = len(assigned)
    flipped: dict[int, int] = {}
    inside = [
        [c for c, clause in enumerate(clauses) if v + 1 in clause or -v - 1 in clause] for v in range(n)
    ]

    def trues(c: int) -> int:
        return sum(assigned[abs(literal) - 1] == (literal > 0) for literal in clauses[c])

    def look(v: int) -> tuple[float, int]:
        before = [trues(c) for c in inside[v]]
        assigned[v] = not assigned[v]
        after = [trues(c) for c in inside[v]]
        assigned[v] = not assigned[v]
        makes, breaks = (sum(x == 0 for x in one) for one in (before, after))
        age = sum(level <= step - flipped[v] for level in AGES) if v in flipped else len(AGES)
        return weights[min(makes, 8) - 1][min(breaks, 10)][age - 1], breaks

    broken = [c for c in range(len(clauses)) if not trues(c)]
    fewest, least, recent = len(broken), 0, 0
    for step, (one, other) in enumerate(given.luck.tolist()):
        if not broken:
            return Walk(fewest, step, least, recent)
        picked = [abs(literal) - 1 for literal in clauses[broken[int(one * len(broken))]]]
        (a, x), (b, y), (c, z) = map(look, picked)
        drawn = other * (a + b + c)
        v, breaks = (picked[0], x) if drawn < a else (picked[1], y) if drawn < a + b else (picked[2], z)
        least += breaks == min(x, y, z)
        recent += v in flipped and 10 * (step - flipped[v]) <= n
        flipped[v], assigned[v] = step, not assigned[v]
        for clause in inside[v]:
            if clause in broken:
                last = broken.pop()
                if last != clause:
                    broken[broken.index(clause)] = last
            elif not trues(clause):
                broken.append(clause)
        fewest = min(fewest, len(broken))
    return Walk(fewest, len(given.luck), least, recent)


def score(outcome: Walk, case: Case) -> dict[str, float]:
    """Unsatisfied clauses in percent; shares of flips that broke as few as could be, and of what was lately flipped."""
    steps = max(1, outcome.steps)
    return {
        "unsatisfied": 100.0 * outcome.fewest / len(case.hidden.clauses),
        "least": outcome.least / steps,
        "recent": outcome.recent / steps,
    }


RANDOM_WALK = """
def preference(makes, breaks, age, n):
    return 0.0 * breaks
"""

GREEDY = """
def preference(makes, breaks, age, n):
    return 40.0 * (makes - breaks)
"""

FEWEST_BREAKS = """
def preference(makes, breaks, age, n):
    return -40.0 * breaks
"""

# Balint and Schoening, SAT 2012: (0.9 + breaks)^-2.06, what their solver takes for clauses of three literals.
PROBSAT = """
import numpy as np


def preference(makes, breaks, age, n):
    return -2.06 * np.log(0.9 + breaks)
"""


def _grid(n: int) -> Grid:
    # Floats, so that no program meets the wrap-around of 64-bit integers.
    makes, breaks, age = (axis.astype(np.float64) for axis in (MAKES, BREAKS, AGES))
    return Grid((makes[:, None, None], breaks[None, :, None], age[None, None, :], float(n)))


def _suite(name: str, sizes: Sequence[int], seed: int, ratio: float = RATIO) -> list[Case]:
    return [
        Case(f"{name}_{n}_{i}", hidden=formula(np.random.default_rng([seed, i]), n, ratio), grid=f"n{n}")
        for i, n in enumerate(sizes)
    ]


@problem
def maxsat_flip(n: int = 200, formulas: int = 12) -> Problem:
    """Maximum satisfiability by a preference for variables to flip; formulas of n and n * 3 / 2 variables."""
    if not (20 <= n <= 1_000 and 2 <= formulas <= 200):
        raise ValueError(f"n is {n} and formulas is {formulas}; 20 to 1000, and 2 to 200")
    small, large, other, huge = n, n * 3 // 2, n * 5 // 4, n * 5 // 2
    train = _suite("train", [small] * formulas + [large] * (formulas * 2 // 3), 31)
    return Problem(
        entry="preference",
        form="table",
        grid={f"n{size}": _grid(size) for size in (small, other, large, huge)},
        cases=train,
        # The smaller formulas tell a hopeless preference, and are enough to tune constants on.
        stages=[Stage(tuple(case.name for case in train[:formulas]), gate=6.0)],
        simulate=simulate,
        plain=plain,
        score=score,
        objective=Objective("unsatisfied", "min", "%"),
        measures=[Measure("least", 0.0, 1.0, bins=16), Measure("recent", 0.0, 1.0, bins=16)],
        unseen={
            "same_sizes": _suite("same", [small] * 8 + [large] * 8, 32),
            "other_size": _suite("other", [other] * 8, 33),
            "larger": _suite("larger", [huge] * 6, 34),
            "denser": _suite("denser", [small] * 8, 35, ratio=5.5),
        },
        fresh=lambda rng: [
            Case(f"fresh_{i}", hidden=formula(rng, size), grid=f"n{size}")
            for i, size in enumerate([small] * formulas + [large] * (formulas * 2 // 3))
        ],
        primitives=[
            Primitive("np.log", ("num",), "num"),
            Primitive("np.exp", ("num",), "num"),
            Primitive("np.sqrt", ("num",), "num"),
            Primitive("np.square", ("num",), "num"),
            Primitive("np.abs", ("num",), "num"),
            Primitive("np.minimum", ("num", "num"), "num"),
            Primitive("np.maximum", ("num", "num"), "num"),
            Primitive("np.where", ("bool", "num", "num"), "num"),
        ],
        baselines={
            "random_walk": RANDOM_WALK,
            "greedy": GREEDY,
            "fewest_breaks": FEWEST_BREAKS,
            "probsat": PROBSAT,
        },
    )
