"""Answers that claim more than they are worth, to the problems that have no file of such answers of their own."""

from fractions import Fraction

import numpy as np
import pytest

from evolve.errors import ProblemError
from evolve.evaluator import Job, Judge
from evolve.loader import load
from evolve.problems import circle_packing

FLOATS = """
import numpy as np
class Large(float):
    __add__ = __radd__ = __mul__ = __sub__ = __neg__ = lambda self, *_: Large(1e9)
    __lt__ = __le__ = __eq__ = lambda self, _: True
    __hash__ = float.__hash__
"""

PACK = "import numpy as np\ndef pack(n):\n    "
ROWS = f"""{FLOATS}
def pack(n):
    return [[Large(0.5), Large(0.5), Large(0.5)]] + [[Large(0.5), Large(0.5), Large(0.0)] for _ in range(n - 1)]
"""
CAP = "import numpy as np\ndef priority(v, n):\n    "
BIN = "import numpy as np\ndef priority(item, remaining):\n    "
WIRES = "import numpy as np\ndef priority(i, j, a, b, n):\n    "
RULE = "import numpy as np\ndef update(S, k, v, p):\n    "

# Source, and what becomes of it: a status, or the best objective that the answer is worth.
TRAPS = {
    "circle_packing": {
        "reports its score": (PACK + "return {'sum_radii': 3.0, 'discs': []}", "rejected"),
        "a number": (PACK + "return 2.64", "rejected"),
        "not a number": (PACK + "return np.full((n, 3), np.nan)", "rejected"),
        "a radius that is no number": (PACK + "return np.array([[0.5, 0.5, np.nan]] * n)", "rejected"),
        "endless": (PACK + "return np.array([[0.5, 0.5, np.inf]] * n)", "rejected"),
        "one disc twice": (PACK + "return np.array([[0.5, 0.5, 0.5]] * n)", 0.5),
        "a row too many": (PACK + "return np.zeros((n + 1, 3))", "rejected"),
        "too few rows": (PACK + "return np.array([[0.5, 0.5, 0.5]])", "rejected"),
        "floats of its own": (ROWS, 0.5),
        "whole numbers that wrap": (PACK + "return np.full((n, 3), 2**62) * 4", 0.0),
        "a list by heart": (PACK + f"return np.array({[[0.1, 0.1, 0.1]] * 26})", 0.1),
    },
    "capset": {
        "reports its score": (CAP + "return 512", 64.0),
        "a table too large": (CAP + "return np.arange(v.shape[1] + 1)", "rejected"),
        "coordinates": (CAP + "return v", "rejected"),
        "a name": (CAP + "return {'size': 112}", "rejected"),
        "not a number": (CAP + "return np.full(v.shape[1], np.nan)", 64.0),
        "endless": (CAP + "return np.full(v.shape[1], np.inf)", 64.0),
        "whole numbers that wrap": (CAP + "return np.sum(v, 0) * 2**62 * 4", 64.0),
        "floats of its own": (FLOATS + "def priority(v, n):\n    return [Large(1)] * v.shape[1]", 64.0),
    },
    "online_bin_packing": {
        "reports its score": (BIN + "return {'excess': 0.0}", "rejected"),
        "a number": (BIN + "return 0.0", 3.9),
        "not a number": (BIN + "return np.nan + item * remaining", 100.0),
        "endless": (BIN + "return np.inf + item * remaining", 3.9),
        "a table too large": (BIN + "return np.zeros(5)", "rejected"),
        "whole numbers that wrap": (BIN + "return (item - item + remaining) * 2**62 * 4", 3.9),
        "a bin of no size": (BIN + "remaining[:] = 10**9\n    return item - remaining", "error"),
    },
    "sorting_network": {
        "reports its score": (WIRES + "return {'comparators': 1}", "rejected"),
        "never": (WIRES + "return -np.inf + 0 * i * a * b", 28.0),
        "not a number": (WIRES + "return np.nan + 0 * i * a * b", 28.0),
        "a network by heart": (WIRES + "return [[0, 1], [2, 3]]", "rejected"),
        "whole numbers that wrap": (WIRES + "return (i + j) * 2**62 * 4 + 0 * a * b", 28.0),
    },
    "memory_rule": {
        "reports its score": (RULE + "return {'error': 0.0}", "rejected"),
        "not a number": (RULE + "return S * np.nan", "rejected"),
        "endless": (RULE + "return S + v * k * np.inf", "rejected"),
        "a state of another size": (RULE + "return np.zeros((3, 3))", "rejected"),
        "whole numbers that wrap": (RULE + "return (S + v * k) * 2.0**62 * 4", "rejected"),
        "true and false": (RULE + "return S > 0", "rejected"),
    },
}


