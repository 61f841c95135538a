"""Finds a program of a ledger by what people call it: a number of a proposal, or the beginning of its id."""

from evolve.errors import UsageError
from evolve.programs_db.reading import Reading

__all__ = ["find_program", "named"]


def find_program(book: Reading, wanted: str) -> int:
    """The proposal that made a program first.

    Args:
        book: to ask.
        wanted: number of a proposal, or a program's id or the beginning of it.

    Raises:
        UsageError: there is none, or several begin so.
    """
    if wanted.isdecimal() and len(wanted) < 19:  # SQLite's integers end there
        rows = book.query(
            "SELECT program FROM proposals WHERE number = :n AND program IS NOT NULL", {"n": int(wanted)}
        )
        if rows:
            return int(wanted)
        if len(wanted) < 6:
            there = book.query("SELECT 1 FROM proposals WHERE number = :n", {"n": int(wanted)})
            why = f"proposal {wanted} gave no program" if there else f"there is no proposal {wanted}"
            raise UsageError(f"{book.path}: {why}; `evolve show` lists the best")
    name = wanted if wanted.startswith("b2:") else f"b2:{wanted}"
    rows = book.query(
        "SELECT id FROM programs WHERE id >= :low AND id < :high LIMIT 2", {"low": name, "high": name + "~"}
    )
    if len(rows) != 1:
        why = "several programs begin so; give more of the id" if rows else "there is no such program"
        raise UsageError(f"{book.path}: program {wanted!r}: {why}")
    first = book.query(
        "SELECT number FROM proposals WHERE program = :id ORDER BY arrival LIMIT 1", {"id": rows[0]["id"]}
    )
    return int(first[0]["number"])


def named(book: Reading, wanted: str) -> str:
    """The id of the program that `find_program` finds."""
    place = find_program(book, wanted)
    return str(book.query("SELECT program FROM proposals WHERE number = :n", {"n": place})[0]["program"])
