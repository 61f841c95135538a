"""Clocks of another process, read from outside it; knows nothing of programs.

A program's own clock cannot be believed: it can patch `time`. The kernel's per-process CPU clock is read by
the supervisor instead, unprivileged. The compiled reader takes both clocks in one call; where no compiler was
present at install time, the same figures come through `time.clock_gettime`.
"""

import contextlib
import os
import time

__all__ = ["COMPILED", "QueueClock", "cpu_and_wall"]


def _portable(pid: int) -> tuple[float, float]:
    # CPUCLOCK_SCHED of a whole process: linux/include/linux/posix-timers_types.h, (~pid << 3) | 2.
    try:
        cpu = time.clock_gettime(((~pid) << 3) | 2)
    except OSError as error:
        raise ProcessLookupError(f"no CPU clock for process {pid}") from error
    return cpu, time.monotonic()


try:
    from evolve.fastcore._clock import cpu_and_wall as _read
except ImportError:
    COMPILED = False
    _read = _portable
else:
    COMPILED = True


def cpu_and_wall(pid: int) -> tuple[float, float]:
    """Return (CPU seconds used by process `pid`, monotonic wall seconds).

    Raises:
        ProcessLookupError: no such process, or it has been reaped.
    """
    pair: tuple[float, float] = _read(pid)
    return pair


class QueueClock:
    """For how long a thread was ready to run, but had no core: the wall time that a busy machine takes.

    The second number of /proc/PID/schedstat (Linux, Documentation/scheduler/sched-stats.rst); of a process it is
    the main thread's. What was waited is added when the thread gets its core.
    """

    def __init__(self, process: int | str) -> None:
        """Open the clock; where the kernel keeps none it stands at 0.

        Args:
            process: its number, or "thread-self" for the thread that makes the clock.
        """
        self._descriptor = -1
        with contextlib.suppress(OSError):
            self._descriptor = os.open(f"/proc/{process}/schedstat", os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> float:
        """Return the seconds waited so far; 0 where the kernel does not say, or the process is gone."""
        if self._descriptor < 0:
            return 0.0
        try:
            fields = os.pread(self._descriptor, 96, 0).split()
        except ProcessLookupError:
            return 0.0
        return 1e-9 * int(fields[1]) if len(fields) == 3 else 0.0

    def close(self) -> None:
        """Close its descriptor; idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
