"""The rows that a ledger begins with: what it is about, and how it was told to search.

Knows these two tables. A problem that has changed gets a row of its own when its programs are scored again.
"""

import time
from collections.abc import Mapping
from typing import Any

from sqlite_utils import Database

from evolve.programs_db.rows import dump

__all__ = ["insert_problem", "introduce"]


def introduce(db: Database, problem: Mapping[str, Any], run: Mapping[str, Any], fingerprint: str) -> None:
    """The rows that every ledger begins with; arguments as of `Ledger.create`."""
    insert_problem(db, problem, fingerprint)
    config = dict(run)
    seed, version = config.pop("seed", None), config.pop("version", "")
    db.execute(
        "INSERT INTO runs (id, problem, seed, config, version, at) VALUES (1, 1, ?, ?, ?, ?)",
        (seed, dump(config), version, time.time()),
    )


def insert_problem(db: Database, problem: Mapping[str, Any], fingerprint: str) -> None:
    """What a ledger is about from now on."""
    about = dict(problem)
    name, path = about.pop("name"), about.pop("path", None)
    db.execute(
        "INSERT INTO problems (name, parameters, fingerprint, description, path, extra) VALUES (?, ?, ?, ?, ?, ?)",
        (
            name,
            dump(about.pop("parameters", {})),
            fingerprint,
            about.pop("description", ""),
            None if path is None else str(path),
            dump(about),
        ),
    )
