"""Keeps one server alive: starts it, waits until it can really be used, watches it, starts it again when it dies."""

import asyncio
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from evolve.llm.endpoints import Endpoint, backoff
from evolve.llm.errors import Failure, Refused
from evolve.llm.probe import Finding, examine
from evolve.llm.transport import Transport
from evolve.serving.plan import Command
from evolve.serving.process import Process
from evolve.text import clean

__all__ = ["Care", "Keeper", "Said", "Stage", "guesses"]

_GUESSED = re.compile(
    r"^vllm:spec_decode_num_(draft|accepted)_tokens_total(?:\{[^}\n]*\})? (\d[\d.e+]*)$", re.MULTILINE
)
_PROGRESS = re.compile(
    r"^vllm:(num_requests_running|(?:prompt|generation)_tokens_total)(?:\{[^}\n]*\})? (\d[\d.e+]*)$",
    re.MULTILINE,
)
_LAST = 30.0  # seconds that the kernel gets to end what was killed: a driver that hangs may never let go
_LOOK = 0.25  # seconds between two looks at a server that is starting
_LAST_WORDS = 10.0  # seconds in which a busy server may tell its figures before it is ended


@dataclass(frozen=True, slots=True)
class Care:
    """How long to wait for a server, in seconds.

    Args:
        start: until it is ready; large models are long in loading.
        beat: between two looks at its health.
        silence: without an answer until it is ended and started again.
        stall: the same for a server that is healthy and has requests, but gets no token further with any.
        settled: for which it has to be ready so that its next death begins a new count.
        deaths: in a row, each before it was settled, until it is given up.
        stillbirths: the same for a server that has never been ready.
        pause: of the first backoff.
        longest: of the longest.
    """

    start: float = 3600.0
    beat: float = 5.0
    silence: float = 120.0
    stall: float = 900.0
    settled: float = 120.0
    deaths: int = 5
    stillbirths: int = 2
    pause: float = 1.0
    longest: float = 60.0


class Stage(Enum):
    """Where a server is in its life."""

    STARTING = "starting"
    READY = "ready"
    DEAD = "dead"  # between two starts
    GONE = "gone"  # for good


@dataclass(frozen=True, slots=True)
class Said:
    """Something that happened to a server.

    Args:
        kind: "starting", "ready", "warning", "died", "gave up", "note", "draining" or "ended".
        url: of the server.
        words: what happened, safe to show; may have several lines.
    """

    kind: str
    url: str
    words: str


