"""Runs a contender against the fake server, and looks at both twice a second."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.perf.kept_full.contenders import ROOT, Contender, Job
from bench.perf.kept_full.settings import Setting
from bench.perf.kept_full.tree import Disk, Taken, disk, memory, taken

__all__ = ["Course", "Sample", "follow", "settle"]

_INTERVAL = 0.5  # seconds between two looks
_QUIET = 3.0  # seconds for which it must be quiet before a run
_MEMORY = 2.0  # seconds between two looks at memory: the kernel walks all page tables for one


@dataclass(frozen=True, slots=True)
class Sample:
    """One look.

    Args:
        at: seconds of the monotonic clock.
        made: programs recorded so far.
        tree: what the contender's processes took.
        server: what the server has counted, see `server.Model.stats`.
        machine: CPU seconds of everything on this machine.
    """

    at: float
    made: int
    tree: Taken
    server: Mapping[str, float]
    machine: float


@dataclass(frozen=True, slots=True)
class Course:
    """A whole run.

    Args:
        samples: in order.
        made: programs recorded at the end.
        proportional: bytes of memory at most, shared pages counted once.
        resident: bytes at most, shared pages counted for each process.
        disk: what it left.
        code: its exit status; None if the time was up.
        seconds: from start to end.
        said: the end of what it said.
    """

    samples: tuple[Sample, ...]
    made: int
    proportional: int
    resident: int
    disk: Disk
    code: int | None
    seconds: float
    said: str


@contextlib.contextmanager
def served(setting: Setting) -> Iterator[str]:
    """URL of a server as the setting says, in a process of its own."""
    command = [sys.executable, "-m", "bench.perf.kept_full.server"]
    command += ["--slots", str(setting.slots), "--latency", str(setting.latency), "--busy", str(setting.busy)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        url = process.stdout.readline().strip() if process.stdout else ""
        if not url:
            raise SystemExit("the fake server did not start")
        yield url
    finally:
        process.terminate()
        process.wait()


def settle(cores: float, patience: float) -> float:
    """Wait until this machine does little else; returns how many cores others took at the last look.

    Args:
        cores: below which it is quiet.
        patience: seconds after which it is taken as it is.
    """
    end = time.monotonic() + patience
    while True:
        before, at = _machine(), time.monotonic()
        time.sleep(_QUIET)
        others = (_machine() - before) / (time.monotonic() - at)
        if others < cores or time.monotonic() > end:
            return others


def follow(
    contender: Contender, setting: Setting, programs: int, seconds: float, keep: Path | None = None
) -> Course:
    """Run a contender until it ends, or the time is up.

    Args:
        contender: who.
        setting: the server and the evaluator.
        programs: how many it shall make.
        seconds: after which it is stopped.
        keep: folder for what it leaves; a temporary one by default.
    """
    with contextlib.ExitStack() as stack:
        top = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kept_full_")))
        folder, given, passing = (top / name for name in ("kept", "given", "tmp"))
        for each in (folder, given, passing):
            each.mkdir(parents=True)
        url = stack.enter_context(served(setting))
        launch = contender.launch(Job(folder, given, setting, url, programs))
        out = stack.enter_context((top / "said").open("w+b"))
        environment = {**os.environ, **launch.environment, "TMPDIR": str(passing)}
        process = subprocess.Popen(
            launch.command,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        began = time.monotonic()
        stack.callback(_end, process)
        watch = _Watch(process, url.removesuffix("/v1"), launch.made)
        while process.poll() is None and time.monotonic() - began < seconds:
            watch.look()
            time.sleep(_INTERVAL)
        took = time.monotonic() - began
        code = process.poll()
        _end(process)
        out.seek(0)
        said = out.read()[-4_000:].decode("utf-8", "replace")
        kept, made = disk(folder), watch.made(watch.server())
    return Course(tuple(watch.samples), made, watch.proportional, watch.resident, kept, code, took, said)


class _Watch:
    """Looks at a contender and its server."""

    def __init__(self, process: "subprocess.Popen[bytes]", root: str, made: Callable[[], int] | None) -> None:
        self.samples: list[Sample] = []
        self.proportional = self.resident = 0
        self._process = psutil.Process(process.pid)
        self._stats = f"{root}/stats"
        self._made = made
        self._memory = 0.0

    def server(self) -> dict[str, float]:
        """What the server has counted."""
        with urllib.request.urlopen(self._stats, timeout=30) as answer:
            counted: dict[str, float] = json.load(answer)
        return counted

    def made(self, server: Mapping[str, float]) -> int:
        """Programs that are recorded."""
        return self._made() if self._made else int(server["answered"])

    def look(self) -> None:
        """Take a sample; memory only now and then."""
        server = self.server()
        made = self.made(server)
        now = time.monotonic()
        tree = taken(self._process)
        if not tree.processes:
            return
        self.samples.append(Sample(now, made, tree, server, _machine()))
        if now - self._memory > _MEMORY:
            self._memory = now
            proportional, resident = memory(self._process)
            self.proportional = max(self.proportional, proportional)
            self.resident = max(self.resident, resident)


def _machine() -> float:
    times = psutil.cpu_times()
    # `user` holds the guests' time already.
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a contender and all of its processes, which share its session."""
    members: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        members = psutil.Process(process.pid).children(recursive=True)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
    for member in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
