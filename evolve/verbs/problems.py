"""List the shipped problems, or show one: parameters, cases, measures, baselines, published figures."""

import argparse
import inspect
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evolve.errors import EvolveError
from evolve.loader import load, shipped
from evolve.statement import Problem
from evolve.telling import cited
from evolve.terminal import number, out, print_json, prose, safe
from evolve.verbs.common import add_json, add_parameters, pairs

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """NAME, `-p` and `--json`."""
    parser.add_argument(
        "problem", metavar="NAME", nargs="?", help="a shipped name or a path; all shipped ones without it"
    )
    add_parameters(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """List, or show."""
    console = out()
    if args.problem is not None:
        problem = load(args.problem, pairs(args.parameters, "-p"))
        if args.json:
            print_json(_told(problem))
        else:
            _show(console, problem)
        return 0
    rows = [_row(name) for name in shipped()]
    if args.json:
        print_json(rows)
    else:
        _list(console, rows)
    return 0


def _row(name: str) -> dict[str, Any]:
    """One shipped problem in a line; one that does not load says so and does not hide the others."""
    try:
        problem = load(name)
    except EvolveError as error:
        return {"name": name, "description": f"does not load: {error}", "form": "", "objective": None}
    return {
        "name": name,
        "description": problem.description.strip().partition("\n")[0],
        "form": problem.form,
        "objective": _objective(problem),
    }


def _objective(problem: Problem) -> dict[str, str]:
    sought = problem.objective
    return {"name": sought.name, "direction": sought.direction, "unit": sought.unit}


def _sought(objective: dict[str, str]) -> str:
    unit = f" ({objective['unit']})" if objective["unit"] else ""
    return f"{objective['direction']} {objective['name']}{unit}"


def _list(console: Console, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        line = Text(row["name"], style="bold")
        if row["objective"]:
            line.append(f"  {row['form']}, {_sought(row['objective'])}", style="not bold cyan")
        console.print(line)
        console.print(Text("  ").append(safe(row["description"])))
    console.print(
        Text("\nevolve problems NAME shows one; evolve run NAME --budget 60s searches", style="dim")
    )


def _told(problem: Problem) -> dict[str, Any]:
    return {
        "name": problem.name,
        "path": problem.path,
        "description": problem.description,
        "form": problem.form,
        "entry": problem.entry,
        "objective": _objective(problem),
        "parameters": dict(problem.parameters),
        "cases": [case.name for case in problem.cases],
        "unseen": {name: [case.name for case in cases] for name, cases in problem.unseen.items()},
        "measures": [
            {"name": m.name, "low": m.low, "high": m.high, "bins": m.bins} for m in problem.measures
        ],
        "baselines": list(problem.baselines),
        "references": [
            {"name": r.name, "value": r.value, "source": r.source, "date": r.date, "case": r.case}
            for r in problem.references
        ],
        "primitives": [primitive.name for primitive in problem.primitives],
        "limits": {"seconds": problem.limits.seconds, "cpu_seconds": problem.limits.cpu_seconds},
        "repeats": problem.repeats,
        "certified": problem.certify is not None,
        "fresh": problem.fresh is not None,
        "seed_program": problem.block,
    }


def _show(console: Console, problem: Problem) -> None:
    console.print(Text(problem.name, style="bold").append(f"  {problem.path}", style="not bold dim"))
    console.print(safe(prose(inspect.cleandoc(problem.description)), 6_000))
    console.print()
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in _lines(problem):
        grid.add_row(Text(name), safe(value))
    console.print(grid)
    console.print(Text("\nseed program", style="cyan"))
    console.print(safe(problem.block.strip("\n"), 4_000), soft_wrap=True)


def _lines(problem: Problem) -> list[tuple[str, str]]:
    lines = [
        ("objective", _sought(_objective(problem))),
        ("form", f"{problem.form}; the program defines {problem.entry}()"),
        (
            "parameters",
            ", ".join(f"{name}={value!r}" for name, value in problem.parameters.items()) or "none",
        ),
        ("cases", _some([case.name for case in problem.cases])),
        ("unseen", ", ".join(f"{name} ({len(cases)})" for name, cases in problem.unseen.items()) or "none"),
        (
            "measures",
            ", ".join(f"{m.name} {m.low:g}..{m.high:g} in {m.bins}" for m in problem.measures) or "none",
        ),
        ("baselines", ", ".join(problem.baselines) or "none"),
        ("primitives", ", ".join(dict.fromkeys(one.name for one in problem.primitives)) or "none"),
        ("certificate", "exact" if problem.certify else "none"),
        (
            "limits",
            f"{problem.limits.seconds:g} s a case, {problem.limits.cpu_seconds:g} CPU seconds a program",
        ),
    ]
    for reference in problem.references:
        of = f" on {reference.case}" if reference.case else ""
        source = cited(reference.source, reference.date)
        lines.append(("published", f"{reference.name} {number(reference.value)}{of} ({source})"))
    return lines


def _some(names: list[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f", ... ({len(names)} in all)" if len(names) > most else "")
