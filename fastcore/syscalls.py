"""The seccomp allow-list of a jailed program, as a BPF program in bytes; for x86-64 and aarch64.

Knows numbers and bits; makes no system call itself (see `jail`). Whatever is not listed answers EPERM, what
libraries probe for answers ENOSYS so that they fall back, and a foreign ABI (x32, int 0x80) is killed.

A filter sees each argument as 64 bits, and the rules compare the lower 32. That is enough where the kernel takes an int
(descriptors, commands, open's flags, advice, pid) or only its lower half (clone's flags), and where single bits are
forbidden that all lie there (flags of mmap); of a pointer that must be null, both halves are compared.
"""

import errno
import functools
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

__all__ = ["ARCHES", "filter_program"]

# From the kernel's headers bpf_common, seccomp and audit.
_LOAD, _JEQ, _JGE, _JSET, _AND, _RET = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ERRNO = 0x00050000
_NUMBER, _ARCH, _ARGS = 0, 4, 16
_X32_BIT = 0x40000000
Target = int | str
Code = list[tuple[int, int, Target, Target]]
"""Operation, operand, and where to go on if it holds and if not: a place in the code, or a rule's or answer's name."""


class _Call(NamedTuple):
    x86_64: int | None
    aarch64: int | None
    rule: str = "allow"


ARCHES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# Files are opened for reading only (and Landlock says which); sockets, pipes, signals to others, processes,
# timers, limits, priorities, memory locks and anything that outlives the process are simply absent. Left, because
# imports need it and no rule can look at a path: whether a path exists, its size, dates and link target (stat, access,
# readlink; Landlock does not cover them either).
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
    "mmap": _Call(9, 222, "mmap"),
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
    "sigaltstack": _Call(131, 132),
    "prctl": _Call(157, 167, "prctl"),
    "gettid": _Call(186, 178),
    "time": _Call(201, None),
    "futex": _Call(202, 98, "futex"),
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
    "prlimit64": _Call(302, 261, "prlimit"),
    "getcpu": _Call(309, 168),
    "getrandom": _Call(318, 278),
    "membarrier": _Call(324, 283, "ENOSYS"),
    "statx": _Call(332, 291),
    "rseq": _Call(334, 293),
    "clone3": _Call(435, 435, "ENOSYS"),
    "close_range": _Call(436, 436, "close_range"),
    "openat2": _Call(437, 437, "ENOSYS"),
    "faccessat2": _Call(439, 439),
}

# O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_ASYNC | O_PATH | __O_TMPFILE: the same bits on both architectures. O_ASYNC
# would signal a stranger, and Landlock does not look at O_PATH.
_OPEN_DENIED = 0o3 | 0o100 | 0o1000 | 0o20000 | 0o10000000 | 0o20000000
# MAP_LOCKED, and MAP_HUGETLB: the pool of huge pages belongs to the whole machine.
_MMAP_DENIED = 0x2000 | 0x40000
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5450, 0x5451)  # TCGETS TIOCGWINSZ FIONREAD FIONCLEX FIOCLEX
_FCNTLS = (1, 2, 3, 1030)  # GETFD SETFD GETFL DUPFD_CLOEXEC: F_SETOWN + F_SETSIG would signal a stranger
_PRCTLS = (3, 15, 16)  # GET_DUMPABLE SET_NAME GET_NAME; PDEATHSIG must stay as it is
_CHANNEL = 3
# NORMAL RANDOM SEQUENTIAL WILLNEED DONTNEED FREE HUGEPAGE NOHUGEPAGE, and GUARD_INSTALL GUARD_REMOVE (stacks of
# threads, glibc 2.42). Not REMOVE (holes in shared memory), MERGEABLE (pages shared with strangers), HWPOISON, PAGEOUT.
_ADVICE = (0, 1, 2, 3, 4, 8, 14, 15, 102, 103)
# WAIT WAKE REQUEUE CMP_REQUEUE WAKE_OP WAIT_BITSET WAKE_BITSET. Not those with priority inheritance: FUTEX_LOCK_PI on a
# word that holds a stranger's thread number lends that thread our priority, and asks nobody.
_FUTEXES = (0, 1, 3, 4, 5, 9, 10)
_FUTEX_COMMAND = 0x7F
_CLOSE_RANGE_UNSHARE = 2
# Just what pthread_create asks for (glibc; musl adds CLONE_DETACHED): VM FS FILES SIGHAND THREAD SYSVSEM SETTLS
# PARENT_SETTID CHILD_CLEARTID. A thread with descriptors of its own (no CLONE_FILES) would escape RLIMIT_NOFILE.
_CLONES = (0x3D0F00, 0x7D0F00)


