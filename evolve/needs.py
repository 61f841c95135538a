"""Which libraries the process must hold that a program is forked from: a pure function of its text.

A process with Numba in it, its compiler warm, takes seconds to start, and a fork of it costs more than one of a
process without: programs that do not use Numba are forked from a lean one.
"""

import ast
from collections.abc import Sequence

from evolve.source import SourceError, parse

__all__ = ["zygote_for"]

_NUMBA = "numba"


def zygote_for(source: str, preload: Sequence[str]) -> tuple[str, ...]:
    """The modules that the zygote of a program preloads: those of the problem, and Numba where it is needed.

    A program that hides its import from this still runs: it pays for the import (0.15 s of CPU) and for a cold
    compiler (0.2 s) itself, its `cache=True` fails, and its parallel kernels wait until its time is up.

    Args:
        source: text of the block.
        preload: the problem's `preload`.
    """
    given = tuple(preload)
    return (*given, _NUMBA) if _NUMBA not in given and _needs_numba(source) else given


def _needs_numba(source: str) -> bool:
    if _NUMBA not in source:  # parsing takes as long as many a program
        return False
    try:
        tree = parse(source)
    except SourceError:
        return False
    return any(name.partition(".")[0] == _NUMBA for node in ast.walk(tree) for name in _named(node))


def _named(node: ast.AST) -> Sequence[str]:
    """The modules that a node imports, or may have imported by their names (`importlib.import_module("numba")`)."""
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(module=str(module), level=0):
            return [module]
        case ast.Constant(value=str(text)):
            return [text]
    return []
