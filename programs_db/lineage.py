"""Read-only questions put to a ledger: ancestors, best so far, what a mutator earned, what failed.

Knows SQL and the tables; writes nothing. Evaluations are those recorded with their proposals; where a
question takes a fingerprint, those made under it, rescored ones included: objectives of two fingerprints do
not compare.
"""

from dataclasses import dataclass

from evolve.programs_db.reading import Reading
from evolve.programs_db.records import Objective
from evolve.programs_db.rows import SEEN

__all__ = [
    "Ancestor",
    "Earnings",
    "Failures",
    "Point",
    "Ranked",
    "ancestors",
    "best_so_far",
    "earned",
    "failures",
    "statuses",
    "top",
]


@dataclass(frozen=True, slots=True)
class Ancestor:
    """One step of a chain of descent.

    Args:
        program: its id.
        number: the first proposal that made it.
        mutator: whose proposal that was.
        operator: what the mutator did.
        status: of its evaluation; None if it had none.
        objective: None unless `ok`.
    """

    program: str
    number: int
    mutator: str
    operator: str
    status: str | None
    objective: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """One step of the anytime curve.

    Args:
        number: proposal that improved on all before it.
        evaluations: spent until then, this proposal's included, in order of arrival.
        objective: the best from here on.
        program: its id.
    """

    number: int
    evaluations: int
    objective: float
    program: str


@dataclass(frozen=True, slots=True)
class Earnings:
    """What one operator of one mutator made of its proposals.

    Args:
        mutator: its name.
        operator: its word for what it did.
        proposals: how many it made.
        programs: how many of them gave a program.
        ok: how many were evaluated `ok`.
        over_parent: how many were better than their first parent.
        improvements: how many were better than everything before them.
        evaluations: counted cost.
        seconds: CPU seconds spent on proposing.
    """

    mutator: str
    operator: str
    proposals: int
    programs: int
    ok: int
    over_parent: int
    improvements: int
    evaluations: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Failures:
    """One kind of failure.

    Args:
        kind: a status other than `ok`, or "no program" for proposals that gave none.
        count: how many.
        number: the first proposal that failed so.
        sample: its message; untrusted text.
    """

    kind: str
    count: int
    number: int
    sample: str


@dataclass(frozen=True, slots=True)
class Ranked:
    """One of the best programs.

    Args:
        program: its id.
        number: the proposal that made it and to which the evaluation belongs.
        objective: its objective.
        mutator: whose proposal it was.
        operator: what the mutator did.
    """

    program: str
    number: int
    objective: float
    mutator: str
    operator: str


# A parent was recorded before its child, so that `arrival` falls along a chain and the recursion ends.
_ANCESTORS = """
WITH RECURSIVE chain (number, arrival, program) AS (
    SELECT number, arrival, program FROM (
        SELECT number, arrival, program FROM proposals WHERE program = :program ORDER BY arrival LIMIT 1)
    UNION ALL
    SELECT up.number, up.arrival, up.program
    FROM chain
    JOIN parents ON parents.proposal = chain.number AND parents.position = 0
    JOIN proposals up ON up.number = (
        SELECT number FROM proposals WHERE program = parents.program ORDER BY arrival LIMIT 1)
    WHERE up.arrival < chain.arrival
    LIMIT :limit
)
SELECT chain.program, chain.number, p.mutator, p.operator, e.status, e.objective
FROM chain JOIN proposals p ON p.number = chain.number LEFT JOIN evaluations e ON e.proposal = chain.number
ORDER BY chain.arrival DESC
"""

_CURVE = (
    """
WITH told AS (
    SELECT p.arrival, p.number, e.program, e.objective,
        SUM(p.evaluations) OVER (ORDER BY p.arrival) AS evaluations,
        MAX(:sign * e.objective) OVER (
            ORDER BY p.arrival ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM proposals p"""  # noqa: S608
    + SEEN
    + """)
SELECT number, evaluations, objective, program FROM told
WHERE objective IS NOT NULL AND (before IS NULL OR :sign * objective > before) ORDER BY arrival
"""
)

