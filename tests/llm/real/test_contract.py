"""What the client is promised, by the server that tests are made of and by a real vLLM alike."""

import asyncio
import contextlib
import json

import pytest
from fake_server import FakeServer

from evolve.llm.client import HttpClient, Patience
from evolve.llm.endpoints import Endpoint
from evolve.llm.errors import Refused
from evolve.llm.records import Constraint, Message, Request

QUICK = Patience(seconds=60.0, pause=0.01, longest=0.05, interval=0.2)


@pytest.fixture(params=["fake", "real"])
def served(request):
    """A function that gives an endpoint for the length of a `with`."""
    if request.param == "real":
        real = request.getfixturevalue("real_vllm")

        @contextlib.asynccontextmanager
        async def endpoint():
            yield real.endpoint

    else:

        @contextlib.asynccontextmanager
        async def endpoint():
            async with FakeServer(key="sk-1") as server:
                yield Endpoint(server.url, key="sk-1")

    return endpoint


def ask(text="say hello", **changes):
    settings = {"stable": "s", "model": "", "max_tokens": 12, "deadline": 60.0, **changes}
    return Request((Message("system", "you are terse"), Message("user", text)), **settings)


def check(served, test, **changes):
    async def run():
        async with served() as endpoint:
            client = HttpClient([Endpoint(endpoint.url, key=endpoint.key, **changes)], QUICK, seed=0)
            try:
                await test(client)
            finally:
                await client.close()

    asyncio.run(run())


def test_a_reply_holds_as_many_answers_as_were_asked_for_and_what_they_cost(served):
    async def test(client):
        reply = await client.generate(ask(n=3, sampling={"temperature": 1.0}))
        assert len(reply.samples) == 3
        assert all(sample.text for sample in reply.samples)
        assert {sample.finish for sample in reply.samples} <= {"stop", "length"}
        assert reply.counted
        assert reply.usage.prompt > 0
        assert 3 <= reply.usage.completion <= 36
        assert (reply.attempts, reply.endpoint) == (1, client.endpoints[0].url)
        assert reply.model
        assert reply.fingerprint

    check(served, test)


@pytest.mark.parametrize(
    ("kind", "value", "fits"),
    [
        ("choice", json.dumps(["qxv-17", "zeta-9"]), lambda text: text in ("qxv-17", "zeta-9")),
        ("regex", "abcdef", lambda text: text == "abcdef"),
    ],
)
def test_a_constraint_binds(served, kind, value, fits):
    async def test(client):
        for number in range(4):
            reply = await client.generate(ask(f"number {number}", constraint=Constraint(kind, value)))
            assert fits(reply.samples[0].text), reply.samples[0]

    check(served, test)


def test_a_probe_finds_that_it_will_do_and_that_old_names_are_ignored(served):
    async def test(client):
        (finding,) = await client.probe()
        assert (finding.problem, finding.words) == ("", "")
        assert (finding.constraint, finding.old_names) == ("binds", "ignored")
        assert finding.context in (4_096, 8_192)
        assert finding.metered
        assert finding.usage.tokens > 0

    check(served, test)


def test_a_wrong_key_is_refused_with_the_servers_words(served):
    async def run():
        async with served() as endpoint:
            client = HttpClient([Endpoint(endpoint.url, key="sk-wrong")], QUICK, seed=0)
            with pytest.raises(Refused) as caught:
                await client.generate(ask())
            await client.close()
            assert caught.value.status == 401
            assert "sk-wrong" not in str(caught.value)

    asyncio.run(run())


def test_a_model_that_is_not_there_is_refused_with_the_servers_words(served):
    async def test(client):
        with pytest.raises(Refused, match="does not exist") as caught:
            await client.generate(ask(model="absent"))
        assert caught.value.status == 404

    check(served, test)


def test_many_at_once_are_all_answered(served):
    async def test(client):
        replies = await asyncio.gather(*(client.generate(ask(f"number {n}")) for n in range(48)))
        assert len(replies) == 48
        assert {reply.attempts for reply in replies} == {1}
        assert client.servers[0].in_flight == 0

    check(served, test, slots=16)


def test_who_is_cancelled_leaves_the_client_as_it_was(served):
    async def test(client):
        tasks = [asyncio.create_task(client.generate(ask(max_tokens=2_000))) for _ in range(3)]
        while not client.servers or client.servers[0].in_flight < 3:
            await asyncio.sleep(0.01)
            if all(task.done() for task in tasks):
                break  # the fake is quicker than that
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert client.servers[0].in_flight == 0
        assert (await client.generate(ask())).samples

    check(served, test)
