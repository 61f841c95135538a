"""Runs of the suite: one ledger for each problem and seed, and what its document says."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import evolve
from evolve.errors import EvolveError
from evolve.loader import load, shipped
from evolve.programs_db.ledger import Ledger
from evolve.statement import Problem
from evolve.summary import ended_document

__all__ = ["SECONDS", "SEEDS", "Course", "Row", "course_of", "rows"]

SEEDS = range(3)
SECONDS = 120


@dataclass(frozen=True)
class Course:
    """One run: its document, and its anytime curve, (seconds of searching, best objective from there on)."""

    seed: int
    document: dict[str, Any]
    curve: list[tuple[float, float]]

    @property
    def best(self) -> float:
        """The best objective on the training cases."""
        return float(self.document["best"]["value"])


@dataclass(frozen=True)
class Row:
    """A problem and its runs; `missing` says why there are none."""

    name: str
    problem: Problem | None
    courses: tuple[Course, ...] = ()
    missing: str = ""


def rows(folder: Path, only: list[str]) -> list[Row]:
    """Every shipped problem, run where it has not been."""
    found = []
    for name in sorted(shipped()):
        if only and name not in only:
            continue
        try:
            problem = load(name)
        except EvolveError as error:
            found.append(Row(name, None, missing=str(error).partition(": ")[2] or str(error)))
            continue
        found.append(Row(name, problem, tuple(_course(folder, name, seed) for seed in SEEDS)))
    return found


def _course(folder: Path, name: str, seed: int) -> Course:
    ledger = folder / f"{name}-{seed}.db"
    if not _ended(ledger):
        for suffix in ("", "-wal", "-shm", ".lock"):
            Path(f"{ledger}{suffix}").unlink(missing_ok=True)
        command = [str(Path(sys.executable).parent / "evolve"), "run", name, "--budget", f"{SECONDS}s"]
        command += ["--seed", str(seed), "--workers", "2", "--ledger", str(ledger), "--quiet"]
        print(f"{name}, seed {seed}", file=sys.stderr)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return course_of(ledger, seed)


def course_of(ledger: Path, seed: int) -> Course:
    """What a ledger tells of its run."""
    run = evolve.open_run(ledger)
    with Ledger.read(ledger) as book:
        at = {row["number"]: row["elapsed"] for row in book.query("SELECT number, elapsed FROM proposals")}
    curve = [(at[point.number], point.objective) for point in run.curve()]
    return Course(seed, run.document, curve)


def _ended(ledger: Path) -> bool:
    if not ledger.is_file():
        return False
    with Ledger.read(ledger) as book:
        told = ended_document(book)
    return told is not None and told["stopped"] == "budget"
