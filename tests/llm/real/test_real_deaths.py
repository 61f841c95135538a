"""A real server that is killed."""

import asyncio
import os
import signal

import pytest

from .conftest import ask

TOKENS = 2_000  # of each answer, so that the engine is far from done when it is killed


@pytest.mark.slow
def test_requests_of_an_engine_that_is_killed_are_answered_once_each_by_the_next(real_vllm):
    async def run():
        notices = []
        client = real_vllm.client(notices.append)
        tasks = [asyncio.create_task(client.generate(ask(f"number {n}", TOKENS))) for n in range(24)]
        # Not by its metrics: a server that is busy may tell them when all is over.
        await asyncio.sleep(1.0)
        answered = sum(task.done() for task in tasks)
        (engine,) = real_vllm.engines()
        os.kill(engine, signal.SIGKILL)
        replies = await asyncio.gather(*tasks)
        await client.close()
        return answered, replies, notices

    before = len(real_vllm.said)
    answered, replies, notices = asyncio.run(run())
    assert answered < 24
    assert len(replies) == 24
    assert {reply.usage.completion for reply in replies} == {TOKENS}
    assert {reply.attempts for reply in replies} <= {1, 2, 3}
    assert any(reply.attempts > 1 for reply in replies)
    assert [said.kind for said in real_vllm.said[before:]] == ["died", "starting", "ready"]
    # The new server's counters know what it said: to each request that was left once, and to the supervisor's probe.
    left = sum(reply.attempts > 1 for reply in replies)
    probe = real_vllm.supervisor.keepers[0].finding.usage.completion
    assert real_vllm.metrics()["generation_tokens_total"] == left * TOKENS + probe
    assert sum(notice.kind == "poisoned" for notice in notices) == 0
