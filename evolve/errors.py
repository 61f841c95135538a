"""The exception tree. Each error is one clear sentence that names the file, the thing and the mend.

EvolveError                        exit code
|- UsageError                      2   a name, a flag or a budget that cannot be meant
|- ProblemError                    2   the problem file is wrong, or wrong about its own seed
`- InfrastructureError             3   model, workers or disk gone
programs_db.errors.LedgerError     2 or 3, by its own `exit_code`
"""

__all__ = ["EvolveError", "InfrastructureError", "ProblemError", "UsageError"]


class EvolveError(Exception):
    """Root of what `evolve` raises on purpose."""

    exit_code = 3


class UsageError(EvolveError):
    """A request that cannot be meant: unknown problem, unknown parameter, malformed budget."""

    exit_code = 2


class ProblemError(EvolveError):
    """The problem file is wrong, or its trusted side fails on its own seed program."""

    exit_code = 2


class InfrastructureError(EvolveError):
    """Something the run stands on is gone; the ledger is consistent and the run can be resumed."""

    exit_code = 3
