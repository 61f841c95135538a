"""Cases drawn from a problem's own hypothesis strategy: a fixed handful, or a hunt for a case that is answered wrong.

Knows strategies and cases, no program and no score. Hypothesis is imported when it is first needed, and its folder
of caches lives no longer than a call.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np

from evolve.statement import Case

__all__ = ["draw", "falsify", "shown"]

_SHOWN = 600


class _Enough(BaseException):
    """Ends a hunt whose time is up; hypothesis takes any Exception for a verdict of the test."""


def draw(strategy: Callable[[], Any], count: int, seed: int) -> list[Case]:
    """At most `count` different cases, the same ones for the same seed; fewer where the strategy has no more.

    Args:
        strategy: makes a hypothesis strategy of cases.
        count: how many.
        seed: of the drawing.

    Raises:
        Exception: whatever the strategy raises.
    """
    found: list[Case] = []

    def keep(case: Case) -> bool:
        found.append(replace(case, name=f"drawn {len(found) + 1}"))
        return False

    _find(strategy(), keep, count, seed, shrink=False)
    return found[:count]


def falsify(
    strategy: Callable[[], Any], wrong: Callable[[Case], bool], count: int, seed: int, seconds: float
) -> Case | None:
    """Hunt for a case that is answered wrong, and shrink it.

    Args:
        strategy: makes a hypothesis strategy of cases.
        wrong: whether a case is answered wrong.
        count: how many cases to try before giving up.
        seed: of the drawing.
        seconds: wall seconds after which the smallest one found so far must do.

    Returns:
        The smallest case found, or None.

    Raises:
        Exception: whatever the strategy or `wrong` raises.
    """
    from hypothesis.errors import Flaky

    until = time.monotonic() + seconds
    worst: list[Case] = []  # while shrinking, each one that counts is simpler than the one before

    def fails(case: Case) -> bool:
        if time.monotonic() > until:
            raise _Enough
        case = replace(case, name="drawn")
        if not wrong(case):
            return False
        worst[:] = [case]
        return True

    try:
        found = _find(strategy(), fails, count, seed, shrink=True)
    except _Enough:
        return worst[0] if worst else None
    except Flaky:  # a program that answers the same case right the second time has been caught all the same
        return worst[0] if worst else None
    return None if found is None else replace(found, name="drawn")


def shown(case: Case) -> str:
    """A case's inputs as Python would write them, cut to a few hundred characters."""
    with np.printoptions(threshold=60, edgeitems=8, linewidth=100):
        text = repr(case.inputs)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ... ({len(text)} characters)"


def _find(
    strategy: Any, condition: Callable[[Case], bool], count: int, seed: int, shrink: bool
) -> Case | None:
    import hypothesis
    from hypothesis.errors import NoSuchExample

    def tried(case: Case) -> bool:
        if not isinstance(case, Case):
            raise TypeError(f"it draws something of type {type(case).__name__}; map what it draws to a Case")
        return condition(case)

    phases = [hypothesis.Phase.generate] + ([hypothesis.Phase.shrink] if shrink else [])
    settings = hypothesis.settings(max_examples=count, database=None, deadline=None, phases=phases)
    with _folder():
        try:
            found: Case = hypothesis.find(strategy, tried, settings=settings, random=Random(seed))
        except NoSuchExample:
            return None
    return found


@contextmanager
def _folder() -> Iterator[None]:
    """Keep hypothesis from leaving a folder of caches where the search was started."""
    from hypothesis.configuration import set_hypothesis_home_dir

    with tempfile.TemporaryDirectory(prefix="evolve-") as folder:
        set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            set_hypothesis_home_dir(None)
