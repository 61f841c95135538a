"""How models are asked in a run: every dial in one frozen value, kept in the ledger; an unknown one is an error.

What a run costs, and where its servers are, is not here: neither changes what a model is asked.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final, Self

from evolve.errors import UsageError
from evolve.llm.templates import FORMATS, KINDS
from evolve.llm.wire import check_sampling

__all__ = ["DRAWN", "Dials"]

DRAWN: Final = tuple(kind for kind in KINDS if kind != "repair")
"""Kinds that are chosen; a repair is asked for when something failed."""

_CONTEXT: Final = 32_768  # where nobody says
_LONGEST: Final = 4_096

_LOWEST: Final = {
    "samples": 1,
    "max_tokens": 0,
    "context": 0,
    "characters": 0.25,
    "elites": 0,
    "epoch": 1,
    "failures": 0,
    "lessons": 0,
    "tune": 0,
    "deadline": 0.01,
}


@dataclass(frozen=True, slots=True)
class Dials:
    """How models are asked.

    Args:
        models: their names; "" is what the endpoint serves.
        formats: in which answers may be written; a bandit chooses among models and formats.
        kinds: what may be asked for; another bandit chooses.
        samples: answers to one prompt, each of them a proposal.
        max_tokens: of one answer, reasoning included; 0 is a quarter of the context, and not more than 4,096.
        context: tokens that a prompt and its answer may have together; 0 is as the server says.
        characters: of text that make a token, as prompts are cut to their room; fewer is safer.
        sampling: temperature, top_p and the like as servers take them; what is not set is the model's own.
        elites: how many of an island's best stand in a prompt.
        epoch: answers after which the elites in prompts are brought up to date: until then prompts begin alike, and
            a server need not read that beginning again.
        greedy: share of parents that are as good as the best of their island; the others go by rank.
        failures: how many failures of relatives stand in a prompt.
        lessons: answers after which a model sums up what helped and what did not; 0 is never.
        repair: whether what failed is given back once, with its error.
        tune: most evaluations spent on the constants of one fresh structure that a model wrote; 0 for no tuning.
        syntactic: whether the syntactic mutator keeps idle cores busy.
        deadline: seconds for one attempt at a request.
        templates: folder with templates that replace the package's, or "".
        notes: of the human, for every prompt.

    Raises:
        UsageError: a value that cannot be meant.
    """

    models: tuple[str, ...] = ("",)
    formats: tuple[str, ...] = FORMATS
    kinds: tuple[str, ...] = DRAWN
    samples: int = 1
    max_tokens: int = 0
    context: int = 0
    characters: float = 2.0
    sampling: Mapping[str, Any] = field(default_factory=dict)
    elites: int = 4
    epoch: int = 64
    greedy: float = 0.2
    failures: int = 2
    lessons: int = 200
    repair: bool = True
    tune: int = 40
    syntactic: bool = True
    deadline: float = 600.0
    templates: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        for name, low in _LOWEST.items():
            if not low <= getattr(self, name) < math.inf:
                raise UsageError(f"llm: {name} is {getattr(self, name)}; at least {low}, and finite")
        for name, known in (("formats", FORMATS), ("kinds", DRAWN)):
            given = getattr(self, name)
            if not given or len(set(given)) != len(given) or not set(given) <= set(known):
                raise UsageError(
                    f"llm: {name} is {','.join(given) or 'empty'}; one or more of {', '.join(known)}"
                )
        if not self.models or len(set(self.models)) != len(self.models):
            raise UsageError(
                f"llm: models is {','.join(self.models) or 'empty'}; at least one, and none twice"
            )
        if not 0.0 <= self.greedy <= 1.0:
            raise UsageError(f"llm: greedy is {self.greedy}; a share between 0 and 1")
        check_sampling(self.sampling)
        if self.context and self.context <= self.max_tokens + 256:
            raise UsageError(
                f"llm: context is {self.context} tokens, for prompt and answer; say more than {self.max_tokens + 256}, "
                "or a smaller max_tokens"
            )

    @property
    def room(self) -> int:
        """Tokens for a prompt; of dials that are `resolved`."""
        return self.context - self.max_tokens

    def count(self, text: str) -> int:
        """Tokens of a text, estimated from its bytes."""
        return int(len(text if text.isascii() else text.encode("utf-8", "replace")) / self.characters) + 1

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Dials from plain data, or from words of a command line.

        Raises:
            UsageError: an unknown dial, or a value of the wrong type.
        """
        known = {one.name: one for one in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in given.items():
            if name not in known:
                raise UsageError(f"llm: no dial called {name!r}; there are: {', '.join(known)}")
            try:
                values[name] = _typed(getattr(cls(), name), value)
            except (TypeError, ValueError):
                raise UsageError(f"llm: {name} is {value!r}, which it cannot be") from None
        return cls(**values)

    def resolved(self, context: int, binds: bool) -> Self:
        """With what servers say of themselves.

        Args:
            context: length of the shortest model in tokens; 0 where none says.
            binds: whether every server obeys a constraint.

        Raises:
            UsageError: only guided edits are wanted, and a server does not obey constraints; or no prompt has room
                for the notes.
        """
        formats = self.formats if binds else tuple(one for one in self.formats if one != "grammar")
        if not formats:
            raise UsageError("llm: the server obeys no constraint, so 'grammar' cannot be the only format")
        whole = self.context or context or _CONTEXT
        most = self.max_tokens or min(_LONGEST, whole // 4)
        if self.notes and self.count(self.notes) > whole - most:
            raise UsageError(
                f"llm: the notes have about {self.count(self.notes)} tokens, and a prompt has room for {whole - most}; "
                "shorten them"
            )
        return replace(self, context=whole, max_tokens=most, formats=formats)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for the ledger."""
        told = asdict(self)
        return {**told, "sampling": dict(told["sampling"])}


def _typed(default: Any, value: Any) -> Any:
    if isinstance(default, bool):
        if value in (True, "1", "true", "yes"):
            return True
        if value in (False, "0", "false", "no"):
            return False
        raise ValueError(value)
    if isinstance(default, tuple):
        return tuple(value.split(",")) if isinstance(value, str) else tuple(value)
    if isinstance(default, Mapping):
        given = json.loads(value) if isinstance(value, str) else value
        return dict(given)
    return type(default)(value)
