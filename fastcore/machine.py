"""What this machine is, as far as it bears on a timing: read, never guessed; what is not known is left out.

Knows Linux's /proc and /sys; elsewhere only what Python itself knows.
"""

import os
import platform
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from evolve.fastcore.layout import is_fixed

__all__ = ["fingerprint"]

Fact = str | int | float | bool

_CPU: Final = "sys/devices/system/cpu"
_MODEL: Final = re.compile(r"^(?:model name|Model|Hardware|cpu)\s*:\s*(.+)$", re.MULTILINE)
_PART: Final = re.compile(r"^CPU (implementer|part)\s*:\s*(\S+)$", re.MULTILINE)
_MEMORY: Final = re.compile(r"^MemTotal:\s*(\d+) kB$", re.MULTILINE)
_FLAGS: Final = re.compile(r"^flags\s*:.*\bhypervisor\b", re.MULTILINE)


def fingerprint(root: Path = Path("/")) -> dict[str, Fact]:
    """Return what is known of this machine, in this order.

    `cpu` (model), `architecture`, `cores`, `usable_cores` (by affinity), `threads_per_core`, `governor`,
    `least_mhz`, `most_mhz`, `boost`, `load` (of the last minute), `kernel`, `hypervisor` (its name, or True where only
    the processor tells), `memory` (bytes), `layout` ("random" where programs lie at other addresses in each process,
    else "fixed"; see `layout`), `python`, `numpy`, `numba`. A value that the system does not give is no key.

    Args:
        root: where /proc and /sys are.
    """
    return dict(_facts(root))


def _facts(root: Path) -> Iterator[tuple[str, Fact]]:
    yield from _processor(root)
    yield from _frequency(root)
    if hasattr(os, "getloadavg"):
        yield "load", round(os.getloadavg()[0], 2)
    yield "kernel", f"{platform.system()} {platform.release()}"
    yield from _host(root)
    yield "python", platform.python_version()
    for name in ("numpy", "numba"):
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


def _processor(root: Path) -> Iterator[tuple[str, Fact]]:
    text = _read(root / "proc/cpuinfo")
    model, part = _MODEL.search(text), dict(_PART.findall(text))
    if model:
        yield "cpu", model.group(1).strip()
    elif "implementer" in part:
        yield "cpu", " ".join(f"{name} {value}" for name, value in part.items())
    elif platform.processor():
        yield "cpu", platform.processor()
    yield "architecture", platform.machine()
    if os.cpu_count():
        yield "cores", os.cpu_count() or 0
    if hasattr(os, "sched_getaffinity"):
        yield "usable_cores", len(os.sched_getaffinity(0))
    siblings = _read(root / _CPU / "cpu0/topology/thread_siblings_list")
    if siblings:
        yield "threads_per_core", sum(1 + last - first for first, last in _ranges(siblings))


def _ranges(text: str) -> Iterator[tuple[int, int]]:
    for part in text.split(","):
        first, _, last = part.partition("-")
        yield int(first), int(last or first)


def _frequency(root: Path) -> Iterator[tuple[str, Fact]]:
    folder = root / _CPU / "cpu0/cpufreq"
    governor = _read(folder / "scaling_governor")
    if governor:
        yield "governor", governor
    for name, file in (("least_mhz", "scaling_min_freq"), ("most_mhz", "scaling_max_freq")):
        text = _read(folder / file)
        if text.isdigit():
            yield name, int(text) / 1000.0
    boost = _read(root / _CPU / "cpufreq/boost")
    no_turbo = _read(root / _CPU / "intel_pstate/no_turbo")
    if boost:
        yield "boost", boost == "1"
    elif no_turbo:
        yield "boost", no_turbo == "0"


def _host(root: Path) -> Iterator[tuple[str, Fact]]:
    kind = _read(root / "sys/hypervisor/type") or _read(root / "sys/class/dmi/id/sys_vendor")
    virtual = bool(_FLAGS.search(_read(root / "proc/cpuinfo"))) or bool(_read(root / "sys/hypervisor/type"))
    if virtual:
        yield "hypervisor", kind or True
    memory = _MEMORY.search(_read(root / "proc/meminfo"))
    if memory:
        yield "memory", 1024 * int(memory.group(1))
    randomized = _read(root / "proc/sys/kernel/randomize_va_space")
    if randomized:
        yield "layout", "fixed" if randomized == "0" or is_fixed() else "random"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
