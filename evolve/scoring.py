"""The trusted side of an evaluation: holds answers to their form, calls the problem's functions within limits,
puts scores together over cases. Knows nothing of how a program is run.
"""

import hashlib
import math
import signal
import threading
import traceback as tracebacks
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from evolve.fastcore.runner import Failure
from evolve.programs_db.records import Status
from evolve.sessions import Session
from evolve.spec import Array, Misfit
from evolve.statement import STRUCTURAL, Aggregate, Case, Problem, Rejected
from evolve.text import clean

__all__ = ["Scored", "Scorer", "Stopped", "aggregate"]

_DECISION = Array("f8", None)


@dataclass(frozen=True, slots=True)
class Scored:
    """What came of scoring one program; `objective` only if `status` is ok."""

    status: Status
    message: str = ""
    objective: float | None = None
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)
    behaviour: str = ""
    traceback: str = ""
    outcomes: Mapping[str, Any] = field(default_factory=dict)


class Stopped(Exception):  # noqa: N818 - control flow inside the judge
    """Scoring ended early with a status."""

    def __init__(self, status: Status, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = clean(message, 500)
        self.traceback = traceback


class _OutOfTime(BaseException):
    """The alarm; no `except Exception` of a problem may swallow it."""


class Scorer:
    """Scores programs for one problem.

    Args:
        problem: the problem; its functions are trusted, what they are given is not.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._grids = problem.grids()
        self._shapes = {name: grid.table_shape for name, grid in self._grids.items()}
        self._first_grid = next(iter(self._grids), "")

    def run(self, session: Session, cases: Sequence[Case], round: int = 0, quick: bool = False) -> Scored:
        """Run and score a program on `cases`.

        Args:
            session: the running program.
            cases: in order; those of `stages` are moved to the front.
            round: which seeds repeats get.
            quick: stop after the first stage, whatever its gate says.

        Raises:
            Failure: the program failed.
            Stopped: its answer was refused or broke the problem's own functions.
        """
        scores: dict[str, Mapping[str, float]] = {}
        outcomes: dict[str, Any] = {}
        tables: dict[str, Any] = {}
        for stage, gate in self._stages(cases):
            for case in stage:
                for one in self._repeats(case, round):
                    outcome = self._outcome(session, one, tables)
                    outcomes[one.name] = outcome
                    scores[one.name] = self._score(outcome, one)
            if quick and scores:
                break
            if gate is not None:
                self._pass(gate, scores)
        return self._total(scores, outcomes)

    def _stages(self, cases: Sequence[Case]) -> Iterator[tuple[list[Case], float | None]]:
        left = {case.name: case for case in cases}
        for stage in self.problem.stages:
            named = [left.pop(name) for name in stage.cases if name in left]
            if named:
                yield named, stage.gate
        yield list(left.values()), None

    def _repeats(self, case: Case, round: int) -> list[Case]:
        count = self.problem.repeats
        if count == 1:
            return [case]
        seeds = range(round * count, (round + 1) * count)
        return [replace(case, name=f"{case.name}#{seed}", seed=seed) for seed in seeds]

    def _outcome(self, session: Session, case: Case, tables: dict[str, Any]) -> Any:
        problem = self.problem
        session.begin_case()
        if problem.form == "call":
            inputs = case.inputs if case.seed is None else (*case.inputs, case.seed)
            return self._fit(session.call(inputs), case)
        if problem.form == "table":
            name = case.grid or self._first_grid
            if name not in tables:
                tables[name] = self._table(session.call(self._grids[name].inputs), self._shapes[name])
            return self._trusted("simulate", problem.simulate, tables[name], case)
        return self._trusted("simulate", problem.simulate, self._decider(session, case), case)

    def _decider(self, session: Session, case: Case) -> Callable[..., Any]:
        def decide(*args: Any) -> Any:
            """One decision of the program, checked. The problem's own clock stands still meanwhile."""
            left = _pause()
            try:
                return self._fit(session.call(args), case)
            finally:
                _go_on(left)

        return decide

    def _fit(self, answer: Any, case: Case) -> Any:
        try:
            return self.problem.returns.check(answer)
        except Misfit as misfit:
            raise Stopped(Status.REJECTED, f"case {case.name}: {misfit}") from None

    @staticmethod
    def _table(answer: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        """The table as float64 of the grid's shape; NaN means never, so it becomes -inf."""
        try:
            table = Array("f8", None, nan=True).check(answer)
            table = np.array(np.broadcast_to(table, shape))
        except (Misfit, ValueError) as misfit:
            raise Stopped(Status.REJECTED, f"table: {misfit}") from None
        table[np.isnan(table)] = -np.inf
        return table

    def _trusted(self, what: str, function: Callable[..., Any] | None, *args: Any) -> Any:
        """Call a function of the problem within its time limit; what it raises is told apart."""
        assert function is not None
        case = args[-1].name
        try:
            with _time_limit(self.problem.score_seconds):
                return function(*args)
        except Rejected as rejected:
            raise Stopped(Status.REJECTED, f"case {case}: {rejected}") from None
        except (Stopped, Failure):
            raise
        except _OutOfTime:
            seconds = self.problem.score_seconds
            raise Stopped(Status.UNSCORABLE, f"case {case}: {what} took more than {seconds:g} s") from None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a hostile answer may make it raise anything
            text = "".join(tracebacks.format_exception(error))
            kind = type(error).__name__
            raise Stopped(Status.UNSCORABLE, f"case {case}: {what} raised {kind}: {error}", text) from None

    def _score(self, outcome: Any, case: Case) -> Mapping[str, float]:
        answer = self._trusted("score", self.problem.score, outcome, case)
        if not isinstance(answer, Mapping):
            kind = type(answer).__name__
            raise Stopped(
                Status.UNSCORABLE, f"case {case.name}: score returned {kind}, not a mapping of numbers"
            )
        numbers: dict[str, float] = {}
        for name, value in answer.items():
            if not isinstance(value, (bool, int, float, np.number, np.bool_)):
                kind = type(value).__name__
                raise Stopped(
                    Status.UNSCORABLE, f"case {case.name}: score's {name!r} is of type {kind}, not a number"
                )
            numbers[str(name)] = float(value)
        for name in self._needed():
            if name not in numbers:
                raise Stopped(Status.UNSCORABLE, f"case {case.name}: score's answer has no {name!r}")
            if not math.isfinite(numbers[name]):
                raise Stopped(
                    Status.UNSCORABLE, f"case {case.name}: score returned {numbers[name]} for {name!r}"
                )
        return numbers

    def _needed(self) -> list[str]:
        behavioural = [measure.name for measure in self.problem.measures if measure.name not in STRUCTURAL]
        return [self.problem.objective.name, *behavioural]

    def _pass(self, gate: float, scores: Mapping[str, Mapping[str, float]]) -> None:
        reached = self._put_together(self.problem.objective.name, scores)
        if self.problem.objective.better(gate, reached):
            raise Stopped(Status.REJECTED, f"stage: {reached:g} does not reach the gate {gate:g}")

    def _put_together(self, name: str, scores: Mapping[str, Mapping[str, float]]) -> float:
        return aggregate(self.problem.aggregate.get(name, "mean"), [case[name] for case in scores.values()])

    def _total(self, scores: Mapping[str, Mapping[str, float]], outcomes: Mapping[str, Any]) -> Scored:
        try:
            totals = {name: self._put_together(name, scores) for name in self._needed()}
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an aggregate may be the problem's own function
            text = "".join(tracebacks.format_exception(error))
            raise Stopped(
                Status.UNSCORABLE, f"aggregate raised {type(error).__name__}: {error}", text
            ) from None
        objective = totals[self.problem.objective.name]
        if not math.isfinite(objective):
            raise Stopped(Status.UNSCORABLE, f"the aggregated objective is {objective}")
        measures = {name: totals[name] for name in totals if name in {m.name for m in self.problem.measures}}
        text = repr([(case, sorted(numbers.items())) for case, numbers in scores.items()])
        behaviour = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        return Scored(Status.OK, "", objective, scores, measures, behaviour, "", outcomes)


def aggregate(how: Aggregate, values: Sequence[float]) -> float:
    """Put one number together over cases; the mean is exact in the order given (math.fsum)."""
    if callable(how):
        return float(how(values))
    if how == "mean":
        return math.fsum(values) / len(values)
    if how == "sum":
        return math.fsum(values)
    return float(min(values) if how == "min" else max(values))


def _ring(_signal: int, _frame: object) -> None:
    raise _OutOfTime


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Interrupt the body after `seconds` of wall time. Python code only: the pool's watchdog has the rest."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _pause() -> float:
    return signal.setitimer(signal.ITIMER_REAL, 0)[0]


def _go_on(left: float) -> None:
    if left > 0:
        signal.setitimer(signal.ITIMER_REAL, left)
