"""The client against a server that fails in every way that servers fail."""

import asyncio
import time

import pytest
from asked import QUICK, RETRIED, ask, connected, kinds, one
from fake_server import FakeServer

from evolve.llm.client import HttpClient, Patience
from evolve.llm.endpoints import Endpoint
from evolve.llm.errors import Refused
from evolve.llm.records import Constraint, Usage


def test_a_reply_holds_what_the_server_said():
    reply, server, _ = one(ask(n=3, sampling={"temperature": 0.5, "seed": 7}))
    assert [sample.text for sample in reply.samples] == ["hello there"] * 3
    assert {sample.finish for sample in reply.samples} == {"stop"}
    assert reply.usage == Usage(prompt=5, cached=0, completion=6, reasoning=0)
    assert (reply.model, reply.fingerprint, reply.endpoint) == ("fake", "fake-1", server.url)
    assert reply.attempts == 1
    assert reply.counted
    assert 0 < reply.seconds < 20
    (body,) = server.counts.bodies
    assert body == {
        "model": "fake",
        "messages": [
            {"role": "system", "content": "you are terse"},
            {"role": "user", "content": "say hello"},
        ],
        "max_tokens": 50,
        "temperature": 0.5,
        "seed": 7,
        "n": 3,
    }
    assert "Authorization" not in server.counts.headers[0]


def test_a_constraint_goes_by_its_new_name():
    reply, server, _ = one(ask(constraint=Constraint("choice", '["yes", "no"]')))
    assert reply.samples[0].text == "yes"
    assert server.counts.bodies[0]["structured_outputs"] == {"choice": ["yes", "no"]}


@pytest.mark.parametrize("fault", ["400", "401", "403", "404"])
def test_a_refusal_is_said_with_the_servers_words_and_never_repeated(fault):
    async def run():
        async with FakeServer(faults=[fault] * 9) as server, connected(server) as client:
            with pytest.raises(Refused, match=f"{fault}: injected {fault}") as caught:
                await client.generate(ask())
            assert "\x1b" not in str(caught.value)
            assert caught.value.status == int(fault)
            assert server.counts.requests == 1

    asyncio.run(run())


def test_a_redirect_is_refused_and_the_key_goes_nowhere():
    async def run():
        async with FakeServer(faults=["redirect"], key="secret-1") as server, connected(server) as client:
            with pytest.raises(Refused, match="redirects"):
                await client.generate(ask())

    asyncio.run(run())


@pytest.mark.parametrize("fault", RETRIED)
def test_a_fault_is_survived_where_there_is_no_elsewhere(fault):
    reply, server, _ = one(faults=[fault, fault])
    assert reply.samples[0].text == "hello there"
    assert reply.attempts == 3
    assert server.counts.requests == 3


@pytest.mark.parametrize("fault", RETRIED)
def test_after_a_fault_the_next_attempt_goes_elsewhere(fault):
    async def run():
        async with (
            FakeServer(faults=[fault] * 50) as bad,
            FakeServer() as good,
            connected(bad, good) as client,
        ):
            replies = await asyncio.gather(*(client.generate(ask(stable=str(key))) for key in range(12)))
            assert {reply.endpoint for reply in replies} == {good.url}
            assert {reply.attempts for reply in replies} <= {1, 2}
            assert any(reply.attempts == 2 for reply in replies)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("fault", "text", "reasoning", "finish"),
    [
        ("null", None, "", "length"),
        ("reasoning", None, "let me think about", "length"),
        ("truncated", "```python\ndef guess(x):\n    return (x +", "", "length"),
        ("surrogate", "bad \N{REPLACEMENT CHARACTER} half", "", "stop"),
    ],
)
def test_an_odd_reply_that_was_paid_for_is_handed_over(fault, text, reasoning, finish):
    reply, server, _ = one(faults=[fault])
    (sample,) = reply.samples
    assert (sample.text, sample.reasoning, sample.finish) == (text, reasoning, finish)
    assert server.counts.requests == 1


def test_a_reply_without_usage_says_so():
    reply, _, _ = one(faults=["no_usage"])
    assert not reply.counted
    assert reply.usage == Usage()


def test_a_reply_without_end_is_cut_and_asked_for_again():
    reply, server, _ = one(faults=["huge"])
    assert reply.samples[0].text == "hello there"
    assert server.counts.requests == 2
    large, _, _ = one(faults=["huge"], options={"largest": 20_000_000})
    assert len(large.samples[0].text) == 10_000_000


@pytest.mark.parametrize("fault", ["drip", "hang"])
def test_a_deadline_closes_the_connection_and_asks_again(fault):
    reply, server, _ = one(ask(deadline=0.3), faults=[fault])
    assert reply.attempts == 2
    assert server.counts.aborted == 1


def test_a_connection_that_the_server_closes_while_idle_costs_no_reply():
    async def run():
        faults = ["race"] * 20
        async with FakeServer(faults=faults) as server, connected(server) as client:
            for number in range(20):
                assert (await client.generate(ask())).samples
                await asyncio.sleep(0.0045 + 0.0001 * number)
            assert server.counts.faults["race"] == 20
            assert "suspect" not in kinds(client)

    asyncio.run(run())


@pytest.mark.parametrize("fault", ["500", "503", "half"])
def test_many_failures_at_once_are_one_sign_of_trouble(fault):
    async def run():
        seen = []
        async with FakeServer(faults=[fault] * 40) as server:
            endpoint = Endpoint(server.url, slots=64)
            client = HttpClient([endpoint], QUICK, lambda notice: seen.append(client.servers[0].failures))
            await asyncio.gather(*(client.generate(ask()) for _ in range(40)))
            await client.close()
            assert len(seen) == 41
            assert max(seen) == 1

    asyncio.run(run())


def test_retry_after_is_honoured():
    async def run():
        async with (
            FakeServer(faults=["503", "429"], retry_after="0.3") as server,
            connected(server) as client,
        ):
            reply = await client.generate(ask())
            assert reply.attempts == 3
            first, second, third = server.counts.times
            assert second - first >= 0.29
            assert third - second >= 0.29

    asyncio.run(run())


def test_who_is_cancelled_aborts_the_request_at_the_server():
    async def run():
        async with FakeServer(latency=30.0) as server, connected(server) as client:
            task = asyncio.create_task(client.generate(ask()))
            while not server.counts.running:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            limit = time.monotonic() + 10
            while server.counts.running and time.monotonic() < limit:
                await asyncio.sleep(0.01)
            assert (server.counts.running, server.counts.aborted) == (0, 1)
            assert client.servers[0].in_flight == 0
            server.settings.latency = 0.0
            assert (await client.generate(ask())).attempts == 1

    asyncio.run(run())


def test_who_is_cancelled_while_it_waits_takes_no_place():
    async def run():
        async with FakeServer(latency=0.1) as server:
            patience = Patience(interval=60.0)  # the window stays
            async with connected(Endpoint(server.url, slots=1), patience=patience) as client:
                tasks = [asyncio.create_task(client.generate(ask())) for _ in range(6)]
                while not server.counts.running:
                    await asyncio.sleep(0.01)
                for task in tasks[2:4]:
                    task.cancel()
                ends = await asyncio.gather(*tasks, return_exceptions=True)
                assert [isinstance(end, asyncio.CancelledError) for end in ends] == [0, 0, 1, 1, 0, 0]
                assert client.servers[0].in_flight == 0

    asyncio.run(run())
