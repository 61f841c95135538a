"""Supervisors, one per core, each with a judge: `Pool(judge, args, workers).submit(payload) -> Future`.

Knows processes, batches, deaths and one event loop; knows nothing of what a payload means. A supervisor that
dies is replaced, and what it left unanswered is tried once more, one at a time, so that the killer is known.
"""

import asyncio
import contextlib
import heapq
import pickle
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from evolve.fastcore.link import Job, Supervisor, import_folders
from evolve.fastcore.supervisor import BROKEN, DONE, READY

__all__ = ["JudgeError", "JudgeStartError", "JudgeStuck", "Pool", "SupervisorLost"]

_START_TRIES: Final = 3
_LIVES: Final = 2
_CLOSE_SECONDS: Final = 2.0


class JudgeError(Exception):
    """The judge raised on a payload; the message is its traceback."""


class JudgeStartError(RuntimeError):
    """A supervisor could not make its judge; the message ends with the judge's traceback."""


class JudgeStuck(Exception):  # noqa: N818 - a verdict on the payload
    """The judge took longer than `hard_seconds` on this payload, and its supervisor was killed."""


class SupervisorLost(Exception):  # noqa: N818 - a verdict on the payload
    """Two supervisors died while this payload was with them, the second time alone."""


class Pool:
    """Trusted judges in processes of their own, from one event loop."""

    def __init__(
        self,
        judge: str,
        args: tuple[Any, ...] = (),
        workers: int = 1,
        hard_seconds: float | None = None,
        paths: Sequence[str] = (),
    ) -> None:
        """Describe the pool; nothing starts before `start`.

        Args:
            judge: "module:callable"; `callable(*args)` is called in each supervisor and returns a `Judge`.
            args: plain picklable arguments.
            workers: number of supervisors.
            hard_seconds: wall seconds after which a judge that gives no sign on a payload is killed.
            paths: folders to import from, beyond those of this process that hold the judge's module.

        Raises:
            ValueError: the judge is not named so that another process can import it, or a number is not
                positive.
        """
        module, _, attribute = judge.partition(":")
        if not module or not attribute or module == "__main__":
            raise ValueError(
                f'pool: judge {judge!r}; name it "module:callable", in a module that can be imported'
            )
        if workers < 1 or (hard_seconds is not None and not hard_seconds > 0):
            raise ValueError(f"pool: workers={workers}, hard_seconds={hard_seconds}; both must be positive")
        self._greeting = pickle.dumps((judge, args))
        self._module = module
        self._workers = workers
        self._hard_seconds = hard_seconds
        self._paths = tuple(paths)
        self._supervisors: list[Supervisor] = []
        self._queue: deque[Job] = deque()
        self._flush_due = False
        self._watch: asyncio.TimerHandle | None = None
        self._next_ticket = 0
        self._start_failures = 0
        self._broken: JudgeStartError | None = None
        self._closed = False
        self._spent = 0.0
        self._started: asyncio.Future[None] | None = None
        self._folders: list[str] = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: object, error: object, trace: TracebackType | None) -> None:
        self.close()
        await asyncio.sleep(0)  # lets the loop drop its transports

    async def start(self) -> None:
        """Start the supervisors and wait until every judge is made.

        Raises:
            JudgeStartError: a judge could not be made; the pool is closed then.
            RuntimeError: it was started before.
        """
        if self._started is not None:
            raise RuntimeError("pool: it was started before; make another one")
        self._folders = [*self._paths, *import_folders(self._module)]
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.create_future()
        try:
            for _ in range(self._workers):
                await self._spawn()
            await self._started
        except BaseException:
            self.close()
            raise
        if self._hard_seconds is not None:
            self._look_at_clocks()

    def submit(self, payload: Any) -> "asyncio.Future[Any]":
        """Return a future for the judge's result; what is submitted in one tick of the loop travels together.

        To be called from the loop's thread.

        The future raises `JudgeError`, `JudgeStuck`, `SupervisorLost`, or `JudgeStartError` when a
        replacement cannot be started; it is cancelled when the pool is closed.

        Raises:
            RuntimeError: the pool is not started, or closed.
        """
        if self._broken is not None:
            raise self._broken
        if self._closed or self._started is None:
            raise RuntimeError("pool: not open; submit between start() and close()")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.append(Job(self._next_ticket, pickle.dumps(payload, 5), future))
        self._next_ticket += 1
        self._flush_soon()
        return future

    def drop(self) -> None:
        """Cancel what is unanswered; supervisors finish the payload in hand and take no other of them up."""
        self._settle(None)
        for supervisor in self._supervisors:
            supervisor.suspects.clear()
            supervisor.drop()

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of all supervisors, their zygotes and their programs, so far."""
        return self._spent + sum(supervisor.cpu_now() for supervisor in self._supervisors)

    def pids(self) -> list[int]:
        """Return the process numbers of the live supervisors."""
        return [supervisor.pid for supervisor in self._supervisors]

    def close(self) -> None:
        """End the supervisors, within 2 s each, and cancel what is unanswered; idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._watch is not None:
            self._watch.cancel()
        for supervisor in self._supervisors:
            supervisor.hang_up()
        self._settle(None)
        for supervisor in self._supervisors:
            supervisor.reap(_CLOSE_SECONDS)
            self._spent += supervisor.cpu_seconds
        self._supervisors.clear()

    # --- giving work out

    def _flush_soon(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        free = [
            supervisor for supervisor in self._supervisors if supervisor.ready and not supervisor.suspects
        ]
        if not free or self._closed:
            return  # a replacement is on its way, and flushes when it is ready
        batches: dict[Supervisor, list[Job]] = {supervisor: [] for supervisor in free}
        loads = [(len(supervisor.out), at) for at, supervisor in enumerate(free)]
        heapq.heapify(loads)
        while self._queue:
            load, at = loads[0]
            heapq.heapreplace(loads, (load + 1, at))
            batches[free[at]].append(self._queue.popleft())
        for supervisor, jobs in batches.items():
            if jobs:
                supervisor.give(jobs)

    def _try_suspect(self, supervisor: Supervisor) -> None:
        # One at a time, with nothing else out: should this supervisor die too, there is no doubt by what.
        # The job stays at the head of the suspects until it is answered, so that no other work joins it.
        if supervisor.suspects:
            supervisor.give([supervisor.suspects[0]])
        else:
            self._flush_soon()

    # --- taking answers in

    def _on_message(self, supervisor: Supervisor, message: tuple[str, Any]) -> None:
        what, content = message
        if what == READY:
            self._on_ready(supervisor)
        elif what == BROKEN:
            self._break(f"the judge could not be made in its supervisor:\n{content}")
        else:
            for ticket, kind, body in content:
                self._resolve(supervisor.out.pop(ticket).future, kind, body)
            if supervisor.suspects and not supervisor.out:
                supervisor.suspects.popleft()
                self._try_suspect(supervisor)

    def _on_ready(self, supervisor: Supervisor) -> None:
        supervisor.ready = True
        self._start_failures = 0
        all_ready = len(self._supervisors) == self._workers and all(each.ready for each in self._supervisors)
        if all_ready and self._started is not None:
            with contextlib.suppress(asyncio.InvalidStateError):  # see `_fail`
                self._started.set_result(None)
        self._try_suspect(supervisor)

    def _resolve(self, future: "asyncio.Future[Any]", kind: int, body: Any) -> None:
        if kind == DONE:
            result = pickle.loads(body)  # noqa: S301 - from our own supervisor
            with contextlib.suppress(asyncio.InvalidStateError):  # see `_fail`
                future.set_result(result)
        else:
            _fail(future, JudgeError(body))

    # --- deaths

    def _on_lost(self, supervisor: Supervisor) -> None:
        if self._closed:
            return
        self._spent += supervisor.cpu_seconds
        self._supervisors.remove(supervisor)
        if self._broken is not None:
            return
        suspects = self._suspects_of(supervisor)
        self._start_failures += not supervisor.ready
        if self._start_failures >= _START_TRIES:
            self._queue.extend(suspects)
            self._break(f"{_START_TRIES} supervisors in a row died before their judge was made")
            return
        self._spawning = self._loop.create_task(self._spawn(suspects))
        self._spawning.add_done_callback(self._on_spawned)

    def _on_spawned(self, spawning: "asyncio.Task[None]") -> None:
        error = None if spawning.cancelled() else spawning.exception()
        if error is not None:
            self._break(f"a supervisor could not be replaced: {error}")

    def _suspects_of(self, supervisor: Supervisor) -> "deque[Job]":
        jobs = list(supervisor.out.values())
        rest = [job for job in supervisor.suspects if job not in jobs]
        found: deque[Job] = deque()
        for job in jobs:
            job.deaths += 1
            if job.future.done():
                continue
            if supervisor.stuck and len(jobs) == 1:
                _fail(job.future, JudgeStuck(f"the judge took more than {self._hard_seconds} s"))
            elif job.deaths >= _LIVES:
                _fail(job.future, SupervisorLost(f"{_LIVES} supervisors died on this payload"))
            else:
                found.append(job)
        found.extend(rest)
        return found

    def _break(self, text: str) -> None:
        self._broken = JudgeStartError(text)
        if self._started is not None:
            _fail(self._started, self._broken)
        self._settle(self._broken)

    def _settle(self, error: Exception | None) -> None:
        """Resolve whatever is unanswered: with an error, or by cancelling."""
        jobs = [*self._queue]
        for supervisor in self._supervisors:
            jobs += [*supervisor.out.values(), *supervisor.suspects]
        self._queue.clear()
        for job in jobs:
            if error is None:
                job.future.cancel()
            else:
                _fail(job.future, error)

    async def _spawn(self, suspects: "deque[Job] | None" = None) -> None:
        supervisor = Supervisor(self._folders, self._on_message, self._on_lost, suspects=suspects or deque())
        self._supervisors.append(supervisor)
        await supervisor.start(self._greeting)

    def _look_at_clocks(self) -> None:
        assert self._hard_seconds is not None
        now = self._loop.time()
        for supervisor in self._supervisors:
            if supervisor.out and not supervisor.stuck and now - supervisor.since > self._hard_seconds:
                supervisor.stuck = True
                supervisor.kill()
        self._watch = self._loop.call_later(min(self._hard_seconds / 8, 0.25), self._look_at_clocks)


def _fail(future: "asyncio.Future[Any]", error: Exception) -> None:
    """Resolve with an error what is not resolved yet.

    Asking first would not do: whoever waits is cancelled by asyncio's handler of Ctrl-C, between any two steps here.
    """
    with contextlib.suppress(asyncio.InvalidStateError):
        future.set_exception(error)
