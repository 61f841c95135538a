"""The words of the project as frozen values: no behaviour beyond their own arithmetic, and no I/O.

Problem -> Program -> Proposal -> Evaluation -> Elite; `Commit` is one finished proposal with all that belongs
to it, the unit in which the ledger records and the archive grows.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

__all__ = [
    "Commit",
    "Elite",
    "Evaluation",
    "Event",
    "Measure",
    "Objective",
    "Program",
    "Proposal",
    "Status",
    "Trial",
]


class Status(StrEnum):
    """What became of an evaluation. Only `ok` carries an objective; a failure never compares with a score."""

    OK = "ok"
    REJECTED = "rejected"  # the answer breaks a rule of the problem
    ERROR = "error"  # the program raised, or is not valid Python
    TIMEOUT = "timeout"
    MEMORY = "memory"
    DIED = "died"  # a signal, or an exit of its own
    PROTOCOL = "protocol"  # what came back is not bounded plain data
    UNSCORABLE = "unscorable"  # the answer made the problem's own `score` raise or run out of time


@dataclass(frozen=True, slots=True)
class Objective:
    """One number with a name, an explicit direction and a unit.

    Args:
        name: key of `score`'s answer.
        direction: "min" or "max".
        unit: for people, for instance "%".
    """

    name: str
    direction: Literal["min", "max"]
    unit: str = ""

    def __post_init__(self) -> None:
        if self.direction not in ("min", "max"):
            raise ValueError(f"objective {self.name!r}: direction is {self.direction!r}; say 'min' or 'max'")

    @property
    def sign(self) -> float:
        """1.0 where larger is better, else -1.0."""
        return 1.0 if self.direction == "max" else -1.0

    def key(self, value: float) -> float:
        """`value`, or its negative: larger is better in either direction."""
        return value if self.direction == "max" else -value

    def better(self, value: float, than: float) -> bool:
        """Whether `value` is strictly better than `than`."""
        return self.key(value) > self.key(than)


@dataclass(frozen=True, slots=True)
class Measure:
    """A behaviour axis with fixed bounds and bins.

    Args:
        name: key of `score`'s answer, or a structural measure that the evaluator supplies ("nodes").
        low: lower bound; smaller values are clipped to it (and counted).
        high: upper bound.
        bins: number of equal bins.
    """

    name: str
    low: float
    high: float
    bins: int = 16

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(
                f"measure {self.name!r}: bounds {self.low}..{self.high} are not a finite interval"
            )
        if self.bins < 1:
            raise ValueError(f"measure {self.name!r}: {self.bins} bins; at least 1 is needed")

    def bin(self, value: float) -> int:
        """The bin of `value`, 0..bins-1; values outside the bounds fall into the outermost bins."""
        position = (value - self.low) / (self.high - self.low) * self.bins
        # Clamped before it is rounded: an infinite measure has no floor.
        return int(max(0.0, min(self.bins - 1.0, position)))


@dataclass(frozen=True, slots=True)
class Program:
    """The immutable source of a block, identified by the hash of its text.

    Args:
        id: "b2:" and the BLAKE2b hash of the text.
        source: text of the block, without the markers.
        canonical: hash that is equal for programs which must behave the same (evaluation is skipped).
        structure: hash with the constants abstracted: programs of one tunable family share it.
        nodes: size of the block's syntax tree.
    """

    id: str
    source: str
    canonical: str
    structure: str
    nodes: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """One act of making a program. Measured (outside the content hash): `seconds`, `elapsed`.

    Args:
        number: 1, 2, 3, ... in the run; 0 is the seed program; randomness is keyed by it.
        island: where its program competes.
        mutator: "seed", "init", "syntactic", "llm", ...
        operator: the mutator's own word for what it did.
        parents: ids of the parents, the one that was changed first.
        program: id of the program that came out; None if none did (`error` says why).
        draft: canonical hash of what was proposed before its constants were tuned (equal to the program's if
            they were not).
        staleness: commits between the choice of its parents and its own.
        evaluations: counted cost: evaluations spent, trials of the tuner included; 0 for a known program.
        error: why there is no program.
        seconds: CPU seconds it took to propose.
        elapsed: seconds of searching, over all sessions of the run, when it was committed.
    """

    number: int
    island: int
    mutator: str
    operator: str = ""
    parents: tuple[str, ...] = ()
    program: str | None = None
    draft: str = ""
    staleness: int = 0
    evaluations: int = 0
    error: str | None = None
    seconds: float = 0.0
    elapsed: float = 0.0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of running a program once under one fingerprint.

    Measured (outside the content hash): `cpu_seconds`, `wall_seconds`, `memory`, `isolation`.

    Args:
        program: its id.
        status: see `Status`.
        message: one sentence for a failure; untrusted text.
        objective: aggregated over cases; None unless `ok`.
        scores: per case, what `score` answered, {case: {name: value}}.
        measures: aggregated values of the problem's measures, unclipped.
        behaviour: hash of the per-case scores: programs that act the same share it.
        output: the end of what the program printed, bounded and stripped; untrusted text.
        cpu_seconds: CPU of the program, read from outside it.
        wall_seconds: wall time, likewise.
        memory: peak resident bytes; 0 where it was interpreted.
        isolation: "interpreted", "strict" or "none" ("basic" in ledgers of version 0.1.0).
        origin: number of the proposal whose evaluation this one repeats (canonical duplicate), or None.
    """

    program: str
    status: Status
    message: str = ""
    objective: float | None = None
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)
    behaviour: str = ""
    output: str = ""
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    memory: int = 0
    isolation: str = ""
    origin: int | None = None

    def __post_init__(self) -> None:
        if (self.status is Status.OK) != (self.objective is not None):
            raise ValueError(f"evaluation with status {self.status} and objective {self.objective}")
        if self.objective is not None and not math.isfinite(self.objective):
            raise ValueError(f"evaluation with objective {self.objective}")


@dataclass(frozen=True, slots=True)
class Trial:
    """One try of the tuner: a thin row, no Program. `objective` is None for a failed try."""

    constants: tuple[float, ...]
    objective: float | None


@dataclass(frozen=True, slots=True)
class Event:
    """What else moves an archive.

    Args:
        kind: "reset" (island emptied, founders put in) or "migration" (programs copied to an island).
        island: the island that changes.
        programs: ids of the founders or migrants, in the order in which they are offered.
        detail: anything else worth telling, plain data.
    """

    kind: str
    island: int
    programs: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Elite:
    """An `ok` evaluation as the archive holds it.

    Args:
        program: the program itself.
        objective: aggregated objective.
        measures: values in the order of the archive's measures.
        behaviour: hash of the per-case scores.
        number: number of the proposal it came from.
    """

    program: Program
    objective: float
    measures: tuple[float, ...]
    behaviour: str
    number: int


@dataclass(frozen=True, slots=True)
class Commit:
    """One finished proposal and all that belongs to it; recorded whole or not at all."""

    proposal: Proposal
    program: Program | None = None
    evaluation: Evaluation | None = None
    trials: tuple[Trial, ...] = ()
    events: tuple[Event, ...] = ()  # decided after this commit, in order
