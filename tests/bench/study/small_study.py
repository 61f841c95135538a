"""A problem of milliseconds, and a plan for it."""

PROBLEM = '''"""A line through three points, found in milliseconds."""
from evolve import Case, Measure, Objective, Problem, Real, problem

# EVOLVE-BLOCK-START
def guess(x):
    return x + 1.0
# EVOLVE-BLOCK-END


def score(y, case):
    return {"error": min(abs(y - case.hidden), 1e6), "size": min(abs(y), 10.0)}


def drawn(rng):
    x = float(rng.uniform(3.0, 9.0))
    return [Case("drawn", inputs=(x,), hidden=3.0 * x)]


@problem
def small(k: float = 3.0) -> Problem:
    return Problem(
        entry="guess",
        cases=[Case("a", inputs=(1.0,), hidden=k), Case("b", inputs=(2.0,), hidden=2 * k)],
        returns=Real(),
        score=score,
        objective=Objective("error", "min", "|mm|"),
        measures=[Measure("size", 0.0, 10.0, bins=8), Measure("nodes", 0, 64, bins=8)],
        unseen={"far": [Case("c", inputs=(10.0,), hidden=10 * k)], "near": [Case("d", inputs=(0.5,), hidden=k / 2)]},
        fresh=drawn,
        baselines={"constant": "def guess(x):\\n    return 4.5\\n", "best|of": "def guess(x):\\n    return 2.5 * x\\n"},
    )
'''

PLAN = """
problems = ["small.py"]
seeds = "0-3"
budget = "80ev"
compare = [["evolution", "tuned"], ["evolution", "classical"]]

[strategies.evolution]
[strategies.tuned]
extends = "evolution"
tune = 40
about = "all is *tuned* | really"
"""


def write(folder, plan=PLAN, problem=PROBLEM):
    """A folder with a problem and a plan; the path of the plan."""
    (folder / "small.py").write_text(problem, encoding="utf-8")
    path = folder / "plan.toml"
    path.write_text(plan, encoding="utf-8")
    return path
