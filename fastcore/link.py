"""The engine's side of one supervisor: its process, its scrubbed environment, and messages without blocking.

Knows the framing of `multiprocess.connection` and the jobs it has out; decides nothing about them (see
`pool`).
"""

import asyncio
import contextlib
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from evolve.fastcore.supervisor import DROP

__all__ = ["Job", "Supervisor", "import_folders", "scrubbed_environment"]

# An allow-list: keys and tokens of a model's provider have no business in a process beside programs.
_KEPT: Final = frozenset(
    {"PATH", "HOME", "LANG", "LANGUAGE", "TMPDIR", "TZ", "USER", "LOGNAME", "XDG_CACHE_HOME", "VIRTUAL_ENV"}
    | {"CONDA_PREFIX", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"}
)
_KEPT_PREFIXES: Final = ("LC_", "NUMBA_", "OMP_", "OPENBLAS_", "MKL_")
_SHORT: Final = struct.Struct("!i")
_LONG: Final = struct.Struct("!Q")


@dataclass(slots=True, eq=False)
class Job:
    """One payload on its way: pickled once, so that it can be sent again."""

    ticket: int
    payload: bytes
    future: "asyncio.Future[Any]"
    deaths: int = 0


def scrubbed_environment(folders: Sequence[str]) -> dict[str, str]:
    """Return the environment of a supervisor: what is on the allow-list, and PYTHONPATH made of `folders`."""
    kept = {key: value for key, value in os.environ.items() if key in _KEPT or key.startswith(_KEPT_PREFIXES)}
    if folders:
        kept["PYTHONPATH"] = os.pathsep.join(folders)
    return kept


def import_folders(module: str) -> list[str]:
    """Return the entries of our path, beyond site-packages, that hold the top package of `module`."""
    top = module.partition(".")[0]
    tree = str(
        Path(__file__).resolve().parents[2]
    )  # where an `evolve/fastcore` that is not installed would lie
    found: dict[str, None] = {}
    for entry in sys.path:
        folder = Path(entry or ".").resolve()
        if folder.name.endswith("-packages"):  # every interpreter has these by itself
            continue
        if str(folder) == tree or (folder / top).is_dir() or (folder / f"{top}.py").is_file():
            found[str(folder)] = None
    return list(found)


@dataclass(eq=False)
class Supervisor(asyncio.Protocol):
    """One supervisor process; calls `on_message(self, message)` and, once, `on_lost(self)`."""

    folders: Sequence[str]
    on_message: "Callable[[Supervisor, Any], None]"
    on_lost: "Callable[[Supervisor], None]"
    out: dict[int, Job] = field(default_factory=dict)
    suspects: deque[Job] = field(default_factory=deque)
    since: float = 0.0
    ready: bool = False
    stuck: bool = False
    lost: bool = False
    cpu_seconds: float = 0.0
    pid: int = 0
    _link: socket.socket | None = field(default=None, init=False)
    _transport: asyncio.Transport | None = field(default=None, init=False)

    async def start(self, greeting: bytes) -> None:
        """Execute the process and send it its first message.

        From the loop's own thread: the kernel kills a supervisor with the thread that started it.
        """
        ours, theirs = socket.socketpair()
        self._link = ours
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "evolve.fastcore.supervisor",
                    str(theirs.fileno()),
                    str(os.getpid()),
                ],
                env=scrubbed_environment(self.folders),
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C is the engine's to handle
            )
        self.pid = self._process.pid
        self._buffer = bytearray()
        self._loop = asyncio.get_running_loop()
        self._transport, _ = await self._loop.create_connection(lambda: self, sock=ours)
        self._send(greeting)

    def give(self, jobs: Sequence[Job]) -> None:
        """Send jobs, in one message."""
        if not self.out:
            self.since = self._loop.time()
        for job in jobs:
            self.out[job.ticket] = job
        self._send(pickle.dumps([(job.ticket, job.payload) for job in jobs], 5))

    def drop(self) -> None:
        """Say that nobody waits for what was given; each job is answered all the same, most of them unjudged."""
        if self.out:
            self._send(pickle.dumps(DROP, 5))

    def _send(self, body: bytes) -> None:
        head = _SHORT.pack(len(body)) if len(body) < 1 << 31 else _SHORT.pack(-1) + _LONG.pack(len(body))
        assert self._transport is not None
        self._transport.write(head + body)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the loop; hand whole messages on."""
        self._buffer += data
        while (body := self._cut()) is not None:
            self.since = self._loop.time()
            self.on_message(self, pickle.loads(body))  # noqa: S301 - from our own supervisor

    def _cut(self) -> bytes | None:
        buffer, head = self._buffer, _SHORT.size
        if len(buffer) < head:
            return None
        size = _SHORT.unpack_from(buffer)[0]
        if size == -1:
            if len(buffer) < head + _LONG.size:
                return None
            size = _LONG.unpack_from(buffer, head)[0]
            head += _LONG.size
        if len(buffer) < head + size:
            return None
        body = bytes(buffer[head : head + size])
        del buffer[: head + size]
        return body

    def connection_lost(self, _error: Exception | None) -> None:
        """Reap the process when its link has ended, by its death or ours."""
        if not self.lost:
            self.reap(0.0)
            self.on_lost(self)

    def kill(self) -> None:
        """Kill the process; the end of the link follows."""
        self._process.kill()

    def hang_up(self) -> None:
        """End the link at once; the process closes its judge and ends."""
        if self._link is None:
            return
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        if self._transport is None:  # it could not be started, or Ctrl-C came in between
            self._link.close()
        else:
            self._transport.abort()

    def reap(self, patience: float) -> None:
        """Wait up to `patience` seconds for the end of the process, then kill it; keep the CPU it used."""
        if self.lost or not self.pid:
            return
        self.lost = True
        deadline = time.monotonic() + patience
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        while not pid:
            if time.monotonic() >= deadline:
                os.kill(self.pid, signal.SIGKILL)
                pid, status, usage = os.wait4(self.pid, 0)
            else:
                time.sleep(0.002)
                pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu_seconds = usage.ru_utime + usage.ru_stime

    def cpu_now(self) -> float:
        """Return the CPU seconds of the process, its zygote and all programs so far (to 0.01 s each)."""
        return self.cpu_seconds if self.lost or not self.pid else _session_cpu(self.pid)


def _session_cpu(session: int) -> float:
    """Add up the processes of one session, with the children that each has reaped."""
    ticks = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        if (
            int(fields[3]) == session
        ):  # proc_pid_stat(5): session is field 6, the four times are fields 14 to 17
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")
