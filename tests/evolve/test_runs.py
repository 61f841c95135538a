"""Whole runs with real workers and a real ledger: repeatable, resumable, killable."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import evolve
from evolve.config import Config
from evolve.errors import ProblemError, UsageError
from evolve.programs_db.errors import LedgerBusy, LedgerError, LedgerMismatch
from evolve.programs_db.ledger import Ledger
from evolve.runs import rescore

KILLS = int(os.environ.get("EVOLVE_KILLS", "3"))
FAST = Config(tune=20)


def search(path, ledger, proposals=120, **more):
    given = {"workers": 1, "seed": 5, "config": FAST, **more}
    return evolve.run(str(path), proposals=proposals, ledger=ledger, **given)


def test_a_run_improves_on_its_seed_and_tells_it(problem_file, tmp_path):
    run = search(problem_file(), tmp_path / "a.db")
    told = run.document
    assert told["stopped"] == run.stopped == "budget"
    assert told["proposals"] == 120
    assert told["seed_program"]["value"] == 2.0
    assert told["best"]["value"] < 1.0
    assert set(told["best"]["unseen"]) == {"far"}
    assert told["baselines"]["constant"]["value"] == 1.5
    assert told["best"]["verdict"] == "unverified"
    assert sum(told["statuses"].values()) == 121 - told["duplicates"] - told["invalid"]
    assert run.best().objective == told["best"]["value"]
    assert run.best().program.source.count("def guess(x)") == 1


def test_the_handle_answers_after_the_fact(problem_file, tmp_path):
    search(problem_file(), tmp_path / "a.db")
    run = evolve.open_run(tmp_path / "a.db")
    steps = run.lineage()
    assert steps[0].number == 0
    assert steps[0].gain is None
    assert steps[-1].objective == run.best().objective
    assert all(step.diff for step in steps[1:])
    curve = run.curve()
    assert [point.objective for point in curve] == sorted((p.objective for p in curve), reverse=True)
    frame = run.programs.to_pandas()
    assert len(frame) == sum(run.document["statuses"].values())
    assert frame[frame.status == "ok"].objective.min() == run.best().objective
    assert run.best().program.source.split("return")[1].strip()[:5] in run._repr_html_().replace("&", "&")
    assert run.archive.stats().filled > 1


def test_the_same_seed_gives_the_same_ledger_with_any_number_of_workers(problem_file, tmp_path):
    path = problem_file()
    one, two, other = (
        search(path, tmp_path / f"{name}.db", workers=workers, seed=seed).document["content_hash"]
        for name, workers, seed in (("one", 1, 5), ("two", 2, 5), ("other", 1, 6))
    )
    assert one == two != other


def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(problem_file, tmp_path):
    path = problem_file()
    whole = search(path, tmp_path / "whole.db").document
    search(path, tmp_path / "parts.db", proposals=17)
    search_on = evolve.resume(tmp_path / "parts.db", proposals=50, workers=2)
    assert search_on.document["proposals"] == 50
    assert (
        evolve.resume(tmp_path / "parts.db", proposals=120).document["content_hash"] == whole["content_hash"]
    )
    again = evolve.resume(tmp_path / "parts.db", proposals=120)  # nothing is left to do, and nothing is done
    assert again.document["content_hash"] == whole["content_hash"]


def test_a_budget_in_seconds_is_a_total_over_sessions(problem_file, tmp_path):
    run = evolve.run(str(problem_file()), seconds=0.5, ledger=tmp_path / "a.db", workers=1)
    assert run.stopped == "budget"
    evolve.resume(tmp_path / "a.db", seconds=0.5)
    before = run.document["proposals"]
    assert evolve.open_run(tmp_path / "a.db").document["proposals"] <= before + 40


def test_init_programs_take_part_and_a_broken_one_is_told(problem_file, tmp_path):
    good = "def guess(x):\n    return 3.0 * x\n"
    run = search(
        problem_file(), tmp_path / "a.db", proposals=5, init=[good, "def other(x):\n    return x\n", "def ("]
    )
    assert run.best().program.source == good
    assert run.document["best"]["value"] == 0.0
    assert run.document["invalid"] == 2


def test_new_bins_replay_and_a_new_score_asks_for_rescore(problem_file, tmp_path):
    path = problem_file()
    before = search(path, tmp_path / "a.db", proposals=60)
    problem_file(replace={"bins=8), Measure": "bins=3), Measure"})
    wider = evolve.resume(tmp_path / "a.db", proposals=90, workers=1)
    assert wider.document["proposals"] == 90
    problem_file(replace={"abs(y - case.hidden)": "abs(y - case.hidden) + 1.0"})
    with pytest.raises(LedgerMismatch, match="rescore"):
        evolve.resume(tmp_path / "a.db", proposals=100)
    assert rescore(tmp_path / "a.db", workers=1) == len(evolve.open_run(tmp_path / "a.db").programs)
    after = evolve.resume(tmp_path / "a.db", proposals=100, workers=1)
    assert after.document["seed_program"]["value"] == 3.0
    assert after.best().objective >= 1.0
    assert after.document["proposals"] == 100
    assert before.document["seed_program"]["value"] == 2.0


def test_a_run_goes_on_after_a_rescore_that_fails_programs_which_had_migrated(problem_file, tmp_path):
    search(problem_file(), tmp_path / "a.db", proposals=60, config=Config(tune=20, migrate=30))
    harder = "    if abs(y - case.hidden) < 1.0:\n        raise ValueError('too good')\n    return {"
    path = problem_file(replace={"    return {": harder})
    assert "too good" in Path(path).read_text()
    rescore(tmp_path / "a.db", workers=1)
    after = evolve.resume(tmp_path / "a.db", proposals=90, workers=1)
    assert (after.document["proposals"], after.best().objective >= 1.0) == (90, True)


@pytest.mark.parametrize(
    ("replace", "says"),
    [
        ({"return x + 1.0": "return x / 0"}, "ZeroDivisionError"),
        ({"return x + 1.0": "return [x"}, "never closed"),
        ({"def guess(x)": "def guest(x)"}, "guess"),
        ({"if y > 1e6:": "1 / 0\n    if y > 1e6:"}, "score raised ZeroDivisionError"),
        ({'{"error": abs': '{"mistake": abs'}, "no 'error'"),
        ({"abs(y - case.hidden)": 'float("nan")'}, "nan for 'error'"),
        ({"returns=Real()": "returns=Array('f8', (2,))"}, "shape"),
    ],
)
def test_a_seed_that_does_not_score_is_an_error_of_the_problem_and_leaves_no_file(
    problem_file, tmp_path, replace, says
):
    path = problem_file(replace=replace)
    with pytest.raises(ProblemError, match=says):
        search(path, tmp_path / "a.db")
    assert [file.name for file in tmp_path.iterdir() if ".db" in file.name] == []


def test_a_score_that_breaks_on_some_answers_does_not_stop_the_run(problem_file, tmp_path):
    path = problem_file(
        replace={"if y > 1e6:": "if y < 0:\n        raise KeyError('negative')\n    if y > 1e6:"}
    )
    told = search(path, tmp_path / "a.db").document
    assert told["stopped"] == "budget"
    assert told["statuses"]["unscorable"] > 0
    assert told["statuses"]["ok"] > 0


def test_a_judge_that_dies_of_an_unseen_case_is_told_beside_the_rest(problem_file, tmp_path):
    path = problem_file(
        replace={"if y > 1e6": "if case.name == 'c':\n        import os\n        os.abort()\n    if y > 1e6"}
    )
    told = search(path, tmp_path / "a.db", 30).document
    assert told["best"]["unseen"] == {"far": None}
    assert "two supervisors died" in told["best"]["failures"]["far"]
    assert told["baselines"]["constant"]["value"] == 1.5


def test_measures_outside_their_bounds_are_clipped_and_counted(problem_file, tmp_path):
    path = problem_file(replace={"min(abs(y), 10.0)": "abs(y) + 20.0"})
    told = search(path, tmp_path / "a.db", proposals=20).document
    assert told["clipped"]["size"] == told["statuses"]["ok"]


def test_a_random_objective_is_tested_again_before_it_is_an_elite(problem_file, tmp_path):
    path = problem_file(
        replace={
            "limits=Limits(seconds=2.0),": "limits=Limits(seconds=2.0), repeats=2,",
            "def guess(x):": "def guess(x, seed):",
            'return {"error": abs(y - case.hidden)': 'return {"error": abs(y - case.hidden) + 0.01 * case.seed',
        }
    )
    run = search(path, tmp_path / "a.db", proposals=60)
    with Ledger.read(tmp_path / "a.db") as book:
        rows = book.query("SELECT scores FROM evaluations e WHERE program = :p", {"p": run.best().program.id})
    assert rows[0]["scores"].count("#") == 8  # two cases, two repeats, two rounds


def test_two_writers_and_wrong_requests_are_refused(problem_file, tmp_path):
    path = problem_file()
    search(path, tmp_path / "a.db", proposals=5)
    with pytest.raises(LedgerError, match="exists"):
        search(path, tmp_path / "a.db")
    with Ledger.open(tmp_path / "a.db"), pytest.raises(LedgerBusy, match="writing this ledger"):
        evolve.resume(tmp_path / "a.db", proposals=10)
    with pytest.raises(UsageError, match="no budget"):
        evolve.run(str(path), ledger=tmp_path / "b.db")
    with pytest.raises(UsageError, match="unknown option speed; it takes budget"):
        evolve.run(str(path), proposals=1, speed=3)
    with pytest.raises(UsageError, match="0 workers"):
        evolve.run(str(path), proposals=1, workers=0)


def test_a_run_can_be_started_inside_a_running_event_loop(problem_file, tmp_path):
    async def notebook():
        return search(problem_file(), tmp_path / "a.db", proposals=5)

    assert asyncio.run(notebook()).document["proposals"] == 5


def test_a_problem_file_that_starts_a_search_when_loaded_is_told_so(problem_file, tmp_path):
    path = problem_file()
    path.write_text(path.read_text() + "\nimport evolve\nevolve.run(small(), proposals=3)\n")
    with pytest.raises(ProblemError, match="__main__"):
        search(path, tmp_path / "a.db")


def descendants(pid):
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def start(path: Path, ledger: Path, proposals: int) -> subprocess.Popen:
    code = (
        "import sys, evolve; from evolve.config import Config\n"
        "path, ledger, proposals = sys.argv[1:]\n"
        "import os\n"
        "if os.path.exists(ledger): evolve.resume(ledger, proposals=int(proposals), workers=2)\n"
        "else: evolve.run(path, seed=5, proposals=int(proposals), ledger=ledger, workers=2, config=Config(tune=20))\n"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(path), str(ledger), str(proposals)])


def gone(pids, seconds=5.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        alive = [
            p for p in pids if psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE
        ]
        if not alive:
            return True
        time.sleep(0.05)
    return False


def recorded(ledger):
    with Ledger.read(ledger) as book:
        assert book.integrity() == []
        return [
            (c.proposal.number, c.proposal.program, c.evaluation and c.evaluation.objective)
            for c in book.replay()
        ]


@pytest.mark.slow
def test_kills_lose_nothing_that_was_recorded_and_change_nothing_that_comes(problem_file, tmp_path):
    path, ledger = problem_file(), tmp_path / "killed.db"
    proposals = 700 * KILLS
    rng = random.Random(11)
    before, kills = [], 0
    while kills < KILLS:
        engine = start(path, ledger, proposals)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:  # wait until it has got on, then kill it at a random moment
            if engine.poll() is not None or (ledger.exists() and len(before) < count(ledger)):
                break
            time.sleep(0.01)
        time.sleep(rng.random() * 0.5)
        family = descendants(engine.pid)
        engine.send_signal(signal.SIGKILL)
        finished = engine.wait() == 0
        assert gone(family), "a process outlived its engine"
        now = recorded(ledger)
        assert now[: len(before)] == before
        before, kills = now, kills + 1
        assert not finished, "the run ended before it was killed often enough"
    assert start(path, ledger, proposals).wait(120) == 0
    told = evolve.open_run(ledger).document
    assert told["proposals"] == proposals
    assert (
        told["content_hash"]
        == search(path, tmp_path / "whole.db", proposals, workers=2).document["content_hash"]
    )


def count(ledger):
    try:
        with Ledger.read(ledger) as book:
            return book.commits
    except LedgerError:
        return 0


@pytest.mark.slow
def test_ctrl_c_ends_within_two_seconds_with_a_ledger_that_can_be_resumed(problem_file, tmp_path):
    ledger = tmp_path / "a.db"
    engine = start(problem_file(), ledger, 10**6)
    while count(ledger) < 50:
        time.sleep(0.02)
        assert engine.poll() is None
    family = descendants(engine.pid)
    started = time.monotonic()
    engine.send_signal(signal.SIGINT)
    engine.wait(10)
    assert time.monotonic() - started < 2.0
    assert gone(family)
    run = evolve.open_run(ledger)
    assert run.stopped == "interrupted"
    assert recorded(ledger)
    more = evolve.resume(ledger, proposals=run.document["proposals"] + 5)
    assert more.stopped == "budget"


def test_ctrl_c_while_the_finals_are_scored_leaves_them_to_resume(problem_file, tmp_path):
    flag, ledger = tmp_path / "wait", tmp_path / "a.db"
    flag.touch()
    wait = f"while case.name == 'c' and __import__('os').path.exists({str(flag)!r}):\n        pass\n    "
    engine = start(problem_file(replace={"if y > 1e6": wait + "if y > 1e6"}), ledger, 30)
    while count(ledger) < 31:
        time.sleep(0.02)
        assert engine.poll() is None
    time.sleep(0.2)
    engine.send_signal(signal.SIGINT)
    engine.wait(10)
    flag.unlink()
    run = evolve.open_run(ledger)
    assert run.stopped == "interrupted"
    assert run.document["best"]["unseen"] == {}
    again = evolve.resume(ledger)
    assert again.stopped == "budget"
    assert set(again.document["best"]["unseen"]) == {"far"}
