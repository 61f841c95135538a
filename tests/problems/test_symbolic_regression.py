"""symbolic_regression: its equations are what they are said to be, and only a formula does well on them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.errors import ProblemError
from evolve.evaluator import Job, Judge
from evolve.loader import load
from evolve.problems.symbolic_regression import equation_of, monomials, points_of
from evolve.spec import Misfit
from evolve.statement import Rejected

PROBLEM = load("symbolic_regression")
(TRAIN,) = PROBLEM.cases
HEAD = "import numpy as np\n\n\ndef formula(x, y, z):\n    return "


@pytest.fixture(scope="module")
def judge():
    judge = Judge(PROBLEM)
    yield judge
    judge.close()


def evaluated(judge, source, suite=""):
    return judge.judge(Job(source, suite=suite)).evaluation


def scored(answer, case=TRAIN):
    return PROBLEM.score(PROBLEM.returns.check(answer), case)


# -- equations


@pytest.mark.parametrize("equation", range(8))
def test_the_equation_as_a_program_has_no_error_anywhere(equation):
    problem = load("symbolic_regression", {"equation": equation})
    judge = Judge(problem)
    for suite in ("", *problem.unseen):
        found = judge.judge(Job(f"{HEAD}{equation_of(equation)}\n", suite=suite)).evaluation
        assert found.isolation == "interpreted"  # it uses what a program may use
        assert found.objective < 1e-28
    judge.close()


def test_an_equation_has_mean_0_and_deviation_1_and_is_neither_a_line_nor_a_paraboloid():
    for seed in range(12):
        points = points_of(np.random.default_rng(99), 2_000)
        t = equation_of(seed)(points)
        assert abs(t.mean()) < 0.15
        assert t.std() == pytest.approx(1.0, abs=0.15)
        for degree, least in ((1, 0.35), (2, 0.15)):
            terms = monomials(points, degree)[1]
            assert np.var(t - np.linalg.lstsq(terms.T, t, rcond=None)[0] @ terms) > least
    assert len({str(equation_of(seed)) for seed in range(16)}) == 16


def test_points_lie_in_the_cube_or_around_it():
    rng = np.random.default_rng(3)
    inside, outside = points_of(rng, 500), points_of(rng, 500, outside=True)
    assert inside.shape == outside.shape == (3, 500)
    assert np.abs(inside).max() <= 2.0 < np.abs(outside).max(axis=0).min()
    assert np.abs(outside).max() <= 3.0


def test_noise_is_the_error_of_the_equation_itself():
    noisy = load("symbolic_regression", {"noise": 0.5, "points": 5_000})
    judge = Judge(noisy)
    source = f"{HEAD}{equation_of(0)}\n"
    assert judge.judge(Job(source)).evaluation.objective == pytest.approx(0.25 / 1.25, rel=0.1)
    assert judge.judge(Job(source, suite="inside")).evaluation.objective < 1e-28
    judge.close()


@pytest.mark.parametrize("wrong", [{"equation": -1}, {"points": 49}, {"noise": -0.1}, {"noise": "nan"}])
def test_parameters_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ProblemError, match="equation is a seed from 0"):
        load("symbolic_regression", wrong)


# -- scores


def test_the_best_constant_scores_1_and_twice_the_error_four_times_as_much():
    t = TRAIN.hidden.t
    assert scored(float(t.mean()))["nmse"] == pytest.approx(1.0, rel=1e-12)
    assert scored(t)["nmse"] == 0.0
    assert scored(t + 0.2)["nmse"] == pytest.approx(4.0 * scored(t + 0.1)["nmse"])


@given(st.floats(1e-6, 1e60), st.booleans(), st.booleans())
@settings(max_examples=30)
def test_errors_in_one_place_show_where_it_is_at_any_scale(scale, right, above):
    x, y, _ = TRAIN.inputs
    here = ((x > 0.0) == right) & ((y > 0.0) == above)
    found = scored(TRAIN.hidden.t + scale * here)
    assert found["by_x"] == pytest.approx(float(right), abs=1e-6)
    assert found["by_y"] == pytest.approx(float(above), abs=1e-6)


def test_no_error_lies_nowhere():
    assert scored(TRAIN.hidden.t) == {"nmse": 0.0, "by_x": 0.5, "by_y": 0.5}


def test_an_error_everywhere_is_shared_as_the_points_are():
    x, y, _ = TRAIN.inputs
    found = scored(TRAIN.hidden.t + 1e100)
    assert found["by_x"] == pytest.approx(np.mean(x > 0.0))
    assert found["by_y"] == pytest.approx(np.mean(y > 0.0))


ANSWERS = {
    "NaN": np.full(400, math.nan),
    "one NaN": np.where(np.arange(400) == 7, math.nan, 0.0),
    "infinite": math.inf,
    "too large to be squared": np.full(400, 1e200),
    "one too few": np.zeros(399),
    "one too many": np.zeros(401),
    "nothing": np.zeros(0),
    "a column": np.zeros((400, 1)),
    "one in a list": [0.0],
    "a reported score": {"nmse": 0.0},
    "a text": "0.0",
    "texts": ["0.0"] * 400,
    "complex": [0j] * 400,
    "nothing at all": None,
    "too large a number": 10**400,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_no_prediction_is_refused(name):
    with pytest.raises((Misfit, Rejected)):
        scored(ANSWERS[name])


def test_the_largest_prediction_has_a_finite_score():
    assert all(map(math.isfinite, scored(np.where(np.arange(400) % 2, 1e100, -1e100)).values()))


# -- programs that would like to be better than they are


def test_numbers_learnt_by_heart_are_worthless_on_other_points(judge):
    t = TRAIN.hidden.t.tolist()
    by_place = f"def formula(x, y, z):\n    return {t}\n"
    assert evaluated(judge, by_place).objective == 0.0
    for suite in PROBLEM.unseen:
        assert evaluated(judge, by_place, suite).status == "rejected"
    by_point = f"T = dict(zip({TRAIN.inputs[0].tolist()}, {t}))\n\n\ndef formula(x, y, z):\n"
    by_point += "    return [T.get(one, 0.0) for one in x.tolist()]\n"
    assert evaluated(judge, by_point).objective < 0.3  # 27 of the points share their x
    for suite in PROBLEM.unseen:
        assert evaluated(judge, by_point, suite).objective > 0.9


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("1.0 / x", "rejected"),  # a pole in the middle
        ("np.log(x)", "rejected"),
        ("np.exp(np.exp(x * 3.0))", "rejected"),
        ("np.where(x > 0, np.nan, 0.0)", "rejected"),
        ("x[:5]", "rejected"),
        ("(lambda: 0.0)()", "ok"),
    ],
)
def test_a_formula_that_is_not_finite_is_rejected(judge, body, status):
    assert evaluated(judge, f"{HEAD}{body}\n").status == status


def test_a_float_that_lies_about_itself_is_a_float(judge):
    source = """
