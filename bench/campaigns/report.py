"""What a campaign found, as a short table, and as a section of docs/campaigns.md."""

import argparse
import datetime
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from evolve.fastcore.machine import fingerprint

PAGE = Path(__file__).parents[2] / "docs" / "campaigns.md"
HEAD = """# Campaigns

Long runs that a person starts, from `bench/campaigns/`. Each section is written by its command with `--write`; its
verdict is that of the last run.
"""


def parser(description: str) -> argparse.ArgumentParser:
    """A parser that knows what all campaigns have in common."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--seed", type=int, default=0, help="of all that is drawn")
    made.add_argument("--write", action="store_true", help="write the result into docs/campaigns.md")
    return made


def conclude(
    title: str, told: str, rows: Sequence[tuple[str, object]], faults: Sequence[str], write: bool
) -> int:
    """Print the table and the verdict, write them if asked to, and return the exit status.

    Args:
        title: of the section.
        told: one paragraph: what was done.
        rows: names and figures.
        faults: what should not have happened; the first ones are shown.
        write: whether to write the section.
    """
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {_text(value)}")
    verdict = "held" if not faults else f"{len(faults)} faults"
    print(f"{'verdict':<{width}}  {verdict}")
    for fault in faults[:10]:
        print(f"  {fault[:500]}")
    if write:
        _write(title, told, [*rows, ("verdict", verdict)])
    return 1 if faults else 0


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _write(title: str, told: str, rows: Sequence[tuple[str, object]]) -> None:
    machine = fingerprint()
    where = f"{machine.get('cpu', machine['architecture'])}, {machine['kernel']}, Python {machine['python']}"
    command = " ".join([f"python bench/campaigns/{Path(sys.argv[0]).name}", *_shown(sys.argv[1:])])
    table = "\n".join(["| | |", "|---|---|", *(f"| {name} | {_text(value)} |" for name, value in rows)])
    date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    section = f"## {title}\n\n{told}\n\n`{command}`, {date}; {where}.\n\n{table}\n"
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else HEAD
    parts = re.split(r"(?m)^(?=## )", page)
    kept = [part.rstrip() + "\n" for part in parts if not part.startswith(f"## {title}\n")]
    PAGE.write_text("\n".join([*kept, section]), encoding="utf-8")


def _shown(words: Sequence[str]) -> list[str]:
    return [word for word in words if word != "--write"]
