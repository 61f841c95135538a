"""Choose which page leaves a full cache, so that as few requests as possible miss.

A cache has room for `slots` pages of one size. Pages are asked for one at a time. A request for a page that is not
there is a miss, and the page comes in; if no slot is free, the page of the lowest `priority(age, uses, stay, slots)`
leaves first (of equals, the one that was used longest ago; a priority of NaN is the lowest).

What is known of a page in the cache, at the time of the request:

- age: requests since its last use, 1 for a page that was asked for just before;
- uses: how often it was asked for since it came in, the request that brought it in included;
- stay: requests since it came in.

All are rounded down to a level: 1, 2, ..., 8, then age and uses in four steps a doubling (10, 12, 14, 16, 20, ...),
stay in two (12, 16, 24, 32, ...), up to 16,384 for age and stay and 1,024 for uses. The program is evaluated once, on
the grid of all levels, as numpy arrays that broadcast: age (A, 1, 1), uses (1, U, 1), stay (1, 1, T), and the number
`slots`; a fixed simulator does the rest. So the program never meets a trace: it can neither look ahead nor keep notes.

The objective is the number of misses over the fewest possible, by Belady's rule, which knows the future; mean over
traces. There are five kinds: requests of steady popularity (zipf), a loop over more pages than there are slots, mixed
with others (loop), a popular set with runs of pages that never come again (scan), popularity that changes (shift), and
stretches of these one after another (phases).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evolve import Case, Grid, Measure, Objective, Primitive, Problem, Reference, Stage, problem
from evolve.fastcore.kernels.cache import Replay, fewest_misses, replay
from evolve.fastcore.kernels.levels import levels

# EVOLVE-BLOCK-START
import numpy as np


def priority(age, uses, stay, slots):
    """Priority of a page in the cache; the lowest leaves."""
    return -age


# EVOLVE-BLOCK-END

Ints = npt.NDArray[np.int64]
GRADES = levels(16_384), levels(1_024), levels(16_384, steps=2)


@dataclass(frozen=True, eq=False)
class Trace:
    """What is hidden from the program.

    Args:
        requests: (n,) int64, the pages asked for, in order.
        slots: room of the cache, in pages.
        fewest: misses by Belady's rule.
    """

    requests: Ints
    slots: int
    fewest: int


def _popular(rng: np.random.Generator, pages: int, skew: float, count: int) -> Ints:
    """Draw pages 0 to `pages` - 1 independently, page i with a weight of (i + 1)^-skew."""
    heap = np.cumsum(np.arange(1.0, pages + 1.0) ** -skew)
    return np.searchsorted(heap[:-1] / heap[-1], rng.random(count), side="right").astype(np.int64)


def zipf(rng: np.random.Generator, slots: int, count: int) -> Ints:
    """Pages of steady popularity, 16 for each slot."""
    return _popular(rng, 16 * slots, rng.uniform(0.7, 1.1), count)


def loop(rng: np.random.Generator, slots: int, count: int) -> Ints:
    """Round and round through 1.2 to 2 times as many pages as slots; one request in four is for another page."""
    length = int(slots * rng.uniform(1.2, 2.0))
    others = length + _popular(rng, 8 * slots, 0.9, count)
    return np.where(rng.random(count) < 0.25, others, np.arange(count) % length)


def scan(rng: np.random.Generator, slots: int, count: int) -> Ints:
    """Popular pages, and after each 4 to 8 requests a slot twice as many new pages as slots, once each."""
    period = int(slots * rng.uniform(6.0, 10.0))
    popular = _popular(rng, 4 * slots, rng.uniform(0.7, 1.0), count)
    time = np.arange(count)
    return np.where(time % period < period - 2 * slots, popular, 4 * slots + time)


def shift(rng: np.random.Generator, slots: int, count: int) -> Ints:
    """Popular pages; after each 8 to 24 requests a slot, half of them change places."""
    pages, period = 8 * slots, int(slots * rng.uniform(8.0, 24.0))
    ranks, names = _popular(rng, pages, rng.uniform(0.8, 1.2), count), np.arange(pages)
    for start in range(0, count, period):
        changed = rng.permutation(pages)[: pages // 2]
        names[changed] = names[rng.permutation(changed)]
        ranks[start : start + period] = names[ranks[start : start + period]]
    return ranks


def phases(rng: np.random.Generator, slots: int, count: int) -> Ints:
    """Five to nine stretches, each of one of the kinds above, over pages of its own."""
    ends = np.append(np.sort(rng.integers(1, count, int(rng.integers(4, 9)))), count)
    kinds = (zipf, loop, scan, shift)
    parts = [
        kinds[int(rng.integers(4))](rng, slots, length) + 100 * count * place
        for place, length in enumerate(np.diff(ends, prepend=0).tolist())
    ]
    return np.unique(np.concatenate(parts), return_inverse=True)[1].ravel()


def walk(rng: np.random.Generator, slots: int, count: int) -> Ints:
    """Steps of up to two pages to and fro on a ring of eight times as many pages as slots, and now and then a leap."""
    pages = 8 * slots
    leaps = np.where(rng.random(count) < 0.02, rng.integers(0, pages, count), 0)
    return np.cumsum(rng.integers(-2, 3, count) + leaps) % pages


KINDS: Sequence[Callable[[np.random.Generator, int, int], Ints]] = (zipf, loop, scan, shift, phases)


def simulate(table: npt.NDArray[np.float64], case: Case) -> Replay:
    """Serve the trace of `case`."""
    trace: Trace = case.hidden
    return replay(table, trace.requests, trace.slots, GRADES)


def plain(table: npt.NDArray[np.float64], case: Case) -> Replay:
    """The same, request by request, with no cleverness."""

    def level(count: int, steps: int, axis: int) -> int:
        doublings = max(0, count.bit_length() - 4)  # 8 to 15: none; 16 to 31: one; ...
        start = 8 << doublings
        place: int = count - 1 if count < 8 else 7 + steps * doublings + (count - start) * steps // start
        return min(place, len(GRADES[axis]) - 1)

    def worth(page: int) -> tuple[float, int]:
        used, came, uses = cache[page]
        place = level(now - used, 4, 0), level(uses, 4, 1), level(now - came, 2, 2)
        return float(table[place]), used

    cache: dict[int, tuple[int, int, int]] = {}  # last use, when it came, uses since
    misses, gone = 0, []
    for now, page in enumerate(case.hidden.requests.tolist()):
        if page not in cache:
            misses += 1
            if len(cache) == case.hidden.slots:
                used, _, uses = cache.pop(min(cache, key=worth))
                gone.append((now - used, uses))
        _, came, uses = cache.get(page, (now, now, 0))
        cache[page] = now, came, uses + 1
    once = sum(uses == 1 for _, uses in gone)
    return Replay(misses, len(gone), once, sum(age < case.hidden.slots for age, _ in gone))


def score(outcome: Replay, case: Case) -> dict[str, float]:
    """Misses over the fewest possible; shares of what left that was never used again, and that was used lately."""
    left = max(1, outcome.evictions)
    return {
        "ratio": outcome.misses / case.hidden.fewest,
        "once": outcome.once / left,
        "young": outcome.young / left,
    }


LRU = """
def priority(age, uses, stay, slots):
    return -age
