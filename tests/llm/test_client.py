"""The client against a server that fails in every way that servers fail."""

import asyncio
import contextlib
import json
import time

import pytest
from fake_server import FakeServer, at_random

from evolve.errors import UsageError
from evolve.llm.client import HttpClient, Patience
from evolve.llm.endpoints import Endpoint
from evolve.llm.errors import Outage, Overspent, Poisoned, Refused, Unanswered
from evolve.llm.records import Constraint, Message, Request, Usage
from evolve.llm.spending import Limits, Purse

QUICK = Patience(seconds=20.0, tries=12, pause=0.01, longest=0.05, interval=0.05)


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


RETRIED = (
    *("429", "500", "503", "reset", "half", "malformed", "html", "empty", "latin1", "utf16", "no_message"),
    *("billed_500", "billed_empty"),
)


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
