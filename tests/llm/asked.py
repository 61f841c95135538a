"""Requests to the fault-injecting server, and a client that is connected to it."""

import asyncio
import contextlib

from fake_server import FakeServer

from evolve.llm.client import HttpClient, Patience
from evolve.llm.endpoints import Endpoint
from evolve.llm.records import Message, Request

QUICK = Patience(seconds=20.0, tries=12, pause=0.01, longest=0.05, interval=0.05)
RETRIED = (
    *("429", "500", "503", "reset", "half", "malformed", "html", "empty", "latin1", "utf16", "no_message"),
    *("billed_500", "billed_empty"),
)
"""Faults after which the client asks again."""


def ask(text="say hello", **changes):
    settings = {"stable": "s", "model": "", "max_tokens": 50, "deadline": 20.0, **changes}
    return Request((Message("system", "you are terse"), Message("user", text)), **settings)


@contextlib.asynccontextmanager
async def connected(*servers, patience=QUICK, **options):
    notices = []
    endpoints = [
        server if isinstance(server, Endpoint) else Endpoint(server.url, key=server.settings.key)
        for server in servers
    ]
    client = HttpClient(endpoints, patience, notices.append, seed=0, **options)
    client.notices = notices
    try:
        yield client
    finally:
        await client.close()


def kinds(client):
    return [notice.kind for notice in client.notices]


def one(request=None, options=None, hold=None, patience=QUICK, **settings):
    """One request to one server: the reply, the server, the client."""

    async def run():
        async with (
            FakeServer(**settings) as server,
            connected(server, patience=patience, **options or {}) as client,
        ):
            return await client.generate(request or ask(), hold), server, client

    return asyncio.run(run())
