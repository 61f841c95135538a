"""What can be asked of a ledger's database: what it is about, its commits in order, whether it is sound.

Knows the tables; writes nothing, and knows nothing of locks and sessions (`ledger.py` does).
"""

import contextlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from evolve.programs_db import audit, opening
from evolve.programs_db.claims import Ruling, rulings
from evolve.programs_db.dialogue import Dialogue, Entry, Spent, dialogues, entries, spent, text_of
from evolve.programs_db.records import Commit, Program
from evolve.programs_db.rows import SELECTS, commit_of

__all__ = ["Reading"]

_REPLAY_BATCH = 500  # commits read at a time: no cursor stays open while the caller works


class Reading:
    """The reading half of a `Ledger`."""

    def __init__(self, path: Path, db: Database) -> None:
        self.path = path
        self._db = db

    def flush(self) -> None:
        """Make sure that what was recorded can be read; a writer overrides it."""

    @property
    def problem(self) -> dict[str, Any]:
        """What `create` was told about the problem, or the last rescore since."""
        row = self.query(
            "SELECT name, parameters, description, path, extra FROM problems ORDER BY id DESC LIMIT 1"
        )[0]
        parameters, extra = json.loads(row.pop("parameters")), json.loads(row.pop("extra"))
        return {**row, "parameters": parameters, **extra}

    @property
    def run(self) -> dict[str, Any]:
        """What `create` was told about the run."""
        row = self.query("SELECT seed, version, config FROM runs")[0]
        config = json.loads(row.pop("config"))
        return {**row, **config}

    @property
    def fingerprint(self) -> str:
        """What the scores of the last session were made under."""
        return str(
            self._one(
                "SELECT coalesce((SELECT fingerprint FROM sessions ORDER BY id DESC LIMIT 1), "
                "(SELECT fingerprint FROM problems ORDER BY id LIMIT 1))"
            )
        )

    @property
    def commits(self) -> int:
        """How many commits were recorded."""
        return int(self._one("SELECT coalesce(max(arrival), 0) FROM proposals"))

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The rows that a SELECT answers, as dicts."""
        self.flush()
        with opening.translated(self.path):
            return list(self._db.query(sql, dict(parameters or {})))

    def replay(self, fingerprint: str | None = None) -> Iterator[Commit]:
        """Every commit in the order in which it was recorded; those recorded meanwhile are left out.

        Args:
            fingerprint: take the evaluations made under it (None for a program that has none under it); by
                default those that were recorded with the commits.
        """
        self.flush()
        last = self.commits
        for after, upto in pairwise([*range(0, last, _REPLAY_BATCH), last]):
            with opening.translated(self.path):
                batch = self._batch({"after": after, "upto": upto, "fingerprint": fingerprint})
            yield from batch

    def event_programs(self) -> frozenset[str]:
        """Ids of all founders and migrants: what a replay under other bins must be able to find again."""
        rows = self.query("SELECT programs FROM events")
        return frozenset(program for row in rows for program in json.loads(row["programs"]))

    def unscored(self, fingerprint: str) -> Iterator[Program]:
        """The programs that were evaluated, but not under `fingerprint`: what a rescore has to do."""
        for row in self.query(
            "SELECT g.id, t.text AS source, g.canonical, g.structure, g.nodes "
            "FROM programs g JOIN texts t ON t.hash = g.id "
            "WHERE EXISTS (SELECT 1 FROM evaluations e WHERE e.program = g.id) AND NOT EXISTS "
            "(SELECT 1 FROM evaluations e WHERE e.program = g.id AND e.fingerprint = :fingerprint) "
            "ORDER BY g.rowid",
            {"fingerprint": fingerprint},
        ):
            yield Program(**row)

    def dialogues(self) -> list[Dialogue]:
        """Every request to a model in the order of writing, with what came of it."""
        self.flush()
        with opening.translated(self.path), self.snapshot():
            return list(dialogues(self._db))

    def dialogue(self, request: int) -> Dialogue:
        """One request, by the id of its row."""
        self.flush()
        with opening.translated(self.path), self.snapshot():
            (found,) = dialogues(self._db, request)
        return found

    def entries(self) -> list[Entry]:
        """Every request to a model in the order of writing, without the texts."""
        self.flush()
        with opening.translated(self.path):
            return list(entries(self._db))

    @property
    def asked(self) -> int:
        """How many requests to models were recorded."""
        return int(self._one("SELECT count(*) FROM requests"))

    def said(self, number: int, most: int) -> str:
        """What a model wrote last for a proposal, where no request asks for more than `most`; "" if nothing."""
        with opening.translated(self.path):
            return text_of(self._db, number, most)

    def program(self, name: str) -> Program:
        """The program with an id.

        Raises:
            KeyError: it is not in this ledger.
        """
        rows = self.query(
            "SELECT g.id, t.text AS source, g.canonical, g.structure, g.nodes "
            "FROM programs g JOIN texts t ON t.hash = g.id WHERE g.id = :name",
            {"name": name},
        )
        if not rows:
            raise KeyError(name)
        return Program(**rows[0])

    def interventions(self, kind: str) -> list[tuple[int, dict[str, Any]]]:
        """What changed the run from outside, in order: the commits that there were, and plain data."""
        rows = self.query(
            "SELECT arrival, detail FROM interventions WHERE kind = :kind ORDER BY id", {"kind": kind}
        )
        return [(row["arrival"], json.loads(row["detail"])) for row in rows]

    def rulings(self, program: str | None = None) -> list[Ruling]:
        """What verifiers said, in order; of one program, or of all."""
        self.flush()
        with opening.translated(self.path):
            return rulings(self._db, program)

    def spent(self) -> tuple[Spent, Spent]:
        """All tokens of the run so far, as servers counted them: of replies, and of tries that failed."""
        self.flush()
        with opening.translated(self.path):
            return spent(self._db)

    def content_hash(self) -> str:
        """The hash of all content, tagged "b2:"; see `schema.Table.measured` for what it leaves out.

        Equal for equal commits made under equal fingerprints, whatever the machine, the sessions, the batches
        and the clocks.
        """
        self.flush()
        with opening.translated(self.path), self.snapshot():
            return audit.content_hash(self._db)

    def integrity(self) -> list[str]:
        """What is wrong with this ledger, a sentence each; empty if nothing is."""
        self.flush()
        with opening.translated(self.path), self.snapshot():
            return audit.integrity(self._db)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """What is read inside is one state, whatever another process commits meanwhile; may be nested."""
        nested = self._db.conn.in_transaction
        if nested:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            if self._db.conn.in_transaction:
                self._db.execute("ROLLBACK")

    def _batch(self, span: Mapping[str, Any]) -> list[Commit]:
        """The commits of a span of arrivals."""
        parts: dict[str, dict[int, list[tuple[Any, ...]]]] = {}
        for part in ("parents", "evaluations", "trials", "events"):
            select = "rescored" if part == "evaluations" and span["fingerprint"] is not None else part
            found = defaultdict(list)
            for number, *columns in self._db.execute(SELECTS[select], dict(span)):
                found[number].append(tuple(columns))
            parts[part] = found
        rows = self._db.execute(SELECTS["proposals"], dict(span)).fetchall()
        return [commit_of(row, parts) for row in rows]

    def _one(self, sql: str) -> Any:
        with opening.translated(self.path):
            return self._db.execute(sql).fetchone()[0]
