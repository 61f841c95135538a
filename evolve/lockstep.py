"""The schedule of a run without a model: proposal n is drawn right after commit n - width(n), commits come in order.

What is found depends on the seed alone, whatever the number of workers and however long each evaluation takes.
"""

import asyncio
import math
from collections.abc import Iterator

from evolve.config import Config
from evolve.engine import Engine, first_error
from evolve.search import Pending

__all__ = ["Drawing", "Lockstep"]


class Drawing:
    """After which commit which proposals are drawn.

    Args:
        config: the dials.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._next = 1

    def after(self, commit: int) -> Iterator[int]:
        """The numbers that are drawn right after commit `commit`, and all before that were not told."""
        while self._next - self._config.width(self._next) <= commit:
            self._next += 1
            yield self._next - 1


class Lockstep:
    """A task for each proposal under way: evaluates, and commits in order.

    Args:
        prepared: proposals that were drawn while a ledger was replayed, by number.
    """

    def __init__(self, prepared: dict[int, Pending] | None = None) -> None:
        self._prepared = prepared or {}
        self._done = -1
        self._turns: dict[int, asyncio.Future[None]] = {}

    async def drive(self, engine: Engine) -> None:
        """See `Schedule.drive`."""
        self._done = engine.ledger.commits - 1
        self._most = engine.budget.proposals if engine.budget.proposals is not None else math.inf
        self._drawing = Drawing(engine.search.config)
        with first_error():
            async with asyncio.TaskGroup() as self._group:
                self._begin(engine)

    def _begin(self, engine: Engine) -> None:
        """Draw what comes after the last commit, and start on it."""
        for number in self._drawing.after(self._done):
            if self._done < number <= self._most and engine.stopped is None:
                pending = self._prepared.pop(number, None) or engine.search.propose(number)
                self._group.create_task(self._life(engine, number, pending))

    async def _life(self, engine: Engine, number: int, pending: Pending) -> None:
        judged = None if pending.job is None else await engine.judge(pending.job)
        await self._turn(number)
        if engine.stopped is not None:
            return
        await engine.settle(pending, judged)
        self._done = number
        self._begin(engine)
        turn = self._turns.pop(number + 1, None)
        if turn is not None and not turn.done():
            turn.set_result(None)

    async def _turn(self, number: int) -> None:
        if self._done == number - 1:
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns[number] = turn
        await turn
