"""Looks after the servers: asks whether they live, what they serve and how full they are, and brings them up again."""

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import dataclass

from evolve.errors import UsageError
from evolve.llm import wire
from evolve.llm.endpoints import Server, backoff
from evolve.llm.errors import Failure, Refused
from evolve.llm.pool import Pool
from evolve.llm.transport import Transport
from evolve.llm.window import read_load

__all__ = ["Patience", "Tender"]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try.

    Args:
        seconds: without a good reply from any endpoint until `Outage`; also how long one request may be told
            to wait while others are served, until `Unanswered`.
        tries: failures of one request at servers that live, until `Unanswered`; a missed deadline, or a reply
            without end, is worth a third of them.
        pause: seconds of the first backoff.
        longest: seconds of the longest.
        interval: seconds between two looks at `/metrics`.
    """

    seconds: float = 600.0
    tries: int = 12
    pause: float = 0.25
    longest: float = 20.0
    interval: float = 1.0

    def __post_init__(self) -> None:
        if self.seconds <= 0 or self.tries < 1 or self.pause <= 0 or self.interval <= 0:
            raise UsageError(f"{self}: each number has to be above 0")

    def backoff(self, failures: int, rng: random.Random) -> float:
        """Seconds to wait after so many failures in a row."""
        return backoff(failures, rng, self.pause, self.longest)


class Tender:
    """A task for each server, from the first use of a client to its end. Made inside the loop that uses it.

    Args:
        transport: the connections.
        pool: is told what is found.
        patience: how long to wait between two looks.
        rng: the chance in backoffs.

    Attributes:
        broken: what ended a task that should have gone on: an error of the observer, or ours.
    """

    def __init__(self, transport: Transport, pool: Pool, patience: Patience, rng: random.Random) -> None:
        self._transport = transport
        self._pool = pool
        self._patience = patience
        self._rng = rng
        self._checks: dict[Server, asyncio.Task[str]] = {}
        self.broken: BaseException | None = None
        self._tasks = [self._spawn(self._tend(server)) for server in pool.servers]

    async def close(self) -> None:
        """End all tasks.

        Raises:
            Exception: what has ended one before.
        """
        tasks = [*self._tasks, *self._checks.values()]
        for task in tasks:
            task.cancel()
        for end in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(end, Exception):
                raise end

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.broken = error
            self._pool.fail(error)

    async def ailment(self, server: Server) -> str:
        """Why the server does not answer, "" if it does; all who ask at once share one look."""
        check = self._checks.get(server)
        if check is None:
            check = asyncio.get_running_loop().create_task(self._look(server))
            self._checks[server] = check
            check.add_done_callback(lambda _: self._checks.pop(server, None))
        return await asyncio.shield(check)

    async def _look(self, server: Server) -> str:
        try:
            await self._transport.get(server.endpoint, server.endpoint.root + "/health", 5.0)
        except Refused:
            return ""  # a provider without /health: it spoke
        except Failure as failure:
            return "" if failure.words.startswith("429") else failure.words
        return ""

    async def _learn(self, server: Server) -> None:
        endpoint = server.endpoint
        try:
            server.models = wire.read_models(await self._transport.get(endpoint, endpoint.url + "/models"))
        except Refused as refusal:
            server.refusal = refusal

    async def _tend(self, server: Server) -> None:
        """As long as the client lives: bring the server up, follow its metrics, bring it up again."""
        while True:
            if not server.up:
                await self._raise(server)
                await self._follow(server)
            await asyncio.sleep(self._patience.interval)
            if server.up and server.in_flight and server.window.metered is not False:
                await self._follow(server)

    async def _raise(self, server: Server) -> None:
        pool = self._pool
        while True:
            if server.failures:
                await asyncio.sleep(self._patience.backoff(server.failures - 1, self._rng))
            words = await self.ailment(server)
            if not words:
                try:
                    await self._learn(server)
                except Failure as failure:
                    words = failure.words
                else:
                    pool.up(server)
                    return
            if server.up is False:
                server.failures += 1
                pool.bad(words)
            pool.down(server, words)

    async def _follow(self, server: Server) -> None:
        """Move the window by the server's metrics."""
        try:
            data = await self._transport.get(server.endpoint, server.endpoint.root + "/metrics", 5.0)
            load = read_load(data.decode("utf-8", "replace"))
        except Refused:
            load = None
        except Failure:
            if server.window.metered is None:
                server.window.metered = False
            return  # the requests themselves will tell
        if load is None:
            server.window.metered = False
        else:
            server.window.follow(load)
            self._pool.serve()
