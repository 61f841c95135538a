"""What a study will take, from two short runs of each problem; said before it starts. Knows plans and trials."""

import os
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, Final

from evolve.bench.study.places import Places
from evolve.bench.study.plan import Plan

__all__ = ["Estimate", "known_trials", "spans", "trials_for"]

Estimate = Mapping[str, Any]

_SHORT, _LONG = 60, 240
_TRIAL_SECONDS: Final = 20.0
_TOLD: Final = frozenset(("lengths", "taken", "after", "bytes", "unit"))


def known_trials(places: Places) -> dict[str, Any]:
    """Answers of earlier trials, by label; what somebody else wrote there is none."""
    told = places.read(places.estimate) or {}
    return {label: one for label, one in told.items() if isinstance(one, dict) and one.keys() >= _TOLD}


def trials_for(plan: Plan, tried: Estimate, tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Trials of the problems that have runs to do and were not tried yet.

    None where a model is asked, which would cost.
    """
    if plan.llm:
        return []
    labels = dict.fromkeys(task["problem"] for task in tasks if task["do"] == "run")
    unit = "proposals" if plan.simulated is not None and plan.kind != "evaluations" else "evaluations"
    return [
        {
            "do": "trial",
            "problem": label,
            "lengths": _lengths(plan, unit),
            "unit": unit,
            "seconds": _TRIAL_SECONDS,
        }
        for label in labels
        if label not in tried
    ]


def _lengths(plan: Plan, unit: str) -> list[int]:
    most = _in(plan, unit)
    short = max(1, min(_SHORT, most // 8))
    return [short, max(short + 1, min(_LONG, most // 2))]


def _in(plan: Plan, unit: str) -> int:
    """The budget of a run, as a number of proposals or evaluations; CPU seconds are what they are."""
    if plan.simulated is not None and unit == "proposals":
        return int(plan.simulated.budget(plan.budget).proposals or 1)
    return int(plan.amount) if plan.kind in ("evaluations", "proposals") else _LONG


def spans(
    plan: Plan,
    tried: Estimate,
    todo: Mapping[str, int],
    jobs: int,
    seen: tuple[Mapping[str, Sequence[float]], Sequence[tuple[str, float]]] = ({}, ()),
) -> dict[str, Any]:
    """What runs will take.

    Args:
        plan: of the study.
        tried: answers of trials, by label.
        todo: how many runs, by label; those in hand are among them.
        jobs: workers side by side.
        seen: seconds of runs that have ended, by label, which tell more than a trial does; and label and age in
            seconds of each run in hand.

    Returns:
        `runs`, `seconds` (wall) and `bytes` of ledgers; seconds are None where neither a trial nor a run tells them,
        bytes where no trial does.
    """
    took, in_hand = seen
    runs = sum(todo.values())
    beside = min(jobs, max(1, runs))
    # More of them than cores get in each other's way: they search, and wait for nobody. A trial had a core for itself;
    # what runs took tells that already.
    crowd = beside / min(beside, len(os.sched_getaffinity(0)))
    alone = {label: _run(plan, tried[label]) for label in todo if label in tried}
    each = {label: seconds * crowd for label, (seconds, _) in alone.items()}
    each |= {label: fmean(took[label]) for label in todo if took.get(label)}
    seconds: float | None = None
    size: int | None = None
    if each.keys() == todo.keys():
        gone = sum(min(age, each[label]) for label, age in in_hand if label in each)
        seconds = (sum(count * each[label] for label, count in todo.items()) - gone) / beside
    if alone.keys() == todo.keys():
        size = round(sum(count * alone[label][1] for label, count in todo.items()))
    return {"runs": runs, "seconds": seconds, "bytes": size}


def _run(plan: Plan, trial: Mapping[str, Any]) -> tuple[float, float]:
    """Seconds and bytes of one run: a start, so much for each evaluation, and the end."""
    start, each = _line(trial["lengths"], trial["taken"])
    empty, more = _line(trial["lengths"], trial["bytes"])
    if plan.kind == "cpu_seconds":
        return start + plan.amount + trial["after"], empty + more * plan.amount / (each or 1.0)
    amount = _in(plan, trial["unit"])
    return start + each * amount + trial["after"], empty + more * amount


def _line(lengths: Sequence[int], costs: Sequence[float]) -> tuple[float, float]:
    """What a run costs whatever its length, and what each step costs."""
    each = max(0.0, (costs[1] - costs[0]) / max(1, lengths[1] - lengths[0]))
    return max(0.0, costs[0] - each * lengths[0]), each
