"""Reports of real runs, made by the command line: what stands in them, and what becomes of unusual ledgers."""

import csv
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys

import pytest

import evolve
from evolve.bench.report.code import highlighted
from evolve.bench.report.gathering import difference, gather
from evolve.bench.report.heatmap import merged
from evolve.bench.report.history import _typed
from evolve.budget import Budget
from evolve.config import Config
from evolve.mutators.simulated import Simulated
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.records import Measure, Objective

NAMES = ("comparison", "checks", "cases", "lineage", "curve", "measures", "cost", "operators", "verdicts")


def rows_of(folder, name):
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_page_tells_what_the_run_told(found, page):
    text = page.read_text(encoding="utf-8")
    told = evolve.open_run(found).document
    assert told["best"]["program"] in text
    assert told["content_hash"] in text
    assert f"{told['best']['value']:.6g}" in text
    assert told["best"]["verdict"] in text
    for title in ("The program", "Case by case", "How it was found", "Over the run", "Rate of discovery"):
        assert f"<h2>{title}</h2>" in text
    assert text.count("<svg ") >= 5
    assert len(text) < 3_000_000


def test_without_the_libraries_of_a_page_it_says_so_and_writes_the_rest(found, tmp_path):
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('matplotlib', 'pygments', 'markupsafe'))); "
        "from evolve.cli import main; sys.exit(main(['report', *sys.argv[1:]]))"
    )
    command = [sys.executable, "-c", code, found]
    asked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert asked.returncode == 2
    assert "the HTML page needs matplotlib and pygments and markupsafe, not installed here" in asked.stderr
    assert "pip install 'evolve-engine[bench]'" in asked.stderr
    assert not list(tmp_path.iterdir())
    rest = subprocess.run([*command, "--md", "a.md", "--csv", "t"], cwd=tmp_path, check=False)
    assert rest.returncode == 0
    assert "# " in (tmp_path / "a.md").read_text(encoding="utf-8")
    assert (tmp_path / "t" / "lineage.csv").exists()


def test_no_two_drawings_of_a_page_share_an_id(page):
    ids = re.findall(r' id="([^"]+)"', page.read_text(encoding="utf-8"))
    assert len(ids) == len(set(ids))


def test_every_table_is_a_file_and_its_figures_are_those_of_the_ledger(found, cli, tmp_path):
    folder = tmp_path / "tables"
    assert cli("report", found, "--csv", folder)[0] == 0
    assert {f"{name}.csv" for name in NAMES} <= {path.name for path in folder.iterdir()}
    assert not list(tmp_path.glob("*.html"))
    run = evolve.open_run(found)
    steps = rows_of(folder, "lineage")
    assert [int(step["proposal"]) for step in steps] == [step.number for step in run.lineage()]
    assert [float(step["gain"]) for step in steps[1:]] == pytest.approx(
        [step.gain for step in run.lineage()[1:]]
    )
    assert [float(row["error"]) for row in rows_of(folder, "curve")] == [
        point.objective for point in run.curve()
    ]
    amounts = {row["what"]: row["amount"] for row in rows_of(folder, "cost")}
    assert int(amounts["evaluations, trials of the tuner included"]) == run.document["evaluations"]


def test_the_command_of_a_report_makes_the_same_ledger_again(found, tmp_path):
    known = gather(found).origin
    environment = {**os.environ, "PYTHONPATH": ""}
    (tmp_path / "mine.py").write_text(found.with_name("mine.py").read_text())
    words = known.command.split()
    assert words[:2] == ["evolve", "run"]
    assert "islands=2" in words
    command = [sys.executable, "-m", *words, "--ledger", "again.db", "--quiet", "--workers", "2"]
    subprocess.run(command, check=True, cwd=tmp_path, env=environment, capture_output=True)
    with Ledger.read(tmp_path / "again.db") as book:
        assert book.content_hash() == known.compare


def test_json_has_the_rate_of_discovery(found, cli, tmp_path):
    code, out, _ = cli("report", found, "-o", tmp_path / "r.html", "--md", tmp_path / "r.md", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["files"] == {
        str(path): path.stat().st_size for path in (tmp_path / "r.html", tmp_path / "r.md")
    }
    best, seed = evolve.open_run(found).document["best"], evolve.open_run(found).document["seed_program"]
    assert told["rate"]["gain"] == pytest.approx(seed["value"] - best["value"])
    assert told["verdict"] == best["verdict"]


def test_markdown_goes_to_stdout_where_that_is_asked_for(found, tmp_path):
    command = [sys.executable, "-m", "evolve", "report", str(found), "--md"]
    written = subprocess.run([*command, "r.md"], check=True, cwd=tmp_path, capture_output=True, text=True)
    printed = subprocess.run(
        [*command, "-", "-o", "r.html"], check=True, cwd=tmp_path, capture_output=True, text=True
    )
    assert printed.stdout == (tmp_path / "r.md").read_text(encoding="utf-8")
    assert "wrote r.html" in printed.stderr
    assert "wrote r.md" in written.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"r.md", "r.html"}


