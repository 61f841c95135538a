"""The engines that are measured: how each is started on a problem and a server, and how far it has come.

One more is one more class with the two methods of `Contender`.
"""

import contextlib
import os
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.perf.kept_full.settings import CORES, Setting, problem

__all__ = ["ROOT", "ClientAlone", "Contender", "Job", "Launch", "Ours"]

ROOT = Path(__file__).parents[3]
"""The checkout: `python -m bench.perf...` is run there."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a contender shall do.

    Args:
        folder: empty, and its own; all that it leaves here counts as what it keeps on disk.
        given: where its inputs are put.
        setting: the server and the evaluator.
        url: of the server.
        programs: how many it shall make.
    """

    folder: Path
    given: Path
    setting: Setting
    url: str
    programs: int


@dataclass(frozen=True, slots=True)
class Launch:
    """How it is started.

    Args:
        command: its command line.
        made: how many programs it has recorded so far; None for one that records none: its replies are counted.
        environment: what is added to this process's.
    """

    command: Sequence[str]
    made: Callable[[], int] | None
    environment: Mapping[str, str] = field(default_factory=dict)


class Contender(Protocol):
    """An engine."""

    @property
    def name(self) -> str:
        """As it is written in tables."""
        ...

    def launch(self, job: Job) -> Launch:
        """Write its inputs and say how it is started."""
        ...


@dataclass(frozen=True, slots=True)
class Ours:
    """`evolve run`, the model its only mutator.

    Args:
        options: more of its command line.
    """

    options: Sequence[str] = ("--ask", "syntactic=no", "--ask", "lessons=0", "--ask", "tune=0")
    name: str = "evolve"

    def launch(self, job: Job) -> Launch:
        """The programs that count are those whose evaluation is in the ledger."""
        file, ledger = job.given / "level.py", job.folder / "level.db"
        file.write_text(problem(job.setting.busy))
        command = [
            *(sys.executable, "-m", "evolve", "run", str(file), "--llm", job.url),
            *("--budget", str(job.programs), "--workers", str(CORES), "--ledger", str(ledger), "--quiet"),
            *self.options,
        ]
        return Launch(command, lambda: _evaluations(ledger))


def _evaluations(ledger: Path) -> int:
    """Programs with an evaluation; 0 as long as there is no ledger."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as book:
            return int(book.execute("SELECT max(id) FROM evaluations").fetchone()[0] or 0)
    except sqlite3.OperationalError:  # not made yet
        return 0


@dataclass(frozen=True, slots=True)
class ClientAlone:
    """Our client without an engine: it asks, and throws the replies away."""

    name: str = "evolve's client alone"

    def launch(self, job: Job) -> Launch:
        """Nothing is recorded: replies are what is counted."""
        command = [
            *(sys.executable, "-m", "bench.perf.kept_full.client_alone", job.url, str(job.programs)),
            *("--waiting", str(2 * job.setting.slots + 64)),
        ]
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        return Launch(command, None, {"PYTHONPATH": path})
