"""Schemes for matrix multiplication: what is certified, what is refuted, and what policies give."""

import copy
import random
from itertools import product

import numpy as np
import pytest

from evolve.errors import ProblemError
from evolve.evaluator import Job, Judge
from evolve.loader import load
from evolve.problems import matmul_rank
from evolve.statement import Case, Rejected

CASE = Case("a", hidden={"sides": (2, 2, 3), "offers": 1, "seeds": (0,)})


def unit(rows, columns, row, column):
    return [[int((i, j) == (row, column)) for j in range(columns)] for i in range(rows)]


def definition(n=2, m=2, p=3):
    """The scheme with a term for each product of two entries."""
    return [
        [unit(n, m, i, j), unit(m, p, j, k), unit(n, p, i, k)]
        for i, j, k in product(range(n), range(m), range(p))
    ]


def checked(terms, n=2, m=2, p=3):
    return matmul_rank.check({"n": n, "m": m, "p": p, "terms": terms})


def outcome(terms):
    return tuple(np.array(matrices) for matrices in zip(*terms, strict=True)), [len(terms)], 0.0


@pytest.fixture(scope="module")
def judge():
    judge = Judge(load("matmul_rank", {"offers": 2000, "walks": 2}))
    yield judge
    judge.close()


@pytest.mark.parametrize("sides", [(1, 1, 1), (2, 2, 2), (2, 3, 2), (3, 1, 2), (3, 3, 3), (4, 4, 4)])
def test_the_definition_is_certified(sides):
    n, m, p = sides
    assert checked(definition(*sides), *sides) == f"{n * m * p}.{3 * n * m * p:03d}"


def test_score_and_certificate_agree_on_the_definition():
    scores = matmul_rank.score(outcome(definition()), CASE)
    assert scores == {"rank": 12.036, "density": 1.0, "typical": 1.0, "made": 0.0}
    certificate = matmul_rank.certify(outcome(definition()), CASE)
    assert certificate.valid
    assert certificate.value == "12.036"


def test_what_would_wrap_around_in_64_bits_is_seen():
    huge = [[[2**32, 0], [0, 0]], [[2**32, 0, 0], [0, 0, 0]], [[1, 0, 0], [0, 0, 0]]]
    assert int(np.prod(np.array([2**32, 2**32], dtype=np.int64))) == 0
    with pytest.raises(ValueError, match=r"A\[0\]\[0\] B\[0\]\[0\] comes 18446744073709551617 times"):
        checked([*definition(), huge])


def test_terms_that_cancel_each_other_count_nevertheless():
    term = definition()[0]
    negative = [[[-entry for entry in row] for row in term[0]], *term[1:]]
    assert checked([*definition(), term, negative]) == "14.042"


@pytest.mark.parametrize("value", [1.0, True, "1", None, float("nan"), [1]])
def test_an_entry_that_is_no_whole_number_is_refuted(value):
    terms = definition()
    terms[3][1][0][0] = value
    with pytest.raises(ValueError, match="matrix of whole numbers"):
        checked(terms)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda terms: terms.pop(), "comes 0 times"),
        (lambda terms: terms.append(terms[0]), "comes 2 times"),
        (lambda terms: terms.append(None), "three matrices"),
        (lambda terms: terms[0].pop(), "three matrices"),
        (lambda terms: terms[0].append(terms[0][0]), "three matrices"),
        (lambda terms: terms[0][0].append([0, 0]), "no 2 x 2 matrix"),
        (lambda terms: terms[0][1][0].pop(), "no 2 x 3 matrix"),
        (lambda terms: terms[0].reverse(), "no 2 x 2 matrix"),
        (lambda terms: terms[0].__setitem__(2, 0), "no 2 x 3 matrix"),
        (lambda terms: terms.clear(), "comes 0 times"),
    ],
)
def test_what_is_no_scheme_is_refuted(change, says):
    terms = definition()
    change(terms)
    with pytest.raises(ValueError, match=says):
        checked(terms)


@pytest.mark.parametrize("sides", [(2, 2, 2), (3, 2, 2), (2, 2, True), (2, 2, 0), (0, 0, 0), (-1, 2, 3)])
def test_a_scheme_for_other_sides_is_refuted(sides):
    with pytest.raises(ValueError, match=r"matrix of whole numbers|whole numbers from 1"):
        checked(definition(), *sides)


def test_a_thousand_coefficients_do_not_pass_for_one_term_more():
    full = [[[1] * 3] * 3 for _ in range(3)]
    negative = [[[-1] * 3] * 3, *full[1:]]
    with pytest.raises(ValueError, match="three digits"):
        checked([*definition(3, 3, 3), *[full, negative] * 18], 3, 3, 3)


