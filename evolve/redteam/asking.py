"""What it takes to ask a problem's functions about one answer: a program that has only that one, a limit on memory.

Knows processes' limits and the wire format; knows no attack.
"""

import contextlib
import resource
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from evolve.fastcore import wire
from evolve.fastcore.limits import AnswerBounds
from evolve.fastcore.runner import Usage
from evolve.fingerprint import digest
from evolve.statement import Case, Problem

__all__ = ["ALONE", "Said", "digest_of", "sober", "some_cases"]

_CASES: Final = 3
_MEMORY: Final = 4 << 30
"""Bytes that the problem's functions may map for one answer."""

ALONE: Final[dict[str, Any]] = {
    "unseen": {},
    "stages": (),
    "aggregate": {},
    "repeats": 1,
    "baselines": {},
    "fresh": None,
    "strategy": None,
    "certify": None,
    "check": None,
    "plain": None,
}
"""What a problem loses when each answer is asked about alone."""


class Said:
    """A session whose program has one answer, whatever it is asked."""

    def __init__(self, answer: Any) -> None:
        self.data = wire.encode(answer)

    def begin_case(self) -> None:
        """Nothing to start."""

    def call(self, _args: tuple[Any, ...]) -> Any:
        """The answer, as it would come out of the jail."""
        return wire.decode(self.data, AnswerBounds())

    def finish(self) -> Usage:
        """It used nothing."""
        return Usage(0.0, 0.0, 0, "", "none")


def some_cases(problem: Problem) -> list[Case]:
    """The first training cases, and an unseen one where there is only one; with the first seed of a repeat."""
    cases = list(problem.cases[:_CASES])
    if len(cases) == 1:
        names = {case.name for case in cases}
        cases += [suite[0] for suite in problem.unseen.values() if suite and suite[0].name not in names][:1]
    if problem.repeats > 1:
        cases = [replace(case, name=f"{case.name}#0", seed=0) for case in cases]
    return cases


def digest_of(case: Case) -> str:
    """A hash of all that a case holds; empty where it holds something that cannot be written down."""
    try:
        return digest((case.inputs, case.hidden))
    except Exception:  # noqa: BLE001 - hidden may be anything
        return ""


@contextlib.contextmanager
def sober() -> Iterator[None]:
    """No warnings on stderr, and no more memory than a machine has to spare, while a hostile answer is scored."""
    usual = np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")  # as problems find it
    with warnings.catch_warnings(), _capped(), usual:
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _capped() -> Iterator[None]:
    pages = Path("/proc/self/statm")
    if sys.platform != "linux" or not pages.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = int(pages.read_text().split()[0]) * resource.getpagesize() + _MEMORY
    if hard == resource.RLIM_INFINITY or most <= hard:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
