"""Verdicts: what is certified, confirmed, refuted and unverified, by which evidence, and what a ledger keeps of it."""

import asyncio
import json
import random
import subprocess
import sys
from dataclasses import replace

import pytest

import evolve
from evolve.cli import main
from evolve.errors import ProblemError
from evolve.evaluator import Judge
from evolve.loader import load
from evolve.programs_db.claims import Ruling
from evolve.programs_db.ledger import Ledger
from evolve.verifier import Claim, Rules, verify

TRIPLE = '''"""Say three times a number."""

from fractions import Fraction

from evolve import Case, Certificate, Measure, Objective, Primitive, Problem, Real, Rejected, certified, problem


# EVOLVE-BLOCK-START
def times(x):
    return x + 0.0


# EVOLVE-BLOCK-END


def check(data):
    from fractions import Fraction

    error = abs(Fraction(data["answer"]) - 3 * Fraction(data["x"]))
    if error > 1000:
        raise ValueError("that is far off")
    return str(error)


def strategy():
    from hypothesis import strategies

    return strategies.integers(0, 1000).map(lambda x: Case("any", inputs=(float(x),)))


@problem
def triple(exact: bool = False, fresh: bool = False, strict: bool = False, lie: float = 0.0) -> Problem:
    def score(answer, case):
        x = case.inputs[0]
        if answer < 0.0:
            raise Rejected(f"{answer} is below zero")
        return {"error": abs(answer - 3.0 * x) * (1.0 - lie), "size": answer}

    def certify(answer, case):
        data = {"answer": str(Fraction(answer)), "x": str(Fraction(case.inputs[0]))}
        return certified(check, data, "off by {value}")

    return Problem(
        entry="times",
        cases=[Case(f"x{x}", inputs=(float(x),)) for x in (1, 2, 5)],
        returns=Real(),
        score=score,
        objective=Objective("error", "min"),
        measures=[Measure("size", 0, 20)],
        unseen={"far": [Case("far", inputs=(400.0,))]},
        fresh=(lambda rng: [Case("new", inputs=(float(rng.integers(6, 99)),))]) if fresh else None,
        certify=certify if exact else None,
        check=check if exact else None,
        strategy=strategy if strict else None,
        primitives=[Primitive("abs", ("num",), "num")],
    )
'''
RIGHT = "def times(x):\n    return 3.0 * x\n"
LEARNT = "def times(x):\n    return {1.0: 3.0, 2.0: 6.0, 5.0: 15.0}.get(x, 0.0)\n"
NEGATIVE = "def times(x):\n    return 3.0 * x if x < 600.0 else -1.0\n"
RULES = Rules(seed=5, draws=8, examples=60)


class Direct:
    """Evaluates in this process, by the judge that supervisors have."""

    def __init__(self, problem):
        self.judge = Judge(problem)

    async def evaluate(self, job):
        return self.judge.judge(job)


@pytest.fixture
def triple(tmp_path):
    path = tmp_path / "triple.py"
    path.write_text(TRIPLE)
    return lambda **parameters: load(str(path), parameters)


def ruled(problem, source, value, rules=RULES, seed_value=16.0 / 3.0):
    evaluator = Direct(problem)
    try:
        return asyncio.run(verify(evaluator, problem, Claim(source, value, seed_value), rules))
    finally:
        evaluator.judge.close()


def finding(verdict, name):
    (found,) = (one for one in verdict.findings if one.name == name)
    return found


def test_an_exact_certificate_certifies_whatever_other_cases_say(triple):
    verdict = ruled(triple(exact=True, fresh=True), LEARNT, 0.0)
    assert verdict.verdict == "certified"
    assert verdict.why.startswith("off by 0 (and 2 more); its program is not a general one: on 8 fresh draws")
    assert finding(verdict, "unseen").data["values"] == {"far": 1200.0}
    told = finding(verdict, "certificate").data["certificates"]
    assert told["x5"]["data"] == {"answer": "15", "x": "5"}


def test_a_wrong_answer_to_another_case_is_told_beside_a_certificate_and_refutes_without_one(triple):
    told = ruled(triple(exact=True, strict=True), NEGATIVE, 0.0)
    assert (told.verdict, finding(told, "properties").holds) == ("certified", False)
    assert "its program is not a general one: rejected: case drawn" in told.why
    assert ruled(triple(strict=True), NEGATIVE, 0.0).verdict == "refuted"


def test_a_score_that_its_certificate_does_not_bear_out_is_refuted(triple):
    verdict = ruled(triple(exact=True, lie=1e-6), "def times(x):\n    return 2.0 * x\n", None)
    assert verdict.verdict == "refuted"
    assert "score says 0.999999, the certificate 1" in verdict.why


