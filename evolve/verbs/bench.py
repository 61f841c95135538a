"""Compare programs of a run with baselines and the seed program: right first, then in interleaved pairs.

Each contender must be right on cases that no selection saw. Then blocks of fresh jailed processes are timed side by
side with the reference, which is also compared with itself. Verdicts are Holm-corrected over the table.
"""

import argparse
import sys

from evolve.bench.compare.comparing import Progress, compare
from evolve.bench.compare.contenders import Wanted, planned
from evolve.bench.compare.records import Report, Rules
from evolve.bench.compare.saved import differences, identity, read
from evolve.bench.compare.saving import can_save, save
from evolve.bench.compare.telling import progress_line, tell
from evolve.errors import UsageError
from evolve.terminal import out, print_json
from evolve.text import clean
from evolve.verbs.common import add_json, needs_jail

__all__ = ["configure", "run"]

_USUAL = Rules()
_EVERY = 5.0
"""Seconds between two lines of progress."""


def configure(parser: argparse.ArgumentParser) -> None:
    """LEDGER, who is compared, and how thoroughly."""
    parser.add_argument("ledger", metavar="LEDGER", help="of a run")
    parser.add_argument(
        "programs", metavar="PROGRAM", nargs="*", help="ids or numbers of proposals, beside the best"
    )
    parser.add_argument("--islands", action="store_true", help="the best of each island as well")
    parser.add_argument(
        "--reference",
        metavar="NAME",
        default="",
        help="a baseline, or seed: whom all are compared with (the problem's first baseline, or the seed)",
    )
    parser.add_argument(
        "--pairs",
        type=int,
        default=_USUAL.pairs,
        metavar="N",
        help=f"paired figures of each row: blocks of fresh processes, or draws of new cases ({_USUAL.pairs})",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=_USUAL.rounds,
        metavar="N",
        help=f"timed runs a process ({_USUAL.rounds})",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="of what is drawn; a new one, recorded, by default"
    )
    parser.add_argument(
        "--save", "--json-out", metavar="FILE", help="write the results as pytest-benchmark's JSON"
    )
    parser.add_argument(
        "--against", metavar="FILE", help="show the ratios of an earlier --save file beside these"
    )
    parser.add_argument(
        "--unsafe", action="store_true", help="run programs without a jail, where this machine gives none"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Compare them; exit code 1 if a contender is wrong."""
    needs_jail(args.unsafe)
    for name, least in (("pairs", 6), ("rounds", 1)):
        if getattr(args, name) < least:
            raise UsageError(f"--{name} {getattr(args, name)}: at least {least}")
    before = read(args.against) if args.against else None
    if args.save:
        can_save(args.save)
    wanted = Wanted(
        programs=args.programs,
        islands=args.islands,
        reference=args.reference,
        seed=args.seed,
        rules=Rules(pairs=args.pairs, rounds=args.rounds),
        unsafe=args.unsafe,
    )
    plan = planned(args.ledger, wanted)
    names = ", ".join(one.name for one in plan.contenders) or "nothing else"
    sys.stderr.write(clean(f"evolve: comparing {names} with {plan.reference.name}\n", 1_000))
    report = compare(plan, _Watch().tell)
    if args.save:
        save(report, args.save)
    if args.json:
        print_json(_document(report, before))
    else:
        tell(out(), report, before)
    return 0 if all(gate.passed for gate in report.gates) else 1


class _Watch:
    """Says every few seconds how far it is."""

    def __init__(self) -> None:
        self._said = 0.0

    def tell(self, progress: Progress) -> None:
        """One line on stderr, if there has been none for a while."""
        if progress.seconds - self._said >= _EVERY:
            self._said = progress.seconds
            sys.stderr.write(f"evolve: {clean(progress_line(progress), 200)}\n")


def _document(report: Report, before: Report | None) -> dict[str, object]:
    told = report.as_dict()
    if before is not None:
        why = list(differences(identity(report), identity(before)))
        told["against"] = {"comparable": not why, "why_not": why, "rows": before.as_dict()["rows"]}
    return told
