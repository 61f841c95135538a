"""erdos_overlap: published step functions, an independent evaluation, and answers that pretend."""

import random
from fractions import Fraction
from math import lcm

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.evaluator import Job, Judge
from evolve.loader import load
from evolve.problems import erdos_overlap
from evolve.statement import Case, Rejected

# Haugland, arXiv:1609.08000: the left half and the middle of a symmetric step function with 51 steps.
PRINTED = """
0 0 0 0 0 0.0002938681556273 0.5952882223921177 0.7844530825484313 0.8950034338013842 0.0597964076006748
0.0189602838469592 0.7420501628172980 0.6444559588500921 0.3549040817844764 0.8762442385073478 0.5437907313675501
0.2679640048997296 0.8518954615823791 0.5211171156914872 1 0.5506146790047043 0.9007715390796991
0.8229000691941086 0.8879541710440111 0.9315424878319221 1
"""
LEFT = [Fraction(number) for number in PRINTED.split()]
HAUGLAND = [*LEFT, *LEFT[-2::-1]]


@pytest.fixture(scope="module")
def judge():
    judge = Judge(load("erdos_overlap", {"n": 12}))
    yield judge
    judge.close()


def case(n):
    return Case("a", inputs=(np.zeros(n),))


def plain(heights):
    """The value from its definition, for heights of mean 1/2."""
    n = len(heights)
    assert 2 * sum(heights) == n
    overlaps = [
        sum(heights[i] * (1 - heights[i + k]) for i in range(n) if 0 <= i + k < n) for k in range(1 - n, n)
    ]
    return Fraction(2, n) * max(overlaps)


def data(heights):
    """A certificate's data for heights as fractions."""
    one = lcm(*(height.denominator for height in heights))
    return {"n": len(heights), "denominator": one, "heights": [int(height * one) for height in heights]}


def test_the_published_function_of_51_steps_is_worth_what_was_published():
    heights = [int(height * 10**16) for height in HAUGLAND]
    printed = {"n": 51, "denominator": 10**16, "heights": heights}
    assert round(Fraction(erdos_overlap.check(printed)), 16) == Fraction("0.3809268534330870")
    for place in range(51):  # a unit in the sixteenth place of any of them is refuted
        changed = [height + (index == place) for index, height in enumerate(heights)]
        with pytest.raises(ValueError, match=r"the integral is not 1|a height is no"):
            erdos_overlap.check({**printed, "heights": changed})
    for repeated in (1, 4):
        answer = np.repeat([float(height) for height in HAUGLAND], repeated)
        certificate = erdos_overlap.certify(answer, case(len(answer)))
        assert certificate.valid
        assert float(Fraction(certificate.value)) == pytest.approx(0.3809268534330870, abs=1e-11)
        assert erdos_overlap.score(answer, case(len(answer)))["overlap"] == pytest.approx(
            float(Fraction(certificate.value)), rel=1e-13
        )


def test_two_and_three_steps_are_worth_what_was_published():
    thirds = [Fraction(1, 3), Fraction(2, 3)]
    assert erdos_overlap.check(data(thirds)) == "4/9"
    assert erdos_overlap.check(data([Fraction(1, 2)])) == "1/2"
    problem = load("erdos_overlap")
    judge = Judge(problem)
    for name, value in {"two_steps": 4 / 9, "three_steps": 0.4}.items():
        for suite in ("", *problem.unseen):
            judged = judge.judge(Job(problem.baselines[name], suite=suite, detail=True))
            assert judged.evaluation.objective == pytest.approx(value, abs=1e-11)
            ((one, answer),) = judged.outcomes.items()
            cases = [*problem.cases, *(case for suite in problem.unseen.values() for case in suite)]
            certificate = problem.certify(answer, next(case for case in cases if case.name == one))
            assert float(Fraction(certificate.value)) == pytest.approx(value, abs=1e-11)
    judge.close()


@given(st.lists(st.integers(0, 1 << 44), min_size=1, max_size=10).filter(any))
def test_the_certificate_says_what_the_definition_says(numbers):
    top = max(numbers)
    heights = [Fraction(number, 2 * top) for number in numbers]
    heights += [1 - height for height in heights]
    assert erdos_overlap.check(data(heights)) == str(plain(heights))


@given(st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=12))
def test_every_answer_becomes_a_function_of_the_kind_that_is_sought(row):
    answer, one = np.array(row), case(len(row))
    certificate = erdos_overlap.certify(answer, one)
    assert certificate.valid
    heights = [Fraction(p, certificate.data["denominator"]) for p in certificate.data["heights"]]
    assert certificate.value == str(plain(heights))
    assert erdos_overlap.score(answer, one)["overlap"] == pytest.approx(float(plain(heights)), rel=1e-12)
    for same in (answer[::-1], np.clip(answer, 0.0, 1.0)):
        assert erdos_overlap.certify(same, one).value == certificate.value


