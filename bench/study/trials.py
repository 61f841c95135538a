"""Runs what a plan asks for and is not there yet: a queue of tasks for a few worker processes, problem by problem.

Knows processes, tasks and their ends. What a task does is `job`'s; where its result lies is `places`'s.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final, Self

from evolve.bench.study.places import Places
from evolve.bench.study.plan import Plan
from evolve.errors import InfrastructureError, UsageError
from evolve.fastcore.link import import_folders
from evolve.text import clean

__all__ = ["Done", "Interrupted", "Trials", "missing"]

Task = Mapping[str, Any]
Done = Callable[[Task, Mapping[str, Any]], None]
Tick = Callable[[Sequence[tuple[str, float]]], None]

_TRIES: Final = 2
_END_SECONDS: Final = 10.0
_TICK: Final = 0.5
_JOB: Final = "evolve.bench.study.job"


class Interrupted(Exception):  # noqa: N818 - what a human asked for
    """Ctrl-C, or a polite kill."""


def missing(plan: Plan, places: Places) -> list[dict[str, Any]]:
    """The tasks whose results are not there: a problem after the other, all strategies of a seed side by side."""
    tasks: list[dict[str, Any]] = []
    for asked in plan.problems:
        label = asked.label
        if not places.given(label).exists():
            tasks.append({"do": "given", "problem": label})
        tasks += [
            {"do": "run", "problem": label, "strategy": one.name, "seed": seed}
            for seed in plan.seeds
            for one in plan.searching
            if not places.outcome(label, one.name, seed).exists()
        ]
    return tasks


@dataclass
class _Worker:
    """A process and the task that it has in hand."""

    process: "subprocess.Popen[bytes]"
    inbox: IO[bytes]
    outbox: IO[bytes]
    task: dict[str, Any] | None = None
    since: float = 0.0
    problem: str = ""
    heard: bytes = b""


class Trials:
    """A few workers, kept until the end of this context; for the main thread: they die with the thread that made them.

    Args:
        plan: of the study.
        places: its folder.
        jobs: workers.
        unsafe: run programs without a jail.
    """

    def __init__(self, plan: Plan, places: Places, jobs: int, unsafe: bool = False) -> None:
        self.plan = plan
        self.places = places
        self.jobs = jobs
        self.unsafe = unsafe
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        self._queues: dict[str, deque[dict[str, Any]]] = {}
        self._tries: defaultdict[str, int] = defaultdict(int)

    def conduct(self, tasks: Iterable[dict[str, Any]], done: Done, tick: Tick) -> None:
        """Do all tasks.

        Args:
            tasks: see `job`.
            done: told of each task that is done, with its answer.
            tick: called now and then, with problem and age in seconds of each run in hand.

        Raises:
            Interrupted: by a signal; what was done stays done.
            EvolveError: a task cannot be done.
        """
        self._queues = {}
        for task in tasks:
            self._queues.setdefault(task["problem"], deque()).append(task)
        for worker in self._workers:
            self._give(worker)
        while len(self._workers) < self.jobs and any(self._queues.values()):
            self._hire()
        while any(worker.task for worker in self._workers):
            for key, _ in self._selector.select(_TICK):
                self._hear(key.data, done)
            now = time.monotonic()
            busy = [(one.task, now - one.since) for one in self._workers if one.task]
            tick([(task["problem"], age) for task, age in busy if task["do"] == "run"])

    def __enter__(self) -> Self:
        self._undo = contextlib.ExitStack()
        self._undo.callback(self._selector.close)
        self._undo.callback(self._dismiss)
        self._undo.enter_context(_signals())
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _hire(self) -> None:
        with self.places.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", _JOB, str(os.getpid())],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(_folders())},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is ours to handle
            )
        assert process.stdin is not None
        assert process.stdout is not None
        worker = _Worker(process, process.stdin, process.stdout)
        self._workers.append(worker)
        self._selector.register(worker.outbox, selectors.EVENT_READ, worker)
        start = {
            "plan": self.plan.as_given(),
            "home": ".",
            "folder": str(self.places.folder),
            "unsafe": self.unsafe,
        }
        self._say(worker, start)
        self._give(worker)

    def _say(self, worker: _Worker, told: Mapping[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # its end is heard
            worker.inbox.write(json.dumps(told).encode() + b"\n")
            worker.inbox.flush()

    def _give(self, worker: _Worker) -> None:
        """The next task: of the problem that the worker knows already, else of the one of which most is left."""
        left = [label for label, queue in self._queues.items() if queue]
        if not left:
            worker.task = None
            return
        busy = {one.problem for one in self._workers if one.task}
        if worker.problem not in left:
            worker.problem = max(left, key=lambda label: (label not in busy, len(self._queues[label])))
        worker.task, worker.since = self._queues[worker.problem].popleft(), time.monotonic()
        self._say(worker, worker.task)

    def _hear(self, worker: _Worker, done: Done) -> None:
        text = os.read(worker.outbox.fileno(), 1 << 16)
        if not text:
            self._lost(worker)
            return
        worker.heard += text
        while b"\n" in worker.heard:
            line, _, worker.heard = worker.heard.partition(b"\n")
            task, answer = worker.task, json.loads(line)
            assert task is not None
            if "failed" in answer:
                self._failed(task, answer["failed"], answer["code"], answer["again"])
            else:
                done(task, answer)
            self._give(worker)

    def _lost(self, worker: _Worker) -> None:
        """A worker has ended: what it had in hand is tried once more by another."""
        self._selector.unregister(worker.outbox)
        self._workers.remove(worker)
        worker.outbox.close()
        with contextlib.suppress(BrokenPipeError):
            worker.inbox.close()
        code = worker.process.wait()
        if worker.task is not None:
            self._failed(worker.task, f"its worker ended with {_ending(code)}", 3, again=True)
            self._hire()

    def _failed(self, task: dict[str, Any], why: str, code: int, again: bool) -> None:
        key = json.dumps(task, sort_keys=True)
        self._tries[key] += 1
        if again and self._tries[key] < _TRIES:
            self._queues[task["problem"]].appendleft(task)
            return
        told = f"{_name(task)}: {why}; {self.places.log} may say more"
        raise (UsageError if code == UsageError.exit_code else InfrastructureError)(told)

    def _dismiss(self) -> None:
        """End all workers; a run in hand ends after its commit and can be resumed."""
        for worker in self._workers:
            with contextlib.suppress(BrokenPipeError):
                worker.inbox.close()
            if worker.task is not None:
                worker.process.terminate()
        deadline = time.monotonic() + _END_SECONDS
        for worker in self._workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()
            worker.outbox.close()
        self._workers.clear()


def _folders() -> list[str]:
    """Where a worker looks for modules: not in the folder that it happens to be started in."""
    own = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    return list(dict.fromkeys([*import_folders(_JOB), *own]))


def _name(task: Task) -> str:
    words = [task["problem"], task.get("strategy", ""), f"seed {task['seed']}" if "seed" in task else ""]
    return clean(", ".join(word for word in words if word), 200)


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Ctrl-C and a polite kill raise `Interrupted`, once."""

    def interrupt(_number: int, _frame: object) -> None:
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.SIG_IGN)  # workers are being ended, which takes a moment
        raise Interrupted

    before = {one: signal.signal(one, interrupt) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
