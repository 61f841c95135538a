"""sumdiff: sets whose counts are known, an independent evaluation, and answers that pretend."""

import random
from fractions import Fraction
from math import comb, log, log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.errors import ProblemError
from evolve.evaluator import Job, Judge
from evolve.fastcore.kernels.sumset import LARGEST
from evolve.loader import load
from evolve.problems import sumdiff
from evolve.statement import Case, Rejected

CASE = Case("a", hidden=4096)


@pytest.fixture(scope="module")
def judge():
    judge = Judge(load("sumdiff", {"d": 3, "b": 3}))
    yield judge
    judge.close()


def plain(members):
    """Sums, differences and the exponent, from the definition."""
    sums = {a + b for a in members for b in members}
    differences = {a - b for a in members for b in members}
    return len(sums), len(differences), 1 + log(len(differences) / len(sums)) / log(2 * max(members) + 1)


# Members, |U + U|, |U - U|.
KNOWN = {
    "of the seed": ([0, 1, 3], 6, 7),
    "a perfect ruler": ([0, 1, 4, 6], 10, 13),
    "the shortest ruler with six marks (Golomb)": ([0, 1, 4, 10, 12, 17], 21, 31),
    "Conway's set, with more sums than differences": ([0, 2, 3, 4, 7, 11, 12, 14], 26, 25),
    "an interval": (list(range(50)), 99, 99),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_sets_have_their_known_counts(name):
    members, sums, differences = KNOWN[name]
    exact = 1 + log(differences / sums) / log(2 * max(members) + 1)
    scores = sumdiff.score(np.array(members), CASE)
    assert (scores["sums"], scores["differences"]) == (sums, differences)
    assert scores["exponent"] == pytest.approx(exact, rel=1e-14)
    value = Fraction(sumdiff.check({"members": members}))
    assert 0 <= Fraction(exact) - value + Fraction(1, 10**15) < Fraction(3, 10**15)


@pytest.mark.parametrize(("d", "b"), [(1, 5), (2, 4), (3, 3), (4, 4), (5, 3)])
def test_the_simplex_has_the_counts_of_its_formula(d, b):
    """Gyarmati, Hennecart, Ruzsa 2007: points of d coordinates whose sum is at most L = b - 1."""
    large = b - 1
    names = {}
    exec(sumdiff.SIMPLEX, names)
    case = sumdiff._case(d, b, 4096)
    scores = sumdiff.score(names["members"](*case.inputs), case)
    assert scores["members"] == pytest.approx(log2(comb(large + d, d)))
    assert scores["sums"] == comb(2 * large + d, d)
    # k coordinates are positive; the others are zero or negative.
    assert scores["differences"] == sum(
        comb(d, k) * comb(large, k) * comb(large + d - k, d - k) for k in range(min(d, large) + 1)
    )


@given(st.sets(st.integers(1, 500), min_size=1, max_size=25), st.integers(0, 10**6), st.randoms())
@settings(max_examples=60)
def test_score_and_certificate_say_what_the_definition_says(members, shift, rng):
    found = [0, *sorted(members)]
    sums, differences, exponent = plain(found)
    given = [member + shift for member in found] * 2 + [-1, -(10**9)]
    rng.shuffle(given)
    scores = sumdiff.score(np.array(given), CASE)
    assert (scores["sums"], scores["differences"]) == (sums, differences)
    assert scores["exponent"] == pytest.approx(exponent, rel=1e-13)
    assert 0.0 < scores["apart"] <= 1.0
    certificate = sumdiff.certify(np.array(given), CASE)
    assert certificate.data == {"members": found}
    assert float(certificate.value) == pytest.approx(exponent, abs=2e-15)


def test_the_value_of_a_certificate_is_not_above_the_true_one():
    # Of a symmetric set the true value is 1: nothing is rounded in its favour.
    for count in range(2, 60):
        assert 1 - Fraction(1, 10**14) < Fraction(sumdiff.check({"members": list(range(count))})) <= 1


def test_each_corruption_is_refuted_or_worth_what_it_is_worth():
    rng = random.Random(1)
    held = [0, 1, 4, 10, 12, 17, 40, 99]
    refuted = 0
    for _ in range(20):
        members = list(held)
        place = rng.randrange(len(members))
        one = members[place]
        change = rng.choice(
            [[], [-1], [0.5], [True], [None], ["1"], [one, one], [one + 1], [10 * one + 7], [one, 50]]
        )
        members[place : place + 1] = change
        try:
            value = sumdiff.check({"members": members})
        except ValueError:
            refuted += 1
        else:
            assert float(value) == pytest.approx(plain(members)[2], abs=2e-15)
            assert value != sumdiff.check({"members": held})
    assert 5 < refuted < 20


@pytest.mark.parametrize(
    "members",
    [
        [],
        [0],
        [1, 2],
        [0, 0],
        [0, 1, 1],
        [0, -1],
        [0, 1.0],
        [0, True],
        [False, 1],
        [0, "1"],
        [0, None],
        [0, 1 << 26],
    ],
)
def test_what_is_no_set_with_0_in_it_is_refuted(members):
    with pytest.raises(ValueError, match=r"member"):
        sumdiff.check({"members": members})


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ([], "0 members; from 2 to 4096"),
        ([5], "1 members"),
        ([5, 5, 5, -1], "1 members"),
        ([-1, -2, -3], "0 members"),
        (list(range(4097)), "4097 members"),
        ([0, LARGEST + 1], "above"),
        ([1 << 62, 0], "above"),
        ([(1 << 63) - 1, -(1 << 63), 0], "above"),
    ],
)
def test_what_is_no_set_of_the_size_that_is_asked_for_is_rejected(answer, says):
    for function in (sumdiff.score, sumdiff.certify):
        with pytest.raises(Rejected, match=says):
            function(np.array(answer, np.int64), CASE)
    assert sumdiff.score(np.array([0, LARGEST]), CASE)["exponent"] == 1.0


