"""Round trips by a rule: two simulators that agree, rules that are what they claim, and tables that are no rule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.errors import ProblemError
from evolve.evaluator import Job, Judge
from evolve.fastcore.kernels.tours import distances, tour_length
from evolve.loader import load
from evolve.problems import tsp_guide
from evolve.problems.tsp_guide import AXES, Map, plain, simulate
from evolve.statement import Case

FARTHEST = "def priority(step, out, lonely, left):\n    return step\n"
SHAPE = len(AXES.step), AXES.out, len(AXES.lonely), AXES.left


def case(points):
    return Case("a", hidden=Map(np.array(points)))


def random_case(seed, count, side=10_000):
    return case(np.random.default_rng(seed).integers(0, side, (count, 2)))


def table_of(source):
    """The table of a rule, as the judge makes it."""
    namespace = {}
    exec(source, namespace)
    return np.array(np.broadcast_to(namespace["priority"](*tsp_guide._grid()), SHAPE), np.float64)


@pytest.fixture(scope="module")
def problem():
    return load("tsp_guide", {"maps": 2})


@pytest.fixture(scope="module")
def judge(problem):
    judge = Judge(problem)
    yield judge
    judge.close()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32), st.integers(8, 24), st.sampled_from([3, 30, 10_000]), st.sampled_from([0, 1, 9])
)
def test_the_fast_and_the_plain_simulator_agree(seed, count, side, digits):
    rng = np.random.default_rng(seed)
    table = np.round(rng.normal(size=SHAPE), digits)
    table[rng.random(SHAPE) < 0.1] = rng.choice([-np.inf, np.inf])
    one = random_case(seed, count, side)
    (tour, skips), (plainly, plain_skips) = simulate(table, one), plain(table, one)
    assert (tour.tolist(), skips) == (plainly.tolist(), plain_skips)


def test_they_agree_on_the_baselines(problem):
    for source in problem.baselines.values():
        one = problem.cases[0]
        assert simulate(table_of(source), one)[0].tolist() == plain(table_of(source), one)[0].tolist()


def by_saving(between, shape=1.0):
    """The savings tour of one route that grows at one end, without levels."""
    tour = [0]
    while len(tour) < len(between):
        here = tour[-1]
        left = [city for city in range(len(between)) if city not in tour]
        tour.append(
            min(left, key=lambda city: (shape * between[here, city] - between[city, 0], between[here, city]))
        )
    return np.array(tour)


def test_savings_are_within_a_few_percent_of_savings_without_levels():
    ratios = []
    for seed in range(12):
        one = random_case(seed, 60)
        between = one.hidden.between
        exact = tour_length(between, by_saving(between))
        ratios.append(tour_length(between, simulate(table_of(tsp_guide.SAVINGS), one)[0]) / exact)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.03)


def test_on_a_line_from_its_end_the_nearest_neighbour_is_the_best():
    one = case([[100 * k, 0] for k in range(10)])
    scored = tsp_guide.score(simulate(np.zeros(SHAPE), one), one)
    assert scored == {"ratio": 1.0, "skips": 0.0, "late": 1000 / 1800}


def test_the_yardstick_is_one_number_for_one_map():
    first, second = random_case(4, 50), random_case(4, 50)
    assert first.hidden.yardstick == second.hidden.yardstick
    between = distances(first.hidden.points)
    assert between.min(where=between > 0, initial=10**6) * 50 < first.hidden.yardstick


@pytest.mark.parametrize("value", ["np.nan", "np.inf", "-np.inf", "0.0", "1e308 * step * 10.0"])
def test_a_table_that_tells_nothing_apart_is_the_nearest_neighbour(judge, value):
    source = f"import numpy as np\ndef priority(step, out, lonely, left):\n    return step * 0.0 + {value}\n"
    if "step * 10" in value:
        source = source.replace("return", "return -np.inf +")
    nearest = judge.judge(Job(tsp_guide.NEAREST)).evaluation
    assert judge.judge(Job(source)).evaluation.objective == nearest.objective


@pytest.mark.parametrize(
    "answer", ["np.arange(50)", "list(range(100))", "np.zeros((1, 1, 1, 1, 1))", "'1.0'", "{'ratio': 1.0}"]
)
def test_a_tour_or_a_claim_instead_of_a_table_is_rejected(judge, answer):
    source = f"import numpy as np\ndef priority(step, out, lonely, left):\n    return {answer}\n"
    assert judge.judge(Job(source)).evaluation.status == "rejected"


def test_a_table_of_chance_that_was_picked_on_the_training_maps_is_plainly_worse_on_unseen_ones(judge):
    nearest = judge.judge(Job(tsp_guide.NEAREST, suite="n100")).evaluation
    found = []
    for seed in range(12):
        source = (
            "import numpy as np\ndef priority(step, out, lonely, left):\n"
            f"    return -step + 0.5 * np.random.default_rng({seed}).normal(size={SHAPE})\n"
        )
        found.append((judge.judge(Job(source)).evaluation.objective, source))
    picked = judge.judge(Job(min(found)[1], suite="n100")).evaluation
    assert picked.objective > nearest.objective + 0.02


def test_the_farthest_city_is_the_worst_rule_and_what_is_reported_of_it_fits(judge, problem):
    one = problem.cases[0]
    near, far = (
        tsp_guide.score(simulate(table_of(source), one), one) for source in (tsp_guide.NEAREST, FARTHEST)
    )
    assert near["skips"] == 0.0
    assert far["skips"] > 0.9
    assert far["ratio"] > 3.0 > 1.5 > near["ratio"] > 1.0


def test_fresh_maps_are_new(problem):
    first, second = (problem.fresh(np.random.default_rng(seed)) for seed in (1, 2))
    for one, other, shipped in zip(first, second, problem.cases, strict=True):
        assert len(one.hidden.points) == len(shipped.hidden.points)
        assert not np.array_equal(one.hidden.points, other.hidden.points)
        assert not np.array_equal(one.hidden.points, shipped.hidden.points)


def test_a_number_of_maps_that_is_not_served_is_refused():
    with pytest.raises(ProblemError, match="maps is 1; from 2 to 200"):
        load("tsp_guide", {"maps": 1})
