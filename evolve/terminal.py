"""Consoles, and curves made of braille or ASCII characters. Knows rich, and nothing of runs."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evolve.text import clean

__all__ = [
    "braille",
    "err",
    "finding",
    "is_ascii",
    "number",
    "out",
    "plot",
    "print_json",
    "prose",
    "safe",
    "staircase",
]

_BLOCKS = '_.-~=*^"'  # rising, where there is nothing but ASCII
_STYLES = {"ok": "green", "advice": "cyan", "warning": "yellow", "failed": "bold red"}
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to `cli.main`, which knows the exit code; rich would exit with 1."""
        raise BrokenPipeError


def out() -> Console:
    """What a verb says: stdout."""
    return _Console(file=sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=False)


def err() -> Console:
    """Progress and logs: stderr."""
    return _Console(file=sys.stderr, highlight=False, markup=False, emoji=False, soft_wrap=False)


def is_ascii(console: Console) -> bool:
    """Whether the console shows nothing but ASCII."""
    return not console.encoding.lower().startswith("utf")


def safe(text: str, limit: int = 2_000, style: str = "") -> Text:
    """Text that a program may have written, without control characters and never read as markup."""
    return Text(clean(text, limit), style=style)


def prose(text: str) -> str:
    """Paragraphs of a docstring as one line each, for the terminal to wrap; set-in lines stay as they are."""
    parts = []
    for part in text.strip().split("\n\n"):
        lines = part.splitlines()
        parts.append(part if any(line[:1] in " -*" for line in lines) else " ".join(lines))
    return "\n\n".join(parts)


def number(value: Any) -> str:
    """A figure for people: six significant digits; a dash where there is none."""
    return "-" if value is None else f"{value:.6g}"


def print_json(document: Any) -> None:
    """One JSON document on stdout; infinities and NaN as strings, which JSON has no numbers for."""
    try:
        text = json.dumps(document, indent=2, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(document), indent=2)
    sys.stdout.write(text + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not -float("inf") < value < float("inf"):
        return str(value)
    return value


def finding(console: Console, result: str, sentence: str) -> None:
    """One result ("ok", "advice", "warning", "failed") and its sentence, set in on a terminal."""
    grade = Text(f"{result:<8}", style=_STYLES[result])
    if not console.is_terminal:
        console.print(grade.append(clean(sentence), style="default"), soft_wrap=True)
        return
    grid = Table.grid()
    grid.add_column(width=8, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(grade, safe(sentence))
    console.print(grid)


def staircase(points: Sequence[tuple[float, float]], end: float, columns: int) -> list[float]:
    """Values of a step curve at evenly spaced places.

    Args:
        points: (place, value from there on), rising in place; at least one.
        end: last place.
        columns: how many values.
    """
    start = points[0][0]
    found, at = [], 0
    for column in range(columns):
        place = start + (end - start) * (column + 1) / columns
        while at + 1 < len(points) and points[at + 1][0] <= place:
            at += 1
        found.append(points[at][1])
    return found


def braille(values: Sequence[float], rows: int) -> list[str]:
    """A curve in braille, two values a character, `rows` lines of four dots each; the largest  on top."""
    levels = _levels(values, rows * 4)
    lines = [[0] * ((len(values) + 1) // 2) for _ in range(rows)]
    before = levels[0] if levels else 0
    for column, level in enumerate(levels):
        for dot in range(min(before, level), max(before, level) + 1) if column else (level,):
            row, high = divmod(rows * 4 - 1 - dot, 4)
            lines[row][column // 2] |= _DOTS[column % 2][high]
        before = level
    return ["".join(chr(0x2800 + cell) for cell in line) for line in lines]


def _levels(values: Sequence[float], count: int) -> list[int]:
    low, high = min(values, default=0.0), max(values, default=0.0)
    if high == low:
        return [0] * len(values)
    return [min(count - 1, int((value - low) / (high - low) * count)) for value in values]


def plot(
    points: Sequence[tuple[float, float]], end: float, width: int, rows: int, ascii_only: bool
) -> list[str]:
    """A step curve as lines of characters, one line where there is nothing but ASCII."""
    if not points or width < 2:
        return []
    if ascii_only:
        return ["".join(_BLOCKS[level] for level in _levels(staircase(points, end, width), len(_BLOCKS)))]
    return braille(staircase(points, end, 2 * width), rows)
