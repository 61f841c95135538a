"""The trusted side of an evaluation: holds answers to their form, calls the problem's functions within limits,
puts scores together over cases. Knows nothing of how a program is run.
"""

import copy
import hashlib
import math
import secrets
import signal
import threading
import time
import traceback as tracebacks
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from evolve.fastcore.interpret import NotInterpretable
from evolve.fastcore.runner import Failure
from evolve.fastcore.runner import Session as Jailed
from evolve.fastcore.wire import encode
from evolve.programs_db.records import Status
from evolve.sessions import Session
from evolve.spec import Array, Misfit
from evolve.statement import Aggregate, Case, Problem, Rejected
from evolve.text import clean

__all__ = ["Scored", "Scorer", "Stopped", "aggregate", "behaviour_of", "put_together"]

Witness = Callable[[], AbstractContextManager[Jailed]]


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


class _Log:
    """Decisions of one case, as many as are worth asking again: the last one, and others by reservoir sampling."""

    def __init__(self, most: int = 48) -> None:
        self.most = most
        self._clear()

    def _clear(self) -> None:
        self.count = 0
        self.kept: list[tuple[int, bytes, Any]] = []
        self.last: tuple[int, bytes, Any] | None = None

    def note(self, args: tuple[Any, ...], answer: Any) -> None:
        """Take note of a decision, as bytes and a copy: `simulate` may change its arguments and answers in place."""
        self.last = self.count, encode(args), copy.deepcopy(answer)
        # Chance that a program cannot foresee; it decides only what is looked at, never what a program is worth.
        place = secrets.randbelow(self.count + 1)
        if len(self.kept) < self.most:
            self.kept.append(self.last)
        elif place < self.most:
            self.kept[place] = self.last
        self.count += 1

    def drawn(self) -> list[tuple[int, bytes, Any]]:
        """What was kept, the last decision first; and the log is empty again."""
        drawn = {item[0]: item for item in (*self.kept, *([self.last] if self.last else []))}
        self._clear()
        return [drawn[number] for number in sorted(drawn, reverse=True)]