@pytest.mark.parametrize("name", TRAPS)
def test_an_answer_that_claims_more_is_worth_what_it_is_worth(name):
    problem = load(name)
    judge = Judge(problem)
    try:
        for trap, (source, worth) in TRAPS[name].items():
            evaluation = judge.judge(Job(source)).evaluation
            if isinstance(worth, str):
                assert evaluation.status == worth, (trap, evaluation)
            elif evaluation.status == "ok":
                objective = problem.objective
                assert not objective.better(evaluation.objective, worth), (trap, evaluation)
            else:
                assert evaluation.status == "rejected", (trap, evaluation)
    finally:
        judge.close()


def table_by_heart(name, values):
    """A program that has learnt numbers by heart for the training grid, and nothing else."""
    arguments = {"capset": "v, n", "sorting_network": "i, j, a, b, n"}[name]
    return f"import numpy as np\ndef priority({arguments}):\n    return np.array({values})"


def test_discs_among_the_smallest_numbers_there_are_are_shrunk_in_time():
    """Squares of such distances are nothing, or wrong by a tenth."""
    rows = [[1e-161, 1e-161, 1e-161], [1.2e-161, 1e-161, 1e-161], [5e-324, 0.0, 1.0], [0.0, 0.0, 5e-324]]
    kept = circle_packing.shrink(np.array(rows))
    data = [[str(Fraction(number)) for number in row] for row in kept]
    assert Fraction(circle_packing.check({"n": 4, "discs": data})) >= 0


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("circle_packing", {"n": 0}),
        ("circle_packing", {"n": 100_000}),
        ("matmul_rank", {"offers": 0}),
        ("matmul_rank", {"walks": -2}),
        ("matmul_rank", {"walks": 10**9}),
        ("maxsat_flip", {"n": 100_000}),
        ("maxsat_flip", {"formulas": 10**6}),
        ("tsp_guide", {"maps": 100_000}),
        ("cache_eviction", {"requests": 10**9}),
        ("sumdiff", {"most": 1}),
        ("sumdiff", {"d": 1, "b": 3}),
    ],
)
def test_a_parameter_that_cannot_be_meant_is_refused(name, given):
    with pytest.raises(
        ProblemError, match=f"{next(iter(given))} is|{next(iter(given.values()))} {next(iter(given))}"
    ):
        load(name, given)


@pytest.mark.parametrize("name", ["capset", "sorting_network"])
def test_a_table_learnt_by_heart_does_not_fit_the_unseen_sizes(name):
    problem = load(name)
    shape = problem.grid_of(problem.cases[0]).table_shape
    source = table_by_heart(name, np.zeros(shape, int).tolist())
    judge = Judge(problem)
    try:
        for suite in problem.unseen:
            assert judge.judge(Job(source, suite=suite)).evaluation.status in ("rejected", "error", "invalid")
    finally:
        judge.close()


def test_numbers_learnt_by_heart_for_bins_of_100_fail_on_bins_of_150():
    judge = Judge(load("online_bin_packing"))
    source = BIN + f"return np.array({[-room for room in range(101)]})[remaining.astype(int)] + 0 * item"
    try:
        assert judge.judge(Job(source)).evaluation.objective < 4.2  # best fit, by heart
        assert judge.judge(Job(source, suite="or_like")).evaluation.status == "error"
    finally:
        judge.close()
