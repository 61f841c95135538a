"""How a ledger's file is made, found, recognised and connected to, and what SQLite's errors mean there.

Knows SQLite's modes and error codes; knows nothing of commits.
"""

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlite_utils import Database

from evolve.programs_db.errors import LedgerBusy, LedgerError, LedgerFull, LedgerUnreadable
from evolve.programs_db.schema import APPLICATION_ID, MIGRATIONS, migrate, version_of

__all__ = ["build", "connect", "must_exist", "translated"]

_PAGE_CACHE = 64  # MiB; the indexes over hashes are written at random places
# Pages (32 MB) of the log between two checkpoints, each of which waits for the disk: one of 60,000 commits
# took 0.24 ms of wall time with SQLite's 1,000, 0.17 with 4,000, 0.07 with 16,000 (2 cores, virtual disk).
_CHECKPOINT = 8000


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite raises about `path` into a `LedgerError` that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        # The low byte is the primary code; the driver's own errors have none.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        raise _translation(path, code, error) from error


def _translation(path: Path, code: int, error: sqlite3.Error) -> LedgerError:
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(path)):
        return LedgerFull(f"{path}: the disk is full; what was committed is safe: free some space and resume")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
            return LedgerFull(
                f"{path}: the ledger or its folder cannot be written ({error}); make it writable"
            )
        return LedgerUnreadable(f"{path}: cannot be opened ({error})")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LedgerBusy(f"{path}: another program holds the database ({error}); close it and try again")
    if code == sqlite3.SQLITE_NOTADB:
        return LedgerUnreadable(f"{path}: not a database; give the path of a ledger", exit_code=2)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_IOERR):
        return LedgerUnreadable(f"{path}: damaged or on a failing disk ({error}); restore a copy")
    return LedgerError(f"{path}: {error}")


def _is_full(path: Path) -> bool:
    """Whether less than a page is left where `path` lies: SQLite reports some full disks as I/O errors."""
    try:
        return os.statvfs(path.parent).f_bavail * os.statvfs(path.parent).f_frsize < 65536
    except OSError:
        return False


def must_exist(path: Path) -> None:
    """Raise `LedgerUnreadable` (exit code 2) if there is no file at `path`."""
    if not path.is_file():
        raise LedgerUnreadable(f"{path}: there is no such ledger; check the path", exit_code=2)


def _database(path: Path, query: str) -> Database:
    # Transactions are begun and ended by hand; a Ledger moves between threads only as a whole.
    connection = sqlite3.connect(
        f"{path.as_uri()}?{query}", uri=True, isolation_level=None, check_same_thread=False
    )
    return Database(connection, execute_plugins=False)


def build(path: Path, introduce: Callable[[Database], None]) -> None:
    """Make an empty ledger beside `path` and move it there in one step: nobody sees a half-made one.

    Args:
        path: where it shall be; the caller holds its lock.
        introduce: writes the first rows.
    """
    draft = path.with_name(f".{secrets.token_hex(12)}.part")  # nobody's file has this name
    try:
        db = _database(draft, "mode=rwc")
        try:
            # Nothing is in it yet that a power cut could take; the first checkpoint syncs the whole file.
            db.execute("PRAGMA synchronous = OFF")
            migrate(db)
            introduce(db)
            db.enable_wal()
        finally:
            db.close()
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def connect(path: Path, *, writable: bool) -> Database:
    """A connection to an existing ledger of this version, migrated if it is writable.

    Raises:
        LedgerUnreadable: no ledger, or of another version.
        sqlite3.Error: anything else; to be called within `translated`.
    """
    with contextlib.ExitStack() as undo:
        db = _database(path, "mode=rw") if writable else _read_only(path)
        undo.callback(db.close)
        _recognise(path, db, writable=writable)
        if writable:
            migrate(db)
            # A commit then costs no fsync; a power cut may lose the last ones, kill -9 none.
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA foreign_keys = ON")
            db.execute(f"PRAGMA cache_size = {-_PAGE_CACHE * 1024}")
            db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")
            # The folder or the file may turn out to be read-only: better now than after the first evaluation.
            db.execute("BEGIN IMMEDIATE")
            db.execute("ROLLBACK")
        undo.pop_all()
    return db


def _read_only(path: Path) -> Database:
    """Read beside a writer; and where nobody can write, without the files that readers of a WAL share."""
    db = _database(path, "mode=ro")
    try:
        db.execute("PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError:
        db.close()
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size > 0:
            raise
        db = _database(path, "mode=ro&immutable=1")
    except BaseException:
        db.close()
        raise
    return db


def _recognise(path: Path, db: Database, *, writable: bool) -> None:
    if int(db.execute("PRAGMA application_id").fetchone()[0]) != APPLICATION_ID:
        raise LedgerUnreadable(f"{path}: a database, but not a ledger; give the path of a ledger")
    version, newest = version_of(db), len(MIGRATIONS)
    if version > newest:
        raise LedgerUnreadable(
            f"{path}: written by a newer evolve (schema {version}, this one knows {newest}); update evolve"
        )
    if version < newest and not writable:
        raise LedgerUnreadable(
            f"{path}: written by an older evolve (schema {version}); `evolve resume` brings it up"
        )