class Keeper:
    """One server and what becomes of it.

    Args:
        command: what to run.
        endpoint: where it will answer.
        log: file for what it writes.
        transport: connections to ask it by.
        care: how long to wait.
        tell: is told what happens, within the loop; must not wait.

    Attributes:
        stage: where it is.
        finding: what was found out about it when it was last ready.
        words: why it is gone.
    """

    def __init__(
        self,
        command: Command,
        endpoint: Endpoint,
        log: Path,
        transport: Transport,
        care: Care,
        tell: Callable[[Said], None],
    ) -> None:
        self.command = command
        self.endpoint = endpoint
        self.log = log
        self.stage = Stage.STARTING
        self.finding: Finding | None = None
        self.words = ""
        self._transport = transport
        self._care = care
        self._tell = tell
        self._process: Process | None = None
        self._rng = random.Random()
        self._ready_since: float | None = None

    @property
    def pid(self) -> int | None:
        """Of the process group that runs now."""
        return self._process.pid if self._process is not None and self._process.running else None

    async def run(self) -> None:
        """Until it is given up; cancelling leaves the process as it is, for `end` to end."""
        deaths = 0
        while True:
            self._say("starting", f"log {self.log}")
            self._process = process = await Process.start(self.command, self.endpoint.key, self.log)
            self.stage, self._ready_since = Stage.STARTING, None
            words = await self._live(process)
            deaths = 1 if self._settled() else deaths + 1
            most = self._care.deaths if self.finding is not None else self._care.stillbirths
            if deaths >= most:
                self.stage, self.words = Stage.GONE, words
                self._say("gave up", f"{words}\nthe log is {self.log}")
                return
            self.stage = Stage.DEAD
            seconds = backoff(deaths - 1, self._rng, self._care.pause, self._care.longest)
            self._say("died", f"{words}\nit is started again in {seconds:.0f} s")
            await asyncio.sleep(seconds)

    async def end(self, drain: float, hurry: asyncio.Event) -> None:
        """End the process: give what is under way `drain` seconds, unless there is a hurry."""
        self.stage = Stage.GONE
        process = self._process
        if process is None:
            return
        ended = asyncio.create_task(process.wait())
        hurried = asyncio.create_task(hurry.wait())
        try:
            if process.running and self._ready_since is not None and not hurry.is_set():
                await self._tell_guesses()
                self._say("draining", f"what is under way has {drain:g} s")
                process.terminate()
                await asyncio.wait({ended, hurried}, timeout=drain + 10, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurried.cancel()
            if not ended.done():
                process.kill()
            await asyncio.wait({ended}, timeout=_LAST)
            ended.cancel()
        left = process.running
        self._say(
            "warning" if left else "ended", f"its process group {process.pid} does not end" if left else ""
        )

    async def _tell_guesses(self) -> None:
        """Say how much of its speculation was worth it, if it speculates."""
        if words := guesses(await self._metrics(_LAST_WORDS)):
            self._say("note", words)

    async def _metrics(self, deadline: float = 2.0) -> str:
        """What the server counts; "" if it does not say in time."""
        try:
            data = await self._transport.get(self.endpoint, self.endpoint.root + "/metrics", deadline)
        except (Refused, Failure):
            return ""
        return data.decode("utf-8", "replace")

    def _say(self, kind: str, words: str) -> None:
        self._tell(Said(kind, self.endpoint.url, self.endpoint.scrub(clean(words, 6_000))))

    def _settled(self) -> bool:
        now = asyncio.get_running_loop().time()
        return self._ready_since is not None and now - self._ready_since >= self._care.settled

    async def _live(self, process: Process) -> str:
        """From a start to an end; why it ended."""
        ended = asyncio.create_task(process.wait())
        watching = asyncio.create_task(self._watch())
        try:
            await asyncio.wait({ended, watching}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                return _told_end(ended.result(), process)
            words = watching.result()
            process.kill()
            await ended
            return f"{words}\n{process.last_words()}"
        finally:
            for task in (watching, ended):
                task.cancel()
            await asyncio.gather(watching, ended, return_exceptions=True)

    async def _watch(self) -> str:
        """Wait until it is ready, then for as long as it answers; what is wrong with it."""
        if words := await self._wake():
            return words
        loop = asyncio.get_running_loop()
        heard = moved = loop.time()
        tokens = 0.0
        while True:
            await asyncio.sleep(self._care.beat)
            if words := await self._ailment(min(30.0, self._care.silence)):
                if loop.time() - heard > self._care.silence:
                    return f"it has not been well for {self._care.silence:g} s: {words}"
                continue
            heard = loop.time()
            # A GPU that faults may leave an engine that lives and does nothing.
            before, (busy, tokens) = tokens, _progress(await self._metrics())
            if not busy or tokens != before:
                moved = heard
            elif heard - moved > self._care.stall:
                return f"it is healthy and has got no token further for {self._care.stall:g} s"

    async def _wake(self) -> str:
        """Wait until it generates; why it does not, "" if it does."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while words := await self._ailment(5.0):
            if loop.time() - begun > self._care.start:
                return f"it is not ready after {self._care.start:g} s: {words}"
            await asyncio.sleep(_LOOK)
        # Healthy is not yet able: kernels that a model has no use of may be missed by its first token only.
        try:
            finding = await examine(self._transport, self.endpoint, min(600.0, self._care.start))
        except Refused as refusal:
            return f"it is healthy and refuses: {refusal}"
        if finding.problem:
            return f"it is healthy and cannot generate: {finding.problem}"
        self.finding = finding
        self.stage, self._ready_since = Stage.READY, loop.time()
        context = f", {finding.context:,} tokens long" if finding.context else ""
        self._say("ready", f"model {finding.model}{context}, after {loop.time() - begun:.0f} s")
        if finding.words:
            self._say("warning", finding.words)
        return ""

    async def _ailment(self, deadline: float) -> str:
        try:
            await self._transport.get(self.endpoint, self.endpoint.root + "/health", deadline)
        except (Refused, Failure) as error:
            return str(error)
        return ""


def _progress(metrics: str) -> tuple[bool, float]:
    """Whether there are requests, and how many tokens were read or generated so far."""
    sums = {"running": 0.0, "tokens": 0.0}
    for name, value in _PROGRESS.findall(metrics):
        sums["tokens" if name.endswith("total") else "running"] += float(value)
    return sums["running"] > 0, sums["tokens"]


def guesses(metrics: str) -> str:
    """The share of guessed tokens that were accepted, from the text of `/metrics`; "" if none were guessed."""
    sums = {"draft": 0.0, "accepted": 0.0}
    for name, value in _GUESSED.findall(metrics):
        sums[name] += float(value)
    if not sums["draft"]:
        return ""
    share = sums["accepted"] / sums["draft"]
    return f"{share:.0%} of {sums['draft']:,.0f} guessed tokens were accepted"


def _told_end(code: int, process: Process) -> str:
    signal = f" (signal {code - 128})" if code > 128 else ""
    return f"it ended with code {code}{signal}; it said:\n{process.last_words()}"
