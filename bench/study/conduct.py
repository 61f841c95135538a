"""One session of a study: what is missing is said, priced and run, then everything is written down.

Puts the rooms together. What a task is is `job`'s, what is said of results is `claims`'s and `page`'s.
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolve.bench.study.against import Other, held_against
from evolve.bench.study.claims import too_few
from evolve.bench.study.cost import Estimate, known_trials, spans, trials_for
from evolve.bench.study.engine import engine_of
from evolve.bench.study.outcomes import lacks
from evolve.bench.study.page import page
from evolve.bench.study.places import Places, mark
from evolve.bench.study.plan import Plan
from evolve.bench.study.plots import curves, drawable, said
from evolve.bench.study.results import FORMAT, Runs, results_of
from evolve.bench.study.trials import Interrupted, Trials, missing
from evolve.bench.study.watch import Watch, duration, say
from evolve.errors import UsageError
from evolve.mutators.simulated import SIMULATED
from evolve.terminal import err
from evolve.text import plural

__all__ = ["Conduct", "conduct"]


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a study is run; nothing here changes what comes of it, as long as no clock is its budget.

    Args:
        folder: where everything is kept.
        jobs: runs side by side.
        unsafe: run programs without a jail.
        ask: ask before a long one begins.
    """

    folder: Path
    jobs: int
    unsafe: bool = False
    ask: bool = False


def conduct(plan: Plan, how: Conduct, other: Other | None = None) -> dict[str, Any] | None:
    """Run what is missing of a study, and write it down.

    Args:
        plan: what is asked.
        how: with what.
        other: another study that this one is to be held against.

    Returns:
        The document; None where it was interrupted, or not begun.

    Raises:
        UsageError: the folder is about something else, or the other study cannot be compared.
        ProblemError, InfrastructureError: as a run.
    """
    identity = _identity(plan)
    if other is not None:
        other.expect(identity)
    places = Places(how.folder)
    with places.held():
        places.expect(identity)
        try:
            if not _searched(plan, places, how):
                return None
        except Interrupted:
            left = sum(task["do"] == "run" for task in missing(plan, places))
            say(
                f"interrupted with {plural(left, 'run')} to do; the same command goes on, and repeats none that is done"
            )
            return None
        document, runs = results_of(plan, places, identity)
        _write(plan, places, (document, runs), other)
    return document


def _identity(plan: Plan) -> dict[str, Any]:
    problems = {one.label: one.load() for one in plan.problems}
    for label, problem in problems.items():
        if lacks(problem, plan.outcome, plan.draws):
            raise UsageError(
                f"study: {label} has no cases for outcome {plan.outcome!r}; judge by final or area, or leave it out"
            )
    marks = {label: mark(problem) for label, problem in problems.items()}
    return {"format": FORMAT, "plan": plan.as_dict(), "engine": engine_of(), "fingerprints": marks}


def _searched(plan: Plan, places: Places, how: Conduct) -> bool:
    """Do the tasks that are missing; False where nobody wants to."""
    tasks = missing(plan, places)
    if not tasks:
        say("all runs of this study are done")
        return True
    todo = Counter(task["problem"] for task in tasks if task["do"] == "run")
    _announce(plan, todo.total(), how.jobs)
    with Trials(plan, places, min(how.jobs, len(tasks)), how.unsafe) as trials:
        tried = _tried(plan, places, trials, tasks)
        if not _priced(plan, places, tried, todo, how):
            return False
        with Watch(plan, plan_size(plan), tried, todo, trials.jobs) as watch:
            trials.conduct(tasks, watch.done, watch.tick)
    return True


def plan_size(plan: Plan) -> int:
    """How many runs a study has."""
    return len(plan.problems) * len(plan.searching) * len(plan.seeds)


def _announce(plan: Plan, runs: int, jobs: int) -> None:
    """Say what is to be done."""
    head = (
        f"{plural(len(plan.problems), 'problem')} x {plural(len(plan.strategies), 'strategy')} x "
        f"{plural(len(plan.seeds), 'seed')}, {said(plan.amount, plan.kind)} each: {plural(runs, 'run')} to do, "
        f"{jobs} side by side"
    )
    say(head + (f" ({SIMULATED})" if plan.simulated is not None else ""))
    few = too_few(len(plan.seeds), len(plan.compare) * len(plan.problems))
    if few:
        say(f"warning: {few}")


def _tried(plan: Plan, places: Places, trials: Trials, tasks: Sequence[dict[str, Any]]) -> Estimate:
    """What a moment of each problem took: of those that were tried before, and of the others now."""
    tried = known_trials(places)

    def note(task: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        tried[task["problem"]] = {**answer, "unit": task["unit"]}
        places.write(places.estimate, tried)

    wanted = trials_for(plan, tried, tasks)
    if wanted:
        say(f"trying {plural(len(wanted), 'problem')} for a moment, to say what it will take")
        trials.conduct(wanted, note, lambda _: None)
    return tried


def _priced(plan: Plan, places: Places, tried: Estimate, todo: Counter[str], how: Conduct) -> bool:
    """Say what it will take, and ask where that was wanted."""
    found = spans(plan, tried, todo, how.jobs)
    if found["seconds"] is None:
        say("what it takes is not known before it is tried: a model is asked")
    else:
        say(
            f"it will take about {duration(found['seconds'])} and {found['bytes'] / 1e6:,.0f} MB in {places.folder}; "
            "it may be stopped at any time, and the same command goes on"
        )
    if how.ask and todo and (found["seconds"] is None or found["seconds"] > 60):
        err().print("begin? [y/N] ", end="")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            say("nothing was begun")
            return False
    return True


def _write(plan: Plan, places: Places, made: tuple[dict[str, Any], Runs], other: Other | None) -> None:
    """The document, the curves and the page."""
    document, runs = made
    places.write(places.results, document)
    plots: dict[str, str] = {}
    if drawable():
        for label, told in document["problems"].items():
            mine = {strategy: by_seed for (where, strategy), by_seed in runs.items() if where == label}
            path = places.plot(label)
            places.write_text(path, curves(plan, label, told, mine))
            plots[label] = path.name
    else:
        say("no curves are drawn: matplotlib is missing (pip install 'evolve-engine[bench]')")
    against = () if other is None else held_against(document, other).sentences
    places.write_text(places.page, page(document, plots, against))
