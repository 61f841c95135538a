"""A clean, secret-free process, numpy warm, that forks one jailed child per program.

Executed by path in a fresh interpreter with a scrubbed environment (see `warden`); speaks two one-byte
commands over the socket it inherits. Knows no source, no case and no answer: those travel between supervisor
and child.
"""

import contextlib
import gc
import importlib
import importlib.machinery
import importlib.util
import io
import json
import os
import resource
import signal
import socket
import struct
import sys
import sysconfig
import traceback
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NoReturn

__all__ = ["END", "FORK", "FORKED", "STATUS"]

FORK: Final = b"F"
"""Command, with the child's descriptors (see `Exchange.for_child`): fork a child; answers `FORKED`."""
END: Final = b"E"
"""Command: kill the child if it lives, reap it; answers `STATUS`."""
FORKED: Final = struct.Struct("<q")
STATUS: Final = struct.Struct("<iddq")
"""Wait status, user seconds, system seconds, greatest resident bytes."""

_HERE: Final = Path(__file__).resolve().parent
_SUPERVISOR: Final = 3
_DESCRIPTORS: Final = 64
_MOST_HANDED: Final = 4
_MANY: Final = 1 << 20
_LIBRARIES: Final = ("numpy", "numba", "llvmlite")
_SYSTEM_FILES: Final = ("/etc/ld.so.cache", "/dev/null", "/dev/zero", "/dev/urandom", "/proc/cpuinfo")


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's is for the engine
    number, parent, settings = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    _import_without_hooks()
    _adopt_package()
    from evolve.fastcore import jail

    jail.die_with_parent(parent)
    if number != _SUPERVISOR:
        os.dup2(number, _SUPERVISOR)  # low, so that no child can inherit it by a number beyond what it closes
    os.closerange(_SUPERVISOR + 1, _MANY)
    # These two numbers are the child's memory files later: no library and no jail may open anything on them.
    held = os.open(os.devnull, os.O_RDONLY), os.open(os.devnull, os.O_RDONLY)
    supervisor = socket.socket(fileno=_SUPERVISOR)
    sys.excepthook = lambda kind, error, trace: _tell(
        supervisor, "error", "".join(traceback.format_exception(kind, error, trace))
    )
    _open_streams()
    sys.path += settings["path"]
    from evolve.fastcore import channel, child, heap, rehearsal, warm

    assert held == (channel.ASKS, channel.ANSWERS)
    warm.load(settings["preload"])
    rehearsal.rehearse()
    for name in ("heap", "jit", "rehearsal", "sealed", "typical", "warm"):  # no program's business
        del sys.modules[f"evolve.fastcore.{name}"]
    child.seed()
    gc.collect()
    heap.collapse()
    cage = jail.Jail(settings["unsafe"], settings["landlock"], settings["compiled"])
    libraries = {name.partition(".")[0] for name in sys.modules} | set(_LIBRARIES)
    libraries -= {"evolve", "__main__"} | set(sys.stdlib_module_names)
    if not settings["unsafe"]:
        readable = list(_readable(libraries))
        jail.restrict_files(readable, settings["landlock"])
        jail.prepare_zygote()
    jail.die_with_parent(parent)  # again: a change of credentials may clear it
    resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    gc.collect()
    gc.freeze()
    _tell(supervisor, "ready", cage.level)
    sys.excepthook = sys.__excepthook__  # from here on the socket carries answers to commands only
    sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = _ListedOnly(libraries)
    zygote = os.getpid()
    _serve(supervisor, held, lambda shared: child.run(cage, zygote, supervisor, shared))


def _import_without_hooks() -> None:
    """Import what would run code of its own in every child, to mend locks and seeds: 0.1 ms each.

    Nothing is to mend there: the zygote has one thread, holds no lock when it forks, and seeds for its children.
    """
    register = os.register_at_fork
    os.register_at_fork = lambda **_hooks: None
    for name in ("random", "threading"):
        importlib.import_module(name)
    os.register_at_fork = register


def _adopt_package() -> None:
    # The real names, without the package: its __init__ and everything above `fastcore` stay out of this
    # process, and once the preloading is done no program can import them.
    for name, path in (("evolve", []), ("evolve.fastcore", [str(_HERE)])):
        package = types.ModuleType(name)
        package.__path__ = path
        sys.modules[name] = package


def _tell(supervisor: socket.socket, what: str, text: str) -> None:
    body = json.dumps([what, text]).encode()
    supervisor.sendall(struct.pack("<Q", len(body)) + body)


