"""What closes around a program before its first byte runs: rlimits, no_new_privs, Landlock, seccomp.

Knows this kernel and its system calls, through ctypes; knows no program. The zygote prepares what can be
shared (`Jail`, `restrict_files`); the forked child calls `Jail.confine`, and must not go on when that raises.
"""

import ctypes
import errno
import os
import platform
import resource
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from evolve.fastcore.limits import Limits
from evolve.fastcore.syscalls import ARCHES, filter_program

__all__ = ["Jail", "JailError", "describe", "die_with_parent", "level", "prepare_zygote", "restrict_files"]

_LINUX = sys.platform == "linux"
_MACHINE = {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine())
_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_GET_SECCOMP, _PR_SET_SECCOMP = 1, 4, 21, 22
_PR_SET_NO_NEW_PRIVS, _PR_GET_NO_NEW_PRIVS = 38, 39
_SECCOMP_MODE_FILTER = 2
# The same numbers on every architecture; capset is 126 on x86-64 and 91 on aarch64.
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# Rights that each Landlock ABI knows: all of them are handled, that is, denied unless granted.
_FS_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}


class JailError(RuntimeError):
    """This machine cannot confine a program, or refused to."""


class _SockFprog(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def _prctl(what: str, option: int, *values: int) -> int:
    padded = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    answer: int = _libc.prctl(option, *padded)
    if answer < 0:
        raise JailError(f"the kernel refused {what}: {os.strerror(ctypes.get_errno())}")
    return answer


def _syscall(what: str, number: int, *values: object) -> int:
    answer: int = _libc.syscall(ctypes.c_long(number), *values)
    if answer < 0:
        raise JailError(f"the kernel refused {what}: {os.strerror(ctypes.get_errno())}")
    return answer


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when process `parent`, its parent, ends; per thread, so call it
    first.

    Does nothing where there is no such thing (macOS); there the end of a socket has to do.
    """
    if not _LINUX:
        return
    _prctl("PDEATHSIG", _PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(1)


def landlock_abi() -> int:
    """Return the Landlock ABI of this kernel, 0 where there is none."""
    if not _LINUX:
        return 0
    flags = ctypes.c_uint32(1)  # LANDLOCK_CREATE_RULESET_VERSION
    number = _libc.syscall(ctypes.c_long(_LANDLOCK_CREATE), None, ctypes.c_size_t(0), flags)
    return max(int(number), 0)


def _seccomp_missing() -> str:
    if not _LINUX:
        return f"{sys.platform} has no seccomp; programs run without a jail, only with unsafe=True"
    if _MACHINE not in ARCHES:
        return f"no system-call table for {_MACHINE}; known: {', '.join(ARCHES)}"
    if sys.byteorder != "little":
        return "the system-call filter is written for little-endian machines"
    # With a null filter a kernel that can filter answers EFAULT, and installs nothing.
    _libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), None, 0, 0)
    number = ctypes.get_errno()
    return "" if number == errno.EFAULT else f"no seccomp filters here: {os.strerror(number)}"


def level() -> str:
    """Return "basic" where programs can be confined, else "none"."""
    return "none" if _seccomp_missing() else "basic"


def describe() -> dict[str, str]:
    """Return what this machine gives, one line a part: level, seccomp, landlock, rlimits, missing."""
    seccomp, abi = _seccomp_missing(), landlock_abi()
    missing = [seccomp] if seccomp else []
    if not abi:
        missing.append("no Landlock: a program could read files (never write them); use Linux 5.13 or newer")
    return {
        "level": "none" if seccomp else "basic",
        "seccomp": seccomp or f"allow-list for {_MACHINE}",
        "landlock": f"ABI {abi}" if abi else "absent",
        "rlimits": "address space, CPU, files, processes, locked memory",
        "missing": "; ".join(missing),
    }


def prepare_zygote() -> None:
    """Give up what no child may have: new privileges, capabilities, being looked into by its own user."""
    if not _LINUX:
        return
    _prctl("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1)
    _prctl("DUMPABLE", _PR_SET_DUMPABLE, 0)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _syscall("capset", {"x86_64": 126, "aarch64": 91}[_MACHINE], header, (ctypes.c_uint32 * 6)())


def restrict_files(readable: Iterable[Path]) -> int:
    """Let this process and its children read below `readable` and nowhere else, and write nowhere; for good.

    Landlock cannot subtract: a folder gives all that is below it. Done once in the zygote, because a domain
    is inherited for nothing, while building one for each program would cost 0.3 ms.

    Returns:
        The Landlock ABI that was used, 0 where there is none (nothing is restricted then).
    """
    abi = landlock_abi()
    if not abi:
        return 0
    rights = _FS_RIGHTS[max(known for known in _FS_RIGHTS if known <= abi)]
    ruleset = _Ruleset(rights, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    number = _syscall(
        "Landlock", _LANDLOCK_CREATE, ctypes.byref(ruleset), ctypes.c_size_t(size), ctypes.c_uint32(0)
    )
    for path in readable:
        _grant(number, path)
    _prctl("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1)
    _syscall("Landlock", _LANDLOCK_RESTRICT, ctypes.c_int(number), ctypes.c_uint32(0))
    os.close(number)
    return abi


def _grant(ruleset: int, path: Path) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):  # what we may not open, no child of ours could
        return
    rule = _PathBeneath(_READ_FILE | (_READ_DIR if path.is_dir() else 0), opened)
    beneath, flags = ctypes.c_int(1), ctypes.c_uint32(0)
    _syscall(f"reading {path}", _LANDLOCK_ADD, ctypes.c_int(ruleset), beneath, ctypes.byref(rule), flags)
    os.close(opened)


class Jail:
    """The prepared jail of one zygote: filters assembled, limits relative to what is mapped already."""

    def __init__(self, unsafe: bool = False) -> None:
        """Prepare; `unsafe` leaves the limits on resources and nothing else.

        Raises:
            JailError: this machine cannot confine a program, and `unsafe` is false.
        """
        missing = "" if unsafe else _seccomp_missing()
        if missing:
            raise JailError(f"{missing} (unsafe=True runs programs without a jail)")
        self.level = "none" if unsafe else "basic"
        self._mapped = _mapped_bytes()
        self._filters = {} if unsafe else {many: _Filter(many) for many in (False, True)}

    def confine(self, limits: Limits, parent: int) -> None:
        """Close the jail around this process, the freshly forked child of process `parent`.

        Raises:
            JailError, OSError, ValueError: something was refused; no byte of the program may run.
        """
        die_with_parent(parent)
        self._limit(limits)
        if self.level != "none":
            _prctl("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1)
            self._filters[limits.threads > 1].install()

    def _limit(self, limits: Limits) -> None:
        cpu = int(limits.cpu_seconds) + 1  # a backstop: the supervisor reads the exact clock from outside
        space = self._mapped + limits.memory
        # SIGXCPU can be ignored; soft == hard sends SIGKILL.
        caps = {"AS": space, "CPU": cpu, "CORE": 0, "FSIZE": 0, "MEMLOCK": 0, "MSGQUEUE": 0, "NOFILE": 64}
        if limits.threads == 1:
            caps["NPROC"] = 0
        for name, cap in caps.items():
            which = getattr(resource, f"RLIMIT_{name}", None)
            if which is not None and (_LINUX or name != "AS"):
                hard = resource.getrlimit(which)[1]
                value = cap if hard == resource.RLIM_INFINITY else min(cap, hard)
                resource.setrlimit(which, (value, value))


class _Filter:
    def __init__(self, threads: bool) -> None:
        code = filter_program(_MACHINE, threads)
        self._code = ctypes.create_string_buffer(code, len(code))
        self._program = _SockFprog(len(code) // 8, ctypes.addressof(self._code))

    def install(self) -> None:
        address = ctypes.addressof(self._program)
        _prctl("the system-call filter", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, address)


def _mapped_bytes() -> int:
    if not _LINUX:
        return 0
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
