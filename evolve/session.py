"""One session of a run as the command line shows it: progress while it goes on, the summary when it ends.

Knows a `Watch`, the document and terminals; starting and resuming are handed in.
"""

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.text import Text

from evolve.budget import Budget
from evolve.errors import UsageError
from evolve.handle import Run
from evolve.panel import Mode, emit, showing
from evolve.programs_db.ledger import Ledger
from evolve.statement import Problem, Reference
from evolve.telling import doubts, headline, rule, tell_counts, tell_source, tell_unseen, tell_ways_on
from evolve.terminal import err, number, out, print_json, safe
from evolve.text import plural
from evolve.watch import Watch

__all__ = ["Output", "Session", "conclude", "conduct", "larger", "last_budget", "references_for", "source_of"]

Output = Literal["text", "quiet", "json", "events"]


@dataclass(frozen=True, slots=True)
class Session:
    """What is about to be searched, for the heading.

    Args:
        problem: loaded.
        ledger: where it is recorded.
        seed: of the run.
        budget: a total.
        workers: supervisors, None for one a core.
        begun: proposals that the ledger had before, without the seed program.
    """

    problem: Problem
    ledger: Path
    seed: int
    budget: Budget
    workers: int | None
    begun: int = 0


def conduct(session: Session, watch: Watch, output: Output, search: Callable[[], Run]) -> int:
    """Run `search` while showing `watch`; then tell what came of it.

    Returns:
        The exit code: 0 done, 1 nothing valid found, 130 interrupted.
    """
    mode: Mode = "quiet" if output == "quiet" else "events" if output == "events" else "lines"
    if mode == "lines" and err().is_terminal:
        mode = "panel"

    def begin() -> None:
        if output == "events":
            _started(session)
            return
        err().print(
            f"{session.problem.name}, seed {session.seed}, budget {session.budget}; ledger {session.ledger}",
            soft_wrap=True,
        )

    with showing(watch, mode, f"{session.problem.name}  seed {session.seed}  {session.ledger.name}", begin):
        run = search()
    return conclude(run, session, output)


def _started(session: Session) -> None:
    objective = session.problem.objective
    emit(
        "started",
        problem=session.problem.name,
        parameters=dict(session.problem.parameters),
        seed=session.seed,
        ledger=str(session.ledger),
        budget=session.budget.as_dict(),
        objective={"name": objective.name, "direction": objective.direction, "unit": objective.unit},
        workers=session.workers,
    )


def conclude(run: Run, session: Session, output: Output) -> int:
    """Tell what a session found, in the form that was asked for; returns the exit code."""
    document = run.document
    if output == "json":
        print_json(document)
    elif output == "events":
        emit("finished", **document)
    elif output == "quiet":
        out().print(headline(document).append(f"; {session.ledger}"), soft_wrap=True)
    else:
        _tell(run, session)
    if run.stopped == "budget" and document["proposals"] == session.begun:
        spent = f"its {plural(session.begun, 'proposal')} had spent a budget of {session.budget} before"
        told = f"warning: {session.ledger}: {spent}; a budget is a total, say a larger one"
        err().print(safe(told), soft_wrap=True)
    if run.stopped == "interrupted":
        err().print(
            Text(f"evolve: interrupted; evolve resume {shlex.quote(str(session.ledger))} goes on"),
            soft_wrap=True,
        )
        return 130
    return 0 if document["best"] is not None else 1


def _tell(run: Run, session: Session) -> None:
    document, console = run.document, out()
    rule(console, f"{run.problem}, seed {run.seed}")
    console.print(headline(document))
    tell_counts(console, document)
    tell_unseen(console, document, references_for(session.problem))
    for doubt in doubts(document):
        console.print(Text("warning: ", style="bold yellow").append(doubt, style="not bold"))
    if document["best"]:
        tell_source(console, document, source_of(run.ledger, document["best"]["program"]))
    ways = larger(session.budget, document) if run.stopped == "budget" else ""
    tell_ways_on(console, str(session.ledger), ways)


def last_budget(book: Ledger) -> Budget:
    """The budget of the last session that searched.

    Raises:
        UsageError: there was none.
    """
    rows = book.query("SELECT budget FROM sessions WHERE rescore = 0 ORDER BY id DESC LIMIT 1")
    if not rows:
        raise UsageError(f"{book.path}: it was stopped before its first session; say --budget")
    return Budget(**json.loads(rows[0]["budget"]))


def larger(budget: Budget, spent: Mapping[str, Any]) -> str:
    """A budget of ten times as much, as one would type it; of what was spent where that was more.

    Args:
        budget: of the session.
        spent: document of the run.
    """

    def ten(amount: float, name: str) -> float:
        return 10 * (round(spent[name]) if spent[name] > 2 * amount else amount)

    if budget.seconds is not None:
        seconds = ten(budget.seconds, "seconds")
        return f"{number(seconds)}s" if seconds < 600 else f"{number(round(seconds / 60, 1))}m"
    if budget.cpu_seconds is not None:
        return f"{number(ten(budget.cpu_seconds, 'cpu_seconds'))}cpu"
    if budget.proposals is not None:
        return str(ten(budget.proposals, "proposals"))
    if budget.evaluations is not None:
        return f"{ten(budget.evaluations, 'evaluations')}ev"
    for amount, unit in ((budget.tokens, "tok"), (budget.requests, "req"), (budget.money, "money")):
        if amount is not None:
            return f"{10 * amount if isinstance(amount, int) else number(10 * amount)}{unit}"
    return str(ten(1, "proposals"))


def references_for(problem: Problem | None) -> Sequence[Reference]:
    """Published figures that speak of a case or suite which is shown."""
    if problem is None:
        return ()
    shown = {*problem.unseen, *(case.name for case in problem.cases)}
    return [one for one in problem.references if one.case in shown]


def source_of(ledger: Path, program: str) -> str:
    """The text of a program."""
    with Ledger.read(ledger) as book:
        rows = book.query("SELECT text FROM texts WHERE hash = :id", {"id": program})
    return str(rows[0]["text"]) if rows else ""
