"""One session of a run: its clock, its evaluations, its commits. In which order things happen is a schedule's.

Owns the event loop's side of a run: the budget of time, signals, flushes of the ledger. What to propose and what a
result means is `search`'s; what is shown is an `Observer`'s.
"""

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from evolve.budget import Budget
from evolve.errors import InfrastructureError, ProblemError
from evolve.evaluator import Evaluator, Job, Judged
from evolve.fastcore.pool import JudgeError
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.records import Commit, Evaluation, Status
from evolve.scoring import Stopped, put_together
from evolve.search import Pending, Search
from evolve.statement import Problem

__all__ = ["Engine", "MeterObserver", "ModelObserver", "Observer", "Schedule", "first_error", "signals"]

_FLUSH_COMMITS = 64
_FLUSH_SECONDS = 0.25
_METER_SECONDS = 0.1


class Observer(Protocol):
    """Told of what happens, on the event loop's thread: be quick."""

    def on_commit(self, commit: Commit, improved: bool) -> None:
        """A proposal has been committed; `improved`: it is the best of the run so far."""
        ...


class ModelObserver(Observer, Protocol):
    """An observer that also wants to know how models are asked."""

    def on_asking(self, state: Callable[[], Mapping[str, float]]) -> None:
        """A session begins; `state` tells of it whenever it is called, on any thread."""
        ...


class MeterObserver(Observer, Protocol):
    """An observer that also wants to know what is spent of a budget in CPU seconds."""

    def on_metered(self, cpu_seconds: float) -> None:
        """So many are spent, over all sessions."""
        ...


class Schedule(Protocol):
    """Who proposes when, and in which order commits are made."""

    async def drive(self, engine: "Engine") -> None:
        """Propose, judge and commit until the budget is spent; may be cancelled at any await."""
        ...


