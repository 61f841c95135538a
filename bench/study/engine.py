"""Which engine searches: a hash of the source that decides what a run finds. Knows files, and no run."""

import hashlib
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import evolve
from evolve.fastcore import machine

__all__ = ["engine_of", "machine_of", "source_hash"]

_ROOMS = ("evolve", "evolve.fastcore", "evolve.programs_db")
_ELSEWHERE = {"bench", "problems", "verbs", "fastcore", "programs_db", "__pycache__"}
"""Folders below `evolve` that are other rooms, where it is installed; a problem has a fingerprint of its own."""
_SUFFIXES = {".py", ".pyx", ".pxd", ".txt"}


@lru_cache(maxsize=1)
def source_hash() -> str:
    """A hash, tagged "b2:", of all source that searches: `evolve` without its verbs, `fastcore` and `programs_db`."""
    state = hashlib.blake2b(digest_size=16)
    for room in _ROOMS:
        (home,) = {Path(folder).resolve() for folder in import_module(room).__path__}
        for file in sorted(home.rglob("*")):
            inner = file.relative_to(home)
            if file.suffix not in _SUFFIXES or "__pycache__" in inner.parts:
                continue
            if room == "evolve" and (inner.parts[0] in _ELSEWHERE or str(inner) == "cli.py"):
                continue
            state.update(f"{room}/{inner.as_posix()}\0".encode())
            state.update(hashlib.blake2b(file.read_bytes(), digest_size=16).digest())
    return f"b2:{state.hexdigest()}"


def engine_of() -> dict[str, str]:
    """Version and source of this engine."""
    return {"version": evolve.__version__, "source": source_hash()}


def machine_of() -> dict[str, Any]:
    """This machine, as far as it bears on what a run costs; without what changes by the minute."""
    return {name: fact for name, fact in machine.fingerprint().items() if name != "load"}
