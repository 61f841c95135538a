"""CPU milliseconds of the client a request, at 64 in flight, against a server in another process.

    python bench/perf/client_cost.py

The server is the one of the tests, and generates nothing; the client's process is all that is measured. Beside it,
from the same process: what aiohttp costs that sends the same bytes and reads no reply. `--endpoints 4` routes among
four servers, `--fault half=0.3` lets three replies in ten break off.
"""

import argparse
import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

import aiohttp

from evolve.llm.client import HttpClient
from evolve.llm.endpoints import Endpoint
from evolve.llm.records import Message, Request
from evolve.llm.spending import Limits, Purse
from evolve.llm.wire import body

SERVER: Final = Path(__file__).parents[2] / "tests" / "llm" / "fake_server.py"
LINE: Final = "    total = total + weights[index] * np.sqrt(item)  # as the parent does\n"


@contextlib.contextmanager
def served(arguments: list[str], count: int) -> Iterator[list[str]]:
    """URLs of so many servers, each a process of its own."""
    command = [sys.executable, str(SERVER), *arguments]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    try:
        yield [process.stdout.readline().strip() for process in processes if process.stdout]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def request_of(number: int, kilobytes: int) -> Request:
    shared = LINE * (kilobytes * 1024 * 9 // 10 // len(LINE))
    own = LINE * (kilobytes * 1024 // 10 // len(LINE)) + f"attempt {number}"
    parts = (Message("system", shared), Message("user", own))
    return Request(parts, f"prefix {number % 8}", "fake", 512, sampling={"seed": number})


async def saturated(send: Callable[[int], Awaitable[None]], count: int, slots: int) -> tuple[float, float]:
    """CPU milliseconds a request, and requests a second, with `slots` in flight all the time."""
    numbers: Iterator[int] = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await send(number)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(slots)))
    spent = time.process_time() - cpu
    return spent / count * 1e3, count / (time.perf_counter() - began)


@contextlib.asynccontextmanager
async def ours(urls: list[str], given: argparse.Namespace) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    client = HttpClient([Endpoint(url, slots=given.slots) for url in urls])
    purse = Purse(Limits(tokens=10**12))

    async def send(number: int) -> None:
        request = request_of(number, given.kilobytes)
        with purse.reserve(request, 256 * given.kilobytes) as hold:
            reply = await client.generate(request, hold)
            hold.settle(reply.usage)

    try:
        yield send
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def bare(urls: list[str], given: argparse.Namespace) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        data = body(request_of(0, given.kilobytes), "fake")

        async def send(number: int) -> None:
            async with session.post(urls[number % len(urls)] + "/chat/completions", data=data) as response:
                await response.read()

        yield send


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--kilobytes", type=int, default=8, help="of each prompt")
    parser.add_argument("--endpoints", type=int, default=1)
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=SHARE")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    faults = [part for fault in given.fault for part in ("--fault", fault)]
    with served(["--latency", str(given.latency), *faults], given.endpoints) as urls:
        print(f"{given.slots} in flight, {given.kilobytes} kB a prompt, replies after {given.latency:g} s")
        for _ in range(given.repeats):
            for name, way in (("client", ours), ("aiohttp alone", bare)):
                if faults and way is bare:
                    continue
                async with way(urls, given) as send:
                    await saturated(send, 2 * given.slots, given.slots)
                    cost, rate = await saturated(send, given.requests, given.slots)
                print(f"  {name:14} {cost:6.3f} ms of CPU a request, {rate:6.0f} requests/s")


if __name__ == "__main__":
    asyncio.run(main())
