"""How far a study is, and how long the rest will take: a bar on a terminal, else a line now and then.

Knows counts and clocks; runs nothing.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
from rich.table import Column
from rich.text import Text

from evolve.bench.study.cost import Estimate, spans
from evolve.bench.study.plan import Plan
from evolve.terminal import err, number
from evolve.text import clean

__all__ = ["Watch", "duration", "say"]

_LINE_SECONDS = 15.0
_BAR = 20
_WIDE = 100  # columns of a terminal that has room for a bar beside the words


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"


def say(words: str) -> None:
    """A line of progress."""
    err().print(Text(words), soft_wrap=True)


@dataclass
class Watch:
    """Progress of the runs of a study.

    Args:
        plan: of the study.
        total: runs of the study.
        tried: answers of trials, by label.
        todo: runs that are left, by label.
        jobs: workers side by side.
    """

    plan: Plan
    total: int
    tried: Estimate
    todo: Counter[str]
    jobs: int
    _took: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _latest: float = field(default_factory=time.monotonic)
    _before: int = 0
    _last: str = ""
    _bar: Progress | None = None

    @property
    def count(self) -> int:
        """Runs that are done."""
        return self.total - self.todo.total()

    def __enter__(self) -> "Watch":
        self._before = self.count
        console = err()
        if console.is_terminal:
            words = Column(no_wrap=True, overflow="ellipsis", ratio=1)
            columns: list[ProgressColumn] = [
                TextColumn("{task.description}", markup=False, table_column=words)
            ]
            if console.width >= _WIDE:
                columns.append(BarColumn(_BAR))
            self._bar = Progress(*columns, console=console, expand=True)
            self._bar.start()
            self._bar.add_task(self._line(()), total=self.total, completed=self.count)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def done(self, task: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """A task is done."""
        if task["do"] != "run":
            return
        self.todo[task["problem"]] -= 1
        if answer["whole"]:
            self._took[task["problem"]].append(answer["seconds"])
        self._last = f"{task['problem']}, {task['strategy']}, seed {task['seed']}: {number(answer['value'])}"

    def tick(self, in_hand: Sequence[tuple[str, float]]) -> None:
        """Time goes by.

        Args:
            in_hand: label and age in seconds of each run that is under way.
        """
        if self._bar is not None:
            self._bar.update(
                self._bar.task_ids[0], completed=self.count, description=clean(self._line(in_hand), 400)
            )
            return
        now = time.monotonic()
        due = now - self._latest > _LINE_SECONDS or (self.count == self.total and self._before < self.count)
        if due and self._last:
            self._latest, self._before = now, self.count
            say(self._line(in_hand))

    def _line(self, in_hand: Sequence[tuple[str, float]]) -> str:
        took = [seconds for runs in self._took.values() for seconds in runs]
        left = None if self.count == self.total else self._left(in_hand, took)
        words = [
            f"{self.count} of {self.total} runs",
            "" if left is None else f"about {duration(left)} left",
            self._last
            and self._last + (f" ({fmean(took):.1f} s a run)" if took and left is not None else ""),
        ]
        return "; ".join(filter(None, words))

    def _left(self, in_hand: Sequence[tuple[str, float]], took: list[float]) -> float | None:
        """Seconds; None where nothing tells them."""
        told: dict[str, list[float]] = dict(self._took)
        for label in self.todo:
            if label not in self.tried and not told.get(label):
                told[label] = took
        seconds: float | None = spans(self.plan, self.tried, +self.todo, self.jobs, (told, in_hand))[
            "seconds"
        ]
        return seconds
