"""Problem + Pool -> Evaluation: the judge that lives in each supervisor, and the engine's handle on it.

A judge loads the problem by its path, runs programs (interpreted where they are data, jailed otherwise) and
scores plain data. Knows nothing of archives, mutators or the ledger.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from evolve.confirmation import Confirmation, ConfirmOrder, confirm
from evolve.fastcore.interpret import (
    NotExpression,
    NotInterpretable,
    Plan,
    compile_expression,
    numpy_functions,
)
from evolve.fastcore.limits import Limits
from evolve.fastcore.pool import JudgeStuck, Pool, SupervisorLost
from evolve.fastcore.runner import Failure, Runner
from evolve.fastcore.runner import Session as RunnerSession
from evolve.hunting import Hunt
from evolve.loader import factory_of
from evolve.mutators.screening import looks, tuning_budget
from evolve.mutators.tuner import Rules, substitute, tunable, tune
from evolve.needs import zygote_for
from evolve.programs_db.records import Evaluation, Status, Trial
from evolve.proving import Proof, VerifyOrder, fresh_cases, mark_of, prove
from evolve.scoring import Scored, Scorer, Stopped
from evolve.sessions import Interpreted, Session
from evolve.statement import Case, Problem
from evolve.timing import Heat, Timing, limits_of

__all__ = ["Evaluator", "Job", "Judge", "Judged", "TuneOrder", "make_judge", "patience"]


@dataclass(frozen=True, slots=True)
class TuneOrder:
    """Ask the judge to tune the constants of a program before its evaluation counts.

    Args:
        budget: most evaluations.
        each: evaluations a constant.
        seed: of CMA-ES.
        bars: objective to be reached at each of `screening`'s rungs; None where anything passes.
    """

    budget: int
    each: int
    seed: int
    bars: tuple[float | None, ...] = ()

    def rules(self, constants: int, better: Literal["min", "max"]) -> Rules:
        """The tuner's rules for so many constants."""
        budget = tuning_budget(self.budget, self.each, constants)
        bars = tuple(
            (tried, bar) for tried, bar in zip(looks(budget), self.bars, strict=False) if bar is not None
        )
        return Rules(budget, self.seed, better, bars)