@given(erdos_overlap.strategy())
@settings(max_examples=30)
def test_no_baseline_is_below_the_proven_bound_at_any_number_of_steps(one):
    for source in (erdos_overlap.TWO_STEPS, erdos_overlap.THREE_STEPS):
        names = {}
        exec(source, names)
        assert 0.379005 < erdos_overlap.score(names["heights"](*one.inputs), one)["overlap"] <= 0.5 + 1e-12


def test_each_corruption_is_refuted():
    rng = random.Random(1)
    held = erdos_overlap.certify(np.linspace(0.0, 1.0, 30) ** 2, case(30)).data
    for _ in range(20):
        heights, one = list(held["heights"]), held["denominator"]
        place = rng.randrange(30)
        change = rng.choice(
            [
                [],
                [-1],
                [0.5],
                [True],
                [None],
                ["1"],
                [heights[place]] * 2,
                [heights[place] + 1],
                [heights[place] - 1],
                [one + 1],
            ]
        )
        heights[place : place + 1] = change
        with pytest.raises(ValueError, match=r"height|integral"):
            erdos_overlap.check({"n": 30, "denominator": one, "heights": heights})
    for changes in ({"denominator": held["denominator"] + 1}, {"n": 29}, {"denominator": 0}):
        with pytest.raises(ValueError, match=r"height|integral|denominator"):
            erdos_overlap.check({**held, **changes})


def test_what_is_moved_from_one_step_to_another_is_worth_what_it_is_worth():
    held = erdos_overlap.certify(np.linspace(0.1, 0.9, 30), case(30)).data
    heights, one = list(held["heights"]), held["denominator"]
    heights[3], heights[20] = heights[3] + 12345, heights[20] - 12345
    value = erdos_overlap.check({**held, "heights": heights})
    assert value == str(plain([Fraction(height, one) for height in heights]))
    assert value != erdos_overlap.check(held)


@pytest.mark.parametrize("level", [0.0, -5.0, 0.3, 0.5, 1.0, 1e308])
def test_any_constant_is_the_constant_one_half(level):
    assert erdos_overlap.certify(np.full(7, level), case(7)).value == "1/2"


def test_a_height_beyond_one_by_a_billionth_is_one():
    answer = np.array([0.0, 0.0, 1.0, 1.0])
    for other in (answer, answer * (1.0 + 1e-9), answer - 1e-9 * (1.0 - answer)):
        assert erdos_overlap.score(other, case(4))["overlap"] == 1.0


def test_measures_tell_a_mirror_image_and_a_plateau():
    step = erdos_overlap.score(np.array([0.0, 0.0, 1.0, 1.0]), case(4))
    assert (step["skew"], step["plateau"]) == (1.0, 1 / 7)
    level = erdos_overlap.score(np.array([1.0, 2.0]) / 3.0, case(2))  # level from a shift by a step to none
    assert level["skew"] == pytest.approx(1 / 3)
    assert level["plateau"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("length", [0, 2, 4])
def test_an_answer_of_the_wrong_length_is_rejected(length):
    for function in (erdos_overlap.score, erdos_overlap.certify):
        with pytest.raises(Rejected, match=f"{length} heights, 3 are asked for"):
            function(np.full(length, 0.5), case(3))


PRETENDERS = {
    "reported": "return {'overlap': 0.3, 'heights': list(x)}",
    "not a number": "return x * np.nan",
    "infinite": "return 1.0 / (x - x[0])",
    "one number": "return 0.5",
    "a table": "return np.full((len(x), 2), 0.5)",
    "text": "return 'halves'",
}


@pytest.mark.parametrize("name", PRETENDERS)
def test_an_answer_that_pretends_is_rejected(judge, name):
    source = f"import numpy as np\ndef heights(x):\n    {PRETENDERS[name]}\n"
    evaluation = judge.judge(Job(source)).evaluation
    assert evaluation.status == "rejected", evaluation


def test_a_list_that_was_made_for_one_number_of_steps_fails_on_the_others(judge):
    source = f"def heights(x):\n    return {[0.3] * 6 + [0.7] * 6}\n"
    assert judge.judge(Job(source)).evaluation.status == "ok"
    for suite in judge.problem.unseen:
        evaluation = judge.judge(Job(source, suite=suite)).evaluation
        assert (evaluation.status, "are asked for" in evaluation.message) == ("rejected", True)
