"""Workers that outlive a run: for many short runs of one problem, one after another, where starting them takes longest.

Knows an event loop and evaluators; knows nothing of what is run on them.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from evolve.evaluator import Evaluator, Job, TuneOrder
from evolve.statement import Problem

__all__ = ["Workers"]

T = TypeVar("T")


class Workers:
    """Keeps the evaluator of the problem that was asked for last; a context manager, for the main thread.

    A run on them finds what it would find on its own: a judge answers each job from scratch. They are warm when they
    are lent, so that no run pays for a start that another is spared.

    Args:
        count: supervisors.
        unsafe: see `Evaluator`.
    """

    def __init__(self, count: int = 1, unsafe: bool = False) -> None:
        self.count = count
        self.unsafe = unsafe
        self._runner = asyncio.Runner()
        self._kept: tuple[Any, Evaluator] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kept is not None:
            self._runner.run(self._closed(self._kept[1]))
            self._kept = None
        self._runner.close()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end on the loop that the workers live on."""
        return self._runner.run(work)

    @contextlib.asynccontextmanager
    async def lent(self, problem: Problem) -> AsyncIterator[Evaluator]:
        """A started evaluator of a problem; what is unanswered when it is given back is dropped."""
        assert problem.origin is not None
        origin = problem.origin
        key = (origin.path, origin.factory, dict(origin.parameters))
        if self._kept is not None and self._kept[0] != key:
            before, self._kept = self._kept[1], None
            await self._closed(before)
        if self._kept is None:
            evaluator = Evaluator(problem, self.count, self.unsafe)
            await evaluator.__aenter__()
            self._kept = key, evaluator
            # Programs of the seed's kind start, and compile, once before anything is counted.
            first = Job(problem.block, tune=None if problem.speed else TuneOrder(8, 8, seed=1))
            await asyncio.gather(*(evaluator.evaluate(first) for _ in range(self.count)))
        try:
            yield self._kept[1]
        except BaseException:
            if self._kept is not None:  # it may be broken
                broken, self._kept = self._kept[1], None
                await self._closed(broken)
            raise
        self._kept[1].pool.drop()

    @staticmethod
    async def _closed(evaluator: Evaluator) -> None:
        await evaluator.__aexit__()
        await asyncio.sleep(0)  # lets the loop drop its transports
