"""What can go wrong with a ledger, as exceptions that carry the exit code of the command line.

Knows nothing of SQLite: `ledger.py` translates the database's errors into these.

LedgerError
├── LedgerBusy        another process writes it
├── LedgerMismatch    it belongs to another problem, or its scores to another fingerprint
├── LedgerUnreadable  no database, no ledger, damaged, or of another version
└── LedgerFull        the disk is full, or the place cannot be written
"""

__all__ = ["LedgerBusy", "LedgerError", "LedgerFull", "LedgerMismatch", "LedgerUnreadable"]


class LedgerError(Exception):
    """A ledger cannot do what it was asked.

    Args:
        message: one sentence that names the file, the thing and the mend.
        exit_code: what the command line ends with; 2 where the caller asked for something wrong, 3 (the
            class's default) where the world outside failed.
    """

    default_exit_code = 3

    def __init__(self, message: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.exit_code = self.default_exit_code if exit_code is None else exit_code


class LedgerBusy(LedgerError):  # noqa: N818
    """Another process writes this ledger.

    Args:
        message: as for `LedgerError`.
        pid: the process that holds it, where it is known.
    """

    def __init__(self, message: str, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid


class LedgerMismatch(LedgerError):  # noqa: N818
    """The ledger is about another problem, or its evaluations were made under another fingerprint."""

    default_exit_code = 2


class LedgerUnreadable(LedgerError):  # noqa: N818
    """The file is missing, no database, no ledger, damaged, or written by another version."""


class LedgerFull(LedgerError):  # noqa: N818
    """Nothing more can be written there; what was committed before is safe and readable."""
