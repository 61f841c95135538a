"""Clocks of another process, read from outside it; knows nothing of programs.

A program's own clock cannot be believed: it can patch `time`. The kernel's per-process CPU clock is read by
the supervisor instead, unprivileged. The compiled reader takes both clocks in one call; where no compiler was
present at install time, the same figures come through `time.clock_gettime`.
"""

import time

__all__ = ["COMPILED", "cpu_and_wall"]


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
