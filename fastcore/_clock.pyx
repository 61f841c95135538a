"""Clocks of this and of another process, read from outside, in one call and without the GIL."""

from posix.time cimport CLOCK_MONOTONIC, clock_gettime, clockid_t, timespec

cdef extern from "<time.h>" nogil:
    int clock_getcpuclockid(int pid, clockid_t *clock_id)


cdef inline double _seconds(timespec *t) noexcept nogil:
    return <double> t.tv_sec + 1e-9 * <double> t.tv_nsec


def cpu_and_wall(int pid):
    """Return (CPU seconds of process `pid`, monotonic wall seconds); see `evolve.fastcore.clock`."""
    cdef clockid_t clock_id
    cdef timespec cpu
    cdef timespec wall
    cdef int error
    with nogil:
        error = clock_getcpuclockid(pid, &clock_id)
        if error == 0:
            error = clock_gettime(clock_id, &cpu)
        clock_gettime(CLOCK_MONOTONIC, &wall)
    if error != 0:
        raise ProcessLookupError(f"no CPU clock for process {pid}")
    return _seconds(&cpu), _seconds(&wall)
