"""Kissing configurations: what is certified, what is refuted, and what policies give."""

import itertools
import random

import numpy as np
import pytest

from evolve.errors import ProblemError
from evolve.evaluator import Job, Judge
from evolve.loader import load
from evolve.problems import kissing
from evolve.statement import Case, Rejected

CASE = Case("d4", hidden=(4, 4))
# The vertices of the 24-cell: 24 is the kissing number in dimension 4 (Musin 2008).
CELL = [list(v) for v in itertools.product((-2, -1, 0, 1, 2), repeat=4) if sum(x * x for x in v) == 4]


def certified(vectors, d=4):
    return kissing.certify((np.array(vectors, dtype=object), 1), Case("a", hidden=(d, 4)))


def checked(vectors, d=4):
    return kissing.check({"dimension": d, "vectors": vectors})


@pytest.fixture(scope="module")
def judge():
    judge = Judge(load("kissing"))
    yield judge
    judge.close()


def test_the_24_cell_is_certified_and_scored_and_nothing_can_be_added():
    assert checked(CELL) == "24"
    assert certified(CELL).statement == "24 spheres in dimension 4 touch one of their size and do not overlap"
    scores = kissing.score((np.array(CELL), 1), CASE)
    assert scores == {"count": 24, "antipodal": 1.0, "touching": 8 / 24, "levels": 0.0}
    for extra in ([2, 1, 0, 0], [1, 1, 1, 2], [1, 0, 0, 0]):
        with pytest.raises(ValueError, match="nearer"):
            checked([*CELL, extra])


@pytest.mark.parametrize("scale", [1, -3, 2**31, 2**32, 10**30])
def test_whole_numbers_of_any_size_are_exact(scale):
    large = [[x * scale for x in v] for v in CELL]
    assert checked(large) == "24"
    # One unit nearer: a number of 64 bits, or a float, would not see it.
    nearer = [v.copy() for v in large]
    nearer[0] = [x - (x > 0) + (x < 0) for x in nearer[0]]
    assert max(sum(x * x for x in v) for v in nearer) == 4 * scale * scale
    with pytest.raises(ValueError, match="nearer"):
        checked(nearer)


def test_an_overlap_that_64_bits_would_wrap_around_is_seen():
    assert (2**32) ** 2 % 2**64 == 0
    with pytest.raises(ValueError, match="nearer"):
        checked([[2**32, 0], [2**32, 1]], 2)


@pytest.mark.parametrize(
    ("vectors", "says"),
    [
        ([], "no vector"),
        ([[2, 0, 0, 0], [2, 0, 0, 0]], "nearer"),
        ([[0, 0, 0, 0]], "zero"),
        ([[2, 0, 0]], "whole numbers"),
        ([[2, 0, 0, 0, 0]], "whole numbers"),
        ([[2.0, 0, 0, 0]], "whole numbers"),
        ([[float("nan"), 0, 0, 0]], "whole numbers"),
        ([[True, 1, 1, 1]], "whole numbers"),
        ([["2", 0, 0, 0]], "whole numbers"),
        ([None], "whole numbers"),
        ([[2, 0, 0, 0], [3, 0, 0, 0]], "nearer"),
        ([[2, 0, 0, 0], [0, 3, 0, 0], [0, 0, 2, 0]], "nearer"),  # 8 < 9: all are held to the longest
    ],
)
def test_what_is_no_kissing_configuration_is_refuted(vectors, says):
    with pytest.raises(ValueError, match=says):
        checked(vectors)


def test_twenty_random_corruptions_are_refuted_or_worth_what_they_are():
    rng = random.Random(5)
    for _ in range(20):
        vectors = [v.copy() for v in CELL]
        place, axis = rng.randrange(24), rng.randrange(4)
        kind = rng.randrange(5)
        if kind == 0:
            vectors[place][axis] += rng.choice((-1, 1))
        elif kind == 1:
            vectors[place] = vectors[place - 1]
        elif kind == 2:
            vectors[place] = vectors[place][1:]
        elif kind == 3:
            vectors[place][axis] = float(vectors[place][axis])
        else:
            del vectors[place]
            assert checked(vectors) == "23"
            continue
        with pytest.raises(ValueError, match=r"whole numbers|nearer"):
            checked(vectors)


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ([2, 0, 0, 0], "nearer"),
        ([1, 1, 1, -1], "nearer"),
        ([3, 0, 0, 0], "squared length"),
        ([1, 1, 1, 0], "squared length"),
        ([0, 0, 0, 0], "squared length"),
    ],
)
def test_score_rejects_what_is_no_kissing_configuration_of_the_shell(extra, says):
    with pytest.raises(Rejected, match=says):
        kissing.score((np.array([*CELL, extra]), 1), CASE)
    with pytest.raises(Rejected, match="squared length"):
        kissing.score((np.zeros((0, 4), np.int64), 1), CASE)


@pytest.mark.parametrize("d", [3, 4, 5])
def test_the_lexicographic_baseline_takes_what_comes_first_in_the_dictionary(d):
    vectors = [v for v in itertools.product((-2, -1, 0, 1, 2), repeat=d) if sum(x * x for x in v) == 4]
    members = []
    for vector in sorted(vectors):
        if all(sum(x * y for x, y in zip(vector, one, strict=True)) <= 2 for one in members):
            members.append(vector)
    judge = Judge(load("kissing", {"d": d}))
    judged = judge.judge(Job(kissing.LEXICOGRAPHIC, detail=True))
    judge.close()
    found = [tuple(row) for row in judged.outcomes[f"d{d}"][0].tolist()]
    assert found == members


def test_a_plain_simulation_gives_the_same(judge):
    case = judge.problem.cases[0]
    rng = np.random.default_rng(3)
    size = judge.problem.grid_of(case).table_shape
    for table in (rng.integers(0, 3, size) * 1.0, np.where(rng.random(size) < 0.2, np.nan, rng.random(size))):
        fast, slow = (
            kissing.simulate(table, case),
            kissing.plain(np.where(np.isnan(table), -np.inf, table), case),
        )
        assert np.array_equal(fast[0], slow[0])


CHEATS = {
    "reports its score": "return 593",
    "more than there are": "return np.arange(v.shape[1] + 1)",
    "coordinates": "return v",
    "no number": "return np.full(v.shape[1], np.nan)",
    "beyond all": "return np.full(v.shape[1], np.inf)",
    "wraps around": "return np.sum(v, 0) * 2**62 * 4",
    "truth values": "return v[0] > 0",
    "a list by heart": "best = [3, 14, 15, 92, 65, 35]\n    return [1.0 * (j in best) for j in range(1136)]",
}


@pytest.mark.parametrize("name", CHEATS)
def test_an_answer_that_would_like_to_be_more_is_no_more_than_it_is(judge, name):
    source = f"import numpy as np\ndef priority(v, d):\n    {CHEATS[name]}\n"
    judged = judge.judge(Job(source, detail=True))
    evaluation = judged.evaluation
    if evaluation.status == "ok":
        assert judge.problem.certify(judged.outcomes["d8"], judge.problem.cases[0]).value == str(
            int(evaluation.objective)
        )
        assert evaluation.objective < 240
    else:
        assert evaluation.status == "rejected"
    if name == "a list by heart":
        assert judge.judge(Job(source, suite="d9")).evaluation.status == "rejected"


def test_a_shell_that_is_not_served_is_refused():
    with pytest.raises(ProblemError, match="more than 60000 vectors"):
        load("kissing", {"d": 11, "norm": 8})
