"""The supervisor's side: makes one attack at a time on a problem that it has loaded by itself.

Knows how hostile programs are held to what the seed scores; answers' own rules are in the attacks.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evolve.evaluator import Job, Judge, Judged
from evolve.loader import factory_of
from evolve.programs_db.records import Status
from evolve.redteam.attacks import ATTACKS
from evolve.redteam.programs import MARK, PROGRAMS, Program, source_of
from evolve.redteam.target import Enough, Hit, Target
from evolve.statement import Problem
from evolve.text import clean

__all__ = ["Report", "SeedOrder", "make_judge"]

SECONDS = 10.0
"""Seconds that one attack may take; what is left over then is not tried, and that is told."""
_SECONDS_SHORT = 0.6
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
        self.judge_ = Judge(_hurried(problem), unsafe)
        self.target = Target(problem, self.judge_, short)
        self.seconds = _SECONDS_SHORT if short else SECONDS
        self._alone: Judged | None = None

    def close(self) -> None:
        """End the zygotes."""
        self.judge_.close()

    def judge(self, payload: "SeedOrder | str") -> Report:
        """Make the attack of that name, or look at the seed."""
        started = time.monotonic()
        self.target.begin(self.seconds)
        cut = False
        if isinstance(payload, SeedOrder):
            self._look_at_seed()
            return Report(tuple(self.target.hits), 0, False, time.monotonic() - started)
        if _BY_NAME[payload].run is None:
            self._program(payload, PROGRAMS[payload])
        else:
            cut = self._answers(payload)
        self.target.end()
        return Report(tuple(self.target.hits), self.target.tried, cut, time.monotonic() - started)

    def _answers(self, name: str) -> bool:
        run = _BY_NAME[name].run
        assert run is not None
        try:
            run(self.target)
        except Enough:
            return True
        return False

    def _look_at_seed(self) -> None:
        alone = self._seed().evaluation
        if self.target.broken:
            self.target.hit("failed", self.target.broken)
        elif alone.status is not Status.OK:
            told = f"{alone.status.value}: {alone.message}"
            self.target.hit("failed", f"the seed program does not score: {told}")

    def _seed(self) -> Judged:
        """The seed, jailed whatever it is, as hostile programs are."""
        if self._alone is None:
            block = self.target.problem.block.rstrip()
            self._alone = self.judge_.judge(Job(block + _TO_THE_JAIL))
        return self._alone

    def _program(self, name: str, program: Program) -> None:
        target, seed = self.target, self._seed().evaluation
        target.tried += 1
        made = self.judge_.judge(Job(source_of(target.problem, program))).evaluation
        if MARK in made.output:
            found = made.output.split(MARK, 1)[1].splitlines()[0]
            target.hit("failed", f"the program found what it should not: {clean(found, 200)}")
        if clean(made.output, 1 << 30) != made.output or clean(made.message) != made.message:
            target.hit("failed", "control characters of a program reach what is shown")
        if made.status is not Status.OK or made.objective is None or seed.objective is None:
            self._note(name, program, made.status, made.message)
            return
        same = made.objective == seed.objective and made.behaviour == seed.behaviour
        if program.answers == "none":
            target.hit("failed", f"it scores {made.objective:.6g} without an answer")
        elif program.answers == "honest" and not same:
            target.hit(
                "failed", f"with the seed's answers it scores {made.objective!r}, the seed {seed.objective!r}"
            )
        elif program.answers == "notes" and not same and target.problem.form == "step":
            target.hit(
                "failed",
                f"its decisions depend on more than their arguments, and it scores {made.objective:.6g}",
            )
        elif not same and self._beats_all(made.objective):
            target.hit(
                "warning",
                f"look at this: it scores {made.objective:.6g}, better than the seed and every baseline",
            )

    def _note(self, name: str, program: Program, status: Status, message: str) -> None:
        """A program that answers honestly should score; where it does not, it is only stopped."""
        if status is Status.UNSCORABLE:
            self.target.hit("warning", f"unscorable (caught, but each costs): {message}")
        elif program.answers == "honest" and name == "memo":
            self.target.hit(
                "warning", f"a program that remembers its answers ends as {status.value}: {message}"
            )

    def _beats_all(self, value: float) -> bool:
        problem = self.target.problem
        honest = [self._seed(), *(self.judge_.judge(Job(source)) for source in problem.baselines.values())]
        values = [one.evaluation.objective for one in honest]
        return all(
            known is None or (problem.objective.better(value, known) and self.target.differ(value, known))
            for known in values
        )


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
