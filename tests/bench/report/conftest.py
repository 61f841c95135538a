"""What the tests of reports share: real runs by the command line, a ledger full of hostile text, a browser."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import evolve
from evolve.cli import main
from evolve.programs_db.audit import text_hash
from evolve.programs_db.claims import Ruling
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.records import Commit, Evaluation, Program, Proposal, Status

# Whatever it stands in: as HTML it would run and fetch, in Markdown it would leave its cell and its fence.
HOSTILE = (
    "x</script></style></code></pre></title>-->\"'><script>document.title='owned'</script>"
    '<img src="@SERVER@/i" onerror="document.title=\'owned\'"><link rel=stylesheet href=@SERVER@/l>'
    "<svg onload=\"document.title='owned'\"><style>@import url(@SERVER@/s);</style>\\"
    "![a](@SERVER@/m) [b](javascript:alert(1)) | ```\n````html\n<iframe src=@SERVER@/f></iframe>\n~~~~\n"
    "=1+1\t@x \x1b[31m \u202e $a_b$ {{x}} {x} %s &amp; é"
)


@pytest.fixture(scope="session")
def found(tmp_path_factory):
    """The ledger of a short run of a new problem, made by the command line."""
    folder = tmp_path_factory.mktemp("report")
    assert main(["new", str(folder / "mine.py")]) == 0
    ledger = folder / "a.db"
    words = ["run", folder / "mine.py", "-p", "count=40", "--budget", "200", "--seed", "2"]
    assert (
        main([*map(str, [*words, "--set", "islands=2", "--ledger", ledger]), "--workers", "1", "--quiet"])
        == 0
    )
    assert len(evolve.open_run(ledger).lineage()) > 1, "with this seed nothing is found: take another"
    return ledger


@pytest.fixture(scope="session")
def page(found):
    """The page of that run."""
    path = found.with_name("a.html")
    assert main(["report", str(found), "-o", str(path)]) == 0
    return path


def program(source):
    return Program(text_hash(source), source, text_hash(source + "c"), text_hash(source + "s"), 7)


def commit(number, source, text, parents=()):
    one = program(source)
    measures = {f"m\"1\\'{text}": 0.1 * number, f"m2{text}": 1.0 - 0.2 * number}
    evaluation = Evaluation(
        one.id,
        Status.OK,
        objective=10.0 - number,
        scores={f'c"\\{text}': {text: 10.0 - number}, f"-2+3{text}": {text: 9.0 - number}},
        measures=measures,
        behaviour=text_hash(str(number)),
        output=text,
        isolation=text,
    )
    proposal = Proposal(number, 0, text, text, parents, one.id, one.canonical, evaluations=1)
    return Commit(proposal, one, evaluation)


@pytest.fixture
def plant(tmp_path):
    """plant(server="http://...") -> a ledger whose every text is hostile."""

    def make(server="http://127.0.0.1:1", name="hostile.db", ended=True):
        text = HOSTILE.replace("@SERVER@", server)
        problem = {
            "name": text,
            "parameters": {text: text, "n": 3},
            "description": text,
            "path": text,
            "factory": text,
            "objective": {"name": text, "direction": "min", "unit": text},
            "measures": [[f"m\"1\\'{text}", 0.0, 1.0, 5], [f"m2{text}", 0.0, 1.0, 5]],
            "seed_program": text,
        }
        run = {"seed": 5, "version": text, "config": {"islands": 1, text: text}, "init": [text]}
        path = tmp_path / name
        sources = [f"def f():\n    return {number}  # {text}\n'''{text}'''\n" for number in range(3)]
        with Ledger.create(path, problem, run, "fp-1") as book:
            machine = {"cpu": text, "python": text, "numpy": text}
            book.begin_session("fp-1", machine, ["/a/evolve", "run", text, "https://me:secret@host/v1"], {})
            parents = ()
            for number, source in enumerate(sources):
                book.record(commit(number, source, text, parents))
                parents = (program(source).id,)
            book.record(Commit(Proposal(3, 0, text, text, parents, error=text)))
            wrong = program(text)
            failed = Evaluation(wrong.id, Status.ERROR, text)
            book.record(Commit(Proposal(4, 0, text, text, parents, wrong.id, wrong.canonical), wrong, failed))
            book.flush()
            best = program(sources[-1])
            against = {text: {"mean": 1.0, "gain": 2.0, "low": 1.0, "high": 3.0, "better": True}}
            findings = [
                {"name": text, "holds": True, "words": text},
                {
                    "name": "fresh",
                    "holds": True,
                    "words": text,
                    "mean": 1.0,
                    "lowest": 0.5,
                    "highest": 2.0,
                    "against": against,
                },
            ]
            evidence = {"why": text, "seed": text, "findings": findings}
            book.record_ruling(Ruling(best.id, "fp-1", text, "confirmed", evidence, 1.0))
            book.record_intervention(text, {"by": text, "lessons": [text]})
            book._db.execute(
                "INSERT INTO notes (program, author, text, at) VALUES (?, ?, ?, 1)", (best.id, text, text)
            )
            book._db.conn.commit()
            if ended:
                from evolve.summary import document

                told = document(book, "budget", {"seconds": 1.0, "cpu_seconds": 2.0})
                line = {"program": best.id, "value": 8.0, "unseen": {text: 7.0}, "failures": {text: text}}
                told["baselines"] = {text: line}
                told["best"] |= {"unseen": {text: 7.0}, "failures": {text: text}}
                book.end_session("budget", told)
        return path

    return make


@pytest.fixture(scope="session")
def browser():
    """browser("--dump-dom", url) -> what headless Chromium wrote on stdout; a profile of its own each time."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("Chromium is not installed")

    def call(*words, folder):
        profile = Path(folder) / f"profile-{os.urandom(4).hex()}"
        usual = (
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
            "--disable-component-update --disable-sync --hide-scrollbars --disable-dev-shm-usage"
        )
        command = [program, *usual.split(), f"--user-data-dir={profile}", *map(str, words)]
        return subprocess.run(command, capture_output=True, check=True, timeout=120).stdout.decode()

    return call


