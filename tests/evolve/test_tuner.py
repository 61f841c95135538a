"""The tuner: finds constants, puts them in place exactly, and leaves the world alone."""

import ast
import math
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.mutators.tuner import Rules, substitute, tunable, tune
from evolve.source import SourceError, hashes

BLOCK = '''import numpy as np

SCALE = 9.5


def entry(x, y=4.5):
    """Doc 1.5."""
    z = x * 2.5 - 3 * (0.5 if x > 1e-3 else -7.25)
    return z ** -1.5 + np.exp(-0.0) + True


def helper(x):
    return x * 8.5
'''


def test_tunable_are_the_float_literals_of_the_entry_in_the_order_of_the_text():
    assert tunable(BLOCK, "entry") == (2.5, 0.5, 1e-3, 7.25, 1.5, 0.0)
    assert tunable(BLOCK, "helper") == (8.5,)


def test_an_infinite_literal_makes_a_program_untunable():
    assert tunable("def f(x):\n    return x + 1e999 + 1.5\n", "f") == ()


doubles = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(doubles, min_size=6, max_size=6))
def test_substituted_text_reads_back_to_the_same_doubles(values):
    source = substitute(BLOCK, "entry", values)
    holes = iter(values)

    class Fill(ast.NodeTransformer):
        def visit_Constant(self, node):
            return ast.Constant(next(holes)) if isinstance(node.value, float) else node

        def visit_IfExp(self, node):
            node.body, node.test, node.orelse = map(self.visit, (node.body, node.test, node.orelse))
            return node

    tree = ast.parse(BLOCK)
    Fill().visit(tree.body[2].body[1])
    Fill().visit(tree.body[2].body[2])
    ast.fix_missing_locations(tree)
    space = {}
    other = {}
    exec(compile(tree, "a", "exec"), space)
    exec(compile(source, "b", "exec"), other)
    with np.errstate(all="ignore"):
        for x in (0.5, 2.0, -3.0):
            assert _value(space["entry"], x) == _value(other["entry"], x)


def _value(function, x):
    try:
        return repr(function(x))
    except (OverflowError, ZeroDivisionError) as error:
        return type(error).__name__


@given(st.lists(doubles, min_size=6, max_size=6))
def test_one_family_has_one_structure(values):
    assert hashes(substitute(BLOCK, "entry", values)).structure == hashes(BLOCK).structure


@given(st.lists(doubles, min_size=6, max_size=6))
def test_magnitudes_survive(values):
    again = tunable(substitute(BLOCK, "entry", values), "entry")
    assert again == tuple(map(abs, values))


def test_substitute_refuses_what_is_no_literal():
    with pytest.raises(ValueError, match="for 6 constants"):
        substitute(BLOCK, "entry", [1.0])
    with pytest.raises(ValueError, match="no literal"):
        substitute(BLOCK, "entry", [math.nan] * 6)
    with pytest.raises(SourceError, match="no function 'other'"):
        substitute(BLOCK, "other", [])


@pytest.mark.parametrize("count", [1, 2, 3, 6, 10])
def test_tuning_comes_close_within_ten_evaluations_a_constant(count):
    goal = [0.7 + 0.3 * i for i in range(count)]

    def miss(values):
        return sum((a - b) ** 2 for a, b in zip(values, goal, strict=True))

    start = [1.0] * count
    found = tune(start, miss, Rules(10 * count, 3, "min"))
    assert len(found.trials) == 10 * count
    assert found.objective == miss(found.values)
    assert found.objective < 0.5 * miss(start)


def test_maximising_is_minimising_the_negative():
    one = tune([1.0, 2.0], lambda v: -(v[0] ** 2) - v[1] ** 2, Rules(20, 5, "max"))
    other = tune([1.0, 2.0], lambda v: v[0] ** 2 + v[1] ** 2, Rules(20, 5, "min"))
    assert one.values == other.values
    assert one.objective == -other.objective


def test_failed_tries_rank_last_and_never_win():
    found = tune([1.0], lambda v: v[0] if v[0] > 0.5 else None, Rules(30, 1, "min"))
    assert found.objective is not None
    assert 0.5 < found.objective <= 1.0
    assert any(trial.objective is None for trial in found.trials)
    nothing = tune([1.0], lambda v: math.nan, Rules(30, 1, "min"))
    assert nothing.objective is None
    assert nothing.values == (1.0,)
    assert len(nothing.trials) == 30


def test_the_first_trial_is_the_values_as_given():
    found = tune([1.0], lambda v: abs(v[0] - 1.0), Rules(8, 1, "min"))
    assert found.trials[0].constants == (1.0,)
    assert found.objective == 0.0
    assert found.values == (1.0,)


def test_a_tuning_that_misses_a_bar_ends_there():
    def poor(values):
        return 100.0 + values[0] ** 2

    assert len(tune([1.0, 1.0], poor, Rules(60, 1, "min", bars=((1, 4.0),))).trials) == 1
    later = tune([1.0, 1.0], poor, Rules(60, 1, "min", bars=((1, 200.0), (20, 4.0))))
    assert later.stopped == "rule"
    assert 20 <= len(later.trials) < 30
    assert tune([1.0, 1.0], poor, Rules(60, 1, "max", bars=((1, 4.0), (20, 4.0)))).stopped != "rule"
    assert len(tune([1.0], lambda v: None, Rules(60, 1, "min", bars=((1, 4.0),))).trials) == 1


def test_the_seed_decides_and_global_chance_is_untouched():
    random.seed(5)
    np.random.seed(5)
    before = random.getstate(), np.random.get_state()[1].tolist()
    one = tune([1.0, -3.0], lambda v: v[0] ** 2 + v[1], Rules(20, 8, "min"))
    assert tune([1.0, -3.0], lambda v: v[0] ** 2 + v[1], Rules(20, 8, "min")) == one
    assert tune([1.0, -3.0], lambda v: v[0] ** 2 + v[1], Rules(20, 9, "min")) != one
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_nothing_to_tune_is_an_error():
    with pytest.raises(ValueError, match="at least 1"):
        tune([], lambda v: 0.0, Rules(5, 1, "min"))
    with pytest.raises(ValueError, match="at least 1"):
        tune([1.0], lambda v: 0.0, Rules(0, 1, "min"))


def test_the_first_tuning_loads_cma_es_and_nothing_heavy_beside_it():
    """Every worker loads it; with all of its package around it that takes 2 s of CPU."""
    code = (
        "import sys\n"
        "from evolve.mutators.tuner import Rules, tune\n"
        "before = set(sys.modules)\n"
        "tune((1.0,), lambda values: values[0] ** 2, Rules(8, 1, 'min'))\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"cma", "scipy", "matplotlib", "numba", "pandas"} & set(done.stdout.split())