class Perfect(float):
    def __sub__(self, other):
        return 0.0
    __rsub__ = __mul__ = __rmul__ = __sub__


def formula(x, y, z):
    return Perfect(1.0)
"""
    plain = evaluated(judge, f"{HEAD}1.0\n").objective
    assert evaluated(judge, source).objective in (None, plain)


def test_a_pole_between_the_points_is_found_by_drawn_cases():
    from hypothesis import find

    def breaks(case):
        with np.errstate(all="ignore"):
            answer = 1.0 / (case.inputs[1] - 0.125)
        try:
            scored(answer, case)
        except (Misfit, Rejected):
            return True
        return False

    found = find(PROBLEM.strategy(), breaks, settings=settings(max_examples=2_000, database=None))
    assert 0.125 in found.inputs[1]  # how far a find is shrunk depends on what else the session has imported
    with np.errstate(all="raise"):
        scored(1.0 / (TRAIN.inputs[1] - 0.125))


@given(PROBLEM.strategy())
@settings(max_examples=30)
def test_the_equation_is_right_on_drawn_cases(case):
    assert scored(equation_of(0)(np.array(case.inputs)), case)["nmse"] < 1e-28


# -- baselines and suites


@pytest.mark.parametrize(("name", "degree"), [("line", 1), ("quadratic", 2), ("quartic", 4)])
def test_a_baseline_is_the_least_squares_fit(judge, name, degree):
    """What it leaves is orthogonal to everything that it is made of."""
    namespace = {}
    exec(PROBLEM.baselines[name], namespace)
    left = TRAIN.hidden.t - namespace["formula"](*TRAIN.inputs)
    x, y, z = TRAIN.inputs
    exponents = [(i, j, k) for i in range(5) for j in range(5) for k in range(5) if i + j + k <= degree]
    assert len(exponents) == math.comb(degree + 3, 3)
    for i, j, k in exponents:
        term = x**i * y**j * z**k
        assert abs(left @ term) < 1e-9 * np.linalg.norm(left) * np.linalg.norm(term)
    found = evaluated(judge, PROBLEM.baselines[name])
    assert found.isolation == "interpreted"
    assert found.objective == pytest.approx(float(left @ left) / 400 / np.var(TRAIN.hidden.t))


def test_baselines_are_ordered_on_points_that_they_were_fitted_to(judge):
    errors = [evaluated(judge, source).objective for source in PROBLEM.baselines.values()]
    assert 1.0 > errors[0] > errors[1] > errors[2] > 0.0


def test_fresh_cases_are_measured_as_the_training_case_was():
    noisy = load("symbolic_regression", {"noise": 0.5})
    (fresh,), (train,) = noisy.fresh(np.random.default_rng(1)), noisy.cases
    assert [row[:27].tolist() for row in fresh.inputs] == [row[:27].tolist() for row in train.inputs]
    assert [len(row) for row in fresh.inputs] == [len(row) for row in train.inputs]
    law = equation_of(0)
    left = [float(np.std(case.hidden.t - law(np.array(case.inputs)))) for case in (fresh, train)]
    assert left[0] == pytest.approx(left[1], rel=0.2)
    assert left[0] == pytest.approx(0.5, rel=0.2)


def test_suites_and_fresh_cases_share_no_point_with_the_training_case():
    seen = set(TRAIN.inputs[0].tolist()) - {-2.0, 0.0, 2.0}
    cases = [case for suite in PROBLEM.unseen.values() for case in suite]
    assert [len(case.inputs[0]) for case in cases] == [500] * 8
    cases += PROBLEM.fresh(np.random.default_rng(1))
    cases[-1] = replace(cases[-1], inputs=(cases[-1].inputs[0][27:],))  # without the lattice, which both have
    assert not any(seen & set(case.inputs[0].tolist()) for case in cases)
    again = load("symbolic_regression")
    assert np.array_equal(again.cases[0].hidden.t, TRAIN.hidden.t)