@pytest.mark.parametrize("words", [("-o", "-"), ("--md", "-", "--json")])
def test_stdout_holds_one_thing_and_no_page(words, found, cli):
    code, out, err = cli("report", found, *words)
    assert (code, out) == (2, "")
    assert "stdout" in err


def test_nothing_is_written_over_unless_it_is_asked_for(found, cli, tmp_path):
    path = tmp_path / "r.html"
    path.write_text("mine")
    code, _, err = cli("report", found, "-o", path)
    assert (code, path.read_text()) == (2, "mine")
    assert "--force" in err
    assert cli("report", found, "-o", path, "--force")[0] == 0
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    before = found.read_bytes()
    assert cli("report", found, "-o", found, "--force")[0] == 2
    assert cli("report", found, "-o", path, "--md", path, "--force")[0] == 2
    assert found.read_bytes() == before


def test_no_file_is_lost_that_nobody_named(found, cli, tmp_path):
    (tmp_path / "r.md.new").write_text("mine")
    ledger = tmp_path / "led.md.new"
    shutil.copy(found, ledger)
    before = ledger.read_bytes()
    for name, words in (("r.md", (found,)), ("led.md", (ledger,))):
        assert cli("report", *words, "--md", tmp_path / name)[0] == 0
    assert ((tmp_path / "r.md.new").read_text(), ledger.read_bytes()) == ("mine", before)
    names = {path.name for path in tmp_path.iterdir()} - {"led.md.new-wal", "led.md.new-shm"}
    assert names == {"r.md.new", "r.md", "led.md.new", "led.md"}


def test_a_link_is_followed_and_a_pipe_takes_the_text(found, cli, tmp_path):
    (tmp_path / "there.md").write_text("old")
    (tmp_path / "link.md").symlink_to("there.md")
    assert cli("report", found, "--md", tmp_path / "link.md", "--force")[0] == 0
    assert (tmp_path / "link.md").is_symlink()
    text = (tmp_path / "there.md").read_text(encoding="utf-8")
    assert text.startswith("# ")
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert cli("report", found, "--md", tmp_path / "pipe", "--force")[0] == 0
        assert os.read(reader, 1 << 20).decode() == text
    finally:
        os.close(reader)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize("words", [("report", "-o"), ("report", "--md"), ("export", "-o")])
def test_no_ledger_is_written_over_even_by_force(words, found, cli, tmp_path):
    other = tmp_path / "other.db"
    shutil.copy(found, other)
    before = other.read_bytes()
    verb, option = words
    code, _, err = cli(verb, found, option, other, "--force")
    assert (code, other.read_bytes()) == (2, before)
    assert "never written over" in err


def test_a_link_to_nowhere_is_no_folder_for_tables(found, cli, tmp_path):
    (tmp_path / "tables").symlink_to(tmp_path / "nowhere")
    code, _, err = cli("report", found, "--csv", tmp_path / "tables")
    assert (code, "no folder" in err) == (2, True)


@pytest.mark.parametrize("what", ["missing.db", "text.db"])
def test_what_is_no_ledger_is_one_clear_error(what, cli, tmp_path):
    (tmp_path / "text.db").write_text("no ledger")
    code, _, err = cli("report", tmp_path / what, "-o", tmp_path / "r.html")
    assert code == 2
    assert what in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "r.html").exists()


def test_a_run_that_was_killed_says_so(plant, cli, tmp_path):
    assert cli("report", plant(ended=False), "--md", tmp_path / "r.md")[0] == 0
    text = (tmp_path / "r.md").read_text(encoding="utf-8")
    assert "**Killed**: the run was killed after 4 proposals; `evolve resume` goes on" in text


def test_a_run_that_goes_on_says_so_and_is_read_as_one_state(plant, cli, tmp_path):
    path = plant(ended=False)
    with Ledger.open(path) as book:
        assert cli("report", path, "--md", tmp_path / "r.md")[0] == 0
        with Ledger.read(path) as reader, reader.snapshot():
            before = reader.commits
            book.begin_session("fp-1", {}, [], {})
            from evolve.programs_db.records import Commit, Proposal

            book.record(Commit(Proposal(5, 0, "m", error="none")))
            book.flush()
            assert reader.commits == before
            assert reader.content_hash() != book.content_hash()
    assert "**Still running**: the run goes on" in (tmp_path / "r.md").read_text(encoding="utf-8")


