"""Fits Numba to a jail, where nothing can be written and threads may be denied; shortens what its compiler says.

Knows Numba, which it never imports by itself: a zygote without it stays lean.
"""

import importlib
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["allow_threads", "explain", "fit"]

_HINTS: Final = {
    "Cannot modify readonly array": "write into a copy",
    "No matching definition for argument type(s) readonly": "give no signatures, for one such as 'f8[:](f8[:])' asks "
    "for arrays that can be written",
}
_CANDIDATES: Final = re.compile(r"\s*There are \d+ candidate implementations:$")
_REASON: Final = re.compile(r"\s+\w*(?:Error|Exception): (?!Failed in |- Resolution)")
_NOISE: Final = re.compile(r"\s*(?:Failed in \w+ mode pipeline|During: Pass |raised from /|$)")
_MACHINE: Final = re.compile(r" at 0x[0-9A-Fa-f]+|[^\s\"']*/(?=numba/)")
_workers = 1


def fit() -> Any:
    """Have Numba, which is loaded, cache nothing and run parallel kernels in one thread; return it."""
    caching = importlib.import_module("numba.core.caching")
    options = importlib.import_module("numba.core.cpu_options").ParallelOptions
    decorator = importlib.import_module("numba.np.ufunc.decorators")._BaseVectorize
    # With cache=True it looks for the file that a function comes from, and fails. All its caches are of this class.
    caching.Cache.__new__ = lambda *_args, **_named: caching.NullCache()
    # Where threads are denied, its pool waits for ever for those that it could not start.
    given_options, given_target = options.__init__, decorator.get_target_implementation.__func__

    def in_one_thread(self: Any, value: Any) -> None:
        given_options(self, value)
        if _workers == 1:
            given_options(self, False)

    def on_one_core(cls: Any, named: dict[str, Any]) -> Any:
        if _workers == 1 and named.get("target") == "parallel":
            named["target"] = "cpu"
        return given_target(cls, named)

    options.__init__ = in_one_thread
    decorator.get_target_implementation = classmethod(on_one_core)
    return sys.modules["numba"]


def allow_threads(threads: int) -> None:
    """Let Numba use threads in this process, the child, from now on.

    Args:
        threads: how many the process may have. The one that calls a parallel kernel only waits for the others, so
            fewer than three leave everything as `fit` has made it.
    """
    global _workers  # noqa: PLW0603 - one process, one program, one number
    numba: Any = sys.modules.get("numba")
    if threads < 3 or numba is None:
        return
    _workers = threads - 1
    os.environ["NUMBA_NUM_THREADS"] = str(_workers)  # it reads its environment again before it compiles
    numba.config.NUMBA_NUM_THREADS = numba.np.ufunc.parallel.NUM_THREADS = _workers


def explain(error: BaseException, text: str) -> str:
    """Return what is useful of the message of an error of Numba's; of any other, the message.

    Of its candidates, which may take hundreds of lines, the reasons are kept, so that the place in the program, which
    comes last, is not cut off where the length is bounded.

    Args:
        error: any exception.
        text: its message.
    """
    if type(error).__module__.partition(".")[0] == "numba":
        text = "\n".join(dict.fromkeys(_useful(_MACHINE.sub("", text).splitlines())))
    for said, mend in _HINTS.items():
        if said in text:
            text += f"\n(the arrays among a program's inputs are read-only: {mend})"
    return text


def _useful(lines: list[str]) -> Iterator[str]:
    among = False
    for line in lines:
        among = bool(_CANDIDATES.match(line)) or (among and not line.startswith("During:"))
        if not _NOISE.match(line) and (not among or _REASON.match(line)):
            yield line
