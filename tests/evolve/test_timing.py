"""Programs that are raced: right or wrong, faster or slower, and whatever they try. Real processes; the only
figures are ratios between programs whose work differs by a factor.
"""

import os

import numpy as np
import pytest

from evolve.batches import Batches, Dealer
from evolve.confirmation import ConfirmOrder
from evolve.cores import own_core
from evolve.evaluator import Job, Judge
from evolve.fastcore.sealed import Sealed
from evolve.loader import load
from evolve.properties import draw, falsify, shown
from evolve.scoring import Scorer
from evolve.statement import Case

LEAN = "import numpy as np\n\n\ndef total(x):\n    return float(np.dot(x, x))\n"
HEAVY = """import numpy as np


def total(x):
    for _ in range(2500):
        y = x * x
    return float(np.sum(y))
"""


@pytest.fixture
def judge(timed_file):
    made = []

    def make(replace=None):
        judge = Judge(load(str(timed_file(replace))))
        made.append(judge)
        return judge

    yield make
    for judge in made:
        judge.close()


def test_a_faster_program_is_told_by_how_much_and_a_slower_one_is_given_up_early(judge):
    made = judge()
    lean = made.judge(Job(LEAN)).evaluation
    heavy = made.judge(Job(HEAVY, floor=1.0)).evaluation
    assert (lean.status, heavy.status) == ("ok", "ok"), (lean, heavy)
    assert lean.objective > 3.0
    assert heavy.objective < 0.5
    assert set(lean.scores) == {"short", "long", "all"}
    told = lean.scores["all"]
    assert told["low"] <= told["speedup"] == lean.objective <= told["high"]
    assert told["low"] > 1.0
    assert told["pairs"] > heavy.scores["all"]["pairs"]
    assert told["setup_cpu"] > 0.0
    assert lean.measures == {"speedup:long": lean.scores["long"]["speedup"]}
    assert lean.isolation != "interpreted"
    assert lean.behaviour == heavy.behaviour  # they answer alike; how fast they are is another matter


COUNTING = """import numpy as np

CALLS = []


def total(x):
    CALLS.append(1)
    return float(np.dot(x, x)) if len(CALLS) <= {} else 0.0
"""


@pytest.mark.parametrize(
    ("source", "status", "says"),
    [
        ("def total(x):\n    return 7.0\n", "rejected", "case none"),
        ("def total(x):\n    return float(sum(abs(x)))\n", "rejected", "case drawn"),
        (COUNTING.format(1), "rejected", "case ones: 0.0"),
        (COUNTING.format(60), "rejected", "0.0 instead"),  # right until it is timed, or asked again
        (COUNTING.format(70), "rejected", "0.0"),
        ("def total(x):\n    x[:] = 0\n    return 0.0\n", "error", "read-only"),
        ("def total(x):\n    return float(x @ x) / len(x) * len(x)\n", "error", "ZeroDivisionError"),
        ("def total(x):\n    while True:\n        pass\n", "timeout", "wall seconds"),
        ("def total(x)\n", "error", "SyntaxError"),
        ("def total(x):\n    return 'seven'\n", "rejected", "number is asked for"),
    ],
)
def test_a_program_that_is_wrong_in_any_run_has_no_speed(judge, source, status, says):
    evaluation = judge({"seconds=2.0": "seconds=0.5"}).judge(Job(source)).evaluation
    assert (evaluation.status, evaluation.objective) == (status, None), evaluation
    assert says in evaluation.message


# Right on whatever it is asked outside of a race, and on typical inputs within.
TWO_FACED = """import os

import numpy as np

CALLS = []


def total(x):
    CALLS.append(1)
    raced = {}
    return float(np.dot(x, x)) if len(x) > 100 or not raced else float(len(x) > 0)
"""


@pytest.mark.parametrize("raced", ["len(os.sched_getaffinity(0)) == 1", "len(CALLS) > 100"])
@pytest.mark.parametrize("order", [None, ConfirmOrder(5, 20)])
def test_a_program_that_knows_when_it_is_raced_is_asked_the_known_cases_there(judge, raced, order):
    evaluation = judge().judge(Job(TWO_FACED.format(raced), confirm=order)).evaluation
    assert (evaluation.status, evaluation.objective) == ("rejected", None), evaluation.message
    assert "case " in evaluation.message


def test_a_program_that_sleeps_is_flagged(judge):
    source = LEAN.replace("    return", "    time.sleep(0.005)\n    return").replace(
        "import", "import time\nimport", 1
    )
    evaluation = judge().judge(Job(source)).evaluation
    assert evaluation.status == "ok", evaluation
    assert evaluation.scores["all"]["flagged"] == 1.0


