"""The schedule of a run without a model: proposal n is drawn right after commit n - window, commits come in order.

What is found depends on the seed alone, whatever the number of workers and however long each evaluation takes.
"""

import asyncio
import math

from evolve.engine import Engine
from evolve.search import Pending

__all__ = ["Lockstep"]


class Lockstep:
    """Identical tasks that propose, evaluate and commit in order.

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
        first = self._done + 1
        window = engine.search.config.window
        await engine.together(self._life(engine, number) for number in range(first, first + window))

    async def _life(self, engine: Engine, number: int) -> None:
        """Proposals number, number + window, ...: each is drawn right after the commit it may see last."""
        most = engine.budget.proposals if engine.budget.proposals is not None else math.inf
        while number <= most and engine.stopped is None:
            pending = self._prepared.pop(number, None) or engine.search.propose(number)
            judged = None if pending.job is None else await engine.judge(pending.job)
            await self._turn(number)
            await engine.settle(pending, judged)
            self._done = number
            turn = self._turns.pop(number + 1, None)
            if turn is not None and not turn.done():
                turn.set_result(None)
            number += engine.search.config.window

    async def _turn(self, number: int) -> None:
        if self._done == number - 1:
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns[number] = turn
        await turn
