"""Which island, which parents: pure functions of an island's elites and a random generator."""

import math
import random
from collections.abc import Callable, Sequence

from evolve.config import Config
from evolve.programs_db.records import Elite

__all__ = ["choose_mates", "choose_parent", "greedy_share", "key"]

_ATTEMPTS = 8
_FIRST = 0.2


def key(seed: int, number: int) -> random.Random:
    """The generator of proposal `number` of a run: the same whatever ran before it, or beside it."""
    # Any injective mixing would do: Random hashes large integers over all of its state.
    return random.Random((seed << 64) | (number + 1))


def greedy_share(config: Config, evaluations: int) -> float:
    """Share of parents that are the island's best: grows from a fifth of it over `config.anneal` evaluations."""
    done = min(1.0, evaluations / config.anneal) if config.anneal else 1.0
    return config.greedy * (_FIRST + (1.0 - _FIRST) * done)


def choose_parent(
    elites: Sequence[Elite],
    uses: Callable[[str], int],
    rng: random.Random,
    config: Config,
    evaluations: int,
) -> Elite:
    """Choose one elite of an island.

    A share is the best, a share is uniform over cells, the rest goes by rank with a penalty for parents that
    were used often: rank r of n is drawn with density ~ exp(-pressure * r / n), then accepted with
    probability (1 + uses) ** -fatigue.

    Args:
        elites: best first, at least one.
        uses: how often a program was a parent on this island.
        rng: of this proposal.
        config: the dials.
        evaluations: spent so far, for annealing.
    """
    draw = rng.random()
    greedy = greedy_share(config, evaluations)
    if draw < greedy:
        return elites[0]
    if draw < greedy + config.uniform * (1.0 - greedy):
        return elites[rng.randrange(len(elites))]
    chosen = elites[0]
    for _ in range(_ATTEMPTS):
        chosen = elites[_rank(len(elites), config.pressure, rng)]
        if rng.random() < (1.0 + uses(chosen.program.id)) ** -config.fatigue:
            break
    return chosen


def _rank(count: int, pressure: float, rng: random.Random) -> int:
    """A rank 0..count-1 with density ~ exp(-pressure * rank / count), by inversion."""
    draw = rng.random()
    if pressure > 0:
        draw = -math.log1p(-draw * -math.expm1(-pressure)) / pressure
    return min(count - 1, int(draw * count))


def choose_mates(elites: Sequence[Elite], parent: Elite, rng: random.Random, count: int) -> tuple[Elite, ...]:
    """Up to `count` other elites, uniformly over cells, for crossover and inspiration."""
    if len(elites) < 2:
        return ()
    drawn = (elites[rng.randrange(len(elites))] for _ in range(count))
    return tuple(elite for elite in drawn if elite.program.id != parent.program.id)
