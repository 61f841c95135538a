"""Say what this machine offers to `evolve`, what is missing, and what that costs."""

import argparse
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import evolve
from evolve.errors import UsageError
from evolve.fastcore import clock, jail
from evolve.fastcore.layout import is_fixed
from evolve.fastcore.machine import fingerprint
from evolve.serving.plan import EXECUTABLE, executable, gpus_here
from evolve.terminal import finding, out, print_json
from evolve.verbs.common import add_json

_PACKAGES = ("numpy", "numba", "sqlite-utils", "cma", "rich", "multiprocess", "pandas")


class _Finding(NamedTuple):
    name: str
    result: str
    sentence: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Take no option but `--json`."""
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Look around; exit code 1 if programs cannot be jailed here."""
    findings = list(_findings())
    healthy = all(one.result != "failed" for one in findings)
    if args.json:
        print_json({"ok": healthy, "jail": jail.describe(), "findings": [one._asdict() for one in findings]})
    else:
        console = out()
        for one in findings:
            finding(console, one.result, f"{one.name}: {one.sentence}")
    return 0 if healthy else 1


def _findings() -> Iterator[_Finding]:
    yield _Finding("evolve", "ok", f"{evolve.__version__} at {Path(evolve.__file__).parent}")
    yield _Finding("python", "ok", f"{platform.python_version()} on {platform.platform()}")
    yield _Finding("packages", "ok", ", ".join(_installed()))
    yield _compiled()
    yield from _jail()
    yield _cores()
    yield _timing()
    yield _numba_cache()
    yield _shared_memory()
    yield _disk(Path.cwd())
    yield _vllm()


def _installed() -> Iterator[str]:
    for name in _PACKAGES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name} absent"


def _compiled() -> _Finding:
    absent = [name for name, there in (("clock", clock.COMPILED), ("jail", jail.COMPILED)) if not there]
    if not absent:
        return _Finding("compiled extensions", "ok", "all present")
    return _Finding(
        "compiled extensions",
        "warning",
        f"not compiled: {', '.join(absent)}; Python does the same, some microseconds a program slower: "
        "install a C compiler and Python's headers, and reinstall",
    )


def _jail() -> Iterator[_Finding]:
    told = jail.describe()
    if told["level"] == "none":
        sentence = f"level none, programs cannot be confined: {told['missing']}"
        yield _Finding("jail", "failed", f"{sentence}; --unsafe would run them with your rights")
    else:
        yield _Finding("jail", "ok", f"level {told['level']}, closed {told['applied']}")
    for part in ("seccomp", "landlock", "privileges", "rlimits"):
        if part in told:
            absent = told[part].startswith("absent")
            yield _Finding(part, "warning" if absent else "ok", told[part])


def _cores() -> _Finding:
    usable, present = len(os.sched_getaffinity(0)), os.cpu_count()
    return _Finding("cores", "ok", f"{usable} usable of {present}: so many workers by default")


def _timing() -> _Finding:
    told = fingerprint()
    seen = [f"{name} {told[name]}" for name in ("cpu", "governor", "load") if name in told]
    if is_fixed():
        return _Finding("timing", "ok", f"programs lie at fixed addresses; {', '.join(seen)}")
    return _Finding(
        "timing",
        "warning",
        f"programs lie at random addresses, so races tell 3 % apart and not 1 %; {', '.join(seen)}: "
        "in a container allow the system call personality (ADDR_NO_RANDOMIZE)",
    )


def _numba_cache() -> _Finding:
    named = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(named) if named else Path(evolve.__file__).parent / "fastcore" / "kernels"
    if not named:
        from evolve.fastcore import kernels

        folder = Path(next(iter(kernels.__path__))) / "__pycache__"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return _Finding(
            "numba cache",
            "warning",
            f"{folder} cannot be written ({error.strerror}), so each worker compiles the kernels again: "
            "set NUMBA_CACHE_DIR to a folder of yours",
        )
    return _Finding("numba cache", "ok", str(folder))


def _shared_memory() -> _Finding:
    folder = Path("/dev/shm")  # noqa: S108 - looked at, never written
    if not folder.is_dir():
        return _Finding("shared memory", "warning", f"{folder} is absent; some numerical libraries want it")
    return _Finding(
        "shared memory", "ok", f"{shutil.disk_usage(folder).free / 2**20:.0f} MiB free in {folder}"
    )


def _vllm() -> _Finding:
    try:
        program = executable()
    except UsageError as error:
        named = os.environ.get(EXECUTABLE)
        return (
            _Finding("vllm", "warning", str(error))
            if named
            else _Finding(
                "vllm", "ok", "absent; only `evolve serve` wants it, a model may be served elsewhere"
            )
        )
    return _Finding("vllm", "ok", f"{program}; GPUs: {', '.join(gpus_here()) or 'none'}")


def _disk(folder: Path) -> _Finding:
    free = shutil.disk_usage(folder).free / 2**20
    if not os.access(folder, os.W_OK):
        return _Finding(
            "disk", "warning", f"{folder} cannot be written: say --ledger FILE for a ledger elsewhere"
        )
    if free < 100:
        return _Finding(
            "disk", "warning", f"{free:.0f} MiB free in {folder}; a ledger takes about 1 KiB a program"
        )
    return _Finding("disk", "ok", f"{free / 1024:.1f} GiB free in {folder}")
