"""A race of two live programs on the same fresh inputs: which needs less CPU time, how sure is that, and is it true.

Knows the rules of a race and what it shows; `track` runs the pairs and reads the clocks; knows no problem and no score.
A program is compared by CPU time, which counts all its threads: more of them gain nothing. The wall serves to check:
a program that sleeps, or has others work for it, looks better on the CPU clock, and is not called faster.

Equal work does not take quite equal time: another process of one program has other pages, another text other
addresses. Measured for interpreted loops, the medians of long races lie 0.3 and 0.6 per cent (one standard deviation)
from 1; `bench/perf/clock_power.py` measures it. Such a difference is constant in a race, so no statistics of its pairs
can see it, and every interval is widened by what it may be.
"""

import math
import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from evolve.fastcore.layout import is_fixed
from evolve.fastcore.stats import crossing_ranks, geometric_mean, order_rank, rank_interval
from evolve.fastcore.track import TICK, Check, Contestant, Deal, Lane, Track

__all__ = ["Contestant", "Result", "Rules", "race", "resolution"]

_TOLERANCE: Final = 0.05
"""Greatest relative difference of CPU and wall findings that is not flagged."""
_SLACK: Final = 50e-6
"""Seconds a call off the CPU that a late wake-up explains, and that flag nobody."""
_HOPELESS: Final = 4.0
"""How far below the floor each of the first two pairs must be to end a race before its first look."""


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
        resolution: what two programs of the same work may differ by for as long as they live, relative: another text,
            and even another process, puts the same objects elsewhere in memory. No number of pairs shows it, so every
            interval is widened by it.

    Raises:
        ValueError: one of them is out of its range.
    """

    looks: tuple[int, ...] = (6, 10, 16, 26, 42, 64)
    confidence: float = 0.95
    precision: float = 0.0
    stop_when_decided: bool = True
    floor: float | None = None
    most_cpu: float = math.inf
    resolution: float = 0.01

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
            looks (`stats.crossing_ranks`), widened by the resolution. A race that ended between looks keeps the last
            look's interval, widened to hold `speedup`; before the first look that can say anything it is (0, inf).
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
        seconds: f8, shape (pairs, 2, cases), CPU seconds of program and baseline.
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
    seconds: NDArray[np.float64]


def resolution() -> float:
    """Return `Rules.resolution` for this machine: 1 %, or 3 % where processes lie at random addresses."""
    return 0.01 if is_fixed() else 0.03


def race(  # noqa: PLR0913 - who runs, on what, by which rules: nothing of it goes together
    program: Contestant,
    baseline: Contestant,
    deal: Deal,
    check: Check,
    rules: Rules,
    seed: int,
    *,
    aside: Callable[[], None] | None = None,
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
        aside: asks the program what is not timed and on no bill: before a pair that nobody can foresee, and after the
            last one, before its core is given back. Where a program is asked nothing but timed questions it may know
            that by its core or by counting, and be right, elsewhere, on what it is asked elsewhere. What this raises
            ends the race and passes through.

    Raises:
        ValueError: a batch is empty, or has not as many cases as the first.
        Failure: from a contestant, as it raises it.
    """
    began = time.monotonic()
    rng = random.Random(seed)
    walk = _Walk(rules)
    with closing(Lane("program", program)) as one, closing(Lane("baseline", baseline)) as other:
        with Track((one, other), deal, check, rng, rules.most_cpu) as track:
            foreseen_by_nobody = secrets.randbelow(rules.looks[-1])
            while not walk.over(track.cpu_seconds):
                if aside is not None and walk.pairs == foreseen_by_nobody:
                    with one.unbilled():
                        aside()
                walk.add(track.pair())
            if aside is not None:
                aside()
        return walk.result(track, time.monotonic() - began)


class _Walk:
    """The pairs so far, and what they say."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._ranks = dict(zip(rules.looks, crossing_ranks(rules.looks, rules.confidence), strict=True))
        self._samples: list[NDArray[np.float64]] = []
        self._speedups: list[float] = []
        self._interval = (0.0, math.inf)

    @property
    def pairs(self) -> int:
        return len(self._speedups)

    def add(self, samples: NDArray[np.float64]) -> None:
        self._samples.append(samples)
        self._speedups.append(float(geometric_mean(samples[1, :, 0] / samples[0, :, 0])))
        rank = self._ranks.get(len(self._speedups), 0)
        if rank:
            low, high = rank_interval(self._speedups, rank)
            self._interval = low / (1.0 + self._rules.resolution), high * (1.0 + self._rules.resolution)

    def over(self, cpu_seconds: float) -> bool:
        rules, pairs = self._rules, self.pairs
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

    def result(self, track: Track, wall_seconds: float) -> Result:
        samples = np.array(self._samples)
        ratios = samples[:, 1, :, 0] / samples[:, 0, :, 0]
        speedup = float(np.median(self._speedups))
        low, high = min(self._interval[0], speedup), max(self._interval[1], speedup)
        wall_speedup, disagreement, flagged = _cross_check(samples, speedup, self._rules)
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
            seconds=samples[..., 0],
        )


def _cross_check(samples: NDArray[np.float64], speedup: float, rules: Rules) -> tuple[float, float, bool]:
    """Compare CPU time with the wall: (speed-up by minima of wall, disagreement, flagged).

    Of each wall, what a question and an answer take on their way is taken off: the time off the CPU that the
    contestant with less of it shows for the case, and some slack. Minima alone are noisy on a busy machine, so the
    order-statistic interval of what the single pairs disagree by must lie on the same side. A program that looks
    worse on the CPU clock is flagged only with the cause in sight: more CPU time than its calls lasted, or than
    they used.
    """
    costs, calls, walls = samples[..., 0], samples[..., 1], samples[..., 2]
    way = np.maximum(np.median(walls - calls, axis=0), 0.0).min(axis=0) + _SLACK
    net = np.maximum(walls - way, np.maximum(np.minimum(calls, walls), TICK))
    least = net.min(axis=0)
    wall_speedup = float(geometric_mean(least[1] / least[0]))
    disagreement = speedup / wall_speedup - 1.0
    paired = geometric_mean((costs[:, 1] / costs[:, 0]) / (net[:, 1] / net[:, 0]), axis=1)
    low, high = rank_interval(paired - 1.0, max(order_rank(len(paired), rules.confidence), 1))
    own_cost, own_calls, own_walls = (float(part[:, 0].sum()) for part in (costs, calls, walls))
    hidden = own_cost > (1.0 + _TOLERANCE) * min(own_calls, own_walls) + _SLACK * calls[:, 0].size
    kinder = min(disagreement, low) > _TOLERANCE
    return wall_speedup, disagreement, kinder or (hidden and max(disagreement, high) < -_TOLERANCE)
