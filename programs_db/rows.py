"""Commits to rows of the ledger and back, exactly: what comes out equals what went in.

Knows the columns of the hot tables and the form of their JSON; does no I/O. Plain data go through JSON, so
that a tuple in an event's `detail` comes back as a list.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from evolve.programs_db.records import Commit, Evaluation, Event, Program, Proposal, Status, Trial

__all__ = [
    "INSERTS",
    "SEEN",
    "SELECTS",
    "Rows",
    "Stamp",
    "commit_of",
    "dump",
    "evaluation_of",
    "evaluation_rows",
    "rows_of",
]

Row = tuple[Any, ...]


class Stamp(NamedTuple):
    """What every row of a session carries besides its values.

    Args:
        session: id of the session.
        fingerprint: what its evaluations were made under.
        at: seconds since the epoch.
    """

    session: int
    fingerprint: str
    at: float


class Rows(NamedTuple):
    """The rows of one commit, a sequence for each table, in the order in which foreign keys allow them."""

    texts: Sequence[Row] = ()
    programs: Sequence[Row] = ()
    proposals: Sequence[Row] = ()
    parents: Sequence[Row] = ()
    evaluations: Sequence[Row] = ()
    trials: Sequence[Row] = ()
    events: Sequence[Row] = ()

    @staticmethod
    def merged(batch: Iterable["Rows"]) -> "list[list[Row]]":
        """One list of rows for each table, the commits in their order."""
        return [list(chain.from_iterable(table)) for table in zip(*batch, strict=True)]


# A text or a program that is there already is the same by its hash: the first row stays.
INSERTS = (
    "INSERT OR IGNORE INTO texts (hash, text) VALUES (?, ?)",
    "INSERT OR IGNORE INTO programs (id, canonical, structure, nodes) VALUES (?, ?, ?, ?)",
    "INSERT INTO proposals (number, arrival, island, mutator, operator, program, carried, draft, staleness, "
    "evaluations, error, seconds, elapsed, session, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "INSERT INTO parents (proposal, position, program) VALUES (?, ?, ?)",
    "INSERT INTO evaluations (program, proposal, fingerprint, status, message, objective, scores, measures, "
    "behaviour, output, cpu_seconds, wall_seconds, memory, isolation, origin, session) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "INSERT INTO trials (proposal, position, constants, objective) VALUES (?, ?, ?, ?)",
    "INSERT INTO events (proposal, position, kind, island, programs, detail) VALUES (?, ?, ?, ?, ?, ?)",
)

# The evaluation `e` of a proposal `p` as seen under :fingerprint: the one recorded with it if it was made
# under that (or if :fingerprint is NULL), else what the last rescore found for its program. A proposal that
# never had an evaluation has none under any fingerprint.
SEEN = """
LEFT JOIN evaluations own ON own.proposal = p.number
LEFT JOIN evaluations e ON e.id = CASE
    WHEN own.id IS NULL THEN NULL
    WHEN :fingerprint IS NULL OR own.fingerprint = :fingerprint THEN own.id
    ELSE (SELECT max(r.id) FROM evaluations r
        WHERE r.program = p.program AND r.proposal IS NULL AND r.fingerprint = :fingerprint) END
"""

_EVALUATION = """
SELECT p.number, e.program, e.status, e.message, e.objective, e.scores, e.measures, e.behaviour, e.output,
    e.cpu_seconds, e.wall_seconds, e.memory, e.isolation, e.origin FROM proposals p
"""
_SPAN = "WHERE p.arrival > :after AND p.arrival <= :upto"

# Parts of the commits that arrived after :after and up to :upto. Put together from constants only.
SELECTS = {
    "proposals": "SELECT p.number, p.island, p.mutator, p.operator, p.program, p.carried, p.draft, "
    "p.staleness, p.evaluations, p.error, p.seconds, p.elapsed, g.canonical, g.structure, g.nodes, t.text "
    "FROM proposals p LEFT JOIN programs g ON g.id = p.program LEFT JOIN texts t ON t.hash = g.id "
    + _SPAN
    + " ORDER BY p.arrival",
    "parents": "SELECT c.proposal, c.program "
    "FROM proposals p JOIN parents c ON c.proposal = p.number " + _SPAN + " ORDER BY p.arrival, c.position",
    "evaluations": _EVALUATION + "JOIN evaluations e ON e.proposal = p.number " + _SPAN,
    "rescored": _EVALUATION + SEEN + _SPAN + " AND e.id IS NOT NULL",
    "trials": "SELECT c.proposal, c.constants, c.objective "
    "FROM proposals p JOIN trials c ON c.proposal = p.number " + _SPAN + " ORDER BY p.arrival, c.position",
    "events": "SELECT c.proposal, c.kind, c.island, c.programs, c.detail "
    "FROM proposals p JOIN events c ON c.proposal = p.number " + _SPAN + " ORDER BY p.arrival, c.position",
}

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_decode = (
    json.JSONDecoder().raw_decode
)  # what `dump` wrote has no blanks around it: half the time of json.loads


def dump(value: Any) -> str:
    """Compact JSON of plain data that Python and SQLite both read; infinity is written 1e999.

    Raises:
        TypeError: `value` is not plain data.
    """
    try:
        return _encode(value)
    except (TypeError, ValueError):
        return _dump_slowly(value)


def _dump_slowly(value: Any) -> str:
    """What the encoder refuses: infinities, mappings that are not dicts, scalars of numpy."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "1e999" if value > 0 else "-1e999"
    if isinstance(value, Mapping):
        return (
            "{" + ",".join(f"{_encode(str(key))}:{_dump_slowly(item)}" for key, item in value.items()) + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_dump_slowly, value)) + "]"
    if hasattr(value, "item"):
        return _dump_slowly(value.item())
    return _encode(value)


