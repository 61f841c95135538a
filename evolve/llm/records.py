"""Plain records of what is asked of a model and what comes back. Know no server and no network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["NOTHING", "Constraint", "Message", "Reply", "Request", "Sample", "Usage"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat.

    Args:
        role: "system", "user" or "assistant".
        text: what is said.
    """

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Constraint:
    """What the decoder may say.

    Args:
        kind: "regex", "grammar", "json" or "choice".
        value: the regex, the EBNF grammar, the JSON schema; for "choice" a JSON list of texts.
    """

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt, to be answered `n` times.

    Args:
        parts: the prompt.
        stable: key of the prefix that many requests share; requests of one key go to one server if they can.
        model: its name at the server; "" is the only, or the first, that the endpoint has.
        max_tokens: of each answer, reasoning included.
        n: answers to this prompt.
        sampling: temperature, top_p, seed, stop and the like, as the server takes them; only what is set.
        constraint: what each answer has to be.
        deadline: seconds for one attempt.
    """

    parts: tuple[Message, ...]
    stable: str
    model: str
    max_tokens: int
    n: int = 1
    sampling: Mapping[str, Any] = field(default_factory=dict)
    constraint: Constraint | None = None
    deadline: float = 600.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the server counts them; of all `n` answers.

    Args:
        prompt: of the prompt, once.
        cached: of those, the ones found in the server's cache.
        completion: generated, reasoning included.
        reasoning: of those, the ones of reasoning, where the server says.
    """

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0

    @property
    def tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt + self.completion

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.completion + other.completion,
            self.reasoning + other.reasoning,
        )


NOTHING = Usage()
"""No token at all."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer.

    Args:
        text: None if nothing was said: thinking that was cut off is no empty program.
        reasoning: "" if there is none.
        finish: "stop", "length", "abort" or what else the server says; "" if nothing.
    """

    text: str | None
    reasoning: str
    finish: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one request.

    Args:
        samples: at least one; `n` where the server keeps its word.
        usage: tokens of the attempt that gave `samples`.
        model: as the server says.
        fingerprint: of the system that served it, or "".
        endpoint: URL, without a key.
        seconds: of the last attempt, from sending to the last byte.
        attempts: how often it was sent.
        counted: False if the server did not say its usage, which is zero then.
    """

    samples: tuple[Sample, ...]
    usage: Usage
    model: str
    fingerprint: str
    endpoint: str
    seconds: float
    attempts: int
    counted: bool = True
