"""The verbs of a run and of what comes after it, with real workers and a real ledger."""

import contextlib
import json
import sqlite3
import subprocess
import sys

import numpy as np

from evolve.programs_db.ledger import Ledger
from evolve.telling import doubts
from evolve.verbs import mishaps


def test_the_document_of_run_is_repeated_by_show(cli, problem_file, tmp_path):
    ledger = tmp_path / "a.db"
    words = ["run", problem_file(), "--budget", "60", "--ledger", ledger, "--workers", "1", "--seed", "3"]
    code, out, err = cli(*words, "--json", "-p", "k=2.5")
    assert code == 0
    told = json.loads(out)
    keys = {
        "problem",
        "parameters",
        "seed",
        "ledger",
        "stopped",
        "objective",
        "seed_program",
        "best",
        "baselines",
    }
    keys |= {
        "proposals",
        "evaluations",
        "statuses",
        "seconds",
        "cpu_seconds",
        "tokens",
        "isolation",
        "content_hash",
    }
    assert keys <= set(told)
    assert told["parameters"] == {"k": 2.5}
    assert told["best"]["verdict"] == "unverified"
    assert "small, seed 3, budget 60 proposals" in err
    code, out, _ = cli("show", ledger, "--json", "--top", "3", "--lineage", "2")
    shown = json.loads(out)
    assert code == 0
    assert {key: shown[key] for key in told} == told
    assert len(shown["top"]) == 3
    assert shown["top"][0]["objective"] == told["best"]["value"]
    assert shown["lineage"][0]["number"] == 0


def test_events_are_json_lines(cli, problem_file, tmp_path):
    words = ["run", problem_file(), "--budget", "60", "--ledger", tmp_path / "a.db", "--workers", "1"]
    code, out, err = cli(*words, "--json-events")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert err == ""
    assert [events[0]["event"], events[1]["event"], events[-1]["event"]] == [
        "started",
        "improved",
        "finished",
    ]
    values = [event["value"] for event in events if event["event"] == "improved"]
    assert values == sorted(values, reverse=True)
    assert events[-1]["best"]["value"] == values[-1]


def test_the_summary_says_what_was_found_and_how_far_to_believe_it(cli, problem_file, tmp_path):
    references = "references=[Reference('Someone', 0.125, 'a paper', '2020', 'far')],\n        limits="
    path = problem_file(replace={"limits=": references, "import Array": "import Reference, Array"})
    words = ["run", path, "--budget", "60", "--ledger", tmp_path / "a.db", "--workers", "1"]
    code, out, _ = cli(*words)
    assert code == 0
    for said in (
        "error (min): seed 2 -> best",
        "training",
        "far",
        "constant",
        "verdict: unverified",
        "failed: ",
    ):
        assert said in out
    assert "published figures, most of them on other instances than these" in out
    assert "far: Someone 0.125 (a paper, 2020)" in out
    assert f"evolve resume {tmp_path / 'a.db'} --budget 600" in out


def test_a_better_baseline_is_pointed_at():
    told = {
        "objective": {"name": "size", "direction": "max", "unit": ""},
        "statuses": {"ok": 1},
        "isolation": "strict",
        "seed_program": {"value": 1.0},
        "best": {"value": 2.0},
        "baselines": {"grid": {"value": 3.0}, "poor": {"value": 1.5}, "broken": {"value": None}},
    }
    (said,) = doubts(told)
    assert said.startswith("baseline grid does better")


def test_resume_finishes_and_goes_on(cli, problem_file, tmp_path):
    ledger = tmp_path / "a.db"
    assert (
        cli("run", problem_file(), "--budget", "40", "--ledger", ledger, "--workers", "1", "--quiet")[0] == 0
    )
    code, out, _ = cli("resume", ledger, "--budget", "80", "--workers", "1", "--json")
    assert code == 0
    assert json.loads(out)["proposals"] == 80
    code, out, _ = cli("resume", ledger, "--workers", "1", "--json")
    assert code == 0
    assert json.loads(out)["proposals"] == 80


def test_a_budget_that_was_spent_before_is_said_and_a_larger_one_proposed(cli, problem_file, tmp_path):
    ledger = tmp_path / "a.db"
    _, out, err = cli("run", problem_file(), "--budget", "40", "--ledger", ledger, "--workers", "1")
    assert ("--budget 400" in out, "warning: " + str(ledger) in err) == (True, False)
    code, out, err = cli("resume", ledger, "--budget", "2", "--workers", "1")
    assert code == 0
    assert "its 40 proposals had spent a budget of 2 proposals before" in " ".join(err.split())
    assert "--budget 400" in out


def test_resume_brings_up_a_ledger_of_an_older_version(cli, problem_file, tmp_path):
    ledger = tmp_path / "a.db"
    words = ("--workers", "1", "--quiet")
    assert cli("run", problem_file(), "--budget", "5", "--ledger", ledger, *words)[0] == 0
    with contextlib.closing(sqlite3.connect(ledger)) as db:
        db.execute("PRAGMA user_version = 1")
    code, _, err = cli("show", ledger)
    assert code != 0
    assert "`evolve resume` brings it up" in err
    assert cli("resume", ledger, "--budget", "8", *words)[0] == 0
    assert cli("show", ledger)[0] == 0


