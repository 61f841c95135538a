"""The jail itself, seen from outside: applied in one compiled call and through ctypes it must come to the same."""

import ctypes
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evolve.fastcore import jail
from evolve.fastcore.jail import COMPILED, Jail, JailError, landlock_abi
from evolve.fastcore.limits import Limits
from evolve.fastcore.runner import Runner

pytestmark = pytest.mark.skipif(jail.level() == "none", reason="this machine cannot confine programs")
WAYS = [
    pytest.param(True, marks=pytest.mark.skipif(not COMPILED, reason="no compiler here"), id="compiled"),
    pytest.param(False, id="ctypes"),
]
ABIS = [None, *range(1, landlock_abi() + 1)]

# A process of its own, because what it gives up it never gets back. Its child stops once it is confined, so that its
# parent can look at it.
HOST = """
import ctypes, json, mmap, os, sys, threading, time
from pathlib import Path
from evolve.fastcore import jail
from evolve.fastcore.limits import Limits

compiled, newest, setting = json.loads(sys.argv[1])
home = Path(sys.argv[2])
if "before" in setting:
    exec(setting["before"])
jail.restrict_files([home / "open", Path("/proc")], newest)
if setting.get("harden", True):
    jail.prepare_zygote()
cage = jail.Jail(newest=newest, compiled=compiled)
parent, (reading, writing) = os.getpid(), os.pipe()
pid = os.fork()
if pid == 0:
    try:
        exec(setting.get("confine", "cage.confine(Limits(cpu_seconds=7.2, **setting.get('limits', {})), parent)"))
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
    while True: time.sleep(1)
told = json.loads(os.read(reading, 65536))
status = dict(line.split(":\\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
limits = {line[:25].strip(): line[25:].split()[:2] for line in Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]}
os.kill(pid, 9)
os.waitpid(pid, 0)
keys = ("NoNewPrivs", "Seccomp", "Seccomp_filters", "CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")
print(json.dumps([told, {key: status[key] for key in keys if key in status}, limits]))
"""
GRANTED = ["open(home / 'open').read()", "os.stat(home)", "os.getpid()", "mmap.mmap(-1, 4096)"]
REFUSED = {
    "open(home / 'closed').read()": errno.EACCES,
    "open(home / 'open', 'r+')": errno.EACCES,
    "os.open(home / 'closed', os.O_PATH)": errno.EACCES,
    "os.mkdir(home / 'new')": errno.EPERM,
    "os.fork()": errno.EPERM,
    "os.kill(os.getpid(), 0)": errno.EPERM,
    "mmap.mmap(-1, 1 << 21, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)": errno.EPERM,
    "mmap.mmap(-1, 4096).madvise(9)": errno.EINVAL,
    "os.dup2(1, 9)": errno.EPERM,
    "os.fstat(cage.descriptors[0])": errno.EBADF,
}


def confined(tmp_path, compiled, newest=None, **setting):
    (tmp_path / "open").write_text("text")
    (tmp_path / "closed").write_text("text")
    setting.setdefault("attempts", [*GRANTED, *REFUSED])
    command = [sys.executable, "-c", HOST, json.dumps([compiled, newest, setting]), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("newest", ABIS)
@pytest.mark.parametrize("compiled", WAYS)
def test_what_is_confined(tmp_path, compiled, newest):
    told, status, limits = confined(tmp_path, compiled, newest)
    assert told == [*["done"] * len(GRANTED), *REFUSED.values()]
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


STEPS = {
    "Landlock: Bad file descriptor": (
        "real = jail.Jail.__init__\n"
        "def init(self, **how):\n"
        "    real(self, **how)\n"
        "    self._ruleset = 999\n"
        "jail.Jail.__init__ = init"
    ),
    "RLIMIT_MSGQUEUE: Invalid argument": "jail._RLIMITS['MSGQUEUE'] = 99",
    "the system-call filter: Invalid argument": "jail.filter_program = lambda *_: bytes(8)",
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("compiled", WAYS)
def test_a_step_that_is_refused_is_named(tmp_path, compiled, step):
    told, _, _ = confined(tmp_path, compiled, before=STEPS[step])
    assert told == f"JailError: the kernel refused {step}"


@pytest.mark.parametrize("newest", [None, 1])
@pytest.mark.parametrize("own", [True, False], ids=["a domain of its own", "the same domain"])
def test_a_domain_of_its_own_keeps_the_zygote_from_being_traced(tmp_path, own, newest):
    # Landlock alone: neither the filter nor the zygote's own hardening. The same domain is the control.
    attempts = ["os.open(f'/proc/{parent}/mem', os.O_RDONLY)", "os.kill(parent, 0)"]
    setting = {
        "harden": False,
        "attempts": attempts,
        "confine": "jail._restrict(cage._ruleset)" if own else "pass",
    }
    told, _, _ = confined(tmp_path, False, newest, **setting)
    signals_end_there = own and newest is None and landlock_abi() >= 6
    assert told == [errno.EACCES if own else "done", errno.EPERM if signals_end_there else "done"]


def test_programs_of_one_zygote_share_no_memory_that_they_can_write():
    with Runner() as runner:
        mappings = Path(f"/proc/{runner.zygote}/maps").read_text().splitlines()
        assert len(mappings) > 100
        assert not [line for line in mappings if line.split()[1].endswith("s") and "w" in line.split()[1]]
        with runner.start("def f(): return 1", "f", Limits()) as session:
            session.call(())
            held = {int(name) for name in os.listdir(f"/proc/{session.pid}/fd")}
    assert held == {0, 1, 2, 3}


def test_strict_needs_every_part(monkeypatch):
    for part in ("_seccomp_missing", "_landlock_missing"):
        with monkeypatch.context() as patch:
            patch.setattr(jail, part, lambda: "not here; use another kernel")
            assert jail.level() == jail.describe()["level"] == "none"
            assert "not here; use another kernel" in jail.describe()["missing"]
            with pytest.raises(JailError, match="not here; use another kernel"):
                Jail()
            assert Jail(unsafe=True).level == "none"


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSYS, "use Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK"),
        (errno.EOPNOTSUPP, "switched off; add landlock to its boot parameter lsm="),
        (errno.EPERM, "a container's seccomp profile forbids Landlock; use Docker 23 or newer"),
    ],
)
def test_a_missing_landlock_is_told_with_its_mend(monkeypatch, number, told):
    def none(newest=None):
        ctypes.set_errno(number)
        return 0

    monkeypatch.setattr(jail, "landlock_abi", none)
    assert told in jail.describe()["missing"]
    assert jail.level() == "none"


def test_the_compiled_way_is_not_replaced_in_silence(monkeypatch):
    monkeypatch.setattr(jail, "COMPILED", False)
    assert jail.describe()["applied"] == "through ctypes"
    with pytest.raises(JailError, match="not compiled here; install a C compiler"):
        Jail(compiled=True)
