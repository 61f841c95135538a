"""The tables of a ledger, which of their columns are measured, and how an older file becomes a newer one.

Knows SQL and nothing of what the rows mean to a search; `rows.py` fills them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlite_utils import Database

__all__ = ["APPLICATION_ID", "MIGRATIONS", "TABLES", "Table", "content_columns", "migrate", "version_of"]

APPLICATION_ID = 0x65766F6C  # "evol" in the header of the file: tells a ledger from any other database


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Args:
        name: its name.
        body: columns and constraints, as in CREATE TABLE.
        measured: columns that depend on the machine, the clock or the circumstances of a run (its sessions,
            its config, where it ran) and not on what was asked and found: outside the content hash.
        order: ORDER BY of the content hash; must not depend on batches or on measured columns.
        hashed: whether the content hash reads the table at all.
        append_only: whether UPDATE and DELETE are refused.
        rowid: False for thin rows that live in their primary key.
    """

    name: str
    body: str
    order: str
    measured: tuple[str, ...] = ()
    hashed: bool = True
    append_only: bool = True
    rowid: bool = True


# Ids of requests depend on the order in which they were sent.
_REQUEST_ORDER = (
    "(SELECT first FROM requests WHERE id = request), (SELECT attempt FROM requests WHERE id = request), "
    "(SELECT kind FROM requests WHERE id = request)"
)

