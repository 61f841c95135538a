"""Try a problem before searching it: does it load, does the seed score, the same twice, at what cost?"""

import argparse

from evolve.errors import ProblemError
from evolve.inspection import Check, inspect_problem
from evolve.terminal import finding, out, print_json
from evolve.verbs.common import add_json, add_problem, load_problem, needs_jail

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """PROBLEM, `-p`, `--unsafe` and `--json`."""
    add_problem(parser)
    parser.add_argument("--unsafe", action="store_true", help="run programs without a jail")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Try everything; exit code 1 if something failed."""
    needs_jail(args.unsafe)
    console = None if args.json else out()
    checks: list[Check] = []

    def tell(check: Check) -> None:
        checks.append(check)
        if console is not None:
            finding(console, check.result, check.sentence)

    try:
        problem = load_problem(args)
    except ProblemError as error:
        tell(Check("loads", "failed", str(error)))
    else:
        for check in inspect_problem(problem, args.unsafe):
            tell(check)
    failed = sum(check.result == "failed" for check in checks)
    if console is None:
        told = [
            {"name": c.name, "result": c.result, "sentence": c.sentence, **(c.figures or {})} for c in checks
        ]
        print_json({"problem": args.problem, "ok": not failed, "checks": told})
    else:
        warned = sum(check.result == "warning" for check in checks)
        verdict = f"{failed} failed" if failed else f"it holds{f', with {warned} warnings' if warned else ''}"
        console.print(
            f"{args.problem}: {verdict}", style="bold red" if failed else "bold green", soft_wrap=True
        )
    return 1 if failed else 0
