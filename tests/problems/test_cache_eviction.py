"""Cache eviction: what is known of classical policies, two simulators that agree, and tables that are no policy."""

from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.errors import ProblemError
from evolve.evaluator import Job, Judge
from evolve.fastcore.kernels.cache import fewest_misses
from evolve.loader import load
from evolve.problems import cache_eviction
from evolve.problems.cache_eviction import Trace, plain, simulate
from evolve.statement import Case

SHAPE = tuple(map(len, cache_eviction.GRADES))
# The string of Belady, Nelson and Shedler (CACM 12, 1969), on which FIFO misses more with more slots, and the one of
# Silberschatz, Galvin and Gagne, Operating System Concepts, with the faults that are told there.
ANOMALY = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5]
CONCEPTS = [7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1]


def case(pages, slots):
    requests = np.array(pages, np.int64)
    return Case("a", hidden=Trace(requests, slots, max(1, fewest_misses(requests, slots))))


def table_of(source, slots=3):
    """The table of a policy, as the judge makes it."""
    namespace = {}
    exec(source, namespace)
    made = namespace["priority"](*cache_eviction._grid(slots).inputs)
    return np.array(np.broadcast_to(made, SHAPE), np.float64)


def misses(source, pages, slots):
    return simulate(table_of(source, slots), case(pages, slots)).misses


@pytest.fixture(scope="module")
def problem():
    return load("cache_eviction")


@pytest.fixture(scope="module")
def judge(problem):
    judge = Judge(problem)
    yield judge
    judge.close()


@pytest.mark.parametrize(
    ("pages", "slots", "fifo", "lru", "fewest"),
    [(ANOMALY, 3, 9, 10, 7), (ANOMALY, 4, 10, 8, 6), (CONCEPTS, 3, 15, 12, 9)],
)
def test_strings_of_the_literature_miss_as_often_as_is_told_there(pages, slots, fifo, lru, fewest):
    assert misses(cache_eviction.FIFO, pages, slots) == fifo
    assert misses(cache_eviction.LRU, pages, slots) == lru
    assert case(pages, slots).hidden.fewest == fewest


def independent(pages, slots, rule):
    """Misses of LRU, FIFO or LFU (of equals, the one used longest ago), by an ordered dictionary."""
    inside, count = OrderedDict(), 0
    for page in pages:
        if page in inside:
            inside[page] += 1
            if rule != "fifo":
                inside.move_to_end(page)
            continue
        count += 1
        if len(inside) == slots:
            del inside[min(inside, key=inside.get) if rule == "lfu" else next(iter(inside))]
        inside[page] = 1
    return count


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=9), st.integers(1, 4), st.sampled_from(["lru", "fifo", "lfu"]))
def test_baselines_are_the_classical_policies_where_levels_are_exact(pages, slots, rule):
    source = {"lru": cache_eviction.LRU, "fifo": cache_eviction.FIFO, "lfu": cache_eviction.LFU}[rule]
    assert misses(source, pages, slots) == independent(pages, slots, rule)


@pytest.mark.parametrize("number", range(4))
def test_on_long_traces_levels_change_little(problem, number):
    trace = problem.cases[number].hidden
    pages = trace.requests.tolist()
    for rule, off in (("lru", 0.0), ("fifo", 0.02), ("lfu", 0.02)):
        exact = independent(pages, trace.slots, rule)
        assert misses(problem.baselines[rule], pages, trace.slots) == pytest.approx(exact, rel=off, abs=0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12), st.sampled_from([0, 1, 2, 9]))
def test_the_fast_and_the_plain_simulator_agree(seed, slots, digits):
    rng = np.random.default_rng(seed)
    table = np.round(rng.normal(size=SHAPE), digits)
    table[rng.random(SHAPE) < 0.1] = rng.choice([-np.inf, np.inf])
    one = case(rng.zipf(1.3, 400) % 50, slots)
    assert simulate(table, one) == plain(table, one)


def test_they_agree_beyond_the_last_level():
    table = np.random.default_rng(1).normal(size=SHAPE)
    table[:, :, -1] += 100.0  # whoever stays so long, stays
    pages = [0, 1, 2] + [1, 2] * 12_000 + [3, 4, 1, 2, 0, 5, 6, 1, 2]
    assert simulate(table, case(pages, 3)) == plain(table, case(pages, 3))


def test_they_agree_on_shipped_traces_of_every_kind(problem):
    tables = [table_of(source, 32) for source in (problem.baselines["rate_of_use"], problem.baselines["mru"])]
    for one in problem.cases[:5]:
        start = case(one.hidden.requests[:1500], one.hidden.slots)
        for table in tables:
            assert simulate(table, start) == plain(table, start)


def test_lru_lets_no_young_page_go_and_mru_only_young_ones(problem):
    for one in problem.cases:
        lru, mru = (
            cache_eviction.score(simulate(table_of(source), one), one)
            for source in (cache_eviction.LRU, cache_eviction.MRU)
        )
        assert (lru["young"], mru["young"]) == (0.0, 1.0)
        assert min(lru["ratio"], mru["ratio"]) > 1.0


@pytest.mark.parametrize("value", ["np.nan", "np.inf", "-np.inf", "0.0", "1e308 * age * 10.0"])
def test_a_table_that_tells_nothing_apart_is_lru(judge, value):
    source = f"import numpy as np\ndef priority(age, uses, stay, slots):\n    return age * 0.0 + {value}\n"
    lru = judge.judge(Job(cache_eviction.LRU)).evaluation
    assert judge.judge(Job(source)).evaluation.objective == lru.objective


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("np.zeros(7)", "table"),
        ("np.zeros((1, 2, 3, 4))", "table"),
        ("'1.0'", "str"),
        ("{'ratio': 1.0}", "dict"),
    ],
)
def test_what_is_no_table_is_rejected(judge, answer, says):
    source = f"import numpy as np\ndef priority(age, uses, stay, slots):\n    return {answer}\n"
    evaluation = judge.judge(Job(source)).evaluation
    assert evaluation.status == "rejected"
    assert says in evaluation.message


def test_a_policy_for_loops_alone_is_plainly_worse_on_unseen_traces(judge):
    loops, lru = (
        judge.judge(Job(source, suite="walk")).evaluation
        for source in (cache_eviction.MRU, cache_eviction.LRU)
    )
    assert loops.objective > 1.5 * lru.objective


def test_traces_are_of_the_length_asked_for_and_fresh_ones_are_new(problem):
    for one in (*problem.cases, *problem.unseen["walk"]):
        assert len(one.hidden.requests) == 5000
    first, second = (problem.fresh(np.random.default_rng(seed)) for seed in (1, 2))
    for one, other, shipped in zip(first, second, problem.cases, strict=True):
        assert not np.array_equal(one.hidden.requests, other.hidden.requests)
        assert not np.array_equal(one.hidden.requests, shipped.hidden.requests)


@pytest.mark.parametrize("given", [{"slots": 3}, {"slots": 32, "requests": 3000}])
def test_a_size_that_is_not_served_is_refused(given):
    with pytest.raises(ProblemError, match="at least 4, and from 100 requests a slot"):
        load("cache_eviction", given)
