"""Sorting networks: what is certified, what is refuted, and what policies give."""

import numpy as np
import pytest

from evolve.errors import ProblemError
from evolve.evaluator import Job, Judge
from evolve.loader import load
from evolve.problems import sorting_network
from evolve.statement import Case, Rejected

# Networks of least size from the literature (Knuth, TAOCP 3, 5.3.4; nine wires: Floyd); wires count from 0.
KNOWN = {
    4: "01 23 02 13 12",
    5: "01 34 24 23 14 03 02 13 12",
    6: "12 45 02 35 01 34 25 03 14 24 13 23",
    7: "12 34 56 02 35 46 01 45 26 04 15 03 25 13 24 23",
    8: "02 13 46 57 04 15 26 37 01 23 45 67 24 35 14 36 12 34 56",
    9: "01 34 67 12 45 78 01 34 67 25 03 14 58 36 47 25 03 14 57 26 13 46 24 56 23",
}
SMALLEST = {4: 5, 5: 9, 6: 12, 7: 16, 8: 19, 9: 25}


def known(n):
    """The known network on n wires, (k, 2)."""
    return np.array([[int(wire) for wire in pair] for pair in KNOWN[n].split()])


@pytest.mark.parametrize("n", KNOWN)
def test_a_known_network_is_certified_and_without_any_of_its_comparators_refuted(n):
    network, case = known(n), Case("a", hidden=n)
    certificate = sorting_network.certify(network, case)
    assert certificate.valid
    assert float(certificate.value) == sorting_network.score(network, case)["comparators"]
    assert int(float(certificate.value)) == len(network) == SMALLEST[n]
    for missing in range(len(network)):
        shorter = np.delete(network, missing, axis=0)
        assert not sorting_network.certify(shorter, case).valid
        with pytest.raises(Rejected, match="does not sort"):
            sorting_network.score(shorter, case)


@pytest.mark.parametrize("network", [[[1, 0]], [[0, 2]], [[-1, 1]], [[0, 0]]])
def test_what_is_no_comparator_is_not_certified(network):
    assert sorting_network.certify(np.array([[0, 1]]), Case("a", hidden=2)).valid
    assert not sorting_network.certify(np.array([[0, 1], *network]), Case("a", hidden=2)).valid


@pytest.mark.parametrize(
    ("n", "bubble", "batcher"), [(3, 3, 3), (6, 15, 12), (7, 21, 16), (8, 28, 19), (9, 36, 27), (13, 78, 48)]
)
def test_the_seed_is_bubble_sort_and_batcher_is_where_he_is_known_to_be(n, bubble, batcher):
    problem = load("sorting_network", {"n": n})
    judge = Judge(problem)
    sizes = []
    for source in (problem.block, problem.baselines["batcher"]):
        judged = judge.judge(Job(source, detail=True))
        network = judged.outcomes[f"n{n}"]
        assert problem.certify(network, problem.cases[0]).valid
        sizes.append(int(judged.evaluation.objective))
    judge.close()
    assert sizes == [bubble, batcher]


def test_equal_sizes_are_told_apart_by_their_layers():
    case = Case("a", hidden=4)
    shallow, deep = known(4), np.array([[0, 1], [1, 2], [2, 3], [0, 1], [1, 2], [0, 1]])
    assert sorting_network.score(shallow, case)["comparators"] == 5.003
    assert sorting_network.score(deep, case)["comparators"] == 6.005


def test_a_policy_of_never_and_of_no_number_still_gives_a_network_that_sorts():
    judge = Judge(load("sorting_network", {"n": 5}))
    for value in ("-np.inf", "np.nan", "np.inf", "0.0"):
        source = f"import numpy as np\ndef priority(i, j, a, b, n):\n    return i * 0.0 + {value}\n"
        evaluation = judge.judge(Job(source)).evaluation
        assert evaluation.status == "ok", evaluation
        assert 9 <= evaluation.objective < 11
    judge.close()


@pytest.mark.parametrize("n", [2, 15])
def test_a_number_of_wires_that_is_not_served_is_refused(n):
    with pytest.raises(ProblemError, match=f"n is {n}; a number of wires from 3 to 14"):
        load("sorting_network", {"n": n})