def _text(text: str) -> str:
    """Untrusted text as UTF-8 can hold it: a lone surrogate is written as its escape."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _number(value: Any) -> float | None:
    """An objective as SQLite keeps it: a float, or an integer of 64 bits."""
    if value is None or isinstance(value, float):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    raise ValueError(f"objective {value!r} is neither a float nor an integer of 64 bits; make it a float")


def rows_of(commit: Commit, arrival: int, stamp: Stamp) -> Rows:
    """The rows of one commit.

    Raises:
        ValueError: program, proposal and evaluation do not belong together.
        TypeError: a value is not plain data.
    """
    proposal, program, evaluation = commit.proposal, commit.program, commit.evaluation
    if program is not None and program.id != proposal.program:
        raise ValueError(f"carries program {program.id}, but the proposal names {proposal.program}")
    if evaluation is not None and evaluation.program != proposal.program:
        raise ValueError(
            f"carries an evaluation of {evaluation.program}, but the proposal names {proposal.program}"
        )
    number = proposal.number
    # A draft is mostly the program itself: NULL then, and the hash is stored once.
    draft = None if program is not None and proposal.draft == program.canonical else proposal.draft
    error = None if proposal.error is None else _text(proposal.error)
    row = (
        *(number, arrival, proposal.island, proposal.mutator, _text(proposal.operator), proposal.program),
        *(int(program is not None), draft, proposal.staleness, proposal.evaluations, error),
        *(proposal.seconds, proposal.elapsed),
        *(stamp.session, stamp.at),
    )
    return Rows(
        () if program is None else ((program.id, program.source),),
        () if program is None else ((program.id, program.canonical, program.structure, program.nodes),),
        (row,),
        [(number, position, parent) for position, parent in enumerate(proposal.parents)],
        () if evaluation is None else (_evaluation_row(evaluation, number, stamp),),
        [
            (number, k, dump(trial.constants), _number(trial.objective))
            for k, trial in enumerate(commit.trials)
        ],
        [
            (number, k, e.kind, e.island, dump(e.programs), dump(e.detail))
            for k, e in enumerate(commit.events)
        ],
    )


def evaluation_rows(evaluation: Evaluation, stamp: Stamp) -> Rows:
    """The rows of an evaluation that belongs to no new proposal (a rescore)."""
    return Rows(evaluations=(_evaluation_row(evaluation, None, stamp),))


def _evaluation_row(evaluation: Evaluation, number: int | None, stamp: Stamp) -> Row:
    return (
        evaluation.program,
        number,
        stamp.fingerprint,
        evaluation.status.value,
        _text(evaluation.message),
        _number(evaluation.objective),
        dump(evaluation.scores),
        dump(evaluation.measures),
        evaluation.behaviour,
        _text(evaluation.output),
        evaluation.cpu_seconds,
        evaluation.wall_seconds,
        evaluation.memory,
        evaluation.isolation,
        evaluation.origin,
        stamp.session,
    )


_STATUSES = {status.value: status for status in Status}


def evaluation_of(row: Row) -> Evaluation:
    """An evaluation from the columns that `SELECTS` names for it."""
    program, status, message, objective, scores, measures, *rest = row
    return Evaluation(
        program, _STATUSES[status], message, objective, _decode(scores)[0], _decode(measures)[0], *rest
    )


def commit_of(row: Row, parts: Mapping[str, Mapping[int, Sequence[Row]]]) -> Commit:
    """A commit from its row of `SELECTS["proposals"]` and the parts that belong to its number.

    Args:
        row: (15,) columns.
        parts: name of a select -> number of a proposal -> its rows, without that number.
    """
    number, island, mutator, operator, made, carried, draft, *costs, canonical, structure, nodes, source = row
    staleness, evaluations, error, seconds, elapsed = costs
    program = Program(made, source, canonical, structure, nodes) if carried else None
    parents = tuple([parent for (parent,) in parts["parents"].get(number, ())])
    evaluated = parts["evaluations"].get(number)
    proposal = Proposal(
        *(number, island, mutator, operator, parents, made),
        canonical if draft is None else draft,
        *(staleness, evaluations, error, seconds, elapsed),
    )
    trials = [
        Trial(tuple(json.loads(constants)), value) for constants, value in parts["trials"].get(number, ())
    ]
    events = [
        Event(kind, at, tuple(json.loads(programs)), json.loads(detail))
        for kind, at, programs, detail in parts["events"].get(number, ())
    ]
    return Commit(
        proposal, program, evaluation_of(evaluated[0]) if evaluated else None, tuple(trials), tuple(events)
    )
