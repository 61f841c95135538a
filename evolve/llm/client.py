"""Asks models and survives their servers: routes, waits, tries again, and says what it gives up on."""

import asyncio
import random
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from evolve.errors import UsageError
from evolve.llm import wire
from evolve.llm.endpoints import Endpoint, Server, backoff
from evolve.llm.errors import Failure, Outage, Overspent, Poisoned, Refused, Unanswered
from evolve.llm.pool import Errand, Notice, Observer, Pool
from evolve.llm.probe import Finding, examine
from evolve.llm.records import NOTHING, Reply, Request
from evolve.llm.spending import Hold
from evolve.llm.transport import LARGEST, Transport
from evolve.llm.window import read_load

__all__ = ["Client", "HttpClient", "Patience"]


class Client(Protocol):
    """Whatever answers requests: servers, or the ledger of an earlier run."""

    async def generate(self, request: Request, hold: Hold | None = None) -> Reply:
        """Ask, once; returns or raises when there is nothing more to try.

        Args:
            request: what is asked.
            hold: room in the budget for it: attempts that failed and were billed are charged there, by `waste`.
                Settling or releasing it is the caller's.
        """
        ...

    async def close(self) -> None:
        """Give up what is under way, and close all connections."""
        ...


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


def _silent(_: Notice) -> None:
    """Tells nobody."""


