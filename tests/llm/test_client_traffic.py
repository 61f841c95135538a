"""What the client sends where, how much at once, and what it pays."""

import asyncio
import time

import pytest
from asked import QUICK, ask, connected, kinds, one
from fake_server import FakeServer, at_random

from evolve.errors import UsageError
from evolve.llm.client import HttpClient, Patience
from evolve.llm.endpoints import Endpoint
from evolve.llm.errors import Outage, Overspent, Refused
from evolve.llm.spending import Limits, Purse


def test_a_failed_attempt_is_charged_only_if_it_was_billed():
    request = ask(max_tokens=50)
    purse = Purse(Limits(tokens=1_000))
    hold = purse.reserve(request, 5)
    booked = []
    hold.book = booked.append
    reply, _, _ = one(request, hold=hold, faults=["500", "reset", "billed_empty"])
    hold.settle(reply.usage)
    assert booked == [purse.tally.wasted]
    assert purse.tally.wasted.tokens > 0
    assert purse.tally.usage == reply.usage


def test_no_retry_is_sent_that_the_purse_cannot_pay():
    async def run():
        request = ask(max_tokens=50)
        purse = Purse(Limits(tokens=112))  # twice the worst case, 55, and 2 more
        async with FakeServer(faults=["billed_empty"] * 9) as server, connected(server) as client:
            hold = purse.reserve(request, 5)
            with pytest.raises(Overspent):
                await client.generate(request, hold)
            assert server.counts.requests == 1
            assert purse.tally.wasted.tokens == 7

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(4))
def test_a_budget_is_not_exceeded_by_replies_that_are_longer_than_asked_or_billed_for_nothing(seed):
    async def run():
        faults = at_random({"longer": 0.4, "billed_empty": 0.1, "billed_500": 0.1, "500": 0.1}, seed)
        async with FakeServer(faults=faults, latency=0.001, tokens=40) as server, connected(server) as client:
            purse = Purse(Limits(tokens=4_000))

            async def propose():
                while True:
                    request = ask(max_tokens=40, n=2)
                    try:
                        with purse.reserve(request, 5) as hold:
                            hold.settle((await client.generate(request, hold)).usage)
                    except Overspent as error:
                        if not error.pending:
                            return
                        await asyncio.sleep(0.002)

            await asyncio.gather(*(propose() for _ in range(8)))
            assert 3_500 < server.counts.prompt + server.counts.completion <= 4_000
            said = purse.tally.usage + purse.tally.wasted
            assert (said.prompt, said.completion) == (server.counts.prompt, server.counts.completion)

    asyncio.run(run())


def test_who_is_under_way_or_waits_when_the_client_is_closed_is_told():
    async def run():
        async with FakeServer(latency=30.0) as server, connected(Endpoint(server.url, slots=1)) as client:
            tasks = [asyncio.create_task(client.generate(ask())) for _ in range(2)]
            while not server.counts.running:
                await asyncio.sleep(0.01)
            await client.close()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert [str(end) for end in ends] == ["the client is closed"] * 2
            with pytest.raises(RuntimeError, match="closed"):
                await client.generate(ask())

    asyncio.run(run())


def test_the_key_is_sent_and_never_shown():
    async def run():
        async with FakeServer(key="sk-right") as server, connected(server) as client:
            await client.generate(ask())
            assert server.counts.headers[0]["Authorization"] == "Bearer sk-right"
        async with FakeServer(key="sk-right") as server:
            wrong = Endpoint(server.url, key="sk-wrong-123")
            async with connected(wrong) as client:
                with pytest.raises(Refused, match=r"Incorrect API key provided: \[key\]") as caught:
                    await client.generate(ask())
                shown = [
                    str(caught.value),
                    repr(caught.value),
                    repr(wrong),
                    repr(client),
                    repr(client.notices),
                ]
                assert not any("sk-wrong-123" in text for text in shown)

    asyncio.run(run())


def test_requests_go_where_their_model_is():
    async def run():
        async with FakeServer(models=("small",)) as small, FakeServer(models=("large", "tuned")) as large:
            async with connected(small, large) as client:
                for key in range(6):
                    for model, server in (("small", small), ("large", large), ("tuned", large)):
                        reply = await client.generate(ask(model=model, stable=str(key)))
                        assert (reply.endpoint, reply.model) == (server.url, model)
                with pytest.raises(Refused, match="does not exist"):
                    await client.generate(ask(model="absent"))

    asyncio.run(run())


def test_one_prefix_goes_to_one_server():
    async def run():
        async with FakeServer() as first, FakeServer() as second, connected(first, second) as client:
            await client.probe()
            places = {}
            for number in range(40):
                key = f"prefix {number % 8}"
                reply = await client.generate(ask(stable=key))
                places.setdefault(key, set()).add(reply.endpoint)
            assert all(len(urls) == 1 for urls in places.values())
            assert len(set().union(*places.values())) == 2

    asyncio.run(run())


