"""One address layout for every process that is started here: what two programs are compared in must be alike.

The kernel puts the stack, the heap and the libraries of each new process at random addresses. Where they fall
moves the speed of an interpreter by several per cent, for as long as the process lives (branch predictors and caches
go by addresses; Mytkowicz and others, ASPLOS 2009), so two copies of one program in two processes differ more than
the effects that are sought. Random addresses protect a process from its input; a program in the jail is native
code already, and is kept in by the kernel, not by addresses that it does not know.
"""

import contextlib
import ctypes
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["fixed_layout", "is_fixed"]

_QUERY: Final = 0xFFFFFFFF
_NO_RANDOMIZE: Final = 0x0040000
"""ADDR_NO_RANDOMIZE of linux/personality.h."""


@contextlib.contextmanager
def fixed_layout() -> Iterator[bool]:
    """Start processes without address space randomization, from this thread, inside the block.

    Yields:
        Whether the kernel agreed. Some containers forbid it (Docker's default profile) and macOS does not know it;
        processes start all the same, with random addresses.
    """
    personality = getattr(ctypes.CDLL(None), "personality", None)
    if personality is None:
        yield False
        return
    personality.argtypes, personality.restype = [ctypes.c_ulong], ctypes.c_int
    before = personality(_QUERY)
    agreed = before >= 0 and personality(before | _NO_RANDOMIZE) >= 0
    try:
        yield agreed
    finally:
        if agreed:
            personality(before)


@functools.cache
def is_fixed() -> bool:
    """Whether processes that are started here have one layout, by `fixed_layout` or because the system has no other."""
    with fixed_layout() as agreed:
        if agreed:
            return True
    try:
        return Path("/proc/sys/kernel/randomize_va_space").read_text().strip() == "0"
    except OSError:
        return False
