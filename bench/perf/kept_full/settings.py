"""What is measured: the servers, the trivial problem, and what was asked of each. Knows no contender."""

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["CORES", "HEIGHT", "SETTINGS", "Setting", "block", "height", "problem"]

CORES: Final = 2
"""Cores that the evaluators may have; what was asked was asked for two."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A server and an evaluator.

    Args:
        slots: replies that the server makes at once.
        latency: seconds for each.
        busy: CPU seconds that each program computes; 0 is a program that returns at once.
        in_flight: replies under way that were asked for, on average.
        rate: programs a second that were asked for.
    """

    slots: int
    latency: float
    busy: float = 0.0
    in_flight: float = 0.0
    rate: float = 0.0

    @property
    def ceiling(self) -> float:
        """Programs a second that server and cores allow."""
        by_server = self.slots / self.latency
        return min(by_server, CORES / self.busy) if self.busy else by_server


SETTINGS: Final = {
    "8": Setting(8, 0.2, in_flight=7.7, rate=38.5),
    "32": Setting(32, 0.2, in_flight=30.5, rate=150.0),
    "64": Setting(64, 0.5, in_flight=61.0, rate=122.0),
    "256": Setting(256, 1.0, in_flight=235.0, rate=230.0),
    "busy": Setting(8, 0.2, busy=0.42, rate=0.97 * CORES / 0.42),
}

# With a loop, so that no engine can do without running it; the line with the height is what proposals change.
_IDLE = '''def level():
    """Return a number between 0 and 1."""
    height = {height}
    for _ in range(1):
        pass
    return height
'''
_BUSY = '''import time


def level():
    """Return a number between 0 and 1."""
    height = {height}
    stop = time.thread_time() + {busy}
    while time.thread_time() < stop:
        pass
    return height
'''
HEIGHT: Final = re.compile(r"^ *height = (\S+)$", re.MULTILINE)
_GOLDEN = 0.6180339887498949


def block(height: str, busy: float) -> str:
    """The program that returns `height` after so many CPU seconds."""
    return (_BUSY if busy else _IDLE).format(height=height, busy=busy)


def height(number: int) -> str:
    """A height that no other number has, spread evenly: the best so far is seldom beaten, as in a real search."""
    return f"{(0.5 + number * _GOLDEN) % 1.0:.9f}"


def problem(busy: float) -> str:
    """The problem as a file of ours."""
    return f'''"""Find the highest number between 0 and 1."""

from evolve import Case, Measure, Objective, Problem, Real, problem

# EVOLVE-BLOCK-START
{block(height(0), busy)}# EVOLVE-BLOCK-END


def score(answer, case):
    return {{"level": min(max(answer, 0.0), 1.0)}}


@problem
def level_of() -> Problem:
    return Problem(
        entry="level",
        cases=[Case("one", inputs=())],
        returns=Real(),
        score=score,
        objective=Objective("level", "max"),
        measures=[Measure("nodes", 0, 100), Measure("level", 0.0, 1.0)],
    )
'''
