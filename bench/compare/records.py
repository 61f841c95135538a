"""The words of a comparison as frozen values: who is compared, how thoroughly, and what each row of a report says.

Values and plain data only; nothing here runs a program or reads a ledger.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from evolve.errors import UsageError

__all__ = ["ALL_CASES", "CONTROL", "Contender", "Gate", "Plan", "Report", "Row", "Rules"]

CONTROL = "reference"
"""Contender of the rows in which the reference is compared with itself."""
ALL_CASES = "all cases"
"""Case of the rows that hold the geometric mean over cases."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One program that is compared.

    Args:
        name: what it is called in a report, for instance "best" or "seed".
        program: id of its text.
        source: its text.
    """

    name: str
    program: str
    source: str


@dataclass(frozen=True, slots=True)
class Rules:
    """How thoroughly programs are compared.

    Args:
        pairs: paired figures of each row. Where the objective is speed, each comes from two fresh processes;
            else it is how often new cases are drawn.
        rounds: timed runs in each of these processes.
        draws: how often new cases are drawn to see whether a program answers right, before anything is timed.
        examples: cases drawn from the problem's strategy for that.
        confidence: of the intervals, and 1 minus the error that all verdicts of a table share.
    """

    pairs: int = 20
    rounds: int = 8
    draws: int = 3
    examples: int = 100
    confidence: float = 0.95

    def __post_init__(self) -> None:
        for name, least in (("pairs", 6), ("rounds", 1), ("draws", 1), ("examples", 0)):
            if getattr(self, name) < least:
                why = "; with fewer no interval holds anything" if name == "pairs" else ""
                raise UsageError(f"{name} is {getattr(self, name)}: at least {least}{why}")


@dataclass(frozen=True, slots=True)
class Plan:
    """A comparison that can be made.

    Args:
        problem: its name and parameters, for people.
        origin: path, factory and parameters by which another process makes the same problem.
        fingerprint: of the problem.
        seed_program: text of the seed program of the run.
        reference: whom all others are compared with.
        contenders: all others.
        seed: of everything that is drawn.
        rules: how thoroughly.
        unsafe: run programs without a jail where this machine gives none.
    """

    problem: str
    origin: tuple[str, str, Mapping[str, Any]]
    fingerprint: str
    seed_program: str
    reference: Contender
    contenders: tuple[Contender, ...]
    seed: int
    rules: Rules = field(default_factory=Rules)
    unsafe: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether a program was right on cases that no selection saw; who was not is not timed.

    Args:
        contender: its name.
        program: id of its text.
        passed: whether it was.
        why: what it failed on, or what was checked; may hold text that a program wrote.
    """

    contender: str
    program: str
    passed: bool
    why: str


@dataclass(frozen=True, slots=True)
class Row:
    """One contender on one case, beside the reference.

    Args:
        contender: its name; `CONTROL` for the reference against itself.
        program: id of its text.
        case: name of the case, or of the suite; `ALL_CASES` for the geometric mean over cases.
        pairs: paired figures that it rests on.
        verdict: "faster" or "slower", of an objective "better" or "worse"; "no difference", or "too few pairs" where
            no figures whatever could have told one; "run time only" where objectives cannot be put together.
        why: why there is no verdict where one might expect it; else "".
        p: two-sided, of the test whose direction the verdict has; None where nothing is tested.
        p_corrected: the same, Holm-corrected over the table; None for the control.
        ratio: CPU time of the reference over that of the contender, median over pairs: above 1 is faster.
        low, high: its interval; None where there are too few pairs for one.
        disagreement: ratio of CPU times over ratio of wall times, minus 1; None where it was not looked at.
        flagged: whether the clocks disagree by more than can be explained.
        value: the contender's objective, mean over pairs; None where the objective is speed.
        other: the same of the reference.
        gain: median over pairs of how much better the contender is, in units of the objective.
        gain_low, gain_high: its interval; None where there are too few pairs for one.
        seconds: CPU seconds of each timed run of the contender; empty for `ALL_CASES`.
    """

    contender: str
    program: str
    case: str
    pairs: int
    verdict: str
    why: str = ""
    p: float | None = None
    p_corrected: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    disagreement: float | None = None
    flagged: bool = False
    value: float | None = None
    other: float | None = None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    seconds: tuple[float, ...] = ()

    @property
    def is_control(self) -> bool:
        """Whether it compares the reference with itself."""
        return self.contender == CONTROL

    def as_dict(self, seconds: bool = False) -> dict[str, Any]:
        """Plain data; with the single runs if they are wanted."""
        told = asdict(self)
        told["seconds"] = list(self.seconds)
        if not seconds:
            del told["seconds"]
        return told


@dataclass(frozen=True, slots=True)
class Report:
    """What a comparison found.

    Args:
        problem: name and parameters.
        fingerprint: of the problem.
        objective: name, direction and unit; and "speed" whether it is speed.
        reference: name and id of whom all are compared with.
        machine: facts of the machine, see `evolve.fastcore.machine.fingerprint`, and its host.
        seed: of what was drawn.
        rules: how thoroughly.
        resolution: by how much two texts of the same work may differ, relative; intervals of ratios are widened by it.
        gates: who was right.
        rows: the table, the control's rows first.
        seconds: wall seconds that it took.
        at: when it was finished, ISO 8601.
    """

    problem: str
    fingerprint: str
    objective: Mapping[str, Any]
    reference: Mapping[str, str]
    machine: Mapping[str, Any]
    seed: int
    rules: Mapping[str, Any]
    resolution: float
    gates: tuple[Gate, ...]
    rows: tuple[Row, ...]
    seconds: float
    at: str

    @property
    def speed(self) -> bool:
        """Whether the objective is speed."""
        return bool(self.objective["speed"])

    @property
    def control_failed(self) -> tuple[str, ...]:
        """Cases on which the reference seems to differ from itself: then no figure of this report can be believed."""
        return tuple(
            row.case
            for row in self.rows
            if row.is_control
            and row.low is not None
            and row.high is not None
            and not row.low <= 1 <= row.high
        )

    def as_dict(self, seconds: bool = False) -> dict[str, Any]:
        """Plain data: one document."""
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        return {
            **told,
            "control": {"failed": list(self.control_failed)},
            "gates": [asdict(gate) for gate in self.gates],
            "rows": [row.as_dict(seconds) for row in self.rows],
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Self:
        """What `as_dict` made.

        Raises:
            KeyError, TypeError: it is no such document.
        """
        given = {one.name: told[one.name] for one in fields(cls)}
        given["gates"] = tuple(Gate(**gate) for gate in told["gates"])
        given["rows"] = tuple(
            Row(**{**row, "seconds": tuple(row.get("seconds", ()))}) for row in told["rows"]
        )
        return cls(**given)
