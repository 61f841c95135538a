"""Closes the jail around this process in one call, between fork and the first byte of a program; Linux only.

The same steps in the same order as `evolve.fastcore.jail` takes through ctypes where this is not compiled. Nothing is
prepared here: limits, ruleset and filter were made before, and no memory is asked for once the first step is taken.
"""

from libc.errno cimport errno
from libc.signal cimport SIGKILL
from posix.resource cimport getrlimit, rlim_t, rlimit, setrlimit
from posix.types cimport pid_t
from posix.unistd cimport _exit, close, getppid

cdef extern from "<sys/prctl.h>" nogil:
    int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)

cdef extern from "<unistd.h>" nogil:
    long syscall(long number, ...)

cdef extern from "<linux/filter.h>" nogil:
    struct sock_filter:
        pass
    struct sock_fprog:
        unsigned short len
        sock_filter *filter

cdef enum:
    SET_PDEATHSIG = 1
    SET_SECCOMP = 22
    SET_NO_NEW_PRIVS = 38
    MODE_FILTER = 2
    LANDLOCK_RESTRICT_SELF = 446  # the same number on every architecture
    MOST_LIMITS = 16
    # What `jail._STEPS` names; a limit that was refused is its own place among the limits.
    PDEATHSIG = -1
    NO_NEW_PRIVS = -2
    LANDLOCK = -3
    SECCOMP = -4
    CLOSED = -5


cdef struct Jail:
    pid_t parent
    int ruleset
    sock_fprog program
    int count
    int which[MOST_LIMITS]
    rlim_t caps[MOST_LIMITS]


cdef int _limit(int which, rlim_t cap) noexcept nogil:
    cdef rlimit limits
    if getrlimit(which, &limits) != 0:
        return -1
    if cap < limits.rlim_max:  # RLIM_INFINITY is the greatest number
        limits.rlim_max = cap
    limits.rlim_cur = limits.rlim_max
    return setrlimit(which, &limits)


cdef int _close(Jail *jail) noexcept nogil:
    cdef int at
    if prctl(SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0:
        return PDEATHSIG
    if getppid() != jail.parent:  # it ended before the line above
        _exit(1)
    for at in range(jail.count):
        if _limit(jail.which[at], jail.caps[at]) != 0:
            return at
    if jail.program.len == 0:
        return CLOSED
    if prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return NO_NEW_PRIVS
    if syscall(LANDLOCK_RESTRICT_SELF, jail.ruleset, 0) != 0:
        return LANDLOCK
    close(jail.ruleset)
    if prctl(SET_SECCOMP, MODE_FILTER, <unsigned long> &jail.program, 0, 0) != 0:
        return SECCOMP
    return CLOSED


def confine(pid_t parent, caps, int ruleset, bytes code):
    """Close the jail; see `evolve.fastcore.jail.Jail.confine`.

    Args:
        parent: process number of the zygote.
        caps: (number of a resource, cap) pairs, at most 16; a lower hard limit stays.
        ruleset: descriptor of a Landlock ruleset, which is closed.
        code: instructions of the system-call filter; empty to set the limits and nothing else.

    Returns:
        The step that was refused: the place of a limit in `caps`, or the negative number of another step; -5 where none
        was. And its errno.

    Raises:
        ValueError: more than 16 limits.
    """
    cdef Jail jail
    cdef int step
    cdef int number
    cdef char *raw = code
    if len(caps) > MOST_LIMITS:
        raise ValueError(f"{len(caps)} limits; at most {MOST_LIMITS}")
    jail.parent = parent
    jail.ruleset = ruleset
    jail.program.len = <unsigned short> (len(code) // 8)
    jail.program.filter = <sock_filter *> raw
    jail.count = 0
    for which, cap in caps:
        jail.which[jail.count] = which
        jail.caps[jail.count] = cap
        jail.count += 1
    with nogil:
        step = _close(&jail)
        number = errno
    return step, number
