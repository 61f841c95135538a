"""A simulated model: a mix of edits with settable rates of invalid, duplicate and lazy answers, and a price for each.

For comparing search policies by the thousand. It is no model and says nothing of any: it knows syntax, as the syntactic
mutator does, whose operators it draws evenly. What its answers would cost is computed from how many there were.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Self

from evolve.budget import Budget
from evolve.config import Config
from evolve.errors import UsageError
from evolve.mutators.base import Context, Draft
from evolve.mutators.syntactic import SyntacticMutator
from evolve.programs_db.records import Program

__all__ = ["SIMULATED", "Simulated", "SimulatedModel"]

SIMULATED: Final = "a simulation: no model was asked"
"""The label that everything made with it carries."""

_MOST_EDITS: Final = 32


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulated model is like.

    Args:
        invalid: share of answers that hold no program.
        duplicate: share of answers that repeat a program of the prompt.
        lazy: share of answers that move one constant of the parent, and nothing else.
        step: edits at once in all other answers, on average; their number is drawn from a geometric distribution.
        tokens: of one answer with its prompt.
        latency: seconds until an answer is there.
        price: of one answer.
        slots: answers under way at once; so many commits a proposal does not see.

    Raises:
        UsageError: a value that cannot be meant.
    """

    invalid: float = 0.1
    duplicate: float = 0.1
    lazy: float = 0.1
    step: float = 2.0
    tokens: int = 1_000
    latency: float = 5.0
    price: float = 0.0
    slots: int = 8

    def __post_init__(self) -> None:
        shares = self.invalid, self.duplicate, self.lazy
        if not all(0.0 <= share <= 1.0 for share in shares) or sum(shares) > 0.99:
            raise UsageError(
                f"simulated: invalid {self.invalid}, duplicate {self.duplicate}, lazy {self.lazy}; shares from 0 to 1 "
                "that leave at least 0.01 for other answers"
            )
        for name, low in (("step", 1), ("tokens", 1), ("latency", 0), ("price", 0), ("slots", 1)):
            if not low <= getattr(self, name) < math.inf:
                raise UsageError(f"simulated: {name} is {getattr(self, name)}; at least {low}, and finite")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """From plain data or words; a word is turned into the type of its dial.

        Raises:
            UsageError: an unknown dial, or a value of the wrong type.
        """
        default = cls()
        known: dict[str, type[Any]] = {one.name: type(getattr(default, one.name)) for one in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in given.items():
            if name not in known:
                raise UsageError(f"simulated: no dial called {name!r}; there are: {', '.join(known)}")
            try:
                values[name] = known[name](value)
            except (TypeError, ValueError, OverflowError):
                raise UsageError(f"simulated: {name} is {value!r}; it takes {known[name].__name__}") from None
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for the ledger."""
        return asdict(self)

    def config(self, config: Config) -> Config:
        """The dials of a search that asks this model: as much is under way as it has slots."""
        return replace(config, window=self.slots, ramp=0)

    def budget(self, budget: Budget) -> Budget:
        """The same budget with requests, tokens and money as proposals, each of which is an answer.

        Raises:
            UsageError: not even one answer fits, or money is limited and answers cost nothing.
        """
        if budget.money is not None and not self.price:
            raise UsageError("a budget in money needs a price: say price= of the simulated model")
        most = [
            amount / each
            for amount, each in (
                (budget.requests, 1),
                (budget.tokens, self.tokens),
                (budget.money, self.price),
                (budget.proposals, 1),
            )
            if amount is not None
        ]
        if most and min(most) < 1:
            raise UsageError(f"budget {budget}: one answer of the simulated model costs more than that")
        proposals = math.floor(min(most) * (1 + 1e-12)) if most else None  # 0.3 / 0.1 is less than 3
        return replace(budget, requests=None, tokens=None, money=None, proposals=proposals)

    def cost(self, answers: int) -> dict[str, float]:
        """What so many answers would take: requests, tokens, seconds (all slots busy), money."""
        return {
            "requests": answers,
            "tokens": answers * self.tokens,
            "seconds": answers * self.latency / self.slots,
            "money": answers * self.price,
        }


class SimulatedModel:
    """The mutator. It learns nothing, as a model in a run does not: a proposal follows from its Context alone.

    Args:
        like: what the model is like.
        edits: makes the edits.
    """

    name = "simulated"

    def __init__(self, like: Simulated, edits: SyntacticMutator) -> None:
        self.like = like
        self.edits = edits

    def propose(self, context: Context) -> Draft:
        """One answer."""
        like, draw = self.like, context.rng.random()
        parents = (context.parent.id,)
        if draw < like.invalid:
            return Draft.failed("invalid", f"{SIMULATED}; this answer holds no program", parents)
        if draw < like.invalid + like.duplicate:
            shown = (context.parent, *context.mates)
            return _unchanged(shown[context.rng.randrange(len(shown))], "duplicate")
        if draw < like.invalid + like.duplicate + like.lazy:
            lazy = self.edits.propose_with("constant", context)
            return _unchanged(context.parent, "lazy") if lazy.error else replace(lazy, operator="lazy")
        return self._edited(context, self._count(context.rng.random()))

    def _count(self, draw: float) -> int:
        """How many edits: geometric, by inversion."""
        if self.like.step <= 1:
            return 1
        return min(_MOST_EDITS, 1 + int(math.log1p(-draw) / math.log1p(-1 / self.like.step)))

    def _edited(self, context: Context, count: int) -> Draft:
        parents = dict.fromkeys((context.parent.id,))
        made, now = None, context
        for left in reversed(range(count)):
            # Only what is answered must not be known: on the way there anything goes.
            draft = self.edits.propose(now if not left else replace(now, known=_nothing))
            if draft.error:
                break
            parents.update(dict.fromkeys(draft.parents[1:]))
            made = replace(draft, operator=f"{count - left} edits" if left < count - 1 else "1 edit")
            program = Program(draft.id, draft.source, draft.canonical, draft.structure, draft.nodes)
            now = replace(now, parent=program)
        if made is None:
            return Draft.failed("edits", "nothing in the parent may change", (context.parent.id,))
        return replace(made, parents=tuple(parents))

    def credit(self, operator: str, reward: float, cost: float) -> None:
        """See `Mutator.credit`; it learns nothing."""


def _nothing(_: str) -> bool:
    return False


def _unchanged(program: Program, operator: str) -> Draft:
    return Draft(
        program.source,
        program.canonical,
        program.structure,
        program.nodes,
        operator,
        parents=(program.id,),
    )
