"""Who waits for which server, and how long nobody was served. Opens no connection: the client tells it of events."""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from evolve.llm.endpoints import Endpoint, Server, choose, order, serving
from evolve.llm.errors import Outage
from evolve.llm.records import Request

__all__ = ["Errand", "Notice", "Observer", "Pool"]

_ORDERS = 1_024
_GRACE = 2.0  # seconds in which the first to come up does not get everything


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about the servers that a human may want to know.

    Args:
        kind: "up", "down", "busy", "retry", "outage" (no server is up), "recovered", "suspect" or "poisoned".
        endpoint: URL; "" where it is about all.
        words: what happened, safe to show.
    """

    kind: str
    endpoint: str
    words: str


Observer = Callable[[Notice], None]


@dataclass(eq=False, slots=True)
class Errand:
    """A request on its way, over all of its attempts.

    Attributes:
        started: time of the loop.
        attempts: how often it was sent.
        sent: when it was, last; time of the loop.
        failures: of those, how many count against it.
        deaths: at how many deaths of a server it was in flight.
        avoid: servers where it has failed.
        bodies: what is sent, by model and dialect.
    """

    request: Request
    started: float
    attempts: int = 0
    sent: float = 0.0
    failures: int = 0
    deaths: int = 0
    avoid: set[Server] = field(default_factory=set)
    bodies: dict[tuple[str, str], bytes] = field(default_factory=dict)

    @property
    def suspect(self) -> bool:
        """Whether it may be what killed a server."""
        return self.deaths > 0


_Waiter = tuple[Errand, "asyncio.Future[Server]"]


class Pool:
    """The servers and the queues before them. Made inside the loop that uses it.

    Args:
        endpoints: all different.
        patience: seconds without a good reply after which those that wait are told of an outage.
        observer: is told of what happens.
    """

    def __init__(self, endpoints: Sequence[Endpoint], patience: float, observer: Observer) -> None:
        self.servers = tuple(Server(endpoint) for endpoint in endpoints)
        self.patience = patience
        self._tell = observer
        self._loop = asyncio.get_running_loop()
        self._orders: dict[tuple[str, str], tuple[Server, ...]] = {}
        # Suspects, and requests for other models, wait in queues of their own: they hold up nobody else.
        self._queues: dict[tuple[bool, str], deque[_Waiter]] = {}
        self._trouble: float | None = None
        self._words = ""
        self._timer: asyncio.TimerHandle | None = None
        self._dark = False
        self._begun = len(self.servers) < 2
        if not self._begun:
            self._loop.call_later(_GRACE, self._begin)

    @property
    def room(self) -> int:
        """Answers that could be sent for right now."""
        now = self._loop.time()
        return sum(
            max(0, int(server.window.size) - server.in_flight)
            for server in self.servers
            if server.up and now >= server.resting_until
        )

    async def acquire(self, errand: Errand) -> Server:
        """A server to send to, as soon as there is one; it has to be given back by `release`.

        Raises:
            Outage: nobody was served for too long.
        """
        key = (errand.suspect, errand.request.model)
        queue = self._queues.get(key)
        if not queue and (server := self._pick(errand)) is not None:
            server.take(errand.request.n, errand.suspect)
            return server
        if queue is None:
            queue = self._queues[key] = deque()
        future: asyncio.Future[Server] = self._loop.create_future()
        queue.append((errand, future))
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.release(future.result(), errand, errand.suspect)
            raise

    async def vacancy(self, model: str) -> None:
        """Wait until an answer of `model` could be sent for. Raises as `acquire` does."""
        errand = Errand(Request((), "", model, 1), self._loop.time())
        self.release(await self.acquire(errand), errand, False)

    def release(self, server: Server, errand: Errand, suspect: bool) -> None:
        """Give a server back; `suspect` is what the errand was when it got it."""
        server.give(errand.request.n, suspect)
        self.serve()

    def serve(self) -> None:
        """Give servers to those that wait, the suspects first."""
        for key in sorted(self._queues, key=lambda key: (not key[0], self._queues[key][0][0].started)):
            queue = self._queues[key]
            while queue:
                errand, future = queue[0]
                if not future.done():
                    server = self._pick(errand)
                    if server is None:
                        break
                    server.take(errand.request.n, errand.suspect)
                    future.set_result(server)
                queue.popleft()
            if not queue:
                del self._queues[key]

    def elsewhere(self, errand: Errand) -> bool:
        """Whether a server is open where this errand has not failed yet."""
        now = self._loop.time()
        candidates = serving(self.servers, errand.request.model)
        return any(
            server.open(now, errand.request.n, errand.suspect)
            for server in candidates
            if server not in errand.avoid
        )

    def good(self, server: Server, errand: Errand, suspect: bool) -> None:
        """A proper reply came."""
        server.good(errand.request.n, suspect)
        self._trouble = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def bad(self, words: str) -> None:
        """Something failed: from now on it is counted how long nobody is served.

        Args:
            words: what happened, safe to show.
        """
        self._words = words
        if self._trouble is None:
            self._trouble = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self.patience, self._expire)

    def lost(self, errand: Errand) -> Outage | None:
        """The outage, if nobody was served for too long while this errand tried."""
        if self._trouble is None:
            return None
        seconds = self._loop.time() - max(self._trouble, errand.started)
        if seconds < self.patience:
            return None
        names = ", ".join(server.endpoint.url for server in self.servers)
        return Outage(
            f"no good reply for {seconds:.0f} s from {names} ({self._words}); the run can be resumed"
        )

    def rest(self, server: Server, seconds: float) -> None:
        """Send nothing there for so long."""
        server.resting_until = max(server.resting_until, self._loop.time() + seconds)
        self._loop.call_later(seconds + 0.001, self.serve)

    def up(self, server: Server) -> None:
        """It answers."""
        server.up = True
        server.quota = 1
        self._orders.clear()  # its models may have changed
        self._tell(Notice("up", server.endpoint.url, "answers"))
        if self._dark:
            self._dark = False
            self._tell(Notice("recovered", "", f"{server.endpoint.url} answers"))
        self._met()

    def down(self, server: Server, words: str) -> None:
        """It does not; told once for all the requests that died with it."""
        if server.up is False:
            return
        server.up = False
        server.failures += 1
        self.bad(words)
        self._tell(Notice("down", server.endpoint.url, words))
        if not self._dark and not any(each.up for each in self.servers):
            self._dark = True
            self._tell(Notice("outage", "", f"no endpoint answers; waiting up to {self.patience:g} s"))
        self._met()

    def fail(self, error: BaseException) -> None:
        """Raise `error` in whoever waits: nobody is there to bring a server up again."""
        for _, future in list(itertools.chain.from_iterable(self._queues.values())):
            if not future.done():
                future.set_exception(error)

    def close(self) -> None:
        """Stop the timer, and tell those that still wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.fail(RuntimeError("the client is closed"))
        self._queues.clear()

    def _met(self) -> None:
        if self._begun or all(server.up is not None for server in self.servers):
            self._begin()

    def _begin(self) -> None:
        self._begun = True
        self.serve()

    def _pick(self, errand: Errand) -> Server | None:
        if not self._begun:
            return None
        request = errand.request
        now = self._loop.time()
        suspect = errand.suspect
        ranked = self._ranked(request.stable, request.model)
        return choose(
            [each for each in ranked if each.open(now, request.n, suspect)], request.n, errand.avoid
        )

    def _ranked(self, stable: str, model: str) -> tuple[Server, ...]:
        if len(self.servers) == 1:
            return self.servers
        ranked = self._orders.get((stable, model))
        if ranked is None:
            if len(self._orders) >= _ORDERS:
                self._orders.clear()
            ranked = self._orders[stable, model] = order(serving(self.servers, model), stable)
        return ranked

    def _expire(self) -> None:
        self._timer = None
        if self._trouble is None:
            return
        for errand, future in list(itertools.chain.from_iterable(self._queues.values())):
            if not future.done() and (outage := self.lost(errand)) is not None:
                future.set_exception(outage)
        self.serve()
        self._timer = self._loop.call_later(max(0.02, self.patience / 8), self._expire)
