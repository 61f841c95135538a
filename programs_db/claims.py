"""Verdicts on programs, as records and as rows of the ledger. They are about what a run found, and no part of it."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from evolve.programs_db.rows import dump

__all__ = ["Ruling", "insert_ruling", "rulings"]


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a verifier said of a program.

    Args:
        program: its id.
        fingerprint: under which its score was made.
        verifier: name and version.
        verdict: "certified", "confirmed", "refuted" or "unverified".
        evidence: plain data; has "why", a sentence.
        seconds: that it took.
        at: seconds since 1970; 0 for one that is not yet written.
    """

    program: str
    fingerprint: str
    verifier: str
    verdict: str
    evidence: Mapping[str, Any]
    seconds: float
    at: float = 0.0


def insert_ruling(db: Database, ruling: Ruling) -> None:
    """Write a ruling. To be called within a transaction."""
    db.execute(
        "INSERT INTO verdicts (program, fingerprint, verifier, verdict, evidence, seconds, at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            *(ruling.program, ruling.fingerprint, ruling.verifier, ruling.verdict, dump(ruling.evidence)),
            *(ruling.seconds, ruling.at or time.time()),
        ),
    )


def rulings(db: Database, only: str | None = None) -> list[Ruling]:
    """What was said so far, in order; of one program, or of all."""
    rows = db.execute(
        "SELECT program, fingerprint, verifier, verdict, evidence, seconds, at FROM verdicts "
        "WHERE program = :program OR :program IS NULL ORDER BY id",
        {"program": only},
    )
    return [
        Ruling(program, mark, verifier, verdict, json.loads(evidence), seconds, at)
        for program, mark, verifier, verdict, evidence, seconds, at in rows
    ]
