"""The archive as a small map of characters: which cells were reached, and how good the best of each is.

Reads the ledger with one query; a cell counts the best program ever evaluated there, on any island, so that
the map is the same during a run, after it and after `kill -9`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from evolve.programs_db.reading import Reading
from evolve.programs_db.records import Measure, Objective
from evolve.terminal import is_ascii

__all__ = ["best_by_cell", "draw"]

Cells = Mapping[tuple[int, ...], float]

_COLOURS = (
    "#3b0f70",
    "#51127c",
    "#721f81",
    "#8c2981",
    "#b5367a",
    "#de4968",
    "#f1605d",
    "#fc8961",
    "#feb078",
    "#fcfdbf",
)


def best_by_cell(book: Reading, objective: Objective, measures: Sequence[Measure]) -> Cells:
    """The best objective ever evaluated in each cell of the grid of `measures`, by bins."""
    axes = list(measures)
    asked: dict[str, Any] = {
        "sign": objective.sign,
        "fingerprint": book.fingerprint,
    }
    bins = []
    for place, measure in enumerate(axes):
        asked |= {
            f"k{place}": measure.name,
            f"l{place}": measure.low,
            f"w{place}": measure.high - measure.low,
            f"n{place}": measure.bins,
        }
        # Not json_extract: no path of SQLite's finds a name that JSON writes with an escape.
        value = f"(SELECT value FROM json_each(measures) WHERE key = :k{place})"  # noqa: S608 - a number
        raw = f"CAST(({value} - :l{place}) / :w{place} * :n{place} AS INTEGER)"
        bins.append(f"max(0, min(:n{place} - 1, {raw})) AS b{place}")
    columns = "".join(f"{one}, " for one in bins)
    groups = ", ".join(f"b{place}" for place in range(len(axes)))
    rows = book.query(
        f"SELECT {columns}max(:sign * objective) AS best FROM evaluations "  # noqa: S608 - put together above
        f"WHERE status = 'ok' AND fingerprint = :fingerprint {'GROUP BY ' + groups if groups else ''}",
        asked,
    )
    return {
        tuple(row[f"b{place}"] for place in range(len(axes))): row["best"] * asked["sign"]
        for row in rows
        if row["best"] is not None
    }


def draw(console: Console, cells: Cells, objective: Objective, measures: Sequence[Measure]) -> None:
    """Print the map: a digit a cell, 9 for the best tenth of the cells reached, 0 for the worst."""
    if not measures:
        console.print(Text("the problem has no measures: each island keeps one program", style="dim"))
        return
    across = measures[0]
    down = measures[1] if len(measures) > 1 else None
    levels = _levels(cells, objective)
    step = -(-across.bins // max(4, console.width - 12))  # bins a column, where the terminal is narrow
    columns = -(-across.bins // step)
    wide = 2 if 2 * columns + 12 <= console.width else 1
    rows = down.bins if down else 1
    name = down.name if down else ""
    console.print(Text(f"{name:>10}" if down else ""))
    for row in reversed(range(rows)):
        edge = ""
        if down:
            edge = f"{down.high:g}" if row == rows - 1 else f"{down.low:g}" if row == 0 else ""
        line = Text(f"{edge:>10} ", style="dim")
        for column in range(columns):
            found = [
                levels[at]
                for k in range(step)
                if (at := _at(column * step + k, row, down is not None)) in levels
            ]
            line.append_text(_cell(max(found, default=None), wide, is_ascii(console)))
        console.print(line)
    low, high = f"{across.low:g}", f"{across.high:g}"
    room = max(1, columns * wide - len(low) - len(high))
    console.print(Text(f"{'':>11}{low}{across.name[:room]:^{room}}{high}", style="dim"))
    told = (
        f"{len(cells)} of {_count(measures[:2])} cells reached; 9: best tenth of them, 0: worst, each by the "
        f"best {objective.name} ever found there"
    )
    if len(measures) > 2:
        told += f"; {len(measures)} measures, drawn along the first two, best over the others"
    console.print(Text(told, style="dim"))


def _at(column: int, row: int, two: bool) -> tuple[int, ...]:
    return (column, row) if two else (column,)


def _count(measures: Sequence[Measure]) -> int:
    count = 1
    for measure in measures:
        count *= measure.bins
    return count


def _levels(cells: Cells, objective: Objective) -> dict[tuple[int, ...], int]:
    """By rank, not by value: one hopeless cell would leave all others the same colour."""
    order = sorted(set(cells.values()), key=objective.key)
    share = {value: min(9, int(10 * place / max(1, len(order) - 1))) for place, value in enumerate(order)}
    if len(order) == 1:
        share = {order[0]: 9}
    return {at: share[value] for at, value in cells.items()}


def _cell(level: int | None, wide: int, plain: bool) -> Text:
    if level is None:
        return Text(("." if plain else "·") + " " * (wide - 1), style="dim")
    style = f"{'black' if level > 5 else 'white'} on {_COLOURS[level]}"
    return Text(str(level) + " " * (wide - 1), style=style)
