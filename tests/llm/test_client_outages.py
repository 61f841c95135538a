"""The client while servers die, come back, or never were: nothing that was asked is lost."""

import asyncio
import json

import pytest
from asked import RETRIED, ask, connected, kinds
from fake_server import FakeServer, at_random

from evolve.llm.client import Patience
from evolve.llm.endpoints import Endpoint
from evolve.llm.errors import Outage, Poisoned, Unanswered
from evolve.llm.records import Usage
from evolve.llm.spending import Limits, Purse


def test_a_request_that_no_living_server_answers_is_given_up():
    async def run():
        patience = Patience(seconds=20.0, tries=4, pause=0.005, longest=0.01)
        async with (
            FakeServer(faults=["malformed"] * 99) as server,
            connected(server, patience=patience) as client,
        ):
            with pytest.raises(Unanswered, match="4 attempts without a proper reply"):
                await client.generate(ask())
            assert server.counts.requests == 4

    asyncio.run(run())


def test_a_total_outage_is_waited_out_and_told():
    async def run():
        async with FakeServer() as server, connected(server) as client:
            await client.generate(ask())
            await server.die()
            task = asyncio.create_task(client.generate(ask()))
            await asyncio.sleep(0.5)
            assert not task.done()
            assert "outage" in kinds(client)
            await server.rise()
            assert (await task).samples[0].text == "hello there"
            assert kinds(client)[-2:] == ["up", "recovered"]
            assert client.servers[0].failures == 0
            await server.die()
            task = asyncio.create_task(client.generate(ask()))
            while kinds(client).count("outage") < 2:
                await asyncio.sleep(0.01)
            await server.rise()
            await task
            assert kinds(client).count("recovered") == 2

    asyncio.run(run())


def test_an_outage_for_good_is_an_error():
    async def run():
        patience = Patience(seconds=0.5, pause=0.01, longest=0.05)
        async with FakeServer() as server, connected(server, patience=patience) as client:
            await client.generate(ask())
            await server.die()
            ends = await asyncio.gather(*(client.generate(ask()) for _ in range(5)), return_exceptions=True)
            assert [type(end) for end in ends] == [Outage] * 5
            assert "can be resumed" in str(ends[0])

    asyncio.run(run())


def test_a_server_that_never_was_is_an_outage():
    async def run():
        patience = Patience(seconds=0.3, pause=0.01, longest=0.05)
        async with connected(Endpoint("http://127.0.0.1:9"), patience=patience) as client:
            with pytest.raises(Outage):
                await client.generate(ask())
            assert kinds(client)[:2] == ["down", "outage"]

    asyncio.run(run())


def test_a_server_that_is_always_busy_is_an_outage():
    async def run():
        patience = Patience(seconds=0.4, pause=0.01, longest=0.05)
        async with (
            FakeServer(faults=lambda *_: "429") as server,
            connected(server, patience=patience) as client,
        ):
            with pytest.raises(Outage):
                await client.generate(ask())

    asyncio.run(run())


def test_requests_in_flight_at_a_death_are_answered_when_the_server_is_back():
    async def run():
        async with FakeServer(latency=0.2) as server, connected(server) as client:
            tasks = [asyncio.create_task(client.generate(ask())) for _ in range(20)]
            while server.counts.running < 20:
                await asyncio.sleep(0.01)
            await server.die()
            server.settings.latency = 0.0
            await asyncio.sleep(0.2)
            await server.rise()
            replies = await asyncio.gather(*tasks)
            assert {reply.attempts for reply in replies} == {2}
            assert kinds(client).count("down") == 1
            assert kinds(client).count("suspect") == 20

    asyncio.run(run())


def test_the_request_that_kills_is_quarantined_and_the_others_are_answered():
    async def run():
        async with FakeServer(latency=0.05, lethal="arsenic") as server, connected(server) as client:

            async def nurse():
                while True:
                    await asyncio.sleep(0.1)
                    if server._runner is None:
                        await server._dying
                        await server.rise()

            nursing = asyncio.create_task(nurse())
            tasks = [client.generate(ask(f"water {number}")) for number in range(15)]
            ends = await asyncio.gather(client.generate(ask("arsenic")), *tasks, return_exceptions=True)
            nursing.cancel()
            assert isinstance(ends[0], Poisoned)
            assert all(end.samples[0].text == "hello there" for end in ends[1:])
            assert ends[0].digest in client.quarantine
            sent = sum("arsenic" in json.dumps(body) for body in server.counts.bodies)
            assert sent == 2
            with pytest.raises(Poisoned):
                await client.generate(ask("arsenic"))
            assert sum("arsenic" in json.dumps(body) for body in server.counts.bodies) == 2

    asyncio.run(run())


def test_a_server_that_dies_leaves_its_work_to_another():
    async def run():
        async with FakeServer(latency=0.1) as first, FakeServer(latency=0.1) as second:
            async with connected(first, second) as client:
                tasks = [asyncio.create_task(client.generate(ask(stable=str(key)))) for key in range(20)]
                while not (first.counts.running and second.counts.running):
                    await asyncio.sleep(0.01)
                await first.die()
                replies = await asyncio.gather(*tasks)
                assert {reply.endpoint for reply in replies} == {second.url, *()} | {
                    reply.endpoint for reply in replies if reply.attempts == 1
                }
                assert "outage" not in kinds(client)

    asyncio.run(run())


@pytest.mark.parametrize("fault", [*RETRIED, "race"])
def test_three_replies_in_ten_at_fault_lose_nothing(fault):
    async def run():
        async with FakeServer(faults=at_random({fault: 0.3}, 5), latency=0.002) as server:
            async with connected(server) as client:
                purse = Purse(Limits(tokens=10**9))

                async def propose(number):
                    request = ask(f"number {number}")
                    hold = purse.reserve(request, 10)
                    reply = await client.generate(request, hold)
                    hold.settle(reply.usage)
                    return reply

                replies = await asyncio.gather(*(propose(number) for number in range(60)))
                assert len(replies) == 60
                assert server.counts.faults[fault] > 5
                said = purse.tally.usage + purse.tally.wasted
                if fault in ("billed_500", "billed_empty", "no_message"):
                    assert purse.tally.wasted.tokens > 0
                    assert (said.prompt, said.completion) == (server.counts.prompt, server.counts.completion)
                else:
                    assert purse.tally.wasted == Usage()
                    assert purse.tally.requests == 60

    asyncio.run(run())
