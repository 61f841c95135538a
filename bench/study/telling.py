"""Tells a study on a console: the sentences, and where the rest lies. Knows the document of `results`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from evolve.bench.study.against import Against
from evolve.telling import rule
from evolve.terminal import safe

__all__ = ["tell", "tell_against"]

_STYLES = {"better": "green", "worse": "yellow", "equal": "dim", "not settled": ""}


def tell(console: Console, document: Mapping[str, Any], folder: Path) -> None:
    """The sentences of a study."""
    plan = document["plan"]
    if document["simulated"]:
        console.print(safe(document["simulated"], style="bold yellow"))
    rule(console, "what it says")
    for one in document["questions"]:
        if one["outcome"] == plan["outcome"]:
            console.print(safe(one["sentence"], style=_STYLES[one["verdict"]]))
    rule(console, "in all")
    for line in document["summary"] or ["nothing was to be compared"]:
        console.print(safe(line, style="bold"))
    for doubt in document["doubts"]:
        console.print(Text("warning: ", style="bold yellow").append_text(safe(doubt, style="not bold")))
    console.print(
        safe(f"{folder / 'study.md'} has the tables, {folder / 'study.json'} everything"), soft_wrap=True
    )


def tell_against(console: Console, compared: Against) -> None:
    """What has changed since another version."""
    rule(console, "against the other version")
    for line in compared.sentences[:-1]:
        console.print(safe(line))
    console.print(safe(compared.sentences[-1], style="bold red" if compared.worse else "bold green"))