class HttpClient:
    """Several OpenAI-compatible endpoints as one client. Belongs to the loop of its first use.

    Args:
        endpoints: at least one, no URL twice.
        patience: how long to try.
        observer: is told of outages, retries and deaths; is called within the loop and must not wait.
        largest: bytes of the largest reply that is read.
        seed: of the chance in backoffs.

    Attributes:
        quarantine: digests of requests that were in flight at two deaths of a server; they are not sent again.

    Raises:
        UsageError: no endpoints, or one twice.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        patience: Patience | None = None,
        observer: Observer = _silent,
        *,
        largest: int = LARGEST,
        seed: int | None = None,
    ) -> None:
        urls = [endpoint.url for endpoint in endpoints]
        if not urls or len(set(urls)) != len(urls):
            raise UsageError(f"endpoints {', '.join(urls) or '(none)'}: at least one, and no URL twice")
        self.endpoints = tuple(endpoints)
        self.patience = patience or Patience()
        self.quarantine: set[str] = set()
        self._tell = observer
        self._largest = largest
        self._rng = random.Random(seed)
        self._transport: Transport | None = None
        self._pool: Pool | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._checks: dict[Server, asyncio.Task[str]] = {}
        self._broken: BaseException | None = None
        self._closed = False

    @property
    def room(self) -> int:
        """Answers that could be sent for right now, over all servers; what is under way is not counted."""
        return self._pool.room if self._pool is not None else 0

    @property
    def servers(self) -> tuple[Server, ...]:
        """The state of each endpoint, to be shown; empty before the first use."""
        return self._pool.servers if self._pool is not None else ()

    @property
    def transport(self) -> Transport:
        """The connections; opened by `start`."""
        if self._transport is None:
            raise RuntimeError("the client has not been started")
        return self._transport

    async def start(self) -> None:
        """Open the client and begin to look for its servers; `generate` does it where nobody has."""
        if self._closed:
            raise RuntimeError("the client is closed")
        if self._broken is not None:
            raise self._broken
        if self._pool is None:
            self._transport = Transport(self._largest)
            self._pool = Pool(self.endpoints, self.patience.seconds, self._tell)
            for server in self._pool.servers:
                self._spawn(self._tend(server))

    async def close(self) -> None:
        """Give up what is under way, and close all connections.

        Raises:
            Exception: what the observer raised, if it did.
        """
        self._closed = True
        tasks = [*self._tasks, *self._checks.values()]
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        if self._pool is not None:
            self._pool.close()
        if self._transport is not None:
            await self._transport.close()
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def probe(self, deadline: float = 60.0) -> tuple[Finding, ...]:
        """Ask every endpoint whether it will do; one that cannot be reached is a finding, no error.

        Args:
            deadline: seconds for each of a few exchanges.

        Raises:
            Refused: one refuses the key or the model.
        """
        await self.start()
        return tuple(
            await asyncio.gather(*(examine(self.transport, each, deadline) for each in self.endpoints))
        )

    async def generate(self, request: Request, hold: Hold | None = None) -> Reply:
        """Ask until there is a proper reply; cancelling it aborts the request at the server.

        Args:
            request: what is asked.
            hold: is charged for attempts that failed and were billed; settling it is the caller's.

        Raises:
            Refused: a server says that the request is wrong.
            Poisoned: it was in flight at two deaths of a server.
            Unanswered: servers live and fail at this request.
            Outage: no server for longer than the patience.
            Overspent: an attempt that failed was billed, and the budget has no room for another.
            UsageError: the request cannot be sent as it is.
        """
        await self.start()
        pool = self._pool
        assert pool is not None
        errand = Errand(request, asyncio.get_running_loop().time())
        try:
            return await self._run(pool, errand, hold)
        except (Refused, Poisoned, Unanswered, Outage, Overspent) as error:
            error.wasted = errand.wasted
            raise

    async def _run(self, pool: Pool, errand: Errand, hold: Hold | None) -> Reply:
        while True:
            suspect = errand.suspect
            server = await pool.acquire(errand)
            try:
                reply = await self._attempt(server, errand)
            except Failure as failure:
                await self._failed(server, errand, failure, hold)
            else:
                pool.good(server, errand, suspect)
                return reply
            finally:
                pool.release(server, errand, suspect)
            await self._pause(pool, errand)

    async def _attempt(self, server: Server, errand: Errand) -> Reply:
        request, endpoint = errand.request, server.endpoint
        model = server.model(request.model)
        body = errand.bodies.get((model, endpoint.dialect))
        if body is None:
            body = errand.bodies[model, endpoint.dialect] = wire.body(request, model, endpoint.dialect)
            if self.quarantine and _digest(body) in self.quarantine:
                raise self._poisoned(body)
        errand.attempts += 1
        loop = asyncio.get_running_loop()
        sent = loop.time()
        data = await self.transport.post(endpoint, body, request.deadline)
        seconds = loop.time() - sent
        answer = wire.read(data)
        return Reply(
            answer.samples,
            answer.usage or NOTHING,
            answer.model,
            answer.fingerprint,
            endpoint.url,
            seconds,
            errand.attempts,
            answer.usage is not None,
            errand.wasted,
        )

    async def _failed(self, server: Server, errand: Errand, failure: Failure, hold: Hold | None) -> None:
        """What a failed attempt means for the server and for the request; raises if that was the last."""
        pool = self._pool
        assert pool is not None
        pool.bad()
        overspent = _billed(errand, failure, hold)
        errand.avoid.add(server)
        if failure.kind == "busy":
            self._busy(pool, server, failure)
        elif failure.kind == "unreachable":
            self._down(pool, server, failure.words)
        elif failure.kind in ("server", "reset", "half", "late") and await self._ailment(server):
            errand.deaths += 1
            self._down(pool, server, failure.words)
            if errand.deaths > 1:
                raise self._poisoned(
                    errand.bodies[server.model(errand.request.model), server.endpoint.dialect]
                )
            self._tell(Notice("suspect", server.endpoint.url, f"in flight at its death: {failure.words}"))
        else:
            self._flawed(pool, server, errand, failure)
        if overspent is not None:
            raise overspent
        if outage := pool.lost(errand):
            raise outage
        waited = asyncio.get_running_loop().time() - errand.started
        if failure.kind == "busy" and waited > self.patience.seconds + errand.request.deadline:
            raise Unanswered(f"{server.endpoint.url} put a request off for {waited:.0f} s: {failure.words}")

    def _busy(self, pool: Pool, server: Server, failure: Failure) -> None:
        server.window.refused(asyncio.get_running_loop().time())
        seconds = self._backoff(server.failures) if failure.pause is None else failure.pause
        server.failures += 1
        pool.rest(server, seconds)
        self._tell(Notice("busy", server.endpoint.url, failure.words))

    def _down(self, pool: Pool, server: Server, words: str) -> None:
        if server.up is not False:  # once for all the requests that died with it
            pool.down(server, words)

    def _flawed(self, pool: Pool, server: Server, errand: Errand, failure: Failure) -> None:
        """A server that lives gave a bad reply: it may be the request's fault, or the server's if it goes on."""
        server.failures += 1
        if failure.pause is not None:
            pool.rest(server, failure.pause)
        if server.failures >= 3:
            pool.rest(server, self._backoff(server.failures - 3))
        errand.failures += 1 if failure.kind not in ("late", "large") else max(1, self.patience.tries // 3)
        if errand.failures >= self.patience.tries:
            raise Unanswered(
                f"{errand.attempts} attempts without a proper reply; the last, {server.endpoint.url}: {failure}"
            )
        self._tell(Notice("retry", server.endpoint.url, str(failure)))

    async def _pause(self, pool: Pool, errand: Errand) -> None:
        """Elsewhere at once; where there is no elsewhere, after a while."""
        if errand.failures and not pool.elsewhere(errand):
            await asyncio.sleep(self._backoff(errand.failures - 1))

    def _backoff(self, failures: int) -> float:
        return backoff(failures, self._rng, self.patience.pause, self.patience.longest)

    def _poisoned(self, body: bytes) -> Poisoned:
        digest = _digest(body)
        self.quarantine.add(digest)
        words = f"request {digest} was in flight at two deaths of a server and is not sent again"
        self._tell(Notice("poisoned", "", words))
        return Poisoned(digest, words)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and self._pool is not None:
            self._broken = error
            self._pool.fail(error)

    async def _ailment(self, server: Server) -> str:
        """Why the server does not answer, "" if it does; all who ask at once share one look."""
        check = self._checks.get(server)
        if check is None:
            check = asyncio.get_running_loop().create_task(self._look(server))
            self._checks[server] = check
            check.add_done_callback(lambda _: self._checks.pop(server, None))
        return await asyncio.shield(check)

    async def _look(self, server: Server) -> str:
        try:
            await self.transport.get(server.endpoint, server.endpoint.root + "/health", 5.0)
        except Refused:
            return ""  # a provider without /health: it spoke
        except Failure as failure:
            return "" if failure.words.startswith("429") else failure.words
        return ""

    async def _learn(self, server: Server) -> None:
        endpoint = server.endpoint
        try:
            server.models = wire.read_models(await self.transport.get(endpoint, endpoint.url + "/models"))
        except Refused as refusal:
            server.refusal = refusal

    async def _tend(self, server: Server) -> None:
        """As long as the client lives: bring the server up, follow its metrics, bring it up again."""
        pool = self._pool
        assert pool is not None
        while True:
            if not server.up:
                await self._raise(pool, server)
                await self._follow(pool, server)
            await asyncio.sleep(self.patience.interval)
            if server.up and server.in_flight and server.window.metered is not False:
                await self._follow(pool, server)

    async def _raise(self, pool: Pool, server: Server) -> None:
        while True:
            if server.failures:
                await asyncio.sleep(self._backoff(server.failures - 1))
            words = await self._ailment(server)
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
                pool.bad()
            self._down(pool, server, words)

    async def _follow(self, pool: Pool, server: Server) -> None:
        """Move the window by the server's metrics."""
        try:
            data = await self.transport.get(server.endpoint, server.endpoint.root + "/metrics", 5.0)
            load = read_load(data.decode("utf-8", "replace"))
        except Refused:
            load = None
        except Failure:
            return  # the requests themselves will tell
        if load is None:
            server.window.metered = False
        else:
            server.window.follow(load)
            pool.serve()


def _billed(errand: Errand, failure: Failure, hold: Hold | None) -> Overspent | None:
    """Charge a failed attempt; the error to raise, once all else is done, if there is no room for the next."""
    if failure.usage is None:
        return None
    errand.wasted += failure.usage
    try:
        if hold is not None:
            hold.waste(failure.usage)
    except Overspent as overspent:
        return overspent
    return None


def _digest(body: bytes) -> str:
    return blake2b(body, digest_size=16).hexdigest()