def test_a_certificate_that_breaks_a_rule_refutes(triple):
    verdict = ruled(triple(exact=True), "def times(x):\n    return 3.0 * x + 2000.0\n", 2000.0)
    assert (verdict.verdict, verdict.why) == ("refuted", "case x1: that is far off")


def test_what_holds_on_fresh_cases_is_confirmed_and_beside_the_seed_program(triple):
    verdict = ruled(triple(fresh=True), RIGHT, 0.0)
    assert verdict.verdict == "confirmed"
    against = finding(verdict, "fresh").data["against"]["seed program"]
    assert against["better"]
    assert 12.0 < against["low"] <= against["gain"] <= against["high"] < 200.0
    again = ruled(triple(fresh=True), RIGHT, 0.0)
    assert replace(again, seconds=0.0) == replace(verdict, seconds=0.0)  # the same seed, the same verdict


def test_what_was_learnt_by_heart_is_refuted_on_fresh_cases(triple):
    verdict = ruled(triple(fresh=True), LEARNT, 0.0)
    assert verdict.verdict == "refuted"
    assert "always less of a gain than on the training cases (0)" in verdict.why


def test_who_claims_nothing_is_not_refuted_and_the_seed_program_proves_nothing(triple):
    problem = triple(fresh=True)
    assert ruled(problem, LEARNT.replace("15.0", "99.0"), 28.0).verdict == "unverified"
    verdict = ruled(problem, problem.block, 16.0 / 3.0)
    assert verdict.verdict == "unverified"
    assert "it is the seed program" in verdict.why


def test_without_means_nothing_is_verified_and_it_says_why(triple):
    verdict = ruled(triple(), RIGHT, 0.0)
    assert verdict.verdict == "unverified"
    assert verdict.why == "the problem has neither a certificate nor fresh cases to hold it against"


def test_another_value_than_the_recorded_one_refutes(triple):
    verdict = ruled(triple(fresh=True), RIGHT, 0.25)
    assert verdict.verdict == "refuted"
    assert verdict.why == "run again, jailed, it scores 0, not 0.25 as recorded"


def test_a_program_that_runs_no_more_is_refuted(triple):
    verdict = ruled(triple(fresh=True), "def times(x):\n    return 1 // 0\n", 0.0)
    assert verdict.verdict == "refuted"
    assert "ZeroDivisionError" in verdict.why


def test_a_wrong_answer_is_shrunk_kept_and_asked_of_others(triple):
    problem = triple(strict=True, fresh=True)
    verdict = ruled(problem, NEGATIVE, 0.0)
    found = finding(verdict, "properties")
    assert verdict.verdict == "refuted"
    assert found.data["counterexample"] == "(600.0,)"
    other = "def times(x):\n    return -1.0 if x == 600.0 else 3.0 * x\n"  # chance would not find it
    assert finding(ruled(problem, other, 0.0), "properties").holds
    known = replace(RULES, known=(found.data["kept"],))
    refuted = finding(ruled(problem, other, 0.0, known), "properties")
    assert refuted.holds is False
    assert refuted.data["counterexample"] == "(600.0,)"
    assert finding(ruled(problem, RIGHT, 0.0, known), "properties").holds


def test_a_fast_simulation_that_the_plain_one_does_not_bear_out_is_refuted():
    problem = load("capset", {"n": 3})

    def plain(table, case):
        return problem.simulate(table, case)[:-1]

    assert ruled(problem, problem.block, None).verdict == "certified"
    verdict = ruled(replace(problem, plain=plain), problem.block, None)
    assert verdict.verdict == "refuted"
    assert "simulated plainly, case n3: size is 7.0 and not 8.0" in verdict.why
    assert finding(ruled(replace(problem, plain=problem.simulate), problem.block, None), "plain").holds


def test_functions_that_fail_refute_nothing_and_are_named(triple):
    def broken(rng):
        raise KeyError("away")

    verdict = ruled(replace(triple(fresh=True), fresh=broken), RIGHT, 0.0)
    assert verdict.verdict == "unverified"
    assert "fresh raised KeyError" in verdict.why


