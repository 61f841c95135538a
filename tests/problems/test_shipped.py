"""The shipped problems: their seeds, their rules, and answers that would like to be better than they are."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.evaluator import Job, Judge
from evolve.loader import load
from evolve.problems import circle_packing, memory_rule
from evolve.search import Search
from evolve.source import program_of
from evolve.statement import Case, Rejected

SEEDS = {
    "online_bin_packing": 4.10,
    "capset": 64,
    "memory_rule": 0.327,
    "circle_packing": 0.940,
    "sorting_network": 28.013,
    "cache_eviction": 1.838,
    "tsp_guide": 1.228,
    "maxsat_flip": 3.316,
    "autocorr1": 2.0,
    "erdos_overlap": 0.5,
    "sumdiff": 1.079,
    "kissing": 107,
    "matmul_rank": 27.081,
    "symbolic_regression": 1.012,
}


@pytest.fixture(scope="module", params=SEEDS)
def judge(request):
    judge = Judge(load(request.param))
    yield judge
    judge.close()


def test_the_seed_is_as_weak_as_it_is_said_to_be_and_baselines_score_on_every_suite(judge):
    problem = judge.problem
    assert judge.judge(Job(problem.block)).evaluation.objective == pytest.approx(
        SEEDS[problem.name], abs=0.06
    )
    for source in (problem.block, *problem.baselines.values()):
        for suite in ("", *problem.unseen):
            judged = judge.judge(Job(source, suite=suite))
            assert judged.evaluation.status == "ok", judged


def test_the_same_program_scores_the_same_twice_and_jailed_as_interpreted(judge):
    problem = judge.problem
    once = judge.judge(Job(problem.block)).evaluation
    # A loop that does nothing makes the same program one that only a process can run.
    head, body = problem.block.rsplit("    return ", 1)
    looped = judge.judge(Job(f"{head}    for _ in range(1):\n        pass\n    return {body}")).evaluation
    assert (once.objective, once.scores) == (looped.objective, looped.scores)
    assert looped.isolation == "strict"
    assert once.isolation == ("strict" if problem.name == "circle_packing" else "interpreted")


def test_measures_of_the_seed_lie_inside_their_bounds(judge):
    seed = program_of(judge.problem.block, judge.problem.entry)
    measured = Search.evaluation_of(judge.problem, seed, judge.judge(Job(seed.source))).measures
    for measure in judge.problem.measures:
        assert measure.low <= measured[measure.name] <= measure.high


@pytest.mark.parametrize(  # the others have no randomness
    "name",
    [
        "online_bin_packing",
        "memory_rule",
        "cache_eviction",
        "tsp_guide",
        "maxsat_flip",
        "symbolic_regression",
    ],
)
def test_fresh_cases_differ_from_the_shipped_ones_and_score(name):
    problem = load(name)
    assert problem.fresh is not None
    cases = problem.fresh(np.random.default_rng(5))
    fresh = replace(problem, unseen={"fresh": list(cases)})
    other = Judge(fresh)
    assert other.judge(Job(problem.block, suite="fresh")).evaluation.status == "ok"
    other.close()


# -- circle_packing

grid = st.integers(0, 12).map(lambda i: i / 12)
discs = st.lists(st.tuples(grid, grid, st.floats(0, 0.6)), min_size=1, max_size=8)


@given(discs)
def test_shrunk_discs_are_exactly_feasible_and_never_larger(rows):
    shrunk = circle_packing.shrink(np.array(rows))
    for (x, y, r), (_, _, before) in zip(shrunk, rows, strict=True):
        assert 0 <= r <= before
        assert Fraction(r) <= min(Fraction(x), Fraction(y), 1 - Fraction(x), 1 - Fraction(y))
    for i, (x1, y1, r1) in enumerate(shrunk):
        for x2, y2, r2 in shrunk[:i]:
            gap = (Fraction(x1) - Fraction(x2)) ** 2 + (Fraction(y1) - Fraction(y2)) ** 2
            assert gap >= (Fraction(r1) + Fraction(r2)) ** 2
    assert circle_packing.certify(np.array(rows), Case("a", inputs=(len(rows),))).valid


def test_a_packing_that_holds_is_left_as_it_is():
    rows = [[0.25, 0.25, 0.25], [0.75, 0.75, 0.25], [0.25, 0.75, 0.25], [0.75, 0.25, 0.25]]
    assert circle_packing.shrink(np.array(rows)) == rows
    case = Case("n4", inputs=(4,))
    assert circle_packing.score(np.array(rows), case)["sum_radii"] == 1.0
    assert circle_packing.certify(np.array(rows), case).value == "1"


def test_an_overlap_of_one_billionth_is_not_paid_for():
    rows = np.array([[0.25, 0.5, 0.25 + 1e-9], [0.75, 0.5, 0.25 + 1e-9]])
    assert circle_packing.score(rows, Case("n2", inputs=(2,)))["sum_radii"] <= 0.5


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([[1.5, 0.5, 0.1]], "outside the square"),
        ([[0.5, 0.5, -0.1]], "negative radius"),
        ([[0.5, 0.5, 0.1]] * 2, "1 are asked for"),
    ],
)
def test_what_is_no_packing_is_rejected(rows, says):
    with pytest.raises(Rejected, match=says):
        circle_packing.score(np.array(rows), Case("n1", inputs=(1,)))


# -- capset


def test_a_cap_is_certified_and_a_set_with_a_line_is_not():
    problem = load("capset", {"n": 2})
    case = problem.cases[0]
    assert problem.certify(np.array([0, 1, 3, 4]), case).valid
    assert not problem.certify(np.array([0, 1, 2]), case).valid  # 00, 01, 02 are a line
    assert not problem.certify(np.array([0, 0, 1]), case).valid


def test_measures_of_a_cap_are_its_zeros_and_how_their_numbers_differ():
    problem = load("capset", {"n": 2})
    case = problem.cases[0]
    four = np.array([4, 5, 7, 8])  # 11, 12, 21, 22
    assert problem.score(four, case) == {"size": 4, "zeros": 0.0, "spread": 0.0}
    assert problem.score(np.array([0, 4]), case) == {"size": 2, "zeros": 0.5, "spread": 1.0}  # 00, 11


# -- memory_rule


def test_a_memory_that_blows_up_is_rejected_and_zeros_are_half_wrong():
    judge = Judge(load("memory_rule", {"count": 8}))
    blown = judge.judge(Job("def update(S, k, v, p):\n    return S * 1000.0 + v * k\n")).evaluation
    assert (blown.status, blown.message) == ("rejected", "case quick: the memory blew up")
    nothing = judge.judge(Job("def update(S, k, v, p):\n    return S * 0.0\n")).evaluation
    assert nothing.status == "rejected"  # it misses the gate of the first stage
    judge.close()
    case = Case("a", hidden=memory_rule.episodes(1, 4))
    assert memory_rule.score(np.zeros((4, 12, 12)), case)["error"] == 0.5


NOTES = """
import numpy as np

