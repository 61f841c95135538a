"""A noisy machine, made on purpose: what is measured or compared beside it must hold there too."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator

__all__ = ["busy_loops"]


@contextlib.contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Keep so many processes busy meanwhile."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
