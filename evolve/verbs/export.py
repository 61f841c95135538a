"""Write a run's best program as a module that needs no evolve, or its elites as JSON lines or a folder."""

import argparse
import ast
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evolve.errors import EvolveError, ProblemError, UsageError
from evolve.handle import Run
from evolve.module import Origin, module_text
from evolve.programs_db.export import bundle, elite_records, program_record, write_json_lines
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.lineage import top
from evolve.runs import problem_of
from evolve.summary import last_document
from evolve.terminal import out, print_json
from evolve.verbs.common import add_json
from evolve.verbs.show import find_program

__all__ = ["configure", "run"]

_BUNDLED = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """LEDGER, where to, and what."""
    parser.add_argument("ledger", metavar="LEDGER", help="of a run")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write; - for stdout (modules only)")
    parser.add_argument("--program", metavar="ID|NUMBER", help="another program than the best (modules only)")
    parser.add_argument(
        "--format",
        choices=["module", "jsonl", "bundle"],
        default="module",
        help=f"module: one program; jsonl: all elites; bundle: a folder with the {_BUNDLED} best",
    )
    parser.add_argument("--force", action="store_true", help="write over a file that exists")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Write it."""
    if args.format != "module" and args.program:
        raise UsageError("--program goes with --format module only")
    run_ = Run(args.ledger)
    with Ledger.read(run_.ledger) as book:
        found = top(book, run_.objective, 1, book.fingerprint)
        if not found and not args.program:
            raise NothingFound(
                f"{run_.ledger}: no program of this run has a score, so there is nothing to export"
            )
        if args.format == "module":
            number = find_program(book, args.program) if args.program else found[0].number
            return _module(book, run_, number, args)
        target = Path(args.output or f"{run_.problem}_{'elites.jsonl' if args.format == 'jsonl' else 'best'}")
        if args.format == "jsonl":
            _may_write(target, args.force)
            count = write_json_lines(elite_records(book, run_.archive, book.fingerprint), target)
        else:
            count = len(bundle(book, run_.objective, target, _BUNDLED))
    _done(args, {"file": str(target), "format": args.format, "programs": count})
    return 0


class NothingFound(EvolveError):  # noqa: N818 - what there is to say
    """The run has no valid program."""

    exit_code = 1


def _may_write(path: Path, force: bool) -> None:
    if path.is_dir():
        raise UsageError(f"{path}: a folder; give a file")
    if path.exists() and not force:
        raise UsageError(f"{path}: the file exists, and is left as it is; choose another name or say --force")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}; make it")


def _module(book: Ledger, run_: Run, number: int, args: argparse.Namespace) -> int:
    record = program_record(book, number, book.fingerprint)
    text = module_text(record["source"], _origin(book, run_, record))
    if args.output == "-":
        print_text(text)
        return 0
    path = Path(args.output or f"{run_.problem}_{record['id'].removeprefix('b2:')[:8]}.py")
    _may_write(path, args.force)
    path.write_text(text, encoding="utf-8")
    _done(
        args,
        {
            "file": str(path),
            "format": "module",
            "program": record["id"],
            "number": number,
            "value": record["objective"],
        },
    )
    return 0


def print_text(text: str) -> None:
    """The module itself on stdout, to the byte."""
    import sys

    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8"))


def _origin(book: Ledger, run_: Run, record: dict[str, Any]) -> Origin:
    document = last_document(book, hashed=False)
    lines = [document["best"], document["seed_program"]]
    line = next((line for line in lines if line and line["program"] == record["id"]), None) or {}
    begun = book.query("SELECT at, version FROM runs")[0]
    return Origin(
        problem=run_.problem,
        parameters=run_.parameters,
        objective=document["objective"],
        value=record["objective"],
        unseen=line.get("unseen", {}),
        verdict=line.get("verdict", "unverified"),
        program=record["id"],
        number=record["number"],
        seed=run_.seed,
        content_hash=book.content_hash(),
        version=begun["version"],
        date=datetime.fromtimestamp(begun["at"], UTC).date().isoformat(),
        entry=_call(book, record["source"]),
    )


def _call(book: Ledger, source: str) -> str:
    """How the entry is called, if the problem is still there to say which function it is."""
    try:
        entry = problem_of(book).entry
    except (EvolveError, ProblemError):
        return ""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == entry:
            return f"{entry}({ast.unparse(node.args)})"
    return ""


def _done(args: argparse.Namespace, about: dict[str, Any]) -> None:
    if args.json:
        print_json(about)
        return
    console = out()
    many = f" ({about['programs']} programs)" if "programs" in about else ""
    console.print(f"wrote {about['file']}{many}", soft_wrap=True)
    if about["format"] == "module":
        console.print("a machine wrote it: read it before you run it", style="yellow")
