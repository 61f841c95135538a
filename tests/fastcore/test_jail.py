"""The jail itself, seen from outside: applied in one compiled call and through ctypes it must come to the same."""

import errno
import json
import subprocess
import sys

import pytest

from evolve.fastcore import jail
from evolve.fastcore.jail import COMPILED, Jail, JailError

pytestmark = pytest.mark.skipif(jail.level() == "none", reason="this machine cannot confine programs")
WAYS = [pytest.param(True, marks=pytest.mark.skipif(not COMPILED, reason="no compiler here")), False]

# A process of its own, because what it gives up it never gets back. Its child stops once it is confined, so that its
# parent can look at it.
HOST = """
import json, os, sys, threading
from pathlib import Path
from evolve.fastcore import jail
from evolve.fastcore.limits import Limits

compiled, newest, setting = json.loads(sys.argv[1])
home = Path(sys.argv[2])
if "before" in setting:
    exec(setting["before"])
jail.restrict_files([home / "open", Path("/proc")], newest)
jail.prepare_zygote()
cage = jail.Jail(newest=newest, compiled=compiled)
parent, (reading, writing) = os.getpid(), os.pipe()
pid = os.fork()
if pid == 0:
    try:
        cage.confine(Limits(cpu_seconds=7.2, **setting.get("limits", {})), parent)
        told = []
        for attempt in setting["attempts"]:
            try:
                exec(attempt)
                told.append("done")
            except OSError as error:
                told.append(error.errno)
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
    os.write(writing, json.dumps(told).encode())
    while True: os.sched_yield()
told = json.loads(os.read(reading, 65536))
status = dict(line.split(":\\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
limits = {line[:25].strip(): line[25:].split()[:2] for line in Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]}
os.kill(pid, 9)
os.waitpid(pid, 0)
keys = ("NoNewPrivs", "Seccomp", "Seccomp_filters", "CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")
print(json.dumps([told, {key: status[key] for key in keys if key in status}, limits]))
"""
ATTEMPTS = [
    "open(home / 'open').read()",
    "open(home / 'closed').read()",
    "open(home / 'open', 'r+')",
    "os.mkdir(home / 'new')",
    "os.fork()",
    "os.kill(os.getpid(), 0)",
    "os.stat(home)",
    "os.getpid()",
]


def confined(tmp_path, compiled, newest=None, **setting):
    (tmp_path / "open").write_text("text")
    (tmp_path / "closed").write_text("text")
    setting.setdefault("attempts", ATTEMPTS)
    command = [sys.executable, "-c", HOST, json.dumps([compiled, newest, setting]), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("newest", [None, 1])
@pytest.mark.parametrize("compiled", WAYS)
def test_what_is_confined(tmp_path, compiled, newest):
    told, status, limits = confined(tmp_path, compiled, newest)
    denied = [errno.EACCES] * 2 + [errno.EPERM] * 3
    assert told == ["done", *denied, "done", "done"]
    assert (status["NoNewPrivs"], status["Seccomp"], status["Seccomp_filters"]) == ("1", "2", "1")
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapInh"], 16) == 0
    assert limits["Max cpu time"] == ["8", "8"]
    assert limits["Max file size"] == limits["Max core file size"] == ["0", "0"]
    assert limits["Max processes"] == limits["Max locked memory"] == ["0", "0"]
    assert limits["Max open files"] == ["64", "64"]
    assert int(limits["Max address space"][0]) < 1 << 32


@pytest.mark.skipif(not COMPILED, reason="no compiler here")
def test_both_ways_come_to_the_same(tmp_path):
    one, other = (confined(tmp_path, compiled) for compiled in (True, False))
    for limits in (one[2], other[2]):
        del limits["Max address space"]  # relative to what the process has mapped
    assert one == other


@pytest.mark.parametrize("compiled", WAYS)
def test_a_lower_limit_that_is_there_stays(tmp_path, compiled):
    before = "import resource; resource.setrlimit(resource.RLIMIT_CPU, (5, 5))"
    assert confined(tmp_path, compiled, before=before)[2]["Max cpu time"] == ["5", "5"]


@pytest.mark.parametrize("compiled", WAYS)
def test_threads_where_they_are_allowed(tmp_path, compiled):
    attempts = ["t = threading.Thread(target=print); t.start(); t.join()", "os.fork()"]
    told, _, limits = confined(tmp_path, compiled, attempts=attempts, limits={"threads": 2})
    assert told == ["done", errno.EPERM]
    assert limits["Max processes"] != ["0", "0"]


@pytest.mark.parametrize("compiled", WAYS)
def test_a_step_that_is_refused_is_named(tmp_path, compiled):
    # The ruleset's descriptor is gone: nothing may go on as if it had been applied.
    before = (
        "real = jail.Jail.__init__\n"
        "def init(self, **how):\n"
        "    real(self, **how)\n"
        "    os.close(self.descriptors[0])\n"
        "jail.Jail.__init__ = init"
    )
    told, _, _ = confined(tmp_path, compiled, before=before)
    assert told.startswith("JailError: the kernel refused Landlock: ")


def test_strict_needs_every_part(monkeypatch):
    for part in ("_seccomp_missing", "_landlock_missing"):
        with monkeypatch.context() as patch:
            patch.setattr(jail, part, lambda: "not here; use another kernel")
            assert jail.level() == jail.describe()["level"] == "none"
            assert "not here; use another kernel" in jail.describe()["missing"]
            with pytest.raises(JailError, match="not here; use another kernel"):
                Jail()
            assert Jail(unsafe=True).level == "none"
