"""Bad problems and bad ledgers: one clear error, the right exit code, and nothing lost."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from evolve.programs_db.ledger import Ledger

BLOCK = (
    "# EVOLVE-BLOCK-START\nimport numpy as np\n\n\ndef guess(x):\n    return x + 1.0\n# EVOLVE-BLOCK-END\n"
)
SCORE = 'return {"error": abs(y - case.hidden), "size": min(abs(y), 10.0)}'

# name: (text to replace, its replacement, what the error must say)
BROKEN = {
    "no block": ("EVOLVE-BLOCK", "BLOCK", "no block; put '# EVOLVE-BLOCK-START'"),
    "two blocks": (BLOCK, BLOCK + BLOCK.replace("guess", "other"), "a second '# EVOLVE-BLOCK-START'"),
    "block never closed": ("# EVOLVE-BLOCK-END", "# END", "is never closed"),
    "entry outside the block": (
        "def guess(x):\n    return x + 1.0\n# EVOLVE-BLOCK-END",
        "# EVOLVE-BLOCK-END\ndef guess(x):\n    return x + 1.0",
        "defines no function 'guess'",
    ),
    "syntax error in the block": ("return x + 1.0", "return x +", "invalid syntax"),
    "syntax error in the rest": ("def score(y, case):", "def score(y, case)", "expected ':'"),
    "import of what is not there": (
        "def score(",
        "import nothing_of_that_name\ndef score(",
        "No module named",
    ),
    "no factory": ("@problem", "", "decorated with @problem is needed"),
    "seed that raises": ("return x + 1.0", "return x + absent", "name 'absent' is not defined"),
    "seed that needs the rest of the file": (
        "return x + 1.0",
        "return score(x, x)",
        "name 'score' is not defined",
    ),
    "answer of the wrong shape": ("return x + 1.0", "return np.ones(3)", "a number is asked for"),
    "score that raises": (SCORE, "return {}[1]", "score raised KeyError"),
    "score that returns NaN": (SCORE, 'return {"error": float("nan"), "size": 1.0}', "nan for 'error'"),
    "score without the objective": (SCORE, 'return {"size": 1.0}', "no 'error'"),
    "score without a measure": (SCORE, 'return {"error": 1.0}', "no 'size'"),
    "score that returns no mapping": (SCORE, "return 3.0", "not a mapping"),
    "no cases": (
        'cases=[Case("a", inputs=(1.0,), hidden=k), Case("b", inputs=(2.0,), hidden=2 * k)]',
        "cases=[]",
        "no cases",
    ),
    "measure with impossible bounds": (
        'Measure("size", 0.0, 10.0',
        'Measure("size", 10.0, 0.0',
        "not a finite interval",
    ),
    "a search while loading": (
        "def score(",
        "import evolve\nevolve.run('circle_packing', budget='5s')\n\n\ndef score(",
        "starts a search",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_problem_is_refused_by_run_and_found_by_check(cli, problem_file, tmp_path, name):
    old, new, said = BROKEN[name]
    path = problem_file(replace={old: new})
    ledger = tmp_path / "a.db"
    code, out, err = cli("run", path, "--budget", "20", "--ledger", ledger, "--workers", "1")
    assert code == 2
    assert out == ""
    assert err.startswith("evolve: error: ")
    assert said in err
    assert str(path) in err or "small" in err
    assert not ledger.exists()
    code, out, _ = cli("check", path)
    assert code == 1
    assert "failed " in out
    assert said in " ".join(out.split())


def test_a_measure_outside_its_bounds_is_clipped_counted_and_told(cli, problem_file, tmp_path):
    path = problem_file(replace={'Measure("size", 0.0, 10.0': 'Measure("size", 0.0, 0.5'})
    code, out, _ = cli("check", path)
    assert code == 0
    assert "warning size of the seed is 2.5, outside 0..0.5" in out
    words = ["run", path, "--budget", "20", "--workers", "1", "--ledger"]
    code, out, _ = cli(*words, tmp_path / "a.db", "--json")
    assert code == 0
    assert json.loads(out)["clipped"]["size"] >= 1
    _, out, _ = cli("show", tmp_path / "a.db")
    assert "measure 'size' lay outside its bounds" in out


def test_unscorable_programs_are_counted_and_warned_about(cli, problem_file, tmp_path):
    path = problem_file(replace={SCORE: f"assert abs(y - 2.5) < 0.6, 'no'\n    {SCORE}"})
    code, out, _ = cli("run", path, "--budget", "40", "--ledger", tmp_path / "a.db", "--workers", "1")
    assert code == 0
    assert "% of the programs were unscorable" in out


def test_a_file_that_is_no_ledger_is_left_alone(cli, problem_file, tmp_path):
    path = tmp_path / "notes.db"
    path.write_text("my notes")
    for words in (["show", path], ["resume", path], ["export", path], ["rescore", path]):
        code, out, err = cli(*words)
        assert code == 2
        assert out == ""
        assert "not a database" in err.splitlines()[-1]
    code, _, err = cli("run", problem_file(), "--budget", "5", "--ledger", path)
    assert code == 2
    assert "the file exists" in err
    assert path.read_text() == "my notes"


def test_another_database_is_no_ledger(cli, tmp_path):
    import sqlite3

    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    code, _, err = cli("show", path)
    assert code == 3
    assert "not a ledger" in err


def test_a_ledger_in_use_says_by_whom_and_can_be_read(cli, problem_file, tmp_path):
    path = tmp_path / "a.db"
    assert cli("run", problem_file(), "--budget", "10", "--ledger", path, "--workers", "1", "--quiet")[0] == 0
    with Ledger.open(path):
        code, _, err = cli("resume", path, "--budget", "20")
        assert code == 3
        assert f"process {os.getpid()} is writing this ledger" in err
        assert cli("show", path)[0] == 0


def test_a_ledger_whose_problem_is_gone_is_still_shown(cli, problem_file, tmp_path):
    problem, path = problem_file(), tmp_path / "a.db"
    assert cli("run", problem, "--budget", "10", "--ledger", path, "--workers", "1", "--quiet")[0] == 0
    problem.unlink()
    code, _, err = cli("resume", path, "--budget", "20")
    assert code == 2
    assert "put it back" in err
    assert cli("show", path)[0] == 0
    assert cli("export", path, "-o", tmp_path / "b.py")[0] == 0


def test_a_folder_that_is_not_there_is_named(cli, problem_file, tmp_path):
    code, _, err = cli("run", problem_file(), "--budget", "5", "--ledger", tmp_path / "x" / "a.db")
    assert code == 2
    assert "there is no folder" in err


# Everything is imported before the rights are given up: the interpreter may lie where others cannot read.
DROP = """
import os, sys
from evolve.cli import main
main(["problems", "circle_packing", "--json"])
import evolve.verbs.run, evolve.verbs.mishaps
from evolve.fingerprint import fingerprint
from evolve.loader import load
fingerprint(load("circle_packing"))
sys.stdout.flush()
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
sys.exit(main(sys.argv[1:]))
"""


def test_a_read_only_folder_is_one_line_and_exit_code_3():
    if os.geteuid() != 0:
        pytest.skip("needs root, to give up its rights")
    with tempfile.TemporaryDirectory() as name:  # tmp_path lies where only root may look
        place = Path(name)
        place.chmod(0o755)
        words = ["run", "circle_packing", "--budget", "5", "--ledger", str(place / "a.db")]
        done = subprocess.run(
            [sys.executable, "-c", DROP, *words], capture_output=True, text=True, check=False
        )
        left = list(place.iterdir())
    assert done.returncode == 3, done.stderr
    assert "make the folder writable" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert left == []


def test_a_problem_that_asks_to_exit_is_told(cli, problem_file):
    path = problem_file(replace={"def score(": "raise SystemExit(0)\ndef score("})
    for words, asked in ((["run", path, "--budget", "5"], 2), (["check", path], 1)):
        code, out, err = cli(*words)
        assert code == asked
        assert "SystemExit: 0" in out + err


def test_a_full_disk_ends_the_run_and_keeps_the_ledger(cli, problem_file, tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs root and the right to mount")
    try:
        ledger = place / "a.db"
        code, _, err = cli("run", problem_file(), "--budget", "20s", "--ledger", ledger, "--workers", "1")
        assert code == 3
        assert "the disk is full" in err.splitlines()[-1]
        moved = tmp_path / "moved.db"
        for suffix in ("", "-wal"):
            if (place / f"a.db{suffix}").exists():
                (tmp_path / f"moved.db{suffix}").write_bytes((place / f"a.db{suffix}").read_bytes())
        with Ledger.open(moved) as book:
            assert book.commits > 10
            assert book.integrity() == []
        assert cli("show", moved)[0] == 0
    finally:
        subprocess.run(["umount", str(place)], check=True)