def test_init_takes_a_file_and_a_ledger_of_the_same_problem(cli, problem_file, folder, tmp_path):
    path = problem_file()
    (tmp_path / "good.py").write_text("def guess(x):\n    return 3.0 * x\n")
    first = tmp_path / "a.db"
    words = ["run", path, "--budget", "1", "--workers", "1", "--json"]
    _, out, _ = cli(*words, "--ledger", first, "--init", tmp_path / "good.py")
    assert json.loads(out)["best"]["value"] == 0.0
    (tmp_path / "other.py").write_text("def other(x):\n    return x\n")
    code, _, err = cli(*words, "--ledger", tmp_path / "o.db", "--init", tmp_path / "other.py")
    assert code == 2
    assert "no function 'guess'" in err
    assert not (tmp_path / "o.db").exists()
    code, out, _ = cli(*words, "--ledger", tmp_path / "b.db", "--init", first)
    assert code == 0
    assert json.loads(out)["best"]["value"] == 0.0
    code, _, err = cli(*words, "--ledger", tmp_path / "c.db", "--init", folder / "a.db")
    assert code == 2
    assert "its problem is 'mine', not 'small'" in err


def test_show_tells_archive_lineage_operators_and_failures(cli, folder):
    code, out, _ = cli("show", folder / "a.db")
    assert code == 0
    for said in ("best programs", "archive", "nodes", "above", "cells reached", "what each operator earned"):
        assert said in out
    assert "verdict: unverified" in out
    code, out, _ = cli("show", folder / "a.db", "--program", "0")
    assert code == 0
    assert "np.pi * (a + b)" in out
    with Ledger.read(folder / "a.db") as book:
        name = book.query("SELECT program FROM proposals WHERE number = 0")[0]["program"]
    code, out, _ = cli("show", folder / "a.db", "--program", name[3:14], "--json")
    assert json.loads(out)["number"] == 0
    assert cli("show", folder / "a.db", "--program", "b2:zz")[0] == 2


def test_show_reads_a_ledger_that_was_never_finished(cli, folder, tmp_path):
    path = tmp_path / "cut.db"
    path.write_bytes((folder / "a.db").read_bytes())
    with Ledger.open(path) as book:
        book.begin_session(book.fingerprint, {}, ["evolve"], {"proposals": 900, "seconds": None})
    code, out, _ = cli("show", path)
    assert code == 0
    assert "stopped: killed" in out
    assert "CPU s" not in out


def test_export_writes_a_module_that_runs_without_evolve(cli, folder, tmp_path):
    path = tmp_path / "best.py"
    code, out, _ = cli("export", folder / "a.db", "-o", path)
    assert code == 0
    assert "read it before you run it" in out
    text = path.read_text()
    for said in (
        "A machine wrote",
        "problem:      mine",
        '{"count": 60}',
        "unseen flatter",
        "unverified",
        "seed 0",
    ):
        assert said in text
    with Ledger.read(folder / "a.db") as book:
        assert book.content_hash() in text
    use = (
        "import sys, runpy; names = runpy.run_path(sys.argv[1]); import numpy as np; "
        "assert not any(name.split('.')[0] == 'evolve' for name in sys.modules); "
        "print(repr(float(names['perimeter'](np.ones(3), np.ones(3)).ravel()[0])))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", use, path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert np.isfinite(float(done.stdout))


def test_export_writes_over_nothing_and_knows_other_forms(cli, folder, tmp_path):
    path = tmp_path / "best.py"
    path.write_text("mine")
    code, _, err = cli("export", folder / "a.db", "-o", path)
    assert code == 2
    assert "--force" in err
    assert path.read_text() == "mine"
    assert cli("export", folder / "a.db", "-o", path, "--force", "--program", "0")[0] == 0
    assert "np.pi * (a + b)" in path.read_text()
    code, out, _ = cli("export", folder / "a.db", "-o", tmp_path / "e.jsonl", "--format", "jsonl", "--json")
    assert code == 0
    assert len((tmp_path / "e.jsonl").read_text().splitlines()) == json.loads(out)["programs"] > 1
    assert cli("export", folder / "a.db", "-o", tmp_path / "folder", "--format", "bundle")[0] == 0
    assert (tmp_path / "folder" / "index.jsonl").is_file()


def test_a_changed_problem_is_rescored_before_it_is_resumed(cli, problem_file, tmp_path):
    path, ledger = problem_file(), tmp_path / "a.db"
    assert cli("run", path, "--budget", "30", "--ledger", ledger, "--workers", "1", "--quiet")[0] == 0
    path.write_text(path.read_text().replace("abs(y - case.hidden)", "2 * abs(y - case.hidden)"))
    code, _, err = cli("resume", ledger, "--budget", "50", "--workers", "1")
    assert code == 2
    assert "evolve rescore a.db" in err
    code, out, _ = cli("rescore", ledger, "--workers", "1", "--json")
    assert code == 0
    assert json.loads(out)["evaluations"] > 1
    code, out, _ = cli("resume", ledger, "--budget", "50", "--workers", "1", "--json")
    assert code == 0
    assert json.loads(out)["proposals"] == 50


def test_an_error_of_a_worker_is_one_line_with_its_reason(capsys):
    trace = "Traceback (most recent call last):\n  File x\nevolve.errors.ProblemError: p.py: line 3: mend it"

    def fail():
        raise mishaps.JudgeStartError(f"the judge could not be made:\n{trace}")

    assert mishaps.guarded(fail) == 2
    assert capsys.readouterr().err == "evolve: error: p.py: line 3: mend it\n"
