"""Confirms what a search for speed found: many pairs on inputs that nobody has seen, and a hunt for a wrong answer.

The best of many noisy figures is a lucky one; this is measured once, after the search, and selects nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evolve.fastcore.race import Result, Rules
from evolve.fastcore.runner import Failure
from evolve.fastcore.runner import Session as Jailed
from evolve.hunting import Hunt
from evolve.programs_db.records import Status
from evolve.scoring import Scored, Stopped
from evolve.timing import Timing

__all__ = ["ConfirmOrder", "Confirmation", "confirm"]


@dataclass(frozen=True, slots=True)
class ConfirmOrder:
    """Ask for a confirmation: many pairs on inputs that nobody has seen, and a hunt for wrong answers.

    Args:
        seed: of the inputs, drawn when the search is over, and recorded.
        pairs: least number of pairs; half as many again where nothing is decided by then.
        examples: how many cases to draw afresh from the problem's strategy; what fails is shrunk.
    """

    seed: int
    pairs: int = 200
    examples: int = 200

    @property
    def looks(self) -> tuple[int, int, int]:
        """Numbers of pairs after which it may stop."""
        return self.pairs, self.pairs * 5 // 4, self.pairs * 3 // 2


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a confirmation found; plain data.

    Args:
        seed: of its inputs.
        result: ratio, interval, pairs and so on; None where the program was wrong.
        wrong: for each kind of case on which it failed ("cases", "strategy", a suite's name), how.
        counterexample: the simplest inputs that it answers wrong, if the strategy gave any.
        failed: why nothing was established: the problem's own functions or baseline failed.
    """

    seed: int
    result: Mapping[str, Any] | None
    wrong: Mapping[str, str]
    counterexample: str = ""
    failed: str = ""

    @property
    def confirmed(self) -> bool:
        """Whether it is right on everything and faster than the baseline."""
        return (
            not self.wrong
            and not self.failed
            and self.result is not None
            and self.result["verdict"] == "faster"
        )

    def as_dict(self) -> dict[str, Any]:
        """As in a run's document."""
        told = {"confirmed": self.confirmed, "seed": self.seed, **(self.result or {})}
        if self.wrong:
            told["wrong"] = dict(self.wrong)
        if self.failed:
            told["failed"] = self.failed
        if self.counterexample:
            told["counterexample"] = self.counterexample
        return told


def confirm(timing: Timing, session: Jailed, source: str, order: ConfirmOrder) -> tuple[Scored, Confirmation]:
    """Check and race a program more thoroughly than a search can; every way in which it is wrong is kept.

    Args:
        timing: of the problem.
        session: the running program.
        source: its text.
        order: how thoroughly.
    """
    problem = timing.problem
    hunt = Hunt(problem, lambda: timing.start("program", source, problem.limits), timing.answer)
    figures: dict[str, Any] | None = None
    with timing.scorer.watching():
        scored = Scored(Status.REJECTED)
        try:
            scores, compiling = timing.all_right(session)
            result = timing.race(session, (2, order.seed), Rules(looks=order.looks), order.seed)
            scored = timing.scored(session, result, scores, compiling)
            figures = _figures(timing, result)
        except (Stopped, Failure) as fault:
            scored = Scored(Status(fault.status), fault.message, traceback=fault.traceback)
            hunt.note("cases", fault)
        session.finish()  # its place is needed
        if not hunt.failed:
            hunt.suites()
            if order.examples:
                hunt.strategy(order.examples, order.seed)
    if hunt.wrong and scored.status is Status.OK:
        kind, why = next(iter(hunt.wrong.items()))
        scored = Scored(Status.REJECTED, f"{kind}: {why}")
    return scored, Confirmation(order.seed, figures, hunt.wrong, hunt.counterexample, hunt.failed)


def _figures(timing: Timing, result: Result) -> dict[str, Any]:
    return {
        "baseline": timing.baseline,
        "speedup": float(result.speedup),
        "low": float(result.low),
        "high": float(result.high) if math.isfinite(result.high) else None,  # so few pairs say nothing
        "pairs": int(result.pairs),
        "verdict": _verdict(result),
        "wall_speedup": float(result.wall_speedup),
        "flagged": bool(result.flagged),
        "cases": {
            name: float(ratio) for name, ratio in zip(timing.batches.names, result.per_case, strict=True)
        },
    }


def _verdict(result: Result) -> str:
    """In a document's words: a race that was given up before its first look has told nothing."""
    if result.verdict != "undecided":
        return result.verdict
    return "no difference" if math.isfinite(result.high) else "too few pairs"
