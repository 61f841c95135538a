"""A core for each race: two races of this machine that sit on one core take turns, and each finds cold caches.

Knows cores, and no program. Claims are names of sockets that the kernel gives back when their holder ends.
"""

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator

__all__ = ["own_core"]


@contextlib.contextmanager
def own_core() -> Iterator[int | None]:
    """Keep this thread to one core, drawn at random among those that no other race of this machine has claimed.

    Whoever draws a core for its children among those of this thread (`race`) then gets that one.

    Yields:
        The core; None where all are taken, or cores cannot be chosen (macOS): the thread stays where it was.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield None
        return
    allowed = os.sched_getaffinity(0)
    with contextlib.ExitStack() as held:
        core = next((core for core in _shuffled(allowed) if _claim(core, held)), None)
        if core is not None:
            os.sched_setaffinity(0, {core})
            held.callback(os.sched_setaffinity, 0, allowed)
        yield core


def _shuffled(cores: set[int]) -> list[int]:
    order = sorted(cores)
    secrets.SystemRandom().shuffle(order)
    return order


def _claim(core: int, held: contextlib.ExitStack) -> bool:
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0evolve-race-{core}")  # an abstract name: no file, gone with the socket
    except OSError:
        claim.close()
        return False
    held.callback(claim.close)
    return True
