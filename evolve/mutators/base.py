"""The one protocol of everything that makes proposals: a Context in, a Draft out.

Knows what a mutator may see and must say. Knows nothing of how any of them works, nor of the loop.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from evolve.identity import text_hash
from evolve.programs_db.records import Program

__all__ = ["AsyncMutator", "Context", "Draft", "Mutator"]


@dataclass(frozen=True, slots=True)
class Context:
    """What a mutator sees of a run.

    Args:
        rng: the proposal's own generator, `random.Random(key of run seed and proposal number)`: 3-5 us to
            make, where a numpy Generator takes 15-20 us. Use no other source of chance.
        parent: the program to change.
        mates: other elites, for inspiration or crossover; may be empty.
        known: whether a canonical hash was proposed before; a proposal that is known is a proposal wasted.
    """

    rng: random.Random
    parent: Program
    mates: tuple[Program, ...] = ()
    known: Callable[[str], bool] = lambda _canonical: False


@dataclass(frozen=True, slots=True)
class Draft:
    """What a mutator proposes: a program before its constants are tuned, or the reason why there is none.

    Args:
        source: text of the block; empty if `error` is set.
        canonical: canonical hash of `source`.
        structure: structure hash of `source`.
        nodes: size of its syntax tree.
        operator: the mutator's own word for what it did; credit is given to it.
        constants: how many float literals of the entry may be tuned.
        parents: ids of the programs that it was made of, the one that was changed first.
        error: why there is no program.
    """

    source: str
    canonical: str
    structure: str
    nodes: int
    operator: str = ""
    constants: int = 0
    parents: tuple[str, ...] = ()
    error: str | None = None

    @property
    def id(self) -> str:
        """The id of the Program that this text is."""
        return text_hash(self.source)

    @classmethod
    def failed(cls, operator: str, error: str, parents: tuple[str, ...] = ()) -> "Draft":
        """No program, and why."""
        return cls("", "", "", 0, operator, 0, parents, error)


class Mutator(Protocol):
    """Makes proposals.

    Contract: `propose` is a function of the Context and of the credits given so far, and of nothing else;
    it never runs a program. Its state, if any, is a fold over `credit` calls in the order of commits, so that
    a resumed run rebuilds it exactly. What it proposes is valid Python that keeps the entry's name and
    signature; if it finds nothing it answers with `Draft.failed` and does not raise.
    """

    @property
    def name(self) -> str:
        """What proposals are recorded under."""
        ...

    def propose(self, context: Context) -> Draft:
        """Change a program."""
        ...

    def credit(self, operator: str, reward: float, cost: float) -> None:
        """Learn what a committed proposal of this mutator was worth.

        Args:
            operator: `Draft.operator`.
            reward: from 0 (nothing) to 1, see `bandit.reward_of`.
            cost: counted units (evaluations, tokens), never a clock.
        """
        ...


class AsyncMutator(Protocol):
    """A mutator that waits for something, like a language model: the same contract, and `propose` is awaited.

    A loop that serves both asks `inspect.isawaitable(answer)`; a plain Mutator costs it no event.
    """

    @property
    def name(self) -> str:
        """What proposals are recorded under."""
        ...

    def propose(self, context: Context) -> Awaitable[Draft]:
        """Change a program."""
        ...

    def credit(self, operator: str, reward: float, cost: float) -> None:
        """See `Mutator.credit`."""
        ...
