"""Where servers are: one file for each `evolve serve`, whole or not there at all, in a folder of the user's own.

The file holds the API key, hence mode 0600, and folders 0700. It goes when its process ends; what a kill left behind
is known by the process that is gone, and on another machine, where nobody can see that, by its age.
"""

import contextlib
import json
import os
import socket
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from evolve.errors import EvolveError, InfrastructureError
from evolve.llm.endpoints import Endpoint

__all__ = ["FOLDER", "Record", "Serving", "discovered", "folder"]

FOLDER: Final = "EVOLVE_SERVE_DIR"
"""Environment variable that names the folder, for machines that share one."""

BEAT: Final = 20.0
"""Seconds after which a living supervisor touches its file again."""

_STALE: Final = 10 * BEAT  # file systems over a network show changes late, and clocks differ
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Serving:
    """One `evolve serve` that lives.

    Args:
        model: what it serves, as it was asked for.
        profile: how.
        endpoints: its servers, with their key.
        host: machine.
        pid: its process there.
        started: seconds since 1970.
        path: the file that says so.
    """

    model: str
    profile: str
    endpoints: tuple[Endpoint, ...]
    host: str
    pid: int
    started: float
    path: Path


def folder() -> Path:
    """Where the files are: $EVOLVE_SERVE_DIR, or else $XDG_STATE_HOME/evolve/serve, or ~/.local/state/evolve/serve."""
    if named := os.environ.get(FOLDER):
        return Path(named).expanduser().absolute()
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser().absolute() / "evolve" / "serve"


def discovered(place: Path | None = None) -> list[Serving]:
    """All servings that live, the latest first.

    Args:
        place: folder to look in; `folder()` if None.
    """
    found = []
    for path in sorted((place or folder()).glob("*.json")):
        serving = _read(path)
        if serving is not None:
            found.append(serving)
    return sorted(found, key=lambda serving: -serving.started)


class Record:
    """The file of this process.

    Args:
        place: folder.

    Attributes:
        path: the file.

    Raises:
        InfrastructureError: the folder cannot be made.
    """

    def __init__(self, place: Path) -> None:
        self.path = place / f"{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}.json"
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise _unwritable(place, error) from None
        self._started = time.time()

    def write(self, model: str, profile: str, endpoints: tuple[Endpoint, ...]) -> None:
        """Say what there is, in place of what was said before.

        Raises:
            InfrastructureError: it cannot be written.
        """
        content = {
            "version": _VERSION,
            "model": model,
            "profile": profile,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "birth": _birth(os.getpid()),
            "started": self._started,
            "servers": [
                {"url": each.url, "model": each.model, "key": each.key, "slots": each.slots}
                for each in endpoints
            ],
        }
        try:
            # A temporary file is its owner's alone from the first moment.
            descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=".", suffix=".tmp")
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file, indent=1)
            Path(name).replace(self.path)
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def touch(self) -> None:
        """Say that it still holds."""
        with contextlib.suppress(OSError):
            os.utime(self.path)

    def remove(self) -> None:
        """There is nothing any more."""
        with contextlib.suppress(OSError):
            self.path.unlink()


def _unwritable(path: Path, error: OSError) -> InfrastructureError:
    return InfrastructureError(
        f"{path}: cannot be written ({error.strerror}); set {FOLDER} to a folder of yours"
    )


def _read(path: Path) -> Serving | None:
    """The serving that a file tells of; None if it is dead, somebody else's, or no such file at all."""
    try:
        with path.open(encoding="utf-8") as file:
            state = os.fstat(file.fileno())
            content = json.load(file)
        if state.st_uid != os.getuid() or content["version"] != _VERSION:
            return None
        endpoints = tuple(_endpoint(each) for each in content["servers"])
        serving = Serving(
            str(content["model"]),
            str(content["profile"]),
            endpoints,
            str(content["host"]),
            int(content["pid"]),
            float(content["started"]),
            path,
        )
        if not endpoints or not _alive(serving, content["birth"], time.time() - state.st_mtime):
            return None
    except (OSError, ValueError, KeyError, TypeError, EvolveError):
        return None
    return serving


def _endpoint(server: dict[str, Any]) -> Endpoint:
    return Endpoint(server["url"], model=server["model"], key=server["key"], slots=server["slots"])


def _alive(serving: Serving, birth: int | None, age: float) -> bool:
    if serving.host == socket.gethostname():
        return birth is not None and _birth(serving.pid) == birth
    near = ("127.0.0.1", "::1", "localhost")
    return age < _STALE and all(urlsplit(each.url).hostname not in near for each in serving.endpoints)


def _birth(pid: int) -> int | None:
    """When a process began, in ticks since the machine did, so that a number used again is no life; None if dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])
