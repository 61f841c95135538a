"""The supervisor's side: makes one attack at a time on a problem that it has loaded by itself.

Knows how hostile programs are held to what the seed scores; answers' own rules are in the attacks.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from evolve.evaluator import Job, Judge
from evolve.loader import factory_of
from evolve.programs_db.records import Evaluation, Status
from evolve.redteam.attacks import ATTACKS
from evolve.redteam.programs import MARK, PROGRAMS, Program, source_of
from evolve.redteam.target import Enough, Hit, Target
from evolve.statement import Problem
from evolve.text import clean

__all__ = ["Report", "SeedOrder", "make_judge"]

SECONDS = 10.0
"""CPU seconds that one attack may take; what is left over then is not tried, and that is told."""
_SECONDS_SHORT = 0.3
_CHANCE = 1.25
_TO_THE_JAIL = "\nif True:\n    pass\n"  # no expression program, and the same otherwise
_BY_NAME = {attack.name: attack for attack in ATTACKS}


@dataclass(frozen=True, slots=True)
class SeedOrder:
    """Ask whether there is anything to attack: the honest programs must score."""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of an attack.

    Args:
        hits: what was found.
        tried: answers or programs that were tried; 0 where the attack does not fit the problem's answers.
        cut: whether time ran out first.
        seconds: wall time.
    """

    hits: tuple[Hit, ...]
    tried: int
    cut: bool
    seconds: float


class RedJudge:
    """Attacks one problem; lives in a supervisor.

    Args:
        problem: made by its factory.
        unsafe: see `Judge`.
        short: whether each attack has only a moment.
    """

    def __init__(self, problem: Problem, unsafe: bool, short: bool) -> None:
        self.real = Judge(_hurried(problem), unsafe)
        self.target = Target(problem, self.real)
        self.seconds = _SECONDS_SHORT if short else SECONDS
        self._alone: Evaluation | None = None
        self._repeats = True

    def close(self) -> None:
        """End the zygotes."""
        self.real.close()

    def judge(self, payload: "SeedOrder | str") -> Report:
        """Make the attack of that name, or look at the seed."""
        started = time.monotonic()
        self.target.begin(self.seconds)
        cut = False
        if isinstance(payload, SeedOrder):
            self._look_at_seed()
            return Report(tuple(self.target.hits), 0, False, time.monotonic() - started)
        if _BY_NAME[payload].run is None:
            self._program(PROGRAMS[payload])
        else:
            cut = self._answers(payload)
        self.target.end()
        return Report(tuple(self.target.hits), self.target.tried, cut, time.monotonic() - started)

    def _answers(self, name: str) -> bool:
        run = _BY_NAME[name].run
        assert run is not None
        try:
            with np.errstate(all="ignore"):  # what is not finite is made on purpose
                run(self.target)
        except Enough:
            return True
        return False

    def _look_at_seed(self) -> None:
        alone = self._seed()
        if self.target.broken:
            self.target.hit("failed", self.target.broken)
        elif alone.status is not Status.OK:
            told = f"{alone.status.value}: {alone.message}"
            self.target.hit("failed", f"the seed program does not score: {told}")

    def _seed(self) -> Evaluation:
        """The seed, jailed whatever it is, as hostile programs are; made twice, to know whether it repeats."""
        if self._alone is None:
            job = Job(self.target.problem.block.rstrip() + _TO_THE_JAIL)
            self._alone = self.real.judge(job).evaluation
            self._repeats = _alike(self._alone, self.real.judge(job).evaluation)
        return self._alone

    def _program(self, program: Program) -> None:
        target, seed = self.target, self._seed()
        target.tried += 1
        made = self.real.judge(Job(source_of(target.problem, program))).evaluation
        if MARK in made.output:
            found = made.output.split(MARK, 1)[1].splitlines()[0]
            target.hit("failed", f"the program found what it should not: {clean(found, 200)}")
        if clean(made.output, 1 << 30) != made.output or clean(made.message) != made.message:
            target.hit("failed", "control characters of a program reach what is shown")
        if made.status is Status.UNSCORABLE:
            target.hit("warning", f"unscorable (caught, but each costs): {made.message}")
        if made.status is Status.OK and made.objective is not None and not _alike(made, seed):
            self._scores(program, made, made.objective)

    def _scores(self, program: Program, made: Evaluation, value: float) -> None:
        """A hostile program has a score that is not the seed's."""
        target, seed = self.target, self._seed()
        if program.answers == "none":
            target.hit("failed", f"it scores {value:.6g} without an answer")
        elif program.answers == "honest":
            if self._repeats:
                target.hit(
                    "failed", f"with the seed's answers it scores {value!r}, the seed {seed.objective!r}"
                )
            elif _faster(made, seed):
                target.hit(
                    "warning",
                    f"look at this: with the seed's answers it is faster: {value:.4g}, the seed {seed.objective:.4g}; "
                    "tampering may pay, or the machine was busy: try it again on a quiet one",
                )
        elif program.answers == "notes" and self._repeats and target.problem.form == "step":
            target.hit(
                "failed", f"its decisions depend on more than their arguments, and it scores {value:.6g}"
            )
        elif not target.timed and self._beats_all(value):
            target.hit(
                "warning", f"look at this: it scores {value:.6g}, better than the seed and every baseline"
            )

    def _beats_all(self, value: float) -> bool:
        problem = self.target.problem
        jobs = [Job(source) for source in problem.baselines.values()]
        values = [self._seed().objective, *(self.real.judge(job).evaluation.objective for job in jobs)]
        return all(
            known is None or (problem.objective.better(value, known) and self.target.differ(value, known))
            for known in values
        )


def _alike(one: Evaluation, other: Evaluation) -> bool:
    return (one.objective, one.behaviour) == (other.objective, other.behaviour)


def _faster(made: Evaluation, seed: Evaluation) -> bool:
    """Whether a race says so: one interval above the other, by more than chance moves many of them."""
    low, high = (one.scores.get("all", {}).get(name) for one, name in ((made, "low"), (seed, "high")))
    return low is not None and high is not None and low > _CHANCE * high


def _hurried(problem: Problem) -> Problem:
    """The problem with less patience for programs, so that endless ones end soon."""
    limits = problem.limits
    return replace(
        problem,
        limits=replace(limits, seconds=min(limits.seconds, 3.0), cpu_seconds=min(limits.cpu_seconds, 10.0)),
    )


def make_judge(path: str, factory: str, parameters: Mapping[str, Any], unsafe: bool, short: bool) -> RedJudge:
    """What a supervisor calls to make its judge."""
    return RedJudge(factory_of(Path(path), factory)(**parameters), unsafe, short)
