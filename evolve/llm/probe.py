"""Asks an endpoint, before a run, whether it will do: it answers, has the model, generates, and obeys a constraint."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from evolve.llm import wire
from evolve.llm.endpoints import Endpoint
from evolve.llm.errors import Failure, Refused
from evolve.llm.records import NOTHING, Constraint, Message, Request, Usage
from evolve.llm.transport import Transport
from evolve.llm.window import read_load

__all__ = ["DEADLINE", "Finding", "examine"]

DEADLINE: Final = 60.0
"""Seconds that a server has for each exchange of a probe."""

# Nothing that a model says of its own accord.
_WORD: Final = "qxv-17-zeta"
_CHOICE: Final = json.dumps([_WORD])
_PARTS: Final = (Message("user", "Say hello."),)
# A constraint does not bind what a model thinks.
_UNTHINKING: Final = {"chat_template_kwargs": {"enable_thinking": False}}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found out about one endpoint.

    Args:
        endpoint: URL.
        problem: why it cannot be used now; "" if it can.
        model: the name that requests without one will carry.
        models: all that it lists.
        metered: whether it has vLLM's metrics.
        constraint: "binds", "ignored", "refused", or "not asked" (dialect "openai", or a problem).
        old_names: the same for the `guided_*` fields of vLLM before 0.12, where "ignored" is the rule.
        words: what there is to say of the constraint; "" if it binds.
        usage: tokens that the probe cost.
        seconds: that it took.
    """

    endpoint: str
    problem: str = ""
    model: str = ""
    models: tuple[wire.Model, ...] = ()
    metered: bool = False
    constraint: str = "not asked"
    old_names: str = "not asked"
    words: str = ""
    usage: Usage = NOTHING
    seconds: float = 0.0

    @property
    def context(self) -> int | None:
        """Length of the model in tokens, where the server says."""
        return next((model.context for model in self.models if model.name == self.model), None)


class _Probe:
    """One endpoint under examination."""

    def __init__(self, transport: Transport, endpoint: Endpoint, deadline: float) -> None:
        self.transport = transport
        self.endpoint = endpoint
        self.deadline = deadline
        self.usage = NOTHING

    async def models(self) -> tuple[wire.Model, ...]:
        try:
            data = await self.transport.get(self.endpoint, self.endpoint.url + "/models", self.deadline)
        except Refused as refusal:
            if refusal.status != 404:
                raise
            return ()  # a provider that lists none
        return wire.read_models(data)

    async def metered(self) -> bool:
        try:
            data = await self.transport.get(self.endpoint, self.endpoint.root + "/metrics", self.deadline)
        except (Refused, Failure):
            return False
        return read_load(data.decode("utf-8", "replace")) is not None

    async def say(
        self, model: str, tokens: int, sampling: Mapping[str, Any], constraint: Constraint | None = None
    ) -> str:
        request = Request(_PARTS, "", model, tokens, sampling=sampling, constraint=constraint)
        body = wire.body(request, model, self.endpoint.dialect)
        data = await self.transport.post(self.endpoint, body, self.deadline)
        try:
            answer = wire.read(data)
        except Failure as failure:
            self.usage += failure.usage or NOTHING
            raise
        self.usage += answer.usage or NOTHING
        return answer.samples[0].text or ""

    async def binds(self, model: str, old: bool) -> tuple[str, str]:
        """What comes back: "binds", "ignored" or "refused"; and the words of a refusal."""
        sampling = {**_UNTHINKING, "guided_choice": [_WORD]} if old else _UNTHINKING
        constraint = None if old else Constraint("choice", _CHOICE)
        try:
            said = await self.say(model, 24, sampling, constraint)
        except Refused as refusal:
            return "refused", str(refusal)
        return ("binds" if said.strip() == _WORD else "ignored"), ""


def _remark(new: str, old: str, words: str) -> str:
    if new == "binds":
        return ""
    if old == "binds":
        return "takes constraints only by their old names (guided_*); use vLLM 0.12 or newer"
    if new == "refused":
        return f"refuses constraints: {words}"
    return "ignores constraints; guided edits would come back as any text"


async def examine(transport: Transport, endpoint: Endpoint, deadline: float = DEADLINE) -> Finding:
    """Probe one endpoint.

    Args:
        transport: the connections.
        endpoint: what to ask.
        deadline: seconds for each of the exchanges, of which there are five.

    Raises:
        Refused: it refuses the key, or the model, with its words and the models it lists.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    probe = _Probe(transport, endpoint, deadline)
    models: tuple[wire.Model, ...] = ()
    new, old, words = "not asked", "not asked", ""
    try:
        models = await probe.models()
        model = endpoint.model or (models[0].name if models else "")
        if not model:
            raise Refused(0, endpoint.url, "it lists no models; name one")
        try:
            await probe.say(model, 1, {})
        except Refused as refusal:
            listed = ", ".join(each.name for each in models[:20]) or "none"
            raise Refused(refusal.status, endpoint.url, f"{refusal.words} (it lists {listed})") from None
        if endpoint.dialect == "vllm":
            new, words = await probe.binds(model, old=False)
            old, _ = await probe.binds(model, old=True)
            words = _remark(new, old, words)
    except Failure as failure:
        return Finding(
            endpoint.url, str(failure), models=models, usage=probe.usage, seconds=loop.time() - started
        )
    metered = await probe.metered()
    return Finding(
        endpoint.url, "", model, models, metered, new, old, words, probe.usage, loop.time() - started
    )
