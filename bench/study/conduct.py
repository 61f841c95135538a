"""One session of a study: what is missing is said, priced and run, then everything is written down.

Puts the rooms together. What a task is is `job`'s, what is said of results is `claims`'s and `page`'s.
"""

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from evolve.bench.study.against import Other, held_against
from evolve.bench.study.claims import too_few
from evolve.bench.study.cost import Estimate, spans, trials_for
from evolve.bench.study.engine import engine_of
from evolve.bench.study.page import page
from evolve.bench.study.places import Places, mark
from evolve.bench.study.plan import Plan
from evolve.bench.study.plots import UNITS, curves, drawable
from evolve.bench.study.results import FORMAT, Runs, results_of
from evolve.bench.study.trials import Interrupted, Trials, missing
from evolve.mutators.simulated import SIMULATED
from evolve.terminal import err, number

__all__ = ["Conduct", "conduct", "duration"]

_LINE_SECONDS = 15.0


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
            _say(
                f"interrupted with {left} runs to do; the same command goes on, and repeats none that is done"
            )
            return None
        document, runs = results_of(plan, places, identity)
        _write(plan, places, (document, runs), other)
    return document


def _identity(plan: Plan) -> dict[str, Any]:
    marks = {one.label: mark(one.load()) for one in plan.problems}
    return {"format": FORMAT, "plan": plan.as_dict(), "engine": engine_of(), "fingerprints": marks}


def _searched(plan: Plan, places: Places, how: Conduct) -> bool:
    """Do the tasks that are missing; False where nobody wants to."""
    tasks = missing(plan, places)
    if not tasks:
        _say("all runs of this study are done")
        return True
    todo = Counter(task["problem"] for task in tasks if task["do"] == "run")
    with Trials(plan, places, min(how.jobs, len(tasks)), how.unsafe) as trials:
        tried = _tried(plan, places, trials, tasks, how)
        if not _priced(plan, places, tried, todo, how):
            return False
        with _Watch(plan, tried, todo, how.jobs) as watch:
            trials.conduct(tasks, watch.done, watch.tick)
    return True


def plan_size(plan: Plan) -> int:
    """How many runs a study has."""
    return len(plan.problems) * len(plan.searching) * len(plan.seeds)


def _tried(
    plan: Plan, places: Places, trials: Trials, tasks: Sequence[dict[str, Any]], how: Conduct
) -> Estimate:
    """Say what is to be done, and try each problem for a moment."""
    tried: dict[str, Any] = dict(places.read(places.estimate) or {})

    def note(task: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        tried[task["problem"]] = {**answer, "unit": task["unit"]}
        places.write(places.estimate, tried)

    runs = sum(task["do"] == "run" for task in tasks)
    head = (
        f"{len(plan.problems)} problems x {len(plan.strategies)} strategies x {len(plan.seeds)} seeds, "
        f"{number(plan.amount)} {UNITS[plan.kind]} each: {runs} runs to do, {how.jobs} side by side"
    )
    _say(head + (f" ({SIMULATED})" if plan.simulated is not None else ""))
    few = too_few(len(plan.seeds), len(plan.compare) * len(plan.problems))
    if few:
        _say(f"warning: {few}")
    wanted = trials_for(plan, places, tasks)
    if wanted:
        _say(f"trying {len(wanted)} problems for a moment, to say what it will take")
        trials.conduct(wanted, note, lambda: None)
    return tried


def _priced(plan: Plan, places: Places, tried: Estimate, todo: Mapping[str, int], how: Conduct) -> bool:
    """Say what it will take, and ask where that was wanted."""
    found = spans(plan, tried, todo, how.jobs)
    if found["seconds"] is None:
        _say("what it takes is not known before it is tried: a model is asked")
    else:
        _say(
            f"it will take about {duration(found['seconds'])} and {found['bytes'] / 1e6:,.0f} MB in {places.folder}; "
            "it may be stopped at any time, and the same command goes on"
        )
    if how.ask and todo and (found["seconds"] is None or found["seconds"] > 60):
        err().print("begin? [y/N] ", end="")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            _say("nothing was begun")
            return False
    return True


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"


def _say(words: str) -> None:
    err().print(Text(words), soft_wrap=True)


@dataclass
class _Watch:
    """Progress: a bar on a terminal, else a line now and then.

    Args:
        plan: of the study.
        tried: answers of trials, by label.
        todo: runs that are left, by label.
        jobs: workers side by side.
    """

    plan: Plan
    tried: Estimate
    todo: Counter[str]
    jobs: int
    _took: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _latest: float = field(default_factory=time.monotonic)
    _before: int = 0
    _last: str = ""
    _bar: Progress | None = None

    @property
    def total(self) -> int:
        """Runs of the study."""
        return plan_size(self.plan)

    @property
    def count(self) -> int:
        """Those that are done."""
        return self.total - self.todo.total()

    def __enter__(self) -> "_Watch":
        self._before = self.count
        if err().is_terminal:
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=err())
            self._bar.start()
            self._bar.add_task("", total=self.total, completed=self.count)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def done(self, task: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """A task is done."""
        if task["do"] == "run":
            self.todo[task["problem"]] -= 1
            self._took[task["problem"]].append(answer["seconds"])
            self._last = (
                f"{task['problem']}, {task['strategy']}, seed {task['seed']}: {number(answer['value'])}"
            )
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self.count, description=self._line())

    def tick(self) -> None:
        """Time goes by."""
        now = time.monotonic()
        due = now - self._latest > _LINE_SECONDS or (self.count == self.total and self._before < self.count)
        if self._bar is None and due and self._last:
            self._latest, self._before = now, self.count
            _say(f"{self.count} of {self.total} runs; {self._line()}")

    def _line(self) -> str:
        took = [seconds for runs in self._took.values() for seconds in runs]
        if not took or self.count == self.total:
            return self._last
        known = self.tried.keys() | self._took.keys()
        told = {**self._took, **{label: took for label in self.todo if label not in known}}
        left = spans(self.plan, self.tried, +self.todo, self.jobs, told)["seconds"]
        return f"about {duration(left)} left; {self._last} ({fmean(took):.1f} s a run)"


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
        _say("no curves are drawn: matplotlib is missing (pip install 'evolve-engine[bench]')")
    against = () if other is None else held_against(document, other).sentences
    places.write_text(places.page, page(document, plots, against))
