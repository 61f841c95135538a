"""Lessons: what a model sums up of what helped and what did not, for the stable part of later prompts.

Builds that one request and reads its answer, which is text of a model like any other. Knows no run.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from evolve.llm import telling
from evolve.llm.facts import Failure, Shown, Statement
from evolve.llm.templates import Templates
from evolve.llm.untrusted import defused, fenced
from evolve.text import clean

__all__ = ["HUMAN", "LONGEST", "MOST", "Change", "condense", "lesson_record", "read_lessons"]

MOST: Final = 12
"""Lessons that are kept."""

HUMAN: Final = "human"
"""Who wrote lessons that no model replaces."""

LONGEST: Final = 300
"""Characters of one."""

_BULLET: Final = re.compile(r"^[ \t]*(?:[-*\u2022]|\d{1,2}[.)])[ \t]+(\S.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Change:
    """A program that was made of another, and how both did.

    Args:
        before: the parent.
        after: what came of it.
    """

    before: Shown
    after: Shown


def lesson_record(lessons: Sequence[str], asked: int, model: str | None = None) -> dict[str, Any]:
    """Lessons as the ledger keeps them.

    Args:
        lessons: that hold from now on.
        asked: requests that were entered before.
        model: who wrote them, as the server calls it; None for a human.
    """
    by = {"by": HUMAN} if model is None else {"by": "model", "model": model}
    return {**by, "asked": asked, "lessons": list(lessons)}


def condense(
    statement: Statement,
    changes: Sequence[Change],
    failures: Sequence[Failure],
    lessons: Sequence[str],
    limits: tuple[int, Callable[[str], int]],
    templates: Templates,
) -> str:
    """The prompt that asks for lessons; where there is no room the oldest changes and failures go.

    Args:
        statement: the problem.
        changes: the latest last.
        failures: the latest last.
        lessons: those that hold so far.
        limits: tokens of room, and what counts the tokens of a text.
        templates: words.
    """
    room, count = limits
    told, bad = list(changes), list(failures)
    while True:
        text = templates.render(
            "condense",
            description=telling.tell_trusted(statement.description),
            signature=fenced(telling.tell_trusted(statement.signature), "python"),
            objective=telling.tell_goal(statement.objective),
            better=telling.better(statement.objective),
            changes="\n\n".join(_told(statement, one) for one in told),
            failures="\n\n".join(telling.tell_failure(one) for one in bad),
            lessons=fenced("\n".join("- " + defused(one, 1_000) for one in lessons), "text")
            if lessons
            else "",
        )
        if count(text) <= room or not (told or bad):
            return text
        del (told if len(told) >= len(bad) else bad)[0]


def _told(statement: Statement, one: Change) -> str:
    before, after = (
        telling.tell_value(statement.objective, each.objective) for each in (one.before, one.after)
    )
    return f"{before} -> {after}\n\n{telling.tell_change(one.before.source, one.after.source)}"


def read_lessons(text: str) -> tuple[str, ...]:
    """The lessons in an answer: its list items, cleaned and cut; empty if it has none."""
    found = (clean(" ".join(item.split()), LONGEST) for item in _BULLET.findall(text[:100_000]))
    return tuple(dict.fromkeys(one for one in found if one))[:MOST]