def filter_program(machine: str, threads: bool) -> bytes:
    """Return the BPF program (8 bytes an instruction) for `machine`, a key of `ARCHES`.

    Args:
        machine: "x86_64" or "aarch64".
        threads: allow `clone` for a new thread, as a C library asks for it.
    """
    calls = {getattr(call, machine): call.rule for call in _CALLS.values()}
    if not threads:
        calls = {number: "EPERM" if rule == "thread" else rule for number, rule in calls.items()}
    code: Code = [_load(_ARCH), (_JEQ, ARCHES[machine], 2, "kill"), _load(_NUMBER)]
    if machine == "x86_64":
        code.append((_JGE, _X32_BIT, "kill", 4))
    _search(code, _edges({number: rule for number, rule in calls.items() if number is not None}, "EPERM"))
    places: dict[str, int] = {}
    for name in sorted(set(calls.values()) & _RULES.keys()):
        places[name] = len(code)
        _RULES[name](code)
    for name in sorted(
        {target for step in code for target in step[2:] if type(target) is str} - places.keys()
    ):
        places[name] = len(code)
        code.append((_RET, _ANSWERS.get(name) or _ERRNO | getattr(errno, name), 0, 0))
    return b"".join(_packed(at, step, places) for at, step in enumerate(code))


def _packed(at: int, step: tuple[int, int, Target, Target], places: dict[str, int]) -> bytes:
    operation, operand, *targets = step
    yes, no = (places[target] if isinstance(target, str) else target for target in targets)
    if operation not in {_JEQ, _JGE, _JSET}:
        return struct.pack("=HBBI", operation, 0, 0, operand)
    return struct.pack("=HBBI", operation, yes - at - 1, no - at - 1, operand)


def _load(offset: int) -> tuple[int, int, int, int]:
    return (_LOAD, offset, 0, 0)


def _argument(number: int, high: bool = False) -> tuple[int, int, int, int]:
    return _load(_ARGS + 8 * number + 4 * high)  # both architectures are little-endian here


def _edges(labels: dict[int, str], rest: str) -> list[tuple[int, str]]:
    """Return (first number, label) of each range of numbers with one label, from 0 up."""
    edges = [(0, rest)]
    for number in sorted(labels):
        if edges[-1][0] == number:
            edges.pop()
        edges += [(number, labels[number]), (number + 1, rest)]
    return [edge for at, edge in enumerate(edges) if at == 0 or edges[at - 1][1] != edge[1]]


def _search(code: Code, edges: list[tuple[int, str]]) -> Target:
    """Append the search for the range that the number at hand lies in, and return where it begins.

    Each program pays for this code: 0.2 us an instruction for its translation, and the kernel walks it for every
    number there is, to fill its cache of constant answers. So it is a balanced tree, and its leaves are shared.
    """
    if len(edges) == 1:
        return edges[0][1]
    at = len(code)
    middle = len(edges) // 2
    code.append((_JGE, edges[middle][0], 0, 0))
    no = _search(code, edges[:middle])
    yes = _search(code, edges[middle:])
    code[at] = (_JGE, edges[middle][0], yes, no)
    return at


def _one_of(code: Code, argument: int, values: tuple[int, ...], error: str, mask: int = 0) -> None:
    code.append(_argument(argument))
    if mask:
        code.append((_AND, mask, 0, 0))
    _search(code, _edges(dict.fromkeys(values, "allow"), error))


def _without(code: Code, argument: int, mask: int, error: str) -> None:
    code += [_argument(argument), (_JSET, mask, error, "allow")]


def _own_limits(code: Code) -> None:
    """Only to read one's own: pid 0, and no new value (both halves of the pointer)."""
    for load in (_argument(0), _argument(2), _argument(2, high=True)):
        code += [load, (_JEQ, 0, len(code) + 2, "EPERM")]
    code[-1] = (_JEQ, 0, "allow", "EPERM")


_ANSWERS: Final = {"allow": 0x7FFF0000, "kill": 0x80000000}
_RULES: Final[dict[str, Callable[[Code], None]]] = {
    "open": functools.partial(_without, argument=1, mask=_OPEN_DENIED, error="EACCES"),
    "openat": functools.partial(_without, argument=2, mask=_OPEN_DENIED, error="EACCES"),
    "ioctl": functools.partial(_one_of, argument=1, values=_IOCTLS, error="ENOTTY"),
    "fcntl": functools.partial(_one_of, argument=1, values=_FCNTLS, error="EPERM"),
    "channel": functools.partial(_one_of, argument=0, values=(_CHANNEL,), error="EPERM"),
    "mmap": functools.partial(_without, argument=3, mask=_MMAP_DENIED, error="EPERM"),
    "madvise": functools.partial(_one_of, argument=2, values=_ADVICE, error="EINVAL"),
    "futex": functools.partial(_one_of, argument=1, values=_FUTEXES, error="ENOSYS", mask=_FUTEX_COMMAND),
    "close_range": functools.partial(_without, argument=2, mask=_CLOSE_RANGE_UNSHARE, error="EPERM"),
    "prctl": functools.partial(_one_of, argument=0, values=_PRCTLS, error="EPERM"),
    "prlimit": _own_limits,
    "thread": functools.partial(_one_of, argument=0, values=_CLONES, error="EPERM"),
}
