"""`evolve redteam`: planted flaws are found, the same problems without them hold, and so do the shipped ones."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.evaluator import Judged
from evolve.loader import load
from evolve.programs_db.records import Evaluation, Status
from evolve.redteam.attacks import ATTACKS, fitting
from evolve.redteam.campaign import attacked
from evolve.redteam.judge import RedJudge, SeedOrder
from evolve.redteam.programs import MARK, PROGRAMS, source_of
from evolve.redteam.target import Honest

HERE = Path(__file__).parent
FILES = [runpy.run_path(str(HERE / f"planted_{name}.py")) for name in ("discs", "scores", "forms")]
PLANTED = {name: planted for file in FILES for name, planted in file["PLANTED"].items()}
HEAD = """from evolve import Case, Objective, Problem, problem

# EVOLVE-BLOCK-START
{block}
# EVOLVE-BLOCK-END
{body}"""
SHOWN = FILES[-1]["SHOWN"]
IMPORTS = "from evolve import Integer, Plain, Sequence, Text\n"
CRASHES = "a crash of the process"  # not in the process of the tests
SHIPPED = [
    "autocorr1",
    "cache_eviction",
    "capset",
    "circle_packing",
    "erdos_overlap",
    "kissing",
    "matmul_rank",
    "maxsat_flip",
    "memory_rule",
    "online_bin_packing",
    "sumdiff",
    "symbolic_regression",
    "tsp_guide",
]


@pytest.fixture
def judge():
    """judge(path, short=False, unsafe=False) -> a RedJudge in this process."""
    judges = []

    def make(path, short=False, unsafe=False):
        judges.append(RedJudge(load(str(path)), unsafe, short))
        return judges[-1]

    yield make
    for one in judges:
        one.close()


def through(reports):
    """What got through, by attack."""
    found = {
        name: [hit.sentence for hit in report.hits if hit.grade == "failed"]
        for name, report in reports.items()
    }
    return {name: sentences for name, sentences in found.items() if sentences}


def by_answers(form):
    """Names of the attacks that need no program."""
    return [attack.name for attack in fitting(form) if attack.run is not None]


@pytest.mark.parametrize("flaw", [name for name in PLANTED if name != CRASHES])
def test_a_planted_flaw_is_found_by_its_attack(judge, problem_file, flaw):
    attack, says, block, body, flawed, _ = PLANTED[flaw]
    one = judge(problem_file(block=block, body=IMPORTS + body.replace("FLAW", flawed)))
    found = through({attack: one.judge(attack)})
    assert any(says in sentence for sentence in found[attack]), found


RIGHT = {
    body.replace("FLAW", right): (name, block) for name, (_, _, block, body, _, right) in PLANTED.items()
}


@pytest.mark.parametrize(
    ("flaw", "block", "body"), [pytest.param(*RIGHT[body], body, id=RIGHT[body][0]) for body in RIGHT]
)
def test_without_the_flaw_every_attack_is_held(judge, problem_file, flaw, block, body):
    one = judge(problem_file(block=block, body=IMPORTS + body))
    names = by_answers(one.target.problem.form)
    reports = {name: one.judge(name) for name in names}
    assert one.judge(SeedOrder()).hits == ()
    assert through(reports) == {}
    assert reports[PLANTED[flaw][0]].tried > 0


def test_a_stream_that_is_shown_whole_is_told(judge, problem_file):
    attack, says, block, body, flawed, right = SHOWN
    for code, grades in ((flawed, ["warning", "warning"]), (right, [])):
        report = judge(problem_file(block=block, body=body.replace("FLAW", code))).judge(attack)
        assert [hit.grade for hit in report.hits] == grades
        assert all(says in hit.sentence for hit in report.hits)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_problems_hold(judge, name):
    one = judge(name)
    slow = {"loop", "memory", "huge_answer"} if name != "capset" else set()
    names = [attack.name for attack in fitting(one.target.problem.form) if attack.name not in slow]
    reports = {name: one.judge(name) for name in names}
    assert through(reports) == {}
    assert all(reports[name].tried == 1 for name in PROGRAMS if name in reports)


@pytest.mark.parametrize("form", ["call", "table", "step"])
def test_a_new_problem_holds(cli, tmp_path, judge, form):
    path = tmp_path / "mine.py"
    assert cli("new", path, "--form", form)[0] == 0
    one = judge(path)
    assert through({name: one.judge(name) for name in by_answers(form)}) == {}
    assert through({name: one.judge(name) for name in ("notes", "chance", "previous_answer")}) == {}


def test_without_a_jail_a_program_finds_what_it_should_not(judge, problem_file):
    held, loose = judge(problem_file()), judge(problem_file(), unsafe=True)
    assert through({"": held.judge("problem_file")}) == {}
    assert "the problem file can be read" in through({"": loose.judge("problem_file")})[""][0]


@pytest.mark.parametrize("name", ["heap_hunt", "frame_walk", "modules", "environment"])
def test_in_the_trusted_process_the_hunters_would_find_something(problem_file, capsys, monkeypatch, name):
    """The control of those that find nothing in the jail."""
    monkeypatch.setenv("EVOLVE_TEST_SECRET", "1")
    problem = load(str(problem_file()))
    case = problem.cases[0]
    namespace = {}
    exec(source_of(problem, PROGRAMS[name]), namespace)
    assert namespace[problem.entry](*case.inputs) == 2.0
    assert MARK in capsys.readouterr().out


def test_a_program_that_scores_otherwise_than_the_seed_is_told(judge, problem_file, monkeypatch):
    one = judge(problem_file())
    other = "def ENTRY(*args):\n    return _honest(*args) + 1.0\n"
    for answers, grade in (("honest", "failed"), ("none", "failed"), ("other", "warning")):
        monkeypatch.setitem(PROGRAMS, "memo", type(PROGRAMS["memo"])(answers, other))
        assert [hit.grade for hit in one.judge("memo").hits] == [grade]


CHECKED = "if abs(answer - true) > 1e-9 * true:"


@pytest.mark.parametrize(
    ("check", "found"),
    [
        (CHECKED, set()),
        ("if False:", {"constant", "previous"}),
        ("if abs(answer - true) > 0.5 * true + 1:", {"constant"}),
    ],
)
def test_in_a_race_a_wrong_answer_that_is_accepted_gets_through(judge, timed_file, check, found):
    one = judge(timed_file({CHECKED: check}))
    assert one.judge(SeedOrder()).hits == ()
    assert set(through({name: one.judge(name) for name in by_answers("call")})) == found
    assert through({name: one.judge(name) for name in ("pickled", "exit", "problem_file")}) == {}


def test_in_a_race_tampering_that_makes_a_program_faster_is_told(judge, timed_file, monkeypatch):
    def evaluation(low, high):
        race = {"all": {"speedup": (low + high) / 2, "low": low, "high": high}}
        return Evaluation("", Status.OK, objective=(low + high) / 2, scores=race)

    one = judge(timed_file())
    for made, grades in ((evaluation(2.7, 2.8), ["warning"]), (evaluation(2.1, 2.5), [])):
        races = iter([evaluation(1.9, 2.1), evaluation(1.8, 2.3), made])
        monkeypatch.setattr(one.real, "judge", lambda _job, races=races: Judged("", next(races)))
        one._alone = None
        assert [hit.grade for hit in one.judge("patched_time").hits] == grades


STEP = """
SEEN = []


