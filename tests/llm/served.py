"""The fault-injecting server in a thread of its own, for tests of whole runs: they have loops of their own."""

import asyncio
import contextlib
import threading

from author import Author
from fake_server import FakeServer


@contextlib.contextmanager
def served(answer=None, **settings):
    """A running FakeServer; `server.do(coroutine function)` runs within its loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def do(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    async def made():
        return FakeServer(answer=answer or Author(), **settings)

    server = do(made())
    server.do = do
    do(server.rise())
    try:
        yield server
    finally:
        do(server.die())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