# Scores, measures and other structured values are JSON text: compact, and open to SQLite's json_extract.
# A column that is ANY keeps an integer an integer and -0.0 a -0.0, which REAL would not.
TABLES: tuple[Table, ...] = (
    Table(
        "problems",
        """id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        parameters TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        description TEXT NOT NULL,
        path TEXT,
        extra TEXT NOT NULL""",  # objective, measures, ... for readers that do not load the problem
        order="id",
        # Comments, bins and references of a problem may be edited without touching what its scores mean.
        measured=("description", "path", "extra"),
    ),
    Table(
        "runs",
        """id INTEGER PRIMARY KEY,
        problem INTEGER NOT NULL REFERENCES problems(id),
        seed ANY,
        config TEXT NOT NULL,
        version TEXT NOT NULL,
        at REAL NOT NULL""",
        order="id",
        # Budget and number of workers live in the config; the same commits must give the same hash anyway.
        measured=("config", "version", "at"),
    ),
    Table(
        "sessions",
        """id INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs(id),
        fingerprint TEXT NOT NULL,
        machine TEXT NOT NULL,
        argv TEXT NOT NULL,
        budget TEXT NOT NULL,
        rescore INTEGER NOT NULL,
        pid INTEGER NOT NULL,
        at REAL NOT NULL""",
        order="id",
        hashed=False,
    ),
    # How a session ended; a row of its own, because a session's row is never updated. None after a kill.
    Table(
        "endings",
        """session INTEGER PRIMARY KEY REFERENCES sessions(id),
        why TEXT NOT NULL,
        totals TEXT NOT NULL,
        at REAL NOT NULL""",
        order="session",
        hashed=False,
    ),
    Table("texts", "hash TEXT PRIMARY KEY NOT NULL, text TEXT NOT NULL", order="hash"),
    # The source of a program is the text of its id.
    Table(
        "programs",
        """id TEXT PRIMARY KEY NOT NULL REFERENCES texts(hash),
        canonical TEXT NOT NULL,
        structure TEXT NOT NULL,
        nodes INTEGER NOT NULL""",
        order="rowid",
    ),
    # `number` keys the randomness of a proposal; `arrival` is the order in which commits reached the ledger
    # and the archive (1, 2, 3, ... without gaps), which is the order of a replay.
    Table(
        "proposals",
        """number INTEGER PRIMARY KEY CHECK (number >= 0),
        arrival INTEGER NOT NULL UNIQUE,
        island INTEGER NOT NULL,
        mutator TEXT NOT NULL,
        operator TEXT NOT NULL,
        program TEXT REFERENCES programs(id),
        carried INTEGER NOT NULL,
        draft TEXT,
        staleness INTEGER NOT NULL,
        evaluations INTEGER NOT NULL,
        error TEXT,
        seconds ANY NOT NULL,
        elapsed ANY NOT NULL,
        session INTEGER NOT NULL REFERENCES sessions(id),
        at REAL NOT NULL""",
        order="arrival",
        measured=("seconds", "elapsed", "session", "at"),
    ),
    Table(
        "parents",
        """proposal INTEGER NOT NULL REFERENCES proposals(number),
        position INTEGER NOT NULL,
        program TEXT NOT NULL REFERENCES programs(id),
        PRIMARY KEY (proposal, position)""",
        order="proposal, position",
        rowid=False,
    ),
    # `proposal` is NULL for an evaluation that a rescore added.
    Table(
        "evaluations",
        """id INTEGER PRIMARY KEY,
        program TEXT NOT NULL REFERENCES programs(id),
        proposal INTEGER REFERENCES proposals(number),
        fingerprint TEXT NOT NULL,
        status TEXT NOT NULL,
        message TEXT NOT NULL,
        objective ANY,
        scores TEXT NOT NULL,
        measures TEXT NOT NULL,
        behaviour TEXT NOT NULL,
        output TEXT NOT NULL,
        cpu_seconds ANY NOT NULL,
        wall_seconds ANY NOT NULL,
        memory INTEGER NOT NULL,
        isolation TEXT NOT NULL,
        origin INTEGER REFERENCES proposals(number),
        session INTEGER NOT NULL REFERENCES sessions(id),
        CHECK ((status = 'ok') = (objective IS NOT NULL))""",
        order="id",
        measured=("cpu_seconds", "wall_seconds", "memory", "isolation", "session"),
    ),
    Table(
        "trials",
        """proposal INTEGER NOT NULL REFERENCES proposals(number),
        position INTEGER NOT NULL,
        constants TEXT NOT NULL,
        objective ANY,
        PRIMARY KEY (proposal, position)""",
        order="proposal, position",
        rowid=False,
    ),
    Table(
        "events",
        """proposal INTEGER NOT NULL REFERENCES proposals(number),
        position INTEGER NOT NULL,
        kind TEXT NOT NULL,
        island INTEGER NOT NULL,
        programs TEXT NOT NULL,
        detail TEXT NOT NULL,
        PRIMARY KEY (proposal, position)""",
        order="proposal, position",
        rowid=False,
    ),
    # A request is written before its proposals are commits, so `first` refers to a row that may never come. It asks for
    # `samples` answers, which become the proposals first, first + 1, ...; `seen` is how many commits there were when
    # it was drawn, so that a replay draws it at the same place. One of kind "lessons" belongs to no proposal; its
    # `first` is the number that came next.
    Table(
        "requests",
        """id INTEGER PRIMARY KEY,
        first INTEGER NOT NULL,
        samples INTEGER NOT NULL CHECK (samples > 0),
        attempt INTEGER NOT NULL,
        seen INTEGER NOT NULL,
        kind TEXT NOT NULL,
        model TEXT NOT NULL,
        prompt TEXT NOT NULL,
        parameters TEXT NOT NULL,
        session INTEGER NOT NULL REFERENCES sessions(id),
        at REAL NOT NULL""",
        order="first, attempt, kind",
        measured=("id", "session", "at"),
    ),
    # What came of it: tokens as the server counted them, those of failed tries excepted.
    Table(
        "replies",
        """request INTEGER PRIMARY KEY REFERENCES requests(id),
        model TEXT NOT NULL,
        server TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        error TEXT,
        prompt_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        tries INTEGER NOT NULL,
        seconds REAL NOT NULL,
        session INTEGER NOT NULL REFERENCES sessions(id),
        at REAL NOT NULL""",
        order=_REQUEST_ORDER,
        measured=(*("request", "server", "endpoint", "cached_tokens", "tries", "seconds", "session", "at"),),
    ),
    Table(
        "samples",
        """request INTEGER NOT NULL REFERENCES replies(request),
        position INTEGER NOT NULL,
        text TEXT REFERENCES texts(hash),
        reasoning TEXT REFERENCES texts(hash),
        finish TEXT NOT NULL,
        PRIMARY KEY (request, position)""",
        order=f"{_REQUEST_ORDER}, position",
        measured=("request",),
        rowid=False,
    ),
    # Tries of a request that failed and were billed all the same.
    Table(
        "wastes",
        """id INTEGER PRIMARY KEY,
        request INTEGER NOT NULL REFERENCES requests(id),
        prompt_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        session INTEGER NOT NULL REFERENCES sessions(id),
        at REAL NOT NULL""",
        order="id",
        hashed=False,
    ),
    Table(
        "verdicts",
        """id INTEGER PRIMARY KEY,
        program TEXT NOT NULL REFERENCES programs(id),
        fingerprint TEXT NOT NULL,
        verifier TEXT NOT NULL,
        verdict TEXT NOT NULL,
        evidence TEXT NOT NULL,
        seconds REAL NOT NULL,
        session INTEGER NOT NULL REFERENCES sessions(id),
        at REAL NOT NULL""",
        order="id",
        measured=("seconds", "session", "at"),
    ),
    Table(
        "notes",
        """id INTEGER PRIMARY KEY,
        program TEXT REFERENCES programs(id),
        author TEXT NOT NULL,
        text TEXT NOT NULL,
        at REAL NOT NULL""",
        order="id",
        measured=("at",),
    ),
    Table(
        "interventions",
        """id INTEGER PRIMARY KEY,
        arrival INTEGER NOT NULL,
        kind TEXT NOT NULL,
        detail TEXT NOT NULL,
        at REAL NOT NULL""",  # `arrival`: the last commit before it
        order="id",
        measured=("at",),
    ),
    Table(
        "elites",
        """island INTEGER NOT NULL,
        cell TEXT NOT NULL,
        program TEXT NOT NULL REFERENCES programs(id),
        number INTEGER NOT NULL REFERENCES proposals(number),
        objective ANY NOT NULL,
        arrival INTEGER NOT NULL,
        PRIMARY KEY (island, cell)""",  # `arrival`: the commit up to which the cache is right
        order="island, cell",
        hashed=False,
        append_only=False,
        rowid=False,
    ),
)

