"""The OpenAI wire format: the body of a request, the reply, the words of an error. Pure: bytes in, records out.

Two dialects: "vllm" takes constraints as `structured_outputs` and the limit as `max_tokens`; "openai" takes the limit
as `max_completion_tokens` and no constraint but a JSON schema.
"""

import email.utils
import json
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeGuard

from evolve.errors import UsageError
from evolve.llm.errors import Failure
from evolve.llm.records import Constraint, Request, Sample, Usage

__all__ = [
    "DIALECTS",
    "Answer",
    "Model",
    "body",
    "check_sampling",
    "error_words",
    "read",
    "read_models",
    "retry_after",
    "usage_of",
]

DIALECTS: Final = ("vllm", "openai")

# What the record says by its own fields, and what would change the shape of the reply.
_RESERVED: Final = frozenset(
    (
        *("model", "messages", "n", "max_tokens", "max_completion_tokens", "stream", "stream_options"),
        *("structured_outputs", "response_format"),
    )
)
_COUNTED: Final = ("prompt_tokens", "completion_tokens")
_KINDS: Final = ("regex", "grammar", "json", "choice")


class Answer(NamedTuple):
    """What a reply says; `usage` is None where the server says none."""

    samples: tuple[Sample, ...]
    usage: Usage | None
    model: str
    fingerprint: str


class Model(NamedTuple):
    """A model of a server; `context` is its length in tokens, None where the server does not say."""

    name: str
    context: int | None


def _constrained(constraint: Constraint, dialect: str) -> dict[str, Any]:
    if constraint.kind not in _KINDS:
        raise UsageError(f"constraint of kind {constraint.kind!r}; one of {', '.join(_KINDS)}")
    value: Any = constraint.value
    if constraint.kind in ("json", "choice"):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise UsageError(f"constraint of kind {constraint.kind!r} is no JSON: {error}") from None
    if dialect == "vllm":
        return {"structured_outputs": {constraint.kind: value}}
    if constraint.kind == "json":
        schema = {"name": "answer", "schema": value, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    raise UsageError(
        f"an endpoint of dialect 'openai' takes no {constraint.kind} constraint; "
        "use a vLLM server, or a way of editing that needs none"
    )


def check_sampling(sampling: Mapping[str, Any]) -> None:
    """Make sure that sampling can be sent.

    Raises:
        UsageError: it names what another field says, or cannot be JSON.
    """
    if clash := sorted(_RESERVED & sampling.keys()):
        raise UsageError(f"sampling: {', '.join(clash)} cannot be set there; the request has its own fields")
    try:
        json.dumps(dict(sampling), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(f"sampling cannot be sent as JSON: {error}") from None


def body(request: Request, model: str, dialect: str = "vllm") -> bytes:
    """The JSON body of a chat completion.

    Args:
        request: what is asked.
        model: name to send in place of `request.model`.
        dialect: one of `DIALECTS`.

    Raises:
        UsageError: `sampling` names what another field says, or cannot be JSON; a constraint that cannot be said.
    """
    check_sampling(request.sampling)
    limit = "max_tokens" if dialect == "vllm" else "max_completion_tokens"
    content: dict[str, Any] = {
        "model": model,
        "messages": [{"role": part.role, "content": part.text} for part in request.parts],
        limit: request.max_tokens,
        **request.sampling,
    }
    if request.n != 1:
        content["n"] = request.n
    if request.constraint is not None:
        content |= _constrained(request.constraint, dialect)
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def _loads(data: bytes) -> Any:
    # JSON on the wire is UTF-8 (RFC 8259); json.loads would guess UTF-16 and let surrogates pass.
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Failure("malformed", f"the reply is not UTF-8 at byte {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise Failure("malformed", f"the reply is no JSON: {error}; it begins {data[:80]!r}") from None


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < 1 << 53


def _count(source: Any, key: str) -> int:
    value = source.get(key) if isinstance(source, dict) else None
    return value if _is_count(value) else 0


def usage_of(content: Any) -> Usage | None:
    """The tokens that a reply, or an error, says it cost; None if it says none that can be.

    A nonsensical count is no count: taken as nothing, it would be a reply that no budget ever notices.
    """
    usage = content.get("usage") if isinstance(content, dict) else None
    if not isinstance(usage, dict) or not all(_is_count(usage.get(key, 0)) for key in _COUNTED):
        return None
    if "prompt_tokens" not in usage:
        return None
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    return Usage(
        prompt,
        min(prompt, _count(usage.get("prompt_tokens_details"), "cached_tokens")),
        completion,
        min(completion, _count(usage.get("completion_tokens_details"), "reasoning_tokens")),
    )


def _text(value: Any) -> str | None:
    """A text that UTF-8 can hold: JSON may escape half a surrogate pair, which no ledger can store."""
    if isinstance(value, list):  # some providers send content in parts
        texts = [part.get("text") for part in value if isinstance(part, dict)]
        value = "".join(text for text in texts if isinstance(text, str))
    if not isinstance(value, str):
        return None
    if value.isascii():
        return value
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _sample(choice: Any) -> Sample | None:
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        return None
    reasoning = _text(message.get("reasoning")) or _text(message.get("reasoning_content")) or ""
    return Sample(_text(message.get("content")), reasoning, _text(choice.get("finish_reason")) or "")


def read(data: bytes) -> Answer:
    """Read the body of a reply with status 200.

    Raises:
        Failure: "malformed" or "empty"; with the usage, where one could be read.
    """
    content = _loads(data)
    usage = usage_of(content)
    choices = content.get("choices") if isinstance(content, dict) else None
    if not isinstance(choices, list):
        raise Failure("malformed", f"no list `choices` in the reply, which begins {data[:80]!r}", usage=usage)
    if not choices:
        raise Failure("empty", "the reply has no choices", usage=usage)
    samples = [_sample(choice) for choice in choices]
    whole = tuple(sample for sample in samples if sample is not None)
    if len(whole) < len(samples):
        raise Failure("malformed", "a choice of the reply has no message", usage=usage)
    return Answer(
        whole, usage, _text(content.get("model")) or "", _text(content.get("system_fingerprint")) or ""
    )


def error_words(data: bytes) -> tuple[str, Usage | None]:
    """The server's own words in the body of an error, and the usage if it bills one; not yet made safe to show."""
    text = data[:8_192].decode("utf-8", "replace").strip()
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return text, None
    found: Any = content
    for key in (
        "error",
        "message",
        "detail",
    ):  # OpenAI nests the message, older vLLM did not, FastAPI says detail
        if isinstance(found, dict) and key in found:
            found = found[key]
    return found if isinstance(found, str) else json.dumps(found), usage_of(content)


def read_models(data: bytes) -> tuple[Model, ...]:
    """Read the body of `/v1/models`.

    Raises:
        Failure: "malformed".
    """
    content = _loads(data)
    entries = content.get("data") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise Failure("malformed", f"no list `data` among the models, which begin {data[:80]!r}")
    return tuple(
        Model(entry["id"], _count(entry, "max_model_len") or None)
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("id"), str)
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the header `Retry-After` asks for: a number or a date (RFC 9110, 10.2.3); None without one."""
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return min(float(value), 1e6)
    try:
        date = email.utils.parsedate_to_datetime(value)
        return min(max(0.0, date.timestamp() - time.time()), 1e6)
    except (ValueError, OverflowError):
        return None
