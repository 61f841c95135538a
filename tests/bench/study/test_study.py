"""Whole studies with real runs: complete, resumable, never mixed, and told in words that can be believed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import evolve
from evolve.bench.study import engine
from evolve.bench.study.job import _Bench
from evolve.bench.study.places import Places
from evolve.bench.study.plan import read_plan
from evolve.mutators.simulated import SIMULATED
from evolve.programs_db.errors import LedgerError, LedgerFull, LedgerUnreadable
from evolve.workers import Workers

sys.path.insert(0, str(Path(__file__).parent))
from small_study import PLAN, PROBLEM, write


def outcomes(folder):
    return sorted((folder / "runs" / "small").glob("*-*.json"))


def stamps(folder):
    return {path.name: path.stat().st_mtime_ns for path in outcomes(folder)}


@pytest.fixture
def copied(made, tmp_path):
    """A copy of the finished study, which a test may spoil."""
    folder, _ = made
    shutil.copytree(folder.parent, tmp_path / "home")
    return tmp_path / "home" / "out"


def test_every_run_is_a_ledger_and_the_document_says_what_is_in_it(made):
    folder, document = made
    assert len(document["runs"]) == 8
    for one in document["runs"]:
        run = evolve.open_run(folder / "runs" / "small" / f"{one['strategy']}-{one['seed']}.db")
        assert (run.seed, run.document["content_hash"]) == (one["seed"], one["content"])
        assert run.stopped == "budget"
        points = [point for point in run.curve() if point.evaluations <= 80]
        assert one["curve"] == [[point.evaluations, point.objective] for point in points]
        assert one["final"] == points[-1].objective
        assert one["program"] == points[-1].program
        assert set(one["elsewhere"]["unseen"]) == {"far", "near"}
        assert len(one["elsewhere"]["fresh"]) == 2
    assert evolve.open_run(folder / "runs" / "small" / "tuned-0.db").config["tune"] == 40


def test_unseen_figures_are_those_of_the_best_program(made):
    """The seed program is known by heart: 20 away from 30 at x = 10, and 0.0 at x = 0.5."""
    folder, document = made
    seed = document["problems"]["small"]["seed_program"]
    assert seed["value"] == 2.0
    assert seed["elsewhere"]["unseen"] == {"far": 19.0, "near": 0.0}
    assert min(one["final"] for one in document["runs"]) < 1.0
    for one in document["runs"]:
        names = {}
        ledger = folder / "runs" / "small" / f"{one['strategy']}-{one['seed']}.db"
        exec(evolve.open_run(ledger).best().program.source, names)  # a line of arithmetic
        assert one["elsewhere"]["unseen"]["far"] == abs(names["guess"](10.0) - 30.0)
        assert one["elsewhere"]["unseen"]["near"] == abs(names["guess"](0.5) - 1.5)


def test_all_programs_get_the_same_fresh_draws(made):
    _, document = made
    same = {}
    for one in document["runs"]:
        same.setdefault(one["program"], set()).add(tuple(one["elsewhere"]["fresh"]))
    assert all(len(values) == 1 for values in same.values())


def test_the_baselines_are_evaluated_once_and_compared(made):
    _, document = made
    assert document["problems"]["small"]["baselines"]["constant"]["value"] == 1.5
    line = next(one for one in document["figures"] if one["strategy"] == "classical")
    assert line["final"] == 0.75, "the best of both"
    question = next(
        one for one in document["questions"] if one["second"] == "classical" and one["outcome"] == "final"
    )
    assert question["pairs"] == 4


def test_the_page_shows_names_as_text_and_its_curves_are_there(made):
    folder, document = made
    text = (folder / "study.md").read_text(encoding="utf-8")
    assert "all is \\*tuned\\* \\| really" in text
    assert "\\|mm\\|" in text
    assert "best\\|of 0.75" in text
    assert "![small: best so far](curves-small.svg)" in text
    drawing = (folder / "curves-small.svg").read_text(encoding="utf-8")
    assert drawing.lstrip().startswith("<?xml")
    assert "tuned" in drawing
    for one in document["questions"]:
        if one["outcome"] == "final":
            assert one["sentence"].split(" on ")[0] in text


def test_a_finished_study_is_told_again_and_nothing_is_run(made, cli):
    folder, document = made
    before = stamps(folder)
    code, out, err = cli("study", folder.parent / "plan.toml", "-o", folder, "--json")
    assert code == 0
    assert "all runs of this study are done" in err
    told = json.loads(out)
    assert told["questions"] == document["questions"]
    assert "runs" not in told
    assert stamps(folder) == before


def test_after_a_sigkill_no_finished_run_is_repeated_and_the_rest_is_the_same(made, tmp_path, cli):
    _, whole = made
    plan, folder = write(tmp_path), tmp_path / "out"
    words = [sys.executable, "-m", "evolve", "study", str(plan), "-o", str(folder), "--jobs", "2", "--yes"]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=tmp_path)
    try:
        until(lambda: len(outcomes(folder)) >= 2 if folder.exists() else False)
        workers = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.kill()
        process.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive, "workers end with who has started them"
    before = stamps(folder)
    assert 2 <= len(before) <= 8
    code, _, _ = cli("study", plan, "-o", folder, "--jobs", "2")
    assert code == 0
    after = stamps(folder)
    assert {name: after[name] for name in before} == before
    assert contents(json.loads((folder / "study.json").read_text())) == contents(whole)


def contents(document):
    return {(one["strategy"], one["seed"]): (one["content"], one["final"]) for one in document["runs"]}


def until(true, seconds=120):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.05)


def test_a_run_that_was_cut_off_goes_on(copied, made, cli):
    """Its ledger ends in the middle, as after a kill: the outcome is that of a run which was never stopped."""
    _, whole = made
    folder = copied
    for path in (folder / "runs" / "small").glob("evolution-2.*"):
        path.unlink()
    ledger = folder / "runs" / "small" / "evolution-2.db"
    evolve.run(str(folder.parent / "small.py"), seed=2, budget="30ev", ledger=ledger, workers=1, verify=False)
    with_first = evolve.open_run(ledger).document["proposals"]
    assert cli("study", folder.parent / "plan.toml", "-o", folder)[0] == 0
    document = json.loads((folder / "study.json").read_text())
    assert contents(document) == contents(whole)
    assert evolve.open_run(ledger).document["proposals"] > with_first


def test_a_ledger_that_is_none_is_made_anew(copied, made, cli):
    _, whole = made
    folder = copied
    (folder / "runs" / "small" / "tuned-1.json").unlink()
    (folder / "runs" / "small" / "tuned-1.db").write_bytes(b"no ledger at all" * 64)
    assert cli("study", folder.parent / "plan.toml", "-o", folder)[0] == 0
    assert contents(json.loads((folder / "study.json").read_text())) == contents(whole)
    assert (folder / "runs" / "small" / "tuned-1.db.spoilt").read_bytes() == b"no ledger at all" * 64
    assert "moved to tuned-1.db.spoilt" in (folder / "workers.log").read_text()


@pytest.mark.parametrize("error", [LedgerFull, LedgerUnreadable, LedgerError])
def test_a_run_that_can_be_read_is_never_begun_anew(error, copied, monkeypatch):
    """A full or failing disk ends the study; what the run has recorded is left as it is."""
    folder = copied
    (folder / "runs" / "small" / "evolution-2.json").unlink()
    ledger = folder / "runs" / "small" / "evolution-2.db"
    ledger.unlink()
    evolve.run(str(folder.parent / "small.py"), seed=2, budget="30ev", ledger=ledger, workers=1, verify=False)
    before = ledger.read_bytes()

    def fails(*_, **__):
        raise error("the disk is full")

    monkeypatch.setattr(evolve, "resume", fails)
    plan = read_plan(folder.parent / "plan.toml")
    with Workers(1) as kept, pytest.raises(error, match="the disk is full"):
        _Bench(plan, Places(folder), kept).do_run({"problem": "small", "strategy": "evolution", "seed": 2})
    assert ledger.read_bytes() == before


def test_a_disk_that_fails_while_a_study_goes_on_takes_nothing(copied):
    folder = copied
    (folder / "runs" / "small" / "evolution-2.json").unlink()
    ledger = folder / "runs" / "small" / "evolution-2.db"
    ledger.unlink()
    evolve.run(str(folder.parent / "small.py"), seed=2, budget="30ev", ledger=ledger, workers=1, verify=False)
    recorded = evolve.open_run(ledger).document["proposals"]
    limit = ledger.stat().st_size // 2
    limited = f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); "
    begin = limited + "from evolve.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["study", str(folder.parent / "plan.toml"), "-o", str(folder), "--jobs", "1", "--yes"]
    ended = subprocess.run([sys.executable, "-c", begin, *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 3, ended.stderr
    assert evolve.open_run(ledger).document["proposals"] >= recorded
    assert not list(ledger.parent.glob("*.spoilt*"))


def test_ctrl_c_leaves_what_is_done(tmp_path):
    plan, folder = write(tmp_path, PLAN.replace("0-3", "0-19")), tmp_path / "out"
    words = [sys.executable, "-m", "evolve", "study", str(plan), "-o", str(folder), "--jobs", "1", "--yes"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        until(lambda: len(outcomes(folder)) >= 1 if folder.exists() else False)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "interrupted with" in err
    assert "it will take about" in err
    assert 1 <= len(outcomes(folder)) < 40
    assert not (folder / "study.json").exists()


@pytest.mark.parametrize(
    ("replace", "words"),
    [
        ({'"80ev"': '"90ev"'}, "its budget were others"),
        ({"tune = 40": "tune = 3"}, "its strategies were others"),
        ({'"0-3"': '"0-4"'}, "its seeds were others"),
        ({'budget = "80ev"': 'budget = "80ev"\ndraws = 1'}, "its draws were others"),
    ],
)
def test_a_folder_of_another_plan_is_refused(made, tmp_path, cli, replace, words):
    folder, _ = made
    text = PLAN
    for old, new in replace.items():
        assert old in text
        text = text.replace(old, new)
    plan = write(tmp_path, text)
    before = stamps(folder)
    code, _, err = cli("study", plan, "-o", folder)
    assert code == 2
    assert words in err
    assert "give another folder" in err
    assert "--against" not in err  # which compares versions of one plan
    assert stamps(folder) == before


def test_a_folder_of_another_problem_or_engine_is_refused(made, tmp_path, cli, monkeypatch):
    folder, _ = made
    other = write(
        tmp_path, problem=PROBLEM.replace("inputs=(10.0,), hidden=10 * k", "inputs=(11.0,), hidden=11 * k")
    )
    code, _, err = cli("study", other, "-o", folder)
    assert (code, "problem 'small', or a library that scores it, has changed" in err) == (2, True)
    monkeypatch.setattr(engine, "source_hash", lambda: "b2:another")
    code, _, err = cli("study", folder.parent / "plan.toml", "-o", folder)
    assert (code, "made by another version of the engine" in err, "--against" in err) == (2, True, True)


def test_a_problem_that_changes_while_a_study_runs_ends_it(copied):
    """A worker loads a problem when it comes to it: it may be another one by then."""
    home = copied.parent
    plan = read_plan(home / "plan.toml")
    (home / "small.py").write_text(PROBLEM.replace("hidden=2 * k", "hidden=2.5 * k"), encoding="utf-8")
    start = {"plan": plan.as_given(), "home": ".", "folder": str(copied), "unsafe": False}
    told = subprocess.run(
        [sys.executable, "-m", "evolve.bench.study.job", str(os.getpid())],
        input=f"{json.dumps(start)}\n{json.dumps({'do': 'given', 'problem': 'small'})}\n",
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(told.stdout)
    assert (answer["code"], answer["again"]) == (2, False)
    assert "has changed since the study began" in answer["failed"]


def test_a_folder_whose_plan_is_spoilt_says_which_file(copied, cli):
    (copied / "plan.json").write_text("[]")
    code, _, err = cli("study", copied.parent / "plan.toml", "-o", copied)
    told = "plan.json: not the JSON that a study writes; give another folder"
    assert (code, told in " ".join(err.split())) == (2, True)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plan.json", '{"format": 1}'),
        ("runs/small/given.json", "{}"),
        ("runs/small/evolution-1.json", "{}"),
        ("runs/small/evolution-1.json", '{"problem": "small", "elsewhere": 3}'),
    ],
)
def test_a_spoilt_file_of_a_study_is_named_with_its_mend(name, text, copied, cli):
    (copied / name).write_text(text)
    code, _, err = cli("study", copied.parent / "plan.toml", "-o", copied)
    told = " ".join(err.split())
    assert (code, name.rpartition("/")[2] in told) == (2, True)
    assert "remove it" in told or "give another folder" in told


def test_an_outcome_that_a_problem_lacks_is_refused_before_anything_runs(tmp_path, cli):
    plan = write(tmp_path, 'outcome = "fresh"\n' + PLAN, PROBLEM.replace("        fresh=drawn,\n", ""))
    code, _, err = cli("study", plan, "-o", tmp_path / "out")
    assert (code, "small has no cases for outcome 'fresh'" in " ".join(err.split())) == (2, True)
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_folder_is_named(made, cli, tmp_path):
    folder, _ = made
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "in"):
        code, _, err = cli("study", folder.parent / "plan.toml", "-o", place)
        assert (code, "a file is in the way" in " ".join(err.split())) == (2, True)
    assert (tmp_path / "file").read_text() == "mine"


def test_what_a_killed_trial_left_goes_and_what_somebody_wrote_for_one_is_none(copied, cli):
    (copied / "trial-abc").mkdir()
    (copied / "trial-abc" / "0.db").write_text("")
    (copied / "estimate.json").write_text('{"small": 3}')
    for outcome in (copied / "runs" / "small").glob("evolution-0.*"):
        outcome.unlink()
    code, _, err = cli("study", copied.parent / "plan.toml", "-o", copied, "--yes")
    assert code == 0, err
    assert "trying 1 problem for a moment" in err
    assert not list(copied.glob("trial-*"))


def test_tokens_too_few_for_another_answer_are_no_end_before_the_budget(tmp_path, cli):
    write(tmp_path)
    words = ["--problem", tmp_path / "small.py", "--strategy", "hill_climbing", "--seeds", "0"]
    words += ["--simulated", "tokens=500", "--budget", "1200tok", "-o", tmp_path / "out", "--jobs", "1"]
    code, out, err = cli("study", *words, "--yes", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["spent"]["simulated"]["tokens"] == 1_000
    assert not any("before their budget" in doubt for doubt in told["doubts"])


def test_two_studies_do_not_share_a_folder(made, cli):
    folder, _ = made
    from evolve.bench.study.places import Places

    with Places(folder).held():
        code, _, err = cli("study", folder.parent / "plan.toml", "-o", folder)
    assert code == 2
    assert f"process {os.getpid()} is at this study" in err


def test_an_edit_of_the_engine_changes_its_hash_and_an_edit_of_a_verb_does_not(tmp_path, monkeypatch):
    home = tmp_path / "evolve"
    for name in (
        "search.py",
        "verbs/run.py",
        "bench/study/page.py",
        "problems/capset.py",
        "llm/templates/a.txt",
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("first")
    (tmp_path / "other").mkdir()
    rooms = {"evolve": home, "evolve.fastcore": tmp_path / "other", "evolve.programs_db": tmp_path / "other"}

    class Room:
        def __init__(self, name):
            self.__path__ = [str(rooms[name])]

    monkeypatch.setattr(engine, "import_module", Room)
    found = engine.source_hash.__wrapped__
    first = found()
    for name in ("verbs/run.py", "bench/study/page.py", "problems/capset.py"):
        (home / name).write_text("second")
    assert found() == first
    for name in ("search.py", "llm/templates/a.txt"):
        before = found()
        (home / name).write_text("second")
        assert found() != before


def test_a_problem_that_fails_ends_the_study_with_its_own_words(tmp_path, cli):
    plan = write(tmp_path, problem=PROBLEM.replace("abs(y - case.hidden)", "abs(y - case.hiden)"))
    code, _, err = cli("study", plan, "-o", tmp_path / "out", "--jobs", "1")
    assert code == 2
    assert "hiden" in err


def test_a_plan_and_flags_at_once_are_refused(tmp_path, cli):
    code, _, err = cli("study", write(tmp_path), "--budget", "10ev", "-o", tmp_path / "out")
    assert (code, "--budget is a matter of" in err) == (2, True)
    code, _, err = cli("study", "--problem", "capset", "-o", tmp_path / "out")
    assert (code, "give a plan, or --problem" in err) == (2, True)


def test_flags_make_a_study_and_a_simulation_is_labelled_everywhere(tmp_path, cli):
    write(tmp_path)
    folder = tmp_path / "sim"
    words = [
        "study",
        "--problem",
        tmp_path / "small.py",
        "--strategy",
        "evolution",
        "--strategy",
        "hill_climbing",
    ]
    like = "invalid=0.1,duplicate=0.2,tokens=500,latency=3,price=0.01,slots=4"
    words += [
        "--simulated",
        like,
        "--seeds",
        "0-1",
        "--budget",
        "20ktok",
        "-o",
        folder,
        "--jobs",
        "1",
        "--yes",
    ]
    code, out, err = cli(*words)
    assert code == 0, err
    assert SIMULATED in out
    assert SIMULATED in err
    document = json.loads((folder / "study.json").read_text())
    assert document["simulated"] == SIMULATED
    assert any(SIMULATED in doubt for doubt in document["doubts"])
    assert document["spent"]["simulated"]["tokens"] == 4 * 20_000
    assert document["spent"]["simulated"]["seconds"] == pytest.approx(4 * 40 * 3 / 4)
    assert all(one["proposals"] == 40 and one["spent"] == 20_000 for one in document["runs"])
    assert SIMULATED in (folder / "study.md").read_text().lower()
    run = evolve.open_run(folder / "runs" / "small" / "hill_climbing-1.db")
    assert run.document["simulated"]["label"] == SIMULATED
    assert run.config["window"] == 4
