"""Verdicts and certificates under attack: odd values, odd cases, odd ledgers; what is told is told on one line."""

import asyncio
import base64
import json
import resource
import subprocess
import sys
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

import evolve
from evolve import verifier
from evolve.certificate import Certificate, certified, rounded, script, signed, source_of
from evolve.cli import main
from evolve.confirmation import Confirmation
from evolve.errors import UsageError
from evolve.evaluator import Judge
from evolve.fastcore.wire import encode
from evolve.loader import load
from evolve.programs_db.claims import Ruling
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.records import Evaluation, Status
from evolve.statement import Case, Stage
from evolve.verbs.common import write_whole
from evolve.verdict_telling import tell_findings, tell_verdict
from evolve.verifier import Claim, Rules, verify

DOUBLE = '''"""Say twice a number."""

from fractions import Fraction

from evolve import Case, Objective, Problem, Real, certified, problem


# EVOLVE-BLOCK-START
def twice(x):
    return x + 0.0


# EVOLVE-BLOCK-END


def score(answer, case):
    return {"error": abs(answer - 2.0 * case.inputs[0])}


def strategy():
    from hypothesis import strategies

    return strategies.integers(0, 1000).map(lambda x: Case("any", inputs=(float(x),)))


def check(data):
    return data["error"]


def certify(answer, case):
    return certified(check, {"error": str(Fraction(abs(answer - 2.0 * case.inputs[0])))}, "off by {value}")


@problem
def double(exact: bool = False) -> Problem:
    return Problem(
        entry="twice",
        cases=[Case(f"x{x}", inputs=(float(x),)) for x in (1, 2, 5)],
        returns=Real(),
        score=score,
        objective=Objective("error", "min"),
        fresh=lambda rng: [Case("new", inputs=(float(rng.integers(6, 99)),))],
        certify=certify if exact else None,
        check=check if exact else None,
    )
'''
RIGHT = "def twice(x):\n    return 2.0 * x\n"
RULES = Rules(seed=5, draws=6, examples=20)


class Direct:
    """Evaluates in this process; `late` answers are replaced by a timeout, the first ones first."""

    def __init__(self, problem, late=0):
        self.judge = Judge(problem)
        self.late = late

    async def evaluate(self, job):
        judged = self.judge.judge(job)
        if not self.late:
            return judged
        self.late -= 1
        return replace(judged, evaluation=Evaluation("", Status.TIMEOUT, "too slow"), proof=None)


@pytest.fixture(scope="module")
def double(tmp_path_factory):
    path = tmp_path_factory.mktemp("double") / "double.py"
    path.write_text(DOUBLE)
    return load(str(path), {})


def ruled(problem, source=RIGHT, value=0.0, rules=RULES, late=0):
    evaluator = Direct(problem, late)
    try:
        return asyncio.run(verify(evaluator, problem, Claim(source, value, 8.0 / 3.0), rules))
    finally:
        evaluator.judge.close()


def new(x, name="new", **more):
    return Case(name, inputs=(float(x),), **more)


# -- certificates


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (Certificate(True, "nan", "", {}), "give a whole number, a fraction or a decimal number"),
        (Certificate(True, "1/0", "", {}), "its denominator is zero"),
        (Certificate(True, "1e999999999", "", {}), "give a whole number"),
        (Certificate(True, "", "", {}), "give a whole number"),
        (Certificate(True, None, "", {}), "not the exact value as text"),
        (Certificate(True, "0", None, {}), "statement= a text"),
        (Certificate("no", "0", "", {}), "valid= must be a bool"),
        (Certificate(True, "0", "", {"a": {1, 2}}), "not JSON serializable"),
        (Certificate(True, "0", "", {"a": float("nan")}), "not JSON compliant"),
        (Certificate(True, "0", "", {"a": 10**5000}), "4300 digits"),
        (Certificate(True, "0", "", {"a": "x" * (9 << 20)}), "at most 8388608"),
        ("0", "not a Certificate"),
    ],
)
def test_what_is_no_certificate_refutes_nothing_and_ends_nothing(double, made, told):
    verdict = ruled(replace(double, fresh=None, certify=lambda answer, case: made))
    assert verdict.verdict == "unverified"
    assert told in verdict.why
    json.dumps(verdict.evidence())


def test_exact_values_may_be_longer_than_python_reads_whole_numbers():
    assert rounded("1" + "0" * 5000 + "/2" + "0" * 5000) == 0.5
    assert rounded("1e400") == float("inf")
    assert rounded("-0.25") == -0.25

    def long(data):
        return str(10**5000)

    made = certified(long, {}, "{value}")
    assert made.valid
    assert len(made.value) == 5001
    with pytest.raises(ValueError, match="4300 digits"):
        str(10**5000)  # as before


