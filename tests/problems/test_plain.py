"""The plain simulators of the shipped problems say what the fast ones say, whatever the table."""

import numpy as np
import pytest

from evolve.evaluator import Job, Judge
from evolve.loader import load
from evolve.proving import VerifyOrder

# Small, so that plain is quick.
SIZES = {
    "online_bin_packing": {"instances": 2, "items": 300},
    "capset": {"n": 4},
    "sorting_network": {"n": 5},
}
TABLES = ("normal", "few levels", "never", "fallen")


def table(kind, shape, rng):
    made = rng.standard_normal(shape)
    if kind == "few levels":
        made = np.rint(made)
    if kind == "never":
        made[rng.random(shape) < 0.4] = -np.inf
    return np.sort(made, axis=0)[::-1].copy() if kind == "fallen" else made


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("name", SIZES)
def test_plain_and_fast_score_alike(name, kind):
    problem = load(name, SIZES[name])
    rng = np.random.default_rng([TABLES.index(kind), len(name)])
    unseen = [case for suite in problem.unseen.values() for case in suite[:1]]
    small = [case for case in unseen if not hasattr(case.hidden, "items") or len(case.hidden.items) <= 1000]
    for case in (*problem.cases, *small):
        made = table(kind, problem.grid_of(case).table_shape, rng)
        fast, plain = problem.simulate(made.copy(), case), problem.plain(made.copy(), case)
        assert problem.score(plain, case) == problem.score(fast, case), case.name


@pytest.mark.parametrize(
    "name", ["online_bin_packing", "capset", "sorting_network", "kissing", "cache_eviction"]
)
def test_a_verification_holds_them_against_each_other(name):
    problem = load(name)
    judge = Judge(problem)
    judged = judge.judge(Job(problem.block, verify=VerifyOrder(prove=True)))
    judge.close()
    assert judged.proof.plain
    assert not any(judged.proof.plain.values())
