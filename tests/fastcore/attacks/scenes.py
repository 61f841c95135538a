"""Attacks that need more than one program, or a supervisor that does something meanwhile; played by `serve.py`."""

import ctypes
import fcntl
import os
import signal
import sys
import termios
from pathlib import Path
from typing import Any

from evolve.fastcore.limits import Limits
from evolve.fastcore.runner import Failure

QUICK = Limits(seconds=0.3, setup_seconds=2.0, cpu_seconds=3.0, memory=256 << 20)

HOLDER = """
import ctypes
held = ctypes.create_string_buffer(b"another program's")
def entry(): return ctypes.addressof(held), held.value
"""
THIEF = """
import ctypes, os
def entry(pid, address):
    ways = [lambda: os.pread(os.open(f'/proc/{pid}/mem', os.O_RDWR), 7, address) == b'another',
            lambda: os.listdir(f'/proc/{pid}/fd'), lambda: open(f'/proc/{pid}/maps').read()]
    for way in ways:
        try:
            if way(): return True
        except OSError: pass
    return False
"""


def another_programs_data(server: Any, kind: str) -> list[bool]:
    """Whether a program reaches the memory of one that lives beside it, and whether that is as it was."""
    one, two = server.runner(kind), server.runner(kind + " two")
    with one.start(HOLDER, "entry", QUICK) as victim, two.start(THIEF, "entry", QUICK) as thief:
        address, _ = victim.call(())
        reached = thief.call((victim.pid, address))
        return [reached, victim.call(()) == (address, b"another program's")]


def has_io_uring(_server: Any) -> bool:
    """Whether this kernel lets a plain process of this context make a ring."""
    number = ctypes.CDLL(None).syscall(425, 1, (ctypes.c_char * 120)())
    if number >= 0:
        os.close(number)
    return number >= 0


def on_a_terminal(server: Any, source: str) -> Any:
    """Run a program as the owner of a terminal of its own."""
    from serve import forked, head

    text = head(server.facts(None, {"HARMLESS": True})) + source

    def work() -> Any:
        _, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        os.dup2(slave, 0)
        namespace: dict[str, Any] = {}
        exec(text, namespace)
        return namespace["entry"]()

    return forked(work)


def arithmetic(_server: Any) -> list[Any]:
    """What this supervisor computes: denormals are not flushed, and it rounds to nearest."""
    tiny, one, three, tenth = (float(text) for text in ("1e-310", "1", "3", "0.1"))
    return [tiny * 1.0 > 0.0, one / three, tenth + 2.0 * tenth]


def sealed(server: Any, source: str, how: str, case: Any) -> list[Any]:
    """What a program makes of a sealed case before and after another has attacked it."""
    from evolve.fastcore import wire
    from evolve.fastcore.sealed import Sealed

    found: list[Any] = []
    runner = server.runner()
    with Sealed(wire.encode((case,))) as body:
        for what in ("none", how, "none"):
            with runner.start(f"import ctypes\nHOW = {what!r}\n" + source, "entry", QUICK) as session:
                try:
                    session.call(body)
                    found.append(session.call(body))  # what it sees itself, after the attack
                except Failure as failure:
                    found.append(failure.status)
    return found
