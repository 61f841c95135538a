"""What a report tells, as frozen values; `gathering.py` fills them. No I/O, and no page.

Every text in here is clean (`evolve.text.clean`) and still untrusted: a page escapes it in its own way.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from evolve.bench.measures import Measures
from evolve.programs_db.lineage import Earnings, Failures
from evolve.programs_db.records import Measure, Objective

__all__ = [
    "About",
    "Case",
    "Check",
    "Code",
    "Cost",
    "Deed",
    "Facts",
    "Gain",
    "Line",
    "Origin",
    "Ruled",
    "Session",
    "State",
    "Step",
]


@dataclass(frozen=True, slots=True)
class About:
    """What was asked.

    Args:
        problem: its name.
        description: of the problem file.
        parameters: as texts.
        objective: name, direction and unit.
        baseline: what speed is a ratio to; "" where speed is not sought.
        measures: axes of the archive.
    """

    problem: str
    description: str
    parameters: Mapping[str, str]
    objective: Objective
    baseline: str
    measures: tuple[Measure, ...]


@dataclass(frozen=True, slots=True)
class State:
    """How far the run has come.

    Args:
        word: "finished", "interrupted", "killed" or "still running".
        told: a sentence, for whoever must know that this is not the end; "" if it is.
        rescored: whether its problem has changed since it began, so that programs were scored again.
        unscored: programs that once had a score and have none under the problem as it is now.
    """

    word: str
    told: str
    rescored: bool
    unscored: int


@dataclass(frozen=True, slots=True)
class Code:
    """A program as it is shown.

    Args:
        program: its id.
        number: of the proposal that made it.
        made_by: mutator and operator.
        objective: by the scores of the present fingerprint; None without one.
        source: its text; untrusted.
        left_out: characters that are not shown.
    """

    program: str
    number: int
    made_by: str
    objective: float | None
    source: str
    left_out: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the best program's lineage.

    Args:
        number: of the proposal.
        program: its id.
        made_by: mutator and operator.
        objective: None without a score.
        gain: over its parent, positive is better; None at the seed program.
        diff: unified, from the parent's source; without the two lines that name files.
    """

    number: int
    program: str
    made_by: str
    objective: float | None
    gain: float | None
    diff: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a verdict: holds, does not (False), or settles nothing (None)."""

    name: str
    holds: bool | None
    words: str


@dataclass(frozen=True, slots=True)
class Gain:
    """How much better the best program is than another on the same fresh draws.

    Args:
        over: whose objective it is compared with.
        theirs: mean objective of that one.
        gain: mean of the paired differences, positive is better.
        low: of the interval that holds their median, 95 %.
        high: likewise.
    """

    over: str
    theirs: float
    gain: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Ruled:
    """What a verifier said of a program.

    Args:
        program: its id.
        verdict: "certified", "confirmed", "refuted" or "unverified".
        why: one sentence.
        verifier: name and version; "" where nobody was asked.
        seed: of what was drawn afresh.
        at: seconds since 1970.
        seconds: that it took.
        checks: of each check that was made.
        gains: on fresh draws, over others.
        draws: mean, lowest and highest objective on fresh draws; None without any.
    """

    program: str
    verdict: str
    why: str
    verifier: str = ""
    seed: str = ""
    at: float = 0.0
    seconds: float = 0.0
    checks: tuple[Check, ...] = ()
    gains: tuple[Gain, ...] = ()
    draws: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One program beside others, on the training cases and on each unseen suite.

    Args:
        name: "seed program", "best" or a baseline's.
        program: its id.
        value: on the training cases.
        interval: of that value, where it was measured with one.
        unseen: by suite.
        failures: what went wrong, by suite.
    """

    name: str
    program: str
    value: float | None
    interval: tuple[float, float] | None
    unseen: Mapping[str, float | None]
    failures: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """A case, suite or set of draws, with the objective of each program there.

    Args:
        name: of it.
        kind: "training", "unseen" or "fresh".
        values: by name of the program, as in `Line`.
        span: of the best program: lowest and highest of draws, or an interval.
    """

    name: str
    kind: str
    values: Mapping[str, float]
    span: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What it cost.

    Args:
        proposals: the seed program not counted.
        evaluations: trials of the tuner included.
        duplicates: programs that were known.
        invalid: proposals that gave no program.
        seconds: of searching.
        cpu_seconds: of all sessions; None where one has not told them.
        requests: to models.
        tokens: prompt, cached, completion, reasoning, wasted.
        money: in the currency of the prices; None without prices.
        statuses: of the evaluations, by name.
    """

    proposals: int
    evaluations: int
    duplicates: int
    invalid: int
    seconds: float
    cpu_seconds: float | None
    requests: int
    tokens: Mapping[str, int]
    money: float | None
    statuses: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Session:
    """One session of the run.

    Args:
        number: 1, 2, 3, ...
        at: when it began, seconds since 1970.
        command: as it was typed, without what may be secret.
        budget: as one would type it.
        ended: why; "" where it has not told.
        machine: what decides how fast programs are.
        libraries: Python, numpy, numba with their versions.
        rescore: whether it scored programs again instead of searching.
    """

    number: int
    at: float
    command: str
    budget: str
    ended: str
    machine: str
    libraries: str
    rescore: bool


@dataclass(frozen=True, slots=True)
class Deed:
    """What came from a human: a note, lessons, programs to start from, another session.

    Args:
        when: after how many commits; None where it does not belong to a time of the run.
        kind: what it is.
        words: what was said.
    """

    when: int | None
    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Origin:
    """How to make it again.

    Args:
        command: that repeats the run.
        repeats: what it repeats, and how exactly; a sentence.
        compare: what the content hash of a repeat must be compared with.
        fingerprint: what the scores were made under.
        version: of evolve, as the run began.
        seed: of all randomness.
        dials: of the search, as texts; those that are not as usual have a mark in `changed`.
        changed: names of such dials.
        isolation: how programs were run.
    """

    command: str
    repeats: str
    compare: str
    fingerprint: str
    version: str
    seed: int
    dials: Mapping[str, str]
    changed: tuple[str, ...]
    isolation: str


@dataclass(frozen=True, eq=False)
class Facts:
    """Everything that a report tells.

    Args:
        ledger: name of the file.
        at: when the facts were gathered, seconds since 1970.
        about: what was asked.
        state: how far the run has come.
        headline: what was found, in one line.
        doubts: what a reader must know before believing it, a sentence each.
        seed: the seed program.
        parent: of the best program, None where that is the seed program.
        best: None where nothing has a score.
        ruled: what is said of the best program.
        rulings: of all programs, in order.
        lines: seed program, best and baselines.
        cases: by training case, suite and draws.
        references: published figures, a line each.
        lineage: from the seed program to the best.
        improvements: (proposal, evaluations, objective, program) of each step of the anytime curve.
        cells: best objective by bins of the first two measures.
        cost: what it took.
        operators: what each earned; empty where scores of two fingerprints would be mixed.
        failures: by kind, likewise.
        sessions: in order.
        deeds: what the human did.
        origin: how to make it again.
        measures: of the rate of discovery.
    """

    ledger: str
    at: float
    about: About
    state: State
    headline: str
    doubts: tuple[str, ...]
    seed: Code | None
    parent: Code | None
    best: Code | None
    ruled: Ruled
    rulings: tuple[Ruled, ...]
    lines: tuple[Line, ...]
    cases: tuple[Case, ...]
    references: tuple[str, ...]
    lineage: tuple[Step, ...]
    improvements: tuple[tuple[int, int, float, str], ...]
    cells: Mapping[tuple[int, ...], float]
    cost: Cost
    operators: tuple[Earnings, ...]
    failures: tuple[Failures, ...]
    sessions: tuple[Session, ...]
    deeds: tuple[Deed, ...]
    origin: Origin
    measures: Measures
