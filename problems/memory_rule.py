"""Find a rule that writes to an associative memory so that what was written last is recalled best.

The memory is a matrix S of d x d numbers, zero at first. Pairs of a key k (a unit vector) and a value v (d signs)
are written one at a time; keys come again with a new value, and only the latest counts. After all writes each key
is read: the sign of S k is compared with its latest value, bit by bit. The objective is the share of wrong bits;
a zero counts as half a wrong bit.

`update(S, k, v, p)` gives the new S, element by element, for one write: row i, column j of S may depend on S[i, j],
k[j], v[i] and p[i], where p = S k is what the memory recalls for the key before the write. The arrays broadcast:
S is (E, d, d) for E independent episodes, k (E, 1, d), v and p (E, d, 1). The program is asked for one write at a
time, so the rest of an episode is out of its reach.

The Hebbian rule S + v k, from which the search starts, never forgets; the delta rule S + (v - p) k writes what
is missing. A state that is not finite, or has an entry beyond 1e9 in size, is rejected.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import fsum, log2
from typing import Any

import numpy as np
import numpy.typing as npt

from evolve import (
    Array,
    Case,
    Limits,
    Measure,
    Objective,
    Primitive,
    Problem,
    Rejected,
    Stage,
    problem,
)

# EVOLVE-BLOCK-START
import numpy as np


def update(S, k, v, p):
    """The new S after value v is written under key k, where p was recalled."""
    return S + v * k


# EVOLVE-BLOCK-END

Floats = npt.NDArray[np.float64]
_LIMIT = 1e9


@dataclass(frozen=True)
class Episodes:
    """E independent episodes of T writes to K keys of d numbers; hidden from the program.

    Args:
        stream_keys: (T, E, 1, d) float64, the key of each write, unit length.
        stream_values: (T, E, d, 1), the value of each write, -1.0 or 1.0.
        spots: three writes at which a part of the answer is asked for alone.
        keys: (E, d, K), every key once: what is read at the end.
        values: (E, d, K), the latest value of each key.
        age: (E, K), writes since the latest write of the key, over T - 1: 0 newest, 1 oldest.
    """

    stream_keys: Floats
    stream_values: Floats
    spots: tuple[int, ...]
    keys: Floats
    values: Floats
    age: Floats


def episodes(seed: int, count: int = 256, d: int = 12, keys: int = 8, writes: int = 30) -> Episodes:
    """Draw episodes.

    Keys are unit vectors along g + 0.35 h, g standard normal for the key and h for the episode, so that the keys of
    one episode resemble each other. Each key is written at least once; the other writes go to random keys, with
    new values, in random order.
    """
    rng = np.random.default_rng(seed)
    bank = rng.standard_normal((count, keys, d)) + 0.35 * rng.standard_normal((count, 1, d))
    bank /= np.linalg.norm(bank, axis=2, keepdims=True)
    order = np.concatenate(
        [np.tile(np.arange(keys), (count, 1)), rng.integers(0, keys, (count, writes - keys))], axis=1
    )
    order = rng.permuted(order, axis=1)
    written = np.where(rng.random((count, writes, d)) < 0.5, -1.0, 1.0)
    rows = np.arange(count)
    last = np.zeros((count, keys), np.int64)
    for step in range(writes):
        last[rows, order[:, step]] = step
    return Episodes(
        stream_keys=np.ascontiguousarray(bank[rows[:, None], order].swapaxes(0, 1)[:, :, None, :]),
        stream_values=np.ascontiguousarray(written.swapaxes(0, 1)[:, :, :, None]),
        spots=tuple(int(spot) for spot in rng.choice(np.arange(1, writes), 3, replace=False)),
        keys=np.ascontiguousarray(bank.swapaxes(1, 2)),
        values=np.ascontiguousarray(written[rows[:, None], last].swapaxes(1, 2)),
        age=(writes - 1 - last) / (writes - 1),
    )


def _elementwise(decide, args: tuple[Floats, ...], answer: Floats) -> None:
    """Ask for a corner of the new state alone: a rule that works element by element gives the same numbers there."""
    state, k, v, p = args
    count, rows, columns = max(1, state.shape[0] // 3), state.shape[1] // 2, state.shape[2] // 3
    parts = state[:count, :rows, :columns], k[:count, :, :columns], v[:count, :rows], p[:count, :rows]
    corner = decide(*(np.ascontiguousarray(part) for part in parts))
    right = answer[:count, :rows, :columns]
    try:
        same = np.allclose(np.broadcast_to(corner, right.shape), right, rtol=1e-9, atol=1e-12)
    except ValueError:  # of another shape
        same = False
    if not same:
        raise Rejected("the rule does not work element by element")


def simulate(decide, case: Case) -> Floats:
    """Write every pair with the program's rule, over all episodes at once; the final S, (E, d, d)."""
    hidden: Episodes = case.hidden
    _, count, _, d = hidden.stream_keys.shape
    state = np.zeros((count, d, d))
    for step, (k, v) in enumerate(zip(hidden.stream_keys, hidden.stream_values, strict=True)):
        p = state @ k.swapaxes(1, 2)
        answer = decide(state, k, v, p)
        before = state
        try:
            state = np.array(np.broadcast_to(answer, state.shape))
        except ValueError:
            raise Rejected(f"the new state has shape {answer.shape}, not {state.shape}") from None
        if step in hidden.spots:
            _elementwise(decide, (before, k, v, p), state)
        if not max(state.max(), -state.min()) <= _LIMIT:
            raise Rejected("the memory blew up")
    return state