def _open_streams() -> None:
    # Each line leaves at once, so that what a program printed before it was killed is not lost.
    for name, number in (("stdout", 1), ("stderr", 2)):
        raw = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
        stream = io.TextIOWrapper(raw, "utf-8", errors="backslashreplace", line_buffering=True)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _readable(libraries: set[str]) -> Iterator[Path]:
    """What a program may read, singly: Landlock cannot subtract, and problems and scorers lie near by."""
    yield from map(Path, _SYSTEM_FILES)
    standard = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    for folder in standard:
        for entry in folder.iterdir():
            if not entry.name.endswith("-packages") and not _is_translated(entry):
                yield entry
    for top in sorted(libraries):
        yield from _package_files(top)
    for folder in _library_folders():
        if not any(folder.is_relative_to(known) for known in standard):
            yield from _libraries_in(folder)


def _is_translated(source: Path) -> bool:
    """Whether an import of this file reads `__pycache__` alone: each rule less spares every program 0.2 us."""
    if source.suffix != ".py":
        return False
    try:
        facts = source.stat()
        with open(importlib.util.cache_from_source(source), "rb") as translated:
            head = translated.read(16)
    except OSError:
        return False
    # The header of a .pyc file, see PEP 552.
    dated = struct.pack("<III", 0, int(facts.st_mtime) & 0xFFFFFFFF, facts.st_size & 0xFFFFFFFF)
    return head == importlib.util.MAGIC_NUMBER + dated


def _libraries_in(folder: Path) -> Iterator[Path]:
    # Every program pays for every rule when it enters a domain of its own (0.2 us each): a system's folder of a
    # thousand libraries is one rule, where no packages lie below it.
    with contextlib.suppress(OSError):
        if folder.is_relative_to("/usr/lib") and not any(folder.glob("python*")):
            yield folder
        else:
            yield from (entry for entry in folder.iterdir() if ".so" in entry.name and entry.is_file())


def _package_files(top: str) -> Iterator[Path]:
    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(top)
        if spec is None:
            return
        for folder in map(Path, spec.submodule_search_locations or ()):
            yield folder
            yield folder.with_name(f"{top}.libs")
        if spec.submodule_search_locations is None and spec.origin:
            yield Path(spec.origin)


class _ListedOnly:
    """Finds what is listed and nothing else: a PermissionError would break optional imports.

    It answers None, as any finder does, and does not raise: libraries ask for what may not be there.
    """

    def __init__(self, libraries: set[str]) -> None:
        self._listed = libraries | set(sys.stdlib_module_names) | set(sys.modules)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if path is None and fullname not in self._listed:
            return None
        return importlib.machinery.PathFinder.find_spec(fullname, path, target)


def _library_folders() -> set[Path]:
    """Return the folders that shared libraries of this process came from, for those that are loaded later."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return set()
    loaded = (line.split(maxsplit=5)[-1] for line in lines if ".so" in line)
    return {Path(name).parent for name in loaded if "-packages" not in name and name.startswith("/")}


def _serve(supervisor: socket.socket, held: tuple[int, int], start_child: Callable[[bool], NoReturn]) -> None:
    pid = 0
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(supervisor, 1, _MOST_HANDED)
        if message == FORK:
            pid = os.fork()
            if pid == 0:
                _arrange(held, descriptors)
                start_child(len(descriptors) == _MOST_HANDED)
            for descriptor in descriptors:
                os.close(descriptor)
            supervisor.sendall(FORKED.pack(pid))
        elif message == END:
            supervisor.sendall(_end(pid))
            pid = 0
        else:  # the supervisor is gone
            os._exit(0)


def _arrange(held: tuple[int, int], descriptors: list[int]) -> None:
    # The channel takes the place of the supervisor's socket, which closes it. Whatever else is open here the child
    # closes once it is confined: the jail may need some of it until then.
    channel, output, *files = descriptors
    streams = (held[0], 0), (output, 1), (output, 2), (channel, _SUPERVISOR)
    for number, target in (*streams, *zip(files, held, strict=False)):
        os.dup2(number, target)


def _end(pid: int) -> bytes:
    if not pid:  # kill(0) would mean the whole process group
        os._exit(1)
    # Only its parent may kill it: until it is reaped here, the number cannot belong to a stranger.
    os.kill(pid, signal.SIGKILL)
    _pid, status, usage = os.wait4(pid, 0)
    resident = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return STATUS.pack(status, usage.ru_utime, usage.ru_stime, resident)


if __name__ == "__main__":
    _main()
