"""What the process that measures is asked, and what it answers: plain data that crosses between two processes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Block", "BlockOrder", "CaseOrder", "DrawOrder", "Fault", "GateOrder", "Scores", "derived"]

_GATE, _TIMED, _DRAWN = 5, 6, 7
"""First numbers of the streams, so that none shares its draws with another."""


def derived(kind: str, seed: int, number: int) -> int:
    """A seed of one draw: neighbouring seeds, or numbers, share nothing, unlike sums of them (numpy's SeedSequence)."""
    tag = {"gate": _GATE, "drawn": _DRAWN}[kind]
    low, high = np.random.SeedSequence([tag, seed, number]).generate_state(2, np.uint32)
    return int(low) | (int(high) & 0x7FFFFFFF) << 32


def timed_stream(seed: int, number: int) -> tuple[int, ...]:
    """The stream from which all contenders of a block get their inputs."""
    return _TIMED, seed, number


def gate_stream(seed: int) -> tuple[int, ...]:
    """The stream of what a program must answer right before it is timed."""
    return _GATE, seed


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a program is not, or no longer, compared; may hold text that it wrote."""

    why: str


@dataclass(frozen=True, slots=True)
class GateOrder:
    """Ask whether a program is right on cases that nobody has seen.

    Args:
        source: its text.
        seed: of what is drawn.
        draws: how often new cases are drawn.
        examples: how many cases are drawn from the problem's strategy.
    """

    source: str
    seed: int
    draws: int
    examples: int


@dataclass(frozen=True, slots=True)
class BlockOrder:
    """Ask for one block of a comparison of speed: two fresh processes, on the same fresh inputs in each round.

    Args:
        source: the contender's text.
        stream: of the inputs.
        rounds: timed runs of each.
        swapped: whether the two change places, each being forked from what the other was forked from before.
    """

    source: str
    stream: tuple[int, ...]
    rounds: int
    swapped: bool


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What one block found.

    Args:
        cases: their names.
        seconds: f8, shape (rounds, 2, cases): CPU seconds of the contender, and of the reference.
        disagreement: ratio of CPU times over ratio of wall times, minus 1.
        flagged: whether that is more than the load of the machine explains.
    """

    cases: tuple[str, ...]
    seconds: NDArray[np.float64]
    disagreement: float
    flagged: bool


@dataclass(frozen=True, slots=True)
class DrawOrder:
    """Ask for the objective of contender and reference on cases drawn with a seed; all of a draw give one pair."""

    source: str
    seed: int
    rounds: int
    swapped: bool


@dataclass(frozen=True, slots=True)
class CaseOrder:
    """Ask for the objective of contender and reference on a suite of unseen cases; each case gives a pair."""

    source: str
    suite: str
    rounds: int
    swapped: bool


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What contender and reference make of the same cases.

    Args:
        values: f8, shape (pairs, 2): objective of the contender, and of the reference.
        seconds: f8, shape (pairs, 2): CPU seconds that they took.
    """

    values: NDArray[np.float64]
    seconds: NDArray[np.float64]
