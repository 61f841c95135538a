"""Whether a ledger is what it claims: the hash of a text, the hash of all content, and a check of the whole.

Knows the schema and reads only; knows nothing of what a search makes of the rows.
"""

import hashlib
from collections.abc import Iterator
from functools import lru_cache

from sqlite_utils import Database

from evolve.programs_db.schema import TABLES, content_columns

__all__ = ["content_hash", "integrity", "text_hash"]

_TAG = "b2:"
_BATCH = 1000  # rows held at a time


@lru_cache(maxsize=1024)  # the beginnings of prompts come again and again
def text_hash(text: str, digest_size: int = 16) -> str:
    """The BLAKE2b hash of `text` in hexadecimal, tagged "b2:"; the id of a program is that of its source.

    Args:
        text: any text.
        digest_size: bytes, 1..64; 16 keep two of 10^15 texts apart with a chance of 1.5e-9.
    """
    return _TAG + hashlib.blake2b(text.encode(), digest_size=digest_size).hexdigest()


def content_hash(db: Database) -> str:
    """The hash of every value that is not measured, whatever the batches and sessions in which it came.

    Rows go in as Python's `ascii` of a tuple: floats by their shortest exact form, strings escaped, so that
    no two rows read alike.
    """
    digest = hashlib.blake2b(digest_size=16)
    for table in TABLES:
        if not table.hashed:
            continue
        columns = content_columns(db, table)
        digest.update(f"{table.name} {' '.join(columns)}\n".encode())
        # Names come from the schema, never from data.
        cursor = db.execute(f"SELECT {', '.join(columns)} FROM {table.name} ORDER BY {table.order}")  # noqa: S608
        while rows := cursor.fetchmany(_BATCH):
            digest.update("\n".join(map(ascii, rows)).encode())
            digest.update(b"\n")
    return _TAG + digest.hexdigest()


def integrity(db: Database) -> list[str]:
    """What is wrong with a ledger, a sentence each; empty if nothing is.

    Checked: SQLite's own structure, foreign keys, that every text has the hash it is filed under (so that
    every program is the source it claims), and that commits are numbered by arrival without a gap.
    """
    return [*_structure(db), *_foreign_keys(db), *_texts(db), *_arrivals(db)]


def _structure(db: Database) -> Iterator[str]:
    for (sentence,) in db.execute("PRAGMA integrity_check"):
        if sentence != "ok":
            yield f"database: {sentence}"


def _foreign_keys(db: Database) -> Iterator[str]:
    for table, row, parent, _ in db.execute("PRAGMA foreign_key_check"):
        yield f"{table}: row {row} refers to a row of {parent} that does not exist"


def _texts(db: Database) -> Iterator[str]:
    for name, text in db.execute("SELECT hash, text FROM texts"):
        # The size of the digest is whatever the name holds: two hexadecimal digits a byte.
        size = (len(name) - len(_TAG)) // 2
        if not 1 <= size <= 64 or text_hash(text, size) != name:
            yield f"texts: {name} is not the hash of its text"


def _arrivals(db: Database) -> Iterator[str]:
    count, first, last = db.execute("SELECT count(*), min(arrival), max(arrival) FROM proposals").fetchone()
    if count and (first != 1 or last != count):
        yield f"proposals: {count} commits are numbered {first}..{last} by arrival; some are missing"
