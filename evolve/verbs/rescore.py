"""Evaluate all programs of a run again, after its problem or a library changed; `resume` then goes on."""

import argparse
import sys

from evolve.runs import rescore
from evolve.terminal import out, print_json
from evolve.verbs.common import add_json, add_workers, needs_jail

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """LEDGER, workers and `--json`."""
    parser.add_argument("ledger", metavar="LEDGER", help="of a run")
    add_workers(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate, and say how many."""
    needs_jail(args.unsafe)
    options = {"unsafe": args.unsafe, **({} if args.workers is None else {"workers": args.workers})}
    sys.stderr.write(f"evolve: evaluating the programs of {args.ledger} again\n")
    done = rescore(args.ledger, **options)
    if args.json:
        print_json({"ledger": args.ledger, "evaluations": done})
    else:
        out().print(f"{done} programs evaluated; their old scores stay in the ledger beside the new ones")
    return 0
