"""The verbs, one after the other, with real workers and a real ledger; exit codes and JSON as promised."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest

import evolve
from evolve.cli import VERBS, main
from evolve.programs_db.ledger import Ledger
from evolve.telling import doubts
from evolve.verbs import mishaps


@pytest.fixture
def cli(capsys):
    """cli("show", path) -> (exit code, stdout, stderr)."""

    def call(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """Measurements of speed are not what is tested here."""
    monkeypatch.setattr("evolve.inspection._TIMING_SECONDS", 0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a problem from `evolve new`, and a short run of it."""
    folder = tmp_path_factory.mktemp("cli")
    assert main(["new", str(folder / "mine.py")]) == 0
    run = [
        "run",
        str(folder / "mine.py"),
        "--budget",
        "150",
        "--ledger",
        str(folder / "a.db"),
        "--workers",
        "1",
    ]
    assert main([*run, "--quiet"]) == 0
    return folder


# The door


def test_help_names_every_verb_and_the_exit_codes(cli):
    code, out, _ = cli("--help")
    assert code == 0
    assert all(f"  {verb} " in out for verb in VERBS)
    assert "130" in out


def test_help_and_version_import_nothing_heavy():
    heavy = ("numpy", "rich", "numba", "sqlite3", "asyncio", "evolve.runs", "evolve.statement")
    code = (
        "import sys; from evolve.cli import main; "
        "assert main(['--help']) == 0; assert main(['--version']) == 0; "
        f"found = [name for name in {heavy!r} if name in sys.modules]; sys.exit(', '.join(found) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_python_m_evolve_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "evolve", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"evolve {evolve.__version__}\n")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(cli, verb):
    code, out, _ = cli(verb, "--help")
    assert code == 0
    assert f"evolve {verb}" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rnu"], "did you mean `evolve run`?"),
        (["xyzzy"], "there are: problems, new"),
        (["run", "online_bin_pakcing", "--budget", "5"], "did you mean 'online_bin_packing'?"),
        (["run", "nowhere.py", "--budget", "5"], "`evolve new nowhere.py` writes one"),
        (["run", "online_bin_packing"], "required: --budget"),
        (["run", "online_bin_packing", "--budget", "12x"], "say 60s, 10m, 2h or 5000"),
        (["run", "online_bin_packing", "--budget", "5", "-p", "item=5"], "it takes: instances, items"),
        (["run", "online_bin_packing", "--budget", "5", "-p", "items"], "say -p name=value"),
        (["run", "online_bin_packing", "--budget", "5", "-p", "items=x"], "type int, such as 5000"),
        (["run", "online_bin_packing", "--budget", "5", "--set", "iland=2"], "no dial called 'iland'"),
        (["run", "online_bin_packing", "--budget", "5", "--workers", "0"], "from 1 to"),
        (["run", "online_bin_packing", "--budget", "5", "--init", "nowhere"], "no such file"),
        (["run", "online_bin_packing", "--budget", "5", "--json", "--quiet"], "not allowed with"),
        (["eval", "online_bin_packing", "nowhere"], "cannot be read"),
        (["eval", "online_bin_packing", "-", "--suite", "x"], "no suite 'x'"),
        (["show", "nowhere.db"], "no such ledger"),
        (["new", "file.txt"], "ends in .py"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_exit_code_2(cli, words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = cli(*words)
    assert code == 2
    assert out == ""
    assert err.startswith("evolve: error: ")
    assert said in err
    assert not list(tmp_path.glob("*.db"))


# problems, new, check, eval, doctor


def test_problems_lists_and_shows(cli):
    code, out, _ = cli("problems")
    assert code == 0
    assert "online_bin_packing  table, min excess (%)" in out
    code, out, _ = cli("problems", "online_bin_packing", "-p", "items=70")
    assert code == 0
    assert "items=70" in out
    assert "FunSearch 0.68 on weibull_5k" in out
    _, out, _ = cli("problems", "--json")
    assert {"circle_packing", "online_bin_packing"} <= {row["name"] for row in json.loads(out)}


@pytest.mark.parametrize(("form", "budget"), [("call", 400), ("table", 60), ("step", 60)])
def test_a_new_problem_holds_and_is_improved_by_a_short_run(cli, form, budget, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = cli("new", "my-problem.py", "--form", form)
    assert code == 0
    assert "evolve check my-problem.py" in out
    code, out, _ = cli("check", "my-problem.py", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["ok"] is True
    assert {check["result"] for check in told["checks"]} == {"ok"}
    code, out, err = cli(
        "run", "my-problem.py", "--budget", budget, "--ledger", "a.db", "--workers", "1", "--json"
    )
    told = json.loads(out)
    assert code == 0
    assert told["best"]["value"] < told["seed_program"]["value"]
    assert "proposal 0, seed" in err


def test_new_never_writes_over_a_file(cli, tmp_path):
    path = tmp_path / "a.py"
    path.write_text("mine")
    code, _, err = cli("new", path)
    assert code == 2
    assert "left as it is" in err
    assert path.read_text() == "mine"


def test_check_says_what_an_evaluation_costs(cli, folder):
    code, out, _ = cli("check", folder / "mine.py")
    assert code == 0
    assert "proposals a minute" in out
    assert "it is interpreted" in out
    assert "to the last digit" in out
    assert out.rstrip().endswith("it holds")


def test_check_gives_advice_on_what_is_absent(cli, problem_file):
    absent = {
        'unseen={"far": [Case("c", inputs=(10.0,), hidden=10 * k)]},': "",
        'baselines={"constant": "def guess(x):\\n    return 4.5\\n"},': "",
        ', Measure("nodes", 0, 64, bins=8)': "",
    }
    code, out, _ = cli("check", problem_file(replace=absent), "--json")
    assert code == 0
    advice = [check["name"] for check in json.loads(out)["checks"] if check["result"] == "advice"]
    assert advice == ["measures?", "unseen?", "baselines?", "primitives?"]


def test_check_finds_a_score_that_is_not_repeatable(cli, problem_file):
    path = problem_file(
        replace={"def score(y, case):": "import random\ndef score(y, case):\n    y += random.random()"}
    )
    _, out, _ = cli("check", path)
    assert "warning two runs of the same program differ" in out
    assert "error of evolve" not in out


def test_eval_takes_a_bare_block_a_file_with_markers_and_stdin(cli, folder, tmp_path, monkeypatch):
    block = "def perimeter(a, b):\n    return 3 * (a + b)\n"
    (tmp_path / "bare.py").write_text(block)
    (tmp_path / "marked.py").write_text(f"nonsense(\n# EVOLVE-BLOCK-START\n{block}# EVOLVE-BLOCK-END\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(block))
    found = set()
    for name in (tmp_path / "bare.py", tmp_path / "marked.py", "-"):
        code, out, _ = cli("eval", folder / "mine.py", name, "--json")
        told = json.loads(out)
        assert code == 0
        assert set(told["scores"]) == {"b0.05..0.5", "b0.5..1"}
        assert told["measures"]["nodes"] > 0
        found.add(told["objective"])
    assert len(found) == 1
    code, out, _ = cli("eval", folder / "mine.py", tmp_path / "bare.py", "--suite", "flatter")
    assert code == 0
    assert "b0.01..0.05" in out


def test_eval_shows_a_failure_with_its_lines_and_tames_what_was_printed(cli, folder, tmp_path):
    path = tmp_path / "bad.py"
    path.write_text(
        'def perimeter(a, b):\n    print("\\x1b[31m[red]boo[/red]\\u202e")\n'
        '    raise ValueError("[bold]\\x07")\n'
    )
    code, out, _ = cli("eval", folder / "mine.py", path)
    assert code == 1
    assert "error       ValueError: [bold]" in out
    assert "line 3, in perimeter" in out
    assert "[red]boo[/red]" in out
    assert not set(out) & set("\x1b\x07\u202e")


def test_eval_of_something_that_is_no_program_says_so(cli, folder, tmp_path):
    (tmp_path / "a.py").write_text("def other(a, b):\n    return a\n")
    code, out, _ = cli("eval", folder / "mine.py", tmp_path / "a.py")
    assert code == 1
    assert "no function 'perimeter'" in out


def test_doctor_tells_and_fails_only_without_a_jail(cli, monkeypatch):
    code, out, _ = cli("doctor", "--json")
    told = json.loads(out)
    assert code == (0 if told["jail"]["level"] != "none" else 1)
    monkeypatch.setattr("evolve.fastcore.jail.describe", lambda: {"level": "none", "missing": "no seccomp"})
    monkeypatch.setattr("evolve.fastcore.jail.level", lambda: "none")
    monkeypatch.setattr("evolve.fastcore.clock.COMPILED", False)
    code, out, _ = cli("doctor")
    assert code == 1
    assert "failed  jail: programs cannot be confined: no seccomp" in out
    assert "warning compiled extensions" in out
    code, _, err = cli("run", "online_bin_packing", "--budget", "5")
    assert code == 3
    assert "--unsafe" in err


# run, resume, show, export, rescore


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
        "isolation": "basic",
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
