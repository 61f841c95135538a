"""Tells speeds to people: a ratio with its interval, against what it was measured, and whether it was confirmed.

Knows the document of `summary`; a run for speed is one whose objective names a baseline.
"""

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from evolve.programs_db.records import Evaluation
from evolve.speed import ALL
from evolve.statement import Problem

__all__ = ["headline_of_speed", "is_speed", "raced", "ratio", "rows_of_speed", "speed_doubts", "spoken"]

Document = Mapping[str, Any]


def is_speed(document: Document) -> bool:
    """Whether the run sought speed."""
    return "baseline" in document["objective"]


def ratio(value: float | None) -> str:
    """A speed-up to the digits that can be measured: 0.97x, 12.3x, 140x; "?" where nothing is known."""
    if value is None or value == float("inf"):
        return "?"
    return f"{value:.2f}x" if value < 10 else f"{value:.1f}x" if value < 100 else f"{value:.0f}x"


def spoken(found: Mapping[str, Any]) -> str:
    """What a race found, in words.

    Args:
        found: with "speedup", "low", "high", "pairs", "verdict" and "baseline".
    """
    figure = f"{ratio(found['speedup'])} {_interval(found)}"
    over = f"over {found['pairs']:.0f} pairs"
    if found["verdict"] == "faster":
        return f"{figure} faster than {found['baseline']} {over}"
    if found["verdict"] == "slower":
        return f"slower: {figure} the speed of {found['baseline']} {over}"
    if found["verdict"] == "too few pairs":
        return f"too few pairs to tell: {figure} the speed of {found['baseline']} {over}"
    return f"no difference: {figure} the speed of {found['baseline']} {over}"


def raced(problem: Problem, evaluation: Evaluation) -> dict[str, Any]:
    """What the race of an `ok` evaluation found, in the form that `spoken` takes."""
    assert problem.speed is not None
    found = dict(evaluation.scores[ALL])
    verdict = "faster" if found["low"] > 1 else "slower" if found["high"] < 1 else "no difference"
    if found["high"] == float("inf") and verdict == "no difference":
        verdict = "too few pairs"
    return {**found, "baseline": problem.speed.baseline, "verdict": verdict}


def headline_of_speed(document: Document) -> Text:
    """What was found, and whether it was confirmed on inputs that the search never saw."""
    best, objective = document["best"], document["objective"]
    if best is None:
        return Text("no valid program was found", style="bold red")
    name = f"{objective['name']}: "
    found = best.get("confirmation")
    if found is None:
        line = Text(f"{name}best {ratio(best['value'])} {objective['baseline']}'s speed", style="bold yellow")
        return line.append(" in the search; it was not measured again afterwards: not confirmed", style="dim")
    if found["confirmed"]:
        line = Text(name, style="bold").append(f"{spoken(found)}; confirmed", style="bold green")
        if best.get("number") == 0:
            line.append("; it is the seed program: nothing faster than that was found", style="yellow")
        return line
    if found.get("wrong"):
        return Text(f"{name}not confirmed: the best program is wrong", style="bold red")
    if found.get("failed"):
        return Text(
            f"{name}not confirmed: the problem's own functions failed: {found['failed']}", style="bold red"
        )
    if found["verdict"] == "slower":
        none = f"none found: best is {ratio(found['speedup'])} {_interval(found)} the speed of {found['baseline']}"
        return Text(f"{name}{none}", style="bold yellow")
    return Text(f"{name}not confirmed; {spoken(found)}", style="bold yellow")


def rows_of_speed(lines: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, dict[str, str]]]:
    """Rows of a table: all cases together, the interval, then each case.

    Args:
        lines: seed, best and baselines by name, as in a document.
    """
    found = {name: line.get("confirmation") or {} for name, line in lines.items()}
    told = {name: ratio(one.get("speedup", lines[name].get("value"))) for name, one in found.items()}
    rows = [("all", told)]
    if any("low" in one for one in found.values()):
        rows.append(("interval", {name: _interval(one) for name, one in found.items()}))
    cases = dict.fromkeys(case for one in found.values() for case in one.get("cases", {}))
    rows += [
        (case, {name: ratio(one.get("cases", {}).get(case)) for name, one in found.items()}) for case in cases
    ]
    return rows


def _interval(found: Mapping[str, Any]) -> str:
    return f"[{ratio(found['low'])}, {ratio(found['high'])}]".replace("x", "") if "low" in found else "-"


def speed_doubts(document: Document) -> list[str]:
    """What a reader must know before believing the speeds, a sentence each."""
    doubts = []
    best = document["best"] or {}
    found = best.get("confirmation") or {}
    for kind, why in found.get("wrong", {}).items():
        doubts.append(f"the best program is wrong ({kind}): {why}")
    if found.get("counterexample"):
        doubts.append(f"it answers wrong for {found['counterexample']}")
    if found.get("flagged"):
        doubts.append(
            "CPU time and wall time of the best disagree by more than 5 %: it may sleep, wait or use other threads "
            f"(by the wall it is {ratio(found['wall_speedup'])})"
        )
    faster = [
        name
        for name, line in document["baselines"].items()
        if _bound(line, "low") > (_bound(best, "high") or float("inf"))
    ]
    if faster:
        doubts.append(f"baseline {', '.join(faster)} is faster than the best program")
    machines = document.get("machines", [])
    if len(machines) > 1:
        doubts.append(
            f"its sessions ran on different machines ({'; '.join(machines)}): their speeds are not to be compared"
        )
    return doubts


def _bound(line: Mapping[str, Any], which: str) -> float:
    return float((line.get("confirmation") or {}).get(which) or 0.0)