def test_twenty_random_corruptions_are_refuted():
    rng = random.Random(1)
    for _ in range(20):
        terms = copy.deepcopy(definition())
        matrix = terms[rng.randrange(12)][rng.randrange(3)]
        row, column = rng.randrange(2), rng.randrange(2)
        matrix[row][column] = rng.choice([e for e in (-1, 0, 1, 2, 2**64) if e != matrix[row][column]])
        with pytest.raises(ValueError, match="comes"):
            checked(terms)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda terms: terms.pop(), "do not sum up"),
        (lambda terms: terms.append(terms[0]), "do not sum up"),
        (lambda terms: terms[0][0].__setitem__(0, [2, 0]), "not -1, 0 or 1"),
        (lambda terms: terms[0][0].__setitem__(0, [-1, 0]), "do not sum up"),
    ],
)
def test_score_rejects_what_is_no_scheme(change, says):
    terms = definition()
    change(terms)
    with pytest.raises(Rejected, match=says):
        matmul_rank.score(outcome(terms), CASE)
    with pytest.raises(Rejected, match="other shapes"):
        matmul_rank.score(outcome(definition(2, 3, 2)), CASE)


@pytest.mark.parametrize("sides", [(2, 2, 2), (3, 2, 2), (3, 3, 3)])
@pytest.mark.parametrize("kind", ["always", "by lot", "never"])
def test_a_plain_simulation_gives_the_same(sides, kind):
    rng = np.random.default_rng(len(kind))
    table = {"always": np.ones(1), "by lot": rng.random((9, 9, 9, 9, 10)), "never": np.full(1, -np.inf)}[kind]
    case = Case("a", hidden={"sides": sides, "offers": 3000, "seeds": (1, 2, 2**31 - 1)})
    table = np.array(np.broadcast_to(table, (9, 9, 9, 9, 10)))
    fast, slow = matmul_rank.simulate(table, case), matmul_rank.plain(table, case)
    assert fast[1:] == slow[1:]
    assert all(np.array_equal(one, two) for one, two in zip(fast[0], slow[0], strict=True))


def test_the_random_walk_finds_strassens_number():
    judge = Judge(load("matmul_rank", {"n": 2, "m": 2, "p": 2, "offers": 60_000}))
    judged = judge.judge(Job(matmul_rank.ALWAYS, detail=True))
    judge.close()
    certificate = judge.problem.certify(judged.outcomes["2x2x2"], judge.problem.cases[0])
    assert certificate.value == f"{judged.evaluation.objective:.3f}"
    assert certificate.value.startswith("7.")


CHEATS = {
    "reports its score": "return 23.0 + 0 * a",
    "no number": "return np.nan * a",
    "beyond all": "return np.inf * a",
    "never": "return -np.inf * a",
    "huge": "return 1e308 * 10.0 * a",
    "truth values": "return a > 0",
    "another shape": "return np.ones((9, 9, 9, 9, 11))",
    "a scheme by heart": "return [[1, 0, 0, 1]] * 7",
    "text": "return 'seven'",
}


@pytest.mark.parametrize("name", CHEATS)
def test_an_answer_that_would_like_to_be_more_is_no_more_than_it_is(judge, name):
    judged = judge.judge(
        Job(f"import numpy as np\ndef passes(a, b, c, d, t):\n    {CHEATS[name]}\n", detail=True)
    )
    if judged.evaluation.status == "ok":
        case = judge.problem.cases[0]
        certificate = judge.problem.certify(judged.outcomes[case.name], case)
        assert certificate.value == f"{judged.evaluation.objective:.3f}"
        assert judged.evaluation.objective > 24  # 2,000 offers are not enough for that
    else:
        assert judged.evaluation.status in ("rejected", "protocol")


def test_fresh_walks_have_lots_of_their_own():
    problem = load("matmul_rank", {"offers": 100})
    one, other = (problem.fresh(np.random.default_rng(seed))[0].hidden for seed in (1, 2))
    assert set(one["seeds"]).isdisjoint(other["seeds"])
    assert set(one["seeds"]).isdisjoint(problem.cases[0].hidden["seeds"])


@pytest.mark.parametrize("sides", [{"n": 1}, {"m": 4}, {"p": 0}])
def test_sides_that_are_not_served_are_refused(sides):
    with pytest.raises(ProblemError, match="each is 2 or 3"):
        load("matmul_rank", sides)
