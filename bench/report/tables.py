"""Tables, figures, days: how a report words what it tells, whatever page it stands on. Knows no ledger and no page."""

import csv
import io
import math
from dataclasses import dataclass
from datetime import UTC, datetime

from evolve.terminal import number

__all__ = ["Table", "as_csv", "day", "figure", "guarded", "length", "one_line", "short"]

Value = str | int | float | bool | None

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a report.

    Args:
        name: of its CSV file, without the ending.
        title: for people.
        columns: their titles.
        rows: as many values each; a text may come from anywhere.
        note: a sentence that stands under it.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"table {self.name!r}: a row of {len(row)} in {len(self.columns)} columns")

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether a column holds nothing but numbers: such a one is set flush right."""
        return tuple(
            any(_is_number(row[place]) for row in self.rows)
            and all(row[place] is None or _is_number(row[place]) for row in self.rows)
            for place in range(len(self.columns))
        )


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def figure(value: Value) -> str:
    """A value for people: six significant digits, whole numbers as they are, a dash where there is none."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(value) if not math.isfinite(value) else number(value)
    return value


def day(at: float) -> str:
    """A moment, in seconds since 1970, as the day and minute in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def length(seconds: float) -> str:
    """How long something took."""
    if seconds < 120.0:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200.0 else f"{seconds / 3600:.1f} h"


def short(program: str) -> str:
    """The beginning of a program's id, which is enough to find it."""
    return program[:15]


def one_line(text: str) -> str:
    """A text without line breaks: what a program wrote shall not look like a paragraph of the report's own."""
    return " ".join(text.split())


def guarded(text: str) -> str:
    """A text as a cell of a CSV file: one that a spreadsheet would take for a formula is marked as text.

    See OWASP, CSV Injection.
    """
    return f"'{text}" if text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text


def as_csv(table: Table) -> str:
    """A table as CSV (RFC 4180): all digits of every number, no cell that a spreadsheet would compute."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([guarded(column) for column in table.columns])
    writer.writerows([_cell(value) for value in row] for row in table.rows)
    return file.getvalue()


def _cell(value: Value) -> str:
    if value is None:
        return ""
    return guarded(value) if isinstance(value, str) else str(value)
