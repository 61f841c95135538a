"""Every shipped checker runs alone, takes its seed program's certificate, and finds each corruption of it."""

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
