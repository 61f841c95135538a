"""The pytest plugin on a ledger: what is collected, what fails, and that nobody else is disturbed."""

import json
import sqlite3

PLUGIN = ("-p", "no:cacheprovider", "-p", "evolve.bench.compare.plugin")
QUICK = ("--evolve-pairs", 6, "--evolve-rounds", 2, "--evolve-seed", 3)


def test_a_ledger_is_collected_without_a_conftest_as_one_test_a_contender_and_case(runs, outside):
    words = ("pytest", *PLUGIN, "--collect-only", "-q", "--evolve-ledger", runs["squares"])
    found = outside(*words, code=0)
    names = [line.partition("::")[2] for line in found.stdout.splitlines() if "::" in line]
    assert {name for name in names if "long" in name} >= {
        "test_program[reference[long]]",
        "test_program[wasteful[long]]",
    }
    assert len(names) == 2 * sum("[long]" in name for name in names)


def test_a_ledger_is_measured_and_its_file_written(runs, outside, tmp_path):
    words = ("pytest", *PLUGIN, *QUICK, "--evolve-ledger", runs["squares"], "--benchmark-json=x.json")
    found = outside(*words, code=0)
    assert "control" in found.stdout
    assert "verdicts hold together" in found.stdout
    told = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert told["evolve"]["seed"] == 3
    verdicts = {one["name"]: one["extra_info"]["verdict"] for one in told["benchmarks"]}
    assert verdicts["wasteful[short]"] in ("slower", "too few pairs")
    assert all(one["options"]["timer"].endswith("cpu_seconds") for one in told["benchmarks"])


def test_a_wrong_program_fails_its_tests_and_has_no_figures(runs, outside, tmp_path):
    """A ledger whose best program was planted: it is right on the training cases alone."""
    copy = tmp_path / "planted.db"
    with sqlite3.connect(runs["squares"]) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    wrong = "import numpy as np\n\ndef total(x):\n    return float(np.sum(x * np.abs(x)))\n"
    with sqlite3.connect(copy) as book:
        row = book.execute(
            "SELECT program FROM evaluations WHERE status = 'ok' ORDER BY objective DESC LIMIT 1"
        )
        (best,) = row.fetchone()
        for (name,) in book.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            book.execute(f'DROP TRIGGER "{name}"')
        book.execute("UPDATE texts SET text = ? WHERE hash = ?", (wrong, best))
    words = ("pytest", *PLUGIN, *QUICK, "--evolve-ledger", copy, "--benchmark-json=x.json")
    found = outside(*words, code=1)
    assert "is wrong: " in found.stdout
    assert "case minus" in found.stdout
    told = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert {one["params"]["contender"] for one in told["benchmarks"]} >= {"reference", "wasteful"}
    assert "best" not in {one["params"]["contender"] for one in told["benchmarks"]}
    assert [gate["contender"] for gate in told["evolve"]["gates"] if not gate["passed"]] == ["best"]


def test_a_ledger_that_is_not_there_is_a_plain_error(outside):
    found = outside("pytest", *PLUGIN, "--evolve-ledger", "none.db")
    assert found.returncode == 4
    assert "none.db" in found.stderr
    assert "Traceback" not in found.stderr


def test_other_tests_are_not_touched_where_nobody_asks_for_a_ledger(outside, tmp_path):
    (tmp_path / "test_x.py").write_text(
        "def test_x(benchmark):\n    assert benchmark(sum, [1]) == 1\n", encoding="utf-8"
    )
    found = outside("pytest", *PLUGIN, "--benchmark-json=x.json", code=0)
    assert "1 passed" in found.stdout
    told = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert "evolve" not in told
    assert "evolve" not in told["machine_info"]