class Engine:
    """Drives one session of a run.

    Args:
        search: state, already replayed up to the ledger's last commit.
        ledger: open for writing.
        evaluator: started.
        budget: a total.
        observer: told of commits.

    Attributes:
        stopped: why the session ends, once it does.
        spent_before: CPU seconds of earlier sessions.
    """

    def __init__(
        self,
        search: Search,
        ledger: Ledger,
        evaluator: Evaluator,
        budget: Budget,
        observer: Observer | None = None,
    ) -> None:
        self.search = search
        self.ledger = ledger
        self.evaluator = evaluator
        self.budget = budget
        self.observer = observer
        self.stopped: str | None = None
        self.before = 0.0
        self._started = 0.0
        self._flushed = 0.0
        self._unflushed = 0
        self._halt = asyncio.Event()
        self.spent_before = 0.0
        self._cpu = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds of searching, over all sessions."""
        return self.before + (time.monotonic() - self._started if self._started else 0.0)

    def stop(self, why: str) -> None:
        """End the session after the commit in hand; proposals in flight are dropped."""
        if self.stopped is None:
            self.stopped = why
            self._halt.set()

    async def run(self, schedule: Schedule, before: float = 0.0) -> str:
        """Search until the budget is spent or `stop` is called.

        Args:
            schedule: who proposes when.
            before: seconds of earlier sessions.

        Returns:
            Why it stopped: "budget", "interrupted", ...

        Raises:
            ProblemError: the problem's own functions fail on the seed program.
            InfrastructureError: no worker can be kept alive, or no model.
        """
        self.before = before
        self._started = self._flushed = time.monotonic()
        self._cpu = time.process_time() + self.evaluator.pool.cpu_seconds()
        timer, meter = self._timer(), asyncio.ensure_future(self._metered())
        try:
            with signals(self.stop):
                if self.ledger.commits == 0:
                    await self._seed()
                self._stop_if_spent()
                await self.together([schedule.drive(self)])
        finally:
            meter.cancel()
            if timer is not None:
                timer.cancel()
            self.ledger.flush()
        return self.stopped or "budget"

    async def together(self, work: Iterable[Any]) -> None:
        """Run coroutines until all are done or the session is stopped; an error of one ends the others."""
        tasks = [asyncio.ensure_future(one) for one in work]
        halt = asyncio.create_task(self._halt.wait())
        try:
            waiting: set[asyncio.Future[Any]] = {*tasks}
            while waiting and not halt.done():
                done, _ = await asyncio.wait({*waiting, halt}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()  # never swallowed
                waiting -= done
        finally:
            for task in (*tasks, halt):
                task.cancel()
            await asyncio.gather(*tasks, halt, return_exceptions=True)

    def _timer(self) -> asyncio.TimerHandle | None:
        if self.budget.seconds is None:
            return None
        left = max(0.0, self.budget.seconds - self.before)
        return asyncio.get_running_loop().call_later(left, self.stop, "budget")

    async def _metered(self) -> None:
        """Ends the session when its CPU seconds are spent."""
        while self.budget.cpu_seconds is not None and self.stopped is None:
            spent = time.process_time() + self.evaluator.pool.cpu_seconds() - self._cpu
            if tell := getattr(self.observer, "on_metered", None):
                tell(self.spent_before + spent)
            if self.spent_before + spent >= self.budget.cpu_seconds:
                self.stop("budget")
            await asyncio.sleep(_METER_SECONDS)

    def _stop_if_spent(self) -> None:
        """Evaluations are counted commit by commit: with as many of them a run ends at the same commit again."""
        most = self.budget.evaluations
        if most is not None and self.search.tally.evaluations >= most:
            self.stop("budget")

    async def _seed(self) -> None:
        pending = self.search.propose(0)
        if pending.job is None:
            raise ProblemError(f"{self.search.problem.path}: the seed program: {pending.draft.error}")
        judged = await self.judge(pending.job)
        refuse_seed(self.search.problem, judged)
        self._commit(pending, judged)

    async def judge(self, job: Job) -> Judged:
        """Evaluate a program.

        Raises:
            InfrastructureError: the judge failed.
        """
        try:
            return await self.evaluator.evaluate(job)
        except JudgeError as error:
            raise InfrastructureError(
                f"the judge failed; this is an error of evolve, please report it:\n{error}"
            ) from error

    async def settle(self, pending: Pending, judged: Judged | None) -> Commit:
        """Commit a proposal whose turn it is; a would-be elite may be tested again first.

        No other proposal may be settled meanwhile: whether it is one depends on the commits before it.
        """
        if judged is not None:
            judged = await self._retested(pending, judged)
        return self._commit(pending, judged)

    async def _retested(self, pending: Pending, judged: Judged) -> Judged:
        """Where the objective is noisy, a would-be elite is tested again.

        Of a random objective both tests count. Of a speed only the second does: the first is what made it a would-be
        elite, so it is a lucky one more often than not.
        """
        problem = self.search.problem
        noisy = problem.repeats > 1 or problem.speed is not None
        if not noisy or not self.search.config.retest or not self.search.would_enter(pending, judged):
            return judged
        floor = None if pending.job is None else pending.job.floor
        again = (await self.judge(Job(judged.source, round=1, floor=floor))).evaluation
        if again.status is Status.OK:
            put = _second if problem.speed else _merged
            again = put(problem, judged.evaluation, again)
        return replace(judged, evaluation=again, retests=1)

    def _commit(self, pending: Pending, judged: Judged | None) -> Commit:
        before = self.search.archive.best()
        commit = self.search.commit(self.search.finished(pending, judged, self.elapsed))
        self.ledger.record(commit)
        self._unflushed += 1
        now = time.monotonic()
        if self._unflushed >= _FLUSH_COMMITS or now - self._flushed > _FLUSH_SECONDS:
            self.ledger.flush()
            self._unflushed, self._flushed = 0, now
        self._stop_if_spent()
        if self.observer is not None:
            best = self.search.archive.best()
            improved = best is not None and (before is None or best.objective != before.objective)
            self.observer.on_commit(commit, improved)
        return commit


def refuse_seed(problem: Problem, judged: Judged) -> None:
    """Raise ProblemError unless the seed program scores: a search needs a place to start from."""
    evaluation = judged.evaluation
    if evaluation.status is Status.OK:
        return
    told = f"{problem.path}: the seed program does not score: {evaluation.status}: {evaluation.message}"
    raise ProblemError(f"{told}\n{judged.traceback}".rstrip())


def _second(_: Problem, first: Evaluation, again: Evaluation) -> Evaluation:
    """The second measurement of a speed, at the cost of both."""
    return replace(
        again,
        cpu_seconds=first.cpu_seconds + again.cpu_seconds,
        wall_seconds=first.wall_seconds + again.wall_seconds,
    )


def _merged(problem: Problem, first: Evaluation, again: Evaluation) -> Evaluation:
    """Both rounds of a random objective as one evaluation."""
    scores = {**first.scores, **again.scores}
    try:
        put = {
            name: put_together(problem, name, scores) for name in (problem.objective.name, *first.measures)
        }
    except Stopped as stop:
        return Evaluation("", stop.status, stop.message)
    return replace(
        first,
        objective=put[problem.objective.name],
        scores=scores,
        measures={name: put[name] for name in first.measures},
        cpu_seconds=first.cpu_seconds + again.cpu_seconds,
        wall_seconds=first.wall_seconds + again.wall_seconds,
    )


@contextlib.contextmanager
def first_error() -> Iterator[None]:
    """Of tasks in a group: the error that ended the others, alone."""
    try:
        yield
    except BaseExceptionGroup as errors:
        error: BaseException = errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


@contextlib.contextmanager
def signals(stop: Callable[[str], object]) -> Iterator[None]:
    """Ctrl-C and a polite kill end the session cleanly: `stop` is told why. A second Ctrl-C is Python's own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        stop("interrupted")
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, stop, "interrupted")
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)
