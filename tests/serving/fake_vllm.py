"""What stands for `vllm serve` in tests: the fault-injecting server, a child that is its engine, orders in files.

The folder $FAKE_VLLM holds the orders, files named `stillborn` (end at the start, with these words), `stubborn` (do not
end on SIGTERM), `mute` (be healthy, generate nothing), `unbound` (ignore constraints), and two that may come and go
while it runs, `latency` and `ill` (say so at /health); and what was seen: `starts` (a JSON line each), `engines`
(process numbers).
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "llm"))

from fake_server import FakeServer

FOLDER = Path(os.environ["FAKE_VLLM"])


def ordered(name):
    path = FOLDER / name
    return path.read_text() if path.exists() else None


def note(name, content):
    with (FOLDER / name).open("a") as file:
        file.write(json.dumps(content) + "\n")


async def main():
    words = sys.argv[1:]
    seen = {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "VLLM_NO_USAGE_STATS")}
    note("starts", {"words": words, "pid": os.getpid(), **seen})
    if (said := ordered("stillborn")) is not None:
        print("Traceback (most recent call last):\n  File x", said, "the last line", sep="\n", flush=True)
        return 3
    # In a session of its own, as an engine may be; it hears no signal that goes to the server's group.
    asleep = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    engine = subprocess.Popen([sys.executable, "-c", asleep], start_new_session=True)
    note("engines", engine.pid)
    port = int(words[words.index("--port") + 1])
    server = FakeServer(port, key=os.environ["VLLM_API_KEY"], latency=float(ordered("latency") or 0))
    if ordered("mute") is not None:
        server.settings.faults = lambda *_: "500"
    if ordered("unbound") is not None:
        server.settings.constraint = "ignored"
    stopped, died = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    async with server:
        print("Application startup complete.", flush=True)
        while engine.poll() is None and not died.is_set():
            if stopped.is_set() and ordered("stubborn") is None:
                while server.counts.running:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.05)  # the last reply leaves
                return 0
            server.settings.health = 200 if ordered("ill") is None else 503
            server.settings.latency = float(ordered("latency") or 0)
            await asyncio.sleep(0.01)
        print("RuntimeError: the engine is dead \x1b[31m", flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