def _equal(one: Any, other: Any) -> bool:
    """Whether two checked answers are the same."""
    if isinstance(one, np.ndarray):
        return one.shape == other.shape and bool(np.array_equal(one, other))
    return bool(one == other)


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
        self._alarm = _Alarm(problem.score_seconds)
        self._needed = problem.supplied
        self._log: _Log | None = None

    def run(
        self,
        session: Session,
        cases: Sequence[Case],
        round: int = 0,
        quick: bool = False,
        witness: Witness | None = None,
    ) -> Scored:
        """Run and score a program on `cases`.

        Args:
            session: the running program.
            cases: in order; those of `stages` are moved to the front.
            round: which seeds repeats get.
            quick: stop after the first stage, whatever its gate says.
            witness: starts the same program afresh, where it could keep a state of its own (form `step`).

        Raises:
            Failure: the program failed.
            Stopped: its answer was refused or broke the problem's own functions.
        """
        self._log = None if witness is None or self.problem.form != "step" else _Log()
        with self.watching():
            try:
                return self._run(session, cases, round, quick, witness)
            finally:
                self._log = None

    def watching(self) -> AbstractContextManager[object]:
        """Within it, functions of the problem that take too long are interrupted; one program, one entry."""
        return self._alarm

    def check(self, answer: Any, case: Case) -> Mapping[str, float]:
        """Hold one answer to its form and score it.

        Raises:
            Stopped: it was refused, or broke the problem's own functions.
        """
        return self.score(self._fit(answer, case), case)

    def _run(
        self, session: Session, cases: Sequence[Case], round: int, quick: bool, witness: Witness | None
    ) -> Scored:
        scores: dict[str, Mapping[str, float]] = {}
        outcomes: dict[str, Any] = {}
        tables: dict[str, Any] = {}
        for stage, gate in self._stages(cases):
            for case in stage:
                for one in self.repeated(case, round):
                    outcome = self.outcome(session, one, tables, self.problem.simulate)
                    if self._log is not None and witness is not None:
                        self._confirm(witness, self._log, one)
                    outcomes[one.name] = outcome
                    scores[one.name] = self.score(outcome, one)
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

    def repeated(self, case: Case, round: int = 0) -> list[Case]:
        """A case as often as the problem wants it, each time with another seed."""
        count = self.problem.repeats
        if count == 1:
            return [case]
        seeds = range(round * count, (round + 1) * count)
        return [replace(case, name=f"{case.name}#{seed}", seed=seed) for seed in seeds]

    def outcome(
        self,
        session: Session,
        case: Case,
        tables: dict[str, Any],
        simulate: Callable[[Any, Case], Any] | None,
    ) -> Any:
        """What a program makes of a case: its answer, or what a simulation makes of its table or decisions.

        Args:
            session: the running program.
            case: one of `repeated`.
            tables: those of this program so far, by grid; for form `table`.
            simulate: the problem's `simulate` or `plain`.

        Raises:
            Failure, Stopped: see `run`.
        """
        problem = self.problem
        session.begin_case()
        if problem.form == "call":
            inputs = case.inputs if case.seed is None else (*case.inputs, case.seed)
            return self._fit(session.call(inputs), case)
        if problem.form == "table":
            name = case.grid or self._first_grid
            if name not in tables:
                tables[name] = self._table(session.call(self._grids[name].inputs), self._shapes[name])
            return self.trusted("simulate", simulate, tables[name], case)
        return self.trusted("simulate", simulate, self._decider(session, case), case)

    def _decider(self, session: Session, case: Case) -> Callable[..., Any]:
        def decide(*args: Any) -> Any:
            """One decision of the program, checked. The problem's own clock stands still meanwhile."""
            alarm, started = self._alarm, time.monotonic()
            deadline, alarm.deadline = alarm.deadline, math.inf
            try:
                answer = self._fit(session.call(args), case)
                if self._log is not None:
                    self._log.note(args, answer)
                return answer
            finally:
                alarm.deadline = deadline + time.monotonic() - started

        return decide

    def _confirm(self, witness: Witness, log: "_Log", case: Case) -> None:
        """Ask the same program, started afresh, some of the questions again, the last ones first.

        What it may remember is in a decision's arguments. A program that kept notes of its own would have to know
        now what it is only told afterwards.
        """
        with witness() as session:
            session.begin_case()
            for number, question, answer in log.drawn():
                again = self._fit(session.call(question), case)
                if not _equal(answer, again):
                    raise Stopped(
                        Status.REJECTED,
                        f"case {case.name}: asked afresh, decision {number} is another one: it depends on what was "
                        "asked before, or on chance; what a program may remember is in its arguments",
                    )

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

    def trusted(self, what: str, function: Callable[..., Any] | None, *args: Any) -> Any:
        """Call a function of the problem within its time limit; what it raises is told apart.

        Args:
            what: its name, for messages.
            function: the function.
            *args: its arguments, the last one a case.

        Raises:
            Stopped: it rejects what it was given, or fails on it.
        """
        assert function is not None
        case = args[-1].name
        try:
            self._alarm.deadline = time.monotonic() + self.problem.score_seconds
            try:
                return function(*args)
            finally:
                self._alarm.deadline = math.inf
        except Rejected as rejected:
            raise Stopped(Status.REJECTED, f"case {case}: {rejected}") from None
        except (Stopped, Failure, NotInterpretable):
            raise
        except _OutOfTime:
            seconds = self.problem.score_seconds
            raise Stopped(Status.UNSCORABLE, f"case {case}: {what} took more than {seconds:g} s") from None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a hostile answer may make it raise anything
            text = "".join(tracebacks.format_exception(error))
            kind = type(error).__name__
            raise Stopped(Status.UNSCORABLE, f"case {case}: {what} raised {kind}: {error}", text) from None

    def score(self, outcome: Any, case: Case) -> Mapping[str, float]:
        """The numbers that the problem gives an outcome.

        Raises:
            Stopped: it was refused, or broke the problem's own functions.
        """
        answer = self.trusted("score", self.problem.score, outcome, case)
        if not isinstance(answer, Mapping):
            kind = type(answer).__name__
            raise Stopped(
                Status.UNSCORABLE, f"case {case.name}: score returned {kind}, not a mapping of numbers"
            )
        numbers: dict[str, float] = {}
        for name, value in answer.items():
            if not isinstance(value, (bool, int, float, np.integer, np.floating, np.bool_)):
                kind = type(value).__name__
                raise Stopped(
                    Status.UNSCORABLE, f"case {case.name}: score's {name!r} is of type {kind}, not a number"
                )
            try:
                numbers[str(name)] = float(value)
            except OverflowError:
                numbers[str(name)] = math.inf if value > 0 else -math.inf
        for name in self._needed:
            if name not in numbers:
                raise Stopped(Status.UNSCORABLE, f"case {case.name}: score's answer has no {name!r}")
            if not math.isfinite(numbers[name]):
                raise Stopped(
                    Status.UNSCORABLE, f"case {case.name}: score returned {numbers[name]} for {name!r}"
                )
        return numbers

    def _pass(self, gate: float, scores: Mapping[str, Mapping[str, float]]) -> None:
        reached = put_together(self.problem, self.problem.objective.name, scores)
        if self.problem.objective.better(gate, reached):
            raise Stopped(Status.REJECTED, f"stage: {reached:g} does not reach the gate {gate:g}")

    def _total(self, scores: Mapping[str, Mapping[str, float]], outcomes: Mapping[str, Any]) -> Scored:
        totals = {name: put_together(self.problem, name, scores) for name in self._needed}
        objective = totals[self.problem.objective.name]
        measures = {name: totals[name] for name in totals if name in {m.name for m in self.problem.measures}}
        return Scored(Status.OK, "", objective, scores, measures, behaviour_of(scores), "", outcomes)


