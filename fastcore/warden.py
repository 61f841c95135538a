"""The supervisor's side of one zygote: start it, have it fork and reap a child, notice when it is dead.

Knows descriptors and the two commands of `zygote`; knows no program and no limit.
"""

import importlib.util
import json
import os
import socket
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from evolve.fastcore.layout import fixed_layout
from evolve.fastcore.zygote import END, FORK, FORKED, STATUS

__all__ = ["Reaped", "Warden", "ZygoteDeadError", "ZygoteError"]

_PATIENCE: Final = 10.0
_START_PATIENCE: Final = 300.0
# Nothing else is in a zygote's environment. A fixed hash seed, so that sets iterate alike in every zygote.
_ENVIRONMENT: Final = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC0",
    "PYTHONHASHSEED": "0",
    "LD_BIND_NOW": "1",  # once here, not in every child, each in pages of its own
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",  # a thread that waits by spinning is billed: six times the CPU of a small training
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "NUMBA_THREADING_LAYER": "workqueue",
    # glibc gives freed memory back to the kernel, and takes it again page by page, by a threshold that the largest
    # array so far sets: a program that first makes a large array for nothing was twice as fast. Never give back.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),  # the largest that every glibc takes
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
}


class ZygoteError(RuntimeError):
    """The zygote could not be started: a preloaded module fails, or this machine cannot confine."""


class ZygoteDeadError(Exception):
    """The zygote ended, or no longer answers; another one is needed."""


class Reaped(NamedTuple):
    """How a child ended: wait status, CPU seconds, greatest resident bytes (the zygote's share included)."""

    status: int
    cpu_seconds: float
    memory: int


class Warden:
    """One zygote. Start it from a thread that lives as long as it: the kernel kills it with that thread."""

    def __init__(
        self,
        preload: tuple[str, ...],
        unsafe: bool,
        landlock: int | None = None,
        compiled: bool | None = None,
    ) -> None:
        """Start a zygote and wait until it is warm; see `Runner` for the arguments.

        Raises:
            ZygoteError: it did not get ready, with its own words.
        """
        how = {"unsafe": unsafe, "landlock": landlock, "compiled": compiled}
        settings = json.dumps({"path": _folders(preload), "preload": list(preload), **how})
        script = Path(__file__).with_name("zygote.py")
        # Like -I, without -E: the environment is ours, and -E would ignore the hash seed. -S: no .pth file
        # runs.
        flags = ["-s", "-S", "-P", "-B"]
        ours, theirs = socket.socketpair()
        self._socket = ours
        with theirs, fixed_layout():
            self._process = subprocess.Popen(  # noqa: S603 - our own script
                [sys.executable, *flags, str(script), str(theirs.fileno()), str(os.getpid()), settings],
                env=_ENVIRONMENT,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        self.pid = self._process.pid
        ours.settimeout(_START_PATIENCE)
        try:
            size = struct.unpack("<Q", self._receive(8))[0]
            what, text = json.loads(self._receive(size))
        except ZygoteDeadError:
            what, text = "error", f"it ended with status {self._process.poll()} before it was ready"
        if what == "error":
            self.close()
            raise ZygoteError(f"the zygote could not be started (preload={preload!r}):\n{text}")
        ours.settimeout(_PATIENCE)
        self.level: str = text

    def fork(self, descriptors: Sequence[int]) -> int:
        """Fork a child with `Exchange.for_child` and return its process number.

        Raises:
            ZygoteDeadError: the zygote is dead.
        """
        try:
            socket.send_fds(self._socket, [FORK], list(descriptors))
        except OSError as error:
            raise ZygoteDeadError from error
        pid: int = FORKED.unpack(self._receive(FORKED.size))[0]
        return pid

    def end(self) -> Reaped:
        """Kill the child if it lives, reap it, and say how it ended.

        Raises:
            ZygoteDeadError: the zygote is dead, and by PDEATHSIG its child too.
        """
        try:
            self._socket.sendall(END)
        except OSError as error:
            raise ZygoteDeadError from error
        status, user, system, memory = STATUS.unpack(self._receive(STATUS.size))
        return Reaped(status, user + system, memory)

    def close(self) -> None:
        """Kill the zygote, and with it its child; idempotent."""
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                got = self._socket.recv(size - len(data))
            except OSError as error:  # a time-out among them
                raise ZygoteDeadError from error
            if not got:
                raise ZygoteDeadError
            data += got
        return data


def _folders(preload: tuple[str, ...]) -> list[str]:
    """Return the folders, beyond the standard library, from which numpy and the preloaded modules are
    imported.

    Raises:
        ZygoteError: there is no such module.
    """
    standard = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    found: dict[str, None] = {}
    for top in dict.fromkeys(name.partition(".")[0] for name in ("numpy", "numba", *preload)):
        spec = None if top == "evolve" else importlib.util.find_spec(top)
        if spec is None and top in {name.partition(".")[0] for name in preload} - {"evolve"}:
            raise ZygoteError(f"preload: no module named {top!r} on this path; install it or mend the name")
        places = [] if spec is None else spec.submodule_search_locations or [spec.origin or ""]
        for place in places:
            folder = str(Path(place).parent)
            if place.startswith("/") and folder not in standard:
                found[folder] = None
    return list(found)