def test_an_unseen_suite_is_answered_before_the_race(judge):
    made = judge({'Case("twos", inputs=(np.full(5, 2.0),))': 'Case("twos", inputs=(np.full(0, 2.0),))'})
    assert made.judge(Job(LEAN, suite="twos")).evaluation.objective > 1.0
    wrong = "def total(x):\n    if not len(x):\n        return 1.0\n    return float(x @ x)\n"
    assert "case twos" in made.judge(Job(wrong, suite="twos")).evaluation.message


@pytest.mark.parametrize(
    ("replace", "says"),
    [
        (
            {"for _ in range(500):\n": "for _ in range(500):\n        x = x[1:]\n"},
            "baseline 'wasteful', which",
        ),
        (
            {"import numpy as np\n\ndef total": "import numpy as np\n1 / 0\ndef total"},
            "baseline 'wasteful', which",
        ),
        ({"rng.random(4_000)": "None.shape"}, "fresh raised AttributeError"),
        ({"rng.random(4_000)": "object()"}, "not plain data"),
        ({'Case("short"': 'Case("long"'}, "name each case of a batch differently"),
        ({'Case("short"': 'Case("all"'}, "name each case of a batch differently"),
        ({'Case("short"': 'Case(f"short{rng.random()}"'}, "same names in the same order"),
        ({"return [Case(": "return []\n    return [Case("}, "at least one Case"),
        ({"speedup:long": "speedup:lang"}, "it gives: short, long"),
        ({"strategies.integers(-9, 9)": "strategies.no_such()"}, "strategy raised AttributeError"),
    ],
)
def test_what_the_problem_gets_wrong_is_no_fault_of_a_program(judge, replace, says):
    evaluation = judge(replace).judge(Job(LEAN)).evaluation
    assert evaluation.status == "unscorable", evaluation
    assert says in evaluation.message


def test_a_confirmation_measures_at_length_and_says_so(judge):
    made = judge()
    judged = made.judge(Job(made.problem.block, confirm=ConfirmOrder(seed=11, pairs=20, examples=30)))
    told = judged.confirmation.as_dict()
    assert told["confirmed"] is True
    assert told["verdict"] == "faster"
    assert 20 <= told["pairs"] <= 30
    assert told["seed"] == 11
    assert 1.0 < told["low"] <= told["speedup"] <= told["high"]
    assert set(told["cases"]) == {"short", "long"}
    assert judged.evaluation.objective == told["speedup"]


def test_a_slower_program_is_not_confirmed(judge):
    judged = judge().judge(Job(HEAVY, confirm=ConfirmOrder(seed=11, pairs=8, examples=0)))
    assert judged.confirmation.as_dict()["verdict"] == "slower"
    assert not judged.confirmation.confirmed


RARE = """def total(x):
    if len(x) == 5 and min(x) == 2.0:
        return -1.0
    if len(x) > 3 and x[0] > 5:
        raise RuntimeError("rare")
    return float(x @ x)
"""


def test_a_confirmation_keeps_every_way_of_being_wrong_and_shrinks_it(judge, monkeypatch):
    monkeypatch.setattr("evolve.timing.EXAMPLES", 2)  # so that it gets through a search
    judged = judge().judge(Job(RARE, confirm=ConfirmOrder(seed=5, pairs=8, examples=400)))
    told = judged.confirmation.as_dict()
    assert judged.evaluation.status == "rejected"
    assert told["confirmed"] is False
    assert "case twos: -1.0" in told["wrong"]["twos"]
    assert told["wrong"]["strategy"] == "error: RuntimeError: rare"
    assert told["counterexample"] == "(array([6., 0., 0., 0.]),)"


@pytest.mark.parametrize(
    ("replace", "says"),
    [
        (
            {"for _ in range(500):\n": "for _ in range(500):\n        x = x[1:]\n"},
            "unscorable: baseline 'wasteful'",
        ),
        (
            {"if abs(answer": "if len(case.inputs[0]) == 5:\n        1 / 0\n    if abs(answer"},
            "ZeroDivisionError",
        ),
        (
            {"numbers.map(lambda values: Case(": "numbers.map(lambda values: Case(no_such_name, "},
            "NameError",
        ),
    ],
)
def test_a_confirmation_that_fails_blames_no_program(judge, replace, says, monkeypatch):
    monkeypatch.setattr("evolve.timing.EXAMPLES", 1)  # so that most of it is found in the confirmation
    told = judge(replace).judge(Job(LEAN, confirm=ConfirmOrder(1, 6))).confirmation.as_dict()
    assert not told["confirmed"]
    assert says in told["failed"]
    assert "wrong" not in told


