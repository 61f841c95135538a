"""What the tests of the command line share: the door itself, and a short run of a new problem."""

import pytest

from evolve.cli import main


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder with a problem from `evolve new`, and a short run of it."""
    folder = tmp_path_factory.mktemp("cli")
    assert main(["new", str(folder / "mine.py")]) == 0
    run = [
        "run",
        str(folder / "mine.py"),
        "--budget",
        "150",
        "--ledger",
        str(folder / "a.db"),
        "--workers",
        "1",
    ]
    assert main([*run, "--quiet"]) == 0
    return folder


# A small problem that asks for speed: its baseline does 500 times the work that is needed, its seed 100 times.
TIMED_BLOCK = """import numpy as np


def total(x):
    y = x * x
    for _ in range(99):
        y = x * x
    return float(np.sum(y))"""

TIMED_BODY = '''
from evolve import Speed

WASTEFUL = """
import numpy as np

def total(x):
    for _ in range(500):
        y = x * x
    return float(np.sum(y))
"""


def score(answer, case):
    true = float(np.sum(case.inputs[0] * case.inputs[0]))
    if abs(answer - true) > 1e-9 * true:
        raise Rejected(f"{answer} instead of {true}")
    return {}


def fresh(rng):
    return [Case("short", inputs=(rng.random(4_000),)), Case("long", inputs=(rng.random(6_000),))]


def strategy():
    from hypothesis import strategies

    numbers = strategies.lists(strategies.integers(-9, 9), max_size=8)
    return numbers.map(lambda values: Case("any", inputs=(np.array(values, dtype=float),)))


@problem
def small() -> Problem:
    return Problem(
        entry="total",
        cases=[Case("none", inputs=(np.zeros(0),)), Case("ones", inputs=(np.ones(7),))],
        returns=Real(),
        score=score,
        objective=Speed(baseline="wasteful"),
        baselines={"wasteful": WASTEFUL},
        fresh=fresh,
        strategy=strategy,
        measures=[Measure("nodes", 0, 60), Measure("depth", 0, 20), Measure("speedup:long", 0.0, 60.0)],
        unseen={"twos": [Case("twos", inputs=(np.full(5, 2.0),))]},
        limits=Limits(seconds=2.0),
    )
'''


@pytest.fixture
def timed_file(problem_file):
    """Write the problem that asks for speed: `timed_file({old: new})` returns its path."""

    def write(replace: dict | None = None, name: str = "small.py"):
        return problem_file(name, TIMED_BLOCK, "import numpy as np\n" + TIMED_BODY, replace)

    return write
