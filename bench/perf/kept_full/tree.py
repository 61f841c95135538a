"""What a process and all that descend from it take: CPU time, memory, their number; and what a folder takes on disk."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Disk", "Taken", "disk", "memory", "taken"]


@dataclass(frozen=True, slots=True)
class Taken:
    """A tree of processes at one moment.

    Args:
        cpu: seconds of all, those that ended included.
        own: of them, the root's own.
        processes: how many live.
    """

    cpu: float
    own: float
    processes: int


@dataclass(frozen=True, slots=True)
class Disk:
    """Files below a folder, and their bytes."""

    files: int
    bytes: int


def _members(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def taken(root: psutil.Process) -> Taken:
    """CPU and number; what a process had used when it ended counts with the one that waited for it."""
    cpu = own = 0.0
    count = 0
    for member in _members(root):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = member.cpu_times()
            cpu += times.user + times.system + times.children_user + times.children_system
            count += 1
            if member == root:
                own = times.user + times.system
    return Taken(cpu, own, count)


def memory(root: psutil.Process) -> tuple[int, int]:
    """Bytes of all: proportional (pages that several share count once), and resident (they count for each)."""
    proportional = resident = 0
    for member in _members(root):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            full = member.memory_full_info()
            proportional += full.pss
            resident += full.rss
    return proportional, resident


def disk(folder: Path) -> Disk:
    """What lies below a folder, in bytes as files say, not as blocks of the disk."""
    files = [each for each in folder.rglob("*") if each.is_file()]
    return Disk(len(files), sum(each.stat().st_size for each in files))
