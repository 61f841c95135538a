"""Closes the jail around this process in one call, between fork and the first byte of a program; Linux only.

The same steps in the same order as `evolve.fastcore.jail` takes through ctypes where this is not compiled. Nothing is
prepared here: limits, ruleset and filter were made once, in the zygote.
"""

from libc.errno cimport errno
from posix.types cimport pid_t
from posix.unistd cimport _exit, close, getppid

cdef extern from "<sys/prctl.h>" nogil:
    int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)

cdef extern from "<sys/resource.h>" nogil:
    ctypedef unsigned long rlim_t
    struct rlimit:
        rlim_t rlim_cur
        rlim_t rlim_max
    int getrlimit(int resource, rlimit *limits)
    int setrlimit(int resource, const rlimit *limits)

cdef extern from "<unistd.h>" nogil:
    long syscall(long number, ...)

cdef extern from "<linux/filter.h>" nogil:
    struct sock_filter:
        pass
    struct sock_fprog:
        unsigned short len
        sock_filter *filter

cdef enum:
    PDEATHSIG = 1
    SET_SECCOMP = 22
    SET_NO_NEW_PRIVS = 38
    MODE_FILTER = 2
    LANDLOCK_RESTRICT_SELF = 446  # the same number on every architecture
    SIGKILL_ = 9
    MOST_LIMITS = 16


cdef int _limit(int *which, rlim_t *caps, int count) noexcept nogil:
    cdef rlimit limits
    cdef int at
    for at in range(count):
        if getrlimit(which[at], &limits) != 0:
            return -1
        if caps[at] < limits.rlim_max:  # RLIM_INFINITY is the greatest number
            limits.rlim_max = caps[at]
        limits.rlim_cur = limits.rlim_max
        if setrlimit(which[at], &limits) != 0:
            return -1
    return 0


# Returns the step that was refused: 1 PDEATHSIG, 2 a limit, 3 no_new_privs, 4 Landlock, 5 seccomp; 0 for none.
cdef int _close(pid_t parent, int ruleset, sock_fprog *program, int *which, rlim_t *caps, int count) noexcept nogil:
    if prctl(PDEATHSIG, SIGKILL_, 0, 0, 0) != 0:
        return 1
    if getppid() != parent:  # it ended before the line above
        _exit(1)
    if _limit(which, caps, count) != 0:
        return 2
    if program == NULL:
        return 0
    if prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return 3
    if ruleset >= 0:
        if syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0) != 0:
            return 4
        close(ruleset)
    if prctl(SET_SECCOMP, MODE_FILTER, <unsigned long> program, 0, 0) != 0:
        return 5
    return 0


def confine(pid_t parent, caps, int ruleset, bytes code):
    """Close the jail; see `evolve.fastcore.jail.Jail.confine`.

    Args:
        parent: process number of the zygote.
        caps: (number of a resource, cap) pairs, at most 16; a lower hard limit stays.
        ruleset: descriptor of a Landlock ruleset, which is closed; -1 for none.
        code: instructions of the system-call filter; empty for none (and no other part but the limits).

    Returns:
        (number of the step that was refused, in the order above; errno), or (0, 0).
    """
    cdef int which[MOST_LIMITS]
    cdef rlim_t values[MOST_LIMITS]
    cdef sock_fprog program
    cdef int count = 0
    cdef int step
    cdef char *raw = code
    if len(caps) > MOST_LIMITS:
        raise ValueError(f"{len(caps)} limits; at most {MOST_LIMITS}")
    for resource, cap in caps:
        which[count] = resource
        values[count] = cap
        count += 1
    program.len = len(code) // 8
    program.filter = <sock_filter *> raw
    with nogil:
        step = _close(parent, ruleset, &program if program.len else NULL, which, values, count)
    return step, errno if step else 0
