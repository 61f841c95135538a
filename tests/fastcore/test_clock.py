"""The clock of another process: outside it, and the same with and without the compiled reader."""

import os
import subprocess
import sys

import pytest

from evolve.fastcore import clock


@pytest.mark.parametrize("read", [clock.cpu_and_wall, clock._portable])
def test_the_cpu_clock_of_a_process_that_works_runs_and_of_one_that_sleeps_stands(read):
    cpu, wall = read(os.getpid())
    sum(range(2_000_000))
    later_cpu, later_wall = read(os.getpid())
    assert 0.0 < later_cpu - cpu <= 1.5 * (later_wall - wall) + 0.05
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as sleeper:
        before, _ = read(sleeper.pid)
        sleeper.communicate(b"\n")
        assert before >= 0.0


@pytest.mark.parametrize("read", [clock.cpu_and_wall, clock._portable])
def test_a_process_that_is_gone_has_no_clock(read):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with pytest.raises(ProcessLookupError, match=str(gone.pid)):
        read(gone.pid)


def test_both_readers_agree():
    one, other = clock.cpu_and_wall(os.getpid()), clock._portable(os.getpid())
    assert one == pytest.approx(other, abs=0.05)
