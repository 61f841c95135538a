"""The problem that a ledger is about, loaded again from where it came from."""

from dataclasses import replace
from pathlib import Path

from evolve.errors import UsageError
from evolve.loader import load, shipped
from evolve.programs_db.ledger import Ledger
from evolve.statement import Problem

__all__ = ["problem_of"]


def problem_of(book: Ledger) -> Problem:
    """The problem of a ledger, loaded again from its file; its seed program is the one that the run began with.

    Raises:
        UsageError: the file is gone.
        LedgerMismatch: what the file states now is another problem.
    """
    about = book.problem
    name = about["name"]
    path = about["path"]
    if not Path(path).is_file():
        if name not in shipped():
            raise UsageError(f"{book.path}: its problem file {path} is gone; put it back")
        path = str(shipped()[name])
    problem = load(f"{path}:{about['factory']}", about["parameters"])
    book.expect(problem.name, problem.parameters)
    return replace(problem, block=about["seed_program"])
