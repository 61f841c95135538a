"""Stands between a supervisor and one server, so that no process of the server outlives either of them.

    python -I -S guard.py COMMAND ...

Standard input is a pipe that the supervisor holds and never writes to: its end is the supervisor's, however it came.
SIGTERM is passed on to the server. Orphans of the server become this process's children, also those that left its
group, and are ended when the server is. Stands alone: imports nothing of ours.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

__all__ = ["main"]

_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_GRACE = 3.0


def _follow_in_death() -> None:
    ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGKILL)


def _offspring(pid: int) -> list[int]:
    """All processes below `pid` that are not zombies."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - a glob would look at each entry again
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{name}/stat", "rb") as file:
            state, parent = file.read().rpartition(b")")[2].split()[:2]
            if state != b"Z":
                children.setdefault(int(parent), []).append(int(name))
    found, rest = [], [pid]
    while rest:
        below = children.get(rest.pop(), [])
        found += below
        rest += below
    return found


def _is_tracker(pid: int) -> bool:
    """Whether it is Python's own cleaner of shared memory, which does its work when all others are gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"resource_tracker" in file.read()
    except OSError:
        return False


def _sweep() -> None:
    """End all offspring: the cleaner of shared memory last, and by force only if it does not go by itself."""
    limit = time.monotonic() + _GRACE
    while left := _offspring(os.getpid()):
        late = time.monotonic() > limit
        for pid in left:
            if late or not _is_tracker(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        time.sleep(0.02)


def main(words: list[str]) -> int:
    """Run the command until it ends, or the supervisor does.

    Returns:
        The command's exit code, 128 and more if it was a signal.
    """
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1)
    asked = False

    def stop(*_: object) -> None:
        nonlocal asked
        asked = True
        with contextlib.suppress(NameError, ProcessLookupError):
            server.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        # One thread only, so running Python between fork and exec is safe.
        server = subprocess.Popen(words, stdin=subprocess.DEVNULL, preexec_fn=_follow_in_death)  # noqa: PLW1509, S603
    except OSError as error:
        sys.stderr.write(f"{words[0]}: {error.strerror}\n")
        return 127
    if asked:
        server.terminate()
    ended = os.pidfd_open(server.pid)
    ready, _, _ = select.select([0, ended], [], [])
    if ended not in ready:
        server.kill()
    code = server.wait()
    _sweep()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