def behaviour_of(scores: Mapping[str, Mapping[str, float]]) -> str:
    """A hash of the numbers of all cases: programs that act the same share it."""
    text = repr([(case, sorted(numbers.items())) for case, numbers in scores.items()])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def put_together(problem: Problem, name: str, scores: Mapping[str, Mapping[str, float]]) -> float:
    """One finite number over cases.

    Raises:
        Stopped: the aggregate raises on these scores, or is not finite.
    """
    try:
        number = aggregate(problem.aggregate.get(name, "mean"), [case[name] for case in scores.values()])
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an aggregate may be the problem's own function
        text = "".join(tracebacks.format_exception(error))
        told = f"aggregate raised {type(error).__name__}: {error}"
        raise Stopped(Status.UNSCORABLE, told, text) from None
    if not math.isfinite(number):
        raise Stopped(Status.UNSCORABLE, f"the aggregated {name!r} is {number}")
    return number


def aggregate(how: Aggregate, values: Sequence[float]) -> float:
    """Put one number together over cases; the mean is exact in the order given (math.fsum)."""
    if callable(how):
        return float(how(values))
    if how == "mean":
        return math.fsum(values) / len(values)
    if how == "sum":
        return math.fsum(values)
    return float(min(values) if how == "min" else max(values))


class _Alarm:
    """Interrupts trusted Python code that takes too long; the pool's watchdog has the rest.

    A system call costs more than a small `score`, so the kernel's timer runs once a program: when it rings before
    the deadline of the call in hand, it is set again for what is left. Only the main thread can be interrupted; a
    judge lives there.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.deadline = math.inf  # of the call in hand
        self._ready = False
        self._before: Any = None

    def __enter__(self) -> None:
        self._ready = threading.current_thread() is threading.main_thread()
        if self._ready:
            self._before = signal.signal(signal.SIGALRM, self._ring)
            signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def __exit__(self, *_: object) -> None:
        self.deadline = math.inf
        if self._ready:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._before)

    def _ring(self, _signal: int, _frame: object) -> None:
        left = min(self.seconds, self.deadline - time.monotonic())
        signal.setitimer(signal.ITIMER_REAL, max(left, 0.001))
        if left <= 0.0:
            raise _OutOfTime
