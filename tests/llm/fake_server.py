"""An OpenAI-compatible server that fails on demand: for tests within their loop, for benchmarks as a process.

    async with FakeServer(faults=["500", None, "half"]) as server:
        ...  # server.url; the first request meets a 500, the second none

    python tests/llm/fake_server.py --port 8000 --latency 0.2 --fault half=0.3 --seed 1

A fault is named by `FAULTS`; `faults` is a list (one a request, then none), or a function of the number of the request
and its body. Everything that the server did is counted, and it can die (`die`) and come back (`rise`) on its port.
"""

import argparse
import asyncio
import contextlib
import json
import random
import re
import signal
import time
from collections import Counter
from dataclasses import dataclass, field

from aiohttp import web

FAULTS = (
    *("400", "401", "403", "404", "429", "500", "503", "redirect", "billed_500"),
    *("reset", "half", "drip", "hang", "race", "death"),
    *("malformed", "html", "empty", "billed_empty", "no_message", "no_usage", "latin1", "utf16", "surrogate"),
    *("null", "reasoning", "truncated", "huge", "longer"),
)

_RETRYABLE = {"429", "500", "503"}


def text_of(body):
    """What a model without a mind says to a body: the constraint's own words, or a greeting."""
    constraint = body.get("structured_outputs") or {}
    if "choice" in constraint:
        return constraint["choice"][0]
    if "regex" in constraint:
        return re.sub(r"[^\w]", "", constraint["regex"])
    return "hello there"


def tokens_of(text):
    return len(text.split())


@dataclass
class Settings:
    """How the server behaves; may be changed while it runs.

    Args:
        latency: seconds for each reply.
        answer: text for a body.
        faults: list, or function of the number and the body.
        retry_after: value of that header with 429 and 503, or None.
        slots: replies made at once; the others wait. None for any number.
        queue: how many may wait before 503, or None.
        models: names, the first is the default.
        key: API key that is asked for, or "".
        constraint: "honoured", "ignored", "old" (only guided_*), "refused".
        metrics: whether `/metrics` is there.
        health: status of `/health`.
        tokens: completion tokens of each reply; None counts the words.
        lethal: a body that contains this text kills the server.
    """

    latency: float = 0.0
    answer: object = text_of
    faults: object = ()
    retry_after: str | None = None
    slots: int | None = None
    queue: int | None = None
    models: tuple = ("fake",)
    key: str = ""
    constraint: str = "honoured"
    metrics: bool = True
    health: int = 200
    tokens: int | None = None
    lethal: str | None = None


@dataclass
class Counts:
    """What happened so far."""

    requests: int = 0
    answered: int = 0
    aborted: int = 0
    prompt: int = 0
    cached: int = 0
    completion: int = 0
    running: int = 0
    waiting: int = 0
    most: int = 0
    preemptions: int = 0
    faults: Counter = field(default_factory=Counter)
    paths: Counter = field(default_factory=Counter)
    bodies: list = field(default_factory=list)
    times: list = field(default_factory=list)
    headers: list = field(default_factory=list)


