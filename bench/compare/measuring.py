"""The judge that measures: asks programs whether they are right, then runs contender and reference side by side.

Lives in a supervisor, as the evaluator's judge does, and stands on it: how programs are confined, checked and raced is
its business. Knows no ledger, no statistics, and not what the others found.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolve.batches import Dealer
from evolve.bench.compare.orders import (
    Block,
    BlockOrder,
    CaseOrder,
    DrawOrder,
    Fault,
    GateOrder,
    Scores,
    derived,
    gate_stream,
)
from evolve.evaluator import Job, Judge, Judged
from evolve.fastcore.clock import cpu_and_wall
from evolve.fastcore.limits import Limits
from evolve.fastcore.race import Rules
from evolve.fastcore.runner import Failure, Session
from evolve.hunting import Hunt
from evolve.loader import factory_of
from evolve.programs_db.records import Status
from evolve.proving import Proof, VerifyOrder, fresh_cases
from evolve.scoring import Stopped, put_together
from evolve.speed import Speed
from evolve.statement import Case, Problem
from evolve.timing import Timing, limits_of

__all__ = ["Measurer", "make_measurer"]

RENEW = 10
"""Blocks after which programs are forked from new processes: what is constant in one, is not in all."""

_REFERENCE = "reference of this comparison"
_SWAPPED = {"program": "baseline", "baseline": "program"}

Order = GateOrder | BlockOrder | DrawOrder | CaseOrder


def make_measurer(
    origin: tuple[str, str, Mapping[str, Any]], seed_program: str, reference: str, unsafe: bool
) -> "Measurer":
    """What a supervisor calls to make its judge.

    Args:
        origin: path, factory and parameters of the problem.
        seed_program: of the run, which may have begun with another one than the file holds now.
        reference: text of whom all are compared with.
        unsafe: see `evaluator.Judge`.
    """
    path, factory, parameters = origin
    problem = replace(factory_of(Path(path), factory)(**parameters), block=seed_program)
    return Measurer(problem, reference, unsafe)


class Measurer:
    """Measures programs of one problem against one reference.

    Args:
        problem: the problem.
        reference: text of whom all are compared with.
        unsafe: see `evaluator.Judge`.
    """

    def __init__(self, problem: Problem, reference: str, unsafe: bool = False) -> None:
        speed = problem.speed
        if speed is not None:  # whatever programs were raced against in the search
            problem = replace(
                problem,
                objective=Speed(_REFERENCE, speed.name, speed.unit),
                baselines={_REFERENCE: reference},
            )
        self.problem = problem
        self.reference = reference
        self._judge = Judge(problem, unsafe)
        self._swapped = False
        self._blocks = 0
        self._timing = Timing(problem, self._judge.scorer, self._start) if problem.speed else None

    def close(self) -> None:
        """End the processes that programs are forked from."""
        self._judge.close()

    def judge(self, order: Order) -> Fault | Block | Scores | None:
        """Do what is asked; None for a program that is right. Never raises for anything that a program does."""
        try:
            if isinstance(order, GateOrder):
                return self._gate(order) if self._timing is None else self._timed_gate(self._timing, order)
            self._take_places(order.swapped)
            if isinstance(order, BlockOrder):
                assert self._timing is not None
                return self._raced(self._timing, order)
            return self._scored(order)
        except (Stopped, Failure) as fault:
            return Fault(f"{fault.status}: {fault.message}")

    def _start(self, role: str, source: str, limits: Limits) -> Session:
        return self._judge.start(_SWAPPED.get(role, role) if self._swapped else role, source, limits)

    def _take_places(self, swapped: bool) -> None:
        if self._blocks % RENEW == RENEW - 1:
            self._judge.close()
        self._blocks += 1
        self._swapped = swapped

    # -- right or wrong --------------------------------------------------------------------------------------

    def _timed_gate(self, timing: Timing, order: GateOrder) -> Fault | None:
        """Where speed is sought: training and unseen cases, fresh batches, and a hunt for a counter-example."""
        with self._start("program", order.source, self.problem.limits) as session, timing.scorer.watching():
            timing.all_right(session)
            with Dealer(timing.batches, gate_stream(order.seed)) as dealer:
                for _ in range(order.draws):
                    for number, body in enumerate(dealer.deal()):
                        session.begin_case()
                        answer = session.decode(session.ask(body))
                        timing.scorer.check(answer, dealer.cases[number])
        hunt = Hunt(
            self.problem,
            lambda: self._start("program", order.source, self.problem.limits),
            timing.answer,
        )
        with timing.scorer.watching():
            hunt.suites()
            if order.examples:
                hunt.strategy(order.examples, derived("gate", order.seed, 0))
        return _told(hunt.wrong, hunt.failed, hunt.counterexample)

    def _gate(self, order: GateOrder) -> Fault | None:
        """Where `score` gives the objective: jailed, on fresh draws and unseen suites, certified where it can be."""
        problem = self.problem
        hunted = VerifyOrder(None, False, order.examples, derived("gate", order.seed, 0))
        jobs = [Job(order.source, verify=hunted)]
        jobs += [Job(order.source, suite, verify=VerifyOrder(prove=True)) for suite in problem.unseen]
        if problem.fresh is not None:
            seeds = [derived("gate", order.seed, 1 + draw) for draw in range(order.draws)]
            jobs += [Job(order.source, verify=VerifyOrder(seed, True)) for seed in seeds]
        for job in jobs:
            fault = _fault(self._judge.judge(job), job)
            if fault is not None:
                return fault
        return None

    # -- speed -----------------------------------------------------------------------------------------------

    def _raced(self, timing: Timing, order: BlockOrder) -> Block:
        """One block: two processes that did not exist before, warmed up, then timed round by round."""
        limits = limits_of(self.problem, order.rounds)
        rules = Rules(looks=(order.rounds,), stop_when_decided=False)
        with self._start("program", order.source, limits) as session, timing.scorer.watching():
            result = timing.race(session, order.stream, rules, _number(order.stream))
        return Block(timing.batches.names, result.seconds, float(result.disagreement), bool(result.flagged))

    # -- objective -------------------------------------------------------------------------------------------

    def _scored(self, order: DrawOrder | CaseOrder) -> Scores:
        cases: Sequence[Case]
        if isinstance(order, DrawOrder):
            cases = fresh_cases(self._judge.scorer, order.seed)
        else:
            cases = self.problem.unseen[order.suite]
        texts = {"program": order.source, "baseline": self.reference}
        with ExitStack() as stack:
            roles = list(texts)[:: -1 if order.swapped else 1]  # who is started first is not always the same
            started = {
                role: stack.enter_context(self._start(role, texts[role], self.problem.limits))
                for role in roles
            }
            stack.enter_context(self._judge.scorer.watching())
            both = started["program"], started["baseline"]
            numbers, seconds = self._side_by_side(both, cases, order.rounds)
        if isinstance(order, DrawOrder):
            name = self.problem.objective.name
            values = [put_together(self.problem, name, scores) for scores in numbers]
            return Scores(np.array([values]), seconds.sum(axis=0, keepdims=True))
        return Scores(np.array(list(self._by_case(numbers, cases))), seconds)

    def _by_case(
        self, numbers: Sequence[Mapping[str, Mapping[str, float]]], cases: Sequence[Case]
    ) -> Iterator[list[float]]:
        """Objective of both on each case; repeats of a case are put together."""
        name = self.problem.objective.name
        for case in cases:
            names = [one.name for one in self._judge.scorer.repeated(case)]
            yield [
                put_together(self.problem, name, {each: scores[each] for each in names}) for scores in numbers
            ]

    def _side_by_side(
        self, sessions: tuple[Session, Session], cases: Sequence[Case], rounds: int
    ) -> tuple[tuple[dict[str, Mapping[str, float]], ...], NDArray[np.float64]]:
        """Ask both each case, then time them on it.

        Returns:
            Numbers of `score` by case, of both; CPU seconds, f8, shape (cases, 2).
        """
        rng = random.Random()  # the order decides nothing but what is in the caches
        scorer = self._judge.scorer
        found: tuple[dict[str, Mapping[str, float]], ...] = ({}, {})
        seconds = np.zeros((len(cases), 2))
        for side in rng.sample((0, 1), 2):
            sessions[side].ready()
        for side in (0, 1, 1, 0):  # the first calls of a process pay for what no other does
            scorer.outcome(sessions[side], scorer.repeated(cases[0])[0], {}, self.problem.simulate)
        for place, case in enumerate(cases):
            for one in scorer.repeated(case):
                for side in rng.sample((0, 1), 2):
                    outcome = scorer.outcome(sessions[side], one, {}, self.problem.simulate)
                    found[side][one.name] = scorer.score(outcome, one)
                seconds[place] += self._timed_case(sessions, one, rounds, rng)
        return found, seconds

    def _timed_case(
        self, sessions: tuple[Session, Session], case: Case, rounds: int, rng: random.Random
    ) -> NDArray[np.float64]:
        """CPU seconds of both on a case, medians over rounds, in random order within each."""
        # Where it takes a simulation to ask, one round must do: its decisions are many anyway.
        simulate = self.problem.simulate if self.problem.form == "step" else _nothing
        spent = np.zeros((1 if self.problem.form == "step" else rounds, 2))
        for times in spent:
            for side in rng.sample((0, 1), 2):
                before = _cpu(sessions[side])
                self._judge.scorer.outcome(sessions[side], case, {}, simulate)
                times[side] = max(0.0, _cpu(sessions[side]) - before)
        middle: NDArray[np.float64] = np.median(spent, axis=0)
        return middle


def _nothing(table: object, case: Case) -> None:
    """In place of the simulation, where only the making of a table is timed."""


def _number(stream: tuple[int, ...]) -> int:
    """Of the order within pairs, and the core: another one in each block."""
    return int(np.random.SeedSequence(stream).generate_state(1)[0])


def _cpu(session: Session) -> float:
    """CPU seconds of a program so far; 0 where what it was forked from has just died, as the next call will see."""
    try:
        return cpu_and_wall(session.pid)[0]
    except ProcessLookupError:
        return 0.0


def _fault(judged: Judged, job: Job) -> Fault | None:
    """What speaks against a program that was verified on cases."""
    evaluation, proof = judged.evaluation, judged.proof or Proof()
    where = "training cases" if not job.suite else f"unseen {job.suite}"
    if job.verify is not None and job.verify.fresh is not None:
        where = "fresh cases"
    if evaluation.status is not Status.OK:
        return Fault(f"{where}: {evaluation.status}: {evaluation.message}")
    for case, certificate in proof.certificates.items():
        if not certificate.valid:
            return Fault(f"{where}: the certificate of case {case} does not hold: {certificate.statement}")
    for case, why in proof.plain.items():
        if why:
            return Fault(f"{where}: simulated plainly, case {case}: {why}")
    return _told(proof.wrong, proof.failed, proof.counterexample)


def _told(wrong: Mapping[str, str], failed: str, counterexample: str) -> Fault | None:
    if wrong:
        kind, why = next(iter(wrong.items()))
        return Fault(
            f"{kind}: {why}" + (f"; the smallest such case: {counterexample}" if counterexample else "")
        )
    return Fault(f"it could not be checked: {failed}") if failed else None
