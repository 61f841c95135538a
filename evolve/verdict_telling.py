"""Tells verdicts to people: the word, why, and what each check found. What programs wrote is shown as what it is."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from evolve.terminal import is_ascii, safe

__all__ = ["STYLES", "tell_findings", "tell_verdict"]

STYLES = {"certified": "bold green", "confirmed": "green", "refuted": "bold red", "unverified": "yellow"}
_MARKS = {True: ("✓", "+", "green"), False: ("✗", "x", "red"), None: ("·", "-", "dim")}


def tell_verdict(console: Console, verdict: str, why: str) -> None:
    """One line: the verdict, and why."""
    line = safe(f"verdict: {_line(verdict)}", style=STYLES.get(verdict, "yellow"))
    console.print(line.append_text(safe(f" ({_line(why)})", 600, "dim")) if why else line, soft_wrap=True)


def _line(text: str) -> str:
    """One line of it: what a program wrote shall not look like a verdict of its own."""
    return " ".join(text.split())


def tell_findings(console: Console, findings: Sequence[Mapping[str, Any]]) -> None:
    """A line for each check that was made."""
    for one in findings:
        fancy, plain, style = _MARKS[one["holds"]]
        mark = plain if is_ascii(console) else fancy
        console.print(
            Text.assemble(
                (f"{mark} ", style), (f"{one['name']:<12}", "cyan"), safe(_line(one["words"]), 900)
            ),
            soft_wrap=True,
        )
        for name, gain in one.get("against", {}).items():
            interval = f"[{gain['low']:.4g}, {gain['high']:.4g}]"
            told = f"    {name}: {gain['mean']:.6g} there, better by {gain['gain']:.4g} {interval}"
            console.print(safe(told, 300, "dim"))