def score(state: Floats, case: Case) -> dict[str, float]:
    """Share of wrong bits; how much worse old keys are recalled than new ones; the size of the state."""
    hidden: Episodes = case.hidden
    wrong = (1.0 - hidden.values * np.sign(state @ hidden.keys)).mean(axis=1) / 2.0
    young = hidden.age < 0.5
    size = float(np.sqrt((state * state).sum(axis=(1, 2)) / state.shape[1]).mean())
    return {
        "error": float(wrong.mean()),
        "recency": float(wrong[~young].mean() - wrong[young].mean()),
        "size": log2(max(size, 1e-9)),
    }


DELTA = """
def update(S, k, v, p):
    return S + (v - p) * k
"""

FORGETTING = """
def update(S, k, v, p):
    return 0.9 * S + v * k
"""


def _part(whole: Episodes, start: int, stop: int) -> Episodes:
    """Some of the episodes."""
    axes = {"stream_keys": 1, "stream_values": 1, "keys": 0, "values": 0, "age": 0}
    cut: dict[str, Any] = {
        name: np.take(getattr(whole, name), range(start, stop), axis) for name, axis in axes.items()
    }
    return replace(whole, **cut)


def _by_episodes(values: Sequence[float]) -> float:
    """The first training case has a quarter of the episodes; suites of unseen cases have equal ones."""
    if len(values) == 2:
        return 0.25 * values[0] + 0.75 * values[1]
    return fsum(values) / len(values)


@problem
def memory_rule(count: int = 256) -> Problem:
    """An update rule for a fast-weight memory under overwrites."""
    train, quarter = episodes(6, count), max(1, count // 4)
    larger = {"count": max(1, count // 2), "d": 24, "keys": 18, "writes": 66}
    return Problem(
        entry="update",
        form="step",
        # The seed was picked from 40 for Hebb's and the delta rule's errors being near their means over seeds.
        cases=[
            Case("quick", hidden=_part(train, 0, quarter)),
            Case("rest", hidden=_part(train, quarter, count)),
        ],
        # A quarter of the episodes tells a hopeless rule, and is enough to tune constants on.
        stages=[Stage(("quick",), gate=0.4)],
        aggregate=dict.fromkeys(("error", "recency", "size"), _by_episodes),
        simulate=simulate,
        returns=Array("f8", None),
        score=score,
        objective=Objective("error", "min"),
        measures=[Measure("recency", -0.1, 0.5, bins=20), Measure("size", -4.0, 6.0, bins=20)],
        unseen={
            "same_size": [
                Case(f"same_size_{seed}", hidden=episodes(1000 + seed, count)) for seed in range(4)
            ],
            "larger": [Case(f"larger_{seed}", hidden=episodes(2000 + seed, **larger)) for seed in range(4)],
        },
        fresh=lambda rng: [Case("fresh", hidden=episodes(int(rng.integers(2**31)), count))],
        primitives=[
            Primitive("np.tanh", ("num",), "num"),
            Primitive("np.abs", ("num",), "num"),
            Primitive("np.sign", ("num",), "num"),
            Primitive("np.square", ("num",), "num"),
            Primitive("np.exp", ("num",), "num"),
            Primitive("np.minimum", ("num", "num"), "num"),
            Primitive("np.maximum", ("num", "num"), "num"),
            Primitive("np.where", ("bool", "num", "num"), "num"),
        ],
        baselines={"delta_rule": DELTA, "forgetting": FORGETTING},
        limits=Limits(seconds=5.0),
        max_nodes=40,
    )
