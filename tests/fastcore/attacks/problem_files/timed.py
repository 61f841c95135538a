"""The sum of many whole numbers, faster than a loop: a race that is short and whose right answers are known."""

from evolve import Case, Integer, Limits, Problem, Rejected, Speed, problem

# EVOLVE-BLOCK-START


def total(values):
    found = 0
    for value in values:
        found += value
    return found


# EVOLVE-BLOCK-END

LOOP = """
def total(values):
    found = 0
    for value in values:
        found += value
    return found
"""


def score(answer, case):
    if answer != case.hidden:
        raise Rejected("the sum is wrong")
    return {}


def _case(name, values):
    return Case(name, inputs=(values,), hidden=sum(values))


def fresh(rng):
    return [_case("many", rng.integers(0, 1000, 150_000).tolist())]


@problem
def timed() -> Problem:
    return Problem(
        entry="total",
        cases=[_case("none", []), _case("few", [1, 2, 3])],
        returns=Integer(),
        score=score,
        objective=Speed(baseline="loop"),
        baselines={"loop": LOOP},
        fresh=fresh,
        limits=Limits(cpu_seconds=10.0),
    )
