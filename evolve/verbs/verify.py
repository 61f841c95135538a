"""Verify a program of a run: again, jailed, on fresh cases, with an exact certificate where the problem has one."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from evolve.errors import UsageError
from evolve.named import named
from evolve.options import Options
from evolve.programs_db.ledger import Ledger
from evolve.rulings import Ruled, best_of, rule
from evolve.terminal import number, out, print_json, safe
from evolve.verbs.common import add_json, add_workers, needs_jail
from evolve.verdict_telling import tell_findings, tell_verdict
from evolve.verifier import VERIFIER, Rules

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """LEDGER, PROGRAM, and how thoroughly."""
    parser.add_argument("ledger", metavar="LEDGER", help="of a run")
    parser.add_argument(
        "program", metavar="PROGRAM", nargs="?", help="id or number of a proposal; the best by default"
    )
    parser.add_argument(
        "--draws", type=int, default=20, metavar="N", help="how often new cases are drawn (20)"
    )
    parser.add_argument(
        "--examples", type=int, default=200, metavar="N", help="cases from the problem's strategy (200)"
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="of what is drawn; a new one, recorded, by default"
    )
    add_workers(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Verify it; exit code 1 unless it is certified or confirmed."""
    needs_jail(args.unsafe)
    if args.draws < 6:
        raise UsageError(f"--draws {args.draws}: at least 6; with fewer no interval holds anything")
    if args.examples < 1:
        raise UsageError(f"--examples {args.examples}: at least 1")
    if args.seed is not None and not 0 <= args.seed < 2**63:
        raise UsageError(f"--seed {args.seed}: a number from 0 to 2**63 - 1")
    how = {"draws": args.draws, "examples": args.examples}
    rules = Rules(**how) if args.seed is None else Rules(args.seed, **how)
    options = Options(unsafe=args.unsafe, **({} if args.workers is None else {"workers": args.workers}))
    with Ledger.read(args.ledger) as book:
        program = named(book, args.program) if args.program else best_of(book)
    sys.stderr.write(f"evolve: verifying {program[:15]} of {args.ledger}\n")
    ruled = rule(args.ledger, program, rules, options)
    if args.json:
        print_json(_document(args.ledger, ruled))
    else:
        _show(ruled)
    return 0 if ruled.verdict.verdict in ("certified", "confirmed") else 1


def _document(ledger: str, ruled: Ruled) -> dict[str, object]:
    verdict, before = ruled.verdict, ruled.before
    return {
        "ledger": str(Path(ledger).resolve()),
        "program": ruled.program,
        "value": ruled.value,
        "verifier": VERIFIER,
        "verdict": verdict.verdict,
        "seconds": verdict.seconds,
        **verdict.evidence(),
        "before": None
        if before is None
        else {"verdict": before.verdict, "verifier": before.verifier, "at": before.at},
    }


def _show(ruled: Ruled) -> None:
    console, verdict, before = out(), ruled.verdict, ruled.before
    value = "never scored" if ruled.value is None else number(ruled.value)
    console.print(safe(f"{ruled.program[:15]}, recorded as {value}"))
    tell_findings(console, [finding.as_dict() for finding in verdict.findings])
    tell_verdict(console, verdict.verdict, verdict.why)
    if before is not None and before.verdict != verdict.verdict:
        day = datetime.fromtimestamp(before.at, UTC).date().isoformat()
        told = f"it was {before.verdict} on {day} ({before.verifier}): {before.evidence['why']}"
        told = " ".join(told.split())
        console.print(safe(f"this has changed: {told}", 700, "bold yellow"), soft_wrap=True)
    console.print(
        safe(
            f"drawn with seed {verdict.seed}; {verdict.seconds:.1f} s; the verdict is in the ledger",
            style="dim",
        )
    )
