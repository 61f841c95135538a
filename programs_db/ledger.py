"""The ledger of a run: the only writer of its database. `reading.py` is its other half.

Knows files, transactions and sessions; knows nothing of problems, archives or how a search decides.
"""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from sqlite_utils import Database

from evolve.programs_db import opening
from evolve.programs_db.claims import Ruling, insert_ruling
from evolve.programs_db.dialogue import Answered, Asked, Spent, insert_answered, insert_asked, insert_wasted
from evolve.programs_db.errors import LedgerError, LedgerMismatch
from evolve.programs_db.introduction import insert_problem, introduce
from evolve.programs_db.lock import WriterLock
from evolve.programs_db.reading import Reading
from evolve.programs_db.records import Commit, Elite, Evaluation
from evolve.programs_db.rows import INSERTS, Rows, Stamp, dump, evaluation_rows, rows_of

__all__ = ["Ledger"]


class _Cells(Protocol):
    """What `write_elites` needs of an archive."""

    @property
    def islands(self) -> int: ...

    def cells(self, island: int) -> Mapping[tuple[int, ...], Elite]: ...


class Ledger(Reading):
    """The append-only record of one run, for one thread at a time.

    Made by `create`, `open` or `read`; usable as a context manager, which closes it. `record` buffers,
    `flush` commits; every question flushes first, so that a writer reads what it has recorded.

    Raises:
        LedgerError: or a subclass, from any method, where the disk or the file does not play along.
    """

    def __init__(self, path: Path, db: Database, lock: WriterLock | None) -> None:
        super().__init__(path, db)
        self.session: int | None = None
        self._lock = lock
        self._stamp: tuple[int, str] | None = None
        self._pending: list[Rows] = []
        self._arrival = super().commits
        # Numbers 0.._low-1 are all recorded, and those in _ahead: commits may arrive out of order.
        self._low, self._ahead = self._numbers()

    # Opening and closing

    @classmethod
    def create(
        cls, path: str | Path, problem: Mapping[str, Any], run: Mapping[str, Any], fingerprint: str
    ) -> Self:
        """A new ledger, open for writing. It appears under its name whole or not at all.

        Args:
            path: a file that does not exist.
            problem: name, parameters, description and path; any other plain data (its objective, measures)
                are kept for readers that do not load the problem.
            run: seed and version; any other plain data are kept as the config.
            fingerprint: what scores of this problem are made under.

        Raises:
            LedgerError: the file exists, or its folder does not.
            LedgerBusy: another process writes there.
            LedgerFull: the folder cannot be written.
        """
        path = Path(path).resolve()
        if not path.parent.is_dir():
            raise LedgerError(f"{path}: there is no folder {path.parent}; make it", exit_code=2)
        lock = WriterLock(path)
        with contextlib.ExitStack() as undo:
            undo.callback(lock.release)
            if path.exists():
                raise LedgerError(f"{path}: the file exists; resume it or choose another name", exit_code=2)
            with opening.translated(path):
                opening.build(path, lambda db: introduce(db, problem, run, fingerprint))
            ledger = cls._connected(path, lock)
            undo.pop_all()
        return ledger

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """An existing ledger, to continue it.

        Raises:
            LedgerBusy: another process writes it.
            LedgerUnreadable: missing, no ledger, damaged, or of a newer version.
            LedgerFull: the folder cannot be written.
        """
        path = Path(path).resolve()
        opening.must_exist(path)
        lock = WriterLock(path)
        with contextlib.ExitStack() as undo:
            undo.callback(lock.release)
            ledger = cls._connected(path, lock)
            undo.pop_all()
        return ledger

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """An existing ledger, to read only; another process may be writing it.

        Raises:
            LedgerUnreadable: missing, no ledger, damaged, or of another version.
        """
        path = Path(path).resolve()
        opening.must_exist(path)
        return cls._connected(path, None)

    @classmethod
    def _connected(cls, path: Path, lock: WriterLock | None) -> Self:
        with opening.translated(path), contextlib.ExitStack() as undo:
            db = opening.connect(path, writable=lock is not None)
            undo.callback(db.close)
            ledger = cls(path, db, lock)
            undo.pop_all()
        return ledger

    def close(self) -> None:
        """Flush, and let the next writer in. Closing twice is harmless."""
        try:
            self.flush()
        finally:
            self._pending.clear()
            self._db.close()
            if self._lock is not None:
                self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def commits(self) -> int:
        """How many commits were recorded, those in the buffer included."""
        return super().commits if self._lock is None else self._arrival

    @property
    def next_number(self) -> int:
        """One more than the largest proposal number recorded; 0 if none is."""
        return max(self._ahead, default=self._low - 1) + 1

    def missing(self) -> list[int]:
        """Proposal numbers below `next_number` that never arrived: they were in flight when a run died."""
        return [number for number in range(self._low, self.next_number) if number not in self._ahead]

    def expect(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Make sure that this ledger is about the given problem.

        Raises:
            LedgerMismatch: it is about another one, or other parameters.
        """
        mine = self.problem
        theirs = {"name": name, "parameters": json.loads(dump(parameters))}
        for key, wanted in theirs.items():
            if mine[key] != wanted:
                raise LedgerMismatch(
                    f"{self.path}: its problem has {key} {mine[key]!r}, not {wanted!r}; choose another ledger"
                )

    # Writing

    def begin_session(
        self,
        fingerprint: str,
        machine: Mapping[str, Any],
        argv: Sequence[str],
        budget: Any,
        *,
        rescored: Mapping[str, Any] | None = None,
    ) -> int:
        """Begin to write: what follows is recorded under this fingerprint, until the next session.

        Args:
            fingerprint: what evaluations are made under from now on.
            machine: plain data about it.
            argv: the command.
            budget: plain data.
            rescored: the problem as it is now, as for `create`; its fingerprint may differ from the last session's.

        Returns:
            The id of the session: 1, 2, 3, ...

        Raises:
            LedgerMismatch: another fingerprint than that of the last session, and not a rescore.
        """
        if fingerprint != self.fingerprint and rescored is None:
            raise LedgerMismatch(
                f"{self.path}: its scores were made under fingerprint {self.fingerprint}, not {fingerprint}; "
                "`evolve rescore` evaluates its programs again"
            )
        values = (
            fingerprint,
            dump(machine),
            dump(list(argv)),
            dump(budget),
            int(rescored is not None),
            os.getpid(),
            time.time(),
        )
        with self._transaction():
            if rescored is not None:
                insert_problem(self._db, rescored, fingerprint)
            cursor = self._db.execute(
                "INSERT INTO sessions (run, fingerprint, machine, argv, budget, rescore, pid, at) "
                "VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        self.session = int(cursor.lastrowid or 0)
        self._stamp = self.session, fingerprint
        return self.session

    def end_session(self, why: str, totals: Mapping[str, Any]) -> None:
        """Say how the session ended ("budget", "interrupted", ...), with totals as plain data."""
        session = self._writing()[0]
        self.flush()
        with self._transaction():
            self._db.execute(
                "INSERT INTO endings (session, why, totals, at) VALUES (?, ?, ?, ?)",
                (session, why, dump(totals), time.time()),
            )
        self.session = self._stamp = None

    def record(self, commit: Commit) -> None:
        """Take one commit into the buffer; it is safe once `flush` returns.

        Raises:
            LedgerError: its number was recorded before, its parts do not belong together, a value is not
                plain data, or no session was begun.
        """
        number = commit.proposal.number
        if number < self._low or number in self._ahead:
            raise LedgerError(f"{self.path}: proposal {number} was recorded before", exit_code=2)
        stamp = Stamp(*self._writing(), time.time())
        try:
            rows = rows_of(commit, self._arrival + 1, stamp)
        except (TypeError, ValueError) as error:
            raise LedgerError(f"{self.path}: proposal {number}: {error}") from error
        self._arrival += 1
        self._pending.append(rows)
        self._ahead.add(number)
        while self._low in self._ahead:
            self._ahead.remove(self._low)
            self._low += 1

    def record_asked(self, asked: Asked) -> int:
        """Write a request to a model, at once, after all commits that it has seen.

        Returns:
            The id that its reply is recorded under.

        Raises:
            LedgerError: this attempt at these proposals was recorded before.
        """
        self.flush()
        stamp = Stamp(*self._writing(), time.time())
        with self._transaction():
            return insert_asked(self._db, asked, stamp)

    def record_answered(self, request: int, answered: Answered) -> None:
        """Write what came of a request, at once: what was paid for is safe before anything else happens."""
        stamp = Stamp(*self._writing(), time.time())
        with self._transaction():
            insert_answered(self._db, request, answered, stamp)

    def record_wasted(self, request: int, spent: Spent) -> None:
        """Write a try of a request that failed and was billed, at once."""
        stamp = Stamp(*self._writing(), time.time())
        with self._transaction():
            insert_wasted(self._db, request, spent, stamp)

    def record_intervention(self, kind: str, detail: Mapping[str, Any]) -> None:
        """Write down what changes the run from here on, for instance "lessons"."""
        self.flush()
        with self._transaction():
            self._db.execute(
                "INSERT INTO interventions (arrival, kind, detail, at) VALUES (?, ?, ?, ?)",
                (self._arrival, kind, dump(detail), time.time()),
            )

    def record_ruling(self, ruling: Ruling) -> None:
        """Write what a verifier said of a program, at once."""
        self.flush()
        with self._transaction():
            insert_ruling(self._db, ruling)

    def record_rescore(self, evaluations: Iterable[Evaluation]) -> None:
        """Take evaluations of known programs, made under the session's fingerprint, into the buffer."""
        stamp = Stamp(*self._writing(), time.time())
        self._pending.extend(evaluation_rows(evaluation, stamp) for evaluation in evaluations)

    def flush(self) -> None:
        """Commit everything recorded so far in one transaction.

        Raises:
            LedgerFull: nothing of it was committed and all of it stays buffered: flush again when there is
                space.
            LedgerError: a commit names a program or a proposal that was never recorded. Those before it are
                committed; it and those after it are dropped.
        """
        if not self._pending:
            return
        try:
            self._write(self._pending)
        except LedgerError as error:
            if not isinstance(error.__cause__, sqlite3.IntegrityError):
                raise
            self._write_one_by_one()
        self._pending.clear()

    def write_elites(self, archive: _Cells) -> None:
        """Replace the cache of elites by those of `archive`, which must have seen every commit recorded."""
        self.flush()
        rows = [
            (island, dump(cell), elite.program.id, elite.number, elite.objective, self._arrival)
            for island in range(archive.islands)
            for cell, elite in archive.cells(island).items()
        ]
        with self._transaction():
            self._db.execute("DELETE FROM elites")
            self._db.conn.executemany("INSERT INTO elites VALUES (?, ?, ?, ?, ?, ?)", rows)

    # Inside

    def _writing(self) -> tuple[int, str]:
        """The session and its fingerprint."""
        if self._lock is None:
            raise LedgerError(f"{self.path}: opened to be read only; use Ledger.open", exit_code=2)
        if self._stamp is None:
            raise LedgerError(f"{self.path}: no session; call begin_session first", exit_code=2)
        return self._stamp

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of what is done inside, or nothing."""
        if self._lock is None:
            self._writing()
        with opening.translated(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                # A full disk may have rolled back already.
                if self._db.conn.in_transaction:
                    self._db.execute("ROLLBACK")

    def _write(self, batch: Sequence[Rows]) -> None:
        with self._transaction():
            for insert, rows in zip(INSERTS, Rows.merged(batch), strict=True):
                if rows:
                    # Not through sqlite-utils: row by row it costs 0.34 ms a commit (2 cores), this 0.1 ms.
                    self._db.conn.executemany(insert, rows)

    def _write_one_by_one(self) -> None:
        """Find the commit that breaks a constraint; keep those before it."""
        pending, self._pending = self._pending, []
        for rows in pending:
            try:
                self._write([rows])
            except LedgerError as error:
                self._arrival = super().commits
                self._low, self._ahead = self._numbers()
                what = f"proposal {rows.proposals[0][0]}" if rows.proposals else "a rescored evaluation"
                raise LedgerError(
                    f"{self.path}: {what} names a program or proposal that was never recorded "
                    f"({error.__cause__}); it and what was recorded after it are dropped"
                ) from error

    def _numbers(self) -> tuple[int, set[int]]:
        """The smallest proposal number that is not recorded, and those beyond it that are."""
        count, last = self._db.execute("SELECT count(*), max(number) FROM proposals").fetchone()
        if count == 0 or last == count - 1:
            return count, set()
        numbers = {number for (number,) in self._db.execute("SELECT number FROM proposals")}
        low = next(number for number in range(count + 1) if number not in numbers)
        return low, {number for number in numbers if number > low}