@dataclass(frozen=True, slots=True)
class Job:
    """One program to judge.

    Args:
        source: text of the block.
        suite: "" for the training cases, else the name of a suite of unseen cases.
        tune: whether and how to tune its constants first.
        round: which seeds the repeats of a random objective get, or which inputs a race: 0 at first, 1 when an elite
            is tested again.
        quick: score the cases of the first stage alone, as the tuner does.
        detail: whether outcomes are wanted back (`evolve eval`).
        floor: with an objective of Speed: speed-up below which it need not be known well.
        confirm: with an objective of Speed: measure and check it more thoroughly than a search can.
        verify: run it jailed, and establish more than its score.
    """

    source: str
    suite: str = ""
    tune: TuneOrder | None = None
    round: int = 0
    quick: bool = False
    detail: bool = False
    floor: float | None = None
    confirm: ConfirmOrder | None = None
    verify: VerifyOrder | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What a judge says of a Job: the evaluation, and the source that it is of (tuned or as given).

    `retests` counts evaluations that were made again, of a would-be elite.
    """

    source: str
    evaluation: Evaluation
    trials: tuple[Trial, ...] = ()
    traceback: str = ""
    outcomes: Mapping[str, Any] | None = None
    confirmation: Confirmation | None = None
    proof: Proof | None = None
    retests: int = 0


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
        self.timing = Timing(problem, self.scorer, self.start) if problem.speed else None
        self._runners: dict[tuple[str, tuple[str, ...]], Runner] = {}
        self._last: tuple[str, Plan | None] | None = None  # a tuner asks for one program many times
        self._bound: Interpreted | None = None

    def close(self) -> None:
        """End the zygotes that were started."""
        for runner in self._runners.values():
            runner.close()
        self._runners.clear()

    def judge(self, job: Job) -> Judged:
        """Evaluate a program; never raises for anything that a program does."""
        order = job.tune
        values = tunable(job.source, self.problem.entry) if order is not None else ()
        if order is None or order.budget < 1 or not values:
            return self._once(job)
        return self._tuned(job, order, values)

    def _tuned(self, job: Job, order: TuneOrder, values: tuple[float, ...]) -> Judged:
        """Tune on the cases of the first stage, then judge from scratch the text that is kept."""
        first: list[Judged] = []

        def trial(constants: tuple[float, ...]) -> float | None:
            judged = self._once(replace(job, quick=True), constants if first else None, many=bool(first))
            if not first:
                first.append(judged)
            return judged.evaluation.objective

        result = tune(values, trial, order.rules(len(values), self.problem.objective.direction))
        if result.values != values:
            job = Job(substitute(job.source, self.problem.entry, result.values), round=job.round)
        elif not self.problem.stages:
            return replace(first[0], trials=result.trials)
        return replace(self._once(job), trials=result.trials)

    def _once(self, job: Job, constants: tuple[float, ...] | None = None, many: bool = False) -> Judged:
        if self.timing is not None:
            return self._timed(self.timing, job)
        if job.verify is not None:
            return self._verified(job, job.verify)
        try:
            plan = self._compiled(job.source)
        except NotExpression as reason:
            return self._failed(job, Failure("error", str(reason)))
        if plan is not None:
            try:
                return self._run(job, self._interpreted(plan, constants, many))
            except NotInterpretable:
                pass  # for instance an integer beyond 64 bits: the jail has no such bound
        source = job.source if constants is None else substitute(job.source, self.problem.entry, constants)
        with self.start("program", source, self.problem.limits) as session:
            return self._run(job, session, source)

    def _timed(self, timing: Timing, job: Job) -> Judged:
        """Race a program: it runs in a process of its own also where its answers could be had without one."""
        order, confirmation = job.confirm, None
        limits = self.problem.limits if order is None else limits_of(self.problem, order.looks[-1])
        with self.start("program", job.source, limits) as session:
            try:
                if order is None:
                    scored = timing.run(session, Heat(job.source, job.suite, job.round, job.floor))
                else:
                    scored, confirmation = confirm(timing, session, job.source, order)
            except (Stopped, Failure) as fault:
                scored = _fault(fault)
            return replace(self._judged(job, session, scored), confirmation=confirmation)

    def _verified(self, job: Job, order: VerifyOrder) -> Judged:
        """Judge a program jailed, whatever it is, and establish what the order asks for."""
        proof = Proof()
        with self.start("program", job.source, self.problem.limits) as session:
            try:
                cases: Sequence[Case] = self._cases(job)
                if order.fresh is not None:
                    cases = fresh_cases(self.scorer, order.fresh)
                    proof = Proof(mark=mark_of(cases))
                scored = self.scorer.run(session, cases, job.round, False, self._witness(job.source))
                if order.prove:
                    proof = prove(self.scorer, session, cases, scored)
            except (Stopped, Failure) as fault:
                scored = _fault(fault)
            judged = self._judged(job, session, scored)
        if order.examples or order.known:
            proof = self._hunted(job.source, order, proof)
        return replace(judged, proof=proof)

    def _hunted(self, source: str, order: VerifyOrder, proof: Proof) -> Proof:
        """Look for a case that is answered wrong."""

        def answer(session: RunnerSession, case: Case) -> object:
            session.begin_case()
            return self.scorer.check(session.call(case.inputs), case)

        hunt = Hunt(self.problem, lambda: self.start("program", source, self.problem.limits), answer)
        with self.scorer.watching():
            hunt.known(order.known)
            if order.examples and not hunt.wrong:
                hunt.strategy(order.examples, order.seed)
        return replace(
            proof,
            wrong=hunt.wrong,
            counterexample=hunt.counterexample,
            kept=hunt.kept,
            failed=proof.failed or hunt.failed,
        )

    def _witness(self, source: str) -> Callable[[], RunnerSession]:
        return lambda: self.start("witness", source, self.problem.limits)

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

    def _interpreted(self, plan: Plan, constants: tuple[float, ...] | None, many: bool) -> Interpreted:
        """A session; where one plan is tried with many constants, what does not depend on them is kept."""
        if not many:
            return Interpreted(plan, constants)
        if self._bound is None or self._bound.plan is not plan:
            self._bound = Interpreted(plan, constants, bind=True)
        self._bound.constants = constants
        return self._bound

    def start(self, role: str, source: str, limits: Limits) -> RunnerSession:
        """Start a program. A runner has one live program at a time, so each role has a runner of its own, and another
        for programs that need Numba.
        """
        preload = zygote_for(source, self.problem.preload)
        runner = self._runners.get((role, preload))
        if runner is None:
            runner = self._runners[role, preload] = Runner(preload=preload, unsafe=self.unsafe)
        return runner.start(source, self.problem.entry, limits, timed=self.timing is not None)

    def _failed(self, job: Job, failure: Failure) -> Judged:
        evaluation = Evaluation("", Status(failure.status), failure.message)
        return Judged(job.source, evaluation, traceback=failure.traceback)

    def _run(self, job: Job, session: Session, source: str | None = None) -> Judged:
        """Score a running program; `source` is that of a jailed one, which could keep a state of its own."""
        try:
            scored = self.scorer.run(
                session, self._cases(job), job.round, job.quick, self._witness(source) if source else None
            )
        except (Stopped, Failure) as fault:
            scored = _fault(fault)
        return self._judged(job, session, scored)

    @staticmethod
    def _judged(job: Job, session: Session, scored: Scored) -> Judged:
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


def _fault(fault: Stopped | Failure) -> Scored:
    return Scored(Status(fault.status), fault.message, traceback=fault.traceback)


def make_judge(path: str, factory: str, parameters: Mapping[str, Any], unsafe: bool) -> Judge:
    """What a supervisor calls to make its judge."""
    return Judge(factory_of(Path(path), factory)(**parameters), unsafe)


def patience(problem: Problem) -> float:
    """Wall seconds after which a silent judge is taken for stuck: in compiled code, no alarm interrupts it.

    Five times the longest that one evaluation may take, so that a tuner's many short ones never look stuck.
    """
    cases = max(len(suite) for suite in (problem.cases, *problem.unseen.values())) * problem.repeats
    limits = problem.limits
    longest = limits.setup_seconds + cases * (limits.seconds + 2.0 * problem.score_seconds)
    # The longest race is a confirmation's, in which both contestants may use up their CPU seconds.
    race = 2.0 * limits_of(problem, ConfirmOrder(0).looks[-1]).cpu_seconds if problem.speed else 0.0
    return 60.0 + 5.0 * longest + race


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
            hard_seconds=patience(problem),
        )

    async def __aenter__(self) -> "Evaluator":
        await self.pool.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.pool.close()

    async def evaluate(self, job: Job) -> Judged:
        """Judge one program; jobs handed over in one turn of the event loop travel together.

        A program that takes its judge down, or never lets it go, has failed: that is a status.

        Raises:
            JudgeError: the judge itself failed.
        """
        try:
            judged: Judged = await self.pool.submit(job)
        except SupervisorLost as lost:
            return _failed(job, Status.DIED, f"two supervisors died of this program: {lost}")
        except JudgeStuck as stuck:
            why = f"the problem's own functions got stuck on the answer: {stuck}"
            return _failed(job, Status.UNSCORABLE, why)
        return judged


def _failed(job: Job, status: Status, message: str) -> Judged:
    told = {"cases": f"{status}: {message}"}
    confirmation = None if job.confirm is None else Confirmation(job.confirm.seed, None, told)
    return Judged(job.source, Evaluation("", status, message), confirmation=confirmation)
