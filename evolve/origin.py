"""The problem that a ledger is about, loaded again from where it came from."""

from dataclasses import replace
from pathlib import Path

from evolve.errors import UsageError
from evolve.fingerprint import fingerprint
from evolve.loader import load, shipped
from evolve.programs_db.errors import LedgerMismatch
from evolve.programs_db.ledger import Ledger
from evolve.statement import Problem

__all__ = ["problem_of", "problem_unchanged"]


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


def problem_unchanged(book: Ledger) -> Problem:
    """The problem of a ledger, whose scores still stand: its fingerprint is that of the ledger.

    Raises:
        LedgerMismatch: it has changed, so that scores of now cannot be compared with those of the ledger.
        UsageError: as for `problem_of`.
    """
    problem = problem_of(book)
    if fingerprint(problem) != book.fingerprint:
        raise LedgerMismatch(
            f"{book.path}: problem {problem.name!r} or a library has changed since its scores were made; "
            f"`evolve rescore {book.path.name}` evaluates its programs again"
        )
    return problem
