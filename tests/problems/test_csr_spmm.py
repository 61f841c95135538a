"""csr_spmm: the bound holds what rounding may do and nothing more; wrong products are wrong."""

import numpy as np
import pytest
from hypothesis import given, settings

from evolve.loader import load
from evolve.spec import Misfit
from evolve.statement import Rejected

pytest.importorskip("scipy", reason="scipy is not installed")
PROBLEM = load("csr_spmm", {"size": 200})
PLAIN = PROBLEM.block.replace("@numba.njit", "").replace("import numba", "")


def answers(source, case):
    names = {}
    exec(source, names)
    fixed = []
    for array in case.inputs:
        array = array.copy()
        array.flags.writeable = False
        fixed.append(array)
    return PROBLEM.returns.check(names["multiply"](*fixed))


@pytest.mark.parametrize("name", ["seed", *PROBLEM.baselines])
def test_seed_and_baselines_are_right_on_every_case(name):
    source = PROBLEM.baselines.get(name, PROBLEM.block)
    unseen = (case for suite in PROBLEM.unseen.values() for case in suite)
    for case in (*PROBLEM.cases, *unseen, *PROBLEM.fresh(np.random.default_rng(1))):
        assert PROBLEM.score(answers(source, case), case) == {}, case.name


@given(PROBLEM.strategy())
@settings(max_examples=60, deadline=None)
def test_drawn_products_are_right_in_any_order_of_sums(case):
    for source in (PLAIN, PLAIN.replace("range(indptr[row], indptr[row + 1])", REVERSED)):
        assert PROBLEM.score(answers(source, case), case) == {}


REVERSED = "range(indptr[row + 1] - 1, indptr[row] - 1, -1)"
WRONG = {
    "in single precision": PLAIN.replace("return product", "return product.astype('f4').astype('f8')"),
    "without the last entry": PLAIN.replace("indptr[row + 1])", "indptr[row + 1] - (row == 4))"),
    "without the last column": PLAIN.replace(
        "return product", "product[:, -1:] *= dense.shape[1] < 2\n    return product"
    ),
    "transposed": "import numpy as np\ndef multiply(data, indices, indptr, dense):\n"
    "    product = np.zeros((len(indptr) - 1, dense.shape[1]))\n"
    "    for row in range(len(indptr) - 1):\n        for place in range(indptr[row], indptr[row + 1]):\n"
    "            product[indices[place] % len(product)] += data[place] * dense[row % len(dense)]\n"
    "    return product",
    "not in an empty row": PLAIN.replace("np.zeros(", "np.full(").replace("shape[1]))", "shape[1]), 1e-30)"),
    "of NaN": PLAIN.replace("return product", "return product * float('nan')"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_wrong_on_a_training_case(name):
    assert WRONG[name] != PLAIN

    def right(case):
        try:
            PROBLEM.score(answers(WRONG[name], case), case)
        except (Rejected, Misfit):
            return False
        return True

    assert not all(map(right, PROBLEM.cases))


def test_a_bound_is_met_by_exact_sums_and_not_by_twice_the_error():
    case = next(case for case in PROBLEM.cases if case.name == "cancelling")
    right = case.hidden
    assert right.product.tolist() == [[1.0], [3.0]]
    assert PROBLEM.score(right.product + 0.99 * right.allowed, case) == {}
    with pytest.raises(Rejected, match="is allowed"):
        PROBLEM.score(right.product + 2.01 * right.allowed, case)


def test_too_few_rows_are_refused():
    with pytest.raises(Exception, match="at least 100"):
        load("csr_spmm", {"size": 99})
