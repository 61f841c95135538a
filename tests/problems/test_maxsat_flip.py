"""Flips by preference: two simulators that agree, baselines that are what they claim, and tables that are no policy."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.errors import ProblemError
from evolve.evaluator import Job, Judge
from evolve.loader import load
from evolve.problems import maxsat_flip
from evolve.problems.maxsat_flip import AGES, BREAKS, MAKES, Formula, formula, plain, simulate
from evolve.statement import Case

SHAPE = len(MAKES), len(BREAKS), len(AGES)


def case(seed, n, steps=None):
    made = formula(np.random.default_rng(seed), n)
    return Case("a", hidden=Formula(made.clauses, made.start, made.luck[:steps]))


def table_of(source, n=40):
    """The table of a policy, as the judge makes it."""
    namespace = {}
    exec(source, namespace)
    made = namespace["preference"](*maxsat_flip._grid(n).inputs)
    return np.array(np.broadcast_to(made, SHAPE), np.float64)


@pytest.fixture(scope="module")
def problem():
    return load("maxsat_flip")


@pytest.fixture(scope="module")
def judge(problem):
    judge = Judge(problem)
    yield judge
    judge.close()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(20, 50), st.sampled_from([0.1, 1.0, 50.0, 1000.0]))
def test_the_fast_and_the_plain_simulator_agree(seed, n, size):
    rng = np.random.default_rng(seed)
    table = size * rng.normal(size=SHAPE)
    table[rng.random(SHAPE) < 0.1] = rng.choice([-np.inf, np.inf])
    assert simulate(table, case(seed, n, 300)) == plain(table, case(seed, n, 300))


def test_they_agree_on_the_baselines_and_on_a_whole_walk(problem):
    for source in problem.baselines.values():
        one = case(7, 60)
        assert simulate(table_of(source, 60), one) == plain(table_of(source, 60), one)


def test_the_formula_of_all_clauses_over_three_variables_leaves_one():
    clauses = np.array(list(product((1, -1), (2, -2), (3, -3))))
    one = Case("a", hidden=Formula(clauses, np.zeros(3, bool), np.random.default_rng(0).random((60, 2))))
    scored = maxsat_flip.score(simulate(np.zeros(SHAPE), one), one)
    assert scored["unsatisfied"] == 100 / 8
    assert scored["least"] == 1.0


WEIGHTS = (
    1.9**-2.06,
    0.9**-2.06,
)  # of Balint and Schoening, of a variable that breaks one clause and of one that breaks none


@pytest.mark.parametrize(
    ("name", "chance"),
    [
        ("random_walk", 1 / 3),
        ("greedy", 0.0),
        ("fewest_breaks", 0.0),
        ("probsat", WEIGHTS[0] / (WEIGHTS[0] + 2 * WEIGHTS[1])),
    ],
)
def test_a_baseline_flips_a_variable_as_often_as_its_authors_say(problem, name, chance):
    """One clause, (x or y or z), is false; x alone would break another, so that one is left over."""
    clauses, start, table = (
        np.array([[1, 2, 3], [-1, 4, 5]]),
        np.zeros(5, bool),
        table_of(problem.baselines[name]),
    )
    worst = 0
    for place in range(1000):
        one = Case("a", hidden=Formula(clauses, start, np.array([[0.5, (place + 0.5) / 1000]])))
        worst += simulate(table, one).fewest
    assert worst == pytest.approx(1000 * chance, abs=1)


def test_baselines_stand_in_the_order_that_is_known_of_them(judge, problem):
    for suite in problem.unseen:
        found = {
            name: judge.judge(Job(source, suite=suite)).evaluation.objective
            for name, source in problem.baselines.items()
        }
        assert found["fewest_breaks"] < found["random_walk"]
        if suite != "denser":  # it was set for formulas of the usual density
            assert found["probsat"] < found["fewest_breaks"]


@pytest.mark.parametrize("value", ["np.nan", "np.inf", "-np.inf", "7.0", "1e308"])
def test_a_table_that_tells_nothing_apart_is_the_random_walk(value):
    table = np.full(SHAPE, eval(value))
    table[np.isnan(table)] = -np.inf  # as the evaluator does
    assert simulate(table, case(5, 40)) == simulate(np.zeros(SHAPE), case(5, 40))


@pytest.mark.parametrize(
    "answer", ["np.zeros(7)", "np.zeros((1, 1, 1, 1))", "'1.0'", "{'unsatisfied': 0.0}", "[True] * 200"]
)
def test_an_assignment_or_a_claim_instead_of_a_table_is_rejected(judge, answer):
    source = f"import numpy as np\ndef preference(makes, breaks, age, n):\n    return {answer}\n"
    assert judge.judge(Job(source)).evaluation.status == "rejected"


def test_formulas_are_of_the_size_and_kind_that_is_told(problem):
    for one in (*problem.cases, *problem.unseen["denser"]):
        given = one.hidden
        n = len(given.start)
        assert len(given.clauses) == round((5.5 if one.name.startswith("denser") else 4.26) * n)
        variables = np.sort(np.abs(given.clauses), axis=1)
        assert (np.diff(variables, axis=1) > 0).all()
        assert variables.min() >= 1
        assert variables.max() <= n
        assert given.luck.shape == (10 * n, 2)


def test_fresh_formulas_are_new(problem):
    first, second = (problem.fresh(np.random.default_rng(seed)) for seed in (1, 2))
    for one, other, shipped in zip(first, second, problem.cases, strict=True):
        assert one.hidden.clauses.shape == shipped.hidden.clauses.shape
        assert not np.array_equal(one.hidden.clauses, other.hidden.clauses)
        assert not np.array_equal(one.hidden.clauses, shipped.hidden.clauses)


@pytest.mark.parametrize("given", [{"n": 19}, {"formulas": 1}])
def test_a_size_that_is_not_served_is_refused(given):
    with pytest.raises(ProblemError, match="20 to 1000, and 2 to 200"):
        load("maxsat_flip", given)
