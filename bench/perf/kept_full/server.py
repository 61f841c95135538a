"""A fake model server with so many slots and a fixed latency, that counts how full it is kept.

    python -m bench.perf.kept_full.server --slots 64 --latency 0.5

Speaks as vLLM does: `/v1/chat/completions`, `/v1/models`, `/health`, and of `/metrics` the gauges by which clients
steer. `/stats` tells what it has counted since it began, as JSON; the difference of two is what happened between.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from bench.perf.kept_full.answers import reply

_MODEL: Final = "fake"
_CONTEXT: Final = 32_768
_CHARACTERS = 4  # that a token has


class _Job:
    """A request: one sequence for each sample that it wants."""

    __slots__ = ("done", "left", "timers")

    def __init__(self, samples: int, done: "asyncio.Future[None]") -> None:
        self.left = samples
        self.done = done
        self.timers: list[asyncio.TimerHandle] = []  # no set: those of one moment are equal


class Slots:
    """Where sequences are made, each for as long as the latency; those that find no place wait in a row.

    Attributes:
        running: sequences in a slot.
        area: seconds that slots were taken, summed over them.
        queued: seconds that sequences waited, summed.
        late: seconds that sequences were held beyond the latency, summed: the server's own slowness.
        finished: sequences that were made.
    """

    def __init__(self, count: int, latency: float) -> None:
        self.count, self.latency = count, latency
        self.running = self.finished = 0
        self.area = self.queued = self.late = 0.0
        self._waiting: deque[_Job] = deque()
        self._loop = asyncio.get_running_loop()
        self._at = self._loop.time()

    @property
    def waiting(self) -> int:
        """Sequences without a slot."""
        return len(self._waiting)

    def advance(self) -> float:
        """Bring the sums up to now, and return the time."""
        now = self._loop.time()
        self.area += self.running * (now - self._at)
        self.queued += len(self._waiting) * (now - self._at)
        self._at = now
        return now

    async def make(self, samples: int) -> None:
        """Make so many sequences; a request that is given up frees its slots at once."""
        job = _Job(samples, self._loop.create_future())
        now = self.advance()
        self._waiting.extend([job] * samples)
        self._fill(now)
        try:
            await job.done
        finally:
            if job.left:
                self._drop(job)

    def _fill(self, now: float) -> None:
        due = now + self.latency
        while self._waiting and self.running < self.count:
            job = self._waiting.popleft()
            self.running += 1
            job.timers.append(self._loop.call_at(due, self._finish, job, due))

    def _finish(self, job: _Job, due: float) -> None:
        now = self.advance()
        self.late += now - due
        self.running -= 1
        self.finished += 1
        job.left -= 1
        if not job.left:
            job.timers.clear()
            if not job.done.done():
                job.done.set_result(None)
        self._fill(now)

    def _drop(self, job: _Job) -> None:
        now = self.advance()
        for timer in job.timers:
            if timer.when() > now and not timer.cancelled():
                timer.cancel()
                self.running -= 1
        self._waiting = deque(each for each in self._waiting if each is not job)
        self._fill(now)


class Model:
    """The server's handler.

    Args:
        slots: where its replies are made.
        busy: CPU seconds that the programs of its replies compute.
    """

    def __init__(self, slots: Slots, busy: float) -> None:
        self.slots, self.busy = slots, busy
        self.requests = self.answered = self.programs = 0
        self.prompt = self.completion = 0

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        if request.path == "/v1/chat/completions":
            return await self._complete(request)
        if request.path == "/metrics":
            return web.Response(text=self._metrics())
        if request.path == "/stats":
            return web.json_response(self.stats())
        if request.path == "/v1/models":
            data = [{"id": _MODEL, "object": "model", "max_model_len": _CONTEXT}]
            return web.json_response({"object": "list", "data": data})
        return web.Response(status=200 if request.path == "/health" else 404)

    async def _complete(self, request: web.BaseRequest) -> web.Response:
        body = json.loads(await request.read())
        self.requests += 1
        samples = int(body.get("n") or 1)
        await self.slots.make(samples)
        texts = []
        for _ in range(samples):
            self.programs += 1
            texts.append(reply(body, self.programs, self.busy))
        self.answered += 1
        data = json.dumps(self._content(body, texts)).encode()
        return web.Response(body=data, content_type="application/json")

    def _content(self, body: dict[str, Any], texts: Sequence[str]) -> dict[str, Any]:
        prompt = sum(len(part["content"]) for part in body["messages"]) // _CHARACTERS
        completion = sum(len(text) // _CHARACTERS + 1 for text in texts)
        self.prompt += prompt
        self.completion += completion
        choices = [
            {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            for i, text in enumerate(texts)
        ]
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
        return {
            "id": f"chatcmpl-{self.answered}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": _MODEL,
            "choices": choices,
            "usage": usage,
        }

    def _metrics(self) -> str:
        slots = self.slots
        gauges = {
            "num_requests_running": slots.running,
            "num_requests_waiting": slots.waiting,
            "kv_cache_usage_perc": 0.5 * slots.running / slots.count,
            "num_preemptions_total": 0,
            "prompt_tokens_total": self.prompt,
            "generation_tokens_total": self.completion,
        }
        lines = (
            f'vllm:{name}{{engine="0",model_name="{_MODEL}"}} {float(value)}'
            for name, value in gauges.items()
        )
        return "\n".join(lines) + "\n"

    def stats(self) -> dict[str, float]:
        """Everything that was counted; times in seconds of the monotonic clock."""
        return {
            "at": self.slots.advance(),
            "area": self.slots.area,
            "queued": self.slots.queued,
            "late": self.slots.late,
            "finished": self.slots.finished,
            "requests": self.requests,
            "answered": self.answered,
            "running": self.slots.running,
            "waiting": self.slots.waiting,
            "prompt": self.prompt,
            "cpu": time.process_time(),
        }


async def serve(
    slots: int, latency: float, busy: float, port: int = 0
) -> tuple[web.ServerRunner, Model, str]:
    """Listen on the loopback interface; the runner ends it, the last is its URL."""
    model = Model(Slots(slots, latency), busy)
    runner = web.ServerRunner(web.Server(model, handler_cancellation=True))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1_024).start()
    return runner, model, f"http://127.0.0.1:{runner.addresses[0][1]}/v1"


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--latency", type=float, required=True, help="seconds")
    parser.add_argument("--busy", type=float, default=0.0, help="CPU seconds of each program")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    # It stands for a machine of its own: where it may, it does not wait for what it serves.
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    runner, _, url = await serve(given.slots, given.latency, given.busy, given.port)
    print(url, flush=True)
    await stopped.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