@pytest.fixture(scope="session")
def timed(tmp_path_factory):
    """The ledger of a short search for speed."""
    folder = tmp_path_factory.mktemp("timed")
    (folder / "fast.py").write_text(TIMED, encoding="utf-8")
    words = [
        "run",
        folder / "fast.py",
        "--budget",
        "8",
        "--ledger",
        folder / "a.db",
        "--workers",
        "1",
        "--quiet",
    ]
    assert main([str(word) for word in words]) == 0
    return folder / "a.db"


TIMED = '''"""A sum of squares, faster."""
import numpy as np

from evolve import Case, Limits, Measure, Problem, Real, Rejected, Speed, problem

# EVOLVE-BLOCK-START
import numpy as np


def total(x):
    for _ in range(100):
        y = x * x
    return float(np.sum(y))
# EVOLVE-BLOCK-END

WASTEFUL = """
import numpy as np

def total(x):
    for _ in range(500):
        y = x * x
    return float(np.sum(y))
"""


def score(answer, case):
    true = float(np.sum(case.inputs[0] * case.inputs[0]))
    if abs(answer - true) > 1e-9 * true:
        raise Rejected(f"{answer} instead of {true}")
    return {}


def fresh(rng):
    return [Case("short", inputs=(rng.random(4_000),)), Case("long", inputs=(rng.random(6_000),))]


@problem
def fast() -> Problem:
    return Problem(
        entry="total",
        cases=[Case("ones", inputs=(np.ones(7),))],
        returns=Real(),
        score=score,
        objective=Speed(baseline="wasteful"),
        baselines={"wasteful": WASTEFUL},
        fresh=fresh,
        measures=[Measure("nodes", 0, 60)],
        limits=Limits(seconds=2.0),
    )
'''
