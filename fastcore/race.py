"""A race of two live programs on the same fresh inputs: which needs less CPU time, how sure is that, and is it true.

Knows contestants that answer encoded questions and can be read from outside; knows no problem and no score. The
clocks are the kernel's, read by this process. Each case costs a contestant what its CPU clock has advanced since its
last reading, so whatever it does between two questions is on its bill as well. CPU time counts all threads of a
process: more threads gain nothing. The wall serves to check: a program that sleeps, or has others work for it, looks
better on the CPU clock than on the wall, and is not called faster.

What remains beyond noise: the text of a program moves its objects to other addresses, and that alone is worth up to
about 1 per cent for interpreted loops. A difference below that is real on this machine and need not be on another.
"""

import contextlib
import math
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from evolve.fastcore.clock import QueueClock, cpu_and_wall
from evolve.fastcore.stats import crossing_ranks, geometric_mean, rank_interval

__all__ = ["Contestant", "Result", "Rules", "race"]

Deal = Callable[[], Sequence[Any]]
Check = Callable[[str, int, bytes], None]

_WARM_UPS: Final = 8
_AGREEMENT: Final = 0.05
_TOLERANCE: Final = 0.05
"""Greatest relative difference of CPU and wall findings that is not flagged."""
_SLACK: Final = 50e-6
"""Seconds a call off the CPU that a late wake-up explains, and that flag nobody."""
_HOPELESS: Final = 4.0
"""How far below the floor each of the first two pairs must be to end a race before its first look."""
_TICK: Final = 1e-9
_RESTARTS: Final = 2


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


@dataclass(frozen=True, slots=True)
class Rules:
    """When to look, and when to stop.

    Attributes:
        looks: numbers of pairs after which the interval is looked at, increasing; the last ends the race.
        confidence: that the intervals of all looks together hold the true median, between 0 and 1.
        precision: stop at a look where half the interval's width, over the speed-up, is below; 0 is never.
        stop_when_decided: stop at a look whose interval leaves out 1.
        floor: stop at a look whose whole interval is below this speed-up, and as soon as two pairs or more are
            all below a quarter of it.
        most_cpu: CPU seconds, of both and warm-up included, after which no further pair begins. At least one
            pair is run.
        resolution: what two processes of one program may differ by for as long as they live, relative: their pages
            lie elsewhere in memory. No number of pairs shows it, so every interval is widened by it.

    Raises:
        ValueError: one of them is out of its range.
    """

    looks: tuple[int, ...] = (6, 10, 16, 26, 42, 64)
    confidence: float = 0.95
    precision: float = 0.0
    stop_when_decided: bool = True
    floor: float | None = None
    most_cpu: float = math.inf
    resolution: float = 0.005

    def __post_init__(self) -> None:
        crossing_ranks(self.looks, self.confidence)
        if not self.precision >= 0.0:
            raise ValueError(
                f"race: precision is {self.precision!r}; give a relative half-width, or 0 for never"
            )
        if self.floor is not None and not 0.0 < self.floor < math.inf:
            raise ValueError(f"race: floor is {self.floor!r}; give a positive speed-up, or None")
        if not self.most_cpu > 0.0:
            raise ValueError(f"race: most_cpu is {self.most_cpu!r}; give a positive number of seconds")
        if not 0.0 <= self.resolution < math.inf:
            raise ValueError(f"race: resolution is {self.resolution!r}; give a relative difference, or 0")


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What a race found. Speed-ups are CPU time of the baseline over CPU time of the program: above 1 is faster.

    Attributes:
        pairs: how many pairs were run, warm-up excluded.
        ratios: f8, shape (pairs, cases).
        speedup: median over pairs of the geometric mean over cases.
        low, high: interval of the true median: order statistics at the last look reached, corrected for all
            looks (`stats.crossing_ranks`), widened by the resolution. A race that ended between looks keeps the last look's interval, widened
            to hold `speedup`; before the first look that can say anything it is (0, inf).
        per_case: f8, shape (cases,), medians over pairs.
        verdict: "faster" or "slower" where the interval leaves out 1, else "undecided"; a flagged result whose
            program looks better on the CPU clock than on the wall is never "faster".
        wall_speedup: the same comparison by minima of wall time (geometric mean over cases), without what both
            spend on the way of questions and answers, and without waiting for a core.
        disagreement: speedup / wall_speedup - 1: positive where the CPU clock is kinder to the program.
        flagged: the disagreement is above 5 % either way, and not by the load of the machine: the program sleeps or
            blocks, has threads, or works between its calls.
        compile_cpu: CPU seconds of the program's first batch beyond its median batch, at least 0.
        cpu_seconds: CPU seconds of both, warm-up included, set-up excluded.
        wall_seconds: wall seconds of the whole race.
        core: the core that both were pinned to, or None.
    """

    pairs: int
    ratios: NDArray[np.float64]
    speedup: float
    low: float
    high: float
    per_case: NDArray[np.float64]
    verdict: Literal["faster", "slower", "undecided"]
    wall_speedup: float
    disagreement: float
    flagged: bool
    compile_cpu: float
    cpu_seconds: float
    wall_seconds: float
    core: int | None


def race(
    program: Contestant, baseline: Contestant, deal: Deal, check: Check, rules: Rules, seed: int
) -> Result:
    """Race two programs, pair by pair, until the rules say stop.

    In each pair both answer the same fresh batch, case by case in turn. Who begins is drawn at random for every
    other pair and turned round for the next, and alternates from case to case, so that neither finds inputs
    in the caches more often. Before the first pair both warm up until two successive batches of each agree within 5 %,
    at most 8 batches. Both are pinned to one core, drawn at random; afterwards they may run where they could before.

    Args:
        program: the live contestant that is judged.
        baseline: the live contestant that it is compared with.
        deal: returns a fresh batch of encoded inputs: one entry a case, the same cases in the same order each
            time. What it returns is not closed here; it may close the last batch when it deals the next.
        check: called as check("program" or "baseline", case, answer) for each answer of every run, warm-up
            included, after all clocks of the case are read; what it raises ends the race and passes through.
        rules: see `Rules`.
        seed: of the order and the core.

    Raises:
        ValueError: a batch is empty, or has not as many cases as the first.
        Failure: from a contestant, as it raises it.
    """
    began = time.monotonic()
    rng = random.Random(seed)
    lanes = (_Lane("program", program), _Lane("baseline", baseline))
    with _Track(lanes, deal, check, rng, rules.most_cpu) as track:
        walk = _Walk(rules)
        while not walk.over(track.cpu_seconds):
            walk.add(track.pair())
        return walk.result(track, time.monotonic() - began)


class _RestartedError(Exception):
    """The contestant's process is another one: its zygote died, and its clock began anew."""


