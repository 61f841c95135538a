"""The verbs, one after the other, with real workers and a real ledger; exit codes and JSON as promised."""

import io
import json
import subprocess
import sys

import pytest

import evolve
from evolve.cli import VERBS

OPTIONAL = (
    "matplotlib",
    "pygments",
    "markupsafe",
    "pytest",
    "pytest_benchmark",
    "pandas",
    "scipy",
    "torch",
    "vllm",
)


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """Measurements of speed are not what is tested here."""
    monkeypatch.setattr("evolve.inspection._TIMING_SECONDS", 0.1)


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


def test_a_verb_does_not_load_pandas_for_the_database_and_may_still_want_it():
    code = (
        "import sys; from evolve.cli import main; assert main(['show', '--help']) == 0; "
        "assert 'sqlite_utils' in sys.modules; assert 'pandas' not in sys.modules; import pandas"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_verb_is_there_without_the_optional_libraries():
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL!r})); from evolve.cli import VERBS, main; "
        "codes = {verb: main([verb, '--help']) for verb in VERBS}; assert not any(codes.values()), codes"
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
        (["run", "online_bin_packing"], "no budget; say --budget"),
        (["run", "online_bin_packing", "--budget", "12x"], "say 60s, 10m, 2h, 300cpu"),
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


def test_a_new_problem_for_speed_holds(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = cli("new", "fast.py", "--form", "speed")
    assert code == 0
    assert "evolve check fast.py" in out
    code, out, _ = cli("check", "fast.py", "-p", "n=6000", "--json")  # a tenth, so that its races are quick
    told = json.loads(out)
    assert code == 0, out
    assert told["ok"] is True
    assert "advice" not in {check["result"] for check in told["checks"]}  # a noisy machine may give a warning


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
    assert {"jail", "seccomp", "landlock", "privileges", "rlimits"} <= {
        one["name"] for one in told["findings"]
    }
    part = next(one for one in told["findings"] if one["name"] == "landlock")
    assert (part["sentence"], part["result"]) == (
        told["jail"]["landlock"],
        "warning" if told["jail"]["landlock"] == "absent" else "ok",
    )
    monkeypatch.setattr("evolve.fastcore.jail.describe", lambda: {"level": "none", "missing": "no seccomp"})
    monkeypatch.setattr("evolve.fastcore.jail.level", lambda: "none")
    monkeypatch.setattr("evolve.fastcore.clock.COMPILED", False)
    monkeypatch.setattr("evolve.fastcore.jail.COMPILED", False)
    code, out, _ = cli("doctor")
    assert code == 1
    assert "not compiled: clock, jail" in out
    assert "failed  jail: level none, programs cannot be confined: no seccomp" in out
    assert "warning compiled extensions" in out
    code, _, err = cli("run", "online_bin_packing", "--budget", "5")
    assert code == 3
    assert "--unsafe" in err


# run, resume, show, export, rescore
