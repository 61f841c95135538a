"""The command line as a terminal, a pipe and a signal meet it: real processes."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from evolve.budget import Budget
from evolve.cli import main
from evolve.module import Origin, module_text
from evolve.panel import showing
from evolve.programs_db.errors import LedgerError
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.records import (
    Commit,
    Evaluation,
    Event,
    Measure,
    Objective,
    Program,
    Proposal,
    Status,
)
from evolve.terminal import braille, plot, staircase
from evolve.watch import Watch

EVOLVE = [sys.executable, "-m", "evolve"]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def environment(**more):
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("COLUMNS", "NO_COLOR", "LC_ALL", "LANG")
    }
    return {**kept, "TERM": "xterm-256color", "LANG": "C.UTF-8", **more}


def in_terminal(words, columns, **more):
    """Run in a pseudo terminal; returns the exit code and everything that was written."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    env = environment(**more)
    process = subprocess.Popen(
        [*EVOLVE, *map(str, words)], stdin=theirs, stdout=theirs, stderr=theirs, env=env
    )
    os.close(theirs)
    data = b""
    with contextlib.suppress(OSError):  # the end of a terminal is an error on Linux
        while select.select([ours], [], [], 60)[0]:
            if not (part := os.read(ours, 65536)):
                break
            data += part
    os.close(ours)
    return process.wait(60), data.decode("utf-8", "replace")


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """A problem file."""
    path = tmp_path_factory.mktemp("terminal") / "mine.py"
    assert main(["new", str(path)]) == 0
    return path


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_the_panel_fits_its_terminal(mine, tmp_path, columns):
    words = ["run", mine, "--budget", "400", "--ledger", tmp_path / "a.db", "--workers", "1"]
    code, text = in_terminal(words, columns)
    assert code == 0
    frame = re.split(r"[\r\n]+", ESCAPES.sub("", text))
    panel = [line for line in frame if line.startswith(("╭", "│", "╰"))]
    assert panel
    assert {len(line) for line in panel} == {columns}
    assert any("evaluations/s" in line for line in panel)
    assert any("left" in line for line in panel)


def test_a_locale_without_utf8_gets_ascii_and_no_color_gets_none(mine, tmp_path):
    words = ["run", mine, "--budget", "300", "--ledger", tmp_path / "a.db", "--workers", "1"]
    code, text = in_terminal(words, 60, LC_ALL="C", NO_COLOR="1")
    assert code == 0
    assert text.isascii()
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", text)
    code, text = in_terminal(["show", tmp_path / "a.db"], 40, LC_ALL="C", NO_COLOR="1")
    assert code == 0
    assert text.isascii()


