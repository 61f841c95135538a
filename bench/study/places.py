"""Where a study keeps what: its folder, a ledger and an outcome for each run. Knows files, and what is not mixed."""

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from evolve.errors import UsageError
from evolve.fingerprint import fingerprint
from evolve.programs_db.errors import LedgerBusy
from evolve.programs_db.lock import WriterLock
from evolve.proving import mark_of
from evolve.statement import Problem

__all__ = ["Places", "mark", "slug"]

_PASSING = "trial-"
_IDENTITY = ("format", "plan", "engine", "fingerprints")


class Places:
    """The folder of a study.

    Args:
        folder: made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    @property
    def identity(self) -> Path:
        """What the folder is about."""
        return self.folder / "plan.json"

    @property
    def estimate(self) -> Path:
        """What short trials took."""
        return self.folder / "estimate.json"

    @property
    def results(self) -> Path:
        """Everything that came of it."""
        return self.folder / "study.json"

    @property
    def page(self) -> Path:
        """The same for people."""
        return self.folder / "study.md"

    @property
    def log(self) -> Path:
        """What workers wrote to stderr."""
        return self.folder / "workers.log"

    def plot(self, label: str) -> Path:
        """Anytime curves of a problem."""
        return self.folder / f"curves-{slug(label)}.svg"

    def _home(self, label: str) -> Path:
        return self.folder / "runs" / slug(label)

    def given(self, label: str) -> Path:
        """What the seed program and the baselines of a problem are worth."""
        return self._home(label) / "given.json"

    def ledger(self, label: str, strategy: str, seed: int) -> Path:
        """The ledger of a run."""
        return self._home(label) / f"{strategy}-{seed}.db"

    def outcome(self, label: str, strategy: str, seed: int) -> Path:
        """What is left of a run that has ended; where it is, the run is not repeated."""
        return self._home(label) / f"{strategy}-{seed}.json"

    def write(self, path: Path, told: Mapping[str, Any]) -> None:
        """Plain data as JSON; the file is there whole or not at all."""
        self.write_text(path, json.dumps(told, separators=(",", ":")) + "\n")

    def write_text(self, path: Path, text: str) -> None:
        """A text, likewise."""
        path.parent.mkdir(parents=True, exist_ok=True)
        passing = path.with_name(f"{path.name}.{os.getpid()}.part")
        passing.write_text(text, encoding="utf-8")
        passing.replace(path)

    def read(self, path: Path, *keys: str) -> Any:
        """What `write` wrote; None where nothing is.

        Raises:
            UsageError: something else is there, or it lacks one of `keys`.
        """
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (UnicodeDecodeError, json.JSONDecodeError):
            told = None
        if not isinstance(told, dict) or not told.keys() >= set(keys):
            mend = "give another folder" if path == self.identity else "remove it, and it is made again"
            raise UsageError(f"{path}: not the JSON that a study writes; {mend}")
        return told

    def remove(self, ledger: Path) -> None:
        """A ledger with what belongs to it."""
        for suffix in ("", "-wal", "-shm", ".lock"):
            Path(f"{ledger}{suffix}").unlink(missing_ok=True)

    def set_aside(self, ledger: Path) -> Path:
        """A ledger with what belongs to it gets another name, for who would mend it; where it lies then."""
        names = (ledger.with_name(f"{ledger.name}.spoilt{number or ''}") for number in count())
        aside = next(name for name in names if not name.exists())
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{ledger}{suffix}").rename(f"{aside}{suffix}")
        return aside

    def tidy(self, ledger: Path) -> None:
        """Leave of a run that has ended its ledger alone, where all of it is in there."""
        log = Path(f"{ledger}-wal")
        if not log.exists() or not log.stat().st_size:
            for suffix in ("-wal", "-shm", ".lock"):
                Path(f"{ledger}{suffix}").unlink(missing_ok=True)

    @contextlib.contextmanager
    def passing(self) -> Iterator[Path]:
        """A folder beside the runs that goes away."""
        with tempfile.TemporaryDirectory(
            prefix=_PASSING, dir=self.folder, ignore_cleanup_errors=True
        ) as name:
            yield Path(name)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other studies out of this folder.

        Raises:
            UsageError: another process is at it.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise UsageError(f"{self.folder}: a file is in the way; give another folder with -o") from None
        try:
            lock = WriterLock(self.folder / "study")
        except LedgerBusy as busy:
            who = "another process" if busy.pid is None else f"process {busy.pid}"
            raise UsageError(f"{self.folder}: {who} is at this study; wait for it, or stop it") from None
        try:
            for left in self.folder.glob(f"{_PASSING}*"):  # of a worker that was killed
                shutil.rmtree(left, ignore_errors=True)
            yield
        finally:
            lock.release()

    def expect_problem(self, label: str, problem: Problem) -> None:
        """Make sure that a problem is still the one that this folder is about.

        Raises:
            UsageError: its file, or a library, was changed while the study ran.
        """
        there = self.read(self.identity, *_IDENTITY)
        if there is not None and there["fingerprints"].get(label) != mark(problem):
            raise UsageError(
                "it, or a library that scores it, has changed since the study began; undo that, or give another "
                "folder with -o"
            )

    def expect(self, identity: Mapping[str, Any]) -> None:
        """Make sure that the folder is about this, or about nothing yet.

        Raises:
            UsageError: it is about something else; runs of two plans, engines or problems are never mixed.
        """
        there = self.read(self.identity, *_IDENTITY)
        if there is None:
            if (self.folder / "runs").exists():
                raise UsageError(f"{self.folder}: it has runs and no plan.json; give another folder")
            self.write(self.identity, identity)
            return
        for differs in _differences(there, identity):
            raise UsageError(f"{self.folder}: {differs}; runs are not mixed: give another folder with -o")
        now, then = identity["engine"], there["engine"]
        if then != now:
            raise UsageError(
                f"{self.folder}: it was made by another version of the engine ({then['version']}, source "
                f"{then['source'][:15]}; now {now['version']}, {now['source'][:15]}); runs are not mixed: give another "
                f"folder with -o (and --against {self.folder} to compare)"
            )


def mark(problem: Problem) -> str:
    """What figures of a problem depend on, whatever the version of the engine: unseen cases too."""
    unseen = [mark_of(list(cases)) for cases in problem.unseen.values()]
    return " ".join([fingerprint(problem, engine=False), *unseen])


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    if there.get("format") != here["format"]:
        yield "it was made by another version of `evolve study`"
        return
    for key, asked in here["plan"].items():
        if there["plan"].get(key) != asked:
            yield f"it was made by another plan: its {key} were others than now"
    for label, mark in here["fingerprints"].items():
        if there["fingerprints"].get(label) != mark:
            yield f"problem {label!r}, or a library that scores it, has changed since"


def slug(label: str) -> str:
    """What files of a problem are named after."""
    return re.sub(r"[^A-Za-z0-9._=-]+", "-", label)
