"""Enters a context, then becomes `serve.py` in it: `python enter.py CONTEXT DESCRIPTOR`.

A plain user may not even enter the folder that holds the interpreter (root's home, say). Then it is made reachable
in a mount namespace of its own: nothing outside this process sees it.
"""

import ctypes
import json
import os
import site
import sys
import tempfile
from pathlib import Path

NOBODY = 65534
_NEW_MOUNTS = 0x20000
_BIND, _MOVE, _REC, _PRIVATE = 4096, 8192, 16384, 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    words = [None if word is None else word.encode() for word in (source, target, kind, options)]
    if _libc.mount(*words[:3], ctypes.c_ulong(flags), words[3]) != 0:
        raise OSError(ctypes.get_errno(), f"mount {source} on {target}: {os.strerror(ctypes.get_errno())}")


def _needed() -> set[Path]:
    """Folders that a plain user's interpreter must reach: its own, its packages', and this checkout."""
    places = {Path(sys.prefix), Path(sys.base_prefix), Path(__file__).resolve().parents[3]}
    places |= {Path(folder).resolve() for folder in [*sys.path, *site.getsitepackages()] if folder}
    return {place for place in places if place.is_dir()}


def _closed(place: Path) -> Path | None:
    """The uppermost folder on the way to `place` that others may not pass."""
    return next((folder for folder in reversed([*place.parents]) if not folder.stat().st_mode & 1), None)


def open_the_way() -> None:
    """Make `_needed` folders reachable for everybody, in mounts of this process's own."""
    behind: dict[Path, list[Path]] = {}
    for place in sorted(_needed()):
        folder = _closed(place)
        if folder is not None and not any(place.is_relative_to(other) for other in behind.get(folder, [])):
            behind.setdefault(folder, []).append(place)
    if _libc.unshare(_NEW_MOUNTS) != 0:
        raise OSError(ctypes.get_errno(), "no mount namespace of one's own: this test needs root")
    _mount("none", "/", None, _REC | _PRIVATE)
    for folder, places in behind.items():
        aside = [tempfile.mkdtemp() for _ in places]
        for place, spare in zip(places, aside, strict=True):
            _mount(str(place), spare, None, _BIND | _REC)
        _mount("tmpfs", str(folder), "tmpfs", 0, "mode=755")
        for place, spare in zip(places, aside, strict=True):
            place.mkdir(parents=True, exist_ok=True)
            _mount(spare, str(place), None, _MOVE)
            os.rmdir(spare)
    if (
        not os.stat("/dev/shm").st_mode & 2
    ):  # open to everybody on most machines, so the attack on it must be held
        _mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777")


def main() -> None:
    settings = json.loads(sys.argv[1])
    os.umask(0)  # the contexts share a folder of compiled kernels
    if settings["context"] == "user":
        open_the_way()
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    elif settings["context"] == "docker":
        sys.path.insert(0, str(Path(__file__).parent))
        import docker_like

        docker_like.enter()
    script = str(Path(__file__).with_name("serve.py"))
    # A program of its own again: one that has only changed its user would not be readable by its own kind.
    os.execv(sys.executable, [sys.executable, script, sys.argv[1]])


if __name__ == "__main__":
    main()
