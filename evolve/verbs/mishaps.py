"""What may end a verb, told in one line, and with which exit code. Knows exceptions; knows no verb."""

import sys
from collections.abc import Callable

from evolve.errors import EvolveError, InfrastructureError, ProblemError, UsageError
from evolve.fastcore.pool import JudgeError, JudgeStartError
from evolve.fastcore.runner import ZygoteError
from evolve.programs_db.errors import LedgerError
from evolve.source import BlockError
from evolve.text import clean, indent

__all__ = ["guarded"]


def guarded(work: Callable[[], int]) -> int:
    """Do the work of a verb; an error that is foreseen becomes a line on stderr and an exit code."""
    try:
        return work()
    except BrokenPipeError:
        raise
    except (EvolveError, LedgerError) as error:
        return _tell(str(error), error.exit_code)
    except BlockError as error:
        return _tell(str(error), UsageError.exit_code)
    except (JudgeStartError, JudgeError, ZygoteError) as error:
        return _judge(str(error))
    except SystemExit as leaving:  # argparse is done; a verb returns its code
        return _tell(f"the problem's code asked to exit ({leaving.code!r}); let it raise", 2)
    except OSError as error:
        name = "" if error.filename is None else f"{error.filename}: "
        return _tell(f"{name}{error.strerror or error}", InfrastructureError.exit_code)


def _tell(message: str, code: int) -> int:
    """The first line is the error; what follows it (a traceback) is set in below."""
    first, _, rest = clean(message, 6_000).partition("\n")
    sys.stderr.write(f"evolve: error: {first}\n")
    if rest.strip():
        sys.stderr.write(indent(rest.rstrip(), "  ") + "\n")
    return code


def _judge(trace: str) -> int:
    """A worker could not judge: the last line of its traceback says why, whatever process it happened in."""
    lines = [line for line in trace.splitlines() if line.strip()]
    last = lines[-1].strip() if lines else trace
    kind, _, said = last.partition(": ")
    if kind == f"{ProblemError.__module__}.{ProblemError.__name__}":
        return _tell(said, ProblemError.exit_code)
    return _tell(f"a worker failed: {last}\n" + "\n".join(lines[:-1]), InfrastructureError.exit_code)