def test_the_window_opens_while_nothing_waits_and_closes_when_something_does():
    async def run():
        async with FakeServer(latency=0.05, slots=64) as server:
            async with connected(Endpoint(server.url, slots=2)) as client:
                stop = False

                async def worker():
                    while not stop:
                        await client.generate(ask())

                workers = [asyncio.create_task(worker()) for _ in range(48)]
                limit = time.monotonic() + 15
                while server.counts.running < 40 and time.monotonic() < limit:
                    await asyncio.sleep(0.02)
                assert server.counts.running >= 40
                server.settings.slots = 4
                while client.servers[0].window.size > 12 and time.monotonic() < limit:
                    await asyncio.sleep(0.02)
                assert client.servers[0].window.size <= 12
                stop = True
                await asyncio.gather(*workers)

    asyncio.run(run())


def test_without_metrics_the_window_opens_by_what_comes_back_and_closes_by_503():
    async def run():
        async with FakeServer(latency=0.02, metrics=False, slots=20, queue=4) as server:
            async with connected(Endpoint(server.url, slots=2)) as client:
                await asyncio.gather(*(client.generate(ask()) for _ in range(300)))
                assert server.counts.most >= 16
                assert "busy" in kinds(client)
                assert server.counts.answered == 300

    asyncio.run(run())


def test_who_asks_for_a_vacancy_waits_until_there_is_one():
    async def run():
        async with FakeServer(latency=0.3) as server:
            patience = Patience(seconds=0.6, pause=0.01, longest=0.05, interval=60.0)
            async with connected(Endpoint(server.url, slots=2), patience=patience) as client:
                assert client.room == 0
                await client.vacancy()
                assert client.room == 2
                tasks = [asyncio.create_task(client.generate(ask())) for _ in range(2)]
                await asyncio.sleep(0)
                assert client.room == 0
                waiting = asyncio.create_task(client.vacancy())
                await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
                assert client.room >= 1
                await asyncio.gather(waiting, *tasks)
                await server.die()
                with pytest.raises(Outage):
                    await client.generate(ask())
                with pytest.raises(Outage):
                    await client.vacancy()

    asyncio.run(run())


def test_a_probe_finds_a_server_that_will_do():
    async def run():
        async with FakeServer() as server, connected(server) as client:
            (finding,) = await client.probe()
            assert (finding.problem, finding.model, finding.context) == ("", "fake", 4096)
            assert (finding.constraint, finding.old_names, finding.words) == ("binds", "ignored", "")
            assert finding.metered
            assert (finding.usage.prompt, finding.usage.completion) == (
                server.counts.prompt,
                server.counts.completion,
            )

    asyncio.run(run())


@pytest.mark.parametrize(
    ("constraint", "found", "words"),
    [("ignored", "ignored", "ignores"), ("old", "ignored", "old names"), ("refused", "refused", "refuses")],
)
def test_a_probe_tells_of_constraints_that_do_not_bind(constraint, found, words):
    async def run():
        async with FakeServer(constraint=constraint) as server, connected(server) as client:
            (finding,) = await client.probe()
            assert finding.constraint == found
            assert words in finding.words

    asyncio.run(run())


def test_a_probe_says_what_cannot_be_reached_and_refuses_what_cannot_be_meant():
    async def run():
        gone = Endpoint("http://127.0.0.1:9/v1")
        async with FakeServer(key="k-1") as server, connected(server, gone) as client:
            fine, lost = await client.probe()
            assert fine.problem == ""
            assert lost.problem.startswith("unreachable")
        async with FakeServer() as server, connected(Endpoint(server.url, model="absent")) as client:
            with pytest.raises(Refused, match=r"`absent` does not exist.*lists fake"):
                await client.probe()
        async with FakeServer(key="k-1") as server, connected(Endpoint(server.url, key="k-2")) as client:
            with pytest.raises(Refused, match="401"):
                await client.probe()

    asyncio.run(run())


def test_bad_input_is_said():
    with pytest.raises(UsageError, match="at least one"):
        HttpClient([])
    with pytest.raises(UsageError, match="no URL twice"):
        HttpClient([Endpoint("http://a/v1"), Endpoint("http://a")])
    with pytest.raises(UsageError, match="sampling: max_tokens, stream"):
        one(ask(sampling={"stream": True, "max_tokens": 3}))


def test_what_the_observer_raises_is_not_lost():
    async def run():
        def observer(notice):
            raise ValueError("observer")

        async with FakeServer() as server:
            client = HttpClient([Endpoint(server.url)], QUICK, observer)
            with pytest.raises(ValueError, match="observer"):
                await client.generate(ask())
            with pytest.raises(ValueError, match="observer"):
                await client.close()

    asyncio.run(run())
