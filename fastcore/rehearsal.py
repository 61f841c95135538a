"""Plays a program of our own in the zygote, through the very code that children run, before any other is there.

What that code writes to in its first runs (caches of methods, specialised bytecode, pools of small objects) is then
written once, in the zygote; else every child would copy those pages, at 2 us each.
"""

import contextlib
import os
import socket
from dataclasses import asdict
from typing import Final

import numpy as np

from evolve.fastcore import child, wire
from evolve.fastcore.channel import HEADER, IN_ASKS, IN_FILE, IN_STREAM, Channel
from evolve.fastcore.limits import Limits
from evolve.fastcore.sealed import memory_file, memory_files_work

__all__ = ["rehearse"]

_TIMES: Final = 24  # bytecode is specialised after 8 to 16 runs, differently in each version of Python
_ROOM: Final = 1 << 16
_SOURCE: Final = """
import math
import numpy as np


def entry(values, n, options):
    total = 0.0
    for value in values[:3]:
        total += math.sqrt(abs(float(value)))
    if options["fail"]:
        raise ValueError("as rehearsed")
    return {"sum": np.arange(n).sum(), "values": values * 2.0, "total": (total, n, "text", None, True)}
"""


def rehearse() -> None:
    """Play; leaves nothing behind but what is warm."""
    files = (memory_file(_ROOM), memory_file(_ROOM)) if memory_files_work() else None
    for _ in range(_TIMES):
        ours, theirs = socket.socketpair()
        with ours, theirs, contextlib.suppress(EOFError):
            stage = _Stage(ours, files)
            stage.ring(wire.encode((_SOURCE, "entry", asdict(Limits()), False)))
            child.serve(stage.ask, Channel(theirs, files))
    for descriptor in files or ():
        os.close(descriptor)
    child.forget()


class _Stage:
    """The supervisor's part; nobody reads the answers."""

    def __init__(self, link: socket.socket, files: tuple[int, int] | None) -> None:
        self._link = link
        self._files = files

    def ask(self, _limits: Limits) -> None:
        """Make some calls at once, the last of which fails, and end the channel."""
        for fail in (False, False, True):
            self.ring(wire.encode((np.linspace(0.0, 1.0, 8), 10, {"fail": fail})), own_file=fail)
        self._link.shutdown(socket.SHUT_WR)

    def ring(self, body: bytes, own_file: bool = False) -> None:
        """Lay down the body and ring; two bells before an answer announce the same body."""
        if self._files is None:
            self._link.sendall(HEADER.pack(bytes(8), IN_STREAM, len(body)) + body)
        elif own_file:
            descriptor = memory_file(len(body))
            os.pwrite(descriptor, body, 0)
            self._link.sendall(HEADER.pack(bytes(8), IN_FILE, len(body)))
            socket.send_fds(self._link, [b"F"], [descriptor])
            os.close(descriptor)
        else:
            os.pwrite(self._files[0], body, 0)
            self._link.sendall(HEADER.pack(bytes(8), IN_ASKS, len(body)))