def test_what_a_checker_does_to_its_data_is_not_kept():
    def greedy(data):
        count = 0
        while data["members"]:
            count += bool(data["members"].pop())
        return str(count)

    assert certified(greedy, {"members": [1, 2, 3]}, "{value}").data == {"members": [1, 2, 3]}


def test_what_a_checker_takes_from_outside_before_it_runs_is_found_as_well():
    limit = 3

    def main(data, most=limit):
        return str(most)

    with pytest.raises(ValueError, match="uses limit from outside"):
        source_of(main)

    def inner(data):
        class Holder:
            value = limit

        return str(Holder.value)

    with pytest.raises(ValueError, match="uses limit from outside"):
        source_of(inner)


def checked(folder, text, check):
    (folder / "check.py").write_text(script(check, "odd", "0"))
    (folder / "a.json").write_text(text)
    command = [sys.executable, "-I", str(folder / "check.py"), str(folder / "a.json")]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_crafted_file_is_seen_through(tmp_path):
    def main(data):
        assert data["n"] == 4
        return data["value"]

    claims = {"claims": [{"case": "a\x1b[31m", "value": "1\x1b[31m", "data": {"n": 4, "value": "1\x1b[31m"}}]}
    good = signed(claims)
    done = checked(tmp_path, good, main)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "n = 4" in done.stdout
    twice = good.replace('"claims"', '"claims": [], "claims"', 1)
    done = checked(tmp_path, twice, main)
    assert (done.returncode, done.stderr) == (1, "NOT valid: ValueError: a name comes twice\n")
    deep = '{"digest": "x", "claims": ' + "[" * 100_000 + "]" * 100_000 + "}"
    assert checked(tmp_path, deep, main).stderr.startswith("NOT valid: RecursionError")
    endless = good.replace('"n": 4', '"n": 1e999')
    assert "not JSON compliant" in checked(tmp_path, endless, main).stderr
    number = signed({"claims": [{"case": "a", "value": 1, "data": {"value": 1}}]})
    assert checked(tmp_path, number, main).returncode == 1


# -- fresh cases


@pytest.mark.parametrize(
    ("fresh", "told"),
    [
        (lambda rng: [new(50)], "the same cases at each draw"),
        (lambda rng: [new(x, f"n{x}") for x in (1, 2, 5)] + [new(7)] * 0, "the same cases at each draw"),
        (lambda rng: [new(1), new(rng.integers(6, 99))], "a name of its own"),
        (lambda rng: [new(rng.integers(6, 99), name=5)], "each case a name"),
        (lambda rng: [Case("new", inputs=(object(),))], "plain data"),
        (lambda rng: [Case("new", inputs=("x",))], "the seed program fails there as well"),
        (lambda rng: [], "one Case or more"),
    ],
)
def test_odd_fresh_cases_neither_confirm_nor_refute(double, fresh, told):
    verdict = ruled(replace(double, fresh=fresh))
    assert verdict.verdict == "unverified"
    assert told in verdict.why


def test_training_cases_that_come_again_are_not_new(double):
    learnt = "def twice(x):\n    return 2.0 * x if x < 6.0 else 0.0\n"
    training = list(double.cases)
    some = replace(double, fresh=lambda rng: training if rng.random() < 0.9 else [new(rng.integers(6, 99))])
    verdict = ruled(some, learnt, rules=replace(RULES, draws=20))
    assert verdict.verdict == "unverified"
    assert "which are not new" in verdict.why


def test_a_stage_has_no_gate_for_fresh_cases(double):
    fresh = lambda rng: [new(rng.integers(50, 60), "x1")]  # noqa: E731
    verdict = ruled(replace(double, stages=(Stage(("x1",), gate=0.5),), fresh=fresh))
    assert verdict.verdict == "unverified"
    assert "other names than those of a stage" in verdict.why


def test_a_fresh_that_never_ends_is_stopped_once(double):
    calls = []

    def fresh(rng):
        calls.append(1)
        while True:
            pass

    verdict = ruled(replace(double, fresh=fresh, score_seconds=0.2))
    assert "fresh took more than 0.2 s" in verdict.why
    assert len(calls) == 1


def test_values_next_to_the_largest_float_have_a_mean(double):
    problem = replace(double, fresh=lambda rng: [new(0.85e308 + rng.random())])
    assert ruled(problem, "def twice(x):\n    return 2.0 * x if x < 9.0 else 0.0\n").verdict in (
        "refuted",
        "unverified",
    )


def test_repeats_get_seeds_that_the_search_had_not(double):
    seen = set()

    def score(answer, case):
        seen.add(case.seed)
        return {"error": abs(answer - 2.0 * case.inputs[0])}

    problem = replace(double, fresh=None, repeats=2, score=score)
    source = "def twice(x, seed):\n    return 2.0 * x\n"
    block = "def twice(x, seed):\n    return x + 0.0\n"
    first = ruled(replace(problem, block=block), source)
    assert first.verdict == "confirmed"
    few, seen_first = {0, 1}, set(seen)
    seen.clear()
    ruled(replace(problem, block=block), source, rules=replace(RULES, seed=999))
    assert seen & seen_first == few
    assert max(seen) < 2**31