_REQUESTS_FIRST = "CREATE UNIQUE INDEX requests_first ON requests (first, attempt, kind = 'lessons')"

INDEXES = (
    # The first proposal that made a program: 50 ancestors take 34 ms without it.
    "CREATE INDEX proposals_program ON proposals (program, arrival) WHERE program IS NOT NULL",
    "CREATE INDEX parents_program ON parents (program)",
    "CREATE INDEX evaluations_program ON evaluations (program)",
    # One evaluation a proposal, and the way a replay finds it.
    "CREATE UNIQUE INDEX evaluations_proposal ON evaluations (proposal) WHERE proposal IS NOT NULL",
    "CREATE INDEX verdicts_program ON verdicts (program)",
    _REQUESTS_FIRST,
)


def _make(db: Database, table: Table) -> None:
    options = "STRICT" if table.rowid else "STRICT, WITHOUT ROWID"
    db.execute(f"CREATE TABLE {table.name} ({table.body}) {options}")
    for verb in ("UPDATE", "DELETE") if table.append_only else ():
        db.execute(
            f"CREATE TRIGGER {table.name}_no_{verb.lower()} BEFORE {verb} ON {table.name} BEGIN "
            f"SELECT RAISE(ABORT, '{table.name} is append-only'); END"
        )


def _create(db: Database) -> None:
    """Version 0, an empty file, becomes version 1."""
    for table in TABLES:
        _make(db, table)
    for index in INDEXES:
        db.execute(index)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _several_samples(db: Database) -> None:
    """Version 2: a request may ask for several answers. Nothing wrote requests or replies before."""
    names = ("requests", "replies", "samples", "wastes")
    for name in reversed(names):
        db.execute(f"DROP TABLE IF EXISTS {name}")
    for table in TABLES:
        if table.name in names:
            _make(db, table)
    db.execute(_REQUESTS_FIRST)


# MIGRATIONS[n] takes a ledger from version n to n + 1. A new column changes the content hash of older ledgers
# unless it is measured; the changelog must say so.
MIGRATIONS: list[Callable[[Database], None]] = [_create, _several_samples]


def version_of(db: Database) -> int:
    """The schema version that the file says it has."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def migrate(db: Database) -> None:
    """Bring the file to the newest version, whole or not at all."""
    if version_of(db) == len(MIGRATIONS):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for version in range(version_of(db), len(MIGRATIONS)):
            MIGRATIONS[version](db)
            db.execute(f"PRAGMA user_version = {version + 1}")
        db.execute("COMMIT")
    finally:
        if db.conn.in_transaction:
            db.execute("ROLLBACK")


def content_columns(db: Database, table: Table) -> list[str]:
    """Names of the columns that are not measured, in the order of the table."""
    names = [str(row[1]) for row in db.execute(f"PRAGMA table_info({table.name})")]
    unknown = set(table.measured) - set(names)
    if unknown:
        raise ValueError(f"table {table.name}: measured columns {sorted(unknown)} do not exist")
    return [name for name in names if name not in table.measured]
