"""autocorr1: closed forms, published functions, an independent evaluation, and answers that pretend."""

import random
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.evaluator import Job, Judge
from evolve.loader import load
from evolve.problems import autocorr1
from evolve.statement import Case, Rejected


@pytest.fixture(scope="module")
def judge():
    judge = Judge(load("autocorr1", {"n": 60}))
    yield judge
    judge.close()


def case(n):
    return Case("a", inputs=(np.zeros(n),))


def plain(heights):
    """The value from its definition."""
    n = len(heights)
    knots = [
        sum(heights[i] * heights[k - i] for i in range(max(0, k - n + 1), min(n, k + 1)))
        for k in range(2 * n)
    ]
    return Fraction(2 * n * max(knots), sum(heights) ** 2)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 40])
def test_a_constant_is_worth_two_and_the_central_binomials_what_their_formula_says(n):
    assert autocorr1.check({"n": n, "heights": [7] * n}) == "2"
    heights = [
        comb(2 * i, i) * 4 ** (n - 1 - i) for i in range(n)
    ]  # Schinzel, Schmidt: the first n knots are level
    assert autocorr1.check({"n": n, "heights": heights}) == str(Fraction(16**n, 2 * n * comb(2 * n, n) ** 2))


def test_the_published_functions_are_worth_what_was_published():
    problem = load("autocorr1")
    judge = Judge(problem)
    values = {}
    for name, source in problem.baselines.items():
        judged = judge.judge(Job(source, detail=True))
        certificate = problem.certify(judged.outcomes["n600"], problem.cases[0])
        assert certificate.valid
        values[name] = float(Fraction(certificate.value))
        assert values[name] == pytest.approx(judged.evaluation.objective, rel=1e-12)
    judge.close()
    # 4^(2n) / (2n C(2n, n)^2) at n = 600, and 1.52799, of which n steps show a little more.
    assert values["schinzel_schmidt"] == pytest.approx(16**600 / (1200 * comb(1200, 600) ** 2), rel=1e-9)
    assert 1.52799 < values["matolcsi_vinuesa"] < 1.52799 + 1e-4


@given(st.lists(st.integers(0, 1 << 45), min_size=1, max_size=12).filter(any))
def test_the_certificate_says_what_the_definition_says(heights):
    assert autocorr1.check({"n": len(heights), "heights": heights}) == str(plain(heights))


@given(st.lists(st.floats(-1.0, 1e9, width=32), min_size=1, max_size=12).filter(lambda row: max(row) > 0.0))
def test_score_and_certificate_agree_also_for_multiples_and_mirror_images(row):
    answer, one = np.array(row), case(len(row))
    value = autocorr1.score(answer, one)["value"]
    exact = Fraction(autocorr1.certify(answer, one).value)
    assert value == pytest.approx(float(exact), rel=1e-13)
    for other in (answer[::-1], answer * 2.0**30, answer * 2.0**-900):
        assert Fraction(autocorr1.certify(other, one).value) == exact


@given(autocorr1.strategy())
@settings(max_examples=30)
def test_no_baseline_is_below_the_proven_bound_at_any_number_of_steps(one):
    for source in (autocorr1.SCHINZEL_SCHMIDT, autocorr1.MATOLCSI_VINUESA):
        names = {}
        exec(source, names)
        assert 1.28 < autocorr1.score(names["heights"](*one.inputs), one)["value"] <= 2.0


def test_each_corruption_is_refuted_or_worth_what_it_is_worth():
    rng = random.Random(1)
    data = autocorr1.certify(np.linspace(0.0, 1.0, 30), case(30)).data
    refuted = 0
    for _ in range(20):
        heights = list(data["heights"])
        place = rng.randrange(30)
        heights[place : place + 1] = rng.choice(
            [[], [-1], [0.5], ["1"], [True], [None], [1, 1], [heights[place] + 1], [1 << 70]]
        )
        corrupted = {"n": 30, "heights": heights}
        try:
            value = autocorr1.check(corrupted)
        except ValueError:
            refuted += 1
        else:
            assert value == str(plain(heights)) != autocorr1.check(data)
    assert 5 < refuted < 20