class FakeServer:
    """The server. Keywords are those of `Settings`; `keep` is how many bodies are remembered."""

    def __init__(self, port=0, host="127.0.0.1", keep=10_000, **settings):
        self.settings = Settings(**settings)
        self.counts = Counts()
        self.host, self.port, self.keep = host, port, keep
        self._runner = self._free = None
        self._prefixes = set()

    @property
    def url(self):
        return f"http://{self.host}:{self.port}/v1"

    async def __aenter__(self):
        await self.rise()
        return self

    async def __aexit__(self, *_):
        await self.die()

    async def rise(self):
        """Listen, on the same port as before."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.05)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, reuse_address=True)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        self._free = asyncio.Condition()

    async def die(self):
        """Stop listening, and cut every connection in the middle."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        # What is accepted in this turn of the loop is a connection only two turns on; a server that is closed by
        # then leaves its socket open and in nobody's hands (CPython 3.11: `Server._attach` asserts).
        for site in list(runner.sites):
            for listening in site._server.sockets:
                asyncio.get_running_loop().remove_reader(listening)
        for _ in range(3):
            await asyncio.sleep(0)
        for site in list(runner.sites):
            await site.stop()
        for handler in list(runner.server.connections):
            if handler.transport is not None:
                handler.transport.abort()
        await runner.cleanup()

    # ---- pages beside the completions

    async def _health(self, request):
        self.counts.paths["/health"] += 1
        return web.Response(status=self.settings.health)

    async def _models(self, request):
        self.counts.paths["/v1/models"] += 1
        if (refusal := self._unauthorised(request)) is not None:
            return refusal
        data = [{"id": name, "object": "model", "max_model_len": 4096} for name in self.settings.models]
        return web.json_response({"object": "list", "data": data})

    async def _metrics(self, request):
        self.counts.paths["/metrics"] += 1
        if not self.settings.metrics:
            return web.Response(status=404)
        counts = self.counts
        cache = counts.running / max(self.settings.slots or 1024, 1)
        lines = [
            "# HELP vllm:num_requests_running Number of requests in model execution batches.",
            f'vllm:num_requests_running{{engine="0",model_name="fake"}} {float(counts.running)}',
            f'vllm:num_requests_waiting{{engine="0",model_name="fake"}} {float(counts.waiting)}',
            f'vllm:kv_cache_usage_perc{{engine="0",model_name="fake"}} {min(cache, 1.0) * 0.8}',
            f'vllm:num_preemptions_total{{engine="0",model_name="fake"}} {float(counts.preemptions)}',
            f'vllm:prompt_tokens_total{{engine="0",model_name="fake"}} {float(counts.prompt)}',
            f'vllm:generation_tokens_total{{engine="0",model_name="fake"}} {float(counts.completion)}',
        ]
        return web.Response(text="\n".join(lines) + "\n")

    def _unauthorised(self, request):
        given = request.headers.get("Authorization", "")
        if self.settings.key and given != f"Bearer {self.settings.key}":
            return _error(401, f"Incorrect API key provided: {given.removeprefix('Bearer ')}")
        return None

    # ---- completions

    async def _complete(self, request):
        body = await request.json()
        counts = self.counts
        counts.requests += 1
        if len(counts.bodies) < self.keep:
            counts.bodies.append(body)
            counts.times.append(time.monotonic())
            counts.headers.append(dict(request.headers))
        if (refusal := self._unauthorised(request) or self._unserved(body)) is not None:
            return refusal
        fault = self._fault(counts.requests - 1, body)
        if fault is not None:
            counts.faults[fault] += 1
        lethal = self.settings.lethal
        if fault == "death" or (lethal and lethal in json.dumps(body)):
            self._dying = asyncio.get_running_loop().create_task(self.die())
            await asyncio.sleep(60)
        if fault in _RETRYABLE or fault in ("400", "401", "403", "404", "billed_500", "redirect"):
            return self._refuse(fault, body)
        if self.settings.queue is not None and counts.waiting >= self.settings.queue:
            return _error(503, "queue full")
        try:
            await self._work()
        except asyncio.CancelledError:
            counts.aborted += 1
            raise
        return await self._reply(request, body, fault)

    def _unserved(self, body):
        if body["model"] not in self.settings.models:
            return _error(404, f"The model `{body['model']}` does not exist.")
        if "structured_outputs" in body and self.settings.constraint == "refused":
            return _error(400, "structured_outputs: extra fields not permitted")
        return None

    def _fault(self, number, body):
        faults = self.settings.faults
        if callable(faults):
            return faults(number, body)
        return faults[number] if number < len(faults) else None

    def _refuse(self, fault, body):
        if fault == "redirect":
            return web.Response(status=307, headers={"Location": "http://127.0.0.1:9/v1/chat/completions"})
        if fault == "billed_500":
            content = {"error": {"message": "failed late"}, "usage": self._usage(body, ["a b c"], fault)}
            return web.json_response(content, status=500)
        headers = {}
        if fault in ("429", "503") and self.settings.retry_after is not None:
            headers["Retry-After"] = self.settings.retry_after
        return _error(int(fault), f"injected {fault}\x1b[31m", headers)

    async def _work(self):
        """Wait for a slot, then for the latency."""
        counts, slots = self.counts, self.settings.slots
        counts.waiting += 1
        try:
            async with self._free:
                await self._free.wait_for(lambda: slots is None or counts.running < slots)
                counts.running += 1
        finally:
            counts.waiting -= 1
        counts.most = max(counts.most, counts.running)
        try:
            await asyncio.sleep(self.settings.latency)
        finally:
            counts.running -= 1
            if slots is not None:
                async with self._free:
                    self._free.notify()

    async def _reply(self, request, body, fault):
        content = self._content(body, fault)
        data = json.dumps(content).encode()
        if fault == "latin1":
            data = json.dumps(content, ensure_ascii=False).replace("hello", "h\xe9llo").encode("latin-1")
        elif fault == "utf16":
            data = json.dumps(content).encode("utf-16")
        elif fault == "malformed":
            data = data[: len(data) // 2]
        elif fault == "html":
            data = b"<html><body>Bad gateway</body></html>"
        if fault in ("reset", "half", "drip", "hang"):
            return await self._broken(request, data, fault)
        self.counts.answered += 1
        response = web.Response(body=data, content_type="application/json")
        if fault == "race":
            # The reply promises to keep the connection, which is then closed while it is idle.
            asyncio.get_running_loop().call_later(0.005, request.transport.close)
        return response

    async def _broken(self, request, data, fault):
        if fault == "reset":
            request.transport.abort()
            await asyncio.sleep(60)
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Content-Length": str(len(data))}
        )
        try:
            if fault == "hang":
                await asyncio.sleep(3600)
            await response.prepare(request)
            if fault == "half":
                await response.write(data[: len(data) // 2])
                request.transport.close()
                return response
            for byte in data:  # drip
                await response.write(bytes([byte]))
                await asyncio.sleep(0.05)
        except (asyncio.CancelledError, ConnectionError):
            self.counts.aborted += 1
            raise
        return response

    def _content(self, body, fault):
        texts = [self._text(body) for _ in range(body.get("n", 1))]
        if fault == "huge":
            texts = ["x" * 10_000_000]
        choices = [
            {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            for index, text in enumerate(texts)
        ]
        for choice in choices:
            message = choice["message"]
            if fault in ("null", "reasoning"):
                message["content"] = None
                choice["finish_reason"] = "length"
            if fault == "reasoning":
                message["reasoning"] = "let me think about"
            if fault == "truncated":
                message["content"] = "```python\ndef guess(x):\n    return (x +"
                choice["finish_reason"] = "length"
            if fault == "surrogate":
                message["content"] = "bad \ud800 half"
        if fault == "no_message":
            del choices[0]["message"]
        content = {
            "id": f"chatcmpl-{self.counts.requests}",
            "object": "chat.completion",
            "model": body["model"],
            "system_fingerprint": "fake-1",
            "choices": [] if fault in ("empty", "billed_empty") else choices,
            "usage": self._usage(body, texts, fault),
        }
        if fault in ("no_usage", "empty"):
            del content["usage"]
        return content

    def _text(self, body):
        constraint = self.settings.constraint
        if constraint == "ignored":
            body = {key: value for key, value in body.items() if key != "structured_outputs"}
        elif constraint == "old":
            body = {
                **body,
                "structured_outputs": {"choice": body["guided_choice"]} if "guided_choice" in body else {},
            }
        return self.settings.answer(body)

    def _usage(self, body, texts, fault):
        said = [self.settings.tokens or tokens_of(text) for text in texts]
        limit = body.get("max_tokens", body.get("max_completion_tokens", 1 << 30))
        completion = sum(min(each, limit) for each in said)
        if fault == "longer":
            completion = limit * len(texts) + limit // 2 + 1
        prompts = [message["content"] for message in body["messages"]]
        prompt = sum(map(tokens_of, prompts))
        cached = tokens_of(prompts[0]) if prompts[0] in self._prefixes else 0
        self._prefixes.add(prompts[0])
        self.counts.prompt += prompt
        self.counts.cached += cached
        self.counts.completion += completion
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached},
        }


def _error(status, words, headers=None):
    content = {"error": {"message": words, "type": "error", "code": status}}
    return web.json_response(content, status=status, headers=headers)


def at_random(shares, seed):
    """A function for `faults`: each fault for its share of the requests."""
    rng = random.Random(seed)

    def fault(number, body):
        chance = rng.random()
        for name, share in shares.items():
            chance -= share
            if chance < 0:
                return name
        return None

    return fault


async def main():
    parser = argparse.ArgumentParser(description="a fault-injecting OpenAI-compatible server")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--slots", type=int)
    parser.add_argument("--tokens", type=int)
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=SHARE")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    shares = {name: float(share) for name, share in (each.split("=") for each in given.fault)}
    if unknown := shares.keys() - set(FAULTS):
        parser.error(f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
    settings = {"latency": given.latency, "slots": given.slots, "tokens": given.tokens}
    server = FakeServer(given.port, keep=0, faults=at_random(shares, given.seed), **settings)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with server:
        print(server.url, flush=True)
        await stopped.wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
