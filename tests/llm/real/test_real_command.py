"""`evolve serve` with a server of its own, which is told to end."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys

import pytest

from evolve.llm.client import HttpClient
from evolve.llm.records import Message, Request
from evolve.serving.discovery import discovered

from .conftest import EXTRA, PATIENT, ask


@pytest.mark.slow
def test_the_command_serves_drains_and_leaves_nothing(vllm_program, tiny_model, tmp_path):
    environment = {**os.environ, "EVOLVE_VLLM": str(vllm_program), "EVOLVE_SERVE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "evolve", "serve", str(tiny_model[0]), "--profile", "edit"]
    process = subprocess.Popen(
        [*command, "--gpus", "none", "--drain", "60", "--json", "--", *EXTRA],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = iter(process.stdout.readline, "")
    told = ""
    for line in lines:
        told += line
        if line == "}\n":
            break
    assert told, process.communicate()
    (found,) = discovered(tmp_path)
    assert [each.url for each in found.endpoints] == json.loads(told)["urls"]

    async def run():
        client = HttpClient(found.endpoints, PATIENT, seed=0)
        # Without a mind, the likeliest word is often the one before: a guess that copies is right.
        copied = Request((Message("user", "say hello"),), "s", "", 500, sampling={"temperature": 0.0})
        await client.generate(copied)
        tasks = [asyncio.create_task(client.generate(ask(f"number {number}", 1_500))) for number in range(4)]
        while not client.servers or client.servers[0].in_flight < 4:
            assert not any(task.done() for task in tasks), (
                tasks,
                [one.window.size for one in client.servers],
            )
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        assert not any(task.done() for task in tasks), tasks
        process.send_signal(signal.SIGTERM)
        replies = await asyncio.gather(*tasks)
        await client.close()
        return replies

    try:
        replies = asyncio.run(run())
    except BaseException:
        process.terminate()
        print(process.communicate())
        raise
    assert [(reply.attempts, reply.usage.completion) for reply in replies] == [(1, 1_500)] * 4
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert "draining" in said
    assert re.search(r"\d+% of [\d,]+ guessed tokens were accepted", said), said
    assert discovered(tmp_path) == []