# -- in a ledger


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of capset whose best is verified at its end."""
    path = tmp_path_factory.mktemp("verify") / "a.db"
    return evolve.run("capset", proposals=400, seed=1, ledger=path, workers=1)


def test_a_run_verifies_its_best_and_says_so_in_every_place(run, capsys):
    best = run.document["best"]
    assert best["verdict"] == "certified"
    assert best["why"] == f"{best['value']:.0f} vectors of F_3^6, no three of them on a line"
    with Ledger.read(run.ledger) as book:
        (ruling,) = book.rulings()
    assert (ruling.program, ruling.verdict, ruling.verifier) == (
        best["program"],
        "certified",
        f"evolve {evolve.__version__}",
    )
    assert main(["show", str(run.ledger)]) == 0
    out = capsys.readouterr().out
    assert f"best {best['value']:.0f}, certified" in out
    assert "verdict: certified (" in out


def test_the_content_of_a_run_is_the_same_whatever_is_said_of_it(run):
    with Ledger.read(run.ledger) as book:
        before = book.content_hash()
    assert main(["verify", str(run.ledger), "0", "--workers", "1", "--json"]) == 0
    with Ledger.read(run.ledger) as book:
        assert book.content_hash() == before == run.document["content_hash"]
        assert book.integrity() == []


def test_a_verdict_is_made_of_one_program_and_says_if_it_changes(run, capsys, monkeypatch):
    program = run.document["best"]["program"]
    with Ledger.open(run.ledger) as book:
        said = {"why": "\x1b[31mthe judge was ill", "seed": 1, "findings": []}
        book.record_ruling(Ruling(program, book.fingerprint, "evolve 0.0", "refuted", said, 1.0, at=86_400.0))

    def reads_all(*_):
        raise AssertionError("the whole ledger is read")

    for name in ("replay", "dialogues", "content_hash"):
        monkeypatch.setattr(Ledger, name, reads_all)
    assert main(["verify", str(run.ledger), program[:12], "--workers", "1"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "this has changed: it was refuted on 1970-01-02 (evolve 0.0)" in out
    assert "\x1b[31m" not in out
    assert main(["verify", str(run.ledger), "--workers", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["before"]["verdict"]) == ("certified", "certified")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["b2:ffffffff"], "there is no such program"),
        (["--draws", "5"], "at least 6"),
        (["--seed", "-1"], "a number from 0"),
        (["--examples", "0"], "at least 1"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_line(run, capsys, words, told):
    assert main(["verify", str(run.ledger), *words]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert len(err.strip().splitlines()) == 1


def test_a_problem_that_has_changed_is_not_verified(tmp_path, capsys):
    path = tmp_path / "triple.py"
    path.write_text(TRIPLE)
    evolve.run(str(path), proposals=3, ledger=tmp_path / "a.db", workers=1)
    path.write_text(TRIPLE.replace("below zero", "under zero"))
    assert main(["verify", str(tmp_path / "a.db")]) == 2
    assert "evolve rescore a.db" in capsys.readouterr().err


# -- certificates as files


def checked(script, path):
    command = [sys.executable, "-I", str(script), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_certificate_is_checked_without_evolve_and_corruption_is_found(run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(run.ledger), "--certificate", "-o", "cap.json"]) == 0
    assert "python -I check_capset.py cap.json" in " ".join(capsys.readouterr().out.split())
    script, path = tmp_path / "check_capset.py", tmp_path / "cap.json"
    assert len(script.read_text().splitlines()) < 100
    done = checked(script, path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"the exact value {run.document['best']['value']:.0f}" in done.stdout
    text, rng = path.read_text(), random.Random(3)
    for _ in range(20):
        place = rng.randrange(len(text))
        spoilt = text[:place] + rng.choice('0129[]{},:"x') + text[place + 1 :]
        if spoilt != text:
            path.write_text(spoilt)
            done = checked(script, path)
            assert done.returncode == 1
            assert done.stderr.startswith("NOT valid: ")


def test_what_is_not_certified_has_no_certificate(run, capsys):
    assert main(["export", str(run.ledger), "--certificate", "--program", "1"]) in (1, 2)
    err = capsys.readouterr().err
    assert "nobody has verified it" in err or "gave no program" in err


@pytest.mark.parametrize(
    ("check", "told"),
    [
        ("def check(data):\n    return str(Fraction(1))\n", "check= uses Fraction from outside"),
        ("def check(data):\n    import numpy\n\n    return '1'\n", "check= imports numpy"),
        ("check = lambda data: '1'\n", "check= must be a plain function"),
    ],
)
def test_a_checker_that_does_not_stand_alone_is_refused(tmp_path, check, told):
    path = tmp_path / "triple.py"
    before, after = TRIPLE.index("def check"), TRIPLE.index("def strategy")
    path.write_text(TRIPLE[:before] + check + "\n\n" + TRIPLE[after:])
    with pytest.raises(ProblemError, match=told):
        load(str(path), {"exact": True})
