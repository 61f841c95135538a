"""Who searches: strategies as settings of one search, so that they differ in what their name says and in nothing else.

Knows names, sentences and dials; runs nothing. A strategy of a plan is one of these with some dials set otherwise.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from evolve.config import Config
from evolve.errors import UsageError
from evolve.llm.dials import Dials
from evolve.text import clean

__all__ = ["SHIPPED", "Strategy", "strategy_of"]

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to spend a budget.

    Args:
        name: letters, digits and `_.-`; ledgers are named after it.
        about: a sentence.
        dials: of `Config`, where they are not the defaults.
        llm: of `Dials`, likewise; only where a model is asked.
        kind: "search", or "classical" for the problem's baselines, evaluated once.
    """

    name: str
    about: str
    dials: Mapping[str, Any] = field(default_factory=dict)
    llm: Mapping[str, Any] = field(default_factory=dict)
    kind: Literal["search", "classical"] = "search"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UsageError(
                f"strategy {clean(self.name, 60)!r}: a name has letters, digits and _.-, begins with a letter and has "
                "at most 40 of them"
            )
        self.config()
        Dials.of(self.llm)

    def config(self) -> Config:
        """The dials of its search."""
        try:
            return Config.of(self.dials)
        except UsageError as error:
            raise UsageError(f"strategy {self.name!r}: {error}") from None

    def as_dict(self) -> dict[str, Any]:
        """What it is, without the words."""
        config = self.config().as_dict()
        dials = {name: config[name] for name in sorted(self.dials)}
        told: dict[str, Any] = {"name": self.name, "kind": self.kind, "dials": dials}
        return {**told, "llm": dict(self.llm)} if self.llm else told


_ONE: Final = {"islands": 1, "cells": False, "mates": 0, "window": 1, "explore": 0}
"""One program that is held, and each proposal sees what all before it have come to."""

SHIPPED: Final[Mapping[str, Strategy]] = {
    one.name: one
    for one in (
        Strategy("evolution", "the search as it is configured by default"),
        Strategy(
            "no_archive", "evolution without cells: an island holds one program, its best", {"cells": False}
        ),
        Strategy("no_islands", "evolution on one island", {"islands": 1}),
        Strategy("no_tuner", "evolution that tunes no constants of what a model wrote", {}, {"tune": 0}),
        Strategy("tuner", "evolution that tunes the constants of every fresh structure", {"tune": 40}),
        Strategy("no_crossover", "evolution in which no program gets parts of another", {"mates": 0}),
        Strategy(
            "no_inspirations",
            "evolution whose prompts show the parent alone, and no other elites",
            {"mates": 0},
            {"elites": 0},
        ),
        Strategy(
            "independent",
            "independent sampling: every proposal changes the seed program",
            {"root": 1.0, "islands": 1, "mates": 0},
        ),
        Strategy("hill_climbing", "(1+1): one program, replaced by its change where that is no worse", _ONE),
        Strategy(
            "best_of_n",
            "the best of 16 changes of one program is the next that is changed",
            {**_ONE, "brood": 16},
        ),
        Strategy(
            "random_restarts",
            "hill climbing that starts again from the seed program after 300 evaluations without a gain",
            {**_ONE, "restart": 300},
        ),
        Strategy(
            "classical",
            "the best of the problem's own baselines on its training cases, evaluated once: no search",
            kind="classical",
        ),
    )
}
"""All mutators and judges are the same in each of them: where a strategy is worse, it is the strategy."""


def strategy_of(name: str, given: Mapping[str, Any], known: Mapping[str, Strategy]) -> Strategy:
    """A strategy of a plan.

    Args:
        name: its name; that of a shipped one means it, if nothing else is given.
        given: dials, `extends` (a strategy, by default "evolution"), `about` and `llm`.
        known: strategies that it may extend, beside the shipped ones.

    Raises:
        UsageError: an unknown strategy or dial, or a shipped one with other dials.
    """
    every = {**SHIPPED, **known}
    if name in SHIPPED:
        if given:
            raise UsageError(
                f"strategy {name!r} ships with evolve; give yours another name, and extends = {name!r}"
            )
        return SHIPPED[name]
    if not given and name not in every:
        raise UsageError(f"no strategy called {clean(name, 60)!r}; there are: {', '.join(every)}")
    rest = dict(given)
    base = str(rest.pop("extends", "evolution"))
    if base not in every:
        raise UsageError(f"strategy {name!r} extends {clean(base, 60)!r}; there are: {', '.join(every)}")
    llm, about = rest.pop("llm", {}), rest.pop("about", "")
    if not isinstance(llm, Mapping):
        raise UsageError(f"strategy {name!r}: llm is {llm!r}; a table of dials")
    told = ", ".join(f"{dial} = {value}" for dial, value in {**rest, **llm}.items())
    return replace(
        every[base],
        name=name,
        about=clean(str(about), 300) or f"{base} with {told or 'nothing else'}",
        dials={**every[base].dials, **rest},
        llm={**every[base].llm, **llm},
    )