def test_a_ledger_without_a_scored_program_has_a_report(cli, tmp_path):
    problem = {
        "name": "p",
        "objective": {"name": "x", "direction": "max", "unit": ""},
        "measures": [],
        "path": "p.py",
    }
    with Ledger.create(tmp_path / "e.db", problem, {"seed": 0, "config": {"islands": 1}}, "fp"):
        pass
    assert cli("report", tmp_path / "e.db", "-o", tmp_path / "e.html", "--md", tmp_path / "e.md")[0] == 0
    assert "no program of this run has a score" in (tmp_path / "e.html").read_text().lower()


def test_after_a_rescore_no_figure_of_the_old_scores_is_told(cli, problem_file, tmp_path):
    path = problem_file()
    evolve.run(str(path), proposals=40, seed=1, ledger=tmp_path / "a.db", workers=1)
    before = gather(tmp_path / "a.db")
    # The same programs, by another scale: a thousand times the error.
    path.write_text(path.read_text().replace('"error": abs(y', '"error": 1000.0 + abs(y'))
    assert cli("rescore", tmp_path / "a.db")[0] == 0
    after = gather(tmp_path / "a.db")
    assert before.best.objective < 1000.0 <= after.best.objective
    assert after.state.rescored
    assert min(value for _, _, value, _ in after.improvements) >= 1000.0
    assert all(step.objective >= 1000.0 for step in after.lineage)
    assert all(value >= 1000.0 for case in after.cases for value in case.values.values())
    assert all(line.value >= 1000.0 for line in after.lines)
    assert min(after.cells.values()) >= 1000.0
    assert after.measures.curve.first >= 1000.0
    assert after.ruled.verdict == "unverified"
    assert after.operators == after.failures == ()
    assert cli("report", tmp_path / "a.db", "-o", tmp_path / "a.html")[0] == 0
    assert "Scored again" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_after_a_rescore_with_other_measures_its_cells_are_those_of_now(cli, problem_file, tmp_path):
    path = problem_file()
    evolve.run(str(path), proposals=40, seed=1, ledger=tmp_path / "a.db", workers=1)
    path.write_text(path.read_text().replace('"size"', '"mass"'))
    assert cli("rescore", tmp_path / "a.db")[0] == 0
    after = gather(tmp_path / "a.db")
    assert after.cells
    assert cli("report", tmp_path / "a.db", "-o", tmp_path / "a.html")[0] == 0
    assert "mass" in cli("show", tmp_path / "a.db")[1]


def test_a_search_for_speed_has_a_report(timed, cli, tmp_path):
    facts = gather(timed)
    assert facts.about.baseline == "wasteful"
    assert any(case.kind == "fresh" and case.span for case in facts.cases)
    assert cli("report", timed, "-o", tmp_path / "s.html", "--md", tmp_path / "s.md")[0] == 0
    assert "wasteful" in (tmp_path / "s.html").read_text(encoding="utf-8")


def test_what_a_human_did_is_told(cli, found, tmp_path):
    start = tmp_path / "start.py"
    start.write_text("import numpy as np\n\n\ndef perimeter(a, b):\n    return np.pi * (a + b) * 1.01\n")
    words = ("--init", start, "--ledger", tmp_path / "a.db", "--workers", "1", "--quiet")
    assert cli("run", found.with_name("mine.py"), "--budget", "10", *words)[0] == 0
    assert cli("resume", tmp_path / "a.db", "--budget", "20", "--quiet", "--workers", "1")[0] == 0
    deeds = gather(tmp_path / "a.db").deeds
    assert [(one.when, one.kind) for one in deeds] == [(0, "a program to start from"), (11, "session 2")]
    assert "1.01" in deeds[0].words


def test_a_source_is_highlighted():
    assert '<span class="k">def</span>' in str(highlighted("def f(x):\n    return x\n"))


def test_a_diff_says_what_goes_and_what_comes():
    assert difference("a\nb\n", "a\nc") == ("@@ -1,2 +1,2 @@", " a", "-b", "+c")
    assert difference("a\n", "a") == ()


def test_neighbours_are_drawn_as_one_cell_where_there_are_many():
    measures = [Measure("x", 0.0, 1.0, 100), Measure("y", 0.0, 1.0, 10)]
    cells = {(0, 0): 1.0, (2, 0): 3.0, (3, 0): 2.0, (99, 9): 4.0}
    assert merged(cells, measures, Objective("o", "max")) == {(0, 0): 3.0, (1, 0): 2.0, (33, 9): 4.0}
    assert merged(cells, measures, Objective("o", "min")) == {(0, 0): 1.0, (1, 0): 2.0, (33, 9): 4.0}


def test_measures_that_need_an_escape_in_json_are_mapped(plant):
    facts = gather(plant())
    assert facts.cells
    assert all(place is not None for cell in facts.cells for place in cell)