@problem
def small() -> Problem:
    return Problem(
        entry="decide",
        form="step",
        cases=[Case("a", hidden=[3.0, 1.0, 2.0]), Case("b", hidden=[1.0, 1.0, 5.0])],
        simulate=simulate,
        returns=Real(),
        score=score,
        certify=lambda outcome, case: Certificate(True, str(CERTIFIED), "the sum"),
        objective=Objective("error", "min"),
    )


def simulate(decide, case):
    SIMULATED
    return sum(abs(decide(now) - now) for now in case.hidden)


def score(error, case):
    return {"error": error}
"""


@pytest.mark.parametrize(
    ("attack", "certified", "simulated", "says"),
    [
        ("honest", "outcome", "pass", None),
        ("state", "outcome", "pass", None),
        ("honest", "outcome + 1", "pass", "score says 6 on case a, certify 7"),
        ("honest", "{}[0]", "pass", "certify raised KeyError"),
        ("state", "outcome", "SEEN.append(1); case.hidden[:] = case.hidden[:2]", "scoring changed case a"),
        ("state", "outcome", "SEEN.append(1)\n    return len(SEEN)", "run twice, the seed has 1.5 and 3.5"),
    ],
)
def test_form_step_is_held_to_its_certificate_and_to_itself(
    judge, problem_file, attack, certified, simulated, says
):
    body = STEP.replace("CERTIFIED", certified).replace("SIMULATED", simulated)
    path = problem_file(
        block="def decide(x):\n    return 0.0 * x", body="from evolve import Certificate\n" + body
    )
    found = through({attack: judge(path).judge(attack)})
    assert found == {} if says is None else says in str(found[attack])


def test_programs_are_not_compared_where_the_same_one_scores_otherwise_each_time(judge, problem_file):
    chance = {"def score(y, case):": "import random\ndef score(y, case):\n    y += random.random()"}
    one = judge(problem_file(replace=chance))
    assert one.judge("memo").hits == ()
    assert "scored twice" in through({"state": one.judge("state")})["state"][0]


PLAIN = """
@problem
def small() -> Problem:
    return Problem(
        entry="f",
        cases=[Case("a", inputs=(1,)), Case("b", inputs=([2.0, 3.0],), hidden={"x": [1, 2, 3, 4]})],
        score=lambda answer, case: {"size": 1.0},
        objective=Objective("size", "max"),
    )
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A problem that takes any answer."""
    path = tmp_path_factory.mktemp("plain") / "small.py"
    path.write_text(HEAD.format(block="def f(x):\n    return 1", body=PLAIN))
    one = RedJudge(load(str(path)), unsafe=False, short=False)
    yield one
    one.close()


ARRAYS = st.sampled_from(
    [
        np.zeros((2, 3)),
        np.arange(5),
        np.zeros(0),
        np.array(2.5),
        np.ones((1, 0, 2)),
        np.array([True]),
        np.arange(4, dtype="u1"),
    ]
)
ANSWERS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | ARRAYS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(-9, 9), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.lists(ANSWERS, min_size=2, max_size=2))
def test_attacks_can_be_made_on_any_plain_answer(plain, answers):
    target = plain.target
    target.honest = [
        Honest("the seed", case, answer, 1.0) for case, answer in zip(target.cases, answers, strict=True)
    ]
    for name in by_answers("call"):
        report = plain.judge(name)
        assert {hit.grade for hit in report.hits} <= {"advice", "warning", "failed"}


# --- the command


def test_what_gets_through_is_named_with_its_mend_and_exits_1(cli, problem_file):
    _, _, block, body, flawed, right = PLANTED["a sum of int64 wraps around"]
    words = "redteam", "--only", "wrap", "--only", "declared"
    path = problem_file(block=block, body=IMPORTS + body.replace("FLAW", flawed))
    code, out, _ = cli(*words, path)
    assert code == 1
    assert "failed  wrap: " in out
    assert "; sum Python's whole numbers" in out
    assert "advice  declared: no unseen= cases" in out
    assert out.rstrip().endswith("1 of 2 attacks get through: wrap")
    code, out, _ = cli(*words, path, "--json")
    told = json.loads(out)
    assert (code, told["ok"], told["through"]) == (1, False, ["wrap"])
    assert [(one["name"], one["result"]) for one in told["attacks"]] == [
        ("wrap", "failed"),
        ("declared", "advice"),
    ]
    assert told["attacks"][0]["number"] == 79
    path = problem_file(block=block, body=IMPORTS + body.replace("FLAW", right))
    code, out, _ = cli(*words, path)
    assert code == 0
    assert out.rstrip().endswith("2 attacks were held")


def test_a_crash_of_a_worker_is_a_finding_and_the_next_attack_goes_on(problem_file):
    attack, says, block, body, flawed, _ = PLANTED[CRASHES]
    problem = load(str(problem_file(block=block, body=body.replace("FLAW", flawed))))
    found = {one.attack: one for one in attacked(problem, only=(attack, "length"))}
    assert found[attack].result == "failed"
    assert says in found[attack].found[0].sentence
    assert found["length"].result == "ok"


def test_functions_that_nothing_interrupts_are_a_finding(problem_file):
    _, _, block, body, _, _ = PLANTED[CRASHES]
    stuck = "import signal, time; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM]); time.sleep(600)"
    problem = load(str(problem_file(block=block, body=body.replace("FLAW", stuck))))
    (found,) = attacked(problem, only=("kinds",), patience=4.0)
    assert "stuck for 4 s" in found.found[0].sentence


@pytest.mark.parametrize(
    ("costly", "says"), [("while True: pass", "took more than 1 s"), ("[0] * 10**11", "MemoryError")]
)
def test_what_scoring_cannot_do_in_time_or_memory_is_a_warning(judge, problem_file, costly, says):
    _, _, block, body, _, _ = PLANTED[CRASHES]
    text = f"if answer != '':\n            raise Rejected('no list')\n        {costly}"
    report = judge(problem_file(block=block, body=body.replace("FLAW", text))).judge("kinds")
    assert [hit.grade for hit in report.hits] == ["warning"]
    assert says in report.hits[0].sentence


def test_a_seed_that_does_not_score_is_told_and_nothing_is_tried(cli, problem_file):
    code, out, _ = cli("redteam", problem_file(replace={"return x + 1.0": "return x / 0"}))
    assert code == 1
    assert out.startswith("failed  seed: the seed program does not ")
    assert "ZeroDivisionError" in out
    assert "no attack was made" in out


def test_the_attacks_are_listed_and_names_checked(cli, problem_file):
    code, out, _ = cli("redteam", "--list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [attack.name for attack in ATTACKS]
    _, out, _ = cli("redteam", "capset", "--list", "--json")
    assert {one["name"] for one in json.loads(out)} == {attack.name for attack in fitting("table")}
    for words, says in (
        (["--only", "tolerence", "capset"], "did you mean 'tolerance'?"),
        (["--only", "tolerance", "capset"], "does not fit form 'table'"),
        ([], "which problem?"),
    ):
        code, out, err = cli("redteam", *words)
        assert (code, out) == (2, "")
        assert says in err


def test_text_of_an_answer_is_shown_without_control_characters(cli, problem_file):
    body = """
