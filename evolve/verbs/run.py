"""Search for better programs, from the problem's seed program, until the budget is spent."""

import argparse
from pathlib import Path

from evolve.budget import Budget
from evolve.config import Config
from evolve.errors import UsageError
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.lineage import top
from evolve.runs import free_name
from evolve.runs import run as search
from evolve.session import Output, Session, conduct, source_of
from evolve.source import SourceError, find_entry, parse
from evolve.statement import Problem
from evolve.summary import objective_of
from evolve.verbs.common import add_problem, add_workers, load_problem, needs_jail, pairs, read_program
from evolve.verbs.models import add_asking, dials_of, servers_of
from evolve.watch import Watch

__all__ = ["add_budget", "add_output", "configure", "output_of", "run"]

_BUDGET = (
    "60s, 10m, 2h, 300cpu (CPU seconds), 5000 (proposals), 2000ev (evaluations); of models 300req, 2Mtok, 12.50money. "
    "A total over all sessions of the run; may be given several times, what is reached first ends it"
)
_FROM_LEDGER = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """PROBLEM, the budget, and everything that steers or shows a search."""
    add_problem(parser)
    add_budget(parser)
    parser.add_argument("--seed", type=int, metavar="N", help="of all randomness (default 0)")
    parser.add_argument("--ledger", metavar="FILE", help="where to record; PROBLEM-DATE-SEED.db by default")
    parser.add_argument(
        "--init",
        metavar="FILE|LEDGER",
        action="append",
        default=[],
        help=f"start also from the program in a file, or from the {_FROM_LEDGER} best of another run",
    )
    parser.add_argument(
        "--set",
        dest="dials",
        metavar="DIAL=VALUE",
        action="append",
        default=[],
        help="a dial of the search: " + ", ".join(Config().as_dict()),
    )
    add_workers(parser)
    add_asking(parser)
    add_output(parser)


def add_budget(parser: argparse.ArgumentParser) -> None:
    """`--budget`."""
    parser.add_argument("--budget", metavar="LIMIT", action="append", default=[], help=_BUDGET)


def add_output(parser: argparse.ArgumentParser) -> None:
    """`--json`, `--json-events`, `--quiet`: at most one of them."""
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="end with one JSON document on stdout")
    forms.add_argument(
        "--json-events", action="store_true", help="JSON lines: started, improved, progress, finished"
    )
    forms.add_argument("--quiet", action="store_true", help="no progress, and one line at the end")


def output_of(args: argparse.Namespace) -> Output:
    """Which form was asked for."""
    if args.json:
        return "json"
    return "events" if args.json_events else "quiet" if args.quiet else "text"


def run(args: argparse.Namespace) -> int:
    """Search, showing progress; then tell what was found."""
    budget = Budget.parse_all(args.budget)
    config = Config.of(pairs(args.dials, "--set"))
    dials = dials_of(args)
    repeats = bool(args.llm and dials is None)
    if repeats and (args.seed is not None or args.dials or args.init):
        raise UsageError("a replay does what its recording did: leave --seed, --set and --init out")
    if not repeats and not args.budget:
        raise UsageError("no budget; say --budget 60s, 10m, 2h or 5000 (proposals)")
    seed = args.seed or 0
    problem = load_problem(args)
    needs_jail(args.unsafe)
    init = [source for name in args.init for source in _sources(name, problem)]
    ledger = Path(args.ledger) if args.ledger else free_name(problem.name, seed)
    watch = Watch(problem.objective, tuple(problem.measures), config.islands, budget)
    return conduct(
        Session(problem, ledger, seed, budget, args.workers),
        watch,
        output_of(args),
        lambda: search(
            problem,
            seed=seed,
            ledger=ledger,
            config=config,
            init=init,
            dials=dials,
            budget=budget,
            workers=args.workers,
            unsafe=args.unsafe,
            observer=watch,
            notices=watch.on_notice,
            **servers_of(args),
        ),
    )


def _sources(name: str, problem: Problem) -> list[str]:
    """Programs of a file, or the best of a ledger."""
    path = Path(name)
    if not path.is_file():
        raise UsageError(f"--init {name}: there is no such file")
    with path.open("rb") as file:
        is_database = file.read(16) == b"SQLite format 3\0"
    if not is_database:
        source = read_program(name)
        try:
            find_entry(parse(source), problem.entry)
        except SourceError as error:
            raise UsageError(f"--init {name}: {error}") from None
        return [source]
    with Ledger.read(path) as book:
        if book.problem["name"] != problem.name:
            raise UsageError(
                f"--init {name}: its problem is {book.problem['name']!r}, not {problem.name!r}; give a "
                "ledger of this problem"
            )
        best = top(book, objective_of(book), _FROM_LEDGER, book.fingerprint)
    return [source_of(path, one.program) for one in best]
