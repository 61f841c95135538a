"""Problem + Pool -> Evaluation: the judge that lives in each supervisor, and the engine's handle on it.

A judge loads the problem by its path, runs programs (interpreted where they are data, jailed otherwise) and
scores plain data. Knows nothing of archives, mutators or the ledger.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolve.fastcore.interpret import NotExpression, NotInterpretable, Plan, compile_expression, numpy_functions
from evolve.fastcore.pool import Pool
from evolve.fastcore.runner import Failure, Runner
from evolve.loader import factory_of
from evolve.mutators.tuner import Rules, substitute, tunable, tune
from evolve.statement import Case, Problem
from evolve.programs_db.records import Evaluation, Status, Trial
from evolve.scoring import Scored, Scorer, Stopped
from evolve.sessions import Interpreted, Session

__all__ = ["Evaluator", "Job", "Judge", "Judged", "TuneOrder", "make_judge"]


@dataclass(frozen=True, slots=True)
class TuneOrder:
    """Ask the judge to tune the constants of a program before its evaluation counts.

    Args:
        budget: most evaluations.
        each: evaluations a constant.
        seed: of CMA-ES.
        bar: objective that an untuned or half-tuned program is measured against; None for no bar.
    """

    budget: int
    each: int
    seed: int
    bar: float | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One program to judge.

    Args:
        source: text of the block.
        suite: "" for the training cases, else the name of a suite of unseen cases.
        tune: whether and how to tune its constants first.
        round: which seeds the repeats of a random objective get: 0 at first, 1 when an elite is tested again.
        detail: whether outcomes are wanted back (`evolve eval`).
    """

    source: str
    suite: str = ""
    tune: TuneOrder | None = None
    round: int = 0
    detail: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """What a judge says of a Job: the evaluation, and the source that it is of (tuned or as given)."""

    source: str
    evaluation: Evaluation
    trials: tuple[Trial, ...] = ()
    traceback: str = ""
    outcomes: Mapping[str, Any] | None = None


class Judge:
    """Runs and scores programs for one problem; lives in a supervisor.

    Args:
        problem: the problem.
        unsafe: run without a jail where this machine gives none.
    """

    def __init__(self, problem: Problem, unsafe: bool = False) -> None:
        self.problem = problem
        self.unsafe = unsafe
        self.scorer = Scorer(problem)
        self.functions = numpy_functions()
        self._runner: Runner | None = None
        self._last: tuple[str, Plan | None] | None = None  # a tuner asks for one program many times

    def close(self) -> None:
        """End the zygote, if one was started."""
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    def judge(self, job: Job) -> Judged:
        """Evaluate a program; never raises for anything that a program does."""
        first = self._once(job)
        order = job.tune
        if order is None or order.budget < 1 or first.evaluation.status not in (Status.OK, Status.REJECTED):
            return first
        values = tunable(job.source, self.problem.entry)
        if not values:
            return first
        return self._tuned(job, order, first, tuple(values))

    def _tuned(self, job: Job, order: TuneOrder, first: Judged, values: tuple[float, ...]) -> Judged:
        objective = self.problem.objective
        best = first.evaluation.objective
        budget = min(order.budget, order.each * len(values))
        rules = Rules(budget, order.seed, objective.direction, order.bar)
        result = tune(values, lambda constants: self._trial(job, constants), rules, best)
        if result.objective is None or (best is not None and not objective.better(result.objective, best)):
            return Judged(first.source, first.evaluation, result.trials, first.traceback, first.outcomes)
        # What counts is the text that is kept: it is judged from scratch, as anyone can do again.
        final = self._once(Job(substitute(job.source, self.problem.entry, result.values), round=job.round))
        return Judged(final.source, final.evaluation, result.trials, final.traceback)

    def _trial(self, job: Job, constants: tuple[float, ...]) -> float | None:
        judged = self._once(Job(job.source, round=job.round), constants)
        return judged.evaluation.objective

    def _once(self, job: Job, constants: tuple[float, ...] | None = None) -> Judged:
        try:
            plan = self._compiled(job.source)
        except NotExpression as reason:
            return self._failed(job, Failure("error", str(reason)))
        if plan is not None:
            try:
                return self._run(job, Interpreted(plan, constants))
            except NotInterpretable:
                pass  # for instance an integer beyond 64 bits: the jail has no such bound
        source = job.source if constants is None else substitute(job.source, self.problem.entry, constants)
        try:
            session = self._jail().start(source, self.problem.entry, self.problem.limits)
        except Failure as failure:
            return self._failed(job, failure)
        with session:
            return self._run(job, session)

    def _compiled(self, source: str) -> Plan | None:
        """The plan of an expression program; None if only a jailed process can run it.

        Raises:
            NotExpression: it is not valid Python.
        """
        if self._last is None or self._last[0] != source:
            try:
                self._last = source, compile_expression(source, self.problem.entry, self.functions)
            except NotExpression as reason:
                if reason.kind == "invalid":
                    raise
                self._last = source, None
        return self._last[1]

    def _jail(self) -> Runner:
        if self._runner is None:
            self._runner = Runner(preload=tuple(self.problem.preload), unsafe=self.unsafe)
        return self._runner

    def _failed(self, job: Job, failure: Failure) -> Judged:
        evaluation = Evaluation("", Status(failure.status), failure.message)
        return Judged(job.source, evaluation, traceback=failure.traceback)

    def _run(self, job: Job, session: Session) -> Judged:
        try:
            scored = self.scorer.run(session, self._cases(job), job.round)
        except Stopped as stop:
            scored = Scored(stop.status, stop.message, traceback=stop.traceback)
        except Failure as failure:
            scored = Scored(Status(failure.status), failure.message, traceback=failure.traceback)
        usage = session.finish()
        evaluation = Evaluation(
            program="",
            status=scored.status,
            message=scored.message,
            objective=scored.objective,
            scores=scored.scores,
            measures=scored.measures,
            behaviour=scored.behaviour,
            output=usage.output,
            cpu_seconds=usage.cpu_seconds,
            wall_seconds=usage.wall_seconds,
            memory=usage.memory,
            isolation=usage.isolation,
        )
        return Judged(job.source, evaluation, (), scored.traceback, scored.outcomes if job.detail else None)

    def _cases(self, job: Job) -> tuple[Case, ...]:
        return tuple(self.problem.unseen[job.suite]) if job.suite else tuple(self.problem.cases)


def make_judge(path: str, factory: str, parameters: Mapping[str, Any], unsafe: bool) -> Judge:
    """What a supervisor calls to make its judge."""
    return Judge(factory_of(Path(path), factory)(**parameters), unsafe)


class Evaluator:
    """The engine's side: hands jobs to supervisors, one a core.

    Args:
        problem: must come from a file, so that each supervisor can load it by itself.
        workers: number of supervisors.
        unsafe: see `Judge`.
    """

    def __init__(self, problem: Problem, workers: int = 1, unsafe: bool = False) -> None:
        if problem.origin is None:
            raise ValueError("this Problem was not made by an @problem factory, so no worker can load it")
        origin = problem.origin
        self.pool = Pool(
            "evolve.evaluator:make_judge",
            (str(origin.path), origin.factory, dict(origin.parameters), unsafe),
            workers,
        )

    async def __aenter__(self) -> "Evaluator":
        await self.pool.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.pool.close()

    def evaluate(self, job: Job) -> Awaitable[Judged]:
        """Judge one program; jobs handed over in one turn of the event loop travel together."""
        return self.pool.submit(job)
