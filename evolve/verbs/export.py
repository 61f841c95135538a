"""Write a run's best program as a module that needs no evolve, or its elites as JSON lines or a folder."""

import argparse
import ast
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evolve import __version__ as version
from evolve.certificate import Checker, certified, script, signed
from evolve.errors import EvolveError, ProblemError, UsageError
from evolve.handle import Run
from evolve.module import Origin, module_text
from evolve.named import find_program, named
from evolve.origin import problem_of
from evolve.programs_db.export import bundle, elite_records, program_record, write_json_lines
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.lineage import top
from evolve.rulings import NothingFound
from evolve.summary import last_document
from evolve.terminal import out, print_json
from evolve.text import clean
from evolve.verbs.common import add_json, may_write, print_text, write_whole

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
    parser.add_argument(
        "--certificate",
        action="store_true",
        help="what `evolve verify` has certified, and a stand-alone script that checks it",
    )
    parser.add_argument("--force", action="store_true", help="write over a file that exists")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Write it."""
    if args.format != "module" and (args.program or args.certificate):
        raise UsageError("--program and --certificate go without --format")
    run_ = Run(args.ledger)
    with Ledger.read(run_.ledger) as book:
        found = top(book, run_.objective, 1, book.fingerprint)
        if not found and not args.program:
            raise NothingFound(
                f"{run_.ledger}: no program of this run has a score, so there is nothing to export"
            )
        if args.certificate:
            return _certificate(book, run_, args, found[0].program if found else "")
        if args.format == "module":
            number = find_program(book, args.program) if args.program else found[0].number
            return _module(book, run_, number, args)
        target = Path(args.output or f"{run_.problem}_{'elites.jsonl' if args.format == 'jsonl' else 'best'}")
        if args.format == "jsonl":
            may_write(target, args.force)
            count = write_json_lines(elite_records(book, run_.archive, book.fingerprint), target)
        else:
            count = len(bundle(book, run_.objective, target, _BUNDLED))
    _done(args, {"file": str(target), "format": args.format, "programs": count})
    return 0


def _module(book: Ledger, run_: Run, number: int, args: argparse.Namespace) -> int:
    record = program_record(book, number, book.fingerprint)
    text = module_text(record["source"], _origin(book, run_, record))
    if args.output == "-":
        print_text(text)
        return 0
    path = Path(args.output or f"{run_.problem}_{record['id'].removeprefix('b2:')[:8]}.py")
    may_write(path, args.force)
    write_whole(path, text)
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


def _certificate(book: Ledger, run_: Run, args: argparse.Namespace, best: str) -> int:
    """Two files: what is claimed, and what checks it."""
    program = named(book, args.program) if args.program else best
    said = [one for one in book.rulings(program) if one.fingerprint == book.fingerprint]
    if not said or said[-1].verdict != "certified":
        why = f"it is {said[-1].verdict}: {said[-1].evidence['why']}" if said else "nobody has verified it"
        raise NothingFound(
            f"{run_.ledger}: {program[:15]} has no certificate: {clean(why, 400)}; say evolve verify {run_.ledger.name}"
        )
    problem = problem_of(book)
    if problem.check is None:
        raise UsageError(f"problem {run_.problem!r} has no check=, so nobody could check its certificates")
    (found,) = (one for one in said[-1].evidence["findings"] if one["name"] == "certificate")
    _still_holds(run_, problem.check, found["certificates"])
    claims = {
        "problem": run_.problem,
        "parameters": run_.parameters,
        "objective": {"name": run_.objective.name, "direction": run_.objective.direction},
        "program": program,
        "verifier": said[-1].verifier,
        "checker": f"check_{run_.problem}.py",
        "claims": [{"case": case, **one} for case, one in found["certificates"].items()],
    }
    path = Path(args.output or f"{run_.problem}_{program.removeprefix('b2:')[:8]}.certificate.json")
    checker = path.with_name(f"check_{run_.problem}.py")
    if args.output == "-" or path == checker:
        raise UsageError(f"-o {args.output}: two files are written; give another name for the certificate")
    text = script(problem.check, run_.problem, version)
    if not (checker.is_file() and checker.read_text(encoding="utf-8") == text):
        may_write(checker, args.force)
    may_write(path, args.force)
    for place, words in ((checker, text), (path, signed(claims))):
        write_whole(place, words)
    _done(args, {"file": str(path), "checker": str(checker), "format": "certificate", "program": program})
    return 0


def _still_holds(run_: Run, check: Checker, certificates: Mapping[str, Any]) -> None:
    """Ask the checker that is to be handed out: the problem file may have changed since the verdict."""
    for case, one in certificates.items():
        try:
            now = certified(check, one["data"], "{value}")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the problem's own code
            why = f"check raised {type(error).__name__}: {error}"
        else:
            why = (
                "" if now.valid and now.value == one["value"] else f"check says {now.value or now.statement}"
            )
        if why:
            raise NothingFound(
                f"{run_.ledger}: the problem file has changed since the verdict: of case {clean(case, 60)} its "
                f"{clean(why, 300)}; say evolve verify {run_.ledger.name}"
            )


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
    if "checker" in about:
        console.print(
            f"wrote {about['checker']}: python -I {about['checker']} {about['file']}", soft_wrap=True
        )
    if about["format"] == "module":
        console.print("a machine wrote it: read it before you run it", style="yellow")
