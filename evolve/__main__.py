"""The command `evolve`, as a process: `python -m evolve` does the same."""

import contextlib
import os
import signal
import sys
from typing import NoReturn

__all__ = ["command"]

_INTERRUPTED = 130


def command() -> NoReturn:
    """Run the command line and end this process with its exit code, whenever Ctrl-C is pressed."""
    try:
        from evolve.cli import main

        code = main()
    except KeyboardInterrupt:  # heard before `main` could, or a second time
        code = _INTERRUPTED
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # it is done: Python's own end would be broken off with a traceback
    if code == _INTERRUPTED:
        # Python kills itself by SIGINT at its end where Ctrl-C once fell into an exec() of text, which the standard
        # library has many of, even if it was handled.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
                stream.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    command()
