"""Tell what a run found: best programs, archive, lineage, what the operators earned, what failed.

Works while the run goes on, and after it was killed; changes nothing.
"""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evolve.errors import EvolveError, UsageError
from evolve.handle import Run, Step
from evolve.heatmap import best_by_cell, draw
from evolve.named import find_program
from evolve.origin import problem_of
from evolve.programs_db.export import program_record
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.lineage import Earnings, Failures, Ranked, best_so_far, earned, failures, top
from evolve.programs_db.lock import is_held
from evolve.programs_db.records import Elite, Program
from evolve.session import larger, last_budget, references_for, source_of
from evolve.statement import Problem
from evolve.summary import last_document
from evolve.telling import doubts, headline, rule, tell_counts, tell_source, tell_unseen, tell_ways_on
from evolve.terminal import is_ascii, number, out, plot, print_json, safe
from evolve.text import clean, plural
from evolve.verbs.common import add_json

__all__ = ["configure", "run"]

_NARROW = 60
_UNTOLD = "killed or still running"


def configure(parser: argparse.ArgumentParser) -> None:
    """LEDGER, and what of it is wanted."""
    parser.add_argument("ledger", metavar="LEDGER", help="of a run")
    parser.add_argument(
        "--top", type=int, default=5, metavar="N", help="how many of the best programs (default 5)"
    )
    parser.add_argument(
        "--lineage",
        type=int,
        default=5,
        metavar="N",
        help="how many of the last gains of the best's lineage (default 5)",
    )
    parser.add_argument(
        "--program", metavar="ID|NUMBER", help="one program only, by its id or the number of its proposal"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Show the run, or one program of it."""
    if args.top < 0 or args.lineage < 0:
        raise UsageError("--top and --lineage take a number from 0")
    run_ = Run(args.ledger)
    with Ledger.read(run_.ledger) as book:
        if args.program is not None:
            _one(book, args)
        elif args.json:
            print_json(_told(book, run_, args))
        else:
            _tell(book, run_, args)
    return 0


def _one(book: Ledger, args: argparse.Namespace) -> None:
    record = program_record(book, find_program(book, args.program))
    rows = book.query(
        "SELECT status, message, output FROM evaluations WHERE proposal = :n", {"n": record["number"]}
    )
    record |= {key: clean(str(value), 16_000) for key, value in (rows[0] if rows else {}).items()}
    if args.json:
        print_json(record)
        return
    console = out()
    rule(console, f"program {record['id']} (proposal {record['number']})")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column(overflow="fold")
    for key in (
        "status",
        "message",
        "objective",
        "mutator",
        "operator",
        "parents",
        "nodes",
        "isolation",
        "output",
    ):
        if record.get(key) not in (None, "", []):
            value = record[key]
            text = (
                number(value)
                if isinstance(value, float)
                else ", ".join(value)
                if isinstance(value, list)
                else str(value)
            )
            grid.add_row(key, safe(text))
    for name, value in record["measures"].items():
        grid.add_row(safe(name), number(value))
    for case, numbers in record["scores"].items():
        grid.add_row(
            safe(case), safe(", ".join(f"{name} {number(value)}" for name, value in numbers.items()))
        )
    console.print(grid)
    console.print(safe(record["source"].strip("\n"), 70_000), soft_wrap=True)


def _told(book: Ledger, run_: Run, args: argparse.Namespace) -> dict[str, Any]:
    document = last_document(book)
    best = top(book, run_.objective, args.top, book.fingerprint)
    steps = _lineage(run_, best[:1] or top(book, run_.objective, 1, book.fingerprint)) if args.lineage else []
    return {
        **_ended(document, run_.ledger),
        "top": [{**_fields(one), "source": source_of(run_.ledger, one.program)} for one in best],
        "lineage": [{**_fields(step), "diff": list(step.diff)} for step in steps],
        "operators": [_fields(one) for one in earned(book, run_.objective)],
        "failures": [{**_fields(one), "sample": clean(one.sample)} for one in failures(book)],
        "curve": [_fields(point) for point in best_so_far(book, run_.objective, book.fingerprint)],
    }


def _ended(document: dict[str, Any], ledger: Path) -> dict[str, Any]:
    """Whether a session that told no end goes on: then somebody holds the lock beside the ledger."""
    if document["stopped"] != _UNTOLD:
        return document
    return {**document, "stopped": "not yet, it is still running" if is_held(ledger) else "killed"}


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def _lineage(run_: Run, best: list[Ranked]) -> list[Step]:
    if not best:
        return []
    one = best[0]
    # Only its id is asked for; the archive need not be replayed to know which is the best.
    return run_.lineage(Elite(Program(one.program, "", "", "", 0), one.objective, (), "", one.number))


def _tell(book: Ledger, run_: Run, args: argparse.Namespace) -> None:
    console, document = out(), _ended(last_document(book, hashed=False), run_.ledger)
    problem = _problem(book)
    parameters = ", ".join(f"{name}={value}" for name, value in run_.parameters.items())
    rule(console, f"{run_.problem}({parameters}), seed {run_.seed}")
    console.print(headline(document))
    tell_counts(console, document)
    _curve(console, book, run_)
    tell_unseen(console, document, references_for(problem))
    for doubt in doubts(document):
        console.print(Text.assemble(("warning: ", "bold yellow"), doubt))
    best = top(book, run_.objective, max(1, args.top), book.fingerprint)
    _top(console, best[: args.top], run_.objective.name)
    rule(console, "archive")
    draw(console, best_by_cell(book, run_.objective, run_.measures[:2]), run_.objective, run_.measures)
    _islands(console, book, run_)
    if args.lineage:
        _tell_lineage(console, _lineage(run_, best), args.lineage)
    _operators(console, earned(book, run_.objective))
    _failures(console, failures(book))
    if document["best"]:
        tell_source(console, document, source_of(run_.ledger, document["best"]["program"]))
    tell_ways_on(
        console, args.ledger, larger(last_budget(book), document) if document["stopped"] == "budget" else ""
    )


def _problem(book: Ledger) -> Problem | None:
    """The problem, for its published figures; a ledger is readable without it."""
    try:
        return problem_of(book)
    except EvolveError:
        return None


def _curve(console: Console, book: Ledger, run_: Run) -> None:
    points = [
        (float(point.number), point.objective)
        for point in best_so_far(book, run_.objective, book.fingerprint)
    ]
    if len(points) < 2:
        return
    rule(console, f"the best so far, over {book.commits} proposals")
    for line in plot(points, float(book.commits), min(console.width, 76), 4, is_ascii(console)):
        console.print(Text(line, style="green"))


def _top(console: Console, best: list[Ranked], objective: str) -> None:
    if not best:
        return
    rule(console, "best programs")
    narrow = console.width < _NARROW
    table = Table(box=None, pad_edge=False)
    for title in (
        (objective, "proposal", "made by") if narrow else (objective, "proposal", "program", "made by")
    ):
        table.add_column(
            safe(title), justify="right" if title in (objective, "proposal") else "left", header_style="cyan"
        )
    for one in best:
        program = [] if narrow else [one.program[:15]]
        made = safe(f"{one.mutator}:{one.operator}".rstrip(":"))
        table.add_row(number(one.objective), str(one.number), *program, made)
    console.print(table)


def _islands(console: Console, book: Ledger, run_: Run) -> None:
    """From the cache of elites, where it is up to date (it is written at the end of a session)."""
    worst, best = ("max", "min") if run_.objective.direction == "min" else ("min", "max")
    rows = book.query(
        f"SELECT island, count(*) AS filled, {best}(objective) AS best, {worst}(objective) AS worst, "  # noqa: S608
        "max(arrival) AS arrival FROM elites GROUP BY island ORDER BY island"
    )
    if not rows or max(row["arrival"] for row in rows) != book.commits:
        return
    for row in rows:
        span = f"best {number(row['best'])}, worst {number(row['worst'])}"
        line = f"island {row['island']}: {row['filled']} cells filled, {span}"
        console.print(Text(line, style="dim"))


def _tell_lineage(console: Console, steps: list[Step], most: int) -> None:
    """The gains, each with its diff; steps without gain are folded into a line."""
    if len(steps) < 2:
        return
    gains = [at for at, step in enumerate(steps) if step.gain is not None and step.gain > 0]
    count = "1 step" if len(steps) == 2 else f"{len(steps) - 1} steps"
    rule(console, f"lineage of the best: {count} from the seed, gains: {len(gains)}")
    before = gains[-most - 1] if len(gains) > most else 0
    if before:
        console.print(Text(f"... {before} earlier steps; --lineage N shows more", style="dim"))
    for at in gains[-most:]:
        folded = at - before - 1
        if folded > 0:
            console.print(Text(f"  {plural(folded, 'step')} without gain", style="dim"))
        _step(console, steps[at])
        before = at


def _step(console: Console, step: Step) -> None:
    head = Text.assemble((f"{number(step.objective)}", "bold"), (f"  gained {number(step.gain)}", "green"))
    head.append(f"  proposal {step.number}, ").append_text(safe(step.operator))
    console.print(head)
    for line in step.diff:
        if not line.startswith("@@"):
            style = {"+": "green", "-": "red"}.get(line[:1], "dim")
            console.print(safe("    " + line, 600, style), soft_wrap=True)


def _operators(console: Console, rows: list[Earnings]) -> None:
    if not rows:
        return
    rule(console, "what each operator earned")
    table = Table(box=None, pad_edge=False)
    table.add_column("operator", header_style="cyan")
    titles = {
        "proposals": "proposals",
        "ok": "ok",
        "over parent": "over_parent",
        "new best": "improvements",
        "evaluations": "evaluations",
    }
    if console.width < _NARROW:
        titles = {title: titles[title] for title in ("proposals", "new best")}
    for title in titles:
        table.add_column(title, justify="right", header_style="cyan")
    for one in rows:
        name = safe(f"{one.mutator}:{one.operator}".rstrip(":"))
        table.add_row(name, *(str(getattr(one, field)) for field in titles.values()))
    console.print(table)


def _failures(console: Console, rows: list[Failures]) -> None:
    if not any(one.count for one in rows):
        return
    rule(console, "what failed")
    for one in rows:
        if one.count:
            line = Text.assemble((f"{one.count} {one.kind}", "bold"), f"; the first, proposal {one.number}: ")
            console.print(line.append_text(safe(one.sample.partition("\n")[0], 300)))