def test_show_in_a_narrow_terminal_keeps_tables_whole(mine, tmp_path):
    words = [
        "run",
        str(mine),
        "--budget",
        "60",
        "--ledger",
        str(tmp_path / "a.db"),
        "--workers",
        "1",
        "--quiet",
    ]
    assert main(words) == 0
    done = subprocess.run(
        [*EVOLVE, "show", tmp_path / "a.db"],
        env=environment(COLUMNS="40"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "  quadratic_mean" in done.stdout
    told = done.stdout.partition("best program b2")[0].partition("lineage")[0]
    assert max(map(len, told.splitlines())) <= 40


def started(words):
    """A run that has found something, with its first lines."""
    process = subprocess.Popen(
        [*EVOLVE, *map(str, words), "--json-events"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    )
    lines = []
    while not lines or json.loads(lines[-1])["event"] != "improved":
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr.read()
    return process, lines


def test_ctrl_c_ends_within_two_seconds_and_the_ledger_goes_on(mine, tmp_path):
    ledger = tmp_path / "a.db"
    process, _ = started(["run", mine, "--budget", "60s", "--ledger", ledger, "--workers", "2"])
    time.sleep(0.3)
    begun = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - begun < 2
    assert process.returncode == 130
    assert "Traceback" not in err
    assert f"evolve resume {ledger} goes on" in err
    assert json.loads(out.splitlines()[-1])["stopped"] == "interrupted"
    with Ledger.read(ledger) as book:
        done, sound = book.commits, book.integrity()
    assert sound == []
    assert main(["resume", str(ledger), "--budget", str(done + 20), "--workers", "1", "--quiet"]) == 0
    with Ledger.read(ledger) as book:
        assert book.commits == done + 21


def test_ctrl_c_while_starting_is_130_without_a_traceback(mine, tmp_path):
    process = subprocess.Popen(
        [*EVOLVE, "check", str(mine)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert "one block" in process.stdout.readline()  # its worker is starting now
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err


def seed_scored(ledger):
    """Wait until a run has recorded its seed program."""
    deadline = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline, "no seed program in the ledger"
        time.sleep(0.05)
        with contextlib.suppress(LedgerError), Ledger.read(ledger) as book:
            if book.commits:
                return


def test_a_run_is_shown_while_it_goes_on_and_after_a_kill(mine, tmp_path):
    ledger = tmp_path / "a.db"
    process, _ = started(["run", mine, "--budget", "60s", "--ledger", ledger, "--workers", "1"])
    seed_scored(ledger)
    for still_running in (True, False):
        if not still_running:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=30)
        show = [*EVOLVE, "show", str(ledger), "--json"]
        done = subprocess.run(show, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["stopped"] == ("not yet, it is still running" if still_running else "killed")
        assert told["best"]["value"] > 0


def test_a_reader_that_leaves_ends_show_with_0_and_a_run_with_130(mine, tmp_path):
    ledger = tmp_path / "a.db"
    process, _ = started(["run", mine, "--budget", "60s", "--ledger", ledger, "--workers", "1"])
    process.stdout.close()
    assert process.wait(30) == 130
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    with Ledger.read(ledger) as book:
        assert book.integrity() == []
    # Larger than what a pipe holds, so that writing must fail.
    show = subprocess.Popen(
        [*EVOLVE, "show", str(ledger), "--json", "--top", "400"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    show.stdout.read(10)
    show.stdout.close()
    assert show.wait(30) == 0
    assert show.stderr.read() == b""
    show.stderr.close()


# Pieces


def commit(number, objective, island=0, events=(), measures=None):
    name = f"b2:{number}"
    failed = objective is None
    evaluation = Evaluation(
        name,
        Status.ERROR if failed else Status.OK,
        "",
        objective,
        {},
        {} if failed else measures or {"m": 0.5},
    )
    proposal = Proposal(
        number, island, "syntactic", "swap", program=name, evaluations=2, elapsed=float(number)
    )
    return Commit(proposal, Program(name, "", name, name, 1), evaluation, (), tuple(events))


def test_a_watch_counts_what_it_is_told():
    watch = Watch(Objective("e", "min"), (Measure("m", 0.0, 1.0, 4),), 2, Budget(proposals=10))
    watch.on_commit(commit(0, 5.0), True)
    watch.on_commit(commit(1, 4.0, island=1, measures={"m": 2.0}), True)
    watch.on_commit(commit(2, None), False)
    watch.on_commit(
        commit(3, 4.5, events=[Event("reset", 0, ("b2:1",)), Event("migration", 1, ("b2:3",))]), False
    )
    assert [step.objective for step in watch.digest()] == [5.0, 4.0]
    assert watch.digest() == []
    assert (watch.commits, watch.proposals, watch.evaluations) == (4, 3, 8)
    assert watch.failures == [("error", 1)]
    assert watch.island_bests == {0: 4.0, 1: 4.0}
    assert watch.reached == {(2,), (3,)}
    assert watch.left == (0.3, "7 proposals")


def test_a_watch_tells_what_is_left_of_cpu_seconds():
    watch = Watch(Objective("e", "min"), (), 1, Budget(cpu_seconds=300.0))
    assert watch.left == (0.0, "300 CPU s")
    watch.on_metered(75.0)
    assert watch.left == (0.25, "225 CPU s")
    watch.on_metered(301.0)
    assert watch.left == (1.0, "0 CPU s")


def test_a_quiet_watch_still_digests():
    watch = Watch(Objective("e", "min"), (), 1, Budget(seconds=10.0))
    with showing(watch, "quiet", "", lambda: None):
        watch.on_commit(commit(0, 5.0), True)
    assert watch.commits == 1


def test_curves_are_drawn_with_the_largest_value_on_top():
    points = [(0.0, 4.0), (5.0, 2.0)]
    assert staircase(points, 10.0, 4) == [4.0, 2.0, 2.0, 2.0]
    lines = braille([1.0, 1.0, 0.0, 0.0], 1)
    assert lines == ["⠉⣇"]
    assert plot(points, 10.0, 4, 2, ascii_only=True) == ['"___']
    assert plot([], 0.0, 4, 2, ascii_only=False) == []
    assert plot([(0.0, 1.0)], 0.0, 3, 1, ascii_only=False) == ["⣀⣀⣀"]


def test_nothing_in_the_header_of_a_module_can_become_code():
    hostile = "x\nimport os\r\nos.abort()\u2028\x0c"
    objective = {"name": "e", "direction": "min", "unit": hostile}
    origin = Origin(
        "p", {"k": hostile}, objective, 1.0, {hostile: None}, hostile, "b2:1", 1, 0, "b2:2", "0", "2026"
    )
    text = module_text("VALUE = 1\n", origin)
    names = {}
    exec(compile(text, "module", "exec"), names)
    assert names["VALUE"] == 1
    assert "os" not in names
    assert "CAREFUL" in module_text("VALUE = '\u202e'\n", origin)