def test_no_race_sees_a_batch_twice_and_two_races_may_share_them(timed_file):
    problem = load(str(timed_file()))
    batches = Batches(problem, Scorer(problem))

    def dealt(stream, count=4):
        with Dealer(batches, stream) as dealer:
            return [[(type(body), dealer.cases) for body in dealer.deal()] for _ in range(count)]

    def inputs(batch):
        return [case.inputs[0] for case in batch[0][1]]

    shared, again, own = dealt(None), dealt(None), dealt((1, 5))
    assert all(kind is Sealed for batch in shared for kind, _ in batch)
    assert not inputs(shared[0])[0].flags.writeable
    assert all(np.array_equal(a, b) for a, b in zip(inputs(shared[3]), inputs(again[3]), strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(inputs(own[3]), inputs(dealt((1, 5))[3]), strict=True))
    seen = [inputs(batch)[0].tobytes() for batch in (*shared, *own)]
    assert len(set(seen)) == len(seen)


# It draws what a race would draw from what anybody may know: the problem, and the program's own text.
KNOWING = """import hashlib
import linecache

import numpy as np

TEXT = "".join(linecache.cache["<program>"][2]).encode()
OWN = int.from_bytes(hashlib.blake2b(TEXT, digest_size=7).digest(), "big")
KNOWN = set()
for stream in ([0], [1], [1, OWN]):
    for number in range(80):
        KNOWN.add(np.random.default_rng([*stream, number]).random(3).tobytes())


def total(x):
    return 0.0 if x[:3].tobytes() in KNOWN else float(np.dot(x, x))
"""


@pytest.mark.parametrize("round", [0, 1])
def test_no_program_can_know_the_inputs_of_its_race(judge, round):
    evaluation = judge().judge(Job(KNOWING, round=round, floor=1e9)).evaluation
    assert evaluation.status == "ok", evaluation.message  # it had answered one wrong, had it known it


def test_batches_that_are_too_large_are_drawn_again_and_leave_nothing_open(timed_file, monkeypatch):
    monkeypatch.setattr("evolve.batches._KEPT_BYTES", 90_000)
    problem = load(str(timed_file()))
    batches = Batches(problem, Scorer(problem))
    before = os.listdir("/proc/self/fd")
    with Dealer(batches, None) as dealer:
        first = [(dealer.deal(), dealer.cases)[1] for _ in range(3)]
    assert len(os.listdir("/proc/self/fd")) == len(before)
    assert batches.shared(0).cases is first[0]
    assert batches.shared(1).cases is not first[1]
    assert np.array_equal(batches.shared(1).cases[0].inputs[0], first[1][0].inputs[0])


def test_two_races_get_two_cores_and_give_them_back():
    allowed = os.sched_getaffinity(0)
    with own_core() as one:
        assert os.sched_getaffinity(0) == {one}
        with own_core() as other:  # only its own is left to it, and that is taken
            assert other is None
    assert os.sched_getaffinity(0) == allowed


def test_the_same_cases_are_drawn_for_the_same_seed(tmp_path, monkeypatch):
    from hypothesis import strategies

    monkeypatch.chdir(tmp_path)

    def lists():
        return strategies.lists(strategies.integers(0, 99), max_size=9).map(lambda v: Case("x", inputs=(v,)))

    assert draw(lists, 20, 3) == draw(lists, 20, 3)
    assert draw(lists, 20, 3) != draw(lists, 20, 4)
    assert [case.name for case in draw(lists, 3, 1)] == ["drawn 1", "drawn 2", "drawn 3"]
    assert len(draw(lambda: strategies.just(Case("one")), 20, 1)) == 1
    assert falsify(lists, lambda case: False, 50, 1, 60.0) is None
    assert falsify(lists, lambda case: sum(case.inputs[0]) > 70, 200, 1, 60.0).inputs == ([71],)
    assert not list(tmp_path.iterdir())  # hypothesis keeps no folder here


def test_a_hunt_ends_when_its_time_is_up_or_its_prey_does_not_come_again():
    from hypothesis import strategies

    def numbers():
        return strategies.integers(0, 10**6).map(lambda v: Case("x", inputs=(v,)))

    calls = []

    def once(case):
        calls.append(case)
        return len(calls) == 5

    assert falsify(numbers, once, 50, 1, 60.0).inputs == calls[4].inputs
    assert falsify(numbers, lambda case: True, 50, 1, 0.0) is None


def test_long_inputs_are_shown_cut():
    assert shown(Case("a", inputs=(np.zeros(3), 7))) == "(array([0., 0., 0.]), 7)"
    assert len(shown(Case("a", inputs=("x" * 10_000,)))) < 700
