"""Our client without an engine: keeps asking, and throws the replies away. See `contenders.ClientAlone`."""

import argparse
import asyncio
from collections.abc import Iterator
from typing import Final

from evolve.llm.client import HttpClient
from evolve.llm.endpoints import Endpoint
from evolve.llm.records import Message, Request
from evolve.llm.spending import Limits, Purse

_SHARED: Final = Message("system", "    total = total + weights[index] * item  # as the parent does\n" * 110)
_KILOBYTES: Final = 8  # of a prompt, about


def _request(number: int) -> Request:
    own = Message("user", f"# Current program\n\n    height = 0.{number}\n" * 16)
    return Request((_SHARED, own), "prefix", "fake", 512)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("requests", type=int)
    parser.add_argument("--waiting", type=int, required=True, help="requests that are ready at any time")
    given = parser.parse_args()
    client = HttpClient([Endpoint(given.url)])
    purse = Purse(Limits(tokens=10**12))
    numbers: Iterator[int] = iter(range(given.requests))

    async def worker() -> None:
        for number in numbers:
            request = _request(number)
            with purse.reserve(request, 256 * _KILOBYTES) as hold:
                reply = await client.generate(request, hold)
                hold.settle(reply.usage)

    await asyncio.gather(*(worker() for _ in range(given.waiting)))
    await client.close()


if __name__ == "__main__":
    asyncio.run(main())
