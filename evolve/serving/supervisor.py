"""All servers of one plan, from their start to their end, and the file that tells others where they are."""

import asyncio
import contextlib
import os
import random
import re
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from evolve.errors import InfrastructureError, UsageError
from evolve.llm.endpoints import Endpoint
from evolve.llm.transport import Transport
from evolve.serving.discovery import BEAT, Record, folder
from evolve.serving.keeper import Care, Keeper, Said, Stage
from evolve.serving.plan import KEY, Plan, commands, executable

__all__ = ["Supervisor"]

# Below the ports that the kernel gives to outgoing connections, which could take one between two starts.
_PORTS: Final = range(20_000, 32_000)


def _silent(_: Said) -> None:
    """Tells nobody."""


class Supervisor:
    """Serves a plan for as long as it is entered.

        async with Supervisor(Plan("some/model")) as served:
            client = HttpClient(served.endpoints)

    Args:
        plan: what to serve.
        care: how long to wait.
        observer: is told what happens, within the loop; must not wait.
        place: folder of the discovery file and the logs; `folder()` if None.

    Attributes:
        record: the discovery file; there once every server is ready or given up.
        keepers: the servers, after entering.

    Raises:
        UsageError: no vLLM, or a plan that cannot be carried out here.
    """

    def __init__(
        self,
        plan: Plan,
        care: Care | None = None,
        observer: Callable[[Said], None] = _silent,
        place: Path | None = None,
    ) -> None:
        self.plan = plan
        self.keepers: tuple[Keeper, ...] = ()
        self._care = care or Care()
        self._tell = observer
        self._place = place or folder()
        if plan.model.startswith(("/", ".", "~")) and not Path(plan.model).is_dir():
            raise UsageError(f"model {plan.model}: there is no such folder")
        self._commands = commands(plan, executable(), _Ports(plan.host))
        self._key = os.environ.get(KEY) or secrets.token_urlsafe(32)
        self._changed = asyncio.Event()
        self._hurry = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._transport: Transport | None = None
        self._record = Record(self._place)
        self._published: tuple[Endpoint, ...] = ()

    @property
    def record(self) -> Path:
        """The discovery file."""
        return self._record.path

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Those that have been ready and are not given up; one that is started again keeps its URL."""
        return tuple(
            Endpoint(
                each.endpoint.url, model=each.finding.model, key=each.endpoint.key, slots=each.endpoint.slots
            )
            for each in self.keepers
            if each.finding is not None and each.stage is not Stage.GONE
        )

    async def __aenter__(self) -> Self:
        """Start all servers and wait until each is ready or given up.

        Raises:
            InfrastructureError: none became ready, with what their logs say.
        """
        self._transport = Transport()
        self.keepers = tuple(
            Keeper(
                command,
                Endpoint(command.url, key=self._key, slots=self.plan.slots),
                self._place
                / f"{_plain(self.plan.model)}-{command.words[command.words.index('--port') + 1]}.log",
                self._transport,
                self._care,
                self._heard,
            )
            for command in self._commands
        )
        try:
            self._tasks = [asyncio.create_task(self._keep(keeper)) for keeper in self.keepers]
            self._tasks.append(asyncio.create_task(self._beat()))
            while not all(self._met(each) for each in self.keepers):
                await self._change()
            self._raise_if_gone()
            self._publish()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take the discovery file away and end all servers, which finish what is under way."""
        await self.close()

    async def wait(self) -> None:
        """Keep the servers, and the file true, until none is left.

        Raises:
            InfrastructureError: that is so; with what the logs say.
        """
        while True:
            self._raise_if_gone()
            if self.endpoints != self._published:
                self._publish()
            await self._change()

    def hurry(self) -> None:
        """End at once, what is under way is lost."""
        self._hurry.set()

    async def close(self) -> None:
        """What leaving does; may be called again."""
        self._record.remove()
        self._published = ()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        transport, self._transport = self._transport, None
        if transport is not None:
            ends = [keeper.end(self.plan.drain, self._hurry) for keeper in self.keepers]
            await asyncio.gather(*ends)
            await transport.close()

    async def _keep(self, keeper: Keeper) -> None:
        try:
            await keeper.run()
        finally:
            self._changed.set()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            self._record.touch()

    def _heard(self, said: Said) -> None:
        self._changed.set()
        self._tell(said)

    async def _change(self) -> None:
        """Wait until something happens; an error of a keeper is raised here."""
        await self._changed.wait()
        self._changed.clear()
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    @staticmethod
    def _met(keeper: Keeper) -> bool:
        return keeper.finding is not None or keeper.stage is Stage.GONE

    def _raise_if_gone(self) -> None:
        if any(each.stage is not Stage.GONE for each in self.keepers):
            return
        words = "\n".join(f"{each.endpoint.url}: {each.words}" for each in self.keepers)
        logs = ", ".join(str(each.log) for each in self.keepers)
        raise InfrastructureError(f"no server of {self.plan.model} lives; logs: {logs}\n{words}")

    def _publish(self) -> None:
        self._published = self.endpoints
        self._record.write(self.plan.model, self.plan.profile, self._published)


class _Ports:
    """A free port for each server; the same number is not given twice."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._given: set[int] = set()
        self._rng = random.Random()

    def __call__(self, number: int) -> int:
        for port in self._rng.sample(_PORTS, 200):
            if port not in self._given and self._free(port):
                self._given.add(port)
                return port
        raise InfrastructureError(
            f"no free port for server {number} at {self._host} from {_PORTS.start} to {_PORTS.stop}; "
            "is that an address of this machine?"
        )

    def _free(self, port: int) -> bool:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as trial, contextlib.suppress(OSError):
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((self._host, port))
            return True
        return False


def _plain(model: str) -> str:
    """A model's name as part of a file's."""
    return re.sub(r"[^\w.-]+", "_", Path(model).name)[:60] or "model"