def _again(ledger, folder):
    """The content hash of what the command of a report makes in another folder."""
    folder.mkdir()
    (folder / "mine.py").write_text(ledger.with_name("mine.py").read_text(encoding="utf-8"), encoding="utf-8")
    with Ledger.read(ledger) as book:
        for place, source in enumerate(book.run["init"]):
            (folder / f"start{place + 1}.py").write_text(source, encoding="utf-8")
    words = shlex.split(gather(ledger).origin.command)
    command = [sys.executable, *(words[1:] if words[0] == "python" else ["-m", *words])]
    subprocess.run(command, check=True, cwd=folder, env={**os.environ, "PYTHONPATH": ""}, capture_output=True)
    (made,) = folder.glob("*.db")
    with Ledger.read(made) as book:
        return book.content_hash()


def test_a_run_with_a_simulated_model_is_made_again_by_its_command(found, tmp_path):
    (tmp_path / "mine.py").write_text(found.with_name("mine.py").read_text(encoding="utf-8"))
    start = "import numpy as np\n\n\ndef perimeter(a, b):\n    return np.pi * (a + b) * 1.01\n"
    how = {"simulated": Simulated(invalid=0.3, slots=3), "init": [start], "workers": 1}
    config = Config(islands=2, greedy=0.5)
    problem = str(tmp_path / "mine.py")
    evolve.run(problem, proposals=20, seed=4, ledger=tmp_path / "a.db", config=config, **how)
    known = gather(tmp_path / "a.db")
    assert known.origin.compare == _again(tmp_path / "a.db", tmp_path / "again")
    assert any("simulation" in one for one in known.doubts)
    assert "simulated model" in known.origin.repeats


def test_a_run_that_got_no_further_than_its_seed_program_is_made_again(found, tmp_path):
    (tmp_path / "mine.py").write_text(found.with_name("mine.py").read_text(encoding="utf-8"))
    evolve.run(str(tmp_path / "mine.py"), budget="1ev", ledger=tmp_path / "a.db", workers=1)
    known = gather(tmp_path / "a.db")
    assert known.cost.proposals == 0
    assert known.origin.compare == _again(tmp_path / "a.db", tmp_path / "again")


@pytest.mark.parametrize("word", ["user:p@ss", "user:pa/ss", "user", "user:p:a@s/s@"])
def test_no_part_of_a_password_stands_in_a_command(word):
    told = _typed(["/usr/bin/evolve", "run", "--llm", f"https://{word}@host:8000/v1"])
    assert shlex.split(told) == ["evolve", "run", "--llm", "https://…@host:8000/v1"]


def test_a_budget_stands_as_one_would_type_it(plant):
    path = plant()
    with Ledger.open(path) as book:
        book.begin_session("fp-1", {}, [], Budget.parse_all(["150ev", "60s", "300cpu", "400"]).as_dict())
    words = gather(path).sessions[-1].budget.split()
    assert Budget.parse_all(words) == Budget.parse_all(["150ev", "60s", "300cpu", "400"])


def test_dials_that_are_off_are_told_as_one_types_them(found, tmp_path):
    (tmp_path / "mine.py").write_text(found.with_name("mine.py").read_text(encoding="utf-8"))
    config = Config(cells=False, exhaust=False)
    evolve.run(
        str(tmp_path / "mine.py"), seed=3, budget="20", ledger=tmp_path / "a.db", config=config, workers=1
    )
    known = gather(tmp_path / "a.db").origin
    assert "--set cells=no --set exhaust=no" in known.command
    again = [sys.executable, "-m", *known.command.split(), "--ledger", "again.db", "--quiet"]
    subprocess.run(again, check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""}, capture_output=True)
    with Ledger.read(tmp_path / "again.db") as book:
        assert book.content_hash() == known.compare


def test_there_is_no_rate_by_cpu_seconds_that_a_killed_session_has_not_told(plant, tmp_path):
    path = plant()
    assert gather(path).cost.cpu_seconds == 2.0
    assert gather(path).measures.rate.per_cpu_second is not None
    with Ledger.open(path) as book:
        told = evolve.open_run(path).document
        book.begin_session("fp-1", {}, [], {})  # killed: it ends with no word
        book.begin_session("fp-1", {}, [], {})
        book.end_session("budget", {**told, "cpu_seconds": 3.0})
    facts = gather(path)
    assert facts.cost.cpu_seconds is None
    assert facts.measures.rate.per_cpu_second is None


def test_a_long_program_to_start_from_is_told_whole(tmp_path):
    source = "def f():\n    return 0\n" + "# as long as this\n" * 1_000
    objective = {"name": "x", "direction": "max", "unit": ""}
    problem = {"name": "p", "objective": objective, "measures": [], "path": "p.py", "parameters": {}}
    making = {"seed": 0, "config": {"islands": 1}, "init": [source], "version": "0"}
    with Ledger.create(tmp_path / "a.db", problem, making, "fp"):
        pass
    assert gather(tmp_path / "a.db").deeds[0].words == source
