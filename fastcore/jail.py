"""What closes around a program before its first byte runs: rlimits, no_new_privs, Landlock, seccomp.

Knows this kernel and its system calls; knows no program. The zygote prepares what can be shared (`Jail`,
`restrict_files`); the forked child calls `Jail.confine`, and must not go on when that raises. Confining is one
compiled call (`_jail`); where no compiler was present at install time the same steps are taken through ctypes.
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

try:
    from evolve.fastcore import _jail as _compiled
except ImportError:
    COMPILED = False
else:
    COMPILED = True

__all__ = [
    "COMPILED",
    "Jail",
    "JailError",
    "describe",
    "die_with_parent",
    "landlock_abi",
    "level",
    "prepare_zygote",
    "restrict_files",
]

_LINUX = sys.platform == "linux"
_MACHINE = {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine())
_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_GET_SECCOMP, _PR_SET_SECCOMP = 1, 4, 21, 22
_PR_SET_NO_NEW_PRIVS, _PR_GET_NO_NEW_PRIVS = 38, 39
_SECCOMP_MODE_FILTER = 2
# The same numbers on every architecture; capset is 126 on x86-64 and 91 on aarch64.
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR, _MAKE_BLOCK = 1 << 2, 1 << 3, 1 << 11
# Rights that each Landlock ABI knows: all of them are handled, that is, denied unless granted.
_FS_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
# LOG_SAME_EXEC_OFF | LOG_SUBDOMAINS_OFF: refusals by the thousand would fill the machine's audit log, and stay there.
_SILENT = 1 | 4
# Steps as `_jail.confine` numbers them.
_PDEATHSIG, _NO_NEW_PRIVS, _LANDLOCK, _SECCOMP, _CLOSED = -1, -2, -3, -4, -5
_STEPS = {
    _PDEATHSIG: "PDEATHSIG",
    _NO_NEW_PRIVS: "no_new_privs",
    _LANDLOCK: "Landlock",
    _SECCOMP: "the system-call filter",
}
# macOS has RLIMIT_AS and does not heed it.
_RLIMITS = {
    name.removeprefix("RLIMIT_"): number
    for name, number in vars(resource).items()
    if name.startswith("RLIMIT_") and (_LINUX or name != "RLIMIT_AS")
}
_MOST = (1 << 63) - 1


class JailError(RuntimeError):
    """This machine cannot confine a program, or refused to."""


class _SockFprog(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


class _Rlimit(ctypes.Structure):
    _fields_ = (("soft", ctypes.c_ulong), ("hard", ctypes.c_ulong))


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def _refusal(what: str, number: int) -> JailError:
    return JailError(f"the kernel refused {what}: {os.strerror(number)}")


def _granted(what: str, answer: int) -> int:
    if answer < 0:
        raise _refusal(what, ctypes.get_errno())
    return answer


def _prctl(what: str, option: int, *values: int) -> int:
    padded = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    return _granted(what, _libc.prctl(option, *padded))


def _syscall(what: str, number: int, *values: object) -> int:
    return _granted(what, _libc.syscall(ctypes.c_long(number), *values))


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


def landlock_abi(newest: int | None = None) -> int:
    """Return the Landlock ABI to use: that of this kernel, at most `newest`; 0 where there is none."""
    if not _LINUX:
        return 0
    flags = ctypes.c_uint32(1)  # LANDLOCK_CREATE_RULESET_VERSION
    number = max(int(_libc.syscall(ctypes.c_long(_LANDLOCK_CREATE), None, ctypes.c_size_t(0), flags)), 0)
    return number if newest is None else min(number, newest)


def _seccomp_missing() -> str:
    if not _LINUX:
        return (
            f"{sys.platform} has no seccomp and no Landlock; use Linux, a virtual machine with it, or WSL 2"
        )
    if _MACHINE not in ARCHES:
        return f"no system-call table for {_MACHINE}; known: {', '.join(ARCHES)}"
    if sys.byteorder != "little":
        return "the system-call filter is written for little-endian machines"
    # With a null filter a kernel that can filter answers EFAULT, and installs nothing.
    _libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), None, 0, 0)
    number = ctypes.get_errno()
    if number == errno.EFAULT:
        return ""
    return f"no seccomp filters here ({os.strerror(number)}); use a kernel with CONFIG_SECCOMP_FILTER"


def _privileges_missing() -> str:
    if _libc.prctl(_PR_GET_NO_NEW_PRIVS, *[ctypes.c_ulong(0)] * 4) >= 0:
        return ""
    return f"no no_new_privs here ({os.strerror(ctypes.get_errno())}); use Linux 3.5 or newer"


def _landlock_missing() -> str:
    if landlock_abi():
        return ""
    number = ctypes.get_errno()
    if number == errno.EOPNOTSUPP:
        return "Landlock is in this kernel but switched off; add landlock to its boot parameter lsm="
    if number == errno.EPERM:
        return "a container's seccomp profile forbids Landlock; use Docker 23 or newer, or a profile that allows it"
    return (
        "no Landlock, so a program could read every file of yours; use Linux 5.13 or newer with "
        f"CONFIG_SECURITY_LANDLOCK ({platform.release()} here has none; gVisor has none either)"
    )


def _missing() -> list[str]:
    seccomp = _seccomp_missing()
    others = [_privileges_missing(), _landlock_missing()] if _LINUX else []
    return [part for part in (seccomp, *others) if part]


def level() -> str:
    """Return "strict" where programs can be confined with all parts of the jail, else "none"."""
    return "none" if _missing() else "strict"


def describe() -> dict[str, str]:
    """Return what this machine gives, one line a part.

    Returns:
        level; seccomp, privileges, landlock, rlimits: what each part gives; applied: how the jail is closed; missing:
        what is not there and how to get it, empty at level strict.
    """
    abi = landlock_abi()
    landlock = (
        f"ABI {abi}: files by a read-only list, a domain of its own for each program" if abi else "absent"
    )
    if 0 < abi < 6:
        landlock += (
            "; from ABI 6 (Linux 6.12) on signals and sockets too, which the allow-list denies as well"
        )
    return {
        "level": level(),
        "seccomp": "absent" if _seccomp_missing() else f"allow-list of system calls for {_MACHINE}",
        "landlock": landlock,
        "privileges": "no capability, none to be had" if _LINUX and not _privileges_missing() else "absent",
        "rlimits": ("address space, " if _LINUX else "") + "CPU, files, processes, locked memory",
        "applied": "in one compiled call" if COMPILED else "through ctypes",
        "missing": "; ".join(_missing()),
    }


def prepare_zygote() -> None:
    """Give up what no child may have: new privileges, capabilities, being looked into by its own user."""
    if not _LINUX:
        return
    _prctl("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1)
    _prctl("DUMPABLE", _PR_SET_DUMPABLE, 0)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _syscall("capset", {"x86_64": 126, "aarch64": 91}[_MACHINE], header, (ctypes.c_uint32 * 6)())


def restrict_files(readable: Iterable[Path], newest: int | None = None) -> int:
    """Let this process and its children read below `readable` and nowhere else, and write nowhere; for good.

    Landlock cannot subtract: a folder gives all that is below it. Done once in the zygote, because opening the
    files for each program would cost a millisecond. But see `Jail`: every rule is copied once a program.

    Args:
        readable: files and folders; what is not there, or closed to us, is passed over.
        newest: newest Landlock ABI to use (tests hold the jail to what ABI 1 gives).

    Returns:
        The Landlock ABI that was used, 0 where there is none (nothing is restricted then).
    """
    abi = landlock_abi(newest)
    if not abi:
        return 0
    rights = _FS_RIGHTS[max(known for known in _FS_RIGHTS if known <= abi)]
    number = _ruleset(rights, abi)
    for path in readable:
        _grant(number, path)
    _prctl("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1)
    _restrict(number, _SILENT if abi >= 7 else 0)
    os.close(number)
    return abi


def _ruleset(rights: int, abi: int) -> int:
    """Make a ruleset that handles file `rights`, and all of the network and of the scopes that `abi` knows."""
    ruleset = _Ruleset(rights, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = ctypes.c_size_t(24 if abi >= 6 else 16 if abi >= 4 else 8)
    return _syscall("Landlock", _LANDLOCK_CREATE, ctypes.byref(ruleset), size, ctypes.c_uint32(0))


def _restrict(ruleset: int, flags: int = 0) -> None:
    _syscall("Landlock", _LANDLOCK_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint32(flags))


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
    """The prepared jail of one zygote: filters assembled, limits relative to what is mapped already.

    Each program gets a Landlock domain of its own below the zygote's: whoever is in another domain may not be traced,
    its memory not be read. The ruleset takes one right that nobody has left; from ABI 6 on, signals and abstract
    sockets end at that domain as well. The kernel copies the zygote's rules into it: 5 us, and 0.15 us a rule.

    Attributes:
        level: "strict" or "none".
        descriptors: what must stay open until `confine`, which closes it.
    """

    def __init__(self, unsafe: bool = False, newest: int | None = None, compiled: bool | None = None) -> None:
        """Prepare; `unsafe` leaves the limits on resources and nothing else.

        Args:
            unsafe: confine nothing.
            newest: newest Landlock ABI to use.
            compiled: whether to confine in one compiled call; where it can be, unless said otherwise.

        Raises:
            JailError: this machine cannot confine a program, and `unsafe` is false; or the compiled call is asked for
                and not there.
        """
        missing = [] if unsafe else _missing()
        if missing:
            raise JailError(f"{'; '.join(missing)} (unsafe=True runs programs without a jail)")
        if compiled and not COMPILED:
            raise JailError(
                "the jail is not compiled here; install a C compiler and reinstall, or leave compiled=None"
            )
        self.level = "none" if unsafe else "strict"
        self._compiled = COMPILED if compiled is None else compiled
        self._mapped = _mapped_bytes()
        self._filters = {} if unsafe else {many: _Filter(many) for many in (False, True)}
        self._ruleset = -1 if unsafe else _ruleset(_MAKE_BLOCK, landlock_abi(newest))
        self.descriptors: tuple[int, ...] = () if unsafe else (self._ruleset,)

    def confine(self, limits: Limits, parent: int) -> None:
        """Close the jail around this process, the freshly forked child of process `parent`.

        Raises:
            JailError: the kernel refused a step, which is named; no byte of the program may run.
        """
        caps = self._caps(limits)
        confining = self._filters.get(limits.threads > 1)
        if not self._compiled:
            self._confine_through_ctypes(caps, confining, parent)
            return
        code = b"" if confining is None else confining.code
        pairs = [(which, cap) for _, which, cap in caps]
        step, number = _compiled.confine(parent, pairs, self._ruleset, code)
        if step != _CLOSED:
            raise _refusal(_STEPS[step] if step < 0 else f"RLIMIT_{caps[step][0]}", number)

    def _confine_through_ctypes(
        self, caps: list[tuple[str, int, int]], confining: "_Filter | None", parent: int
    ) -> None:
        die_with_parent(parent)
        for name, which, cap in caps:
            _limit(name, which, cap)
        if confining is not None:
            _prctl(_STEPS[_NO_NEW_PRIVS], _PR_SET_NO_NEW_PRIVS, 1)
            _restrict(self._ruleset)
            os.close(self._ruleset)
            confining.install()

    def _caps(self, limits: Limits) -> list[tuple[str, int, int]]:
        """Return name, number and cap of every limit that this system has and that a program gets."""
        cpu = (
            int(min(limits.cpu_seconds, 1e9)) + 1
        )  # a backstop: the supervisor reads the exact clock from outside
        space = min(self._mapped + limits.memory, _MOST)
        # SIGXCPU can be ignored; soft == hard sends SIGKILL.
        caps = {"AS": space, "CPU": cpu, "CORE": 0, "FSIZE": 0, "MEMLOCK": 0, "MSGQUEUE": 0, "NOFILE": 64}
        if limits.threads == 1:
            caps["NPROC"] = 0
        return [(name, _RLIMITS[name], cap) for name, cap in caps.items() if name in _RLIMITS]


def _limit(name: str, which: int, cap: int) -> None:
    values = _Rlimit()
    _granted(f"RLIMIT_{name}", _libc.getrlimit(which, ctypes.byref(values)))
    values.soft = values.hard = min(cap, values.hard)
    _granted(f"RLIMIT_{name}", _libc.setrlimit(which, ctypes.byref(values)))


class _Filter:
    def __init__(self, threads: bool) -> None:
        self.code = filter_program(_MACHINE, threads)
        self._copy = ctypes.create_string_buffer(self.code, len(self.code))
        self._program = _SockFprog(len(self.code) // 8, ctypes.addressof(self._copy))

    def install(self) -> None:
        address = ctypes.addressof(self._program)
        _prctl(_STEPS[_SECCOMP], _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, address)


def _mapped_bytes() -> int:
    if not _LINUX:
        return 0
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