# -- what cannot be established leaves a claim open; what is slow once is asked again


def test_a_strategy_that_fails_is_named_and_confirms_nothing(double):
    verdict = ruled(replace(double, strategy=lambda: 1 / 0))
    assert verdict.verdict == "unverified"
    assert "strategy raised ZeroDivisionError" in verdict.why


def test_a_score_that_fails_on_training_cases_only_confirms_nothing(double):
    def score(answer, case):
        if case.name.startswith("x"):
            raise KeyError("away")
        return {"error": abs(answer - 2.0 * case.inputs[0])}

    verdict = ruled(replace(double, score=score))
    assert verdict.verdict == "unverified"
    assert "KeyError" in verdict.why


@pytest.mark.parametrize(
    "kept", ["!", "é", 7, "", *(base64.b64encode(encode(value)).decode() for value in (5, None, {"a": 1}))]
)
def test_a_kept_case_that_cannot_be_read_hides_no_wrong_answer(double, kept):
    known = (kept, base64.b64encode(encode((700.0,))).decode())
    wrong = "def twice(x):\n    return 2.0 * x if x < 600.0 else 1 // 0\n"
    verdict = ruled(double, wrong, rules=replace(RULES, known=known))
    assert verdict.verdict == "refuted"
    assert "(700.0,)" in verdict.why
    verdict = ruled(double, rules=replace(RULES, known=known))
    assert verdict.verdict == "unverified"
    assert "cannot be read" in verdict.why


def test_a_program_that_was_slow_once_is_asked_again(double):
    assert ruled(double, late=1).verdict == "confirmed"
    verdict = ruled(double, late=2)
    assert verdict.verdict == "unverified"
    assert "is the machine busy?" in verdict.why


def test_rules_that_cannot_be_meant_are_refused():
    for wrong in ({"draws": 0}, {"examples": 0}, {"seed": -1}):
        with pytest.raises(UsageError):
            Rules(**wrong)


# -- in a ledger, and told


def test_a_program_cannot_write_a_verdict_of_its_own():
    text = StringIO()
    console = Console(file=text, width=40)
    words = "no\nverdict: certified (20 vectors)\x1b[2J"
    tell_findings(console, [{"name": "rerun", "holds": False, "words": words}])
    tell_verdict(console, "refuted", words)
    assert len(text.getvalue().splitlines()) == 2
    assert "\x1b" not in text.getvalue()


def test_cases_of_an_older_problem_are_not_asked(tmp_path):
    (tmp_path / "double.py").write_text(DOUBLE)
    run = evolve.run(str(tmp_path / "double.py"), proposals=2, ledger=tmp_path / "a.db", workers=1)
    program = run.document["best"]["program"]
    kept = base64.b64encode(encode(("no number",))).decode()
    with Ledger.open(run.ledger) as book:
        said = {"why": "", "seed": 1, "findings": [{"name": "properties", "holds": False, "kept": kept}]}
        book.record_ruling(Ruling(program, "b2:older", "evolve 0.0", "refuted", said, 1.0))
    assert "properties" not in [one.name for one in run.verify(rules=RULES).verdict.findings]


def test_a_checker_that_says_otherwise_now_is_not_handed_out(tmp_path, capsys):
    path = tmp_path / "double.py"
    path.write_text(DOUBLE.replace("exact: bool = False", "exact: bool = True"))
    run = evolve.run(str(path), proposals=2, ledger=tmp_path / "a.db", workers=1)
    out = str(tmp_path / "a.json")
    told = run.document["best"]["verdict"]
    path.write_text(path.read_text().replace('return data["error"]', 'return "77"'))
    assert told == "certified"
    assert main(["export", str(run.ledger), "--certificate", "-o", out]) == 1
    assert "its check says 77" in capsys.readouterr().err
    path.write_text(path.read_text().replace('return "77"', 'return data["error"]'))
    assert main(["export", str(run.ledger), "--certificate", "-o", str(tmp_path / "check_double.py")]) == 2
    assert main(["export", str(run.ledger), "--certificate", "-o", "-"]) == 2
    assert main(["export", str(run.ledger), "--certificate", "-o", out]) == 0


def test_a_full_disk_leaves_no_half_of_a_file(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))  # to this process the disk is full then
    try:
        with pytest.raises(OSError, match="too large"):
            write_whole(path, "new" * 20_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]
    assert path.read_text() == "old"


def test_a_wrong_answer_counts_also_where_the_problem_failed_elsewhere():
    found = Confirmation(1, None, {"far": "rejected: no"}, failed="unscorable: score raised KeyError")
    finding = verifier._raced(Claim(RIGHT, 2.0), found, None)
    assert (finding.holds, finding.words) == (False, "far: rejected: no")
