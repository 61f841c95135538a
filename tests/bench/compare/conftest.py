"""What the tests of comparisons share: a problem that asks for speed, one that does not, and short runs of both."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

import evolve
from evolve.bench.compare.comparing import compare
from evolve.bench.compare.contenders import Wanted, planned
from evolve.bench.compare.records import Rules

TIMED = '''"""Add up squares; a program's text says how often it does so for nothing."""
import numpy as np
from evolve import Case, Limits, Problem, Real, Rejected, Speed, problem

# EVOLVE-BLOCK-START
import numpy as np


def total(x):
    for _ in range(300):
        y = x * x
    return float(np.sum(y))
# EVOLVE-BLOCK-END

BLOCK = """
import numpy as np

def total(x):
    for _ in range(%d):
        y = x * x
    return float(np.sum(y))
"""


def score(answer, case):
    true = float(np.sum(case.inputs[0] * case.inputs[0]))
    if abs(answer - true) > 1e-9 * (true + 1.0):
        raise Rejected(f"{answer} instead of {true}")
    return {}


def fresh(rng):
    return [Case("short", inputs=(rng.random(2_000),)), Case("long", inputs=(rng.random(4_000),))]


@problem
def squares() -> Problem:
    return Problem(
        entry="total",
        cases=[Case("ones", inputs=(np.ones(7),))],
        returns=Real(),
        score=score,
        objective=Speed(baseline="plain"),
        baselines={"plain": BLOCK % 300, "wasteful": BLOCK % 900},
        fresh=fresh,
        unseen={"minus": [Case("minus", inputs=(np.full(5, -2.0),))]},
        limits=Limits(seconds=2.0),
    )
'''

SCORED = '''"""Guess a line; the less it is off, the better."""
from evolve import Case, Measure, Objective, Problem, Real, problem

# EVOLVE-BLOCK-START
def guess(x):
    return x + 1.0
# EVOLVE-BLOCK-END


def score(y, case):
    return {"error": abs(y - case.hidden)}


def line(name, x):
    return Case(name, inputs=(x,), hidden=3.0 * x)


@problem
def lines() -> Problem:
    return Problem(
        entry="guess",
        cases=[line("a", 1.0), line("b", 2.0)],
        returns=Real(),
        score=score,
        objective=Objective("error", "min", "mm"),
        measures=[Measure("nodes", 0, 64, bins=8)],
        unseen={"far": [line("far", 100.0)]},
        fresh=lambda rng: [line("fresh", float(rng.uniform(5.0, 9.0)))],
        baselines={"close": "def guess(x):\\n    return 2.9 * x\\n", "off": "def guess(x):\\n    return -x\\n"},
    )
'''


def ledger_of(folder, text, name, proposals):
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    evolve.run(str(path), proposals=proposals, seed=1, ledger=folder / f"{name}.db", workers=1)
    return folder / f"{name}.db"


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Ledgers of two short runs, by the name of the problem; nobody changes them."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        "squares": ledger_of(folder, TIMED, "squares", 3),
        "lines": ledger_of(folder, SCORED, "lines", 40),
    }


@pytest.fixture(scope="session")
def reports(runs):
    """A report of each."""
    rules = Rules(pairs=8, rounds=3, draws=1)
    plans = {name: planned(path, Wanted(seed=1, rules=rules)) for name, path in runs.items()}
    # Whether a change was faster than the seed program is chance there, and eight pairs would not do for one more.
    fixed = tuple(one for one in plans["squares"].contenders if one.name != "seed")
    plans["squares"] = replace(plans["squares"], contenders=fixed)
    return {name: compare(plan) for name, plan in plans.items()}


@pytest.fixture
def outside(tmp_path):
    """Run a Python module in a process of its own: outside("pytest", ...) -> CompletedProcess."""

    def call(*words, code=None):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        command = [sys.executable, "-m", *map(str, words)]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
        )
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done

    return call