@problem
def small() -> Problem:
    return Problem(
        entry="f", cases=[Case("a", inputs=(5,))], score=score, objective=Objective("size", "max")
    )


def score(answer, case):
    if answer != 5:
        raise ValueError("\\x1b[2J\\x07" + str(answer))
    return {"size": 1}
"""
    path = problem_file(block="def f(n):\n    return n", body=body)
    code, out, _ = cli("redteam", "--only", "kinds", path)
    assert code == 0
    assert "warning kinds: " in out
    assert "\x1b" not in out
    assert "\x07" not in out


def test_check_makes_the_most_telling_attacks_and_names_the_verb(cli, problem_file):
    code, out, _ = cli("check", problem_file())
    assert code == 0
    assert "`evolve redteam PROBLEM` tries" in out
    _, _, block, body, flawed, _ = PLANTED["the length is not checked"]
    code, out, _ = cli("check", problem_file(block=block, body=body.replace("FLAW", flawed)), "--json")
    checks = json.loads(out)["checks"]
    assert code == 1
    assert [check["name"] for check in checks if check["result"] == "failed"] == ["redteam length"]


def test_the_page_names_every_attack():
    page = (HERE.parents[1] / "docs" / "redteam.md").read_text(encoding="utf-8")
    assert [attack.name for attack in ATTACKS if f"`{attack.name}`" not in page] == []
