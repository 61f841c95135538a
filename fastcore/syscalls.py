"""The seccomp allow-list of a jailed program, as a BPF program in bytes; for x86-64 and aarch64.

Knows numbers and bits; makes no system call itself (see `jail`). Whatever is not listed answers EPERM, what
libraries probe for answers ENOSYS so that they fall back, and a foreign ABI (x32, int 0x80) is killed.
"""

import errno
import struct
from typing import Final, NamedTuple

__all__ = ["ARCHES", "filter_program"]

# From the kernel's headers bpf_common, seccomp and audit.
_LOAD, _JEQ, _JGE, _JSET, _JA, _RET = 0x20, 0x15, 0x35, 0x45, 0x05, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_NUMBER, _ARCH, _ARGS = 0, 4, 16
_X32_BIT = 0x40000000

Code = list[tuple[int, int, int, int]]


class _Call(NamedTuple):
    x86_64: int | None
    aarch64: int | None
    rule: str = "allow"


ARCHES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# Files are opened for reading only (and Landlock says which); sockets, pipes, signals to others, processes,
# timers, limits, priorities, memory locks and anything that outlives the process are simply absent.
_CALLS: Final = {
    "read": _Call(0, 63),
    "write": _Call(1, 64),
    "open": _Call(2, None, "open"),
    "close": _Call(3, 57),
    "stat": _Call(4, None),
    "fstat": _Call(5, 80),
    "lstat": _Call(6, None),
    "poll": _Call(7, None),
    "lseek": _Call(8, 62),
    "mmap": _Call(9, 222),
    "mprotect": _Call(10, 226),
    "munmap": _Call(11, 215),
    "brk": _Call(12, 214),
    "rt_sigaction": _Call(13, 134),
    "rt_sigprocmask": _Call(14, 135),
    "rt_sigreturn": _Call(15, 139),
    "ioctl": _Call(16, 29, "ioctl"),
    "pread64": _Call(17, 67),
    "readv": _Call(19, 65),
    "writev": _Call(20, 66),
    "access": _Call(21, None),
    "select": _Call(23, None),
    "sched_yield": _Call(24, 124),
    "mremap": _Call(25, 216),
    "madvise": _Call(28, 233, "madvise"),
    "dup": _Call(32, 23),
    "dup2": _Call(33, None),
    "nanosleep": _Call(35, 101),
    "getpid": _Call(39, 172),
    "recvmsg": _Call(47, 212, "channel"),
    "clone": _Call(56, 220, "thread"),
    "exit": _Call(60, 93),
    "uname": _Call(63, 160),
    "fcntl": _Call(72, 25, "fcntl"),
    "getcwd": _Call(79, 17),
    "readlink": _Call(89, None),
    "gettimeofday": _Call(96, 169),
    "getrlimit": _Call(97, 163),
    "getrusage": _Call(98, 165),
    "sysinfo": _Call(99, 179),
    "times": _Call(100, 153),
    "getuid": _Call(102, 174),
    "getgid": _Call(104, 176),
    "geteuid": _Call(107, 175),
    "getegid": _Call(108, 177),
    "getppid": _Call(110, 173),
    "getpgrp": _Call(111, None),
    "getgroups": _Call(115, 158),
    "sigaltstack": _Call(131, 132),
    "prctl": _Call(157, 167, "prctl"),
    "gettid": _Call(186, 178),
    "time": _Call(201, None),
    "futex": _Call(202, 98),
    "sched_getaffinity": _Call(204, 123),
    "getdents64": _Call(217, 61),
    "set_tid_address": _Call(218, 96),
    "restart_syscall": _Call(219, 128),
    "clock_gettime": _Call(228, 113),
    "clock_getres": _Call(229, 114),
    "clock_nanosleep": _Call(230, 115),
    "exit_group": _Call(231, 94),
    "openat": _Call(257, 56, "openat"),
    "newfstatat": _Call(262, 79),
    "readlinkat": _Call(267, 78),
    "faccessat": _Call(269, 48),
    "pselect6": _Call(270, 72),
    "ppoll": _Call(271, 73),
    "set_robust_list": _Call(273, 99),
    "dup3": _Call(292, 24),
    "prlimit64": _Call(302, 261, "prlimit"),
    "getcpu": _Call(309, 168),
    "getrandom": _Call(318, 278),
    "membarrier": _Call(324, 283, "absent"),
    "statx": _Call(332, 291),
    "rseq": _Call(334, 293),
    "clone3": _Call(435, 435, "absent"),
    "close_range": _Call(436, 436, "close_range"),
    "openat2": _Call(437, 437, "absent"),
    "faccessat2": _Call(439, 439),
}