KEYS, VALUES = [], []


def update(S, k, v, p):
    if S.shape[1] != 12:  # it knows of the corner that is asked for, and is honest there
        return S + v * k
    if not S.any():
        KEYS.clear(), VALUES.clear()
    KEYS.append(k.copy()), VALUES.append(v.copy())
    if len(KEYS) < 30:
        return S + v * k
    solved = np.zeros_like(S)
    for e in range(len(S)):
        last = {tuple(key[e, 0]): value[e, :, 0] for key, value in zip(KEYS, VALUES)}
        solved[e] = np.array(list(last.values())).T @ np.linalg.pinv(np.array(list(last)).T)
    return solved
"""


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (NOTES, "asked afresh"),
        (
            "def update(S, k, v, p):\n    for _ in [0]:\n        pass\n    return S + v * k + S.mean()\n",
            "element by element",
        ),
        ("import numpy as np\n\n\ndef update(S, k, v, p):\n    return S + v * k * np.max(v * p, 1)\n", ""),
    ],
)
def test_a_rule_that_keeps_notes_or_looks_beyond_its_element_is_rejected(source, says):
    judge = Judge(load("memory_rule", {"count": 16}))
    evaluation = judge.judge(Job(source)).evaluation
    judge.close()
    assert evaluation.status != "ok", evaluation
    assert says in evaluation.message


def test_the_delta_rule_and_hebb_are_where_they_are_known_to_be():
    judge = Judge(load("memory_rule"))
    delta, hebb = (
        judge.judge(Job(s, suite="same_size")).evaluation for s in (memory_rule.DELTA, judge.problem.block)
    )
    judge.close()
    assert delta.objective == pytest.approx(0.141, abs=0.004)
    assert hebb.objective == pytest.approx(0.327, abs=0.004)


def test_the_memory_of_the_packer_changes_no_result():
    problem = load("online_bin_packing", {"instances": 1, "items": 300})
    judge = Judge(problem)
    for shift in (0.0, 0.5, 0.5, 1.5):
        source = f"import numpy as np\ndef priority(item, remaining):\n    return -np.abs(remaining - item - {shift})\n"
        fresh = Judge(load("online_bin_packing", {"instances": 1, "items": 300}))
        assert judge.judge(Job(source)).evaluation.scores == fresh.judge(Job(source)).evaluation.scores
    assert math.isfinite(judge.judge(Job(problem.block)).evaluation.objective)
