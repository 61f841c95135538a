"""Elites and best programs of a ledger as plain records, JSON lines and a folder of files.

Knows ledgers and archives; needs no problem, and so writes blocks as they are, not modules that run alone.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from evolve.programs_db.archive import Archive
from evolve.programs_db.errors import LedgerError
from evolve.programs_db.lineage import top
from evolve.programs_db.reading import Reading
from evolve.programs_db.records import Objective
from evolve.programs_db.rows import SEEN, dump

__all__ = ["bundle", "elite_records", "program_record", "write_json_lines"]

_PROGRAM = (
    """
SELECT p.program AS id, p.number, p.mutator, p.operator, g.structure, g.nodes, t.text AS source,
    e.objective, e.scores, e.measures, e.behaviour, e.fingerprint, e.isolation
FROM proposals p JOIN programs g ON g.id = p.program JOIN texts t ON t.hash = g.id"""
    + SEEN
    + "WHERE p.number = :number"
)


def program_record(ledger: Reading, number: int, fingerprint: str | None = None) -> dict[str, Any]:
    """The program that a proposal made, as plain data.

    Args:
        ledger: to read.
        number: of the proposal.
        fingerprint: take the evaluation made under it; by default the one recorded with the proposal.

    Returns:
        id, source, objective, scores, measures, behaviour, number, mutator, operator, parents, structure,
        nodes, fingerprint, isolation.

    Raises:
        LedgerError: that proposal is not in the ledger or gave no program.
    """
    rows = ledger.query(_PROGRAM, {"number": number, "fingerprint": fingerprint})
    if not rows:
        raise LedgerError(f"{ledger.path}: proposal {number} made no program; see `evolve show`", exit_code=2)
    row = rows[0]
    parents = ledger.query(
        "SELECT program FROM parents WHERE proposal = :number ORDER BY position", {"number": number}
    )
    return {
        "id": row["id"],
        "source": row["source"],
        "objective": row["objective"],
        "scores": json.loads(row["scores"] or "{}"),
        "measures": json.loads(row["measures"] or "{}"),
        "number": number,
        "parents": [parent["program"] for parent in parents],
        **{
            key: row[key]
            for key in ("mutator", "operator", "behaviour", "structure", "nodes", "fingerprint", "isolation")
        },
    }


def elite_records(
    ledger: Reading, archive: Archive | None = None, fingerprint: str | None = None
) -> Iterator[dict[str, Any]]:
    """The elites as plain data: what `program_record` says, with island and cell.

    Args:
        ledger: to read.
        archive: whose elites; by default those that `Ledger.write_elites` cached last.
        fingerprint: what the archive was replayed under; as for `Ledger.replay`.

    Raises:
        LedgerError: there is no cache, or commits came after it.
    """
    places = _cached(ledger) if archive is None else _living(archive)
    for island, cell, number in places:
        yield {"island": island, "cell": cell, **program_record(ledger, number, fingerprint)}


def _living(archive: Archive) -> Iterator[tuple[int, list[int], int]]:
    for island in range(archive.islands):
        for cell, elite in sorted(archive.cells(island).items()):
            yield island, list(cell), elite.number


def _cached(ledger: Reading) -> list[tuple[int, list[int], int]]:
    rows = ledger.query("SELECT island, cell, number, arrival FROM elites")
    through = max((row["arrival"] for row in rows), default=0)
    if through != ledger.commits:
        raise LedgerError(
            f"{ledger.path}: its elites were cached after {through} of {ledger.commits} commits; "
            "replay it into an archive and pass that",
            exit_code=2,
        )
    return sorted((row["island"], json.loads(row["cell"]), row["number"]) for row in rows)


def write_json_lines(records: Iterable[dict[str, Any]], path: str | Path) -> int:
    """Write one JSON document a line; infinity is written 1e999.

    Returns:
        How many.
    """
    count = 0
    with Path(path).open("w", encoding="utf-8") as file:
        for record in records:
            file.write(dump(record) + "\n")
            count += 1
    return count


def bundle(ledger: Reading, objective: Objective, folder: str | Path, count: int = 10) -> list[Path]:
    """Write the best programs to a folder: a file for each block, and `index.jsonl` with the rest.

    Args:
        ledger: to read.
        objective: what is better.
        folder: made if it does not exist; must be empty.
        count: how many programs at most.

    Returns:
        The files of the programs, the best first.

    Raises:
        LedgerError: the folder holds something.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise LedgerError(f"{folder}: the folder is not empty; name another", exit_code=2)
    paths, index = [], []
    for rank, ranked in enumerate(top(ledger, objective, count), start=1):
        record = program_record(ledger, ranked.number)
        path = folder / f"{rank:03d}_{ranked.program.removeprefix('b2:')[:12]}.py"
        path.write_text(record.pop("source"), encoding="utf-8")
        paths.append(path)
        index.append({"rank": rank, "file": path.name, **record})
    write_json_lines(index, folder / "index.jsonl")
    return paths
