"""Which server gets a request, how wide its window is, and what no error shows."""

import asyncio
import random
from collections import Counter

import pytest

from evolve.errors import UsageError
from evolve.llm.endpoints import KEY_VARIABLE, Endpoint, Server, backoff, choose, order, serving
from evolve.llm.errors import Outage, Refused
from evolve.llm.pool import Errand, Pool
from evolve.llm.records import Message, Request
from evolve.llm.window import Load, Window, read_load
from evolve.llm.wire import Model

KEYS = [f"prefix {number}" for number in range(3_000)]


def servers(*weights):
    found = [Server(Endpoint(f"http://host{index}", weight)) for index, weight in enumerate(weights)]
    for server in found:
        server.up = True
    return found


def ask(n=1, stable="s", model=""):
    return Request((Message("user", "u"),), stable, model, 9, n=n)


@pytest.mark.parametrize(
    ("given", "url", "root"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1", "http://127.0.0.1:8000"),
        (
            "https://api.example.com/openai/v1",
            "https://api.example.com/openai/v1",
            "https://api.example.com/openai",
        ),
        (" http://[::1]:80/v1 ", "http://[::1]:80/v1", "http://[::1]:80"),
    ],
)
def test_urls(given, url, root):
    endpoint = Endpoint(given)
    assert (endpoint.url, endpoint.root) == (url, root)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "localhost:8000"}, "is no URL"),
        ({"url": "http://"}, "is no URL"),
        ({"url": "http://h:99999"}, "cannot be read"),
        ({"url": "http://user:hunter2@host/v1"}, "user or password"),
        ({"url": "http://host/v1?key=hunter2"}, "ends with its path"),
        ({"url": "http://host", "weight": 0.0}, "weight"),
        ({"url": "http://host", "slots": 0}, "slots"),
        ({"url": "http://host", "dialect": "odd"}, "dialect"),
        ({"url": "http://host", "key": "hunter2\n"}, "API key"),
    ],
)
def test_what_cannot_be_meant_is_said_without_secrets(settings, words):
    with pytest.raises(UsageError, match=words) as caught:
        Endpoint(**settings)
    assert "hunter2" not in str(caught.value)


def test_the_key_comes_from_the_environment_and_is_not_shown(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "sk-environment")
    assert Endpoint("http://host").key == "sk-environment"
    given = Endpoint("http://host", key="sk-given")
    assert given.key == "sk-given"
    assert "sk-" not in repr(given) + repr(Endpoint("http://host")) + repr(Server(given))
    assert given.scrub("wrong: sk-given.") == "wrong: [key]."


def test_each_server_is_first_for_its_share_of_prefixes():
    fleet = servers(1.0, 1.0, 2.0)
    first = Counter(order(fleet, key)[0] for key in KEYS)
    for server in fleet:
        assert first[server] / len(KEYS) == pytest.approx(server.endpoint.weight / 4, abs=0.035)


def test_a_server_that_goes_moves_only_its_own_prefixes():
    fleet = servers(1.0, 1.0, 1.0, 1.0)
    for key in KEYS[:300]:
        before = order(fleet, key)
        assert order(reversed(fleet), key) == before
        after = order(fleet[1:], key)
        assert after == tuple(server for server in before if server is not fleet[0])


def test_a_popular_prefix_spills_over_and_no_server_gets_more_than_its_share():
    fleet = servers(1.0, 1.0, 2.0)
    for sent in range(1, 200):
        server = choose(order(fleet, "popular"), 1, set())
        server.take(1, suspect=False)
        for each in fleet:
            assert each.in_flight <= 1.25 * sent * each.endpoint.weight / 4 + 1
    assert all(server.in_flight for server in fleet)


def test_where_a_request_failed_it_goes_only_if_there_is_no_other():
    fleet = servers(1.0, 1.0)
    first, second = order(fleet, "s")
    assert choose((first, second), 1, set()) is first
    assert choose((first, second), 1, {first}) is second
    assert choose((first,), 1, {first}) is first
    assert choose((first, second), 1, {first, second}) is first
    assert choose((), 1, set()) is None


