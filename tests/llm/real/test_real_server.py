"""What only a real server can show: its cache, its counters, its scheduler, its adapters."""

import asyncio
import time
from dataclasses import replace

import pytest

from evolve.llm.facts import Order, facts_of, shown
from evolve.llm.prompt import build
from evolve.llm.records import Message, Request
from evolve.loader import load
from evolve.programs_db.records import Elite
from evolve.source import program_of

from .conftest import ADAPTER


def ask(text="say hello", **changes):
    settings = {"stable": "s", "model": "", "max_tokens": 12, "deadline": 60.0, **changes}
    return Request((Message("system", "you are terse"), Message("user", text)), **settings)


def answers(real, requests, together=8):
    """Replies to all, so many at a time."""

    async def run():
        client = real.client()
        slots = asyncio.Semaphore(together)

        async def one(request):
            async with slots:
                return await client.generate(request)

        try:
            return await asyncio.gather(*map(one, requests))
        finally:
            await client.close()

    return asyncio.run(run())


def gained(real, work):
    """What `work` returns, and by how much each of the server's counters has grown."""
    before = real.metrics()
    result = work()
    after = real.metrics()
    return result, {name: after[name] - before.get(name, 0.0) for name in after}


# ---- the cache


def prompts(count, name="online_bin_packing", room=7_000):
    """So many requests of one island and epoch: elites above, each with a parent of its own."""
    problem = load(name)

    def one(number):
        source = problem.block.replace("return", f"scale = 1.{number:03d}\n    return", 1)
        elite = Elite(
            program_of(source, problem.entry), 4.0 + number / 100, (0.5,) * len(problem.measures), "", number
        )
        scores = {case.name: {problem.objective.name: 4.0 + number / 100} for case in problem.cases}
        return shown(problem, elite, scores)

    elites = [one(number) for number in range(16)]
    orders = [
        Order(kind, "block", hints=(hint,)) for kind in ("improve", "explore") for hint in ("", "Be bold.")
    ]
    for number in range(count):
        facts = facts_of(problem, one(100 + number), elites)
        yield build(facts, orders[number % len(orders)], room, lambda text: len(text) // 2)


def requests_of(pieces):
    for system, *rest in pieces:
        yield Request((Message("system", system), Message("user", "".join(rest))), "s", "", 4, deadline=120.0)


def hit_rate(real, requests):
    _, grown = gained(real, lambda: answers(real, requests))
    assert grown["prefix_cache_queries_total"] > 64 * 500
    return grown["prefix_cache_hits_total"] / grown["prefix_cache_queries_total"]


def test_prompts_as_they_are_laid_out_are_found_in_the_cache_and_not_the_other_way_round(real_vllm):
    pieces = [prompt.texts for prompt in prompts(64)]
    assert len(set(pieces)) == 64
    assert hit_rate(real_vllm, requests_of(pieces)) >= 0.90
    assert hit_rate(real_vllm, requests_of(texts[::-1] for texts in pieces)) < 0.05


# ---- the counters


def test_the_tokens_of_our_replies_are_those_that_the_server_counts(real_vllm):
    requests = [
        ask(f"number {number} " * (number % 5 + 1), n=number % 3 + 1, sampling={"temperature": 1.0})
        for number in range(30)
    ]
    replies, grown = gained(real_vllm, lambda: answers(real_vllm, requests))
    assert all(reply.counted for reply in replies)
    # The server counts a prompt for each of its answers, and bills it once.
    prompt = sum(reply.usage.prompt * request.n for reply, request in zip(replies, requests, strict=True))
    assert prompt == grown["prompt_tokens_total"]
    assert sum(reply.usage.completion for reply in replies) == grown["generation_tokens_total"]


# ---- the scheduler


def test_who_is_cancelled_frees_the_servers_slot_within_two_seconds(real_vllm):
    most = 8_000  # nearly all of its context

    async def run():
        """Seconds until the slot is free, None if the answer was there before it could be cancelled."""
        client = real_vllm.client()
        request = ask(max_tokens=most, sampling={"min_tokens": most, "ignore_eos": True})
        task = asyncio.create_task(client.generate(request))
        try:
            while (await asyncio.to_thread(real_vllm.metrics))["num_requests_running"] < 1:
                if task.done():
                    task.result()  # a failure is not for another try
                    return None
                await asyncio.sleep(0.02)
            if not task.cancel():
                return None
            with pytest.raises(asyncio.CancelledError):
                await task
            cancelled = time.monotonic()
            while (await asyncio.to_thread(real_vllm.metrics))["num_requests_running"]:
                await asyncio.sleep(0.02)
            return time.monotonic() - cancelled
        finally:
            await client.close()

    # While another server starts on these cores, gauges are read so late that all has been said: once more then.
    for _ in range(6):
        freed, grown = gained(real_vllm, lambda: asyncio.run(run()))
        if freed is not None and grown["generation_tokens_total"] < most:
            break
    assert freed is not None
    assert freed <= 2.0
    assert grown["generation_tokens_total"] < most


# ---- adapters


def test_an_adapter_is_a_model_that_can_be_named(real_vllm):
    plain = ask("say hello to them all", max_tokens=24, sampling={"temperature": 0.0})
    requests = [plain, replace(plain, model=ADAPTER), replace(plain, model=real_vllm.model)]
    # One after the other: on a CPU, vLLM 0.32 lends an adapter to whatever else is in its batch.
    replies = answers(real_vllm, requests, together=1)
    assert [reply.model for reply in replies] == [real_vllm.model, ADAPTER, real_vllm.model]
    assert replies[0].samples == replies[2].samples
    assert replies[0].samples != replies[1].samples
