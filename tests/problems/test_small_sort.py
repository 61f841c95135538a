"""small_sort: what is right, what is wrong in every way that is tempting, and what the seed may become."""

import numpy as np
import pytest
from hypothesis import given, settings

from evolve.evaluator import Job, Judge
from evolve.loader import load
from evolve.spec import Misfit
from evolve.statement import Rejected

PROBLEM = load("small_sort", {"m": 50})


def answers(source, rows):
    names = {}
    exec(source, names)
    return names["sort_rows"](rows)


def fixed(rows):
    rows = rows.copy()
    rows.flags.writeable = False
    return rows


@pytest.mark.parametrize("name", ["seed", *PROBLEM.baselines])
def test_seed_and_baselines_are_right_on_every_case(name):
    source = PROBLEM.baselines.get(name, PROBLEM.block)
    for case in (*PROBLEM.cases, *PROBLEM.fresh(np.random.default_rng(1))):
        answer = PROBLEM.returns.check(answers(source, fixed(case.inputs[0])))
        assert PROBLEM.score(answer, case) == {}


@given(PROBLEM.strategy())
@settings(max_examples=30, deadline=None)
def test_drawn_cases_are_sorted_by_both_ways(case):
    rows = case.inputs[0]
    for source in (PROBLEM.block, *PROBLEM.baselines.values()):
        assert PROBLEM.score(answers(source, fixed(rows)), case) == {}
    assert sorted(rows.ravel().tolist()) == sorted(case.hidden.ravel().tolist())


WRONG = {
    "one comparator less": PROBLEM.block.replace("range(last)", "range(last - (last > 6))"),
    "in falling order": "import numpy as np\ndef sort_rows(rows):\n    return -np.sort(-rows, axis=1)",
    "by columns": "import numpy as np\ndef sort_rows(rows):\n    return np.sort(rows, axis=0)",
    "as floats": (
        "import numpy as np\ndef sort_rows(rows):\n    return np.sort(rows.astype('f4'), axis=1).astype('i8')"
    ),
    "as they came": "def sort_rows(rows):\n    return rows",
    "without duplicates": (
        "import numpy as np\ndef sort_rows(rows):\n    out = np.zeros_like(rows)\n"
        "    for i, row in enumerate(rows):\n        one = np.unique(row)\n        out[i, :len(one)] = one\n"
        "    return out"
    ),
    "one row less": "import numpy as np\ndef sort_rows(rows):\n    return np.sort(rows, axis=1)[1:]",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_wrong_on_a_training_case(name):
    def right(case):
        try:
            PROBLEM.score(PROBLEM.returns.check(answers(WRONG[name], fixed(case.inputs[0]))), case)
        except (Rejected, Misfit):
            return False
        return True

    assert not all(map(right, PROBLEM.cases))


def test_a_program_that_sorts_its_input_in_place_is_told_so():
    judge = Judge(PROBLEM)
    try:
        evaluation = judge.judge(
            Job("def sort_rows(rows):\n    rows.sort(axis=1)\n    return rows")
        ).evaluation
    finally:
        judge.close()
    assert evaluation.status == "error"
    assert "read-only" in evaluation.message


@pytest.mark.parametrize(("k", "m"), [(1, 5), (9, 5), (3, 0)])
def test_parameters_out_of_range_are_refused(k, m):
    with pytest.raises(Exception, match=r"k is|m is"):
        load("small_sort", {"k": k, "m": m})
