"""Go on with a run, as if it had never stopped; without a budget, what is left of the last one is spent."""

import argparse
from pathlib import Path

from evolve.budget import Budget
from evolve.fastcore import machine
from evolve.heatmap import best_by_cell
from evolve.origin import problem_of
from evolve.programs_db.ledger import Ledger
from evolve.runs import resume as search
from evolve.session import Session, conduct, last_budget
from evolve.summary import machine_name, machines
from evolve.terminal import err, safe
from evolve.verbs.common import add_workers, needs_jail
from evolve.verbs.models import add_servers, servers_of
from evolve.verbs.run import add_budget, add_output, output_of
from evolve.watch import Watch

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """LEDGER, the budget, and everything that shows a search."""
    parser.add_argument("ledger", metavar="LEDGER", help="of a run")
    add_budget(parser)
    add_workers(parser)
    add_servers(parser)
    add_output(parser)


def run(args: argparse.Namespace) -> int:
    """Search on, showing progress; then tell what was found."""
    ledger = Path(args.ledger)
    Ledger.open(ledger).close()  # one of an older version is brought up before it is read
    with Ledger.read(ledger) as book:
        problem, making = problem_of(book), book.run
        budget = Budget.parse_all(args.budget) if args.budget else last_budget(book)
        watch = Watch(problem.objective, tuple(problem.measures), making["config"]["islands"], budget)
        watch.recall(book)
        watch.reached.update(best_by_cell(book, problem.objective, problem.measures))
        before, here = machines(book), machine_name(machine.fingerprint())
    needs_jail(args.unsafe)
    if problem.speed and before and before != [here]:
        told = f"its speeds were measured on {'; '.join(before)}; this is {here}: they are not to be compared"
        err().print(safe(f"warning: {told}", style="yellow"), soft_wrap=True)
    return conduct(
        Session(problem, ledger, making["seed"], budget, args.workers, watch.proposals),
        watch,
        output_of(args),
        lambda: search(
            ledger,
            budget=budget,
            workers=args.workers,
            unsafe=args.unsafe,
            observer=watch,
            notices=watch.on_notice,
            **servers_of(args),
        ),
    )