def test_who_serves_a_model():
    first, second = servers(1.0, 1.0)
    second.models = (Model("large", None),)
    assert serving((first, second), "large") == [second]
    assert serving((first, second), "unheard") == [first, second]
    assert serving((first, second), "") == [first, second]
    assert second.model("") == "large"
    assert second.model("asked") == "asked"
    with pytest.raises(Refused, match="name one"):
        first.model("")


def test_backoff_doubles_to_a_limit_and_half_of_it_is_chance():
    rng = random.Random(0)
    for failures in (0, 1, 4, 50, 10_000):
        full = min(8.0, 0.5 * 2 ** min(failures, 10))
        waits = [backoff(failures, rng, 0.5, 8.0) for _ in range(200)]
        assert full / 2 <= min(waits) < max(waits) <= full
        assert max(waits) - min(waits) > full / 3


def test_metrics_are_summed_over_engines():
    text = """
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 12.0
vllm:num_requests_running{engine="1",model_name="m"} 3.0
vllm:num_requests_waiting{engine="0"} 2
vllm:num_requests_waiting_by_reason{engine="0"} 99
vllm:kv_cache_usage_perc{engine="0"} 0.25
vllm:kv_cache_usage_perc{engine="1"} 0.75
vllm:num_preemptions_total{engine="0"} 7.0
vllm:num_preemptions_created{engine="0"} 1.7e9
"""
    assert read_load(text) == Load(15.0, 2.0, 0.75, 7.0)
    assert read_load("vllm:gpu_cache_usage_perc 0.5").cache == 0.5
    assert read_load("python_gc_objects 3\n") is None
    assert read_load("vllm:num_requests_running nonsense\nvllm:num_requests_waiting NaN") is None


def test_a_window_grows_only_when_it_is_full_and_nothing_waits():
    window = Window(8)
    idle = Load(8, 0, 0.1, 0)
    window.used(7)
    window.follow(idle)
    assert window.size == 8
    window.used(8)
    window.follow(idle)
    assert window.size == 16
    window.used(16)
    window.follow(Load(16, 0, 0.95, 0))
    assert window.size == 16


def test_a_window_shrinks_by_what_waits_by_preemptions_and_by_refusals():
    window = Window(64)
    window.follow(Load(64, 1, 0.5, 0))
    assert window.size == 64
    window.follow(Load(32, 32, 0.5, 0))
    assert window.size == 48
    window.follow(Load(48, 0, 0.5, 3))
    assert window.size == pytest.approx(43.2)
    window.follow(Load(48, 0, 0.5, 3))
    assert window.size == pytest.approx(43.2)
    window.used(43)
    window.follow(Load(43, 0, 0.5, 3))
    assert 44 < window.size < 50  # slowly, after the first sign
    size = window.size
    for _ in range(30):
        window.refused(now=100.0)
    assert window.size == pytest.approx(0.7 * size)
    for second in range(200):
        window.refused(now=101.0 + second)
    assert window.size == 1


def test_a_window_without_metrics_opens_by_what_comes_back():
    window = Window(4)
    window.used(4)
    window.succeeded(1)
    assert window.size == 4  # nobody knows yet whether there are metrics
    window.metered = False
    window.succeeded(1)
    assert window.size == 5
    window.succeeded(1)
    assert window.size == 5  # not full since


def pooled(work, *weights, patience=5.0):
    async def run():
        notices = []
        pool = Pool(
            [Endpoint(f"http://host{i}", w, slots=2) for i, w in enumerate(weights)], patience, notices.append
        )
        for server in pool.servers:
            pool.up(server)
        try:
            await work(pool, notices)
        finally:
            pool.close()

    asyncio.run(run())


def errand(**changes):
    return Errand(ask(**changes), asyncio.get_running_loop().time())


@pytest.mark.parametrize("fate", ["up", "down"])
def test_the_first_server_to_come_up_does_not_get_everything(fate):
    async def run():
        pool = Pool([Endpoint("http://host0"), Endpoint("http://host1")], 5.0, lambda notice: None)
        first, second = pool.servers
        pool.up(first)
        tasks = [asyncio.create_task(pool.acquire(errand(stable=str(key)))) for key in range(20)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in tasks)
        if fate == "up":
            pool.up(second)
        else:
            pool.down(second, "not there")
        await asyncio.gather(*tasks)
        assert (second.in_flight > 0) == (fate == "up")
        pool.close()

    asyncio.run(run())


