"""Reads a ledger once, as one state even while a run writes it, and tells what a report needs to know of it.

Scores are those of the present fingerprint throughout: what was scored before a rescore is not mixed in.
"""

import difflib
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evolve.bench.measures import measure
from evolve.bench.report import history, judgement
from evolve.bench.report.facts import About, Code, Cost, Facts, State, Step
from evolve.bench.report.tables import figure, one_line
from evolve.errors import EvolveError
from evolve.heatmap import best_by_cell
from evolve.origin import problem_of
from evolve.programs_db.export import program_record
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.lineage import Earnings, Failures, ancestors, best_so_far, earned, failures, top
from evolve.programs_db.lock import is_held
from evolve.programs_db.records import Measure, Objective
from evolve.programs_db.rows import SEEN
from evolve.session import references_for
from evolve.summary import cpu_seconds_of, document, ended_document, objective_of
from evolve.telling import cited, doubts, headline
from evolve.text import clean

__all__ = ["difference", "gather"]

LONGEST = 60_000
"""Characters of a program that are shown."""

_LINES = 600  # of one diff
_NAME = 120

Document = Mapping[str, Any]


def gather(path: str | Path) -> Facts:
    """Everything that a report tells of a run.

    Args:
        path: of its ledger; another process may be writing it.

    Raises:
        LedgerUnreadable: no ledger, or a damaged one.
    """
    with Ledger.read(path) as book, book.snapshot():
        return _gathered(book)


def _gathered(book: Ledger) -> Facts:
    objective = objective_of(book)
    told, state = _document(book)
    ranked = top(book, objective, 1, book.fingerprint)
    best = _code(book, ranked[0].number) if ranked else None
    lineage = _lineage(book, objective, ranked[0].program) if ranked else ()
    started = book.query("SELECT number FROM proposals WHERE number = 0 AND program IS NOT NULL")
    lines = judgement.lines_of(told)
    ruled, rulings = judgement.ruled_of(book, best.program if best else "")
    mixed = book.query("SELECT count(DISTINCT fingerprint) AS n FROM evaluations")[0]["n"] > 1
    return Facts(
        ledger=clean(book.path.name, _NAME),
        at=time.time(),
        about=_about(book, objective, told),
        state=state,
        headline=one_line(clean(headline(told).plain)),
        doubts=tuple(one_line(clean(one)) for one in doubts(told)),
        seed=_code(book, 0) if started else None,
        parent=_code(book, lineage[-2].number) if len(lineage) > 1 else None,
        best=best,
        ruled=ruled,
        rulings=rulings,
        lines=lines,
        cases=judgement.cases_of(book, objective, ranked[0].number if ranked else None, (lines, ruled)),
        references=_references(book),
        lineage=lineage,
        improvements=tuple(
            (point.number, point.evaluations, point.objective, point.program)
            for point in best_so_far(book, objective, book.fingerprint)
        ),
        cells=best_by_cell(book, objective, _axes(book)[:2]),
        cost=_cost(book, told),
        operators=() if mixed else tuple(_named(one) for one in earned(book, objective)),
        failures=() if mixed else tuple(_sampled(one) for one in failures(book)),
        sessions=history.sessions_of(book),
        deeds=history.deeds_of(book),
        origin=history.origin_of(book, told),
        measures=measure(book),
    )


def _axes(book: Ledger) -> tuple[Measure, ...]:
    return tuple(Measure(*one) for one in book.problem["measures"])


def _document(book: Ledger) -> tuple[dict[str, Any], State]:
    """The run's document by the scores that hold now, and how far the run has come."""
    ended = ended_document(book)
    rows = book.query(
        "SELECT s.fingerprint, s.rescore, e.why FROM sessions s LEFT JOIN endings e ON e.session = s.id ORDER BY s.id"
    )
    searches = [row for row in rows if not row["rescore"]]
    why = searches[-1]["why"] if searches else None
    rescored = any(row["rescore"] for row in rows)
    now = bool(searches) and searches[-1]["fingerprint"] == book.fingerprint
    if ended is not None and now:
        told = ended
    else:
        spent = book.query("SELECT coalesce(max(elapsed), 0) AS seconds FROM proposals")[0]["seconds"]
        told = document(book, why or "killed or still running", {"seconds": spent}, hashed=False)
    told = {**told, "statuses": _statuses(book), "content_hash": book.content_hash()}
    unscored = 0
    if rescored:
        unscored = sum(1 for _ in book.unscored(book.fingerprint))
    return told, replace(_state(book, why), rescored=rescored, unscored=unscored)


