"""Attack a problem's own score, simulate and certify before a search does, and say what gets through.

Hostile answers and hostile programs are made from the seed and the baselines; nothing that holds is changed.
`evolve check` makes the most telling of these attacks as well.
"""

import argparse
import difflib
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from evolve.errors import UsageError
from evolve.redteam.attacks import ATTACKS, fitting
from evolve.redteam.campaign import Finding, attacked
from evolve.statement import Problem
from evolve.terminal import finding, out, print_json
from evolve.text import clean
from evolve.verbs.common import add_json, add_parameters, load_problem, needs_jail

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """PROBLEM, `-p`, `--only`, `--list`, `--unsafe` and `--json`."""
    parser.add_argument(
        "problem",
        metavar="PROBLEM",
        nargs="?",
        help="a shipped name, or a path: my_problem.py or my_problem.py:factory",
    )
    add_parameters(parser)
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        default=[],
        help="make this attack only; may be given several times",
    )
    parser.add_argument("--list", action="store_true", help="list the attacks and make none")
    parser.add_argument("--unsafe", action="store_true", help="run programs without a jail")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Make the attacks; exit code 1 if one gets through."""
    _known(args.only)
    if args.problem is None and not args.list:
        raise UsageError("redteam: which problem? `evolve redteam PROBLEM`, or `evolve redteam --list`")
    problem = load_problem(args) if args.problem is not None else None
    if args.list:
        return _list(problem, args.json)
    assert problem is not None
    _fit(problem, args.only)
    needs_jail(args.unsafe)
    console = None if args.json else out()
    findings = []
    for one in attacked(problem, args.unsafe, args.only):
        findings.append(one)
        if console is not None:
            _tell(console, one)
    through = [one.attack for one in findings if one.result == "failed"]
    if console is None:
        told = [_told(one) for one in findings]
        print_json({"problem": args.problem, "ok": not through, "through": through, "attacks": told})
    else:
        _sum_up(console, args.problem, findings)
    return 1 if through else 0


def _known(names: Sequence[str]) -> None:
    known = [attack.name for attack in ATTACKS]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else "`evolve redteam --list` lists them"
            raise UsageError(f"no attack called {name!r}; {hint}")


def _fit(problem: Problem, names: Sequence[str]) -> None:
    fits = {attack.name for attack in fitting(problem.form)}
    for name in names:
        if name not in fits:
            raise UsageError(f"attack {name!r} does not fit form {problem.form!r}; leave it out")


def _list(problem: Problem | None, as_json: bool) -> int:
    attacks = fitting(problem.form) if problem is not None else list(ATTACKS)
    if as_json:
        print_json(
            [
                {
                    "name": a.name,
                    "number": a.number or None,
                    "forms": a.forms,
                    "tries": a.tries,
                    "mend": a.mend,
                }
                for a in attacks
            ]
        )
        return 0
    console = out()
    width = max(len(attack.name) for attack in attacks) + 2
    for attack in attacks:
        line = Text(f"{attack.name:<{width}}", style="cyan").append(attack.tries, style="default")
        console.print(line, soft_wrap=not console.is_terminal)
    return 0


def _tell(console: Console, one: Finding) -> None:
    if not one.found:
        held = f"{one.attack}: {one.tried} tried" if one.tried else one.attack
        finding(console, "ok", held + (" (its time ran out)" if one.cut else ""))
    for hit in one.found:
        finding(console, hit.grade, f"{one.attack}: {hit.sentence}")


def _told(one: Finding) -> dict[str, Any]:
    return {
        "name": one.attack,
        "number": one.number or None,
        "result": one.result,
        "found": [{"result": hit.grade, "sentence": clean(hit.sentence)} for hit in one.found],
        "tried": one.tried,
        "cut": one.cut,
        "seconds": one.seconds,
    }


def _sum_up(console: Console, name: str, findings: Sequence[Finding]) -> None:
    through = [one.attack for one in findings if one.result == "failed"]
    warned = sum(one.result == "warning" for one in findings)
    if findings and findings[0].attack == "seed":
        said = "no attack was made; `evolve check` says more"
    elif through:
        said = f"{len(through)} of {len(findings)} attacks get through: {', '.join(through)}"
    else:
        said = f"{len(findings)} attacks were held" + (f", with {warned} warnings" if warned else "")
    console.print(f"{name}: {said}", style="bold red" if through else "bold green", soft_wrap=True)
