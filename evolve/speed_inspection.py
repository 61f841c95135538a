"""Tries what only a problem that asks for speed can get wrong: batches too short to time, a baseline that is wrong,
a machine on which a program differs from itself.
"""

import time
from typing import Any, Literal

from evolve.batches import Batches
from evolve.evaluator import Judge
from evolve.fastcore.runner import Failure
from evolve.programs_db.records import Evaluation
from evolve.scoring import Stopped
from evolve.speed_telling import raced, ratio, spoken
from evolve.statement import Problem
from evolve.timing import RUNS

__all__ = ["Finding", "against_itself", "batch", "twice"]

Finding = tuple[str, Literal["ok", "advice", "warning", "failed"], str, dict[str, Any]]

_CASE_SECONDS = 0.001
_BATCH_SECONDS = 0.005
_AROUND_SECONDS = 0.5
_CARRIED = 0.25
"""Share of the baseline's time; what is on both bills hides a difference, and a program may do it by other means."""


def batch(problem: Problem, unsafe: bool) -> Finding:
    """Whether `fresh` and the baseline work, and whether their runs are long enough to be timed."""
    judge = Judge(problem, unsafe)
    try:
        assert judge.timing is not None
        began = time.monotonic()
        cost = judge.timing.cost()
        around = (time.monotonic() - began) / RUNS - sum(cost.values())
        carried = judge.timing.carrying() / sum(cost.values())
        same = _same_twice(judge.timing.batches)
    except (Stopped, Failure) as fault:
        return "batch", "failed", fault.message, {}
    finally:
        judge.close()
    if same:
        mend = "draw them with rng, or a program may remember its answers"
        sentence = f"fresh() gives the same inputs in every batch for {', '.join(same)}; {mend}"
        return "batch", "failed", sentence, {}
    total = sum(cost.values())
    told = ", ".join(f"{name} {1000 * seconds:.3g} ms" for name, seconds in cost.items())
    sentence = f"a batch of fresh() takes the baseline {1000 * total:.3g} ms of CPU ({told})"
    figures = {"batch_seconds": total, "case_seconds": cost, "carried": carried}
    short = [name for name, seconds in cost.items() if seconds < _CASE_SECONDS]
    if short:
        mend = "below 1 ms, the cost of a call hides a difference; make them larger"
        return "batch", "warning", f"{sentence}; {', '.join(short)}: {mend}", figures
    if around > _AROUND_SECONDS:
        mend = f"a race has up to 64 batches, and {2 * len(cost)} answers to check in each; make both quick"
        return (
            "batch",
            "warning",
            f"{sentence}; fresh() and score take {around:.2g} s a batch: {mend}",
            figures,
        )
    if carried > _CARRIED:
        mend = "its inputs are taken apart in the program's own process; give arrays for lists, or more to do"
        told = f"{sentence}; {carried:.0%} of that goes to a call that does nothing: {mend}"
        return "batch", "warning", told, figures
    if total < _BATCH_SECONDS:
        return "batch", "warning", f"{sentence}; make it 5 ms at least, by larger or more cases", figures
    return "batch", "ok", sentence, figures


def _same_twice(batches: Batches) -> list[str]:
    """Names of the cases whose inputs do not change from one batch to the next."""
    one, other = batches.draw((3,), 0), batches.draw((3,), 1)
    return [
        case.name
        for case, *bodies in zip(one.cases, one.bodies, other.bodies, strict=True)
        if len(set(bodies)) == 1
    ]


def against_itself(problem: Problem, evaluation: Evaluation) -> Finding:
    """What a race of the baseline against itself found; it is an `ok` evaluation."""
    found = raced(problem, evaluation)
    figures = {"value": evaluation.objective, "low": found["low"], "high": found["high"]}
    if found["verdict"] == "no difference":
        sentence = f"raced against itself the baseline shows {spoken(found)}"
        return "baseline", "ok", sentence, figures
    sentence = (
        f"raced against itself the baseline is called different ({ratio(found['speedup'])}): by chance one time in "
        "twenty, and else by noise of this machine or by runs that are too short; smaller gains mean nothing"
    )
    return "baseline", "warning", sentence, figures


def twice(problem: Problem, first: Evaluation, again: Evaluation) -> Finding:
    """Whether a program answers alike twice, and how far its two races lie apart; both are `ok`."""
    one, other = raced(problem, first), raced(problem, again)
    difference = other["speedup"] / one["speedup"] - 1
    figures = {"difference": difference}
    if first.behaviour != again.behaviour:
        sentence = "score gives other numbers for the same program: draw random numbers from a fixed seed"
        return "repeatable", "warning", sentence, figures
    sentence = f"two races of the same program differ by {100 * abs(difference):.2g} %"
    if one["low"] > other["high"] or other["low"] > one["high"]:
        return (
            "repeatable",
            "warning",
            f"{sentence}, more than their intervals say: this machine is not quiet",
            figures,
        )
    return "repeatable", "ok", sentence, figures