def test_who_waits_is_served_in_order_and_a_large_request_goes_alone():
    async def work(pool, notices):
        first, large = errand(), errand(n=5)
        server = await pool.acquire(first)
        assert pool.room == 1
        waiting = [asyncio.create_task(pool.acquire(each)) for each in (large, errand())]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        pool.release(server, first, False)
        await waiting[0]
        assert server.in_flight == 5
        assert not waiting[1].done()
        pool.release(server, large, False)
        await waiting[1]
        assert server.in_flight == 1

    pooled(work, 1.0)


def test_who_is_cancelled_just_when_its_turn_comes_gives_it_on():
    async def work(pool, notices):
        running = [errand(), errand()]
        (server,) = {await pool.acquire(each) for each in running}
        first = asyncio.create_task(pool.acquire(errand()))
        second = asyncio.create_task(pool.acquire(errand()))
        await asyncio.sleep(0)
        pool.release(server, running[0], False)  # the first has its turn, and does not know it yet
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await second is server
        assert server.in_flight == 2

    pooled(work, 1.0)


def test_suspects_return_one_by_one_then_faster_and_hold_up_nobody():
    async def work(pool, notices):
        (server,) = pool.servers
        server.window.size = 64
        suspects = [errand() for _ in range(8)]
        for each in suspects:
            each.deaths = 1
        tasks = [asyncio.create_task(pool.acquire(each)) for each in suspects]
        await asyncio.sleep(0)
        assert server.suspects == 1
        assert await pool.acquire(errand()) is server
        done = 0
        for expected in (2, 3, 4):  # the quota doubles with each that comes back: 2, 4, 8
            pool.good(server, suspects[done], True)
            pool.release(server, suspects[done], True)
            done += 1
            assert server.suspects >= expected
        for each in suspects[done:]:
            await asyncio.sleep(0)
            pool.release(server, each, True)
        await asyncio.gather(*tasks)
        assert server.suspects == 0

    pooled(work, 1.0)


def test_a_model_whose_server_is_gone_holds_up_no_other():
    async def work(pool, notices):
        one, two = pool.servers
        one.models, two.models = (Model("a", None),), (Model("b", None),)
        pool.down(one, "gone")
        stuck = asyncio.create_task(pool.acquire(errand(model="a")))
        await asyncio.sleep(0)
        assert await pool.acquire(errand(model="b")) is two
        assert not stuck.done()
        pool.up(one)
        assert await stuck is one

    pooled(work, 1.0, 1.0)


def test_only_who_has_waited_for_all_the_patience_is_told_of_an_outage():
    async def work(pool, notices):
        (server,) = pool.servers
        pool.down(server, "gone")
        assert [notice.kind for notice in notices] == ["up", "down", "outage"]
        early = asyncio.create_task(pool.acquire(errand()))
        await asyncio.sleep(0.4)
        late = asyncio.create_task(pool.acquire(errand()))
        with pytest.raises(Outage, match="http://host0/v1"):
            await early
        assert not late.done()
        with pytest.raises(Outage):
            await late

    pooled(work, 1.0, patience=0.6)


def test_a_good_reply_ends_the_count():
    async def work(pool, notices):
        (server,) = pool.servers
        first = errand()
        await pool.acquire(first)
        pool.bad("reset")
        await asyncio.sleep(0.15)
        pool.good(server, first, False)
        await asyncio.sleep(0.15)
        assert pool.lost(first) is None

    pooled(work, 1.0, patience=0.2)


def test_a_server_that_rests_gets_nothing_until_it_has_rested():
    async def work(pool, notices):
        (server,) = pool.servers
        pool.rest(server, 0.1)
        began = asyncio.get_running_loop().time()
        await pool.acquire(errand())
        assert asyncio.get_running_loop().time() - began >= 0.09

    pooled(work, 1.0)
