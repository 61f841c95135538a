"""Puts a prompt together: what many requests share first, what is this one request's alone last.

Servers keep the attention state of prefixes they have seen, so the order decides how much of a prompt costs anything:
system and format, problem, elites; then the parent; then failures and the instruction. Nothing above the parent may
depend on the parent, the instruction, a clock or chance. Knows facts, templates and room; knows no model or server.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from hashlib import blake2b

from evolve.errors import UsageError
from evolve.llm import telling
from evolve.llm.facts import Facts, Failure, Order, Shown, Statement
from evolve.llm.records import Message
from evolve.llm.templates import Templates
from evolve.llm.untrusted import defused, fenced

__all__ = ["Prompt", "PromptError", "build"]


class PromptError(UsageError):
    """What must be in a prompt does not fit into its room."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What to send.

    Args:
        request_parts: a system message and one of the user: some chat templates refuse two of one role in a row.
        stable: hash of all above the parent; requests that share it are best sent to one server.
        texts: the pieces in order: `texts[0]` is the system message, the rest in a row the user's.
        trimmed: what was left out for want of room, in the order in which it went.
    """

    request_parts: tuple[Message, ...]
    stable: str
    texts: tuple[str, ...]
    trimmed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Kept:
    """How much of the facts above the parent is in: for lists how many from the front."""

    elites: int
    lessons: int
    changes: bool = True
    notes: bool = True
    primitives: bool = True
    description: bool = True


@dataclass(frozen=True, slots=True)
class _Shared:
    """The facts above the parent, cut to what is kept: the key of the cache of their texts."""

    statement: Statement
    format: str
    elites: tuple[Shown, ...]
    changes: bool
    notes: str
    lessons: tuple[str, ...]


def build(
    facts: Facts,
    order: Order,
    room: int,
    count: Callable[[str], int],
    templates: Templates | None = None,
) -> Prompt:
    """Build the prompt of one request.

    What does not fit is left out, the least useful first: failures from the last, elites from the worst down to two,
    what changed between elites, the rest of the elites, lessons from the last, notes, primitives, description. System
    text, signature and objective, parent and instruction are never cut. For what is above the parent, the space of
    parent and instruction is rounded up (by a quarter at most), so that a word more or less in them changes nothing.

    Args:
        facts: what is known.
        order: what is asked.
        room: tokens that the prompt may take.
        count: estimates the tokens of a text.
        templates: words; those of the package if None.

    Raises:
        PromptError: what is never cut does not fit.
    """
    words = templates if templates is not None else _default()
    parent, task = _parent(words, facts), _instruction(words, facts, order)
    ends = [count(parent), count(task)]
    head, trimmed = _fitting(words, facts, order, room - _rounded(sum(ends)), count)
    left = room - sum(ends) - _size(head, count)
    if left < 0:
        raise _does_not_fit(room, [*map(count, head[:2]), *ends])
    # What is more useful than a failure had to go: no failure stays, even where rounding left room for one.
    failures = () if trimmed else facts.failures
    while failures and count(_failures(words, failures)) > left:
        failures = failures[:-1]
    gone = [f"failure {number}" for number in range(len(facts.failures), len(failures), -1)]
    pieces = (*head, parent, _failures(words, failures), task)
    texts = tuple(text for text in pieces if text)
    messages = Message("system", texts[0]), Message("user", "".join(texts[1:]))
    return Prompt(messages, _key(head), texts, (*gone, *trimmed))


@cache
def _default() -> Templates:
    return Templates.load()


def _size(texts: Iterable[str], count: Callable[[str], int]) -> int:
    return sum(count(text) for text in texts if text)


def _fitting(
    words: Templates, facts: Facts, order: Order, room: int, count: Callable[[str], int]
) -> tuple[tuple[str, str, str], tuple[str, ...]]:
    """All above the parent, cut until it fits or nothing more may go; and what went.

    Sees nothing of parent and task but the room they leave: two that leave the same share these texts.
    """
    kept = _Kept(len(facts.elites), len(facts.lessons))
    head = _head(words, _shared(facts, order, kept))
    cuts, trimmed = _cuts(facts, kept), list[str]()
    while _size(head, count) > room:
        name, kept = next(cuts, ("", kept))
        if not name:
            break
        trimmed.append(name)
        head = _head(words, _shared(facts, order, kept))
    return head, tuple(trimmed)


def _rounded(tokens: int) -> int:
    """Up to two binary digits behind the first: 12% more on average, so that parents of about one size count alike."""
    step = 1 << max(0, tokens.bit_length() - 3)
    return -(-tokens // step) * step


def _does_not_fit(room: int, counts: list[int]) -> PromptError:
    parts = zip(("system", "problem", "current program", "instruction"), counts, strict=True)
    told = ", ".join(f"{name} {tokens}" for name, tokens in parts)
    return PromptError(
        f"the prompt needs at least {sum(counts)} tokens ({told}) and has room for {room}; serve the model with a "
        "longer context, allow shorter replies, or keep programs shorter"
    )


def _cuts(facts: Facts, kept: _Kept) -> Iterator[tuple[str, _Kept]]:
    """What may go above the parent, the least useful first: its name, and what is kept then."""
    for left in reversed(range(2, kept.elites)):
        kept = replace(kept, elites=left)
        yield f"elite {left + 1}", kept
    if kept.elites == 2:
        kept = replace(kept, changes=False)
        yield "changes", kept
    for left in reversed(range(kept.elites)):
        kept = replace(kept, elites=left)
        yield f"elite {left + 1}", kept
    for left in reversed(range(kept.lessons)):
        kept = replace(kept, lessons=left)
        yield f"lesson {left + 1}", kept
    for name, text in (
        ("notes", facts.notes),
        ("primitives", facts.statement.primitives),
        ("description", facts.statement.description),
    ):
        if text:
            kept = replace(kept, **{name: False})
            yield name, kept


def _shared(facts: Facts, order: Order, kept: _Kept) -> _Shared:
    statement = facts.statement
    if not kept.primitives:
        statement = replace(statement, primitives="")
    if not kept.description:
        statement = replace(statement, description="")
    return _Shared(
        statement=statement,
        format=order.format,
        elites=facts.elites[: kept.elites],
        changes=kept.changes,
        notes=facts.notes if kept.notes else "",
        lessons=facts.lessons[: kept.lessons],
    )


def _key(head: tuple[str, str, str]) -> str:
    digest = blake2b(digest_size=16)
    for text in head:
        digest.update(text.encode("utf-8"))
        digest.update(b"\0")
    return digest.hexdigest()


# An epoch has a handful of these, one for each island, format and way of trimming.
@lru_cache(maxsize=64)
def _head(words: Templates, shared: _Shared) -> tuple[str, str, str]:
    """System text, problem and elites: everything above the parent."""
    system = words.render("system", format=words.render(f"format_{shared.format}").rstrip("\n"))
    return system, _problem(words, shared), _elites(words, shared)


def _problem(words: Templates, shared: _Shared) -> str:
    statement, trusted = shared.statement, telling.tell_trusted
    lessons = notes = ""
    if shared.notes.strip():
        notes = words.render("notes", notes=trusted(shared.notes)).rstrip("\n")
    if shared.lessons:
        told = "\n".join("- " + " ".join(defused(text, 1_000).split()) for text in shared.lessons)
        lessons = words.render("lessons", lessons=fenced(told, "text")).rstrip("\n")
    documented = f"It says: {trusted(statement.docstring)}" if statement.docstring else ""
    primitives = trusted(statement.primitives)
    text = words.render(
        "problem",
        description=trusted(statement.description),
        entry=statement.entry,
        signature=fenced(trusted(statement.signature), "python"),
        docstring=documented,
        form=statement.form,
        returns=statement.returns,
        objective=telling.tell_goal(statement.objective),
        better=telling.better(statement.objective),
        measures=telling.tell_measures(statement),
        imports=statement.imports,
        primitives=primitives and f"Functions and names that may help, with kinds:\n{primitives}",
        limits=telling.tell_limits(statement.limits),
        notes=notes,
        lessons=lessons,
    )
    return _ended(text)


def _elites(words: Templates, shared: _Shared) -> str:
    if not shared.elites:
        return ""
    objective = shared.statement.objective
    told = []
    for place, one in enumerate(shared.elites, 1):
        change = ""
        if place > 1 and shared.changes:
            diff = telling.tell_change(one.source, shared.elites[place - 2].source)
            numbers = {"place": str(place), "better_place": str(place - 1)}
            change = diff and words.render("change", diff=diff, **numbers).rstrip("\n")
        text = words.render(
            "elite",
            place=str(place),
            value=telling.tell_value(objective, one.objective),
            scores=telling.tell_scores(objective, one),
            source=telling.tell_source(one.source),
            change=change,
        )
        told.append(text.rstrip("\n"))
    return _ended(words.render("elites", elites="\n\n".join(told)))


def _told(words: Templates, name: str, statement: Statement, one: Shown, place: str = "") -> str:
    """The parent, or a mate: with all its numbers."""
    return words.render(
        name,
        place=place,
        entry=statement.entry,
        value=telling.tell_value(statement.objective, one.objective),
        scores=telling.tell_scores(statement.objective, one, full=True),
        source=telling.tell_source(one.source),
    )


def _parent(words: Templates, facts: Facts) -> str:
    return _ended(_told(words, "parent", facts.statement, facts.parent))


def _failures(words: Templates, failures: tuple[Failure, ...]) -> str:
    if not failures:
        return ""
    told = [words.render("failure", text=telling.tell_failure(one)).rstrip("\n") for one in failures]
    return _ended(words.render("failures", failures="\n\n".join(told)))


def _instruction(words: Templates, facts: Facts, order: Order) -> str:
    statement = facts.statement
    objective = statement.objective
    values = {
        "entry": statement.entry,
        "objective": telling.tell_name(objective),
        "better": telling.better(objective),
        "value": telling.tell_value(objective, facts.parent.objective),
        "hints": "\n".join(f"- {telling.tell_trusted(hint)}" for hint in order.hints),
    }
    ending = {"entry": statement.entry}
    if order.format == "grammar":
        ending |= {"sites": telling.tell_sites(order.sites), "hole": order.hole}
    values["ending"] = words.render(f"ending_{order.format}", **ending).rstrip("\n")
    if order.kind == "crossover":
        mates = (_told(words, "mate", statement, one, str(place)) for place, one in enumerate(order.mates, 1))
        values["mates"] = "\n\n".join(text.rstrip("\n") for text in mates)
    if order.kind == "repair" and order.failure is not None:
        values["source"] = telling.tell_failed(order.failed)
        values["error"] = telling.tell_failure(order.failure)
    return words.render(order.kind, **values)


def _ended(text: str) -> str:
    """A piece, and the empty line that parts it from the next."""
    return text.rstrip("\n") + "\n\n"