class _Lane:
    """One contestant and its clocks."""

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
        cost = max(cpu_after - self._billed, _TICK)
        self._billed = cpu_after
        self.spent += cost
        return answer, (cost, call, took)

    def close(self) -> None:
        for queue in self._queues:
            queue.close()

    def _queued(self) -> float:
        return sum(queue.read() for queue in self._queues)


class _Track:
    """Two lanes on one core, and the batches that are run on them; puts the cores back when it is left."""

    def __init__(
        self, lanes: tuple[_Lane, _Lane], deal: Deal, check: Check, rng: random.Random, most_cpu: float
    ) -> None:
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
        for lane in self._lanes:
            lane.close()

    @property
    def cpu_seconds(self) -> float:
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


class _Walk:
    """The pairs so far, and what they say."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._ranks = dict(zip(rules.looks, crossing_ranks(rules.looks, rules.confidence), strict=True))
        self._samples: list[NDArray[np.float64]] = []
        self._speedups: list[float] = []
        self._interval = (0.0, math.inf)

    def add(self, samples: NDArray[np.float64]) -> None:
        self._samples.append(samples)
        self._speedups.append(float(geometric_mean(samples[1, :, 0] / samples[0, :, 0])))
        rank = self._ranks.get(len(self._speedups), 0)
        if rank:
            low, high = rank_interval(self._speedups, rank)
            self._interval = low / (1.0 + self._rules.resolution), high * (1.0 + self._rules.resolution)

    def over(self, cpu_seconds: float) -> bool:
        rules, pairs = self._rules, len(self._speedups)
        if not pairs:
            return False
        if pairs >= rules.looks[-1] or cpu_seconds >= rules.most_cpu:
            return True
        if rules.floor is not None and pairs >= 2 and max(self._speedups) < rules.floor / _HOPELESS:
            return True
        return pairs in self._ranks and any(self._reasons())

    def _reasons(self) -> Iterator[bool]:
        rules, (low, high) = self._rules, self._interval
        yield rules.stop_when_decided and not low <= 1.0 <= high
        yield rules.floor is not None and high < rules.floor
        yield (high - low) / 2.0 < rules.precision * float(np.median(self._speedups))

    def result(self, track: _Track, wall_seconds: float) -> Result:
        samples = np.array(self._samples)
        ratios = samples[:, 1, :, 0] / samples[:, 0, :, 0]
        speedup = float(np.median(self._speedups))
        low, high = min(self._interval[0], speedup), max(self._interval[1], speedup)
        wall_speedup, disagreement, flagged = _cross_check(samples, speedup)
        verdict: Literal["faster", "slower", "undecided"] = "undecided"
        if high < 1.0:
            verdict = "slower"
        elif low > 1.0 and not (flagged and disagreement > 0.0):
            verdict = "faster"
        return Result(
            *(len(ratios), ratios, speedup, low, high, np.median(ratios, axis=0), verdict),
            *(wall_speedup, disagreement, flagged),
            max(0.0, track.first_batch - float(np.median(samples[:, 0, :, 0].sum(axis=1)))),
            *(track.cpu_seconds, wall_seconds, track.core),
        )


def _cross_check(samples: NDArray[np.float64], speedup: float) -> tuple[float, float, bool]:
    """Compare CPU time with the wall: (speed-up by minima of wall, disagreement, flagged).

    Of each wall, what a question and an answer take on their way is taken off: the time off the CPU that the
    contestant with less of it shows for the case, and some slack. Minima alone are noisy after a few pairs, so
    the median of the pairs must disagree on the same side. A program that looks worse on the CPU clock is
    flagged only with the cause in sight: more CPU time than its calls lasted, or than they used.
    """
    costs, calls, walls = samples[..., 0], samples[..., 1], samples[..., 2]
    way = np.maximum(np.median(walls - calls, axis=0), 0.0).min(axis=0) + _SLACK
    net = np.maximum(walls - way, np.maximum(np.minimum(calls, walls), _TICK))
    least = net.min(axis=0)
    wall_speedup = float(geometric_mean(least[1] / least[0]))
    disagreement = speedup / wall_speedup - 1.0
    paired = (costs[:, 1] / costs[:, 0]) / (net[:, 1] / net[:, 0])
    by_pairs = float(np.median(geometric_mean(paired, axis=1))) - 1.0
    if min(disagreement, by_pairs) > _TOLERANCE:
        return wall_speedup, disagreement, True
    own_cost, own_calls, own_walls = (float(part[:, 0].sum()) for part in (costs, calls, walls))
    hidden = own_cost > (1.0 + _TOLERANCE) * min(own_calls, own_walls) + _SLACK * calls[:, 0].size
    return wall_speedup, disagreement, hidden and max(disagreement, by_pairs) < -_TOLERANCE
