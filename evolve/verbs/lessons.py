"""What models have learnt in a run: shown, or replaced by what a human knows better."""

import argparse
from typing import Any

from rich.text import Text

from evolve.errors import UsageError
from evolve.llm.lessons import LONGEST, MOST, lesson_record, read_lessons
from evolve.programs_db.ledger import Ledger
from evolve.terminal import out, print_json
from evolve.text import clean
from evolve.verbs.common import add_json, text_of

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """LEDGER, and what replaces its lessons."""
    parser.add_argument("ledger", metavar="LEDGER", help="of a run that asks models")
    parser.add_argument(
        "--set",
        dest="file",
        metavar="FILE",
        help='replace them by the list items ("- ...") of a file, or of stdin (-); the run must not be going on',
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Show the lessons that hold, after replacing them if asked to."""
    if args.file is not None:
        lessons = _read(args.file)
        with Ledger.open(args.ledger) as book:
            _must_ask(book)
            book.record_intervention("lessons", lesson_record(lessons, book.asked))
    with Ledger.read(args.ledger) as book:
        _must_ask(book)
        told = book.interventions("lessons")
    nothing: tuple[int, dict[str, Any]] = (0, {"by": "", "lessons": []})
    arrival, last = told[-1] if told else nothing
    if args.json:
        print_json({"commits": arrival, **last})
        return 0
    console = out()
    if not last["lessons"]:
        console.print("no lessons yet")
        return 0
    console.print(
        Text(f"by {clean(last.get('model', last['by']), 100)}, after {arrival} commits:", style="dim")
    )
    for lesson in last["lessons"]:
        console.print(Text("- " + clean(lesson, LONGEST)))
    return 0


def _read(name: str) -> list[str]:
    text = text_of(name, "--set")
    lessons = list(read_lessons(text))
    if not lessons and text.strip():
        raise UsageError(
            f'--set {name}: no list items; write a line for each of up to {MOST} lessons, "- ..."'
        )
    return lessons


def _must_ask(book: Ledger) -> None:
    if "llm" not in book.run:
        raise UsageError(f"{book.path}: this run asks no model, so nothing reads lessons")