def test_candidates_neither_carry_nor_repeat():
    for d, b in ((1, 2), (3, 3), (2, 5)):
        words, numbers = sumdiff._case(d, b, 4096).inputs
        assert words.shape == (d, b**d)
        assert (np.diff(numbers) > 0).all()
        columns = [tuple(column) for column in words.T]
        assert len(set(columns)) == b**d
        pairs = {tuple(np.subtract(one, other)): [] for one in columns for other in columns}
        for one, first in zip(columns, numbers, strict=True):
            for other, second in zip(columns, numbers, strict=True):
                pairs[tuple(np.subtract(one, other))].append(first - second)
        differences = [set(found) for found in pairs.values()]
        assert all(len(found) == 1 for found in differences)
        assert len(set.union(*differences)) == (2 * b - 1) ** d


@given(sumdiff.strategy())
@settings(max_examples=30, deadline=None)
def test_score_is_exact_on_the_baselines_of_any_shape(case):
    for source in (sumdiff.SIMPLEX, sumdiff.RULER):
        names = {}
        exec(source, names)
        answer = names["members"](*case.inputs)
        found = sumdiff.chosen(answer, case).tolist()
        scores = sumdiff.score(answer, case)
        assert (scores["sums"], scores["differences"]) == plain(found)[:2]


PRETENDERS = {
    "reported": "return {'exponent': 2.0, 'members': [0, 1, 3]}",
    "counts": "return [0, 1, 3], 1, 1000",
    "halves": "return np.array([0.0, 0.5, 1.0])",
    "whole floats": "return k.astype(float)",
    "not a number": "return np.array([np.nan, 1.0, 3.0])",
    "beyond 64 bits": "return [0, 1, 2**64]",
    "beyond 63 bits": "return np.array([0, 1, 2**63], np.uint64)",
    "a table": "return np.array([[0, 1], [3, 7]])",
    "one number": "return 3",
    "text": "return '0 1 3'",
}


@pytest.mark.parametrize("name", PRETENDERS)
def test_an_answer_that_pretends_is_rejected(judge, name):
    source = f"import numpy as np\ndef members(x, k):\n    {PRETENDERS[name]}\n"
    evaluation = judge.judge(Job(source)).evaluation
    assert evaluation.status == "rejected", evaluation


def test_repeating_members_and_adding_some_below_zero_changes_nothing(judge):
    values = {
        judge.judge(
            Job(f"import numpy as np\ndef members(x, k):\n    return {answer}\n")
        ).evaluation.objective
        for answer in ("[0, 1, 4, 6]", "[6, 4, 1, 0] * 9", "[0, 1, 4, 6, -1, -7]", "[106, 104, 101, 100]")
    }
    assert values == {1 + log(13 / 10) / log(13)}


def test_truth_values_are_no_more_than_0_and_1(judge):
    evaluation = judge.judge(Job("def members(x, k):\n    return k < 4\n")).evaluation
    assert (evaluation.status, evaluation.objective) == ("ok", 1.0)


def test_what_was_fitted_to_one_shape_shows_it_on_the_unseen_ones():
    judge = Judge(load("sumdiff"))
    block = "import numpy as np\ndef members(x, k):\n    return np.where(np.sum(x, 0) < {}, k, -1)\n"
    fitted = judge.judge(Job(block.format(6))).evaluation.objective
    assert fitted > 1.117
    for suite in judge.problem.unseen:
        assert judge.judge(Job(block.format(6), suite=suite)).evaluation.objective < fitted
    judge.close()


@pytest.mark.parametrize(("d", "b"), [(7, 2), (1, 4), (9, 4), (5, 9)])
def test_a_shape_that_is_not_served_is_refused(d, b):
    with pytest.raises(ProblemError, match="digits below"):
        load("sumdiff", {"d": d, "b": b})
