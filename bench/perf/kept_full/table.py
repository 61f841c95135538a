"""Rows of figures as the Markdown of docs/performance.md: pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.perf.kept_full.settings import SETTINGS, Setting

__all__ = ["tables"]

Row = Mapping[str, Any]


def tables(rows: Sequence[Row]) -> str:
    """All tables of the rows that there are."""
    idle = [row for row in rows if not row["busy"]]
    busy = [row for row in rows if row["busy"]]
    parts = [_full(idle), _cost(idle), _growth(idle), _evaluators(busy)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _lines(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    told = [f"| {' | '.join(each)} |" for each in body]
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *told]) if told else ""


def _server(row: Row) -> str:
    return f"{row['slots']} slots, {row['latency'] * 1e3:.0f} ms"


def _asked(row: Row) -> Setting:
    return SETTINGS[row["setting"]]


def _full(rows: Sequence[Row]) -> str:
    """How full, and how fast."""
    head = (
        *("server", "engine", "in flight (asked)", "programs/s (asked, ceiling)"),
        *("waiting at the server", "cores used", "by others"),
    )
    return _lines(
        head,
        (
            (
                _server(row),
                row["contender"],
                f"{row['in_flight']:.1f} ({_asked(row).in_flight:g})",
                f"{row['rate']:.1f} ({_asked(row).rate:g}, {_asked(row).ceiling:.0f})",
                f"{row['queued']:.1f}",
                f"{row['cpu_cores']:.2f}",
                f"{row['other_cores']:.2f}",
            )
            for row in rows
        ),
    )


def _cost(rows: Sequence[Row]) -> str:
    """What a program takes."""
    head = (
        *("server", "engine", "programs", "CPU ms a program", "of them the engine's process"),
        *("processes", "memory MB (PSS)", "bytes a program", "files a program"),
    )
    return _lines(
        head,
        (
            (
                _server(row),
                row["contender"],
                f"{row['programs']:,}",
                f"{row['cpu_ms']:.2f}",
                f"{row['own_ms']:.2f}",
                str(row["processes"]),
                f"{row['pss_mb']:.0f}",
                f"{row['disk_bytes']:,.0f}",
                f"{row['disk_files']:.2g}",
            )
            for row in rows
        ),
    )


def _growth(rows: Sequence[Row]) -> str:
    """CPU of a program as the record grows."""
    places = sorted({(band["from"], band["to"]) for row in rows for band in row["bands"]})
    # A last band that a run did not reach the end of has an end of its own.
    starts = sorted({low for low, _ in places})
    head = ("CPU ms a program (programs/s, in flight)", "engine", *(f"from {low:,}" for low in starts))
    body = []
    for row in rows:
        found = {band["from"]: band for band in row["bands"]}
        cells = [_band(found[low]) if low in found else "" for low in starts]
        if found:
            body.append((_server(row), row["contender"], *cells))
    return _lines(head, body)


def _band(band: Mapping[str, float]) -> str:
    return f"{band['cpu_ms']:.1f} ({band['rate']:.0f}, {band['in_flight']:.1f})"


def _evaluators(rows: Sequence[Row]) -> str:
    """With programs that compute."""
    head = (
        *(
            "evaluator",
            "engine",
            "programs/s (ceiling)",
            "evaluators busy",
            "replies not yet recorded, at most",
        ),
        *("in flight", "by others, cores"),
    )
    return _lines(
        head,
        (
            (
                f"{row['busy']:g} s, {_server(row)}",
                row["contender"],
                f"{row['rate']:.2f} ({_asked(row).ceiling:.2f})",
                f"{100 * row['evaluators_busy']:.1f} % ({100 * row['evaluators_busy_of_left']:.1f} %)",
                str(row["unrecorded"]),
                f"{row['in_flight']:.1f}",
                f"{row['other_cores']:.2f}",
            )
            for row in rows
        ),
    )
