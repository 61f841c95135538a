"""Which island, which parents: pure functions of an island's elites and a random generator."""

import math
import random
from collections.abc import Callable, Sequence
from itertools import takewhile

from evolve.config import Config
from evolve.programs_db.records import Elite

__all__ = ["choose_mates", "choose_parent", "greedy_share", "key", "root_share"]

_ATTEMPTS = 8
_LAST = 0.2


def key(seed: int, number: int) -> random.Random:
    """The generator of proposal `number` of a run: the same whatever ran before it, or beside it."""
    # Any injective mixing would do: Random hashes large integers over all of its state.
    return random.Random((seed << 64) | (number + 1))


def greedy_share(config: Config, evaluations: int, gained: int) -> float:
    """Share of parents that are as good as the island's best: falls to a fifth of it while nothing is gained.

    Args:
        config: the dials.
        evaluations: of the run so far.
        gained: how many of them there were when the island's best was last bettered.
    """
    patience = config.patience * evaluations
    waited = min(1.0, (evaluations - gained) / patience) if patience else 0.0
    return config.greedy * (1.0 - (1.0 - _LAST) * waited)


def root_share(config: Config, evaluations: int, evolvability: float = 1.0) -> float:
    """Share of parents that are the seed program: what one step from it leads to is not known after the first gain.

    Args:
        config: the dials.
        evaluations: of the run so far.
        evolvability: share of what was made of the seed program that acted like nothing before.
    """
    explored = config.explore / (config.explore + evaluations) if config.explore else 0.0
    return max(config.root, explored * evolvability)


def choose_parent(
    elites: Sequence[Elite],
    uses: Callable[[str], int],
    rng: random.Random,
    config: Config,
    greedy: float,
) -> Elite:
    """Choose one elite of an island.

    A share is as good as the best, a share is uniform over cells, the rest goes by rank with a penalty for parents that
    were used often: rank r of n is drawn with density ~ exp(-pressure * r / n), then accepted with
    probability (1 + uses) ** -fatigue.

    Args:
        elites: best first, at least one.
        uses: how often a program was a parent on this island.
        rng: of this proposal.
        config: the dials.
        greedy: share of parents that are as good as the best.
    """
    draw = rng.random()
    if draw < greedy:
        # Any of the equals: where scores are few and coarse, a step that loses nothing leads on (neutral drift).
        best = elites[0].objective
        return elites[rng.randrange(sum(1 for _ in takewhile(lambda elite: elite.objective == best, elites)))]
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