def _state(book: Ledger, why: str | None) -> State:
    held = is_held(book.path)
    done = max(0, book.commits - 1)
    if why == "budget" and not held:
        return State("finished", "", False, 0)
    if held:
        words = f"the run goes on: this is what was known after {done} proposals"
        return State("still running", words, False, 0)
    if why is None:
        words = f"the run was killed after {done} proposals; `evolve resume` goes on as if it had not been"
        return State("killed", words, False, 0)
    words = (
        f"the run stopped after {done} proposals before its budget was spent ({clean(why, 60)}), so its best program "
        "was neither verified nor scored on unseen cases by it; `evolve resume` goes on"
    )
    return State("interrupted", words, False, 0)


def _statuses(book: Ledger) -> dict[str, int]:
    rows = book.query(
        f"SELECT e.status, count(*) AS n FROM proposals p {SEEN} WHERE e.id IS NOT NULL "
        "GROUP BY e.status ORDER BY n DESC, e.status",
        {"fingerprint": book.fingerprint},
    )
    return {clean(row["status"], 60): row["n"] for row in rows}


def _about(book: Ledger, objective: Objective, told: Document) -> About:
    about = book.problem
    return About(
        clean(about["name"], _NAME),
        clean(about["description"], 4_000),
        {clean(name, _NAME): clean(str(value), 400) for name, value in about["parameters"].items()},
        Objective(clean(objective.name, _NAME), objective.direction, clean(objective.unit, 40)),
        clean(told["objective"].get("baseline", ""), _NAME),
        tuple(replace(one, name=clean(one.name, _NAME)) for one in _axes(book)),
    )


def _code(book: Ledger, number: int) -> Code:
    record = program_record(book, number, book.fingerprint)
    source = record["source"]
    return Code(
        record["id"],
        number,
        _made_by(record["mutator"], record["operator"]),
        record["objective"],
        clean(source, LONGEST),
        max(0, len(source) - LONGEST),
    )


def _made_by(mutator: str, operator: str) -> str:
    return one_line(clean(f"{mutator}:{operator}".rstrip(":"), _NAME))


def _lineage(book: Ledger, objective: Objective, program: str) -> tuple[Step, ...]:
    chain = [_code(book, one.number) for one in reversed(ancestors(book, program))]
    steps = []
    for before, one in zip([None, *chain], chain, strict=False):
        gain = None
        if before and before.objective is not None and one.objective is not None:
            gain = objective.key(one.objective) - objective.key(before.objective)
        diff = difference(before.source, one.source) if before else ()
        steps.append(Step(one.number, one.program, one.made_by, one.objective, gain, diff))
    return tuple(steps)


def difference(before: str, after: str, around: int = 2) -> tuple[str, ...]:
    """The unified diff of two texts by line, without the lines that name files; cut where it is very long."""
    old, new = (text.strip("\n").splitlines() for text in (before, after))
    lines = list(difflib.unified_diff(old, new, lineterm="", n=around))[2:]
    if len(lines) <= _LINES:
        return tuple(lines)
    return (*lines[:_LINES], f"@@ {len(lines) - _LINES} more lines are left out @@")


def _references(book: Ledger) -> tuple[str, ...]:
    """Published figures, where the problem file is still there to tell them."""
    try:
        problem = problem_of(book)
    except EvolveError:
        return ()
    return tuple(
        one_line(clean(f"{one.case}: {one.name} {figure(one.value)} ({cited(one.source, one.date)})", 400))
        for one in references_for(problem)
    )


def _cost(book: Ledger, told: Document) -> Cost:
    return Cost(
        told["proposals"],
        told["evaluations"],
        told["duplicates"],
        told["invalid"],
        told["seconds"],
        cpu_seconds_of(book),
        book.asked,
        {name: int(count) for name, count in told["tokens"].items()},
        history.money_of(book),
        told["statuses"],
    )


def _named(one: Earnings) -> Earnings:
    return replace(one, mutator=clean(one.mutator, _NAME), operator=one_line(clean(one.operator, _NAME)))


def _sampled(one: Failures) -> Failures:
    return replace(one, sample=one_line(clean(one.sample, 300)))
