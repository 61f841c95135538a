"""Run a designed experiment, problems x strategies x seeds under a matched budget, and say what it showed."""

import argparse
import os
import sys
from pathlib import Path

from evolve.bench.study.against import Other, held_against
from evolve.bench.study.conduct import Conduct, conduct
from evolve.bench.study.plan import Plan, plan_of, read_plan
from evolve.bench.study.strategies import SHIPPED
from evolve.bench.study.telling import tell, tell_against
from evolve.errors import UsageError
from evolve.terminal import out, print_json
from evolve.verbs.common import add_json, needs_jail, pairs

__all__ = ["configure", "run"]

_FLAGS = ("problem", "strategy", "seeds", "budget", "outcome", "simulated", "compare")


def configure(parser: argparse.ArgumentParser) -> None:
    """PLAN or the flags that make one, `-o`, `--jobs`, `--against`, `--yes`, `--unsafe` and `--json`."""
    parser.add_argument(
        "plan", metavar="PLAN", nargs="?", help="a TOML file; or say --problem, --strategy, ..."
    )
    parser.add_argument(
        "-o", dest="folder", metavar="FOLDER", help="where everything is kept; PLAN's name by default"
    )
    parser.add_argument(
        "--problem",
        metavar="'NAME P=V'",
        action="append",
        default=[],
        help="a problem with its parameters, such as 'capset n=6'; may be given several times",
    )
    parser.add_argument(
        "--strategy",
        metavar="NAME",
        action="append",
        default=[],
        help="the first is compared with each other; " + ", ".join(SHIPPED),
    )
    parser.add_argument("--seeds", metavar="A-B", help="of the runs of each, such as 0-29")
    parser.add_argument("--budget", metavar="LIMIT", help="of each run: 2000ev, 60cpu or 5000 (proposals)")
    parser.add_argument("--compare", metavar="A,B", action="append", default=[], help="compare these two")
    parser.add_argument("--outcome", metavar="NAME", help="judge by final (default), area, unseen or fresh")
    parser.add_argument(
        "--simulated",
        metavar="DIAL=VALUE,...",
        help="ask a simulated model: invalid, duplicate, lazy, step, tokens, latency, price, slots",
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="runs side by side (one a core by default)")
    parser.add_argument(
        "--against",
        metavar="RESULTS",
        help="hold it against the folder or study.json of another version; exit code 1 if the search is worse now",
    )
    parser.add_argument("--yes", action="store_true", help="begin without asking")
    parser.add_argument("--unsafe", action="store_true", help="run programs without a jail")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do what is missing, and tell all of it."""
    plan = _plan(args)
    jobs = len(os.sched_getaffinity(0)) if args.jobs is None else args.jobs
    if not 1 <= jobs <= 1024:
        raise UsageError(f"--jobs {jobs}: at least 1, and no more than 1,024")
    folder = _folder(args)
    needs_jail(args.unsafe)
    other = None if args.against is None else Other.read(Path(args.against))
    how = Conduct(folder, jobs, args.unsafe, ask=not args.yes and not args.json and sys.stdin.isatty())
    document = conduct(plan, how, other)
    if document is None:
        return 130
    compared = None if other is None else held_against(document, other)
    if args.json:
        told = {key: value for key, value in document.items() if key != "runs"}
        print_json(
            {"folder": str(folder), **told, "against": None if compared is None else compared.as_dict()}
        )
    else:
        tell(out(), document, folder)
        if compared is not None:
            tell_against(out(), compared)
    return 1 if compared is not None and compared.worse else 0


def _plan(args: argparse.Namespace) -> Plan:
    given = [name for name in _FLAGS if getattr(args, name)]
    if args.plan is not None:
        if given:
            raise UsageError(f"study: --{given[0]} is a matter of {args.plan}; say it there, or give no file")
        return read_plan(Path(args.plan))
    if not args.problem or not args.budget:
        raise UsageError("study: give a plan, or --problem, --strategy, --seeds and --budget")
    told = {"problems": args.problem, "budget": args.budget}
    if args.strategy:
        told["strategies"] = args.strategy
    if args.compare:
        told["compare"] = [[word.strip() for word in pair.split(",")] for pair in args.compare]
    if args.simulated is not None:
        words = [word for word in args.simulated.split(",") if word]
        told["simulated"] = pairs(words, "--simulated")
    for name in ("seeds", "outcome"):
        if getattr(args, name) is not None:
            told[name] = getattr(args, name)
    return plan_of(told, Path.cwd())


def _folder(args: argparse.Namespace) -> Path:
    if args.folder is not None:
        return Path(args.folder)
    if args.plan is None:
        raise UsageError("study: where is it kept? say -o FOLDER")
    return Path(Path(args.plan).stem)
