"""Every dial of a search in one frozen value; an unknown one is an error."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from evolve.errors import UsageError

__all__ = ["Config"]


@dataclass(frozen=True, slots=True)
class Config:
    """How the search is steered. `docs/search.md` has the reasons and the measurements.

    Args:
        islands: isolated archives.
        window: proposal n sees the commits up to n - window, whatever the number of workers.
        uniform: share of parents drawn uniformly from the filled cells.
        greedy: share of parents that are the island's best, at the end of annealing.
        anneal: evaluations over which that share grows, from a fifth of it.
        pressure: how strongly rank counts among the other parents; 0 is uniform.
        fatigue: how fast a parent's weight falls with its uses; 0 is never.
        reset: evaluations after which the worse half of the islands starts again from the better half's best.
        fresh: how many of the islands that start again do so from the seed program, the worst ones first.
        migrate: evaluations after which each island offers its best to its neighbour.
        mates: other elites handed to a mutator, for crossover.
        tune: most evaluations spent on the constants of one fresh structure; 0 for no tuning.
        tune_each: evaluations spent a constant.
        keep: share of the fresh structures that go on being tuned at each look.
        retest: whether would-be elites are evaluated again where the objective is random.
    """

    islands: int = 4
    window: int = 32
    uniform: float = 0.1
    greedy: float = 0.5
    anneal: int = 20_000
    pressure: float = 6.0
    fatigue: float = 0.5
    reset: int = 10_000
    fresh: int = 1
    migrate: int = 2_000
    mates: int = 2
    tune: int = 40
    tune_each: int = 5
    keep: float = 0.3
    retest: bool = True

    def __post_init__(self) -> None:
        for name, low in (
            ("islands", 1),
            ("window", 1),
            ("reset", 1),
            ("migrate", 1),
            ("mates", 0),
            ("tune", 0),
        ):
            if getattr(self, name) < low:
                raise UsageError(f"config: {name} is {getattr(self, name)}; at least {low}")
        for name in ("uniform", "greedy", "keep"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"config: {name} is {getattr(self, name)}; a share between 0 and 1")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Config":
        """A Config from plain options; text is turned into the type of the dial.

        Raises:
            UsageError: an unknown dial, or a value of the wrong type.
        """
        known = {field.name: field for field in fields(cls)}
        given: dict[str, Any] = {}
        for name, value in options.items():
            if name not in known:
                raise UsageError(f"config: no dial called {name!r}; there are: {', '.join(known)}")
            wanted: type[Any] = type(getattr(cls(), name))
            try:
                given[name] = value in (True, "1", "true", "yes") if wanted is bool else wanted(value)
            except (TypeError, ValueError):
                raise UsageError(f"config: {name} is {value!r}; it takes {wanted.__name__}") from None
        return cls(**given)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for the ledger."""
        return asdict(self)
