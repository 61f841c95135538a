"""What was asked of a model and what came back, as records and as rows of the ledger.

Knows the columns of requests, replies and samples; knows no server and does no I/O of its own.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlite_utils import Database

from evolve.programs_db.audit import text_hash
from evolve.programs_db.rows import Stamp, dump

__all__ = [
    "Answered",
    "Asked",
    "Dialogue",
    "Entry",
    "Said",
    "Spent",
    "dialogues",
    "entries",
    "insert_answered",
    "insert_asked",
    "insert_wasted",
    "spent",
    "text_of",
]
_TOKENS = "prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to a model, for one or several proposals.

    Args:
        first: number of the first of its proposals; the others follow it.
        samples: how many answers it asks for, a proposal each.
        attempt: 0, or how often it had been asked before.
        seen: commits that there were when it was drawn.
        kind: the mutator's word for what it asks ("improve", ...).
        model: name of the model.
        prompt: (role, text) of each piece, in order; a text is stored once, whoever uses it.
        parameters: sampling, constraint, most tokens: plain data.
    """

    first: int
    samples: int
    attempt: int
    seen: int
    kind: str
    model: str
    prompt: tuple[tuple[str, str], ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Said:
    """One of the answers: its text (None where there was none), its reasoning, and why it ended."""

    text: str | None
    reasoning: str = ""
    finish: str = "stop"


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens, as servers count them; cached ones are among those of the prompt, reasoning among the completion's."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0

    @property
    def tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt + self.completion

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a request; `error` says why there are no answers.

    Args:
        said: the answers, in the order of the proposals.
        spent: tokens of the try that gave the answers.
        model: as the server calls itself.
        server: its fingerprint, if it tells one.
        endpoint: its URL, without keys.
        tries: how often it was sent.
        seconds: from the first try to the last byte.
        error: one sentence; untrusted text.
    """

    said: tuple[Said, ...]
    spent: Spent
    model: str = ""
    server: str = ""
    endpoint: str = ""
    tries: int = 1
    seconds: float = 0.0
    error: str | None = None


class Dialogue(NamedTuple):
    """A request, once there is one its reply, and what was billed for tries that failed."""

    asked: Asked
    answered: Answered | None
    wasted: tuple[Spent, ...] = ()


def insert_asked(db: Database, asked: Asked, stamp: Stamp) -> int:
    """Write a request, and return its id. To be called within a transaction."""
    pieces = [(role, _put(db, text)) for role, text in asked.prompt]
    cursor = db.execute(
        "INSERT INTO requests (first, samples, attempt, seen, kind, model, prompt, parameters, session, at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(asked.first, asked.samples, asked.attempt, asked.seen, asked.kind, asked.model),
            *(dump(pieces), dump(asked.parameters), stamp.session, stamp.at),
        ),
    )
    return int(cursor.lastrowid or 0)


def insert_answered(db: Database, request: int, answered: Answered, stamp: Stamp) -> None:
    """Write the reply to a request. To be called within a transaction."""
    spent = answered.spent
    db.execute(
        "INSERT INTO replies (request, model, server, endpoint, error, prompt_tokens, cached_tokens, "
        "completion_tokens, reasoning_tokens, tries, seconds, session, at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(request, answered.model, answered.server, answered.endpoint, answered.error),
            *(spent.prompt, spent.cached, spent.completion, spent.reasoning),
            *(answered.tries, answered.seconds, stamp.session, stamp.at),
        ),
    )
    for position, said in enumerate(answered.said):
        text = None if said.text is None else _put(db, said.text)
        reasoning = _put(db, said.reasoning) if said.reasoning else None
        db.execute(
            "INSERT INTO samples (request, position, text, reasoning, finish) VALUES (?, ?, ?, ?, ?)",
            (request, position, text, reasoning, said.finish),
        )


def insert_wasted(db: Database, request: int, spent: Spent, stamp: Stamp) -> None:
    """Write a try that failed and was billed. To be called within a transaction."""
    db.execute(
        "INSERT INTO wastes (request, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, session, at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (request, spent.prompt, spent.cached, spent.completion, spent.reasoning, stamp.session, stamp.at),
    )


def _put(db: Database, text: str) -> str:
    """Store a text once; as in a program, a lone surrogate is written as its escape."""
    text = text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
    name = text_hash(text)
    db.execute("INSERT OR IGNORE INTO texts (hash, text) VALUES (?, ?)", (name, text))
    return name


def dialogues(db: Database, only: int | None = None) -> Iterator[Dialogue]:
    """Requests in the order of writing, with what came of them; all, or the one with an id."""
    which = "" if only is None else f" AND request = {int(only)}"
    named = f"SELECT text FROM samples WHERE 1{which} UNION SELECT reasoning FROM samples WHERE 1{which} "  # noqa: S608
    which = which.replace("request", "requests.id")
    asked_for = f"UNION SELECT json_extract(value, '$[1]') FROM requests, json_each(prompt) WHERE 1{which}"  # noqa: S608
    texts = dict(db.execute(f"SELECT hash, text FROM texts WHERE hash IN ({named}{asked_for})"))  # noqa: S608
    samples: dict[int, list[Said]] = {}
    for request, text, reasoning, finish in db.execute(
        "SELECT request, text, reasoning, finish FROM samples WHERE request = :only OR :only IS NULL "
        "ORDER BY request, position",
        {"only": only},
    ):
        said = Said(None if text is None else texts[text], texts[reasoning] if reasoning else "", finish)
        samples.setdefault(request, []).append(said)
    wasted = _wasted(db)
    for row in db.execute(
        "SELECT q.id, first, samples, attempt, seen, kind, q.model, prompt, parameters, r.request, r.model, server, "
        "endpoint, tries, r.seconds, error, prompt_tokens, cached_tokens, completion_tokens, "
        "reasoning_tokens FROM requests q LEFT JOIN replies r ON r.request = q.id "
        "WHERE q.id = :only OR :only IS NULL ORDER BY q.id",
        {"only": only},
    ):
        prompt = tuple((role, texts[name]) for role, name in json.loads(row[7]))
        first, count, attempt, seen, kind, model = row[1:7]
        asked = Asked(first, count, attempt, seen, kind, model, prompt, json.loads(row[8]))
        answered = None
        if row[9] is not None:
            answered = Answered(tuple(samples.get(row[0], ())), Spent(*row[16:20]), *row[10:16])
        yield Dialogue(asked, answered, wasted.get(row[0], ()))


def _wasted(db: Database) -> dict[int, tuple[Spent, ...]]:
    """What was billed for tries that failed, by request."""
    found: dict[int, tuple[Spent, ...]] = {}
    for request, *tokens in db.execute(f"SELECT request, {_TOKENS} FROM wastes ORDER BY id"):  # noqa: S608
        found[request] = (*found.get(request, ()), Spent(*tokens))
    return found


@dataclass(frozen=True, slots=True)
class Entry:
    """A request as the ledger lists it, without its texts.

    Args:
        id: of its row; `Reading.dialogue` has the texts.
        first: number of the first of its proposals.
        samples: how many they are.
        attempt: how often it had been asked before.
        seen: commits that there were when it was drawn.
        kind: what it asks for.
        model: as the request names it.
        repairs: number of the proposal that it repairs, or None.
        most: tokens that were asked for at most, over all samples.
        answered: whether there is a reply.
        spent: tokens of the reply.
        wasted: what was billed for tries that failed.
    """

    id: int
    first: int
    samples: int
    attempt: int
    seen: int
    kind: str
    model: str
    repairs: int | None
    most: int
    answered: bool
    spent: Spent
    wasted: tuple[Spent, ...] = ()

    @property
    def tokens(self) -> int:
        """All that were billed for it."""
        return self.spent.tokens + sum(one.tokens for one in self.wasted)


def entries(db: Database) -> Iterator[Entry]:
    """Every request in the order of writing."""
    wasted = _wasted(db)
    wasted = _wasted(db)
    for row in db.execute(
        "SELECT q.id, first, samples, attempt, seen, kind, q.model, json_extract(parameters, '$.repairs'), "
        "samples * coalesce(json_extract(parameters, '$.max_tokens'), 0), r.request IS NOT NULL, "
        "coalesce(prompt_tokens, 0), coalesce(cached_tokens, 0), coalesce(completion_tokens, 0), "
        "coalesce(reasoning_tokens, 0) FROM requests q LEFT JOIN replies r ON r.request = q.id ORDER BY q.id"
    ):
        name, first, samples, attempt, seen, kind, model, repairs, most, answered = row[:10]
        yield Entry(
            *(name, first, samples, attempt, seen, kind, model, repairs, most),
            answered=bool(answered),
            spent=Spent(*row[10:]),
            wasted=wasted.get(name, ()),
        )


def text_of(db: Database, number: int, most: int) -> str:
    """What a model wrote last for a proposal; "" if nothing.

    Args:
        db: the ledger's.
        number: of the proposal.
        most: answers that a request asks for; without it every earlier request would have to be looked at.
    """
    row = db.execute(
        "SELECT t.text FROM requests q JOIN samples s ON s.request = q.id AND s.position = :number - q.first "
        "JOIN texts t ON t.hash = s.text WHERE q.first BETWEEN :number - :most + 1 AND :number "
        "AND q.first > :number - q.samples AND q.kind <> 'lessons' ORDER BY q.attempt DESC LIMIT 1",
        {"number": number, "most": most},
    ).fetchone()
    return "" if row is None else str(row[0])


def spent(db: Database) -> tuple[Spent, Spent]:
    """All tokens of the run so far: of replies, and of tries that failed and were billed."""
    sums = ", ".join(f"coalesce(sum({column}), 0)" for column in _TOKENS.split(", "))
    replies, wastes = (
        Spent(*db.execute(f"SELECT {sums} FROM {table}").fetchone())  # noqa: S608 - names of our own
        for table in ("replies", "wastes")
    )
    return replies, wastes
