"""The judge: interpreted or jailed, tuned or not, every failure a status. Real processes."""

import pytest

from evolve.evaluator import Job, Judge, TuneOrder
from evolve.loader import load

NUMPY = "import numpy as np\n\n\n"


@pytest.fixture
def judge(problem_file):
    made = []

    def make(**replace):
        judge = Judge(load(str(problem_file(**replace))))
        made.append(judge)
        return judge

    yield make
    for judge in made:
        judge.close()


@pytest.mark.parametrize(
    ("source", "status", "says"),
    [
        ("def guess(x):\n    return 3.0 * x\n", "ok", ""),
        ("def guess(x):\n    return x / 0\n", "error", "ZeroDivisionError"),
        ("def guess(x):\n    raise KeyError('gone')\n", "error", "KeyError"),
        ("def guess(x)\n", "error", "SyntaxError"),
        ("def other(x):\n    return x\n", "error", "guess"),
        ("raise SystemExit\n\n\ndef guess(x):\n    return x\n", "error", "SystemExit"),
        ("def guess(x):\n    while True:\n        pass\n", "timeout", "s"),
        ("def guess(x):\n    import os\n    os._exit(0)\n", "died", ""),
        ("def guess(x):\n    return [0] * 10**11\n", "memory", ""),
        ("def guess(x):\n    return object()\n", "error", "object"),
        ("def guess(x):\n    return 'text'\n", "rejected", "number is asked for"),
        ("def guess(x):\n    return 1e7 * x\n", "rejected", "too large"),
        ("def guess(x):\n    return float('nan')\n", "rejected", "not finite"),
    ],
)
def test_whatever_a_program_does_has_a_status_and_a_message(judge, source, status, says):
    judged = judge(replace={"seconds=2.0": "seconds=0.5"}).judge(Job(source))
    assert judged.evaluation.status == status, judged
    assert says in judged.evaluation.message
    assert (judged.evaluation.objective is not None) == (status == "ok")


@pytest.mark.parametrize(
    ("extra", "says"),
    [("\0", "the program holds a NUL"), ("\n# " + "é" * 40_000, "the program is longer than 65536 bytes")],
)
@pytest.mark.parametrize("body", ["return 3.0 * x", "for i in range(2):\n        x = 3.0 * x\n    return x"])
def test_a_text_that_is_no_program_is_refused_in_the_same_words_everywhere(judge, extra, says, body):
    evaluation = judge().judge(Job(f"def guess(x):\n    {body}\n{extra}")).evaluation
    assert (evaluation.status, evaluation.message.startswith(says)) == ("error", True)


@pytest.mark.parametrize("body", ["return 3.0 * x", "for i in range(2):\n        y = 3.0 * x\n    return y"])
def test_a_byte_order_mark_changes_nothing(judge, body):
    source, made = f"def guess(x):\n    {body}", judge()
    marked, bare = made.judge(Job("\ufeff" + source)).evaluation, made.judge(Job(source)).evaluation
    assert (marked.status, marked.scores, marked.isolation) == ("ok", bare.scores, bare.isolation)


def test_an_expression_is_interpreted_and_a_loop_is_jailed_to_the_same_score(judge):
    made = judge()
    plain = made.judge(Job(NUMPY + "def guess(x):\n    return np.sqrt(x) + 1.5\n")).evaluation
    looped = "def guess(x):\n    for i in range(2):\n        y = np.sqrt(x)\n    return y + 1.5\n"
    loop = made.judge(Job(NUMPY + looped))
    assert (plain.isolation, loop.evaluation.isolation) == ("interpreted", "strict")
    assert plain.scores == loop.evaluation.scores


def test_what_the_interpreter_will_not_run_goes_to_the_jail(judge):
    source = "def guess(x):\n    a = 99999999999 * 99999999999\n    return x + a * 0\n"
    evaluation = judge().judge(Job(source)).evaluation
    assert (evaluation.status, evaluation.isolation) == ("ok", "strict")


@pytest.mark.parametrize("shape", ["{}", "{}\n    for _ in range(1):\n        pass"])
def test_tuned_constants_are_judged_again_from_their_text(judge, shape):
    made = judge()
    source = "def guess(x):\n" + shape.format("    a = 1.5") + "\n    return a * x\n"
    judged = made.judge(Job(source, tune=TuneOrder(30, 30, seed=3)))
    assert judged.evaluation.objective < 0.5 * made.judge(Job(source)).evaluation.objective
    assert made.judge(Job(judged.source)).evaluation.scores == judged.evaluation.scores
    assert judged.trials[0].constants == (1.5,)
    assert len(judged.trials) == 30
    assert judged == judged.__class__(judged.source, judged.evaluation, judged.trials)


def test_a_tuning_below_its_bar_ends_after_its_first_trial(judge):
    source = "def guess(x):\n    return 1.5 * x\n"
    made = judge()
    judged = made.judge(Job(source, tune=TuneOrder(30, 30, seed=3, bars=(0.001,))))
    assert len(judged.trials) == 1
    assert judged.source == source
    assert judged.evaluation.objective == made.judge(Job(source)).evaluation.objective


def test_output_and_traceback_of_a_program_come_back_bounded_and_clean(judge):
    source = "def guess(x):\n    print('\\x1b[31mred' * 9999)\n    return x\n"
    output = judge().judge(Job(source)).evaluation.output
    assert "red" in output
    assert "\x1b" not in output
    assert len(output) < 20_000
    failed = judge().judge(
        Job("def guess(x):\n    y = 3\n    for i in range(2):\n        y = y / 0\n    return y\n")
    )
    assert "line 4" in failed.traceback
    assert "y = y / 0" in failed.traceback


STEP = {
    "block": "def guess(state):\n    for _ in [0]:\n        pass\n    return sum(state) + 1",
    "body": """
from evolve import Integer


def simulate(decide, case):
    state = [0]
    for _ in range(60):
        state.append(decide(state))  # grows in place: what was asked must be remembered as it was
        del state[:-3]
    return state[-1] % 1000


@problem
def small() -> Problem:
    return Problem(
        entry="guess",
        form="step",
        cases=[Case("a"), Case("b")],
        returns=Integer(),
        simulate=simulate,
        score=lambda y, case: {"error": abs(y - 500)},
        objective=Objective("error", "min"),
    )
""",
}


def test_a_step_program_without_notes_passes_though_its_state_is_changed_in_place(judge):
    made = judge(**STEP)
    evaluation = made.judge(Job(made.problem.block)).evaluation
    assert evaluation.status == "ok", evaluation
    assert evaluation.isolation == "strict"


@pytest.mark.parametrize(
    "block",
    [
        "SEEN = []\n\n\ndef guess(state):\n    SEEN.append(1)\n    return sum(state) + len(SEEN)",
        "import random\n\n\ndef guess(state):\n    return sum(state) + random.SystemRandom().randrange(9)",
        "def guess(state, notes=[]):\n    notes.append(state[0])\n    return max(notes) + 1",
    ],
)
def test_a_step_program_that_keeps_notes_or_draws_lots_is_rejected(judge, block):
    evaluation = judge(**STEP).judge(Job(block)).evaluation
    assert (evaluation.status, "asked afresh" in evaluation.message) == ("rejected", True), evaluation


def test_a_suite_of_unseen_cases_is_scored_apart(judge):
    made = judge()
    assert set(made.judge(Job("def guess(x):\n    return x\n", suite="far")).evaluation.scores) == {"c"}
    detail = made.judge(Job("def guess(x):\n    return x\n", detail=True))
    assert detail.outcomes == {"a": 1.0, "b": 2.0}