"""

FIFO = """
def priority(age, uses, stay, slots):
    return -stay
"""

LFU = """
def priority(age, uses, stay, slots):
    return uses
"""

MRU = """
def priority(age, uses, stay, slots):
    return age
"""

RATE = """
def priority(age, uses, stay, slots):
    return uses / stay
"""

ONCE_FIRST = """
import numpy as np


def priority(age, uses, stay, slots):
    return np.where(uses < 2, -age - 1e6, -age)
"""


def _grid(slots: int) -> Grid:
    # Floats, so that no program meets the wrap-around of 64-bit integers.
    age, uses, stay = (axis.astype(np.float64) for axis in GRADES)
    return Grid((age[:, None, None], uses[None, :, None], stay[None, None, :], float(slots)))


def _case(name: str, seed: Sequence[int], kind: Callable[..., Ints], slots: int, count: int) -> Case:
    requests = kind(np.random.default_rng(seed), slots, count).astype(np.int64)
    trace = Trace(requests, slots, fewest_misses(requests, slots))
    return Case(f"{name}_{kind.__name__}_{slots}_{seed[-1]}", hidden=trace, grid=f"s{slots}")


@problem
def cache_eviction(slots: int = 32, requests: int = 5000) -> Problem:
    """Eviction from a cache by a priority for each page in it."""
    if slots < 4 or not 100 * slots <= requests <= 10**6:
        raise ValueError(
            f"{slots} slots and {requests} requests; at least 4, and from 100 requests a slot to a million"
        )
    small, large, huge = slots, 3 * slots, 8 * slots
    sizes = (small, small, large)
    train = [
        _case("train", [11, place], kind, size, requests)
        for place, size in enumerate(sizes)
        for kind in KINDS
    ]
    return Problem(
        entry="priority",
        form="table",
        grid={f"s{size}": _grid(size) for size in (slots // 2, small, 2 * slots, large, huge)},
        cases=train,
        # The small cache tells a hopeless policy, and is enough to tune constants on.
        stages=[Stage(tuple(case.name for case in train[: 2 * len(KINDS)]), gate=3.0)],
        simulate=simulate,
        plain=plain,
        score=score,
        objective=Objective("ratio", "min"),
        measures=[Measure("once", 0.0, 1.0, bins=16), Measure("young", 0.0, 1.0, bins=16)],
        unseen={
            "same_kinds": [
                _case("same", [12, seed], kind, size, requests)
                for size in (small, large)
                for kind in KINDS
                for seed in range(2)
            ],
            "other_sizes": [
                _case("sizes", [13, seed], kind, size, count)
                for size, count in ((slots // 2, requests), (huge, 3 * requests))
                for kind in KINDS
                for seed in range(2)
            ],
            "walk": [_case("walk", [14, seed], walk, 2 * slots, requests) for seed in range(8)],
        },
        fresh=lambda rng: [
            _case("fresh", [int(rng.integers(2**31))], kind, size, requests)
            for size in sizes
            for kind in KINDS
        ],
        primitives=[
            Primitive("np.log", ("num",), "num"),
            Primitive("np.exp", ("num",), "num"),
            Primitive("np.sqrt", ("num",), "num"),
            Primitive("np.abs", ("num",), "num"),
            Primitive("np.minimum", ("num", "num"), "num"),
            Primitive("np.maximum", ("num", "num"), "num"),
            Primitive("np.where", ("bool", "num", "num"), "num"),
        ],
        baselines={
            "lru": LRU,
            "fifo": FIFO,
            "lfu": LFU,
            "mru": MRU,
            "rate_of_use": RATE,
            "once_first": ONCE_FIRST,
        },
        references=[
            Reference("Belady's rule", 1.0, "Belady, IBM Systems Journal 5, pp. 78-101", "1966"),
        ],
    )