@pytest.mark.parametrize("heights", [[1, 2], [1, 2, 3, 4], [0, 0, 0], [1, -1, 1], [1, 1.0, 1], [1, "2", 3]])
def test_what_is_no_function_of_three_steps_is_refuted(heights):
    with pytest.raises(ValueError, match=r"height"):
        autocorr1.check({"n": 3, "heights": heights})


@pytest.mark.parametrize("answer", [[1.0, 1.0], [1.0] * 4, [0.0] * 3, [-1.0, -2.0, -1e-9], [-0.0, -1.0, 0.0]])
def test_an_answer_of_the_wrong_length_or_without_anything_above_zero_is_rejected(answer):
    with pytest.raises(Rejected, match="height"):
        autocorr1.score(np.array(answer), case(3))
    with pytest.raises(Rejected, match="height"):
        autocorr1.certify(np.array(answer), case(3))


@pytest.mark.parametrize("scale", [1e308, 1e-300, 5e-324, 1.0])
def test_the_size_of_heights_is_worth_nothing_and_what_is_below_zero_is_zero(scale):
    answer = np.array([1.0, 0.0, 1.0, 0.0]) * scale
    assert autocorr1.score(answer, case(4))["value"] == 4.0
    answer[1] = -1e-9 * scale
    answer[3] = -1e9
    assert autocorr1.score(answer, case(4))["value"] == 4.0


def test_measures_tell_a_mirror_image_and_a_plateau():
    even = autocorr1.score(np.ones(10), case(10))
    assert (even["skew"], even["plateau"]) == (0.0, 1 / 19)
    series = np.cumprod(np.r_[1.0, (2 * np.arange(1, 200) - 1) / (2 * np.arange(1, 200))])
    level = autocorr1.score(series, case(200))
    assert level["skew"] > 0.3
    assert level["plateau"] == pytest.approx(200 / 399, abs=0.01)
    assert autocorr1.score(np.eye(10)[0], case(10))["skew"] == 1.0


PRETENDERS = {
    "reported": ("return {'value': 1.0, 'heights': list(x)}", "rejected"),
    "not a number": ("return x * np.nan", "rejected"),
    "infinite": ("return 1.0 / (x - x[0])", "rejected"),
    "one number": ("return 1.0", "rejected"),
    "a table": ("return np.ones((len(x), 2))", "rejected"),
    "text": ("return 'ones'", "rejected"),
    "complex": ("return x * 1j", "error"),
}


@pytest.mark.parametrize("name", PRETENDERS)
def test_an_answer_that_pretends_does_not_score(judge, name):
    body, status = PRETENDERS[name]
    source = f"import numpy as np\ndef heights(x):\n    {body}\n"
    evaluation = judge.judge(Job(source)).evaluation
    assert evaluation.status == status, evaluation


def test_a_float_that_divides_as_it_likes_is_taken_for_the_number_that_it_holds(judge):
    source = """
class Small(float):
    __truediv__ = __rtruediv__ = __mul__ = __add__ = __radd__ = lambda *_: 0.0


def heights(x):
    return [Small(1.0)] * len(x)
"""
    assert judge.judge(Job(source)).evaluation.objective == 2.0


def test_a_list_that_was_made_for_one_number_of_steps_fails_on_the_others(judge):
    source = f"def heights(x):\n    return {[1.0] * 60}\n"
    assert judge.judge(Job(source)).evaluation.objective == 2.0
    for suite in judge.problem.unseen:
        evaluation = judge.judge(Job(source, suite=suite)).evaluation
        assert (evaluation.status, "are asked for" in evaluation.message) == ("rejected", True)