_EARNED = """
WITH told AS (
    SELECT p.mutator, p.operator, p.program, p.evaluations, p.seconds, e.objective,
        MAX(:sign * e.objective) OVER (
            ORDER BY p.arrival ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before,
        (SELECT MAX(:sign * pe.objective) FROM parents c JOIN evaluations pe ON pe.program = c.program
            WHERE c.proposal = p.number AND c.position = 0 AND pe.proposal IS NOT NULL) AS parent
    FROM proposals p LEFT JOIN evaluations e ON e.proposal = p.number
)
SELECT mutator, operator, COUNT(*) AS proposals, COUNT(program) AS programs, COUNT(objective) AS ok,
    COUNT(*) FILTER (WHERE :sign * objective > parent) AS over_parent,
    COUNT(*) FILTER (WHERE :sign * objective > before) AS improvements,
    SUM(evaluations) AS evaluations, SUM(seconds) AS seconds
FROM told GROUP BY mutator, operator ORDER BY improvements DESC, over_parent DESC, mutator, operator
"""

# With a bare column beside MIN, SQLite takes it from the row that has the minimum.
_FAILURES = """
SELECT e.status AS kind, COUNT(*) AS count, MIN(e.proposal) AS number, e.message AS sample
FROM evaluations e WHERE e.status <> 'ok' AND e.proposal IS NOT NULL GROUP BY e.status
UNION ALL
SELECT 'no program', COUNT(*), MIN(number), coalesce(error, '') FROM proposals
WHERE program IS NULL GROUP BY 1
ORDER BY count DESC, kind
"""

# Programs that were proposed twice are told apart in Python: GROUP BY would take twice as long.
_TOP = (
    """
SELECT e.program, p.number, e.objective, p.mutator, p.operator FROM proposals p"""
    + SEEN
    + "WHERE e.objective IS NOT NULL ORDER BY :sign * e.objective DESC, p.number LIMIT :rows"
)


def ancestors(ledger: Reading, program: str, limit: int = 10_000) -> list[Ancestor]:
    """A program, its first parent, the first parent of that, ... down to a program without parents.

    Args:
        ledger: to ask.
        program: its id; an unknown one has no ancestors.
        limit: of steps.
    """
    return [Ancestor(**row) for row in ledger.query(_ANCESTORS, {"program": program, "limit": limit})]


def best_so_far(ledger: Reading, objective: Objective, fingerprint: str | None = None) -> list[Point]:
    """The anytime curve: every proposal that improved on all that arrived before it."""
    asked = {"sign": objective.sign, "fingerprint": fingerprint}
    return [Point(**row) for row in ledger.query(_CURVE, asked)]


def earned(ledger: Reading, objective: Objective) -> list[Earnings]:
    """What each operator of each mutator earned, the one with most improvements first.

    The first `ok` program of all has nothing to improve on and counts as no improvement.
    """
    return [Earnings(**row) for row in ledger.query(_EARNED, {"sign": objective.sign})]


def statuses(ledger: Reading) -> dict[str, int]:
    """How often each status occurred among the evaluations of proposals, the most frequent first."""
    rows = ledger.query(
        "SELECT status, COUNT(*) AS count FROM evaluations WHERE proposal IS NOT NULL "
        "GROUP BY status ORDER BY count DESC, status"
    )
    return {row["status"]: row["count"] for row in rows}


def failures(ledger: Reading) -> list[Failures]:
    """What failed, by kind, the most frequent first, each with the message of its first."""
    return [Failures(**row) for row in ledger.query(_FAILURES)]


def top(
    ledger: Reading, objective: Objective, count: int = 10, fingerprint: str | None = None
) -> list[Ranked]:
    """The best programs, each once by its best evaluation, of equals the earlier first."""
    asked = {"sign": objective.sign, "fingerprint": fingerprint}
    limit = 2 * count
    while True:
        rows = ledger.query(_TOP, {**asked, "rows": limit})
        best: dict[str, Ranked] = {}
        for row in rows:
            best.setdefault(row["program"], Ranked(**row))
        if len(best) >= count or len(rows) < limit:
            return list(best.values())[:count]
        limit *= 8
