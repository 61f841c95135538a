"""Every shipped checker runs alone, takes its seed program's certificate, and finds each corruption of it."""

import json
import random
import subprocess
import sys

import pytest

from evolve.certificate import script, signed
from evolve.evaluator import Job, Judge
from evolve.loader import load, shipped
from evolve.proving import VerifyOrder

WITH = [name for name in sorted(shipped()) if "check=" in shipped()[name].read_text(encoding="utf-8")]
CORRUPTIONS = 20


@pytest.fixture(scope="module", params=WITH)
def certificate(request, tmp_path_factory):
    """The script, and the text of the seed program's certificate."""
    problem = load(request.param)
    judge = Judge(problem)
    judged = judge.judge(Job(problem.block, verify=VerifyOrder(prove=True)))
    judge.close()
    claims = [
        {"case": case, "valid": one.valid, "value": one.value, "statement": one.statement, "data": one.data}
        for case, one in judged.proof.certificates.items()
    ]
    assert claims
    assert all(claim["valid"] for claim in claims)
    folder = tmp_path_factory.mktemp(request.param)
    path = folder / f"check_{problem.name}.py"
    path.write_text(script(problem.check, problem.name, "0"), encoding="utf-8")
    return path, signed({"problem": problem.name, "claims": claims})


def checked(path, text):
    (path.parent / "certificate.json").write_text(text, encoding="utf-8")
    command = [sys.executable, "-I", path.name, "certificate.json"]
    return subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=False, timeout=60)


def test_it_runs_alone_and_takes_what_is_right(certificate):
    path, text = certificate
    done = checked(path, text)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(path.read_text(encoding="utf-8").splitlines()) < 100


def test_it_finds_random_corruptions(certificate):
    path, text = certificate
    rng = random.Random(11)
    for _ in range(CORRUPTIONS):
        place = rng.randrange(len(text))
        spoilt = text[:place] + rng.choice('0123456789-/.,:"[]{}x ') + text[place + rng.randrange(2) :]
        if spoilt.split() == text.split():
            continue
        done = checked(path, spoilt)
        assert done.returncode == 1, (place, done.stdout)
        assert done.stderr.startswith("NOT valid: ")


def forged(text, change):
    """The same certificate with another claim, signed again: whoever forges one can do that."""
    told = json.loads(text)
    del told["digest"]
    change(told["claims"][0])
    return signed(told)


def test_a_size_that_is_no_whole_number_is_refused(certificate):
    """Else a claim about 9 dimensions could hide which, and call itself one about 8."""
    path, text = certificate

    def sizes(claim):
        return [name for name, part in claim["data"].items() if type(part) is int]

    names = sizes(json.loads(text)["claims"][0])
    for name in names:
        for make in (float, bool, str, lambda part: [part]):

            def change(claim, name=name, make=make):
                claim["data"][name] = make(claim["data"][name])

            done = checked(path, forged(text, change))
            assert done.returncode == 1, (name, make, done.stdout)
            assert done.stderr.startswith("NOT valid: ")


def test_what_was_not_looked_at_is_not_told_as_checked(certificate):
    path, text = certificate

    def change(claim):
        claim["case"] = "d8, dimension = 8"
        claim["data"]["dimensions"] = 8

    done = checked(path, forged(text, change))
    assert done.returncode == 0
    said, words = done.stdout.split("; the file calls it ")
    assert "dimensions" not in said
    assert words == "'d8, dimension = 8'\n"
