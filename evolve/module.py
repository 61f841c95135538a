"""A program as a Python module that runs without `evolve`: its block, behind a header that says its origin.

Knows texts. The block is written as it is, to the byte; everything in the header is set on one line each.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evolve.text import clean

__all__ = ["Origin", "module_text"]

_WARNING = """\
A machine wrote the code below; no person has read it. Read it before you run it: outside of evolve it runs
with all of your rights, and not in a jail."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a program comes from.

    Args:
        problem: name.
        parameters: of the problem.
        objective: name, direction and unit.
        value: objective on the training cases; None if it has none.
        unseen: objective on each unseen suite, where it is known.
        verdict: of a verifier, or "unverified".
        program: its id.
        number: the proposal that made it.
        seed: of the run.
        content_hash: of the ledger.
        version: of evolve, when the run began.
        date: of the run, ISO.
        entry: function to call, where it is known.
    """

    problem: str
    parameters: Mapping[str, Any]
    objective: Mapping[str, str]
    value: float | None
    unseen: Mapping[str, float | None]
    verdict: str
    program: str
    number: int
    seed: Any
    content_hash: str
    version: str
    date: str
    entry: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


def module_text(block: str, origin: Origin) -> str:
    """The text of the module.

    Args:
        block: the program, which nobody has read.
        origin: what the header says.
    """
    sought = origin.objective
    lines = [
        f"Found by evolve {origin.version} on {origin.date}.",
        *_WARNING.splitlines(),
        "",
        f"problem:      {origin.problem}",
        f"parameters:   {json.dumps(dict(origin.parameters), default=str)}",
        f"{(sought['name'] + ':'):<14}{_number(origin.value)} {sought['unit']}".rstrip()
        + f" on the training cases ({sought['direction']} is sought)",
        *(
            f"  unseen {suite}: {_number(value)} {sought['unit']}".rstrip()
            for suite, value in origin.unseen.items()
        ),
        f"verdict:      {origin.verdict}",
        f"program:      {origin.program} (proposal {origin.number}, seed {origin.seed})",
        f"ledger:       {origin.content_hash}",
        *([f"call:         {origin.entry}"] if origin.entry else []),
        *(f"{name + ':':<14}{text}" for name, text in origin.extra.items()),
    ]
    if clean(block, len(block)) != block:
        lines += [
            "",
            "CAREFUL: it holds control characters, or some that change the direction of text; an editor may",
            "show it otherwise than Python reads it.",
        ]
    header = "".join(f"# {_one_line(line)}".rstrip() + "\n" for line in lines)
    return f"{header}\n{block.lstrip(chr(10)).rstrip()}\n"


def _number(value: float | None) -> str:
    return "no score" if value is None else repr(value)


def _one_line(text: str) -> str:
    """No line break of any kind may end the comment: a parameter's text must not become code."""
    return " ".join(clean(text, 1_000).split()) if "\n" in text else clean(text, 1_000)
