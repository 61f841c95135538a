"""Asks models and survives their servers: routes, waits, tries again, and says what it gives up on."""

import asyncio
import random
from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol

from evolve.errors import UsageError
from evolve.llm import wire
from evolve.llm.endpoints import Endpoint, Server
from evolve.llm.errors import Failure, Overspent, Poisoned, Unanswered
from evolve.llm.pool import Errand, Notice, Observer, Pool
from evolve.llm.probe import DEADLINE, Finding, examine
from evolve.llm.records import NOTHING, Reply, Request
from evolve.llm.spending import Hold
from evolve.llm.tending import Patience, Tender
from evolve.llm.transport import LARGEST, Transport

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
        self._tender: Tender | None = None
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
        if self._tender is not None and self._tender.broken is not None:
            raise self._tender.broken
        if self._pool is None:
            self._transport = Transport(self._largest)
            self._pool = Pool(self.endpoints, self.patience.seconds, self._tell)
            self._tender = Tender(self._transport, self._pool, self.patience, self._rng)

    async def close(self) -> None:
        """Close all connections, which aborts what is under way at the servers.

        Raises:
            Exception: what the observer raised, if it did.
        """
        self._closed = True
        try:
            if self._tender is not None:
                await self._tender.close()
        finally:
            if self._pool is not None:
                self._pool.close()
            if self._transport is not None:
                await self._transport.close()

    async def vacancy(self, model: str = "") -> None:
        """Wait until an answer of `model` could be sent for: who builds the prompt then builds it from what is known.

        Raises:
            Outage: no server for longer than the patience.
        """
        await self.start()
        assert self._pool is not None
        await self._pool.vacancy(model)

    async def probe(self, deadline: float = DEADLINE) -> tuple[Finding, ...]:
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
        return await self._run(pool, errand, hold)

    async def _run(self, pool: Pool, errand: Errand, hold: Hold | None) -> Reply:
        while True:
            suspect = errand.suspect
            server = await pool.acquire(errand)
            try:
                reply = await self._attempt(server, errand)
            except Failure as failure:
                if self._closed:
                    raise RuntimeError("the client is closed") from None
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
        errand.sent = loop.time()
        data = await self.transport.post(endpoint, body, request.deadline)
        seconds = loop.time() - errand.sent
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
        )

    async def _failed(self, server: Server, errand: Errand, failure: Failure, hold: Hold | None) -> None:
        """What a failed attempt means for the server and for the request; raises if that was the last."""
        pool = self._pool
        assert pool is not None
        pool.bad(failure.words)
        overspent = _billed(failure, hold)
        errand.avoid.add(server)
        if failure.kind == "busy":
            self._busy(pool, server, errand, failure)
        elif failure.kind == "unreachable":
            pool.down(server, failure.words)
        elif failure.kind in ("server", "reset", "half", "late") and await self._dead(server):
            errand.deaths += 1
            pool.down(server, failure.words)
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

    def _busy(self, pool: Pool, server: Server, errand: Errand, failure: Failure) -> None:
        now = asyncio.get_running_loop().time()
        server.window.refused(now)
        counts = server.failed(errand.sent, now)
        if failure.pause is not None:
            pool.rest(server, failure.pause)
        elif counts:
            pool.rest(server, self._backoff(server.failures - 1))
        self._tell(Notice("busy", server.endpoint.url, failure.words))

    def _flawed(self, pool: Pool, server: Server, errand: Errand, failure: Failure) -> None:
        """A server that lives gave a bad reply: it may be the request's fault, or the server's if it goes on."""
        counts = server.failed(errand.sent, asyncio.get_running_loop().time())
        if failure.pause is not None:
            pool.rest(server, failure.pause)
        if counts and server.failures >= 3:
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
            # A missed deadline counts as several failures, but it has taken its time already.
            await asyncio.sleep(self._backoff(min(errand.failures, errand.attempts) - 1))

    def _backoff(self, failures: int) -> float:
        return self.patience.backoff(failures, self._rng)

    async def _dead(self, server: Server) -> bool:
        assert self._tender is not None
        return bool(await self._tender.ailment(server))

    def _poisoned(self, body: bytes) -> Poisoned:
        digest = _digest(body)
        self.quarantine.add(digest)
        words = f"request {digest} was in flight at two deaths of a server and is not sent again"
        self._tell(Notice("poisoned", "", words))
        return Poisoned(digest, words)


def _billed(failure: Failure, hold: Hold | None) -> Overspent | None:
    """Charge a failed attempt; the error to raise, once all else is done, if there is no room for the next."""
    if failure.usage is None or hold is None:
        return None
    try:
        hold.waste(failure.usage)
    except Overspent as overspent:
        return overspent
    return None


def _digest(body: bytes) -> str:
    return blake2b(body, digest_size=16).hexdigest()
