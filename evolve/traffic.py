"""Who gets a core, how many questions may be out, and how busy both sides are: the traffic of a run with a model.

Little's law decides: so many programs have to be on their way that evaluators never wait, and no more, because what is
not evaluated yet makes every question that is put meanwhile a stale one. Knows counts and clocks; asks nobody.
"""

import asyncio
import time
from collections import deque

__all__ = ["Cores", "Level", "Usual", "wanted"]

_AHEAD = 0.05  # seconds of work that may lie ahead of each worker
_LATEST = 32
_SPARE = 1.25  # replies take longer now and then


class Usual:
    """The mean of the latest numbers without the largest ones: the first evaluation compiles, a reply gets lost."""

    def __init__(self) -> None:
        self._latest: deque[float] = deque(maxlen=_LATEST)
        self.value: float | None = None

    def note(self, number: float) -> None:
        """Take a number."""
        self._latest.append(number)
        kept = sorted(self._latest)[: max(1, len(self._latest) - len(self._latest) // 8)]
        self.value = sum(kept) / len(kept)


class Level:
    """A number that changes now and then, and its mean over time."""

    def __init__(self) -> None:
        self.value = 0.0
        self._sum = 0.0
        self._since = self._began = time.monotonic()

    def set(self, value: float) -> None:
        """It is `value` from now on."""
        now = time.monotonic()
        self._sum += self.value * (now - self._since)
        self.value, self._since = value, now

    @property
    def total(self) -> float:
        """Its integral over time: seconds, for a share."""
        return self._sum + self.value * (time.monotonic() - self._since)

    @property
    def mean(self) -> float:
        """Its mean since it was made."""
        seconds = time.monotonic() - self._began
        return self.total / seconds if seconds > 0 else self.value


class Cores:
    """Places for evaluations, a few more than workers so that none waits for the event loop.

    Programs of models go first; others get a place only where none of those waits.

    Args:
        workers: that evaluate.
        most: places, where evaluations are so short that many fit into a twentieth of a second.
    """

    def __init__(self, workers: int, most: int) -> None:
        self.workers = workers
        self.most = max(most, 2 * workers)
        self.taken = 0
        self.seconds = Usual()
        self.busy = Level()
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    @property
    def places(self) -> int:
        """How many evaluations may be handed to the workers at once."""
        if not self.seconds.value:
            return 2 * self.workers
        return max(2 * self.workers, min(self.most, int(self.workers * _AHEAD / self.seconds.value)))

    @property
    def rate(self) -> float | None:
        """Evaluations a second that the workers can do; None before the first."""
        return self.workers / self.seconds.value if self.seconds.value else None

    @property
    def waiting(self) -> int:
        """Programs of models that wait for a place."""
        return len(self._urgent)

    async def take(self, urgent: bool) -> None:
        """Wait for a place."""
        if self.taken < self.places and not self._urgent:
            self._occupy()
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._urgent if urgent else self._others
        queue.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._free()
            elif future in queue:
                queue.remove(future)
            raise

    def give(self, seconds: float) -> None:
        """Give a place back, after `seconds` in it."""
        # A worker works on one at a time: what lies ahead of it waits in its place.
        at_once = min(self.taken, self.workers)
        self.seconds.note(seconds * at_once / self.taken)
        self._free()

    def give_back(self) -> None:
        """Give a place back that was not used."""
        self._free()

    def _occupy(self) -> None:
        self.taken += 1
        self.busy.set(min(1.0, self.taken / self.workers))

    def _free(self) -> None:
        self.taken -= 1
        self.busy.set(min(1.0, self.taken / self.workers))
        for queue in (self._urgent, self._others):
            while queue and self.taken < self.places:
                future = queue.popleft()
                if not future.done():
                    self._occupy()
                    future.set_result(None)


def wanted(cores: Cores, latency: float | None) -> float:
    """How many programs should be on their way: at models, waiting, or being evaluated.

    Args:
        cores: the evaluators.
        latency: seconds from a question to its answer; None before the first.
    """
    if cores.rate is None:
        return float(2 * cores.workers)
    return _SPARE * cores.rate * (1.0 if latency is None else latency) + 2 * cores.workers
