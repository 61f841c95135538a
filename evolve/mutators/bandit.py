"""A discounted, cost-aware bandit: what earned lately per unit of cost is chosen more often.

Knows arms by name, rewards and costs. Knows no clock, and keeps no chance of its own.
"""

import random
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

__all__ = ["Bandit", "reward_of"]


def reward_of(rank: int | None, count: int, improved: bool) -> float:
    """Worth of a commit, from 0 to 1: half for its rank among the elites, all of it for a new best.

    Ranks and not differences of objectives: units differ from problem to problem, and early gains would
    drown late ones.

    Args:
        rank: place of the new elite, 0 is best; None if it became none.
        count: number of elites it is ranked among, itself included.
        improved: whether it is the best so far.
    """
    if improved:
        return 1.0
    if rank is None or count < 1:
        return 0.0
    return 0.5 * (1.0 - rank / count) ** 2


class Bandit:
    """Chooses among arms by probability matching on discounted reward per discounted cost.

    Matching, and not an upper confidence bound, because credit comes back late: between two credits the same
    choice is made many times, and a rule without chance would make it the same way each time. A floor keeps
    every arm alive, since what pays changes as a search ages (discount 0.998: half-life 350 credits).

    State is a pure fold over `credit`; `choose` changes nothing.

    Args:
        arms: their names, at least one, all different.
        discount: weight of all that went before, at each credit.
        floor: share of choices spread evenly.
        prior: rewards per unit of cost that an arm is credited with at the start.
        weight: how many units of cost that prior is worth.

    Raises:
        ValueError: no arms, or one twice.
    """

    def __init__(
        self,
        arms: Sequence[str],
        discount: float = 0.998,
        floor: float = 0.25,
        prior: float = 0.05,
        weight: float = 20.0,
    ) -> None:
        if not arms or len(set(arms)) != len(arms):
            raise ValueError(f"arms {list(arms)}: at least one is needed, and no name twice")
        self.arms = tuple(arms)
        self.discount = discount
        self.floor = floor
        self.prior = prior
        self.weight = weight
        self._rewards = dict.fromkeys(self.arms, 0.0)
        self._costs = dict.fromkeys(self.arms, 0.0)
        self._steps: dict[frozenset[str] | None, tuple[tuple[str, ...], list[float]]] = {}

    def rates(self) -> dict[str, float]:
        """Discounted reward per unit of cost, drawn towards the prior where little was paid."""
        paid = self.prior * self.weight
        return {arm: (self._rewards[arm] + paid) / (self._costs[arm] + self.weight) for arm in self.arms}

    def shares(self, among: frozenset[str] | None = None) -> dict[str, float]:
        """The probability of each arm; they add up to 1.

        Args:
            among: arms that may be chosen now, by default all.

        Raises:
            ValueError: none of `among` is an arm.
        """
        rates = {arm: rate for arm, rate in self.rates().items() if among is None or arm in among}
        if not rates:
            raise ValueError(f"none of {sorted(among or ())} is an arm")
        total = sum(rates.values())
        if total <= 0.0:
            return dict.fromkeys(rates, 1.0 / len(rates))
        even, rest = self.floor / len(rates), (1.0 - self.floor) / total
        return {arm: even + rest * rate for arm, rate in rates.items()}

    def choose(self, rng: random.Random, among: frozenset[str] | None = None) -> str:
        """One arm, of `among` if given; uses one draw of `rng`.

        Raises:
            ValueError: none of `among` is an arm.
        """
        kept = self._steps.get(among)
        if kept is None:
            shares = self.shares(among)
            kept = self._steps[among] = (tuple(shares), list(accumulate(shares.values())))
        arms, steps = kept
        return arms[min(bisect_right(steps, rng.random() * steps[-1]), len(arms) - 1)]

    def credit(self, arm: str, reward: float, cost: float) -> None:
        """Take note of one commit. An arm that is not known (of an older version) only ages the others.

        Args:
            arm: its name.
            reward: what came of it, at least 0.
            cost: counted units; a proposal that cost no evaluation counts as 0.1, so that a habit of
                proposing what is known does not look free.

        Raises:
            ValueError: a negative reward or cost, or one that is not a number.
        """
        if not (reward >= 0.0 and cost >= 0.0):
            raise ValueError(f"arm {arm!r}: reward {reward}, cost {cost}; neither may be negative")
        for name in self.arms:
            self._rewards[name] *= self.discount
            self._costs[name] *= self.discount
        if arm in self._rewards:
            self._rewards[arm] += reward
            self._costs[arm] += max(cost, 0.1)
        self._steps.clear()
