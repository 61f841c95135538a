"""Who answers a run: servers found on this machine, named by their URLs, or started for as long as it lasts.

Knows words of the user and `evolve.serving`; knows no search.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from evolve.errors import EvolveError, UsageError
from evolve.llm.endpoints import Endpoint
from evolve.llm.pool import Notice
from evolve.servers import endpoints_of
from evolve.serving.discovery import discovered
from evolve.serving.keeper import Said
from evolve.serving.plan import Plan
from evolve.serving.profiles import PROFILES
from evolve.serving.supervisor import Supervisor
from evolve.text import clean

__all__ = ["AUTO", "SERVE", "hosted"]

AUTO: Final = "auto"
SERVE: Final = "serve:"

T = TypeVar("T")
Tell = Callable[[Notice], None]


@contextlib.contextmanager
def hosted(word: str, tell: Tell | None) -> Iterator[tuple[Endpoint, ...]]:
    """The endpoints that a word means; those that were started for it end when it is left.

    Args:
        word: "auto", "serve:MODEL", "serve:MODEL#PROFILE", or URLs with commas between them.
        tell: is told what happens to servers that are started, on any thread.

    Raises:
        UsageError: it cannot be understood, no server is found, or there is no vLLM.
        InfrastructureError: a server that was started does not become ready.
    """
    if word == AUTO:
        yield _found()
    elif word.startswith(SERVE):
        with _started(word.removeprefix(SERVE), tell) as endpoints:
            yield endpoints
    else:
        yield endpoints_of(word)


def _found() -> tuple[Endpoint, ...]:
    """The servers of the latest model that is served here; over several nodes, all that serve it."""
    servings = discovered()
    if not servings:
        raise UsageError(
            "--llm auto: no `evolve serve` is running here; start `evolve serve MODEL` in another terminal, or name "
            "the URL of an endpoint"
        )
    model = servings[0].model
    return tuple(endpoint for one in servings if one.model == model for endpoint in one.endpoints)


@contextlib.contextmanager
def _started(word: str, tell: Tell | None) -> Iterator[tuple[Endpoint, ...]]:
    model, mark, profile = word.partition("#")
    if not model or (mark and profile not in PROFILES):
        raise UsageError(
            f"--llm serve:{word}: say serve:MODEL, or serve:MODEL#PROFILE with one of {', '.join(PROFILES)}"
        )

    def heard(said: Said) -> None:
        if tell is not None:
            words = f"{said.kind}: {said.words}" if said.words else said.kind
            tell(Notice("serving", said.url, clean(words, 2_000)))

    supervisor = Supervisor(Plan(model, profile=profile or "throughput"), observer=heard)
    with _Loop() as loop:
        loop.do(supervisor.__aenter__())
        try:
            loop.begin(_kept(supervisor, heard))
            yield supervisor.endpoints
        finally:
            loop.leave()
            loop.do(supervisor.close())


async def _kept(supervisor: Supervisor, heard: Callable[[Said], None]) -> None:
    """Keep the servers until none is left; the run then finds that nobody answers."""
    try:
        await supervisor.wait()
    except EvolveError as error:
        heard(Said("gave up", "", str(error)))


class _Loop:
    """An event loop in a thread of its own: a session has another one, and has to be free while servers start."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: list[Future[Any]] = []

    def __enter__(self) -> "_Loop":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to its end; Ctrl-C cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def leave(self) -> None:
        """End what runs beside."""
        for task in self._tasks:
            task.cancel()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run beside everything else."""
        self._tasks.append(asyncio.run_coroutine_threadsafe(work, self._loop))


def same(endpoints: Sequence[Endpoint]) -> str:
    """A word that means these endpoints; without keys."""
    return ",".join(
        f"{'openai+' if one.dialect == 'openai' else ''}{one.url}{'' if one.weight == 1.0 else f'*{one.weight:g}'}"
        for one in endpoints
    )
