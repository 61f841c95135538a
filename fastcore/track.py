"""Runs two live programs side by side on one core, batch after batch, and reads their clocks from outside.

Knows contestants that answer encoded questions; knows no rule of a race, no problem and no score. The clocks are the
kernel's, read by this process. Each case costs a contestant what its CPU clock has advanced since its last reading, so
whatever it does between two questions is on its bill as well.
"""

import contextlib
import os
import random
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from evolve.fastcore.clock import QueueClock, cpu_and_wall

__all__ = ["TICK", "Check", "Contestant", "Deal", "Lane", "Track"]

Deal = Callable[[], Sequence[Any]]
"""Returns a fresh batch of encoded inputs, one entry a case."""
Check = Callable[[str, int, bytes], None]
"""Called with "program" or "baseline", the number of the case, and the encoded answer."""

TICK: Final = 1e-9
"""Seconds of the least step of a clock: no cost is less."""
_WARM_UPS: Final = 8
_AGREEMENT: Final = 0.05


class Contestant(Protocol):
    """A live program in a process of its own; `runner.Session` is one. Two of them need two Runners."""

    @property
    def pid(self) -> int:
        """Number of its process."""

    @property
    def threads(self) -> int:
        """How many threads it may have; with more than one it is not pinned."""

    def ready(self) -> None:
        """Wait until it is set up, so that its set-up is on no bill."""

    def begin_case(self) -> None:
        """Give it its wall seconds afresh."""

    def ask(self, body: Any) -> bytes:
        """Make one call and return a copy of the encoded answer, looked at by nobody."""


class _RestartedError(Exception):
    """The contestant's process is another one: its zygote died, and its clock began anew."""


class Lane:
    """One contestant and its clocks; to be closed."""

    def __init__(self, name: str, contestant: Contestant) -> None:
        self.name = name
        self.contestant = contestant
        self.spent = 0.0
        self._queues: tuple[QueueClock, ...] = ()
        self.enter()

    def enter(self) -> None:
        """Start, or start again in a new process: nothing before this is on the bill."""
        self.close()
        self.contestant.ready()
        self.pid = self.contestant.pid
        self._queues = QueueClock(self.pid), QueueClock("thread-self")
        self._billed = cpu_and_wall(self.pid)[0]

    def ask(self, body: Any) -> tuple[bytes, tuple[float, float, float]]:
        """Return the answer, and what it cost: CPU since the last reading, CPU and wall of the call itself.

        The wall is without the time in which the program, or this thread, was ready to run but had no core.
        """
        self.contestant.begin_case()
        queued = self._queued()
        try:
            cpu, wall = cpu_and_wall(self.pid)
        except ProcessLookupError:  # its zygote died since; to ask starts it again, or fails
            cpu = wall = 0.0
        answer = self.contestant.ask(body)
        if self.contestant.pid != self.pid:
            raise _RestartedError
        cpu_after, wall_after = cpu_and_wall(self.pid)
        call, took = cpu_after - cpu, wall_after - wall
        # What it waited before the call may be added in it, and both may have waited at once: too much is taken
        # off then, and what is left would be less than the call's own CPU time.
        took = max(took - (self._queued() - queued), min(call, took))
        cost = max(cpu_after - self._billed, TICK)
        self._billed = cpu_after
        self.spent += cost
        return answer, (cost, call, took)

    @contextlib.contextmanager
    def unbilled(self) -> Iterator[None]:
        """What the contestant is asked inside is on no bill; what it did before, since its last answer, stays on it."""
        owed = 0.0
        with contextlib.suppress(ProcessLookupError):  # its zygote died since, as the next `ask` will see
            owed = cpu_and_wall(self.pid)[0] - self._billed
        yield
        with contextlib.suppress(ProcessLookupError):
            self._billed = cpu_and_wall(self.pid)[0] - owed

    def close(self) -> None:
        """Close its clocks; idempotent."""
        for queue in self._queues:
            queue.close()

    def _queued(self) -> float:
        return sum(queue.read() for queue in self._queues)


class Track:
    """Two lanes on one core, and the batches that are run on them; puts the cores back when it is left."""

    def __init__(
        self, lanes: tuple[Lane, Lane], deal: Deal, check: Check, rng: random.Random, most_cpu: float
    ) -> None:
        """Draw the core; the arguments are those of `race.race`, and the program's lane comes first."""
        self.first_batch = 0.0  # CPU seconds of the program's very first
        self._lanes, self._deal, self._check, self._rng = lanes, deal, check, rng
        self._most_cpu = most_cpu
        self._turns: list[bool] = []
        self._cases = 0
        self._warm = False
        self._before: dict[int, set[int]] = {}
        self.core = self._draw_core()

    def __enter__(self) -> Self:
        self._pin()
        return self

    def __exit__(self, kind: object, error: object, trace: TracebackType | None) -> None:
        for pid, cores in self._before.items():
            with contextlib.suppress(ProcessLookupError):  # it may have died in the race
                os.sched_setaffinity(pid, cores)

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of both so far, warm-up included."""
        return sum(lane.spent for lane in self._lanes)

    def pair(self) -> NDArray[np.float64]:
        """Return f8 (2, cases, 3): program and baseline; cost, CPU and wall of the call, in seconds."""
        while True:  # a session starts a program again once at most, and fails then
            try:
                if not self._warm:
                    self._warm_up()
                return self._batch()
            except _RestartedError:
                for lane in self._lanes:
                    if lane.pid != lane.contestant.pid:
                        lane.enter()
                self._pin()
                self._warm = False

    def _warm_up(self) -> None:
        last: NDArray[np.float64] | None = None
        for _ in range(_WARM_UPS):
            costs = self._batch()[:, :, 0].sum(axis=1)
            self.first_batch = self.first_batch or float(costs[0])
            if last is not None and (np.abs(costs - last) <= _AGREEMENT * last).all():
                break
            last = costs
            if self.cpu_seconds >= self._most_cpu:
                break
        self._warm = True

    def _batch(self) -> NDArray[np.float64]:
        batch = self._deal()
        self._cases = self._cases or len(batch)
        if not batch or len(batch) != self._cases:
            raise ValueError(f"race: a batch has {len(batch)} cases, the first had {self._cases}; deal alike")
        samples = np.empty((2, self._cases, 3))
        turned = self._turn()
        for case, body in enumerate(batch):
            order = (1, 0) if turned != bool(case % 2) else (0, 1)
            answers = []
            for side in order:
                answer, samples[side, case] = self._lanes[side].ask(body)
                answers.append((self._lanes[side].name, answer))
            for name, answer in answers:
                self._check(name, case, answer)
        return samples

    def _turn(self) -> bool:
        # In blocks of two, so that an advantage of the second place cancels in the median; signs that are tied
        # together so only make the intervals hold more often.
        if not self._turns:
            turned = self._rng.random() < 0.5
            self._turns = [turned, not turned]
        return self._turns.pop()

    def _draw_core(self) -> int | None:
        threaded = any(lane.contestant.threads > 1 for lane in self._lanes)
        if threaded or not hasattr(os, "sched_setaffinity"):
            return None
        return self._rng.choice(sorted(os.sched_getaffinity(0)))

    def _pin(self) -> None:
        if self.core is None:
            return
        for lane in self._lanes:
            self._before.setdefault(lane.pid, os.sched_getaffinity(lane.pid))
            os.sched_setaffinity(lane.pid, {self.core})