# O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_ASYNC | __O_TMPFILE: the same bits on both architectures.
_OPEN_DENIED = 0o3 | 0o100 | 0o1000 | 0o20000 | 0o20000000
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5450, 0x5451)  # TCGETS TIOCGWINSZ FIONREAD FIONCLEX FIOCLEX
_FCNTLS = (1, 2, 3, 1030)  # GETFD SETFD GETFL DUPFD_CLOEXEC: F_SETOWN + F_SETSIG would signal a stranger
_PRCTLS = (3, 15, 16, 0x53564D41)  # GET_DUMPABLE SET_NAME GET_NAME SET_VMA; PDEATHSIG must stay as it is
_CHANNEL = 3
_MADVISES = (
    9,
    100,
    101,
)  # REMOVE punches holes into shared memory; HWPOISON and SOFT_OFFLINE take pages away
_CLOSE_RANGE_UNSHARE = 2
_CLONE_THREAD = 0x10000
_CLONE_SPACES = 0x7E020000 | 0x80  # every CLONE_NEW*


def filter_program(machine: str, threads: bool) -> bytes:
    """Return the BPF program (8 bytes an instruction) for `machine`, a key of `ARCHES`.

    Args:
        machine: "x86_64" or "aarch64".
        threads: allow `clone` with CLONE_THREAD and without new namespaces.
    """
    rules = _rules(threads)
    edges: list[tuple[int, str]] = [(0, "deny")]
    numbers = {call.x86_64 if machine == "x86_64" else call.aarch64: call.rule for call in _CALLS.values()}
    for number in sorted(number for number in numbers if number is not None):
        if edges[-1][0] == number:
            edges.pop()
        edges += [(number, numbers[number]), (number + 1, "deny")]
    merged = [edge for at, edge in enumerate(edges) if at == 0 or edges[at - 1][1] != edge[1]]
    tree = _tree([(start, rules[rule]) for start, rule in merged])
    code: Code = [(_LOAD, 0, 0, _ARCH), (_JEQ, 1, 0, ARCHES[machine]), _ret(_KILL), (_LOAD, 0, 0, _NUMBER)]
    if machine == "x86_64":
        code += [(_JGE, 0, 1, _X32_BIT), _ret(_KILL)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code + tree)


def _ret(action: int) -> tuple[int, int, int, int]:
    return (_RET, 0, 0, action)


def _errno(number: int) -> tuple[int, int, int, int]:
    return _ret(0x00050000 | number)


def _load(argument: int, high: bool = False) -> tuple[int, int, int, int]:
    return (_LOAD, 0, 0, _ARGS + 8 * argument + 4 * high)  # both architectures are little-endian here


def _tree(edges: list[tuple[int, Code]]) -> Code:
    # Balanced: the kernel runs the filter for every number when it is installed, to fill its cache of
    # constant answers, so a chain of 80 comparisons would be paid 450 times a program.
    if len(edges) == 1:
        return edges[0][1]
    middle = len(edges) // 2
    left, right = _tree(edges[:middle]), _tree(edges[middle:])
    if len(left) < 256:
        return [(_JGE, len(left), 0, edges[middle][0]), *left, *right]
    return [(_JGE, 0, 1, edges[middle][0]), (_JA, 0, 0, len(left)), *left, *right]


def _one_of(argument: int, values: tuple[int, ...], error: int) -> Code:
    tests = [(_JEQ, len(values) - at, 0, value) for at, value in enumerate(values)]
    return [_load(argument), *tests, _errno(error), _ret(_ALLOW)]


def _none_of(argument: int, values: tuple[int, ...], error: int) -> Code:
    tests = [(_JEQ, len(values) - at, 0, value) for at, value in enumerate(values)]
    return [_load(argument), *tests, _ret(_ALLOW), _errno(error)]


def _without(argument: int, mask: int, error: int) -> Code:
    return [_load(argument), (_JSET, 0, 1, mask), _errno(error), _ret(_ALLOW)]


def _rules(threads: bool) -> dict[str, Code]:
    thread: Code = [
        _load(0),
        (_JSET, 0, 1, _CLONE_THREAD),
        (_JSET, 0, 1, _CLONE_SPACES),
        _errno(errno.EPERM),
        _ret(_ALLOW),
    ]
    prlimit: Code = [  # only to read one's own limits: pid 0, no new value (both halves of the pointer)
        _load(0),
        (_JEQ, 0, 5, 0),
        _load(2),
        (_JEQ, 0, 3, 0),
        _load(2, high=True),
        (_JEQ, 0, 1, 0),
        _ret(_ALLOW),
        _errno(errno.EPERM),
    ]
    return {
        "allow": [_ret(_ALLOW)],
        "deny": [_errno(errno.EPERM)],
        "absent": [_errno(errno.ENOSYS)],
        "open": _without(1, _OPEN_DENIED, errno.EACCES),
        "openat": _without(2, _OPEN_DENIED, errno.EACCES),
        "ioctl": _one_of(1, _IOCTLS, errno.ENOTTY),
        "fcntl": _one_of(1, _FCNTLS, errno.EPERM),
        "channel": _one_of(0, (_CHANNEL,), errno.EPERM),
        "madvise": _none_of(2, _MADVISES, errno.EPERM),
        "close_range": _without(2, _CLOSE_RANGE_UNSHARE, errno.EPERM),
        "prctl": _one_of(0, _PRCTLS, errno.EPERM),
        "prlimit": prlimit,
        "thread": thread if threads else [_errno(errno.EPERM)],
    }
