"""The door of this room: a ledger's report as texts, by the names of their files, and as one plain document."""

from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evolve.bench.report.contents import tables_of
from evolve.bench.report.facts import Facts
from evolve.bench.report.gathering import gather
from evolve.bench.report.plain import plain
from evolve.bench.report.tables import as_csv
from evolve.errors import UsageError

__all__ = ["as_document", "can_draw", "gather", "page", "plain", "tables"]

_NEEDED = ("matplotlib", "pygments", "markupsafe")


def can_draw() -> None:
    """Make sure that an HTML page could be made, before facts are gathered for it.

    Raises:
        UsageError: a library that it takes is not installed.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"the HTML page needs {' and '.join(missing)}, not installed here: pip install 'evolve-engine[bench]'; "
            "--md and --csv do without"
        )


def page(facts: Facts) -> str:
    """The HTML page; after `can_draw`."""
    from evolve.bench.report import page as drawn  # what it imports may not be there

    return drawn.page(facts)


def tables(facts: Facts, folder: Path) -> dict[Path, str]:
    """The CSV files, by path."""
    return {folder / f"{table.name}.csv": as_csv(table) for table in tables_of(facts)}


def as_document(facts: Facts) -> dict[str, Any]:
    """What a report says, as plain data for `--json`."""
    return {
        "ledger": facts.ledger,
        "problem": facts.about.problem,
        "state": facts.state.word,
        "rescored": facts.state.rescored,
        "headline": facts.headline,
        "verdict": facts.ruled.verdict if facts.best else None,
        "program": facts.best.program if facts.best else None,
        "value": facts.best.objective if facts.best else None,
        "doubts": list(facts.doubts),
        "cost": asdict(facts.cost),
        "content_hash": facts.origin.compare,
        "again": facts.origin.command,
        "rate": facts.measures.as_dict(),
    }
