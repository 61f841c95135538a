"""The servers of a run: read from a word of the user, asked whether they will do, and opened for one session.

Knows endpoints and what can be said of them on a command line; knows no search.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from evolve.errors import InfrastructureError, UsageError
from evolve.flow import Vacancies
from evolve.llm.client import HttpClient, Patience
from evolve.llm.endpoints import Endpoint
from evolve.llm.pool import Notice, Observer
from evolve.llm.probe import DEADLINE, Finding
from evolve.llm.records import NOTHING, Usage

__all__ = ["REPLAY", "Met", "Windows", "endpoints_of", "meet", "opened"]

REPLAY = "replay:"
"""What begins the word for a ledger in the place of servers."""

_OPENAI = "openai+"
_PAUSES = (0.25, 0.5, 1.0, 2.0, 4.0)
_IN_VAIN = ("unreachable", "late")
_SLOW = 3.0
"""Seconds after which a human is told what is waited for."""


@dataclass(frozen=True, slots=True)
class Met:
    """What servers say of themselves.

    Args:
        context: tokens that the shortest model takes; 0 where none says.
        binds: whether all obey a constraint.
        known: whether each model that will be asked is one that a server has answered for, or lists.
        usage: tokens that asking has cost.
        warnings: what a human should know, safe to show.
    """

    context: int
    binds: bool
    known: bool
    usage: Usage
    warnings: tuple[str, ...] = ()


def endpoints_of(word: str) -> tuple[Endpoint, ...]:
    """The endpoints that a word names.

    Args:
        word: URLs with commas between them; `URL*2` has twice the weight; `openai+URL` takes the limit of tokens
            under OpenAI's newer name, and no constraint.

    Raises:
        UsageError: it names none, or one that cannot be.
    """
    return tuple(_endpoint(one.strip()) for one in word.split(",") if one.strip()) or _none(word)


def _none(word: str) -> tuple[Endpoint, ...]:
    raise UsageError(f"--llm {word!r}: no endpoint; say auto, a URL, or replay:LEDGER")


def _endpoint(word: str) -> Endpoint:
    url, star, weight = word.partition("*")
    dialect = "vllm"
    if url.startswith(_OPENAI):
        url, dialect = url.removeprefix(_OPENAI), "openai"
    if "://" not in url:
        raise UsageError(
            f"--llm {word!r} is not understood; say auto, http://127.0.0.1:8000/v1 or replay:LEDGER"
        )
    try:
        return Endpoint(url, weight=float(weight) if star else 1.0, dialect=dialect)
    except ValueError:
        raise UsageError(f"--llm {word!r}: the weight behind '*' is no number") from None


async def meet(endpoints: Sequence[Endpoint], models: Sequence[str], tell: Observer | None = None) -> Met:
    """Ask the servers whether they will do.

    Args:
        endpoints: all of them.
        models: names that will be asked for.
        tell: is told if they take their time.

    Raises:
        Refused: one refuses the key or the model.
        InfrastructureError: none answers.
    """
    loop = asyncio.get_running_loop()
    waiting = loop.call_later(_SLOW, _still_asking, endpoints, tell) if tell else None
    try:
        findings, usage = await _probed(endpoints)
    finally:
        if waiting is not None:
            waiting.cancel()
    good = [one for one in findings if not one.problem]
    if not good:
        told = "; ".join(f"{one.endpoint}: {one.problem}" for one in findings)
        raise InfrastructureError(f"no model can be asked: {told}")
    warnings = [f"{one.endpoint}: {one.problem}" for one in findings if one.problem]
    warnings += [f"{one.endpoint}: {one.words}" for one in good if one.words]
    listed = {model.name for one in good for model in one.models}
    for name in models:
        if name and listed and name not in listed:
            warnings.append(
                f"model {name!r} is listed by no server; they list {', '.join(sorted(listed)[:20])}"
            )
    contexts = [context for one in good for context in _contexts(one, models)]
    binds = all(one.constraint == "binds" for one in good)
    known = all(not name or name in listed for name in models)
    return Met(min(contexts, default=0), binds, known, usage, tuple(warnings))


def _still_asking(endpoints: Sequence[Endpoint], tell: Observer) -> None:
    words = ", ".join(one.url for one in endpoints)
    tell(
        Notice(
            "asking", "", f"waiting for an answer of {words}, up to {DEADLINE:g} s for each of five questions"
        )
    )


async def _probed(endpoints: Sequence[Endpoint]) -> tuple[list[Finding], Usage]:
    """What each endpoint says, and what all asking has cost; who failed is asked again, but not who is not there
    or who says nothing until the deadline.
    """
    findings: dict[str, Finding] = {}
    usage, left = NOTHING, tuple(endpoints)
    for pause in (*_PAUSES, None):
        client = HttpClient(left)
        try:
            found = await client.probe(DEADLINE)
        finally:
            await client.close()
        findings.update((one.endpoint, one) for one in found)
        usage = sum((one.usage for one in found), usage)
        again = {one.endpoint for one in found if one.problem and not one.problem.startswith(_IN_VAIN)}
        left = tuple(one for one in left if one.url in again)
        if not left or pause is None:
            break
        await asyncio.sleep(pause)
    return [findings[one.url] for one in endpoints], usage


def _contexts(finding: Finding, models: Sequence[str]) -> list[int]:
    wanted = {name or finding.model for name in models}
    return [model.context for model in finding.models if model.context and model.name in wanted]


class Windows(Vacancies):
    """The servers of a client as a schedule sees them."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    @property
    def window(self) -> float:
        """See `Vacancies.window`."""
        return sum(server.window.size for server in self._client.servers if server.up)

    async def vacancy(self) -> None:
        """See `Vacancies.vacancy`."""
        await self._client.vacancy()


@contextlib.asynccontextmanager
async def opened(
    endpoints: Sequence[Endpoint], patience: float, observer: Observer | None
) -> AsyncIterator[HttpClient]:
    """A client for one session; leaving it aborts what is under way."""
    tell: Callable[..., None] = observer or (lambda _: None)
    client = HttpClient(endpoints, Patience(seconds=patience), tell)
    try:
        await client.start()
        yield client
    finally:
        await client.close()
