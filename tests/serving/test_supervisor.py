"""Servers are started, watched, started again and ended, and nothing of them is left behind."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from evolve.errors import InfrastructureError
from evolve.llm.client import HttpClient, Patience
from evolve.llm.records import Message, Request
from evolve.serving.discovery import discovered
from evolve.serving.keeper import Care
from evolve.serving.plan import Plan
from evolve.serving.process import Process
from evolve.serving.supervisor import Supervisor

CARE = Care(
    start=20.0, beat=0.05, silence=0.3, settled=60.0, deaths=3, stillbirths=2, pause=0.01, longest=0.02
)
PLAN = Plan("some/model", drain=5)


def seen(folder, name):
    path = folder / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def until(condition, seconds=20.0):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it does not come to that"
        time.sleep(0.01)


async def comes(condition, seconds=20.0):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it does not come to that"
        await asyncio.sleep(0.01)


def client_of(served):
    return HttpClient(
        served.endpoints, Patience(seconds=20.0, pause=0.01, longest=0.05, interval=0.05), seed=0
    )


def ask(text="say hello"):
    return Request((Message("user", text),), "s", "", 20, deadline=20.0)


def gone(folder):
    pids = [start["pid"] for start in seen(folder, "starts")] + seen(folder, "engines")
    return [pid for pid in pids if alive(pid)] == []


def test_a_server_is_found_while_it_serves_and_nothing_is_left_of_it(vllm):
    folder = vllm()

    async def run():
        said = []
        async with Supervisor(PLAN, CARE, said.append) as served:
            (endpoint,) = served.endpoints
            assert endpoint.model == "fake"
            (found,) = discovered()
            assert found.endpoints == served.endpoints
            assert (found.model, found.profile, found.pid) == ("some/model", "throughput", os.getpid())
            assert stat.S_IMODE(found.path.stat().st_mode) == 0o600
            assert stat.S_IMODE(found.path.parent.stat().st_mode) == 0o700
            assert [each.kind for each in said] == ["starting", "ready"]
            (start,) = seen(folder, "starts")
            assert endpoint.key not in " ".join(start["words"])
            assert endpoint.key not in Path(f"/proc/{served.keepers[0].pid}/cmdline").read_text()
            client = client_of(served)
            assert (await client.generate(ask())).samples[0].text == "hello there"
            await client.close()
        assert discovered() == []
        assert list(folder.glob("serve/*.json")) == []
        assert [each.kind for each in said] == ["starting", "ready", "draining", "ended"]
        assert gone(folder)

    asyncio.run(run())


def test_requests_of_an_engine_that_is_killed_are_all_answered_by_the_next(vllm):
    folder = vllm(latency=0.3)

    async def run():
        said = []
        async with Supervisor(PLAN, CARE, said.append) as served:
            before = served.endpoints
            client = client_of(served)
            tasks = [asyncio.create_task(client.generate(ask(f"number {number}"))) for number in range(8)]
            await asyncio.sleep(0.1)
            os.kill(seen(folder, "engines")[0], signal.SIGKILL)
            replies = await asyncio.gather(*tasks)
            await client.close()
            assert [reply.samples[0].text for reply in replies] == ["hello there"] * 8
            assert len(seen(folder, "starts")) == 2
            assert served.endpoints == before
            await comes(lambda: [each.kind for each in said].count("ready") == 2)
            (died,) = (each for each in said if each.kind == "died")
            assert "RuntimeError: the engine is dead" in died.words
            assert "\x1b" not in died.words

    asyncio.run(run())
    assert gone(folder)


def test_a_guard_that_is_killed_takes_its_server_along(vllm):
    folder = vllm()

    async def run():
        said = []
        async with Supervisor(PLAN, CARE, said.append) as served:
            os.kill(served.keepers[0].pid, signal.SIGKILL)
            await comes(lambda: [each.kind for each in said].count("ready") == 2)
            first, second = seen(folder, "starts")
            assert not alive(first["pid"])
            assert alive(second["pid"])
        os.kill(
            seen(folder, "engines")[0], signal.SIGKILL
        )  # in a session of its own, which nobody watched any more

    asyncio.run(run())
    until(lambda: gone(folder))


def test_a_server_that_cannot_start_is_given_up_with_its_own_words(vllm):
    folder = vllm(stillborn="ValueError: no such model \x1b[31m")

    async def run():
        with pytest.raises(InfrastructureError, match="no server of some/model lives") as caught:
            async with Supervisor(PLAN, CARE):
                raise AssertionError("it cannot be entered")
        return str(caught.value)

    words = asyncio.run(run())
    assert "ended with code 3" in words
    assert "ValueError: no such model" in words
    assert "the last line" in words
    assert "\x1b" not in words
    assert len(seen(folder, "starts")) == CARE.stillbirths
    assert list(folder.glob("serve/*.json")) == []


def test_a_server_that_dies_again_and_again_is_given_up(vllm):
    folder = vllm()

    async def run():
        async with Supervisor(PLAN, CARE) as served:
            waiting = asyncio.create_task(served.wait())
            for number in range(CARE.deaths):
                await comes(lambda: len(seen(folder, "engines")) > number)  # noqa: B023 - awaited at once
                os.kill(seen(folder, "engines")[number], signal.SIGKILL)
            with pytest.raises(InfrastructureError, match="the engine is dead"):
                await waiting
            assert served.endpoints == ()

    asyncio.run(run())
    assert len(seen(folder, "starts")) == CARE.deaths


def test_one_server_given_up_leaves_the_others(vllm, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    folder = vllm()

    async def run():
        async with Supervisor(PLAN, CARE) as served:
            assert {start["CUDA_VISIBLE_DEVICES"] for start in seen(folder, "starts")} == {"0", "1"}
            assert len(served.endpoints) == 2
            waiting = asyncio.create_task(served.wait())
            killed = set()
            while len(served.endpoints) == 2:  # whatever sees the first GPU dies
                for start in seen(folder, "starts"):
                    if start["CUDA_VISIBLE_DEVICES"] == "0" and start["pid"] not in killed:
                        os.kill(start["pid"], signal.SIGKILL)
                        killed.add(start["pid"])
                await asyncio.sleep(0.01)
            assert len(killed) == CARE.deaths
            await comes(lambda: discovered()[0].endpoints == served.endpoints)
            assert not waiting.done()
            waiting.cancel()

    asyncio.run(run())
    assert gone(folder)


def test_healthy_is_not_enough(vllm):
    vllm(mute="")

    async def run():
        with pytest.raises(InfrastructureError, match=r"healthy and cannot generate: .*500"):
            async with Supervisor(PLAN, CARE):
                raise AssertionError("it cannot be entered")

    asyncio.run(run())


def test_a_server_that_is_healthy_and_gets_nowhere_is_started_again(vllm):
    folder = vllm()

    async def run():
        said = []
        care = replace(CARE, stall=0.5)
        async with Supervisor(PLAN, care, said.append) as served:
            client = client_of(served)
            vllm(latency=3_600)
            await asyncio.sleep(0.1)
            task = asyncio.create_task(client.generate(ask()))
            await comes(lambda: any(each.kind == "died" for each in said))
            vllm(latency=0)
            assert (await task).attempts == 2
            await client.close()
            assert "no token further for 0.5 s" in next(each.words for each in said if each.kind == "died")

    asyncio.run(run())
    assert gone(folder)


def test_a_server_that_is_ill_for_long_is_started_again(vllm):
    folder = vllm()

    async def run():
        said = []
        async with Supervisor(PLAN, CARE, said.append):
            vllm(ill="")
            await comes(lambda: any(each.kind == "died" for each in said))
            (folder / "ill").unlink()
            await comes(lambda: [each.kind for each in said].count("ready") == 2)
            assert "has not been well for 0.3 s" in next(each.words for each in said if each.kind == "died")

    asyncio.run(run())
    assert gone(folder)


def test_a_server_that_has_nothing_to_do_is_left_alone(vllm):
    folder = vllm()

    async def run():
        async with Supervisor(PLAN, replace(CARE, stall=0.2), lambda _: None):
            await asyncio.sleep(0.8)

    asyncio.run(run())
    assert len(seen(folder, "starts")) == 1


def test_a_constraint_that_does_not_bind_is_told(vllm):
    vllm(unbound="")

    async def run():
        said = []
        async with Supervisor(PLAN, CARE, said.append):
            pass
        assert [each.words for each in said if each.kind == "warning"] == [
            "ignores constraints; guided edits would come back as any text"
        ]

    asyncio.run(run())


def test_what_is_under_way_is_finished_before_the_end(vllm):
    vllm(latency=0.5)

    async def run():
        async with Supervisor(PLAN, CARE) as served:
            client = client_of(served)
            tasks = [asyncio.create_task(client.generate(ask())) for _ in range(4)]
            await asyncio.sleep(0.2)
        replies = await asyncio.gather(*tasks)
        await client.close()
        assert {reply.attempts for reply in replies} == {1}

    asyncio.run(run())


def test_a_hurry_ends_a_stubborn_server_at_once(vllm):
    folder = vllm(stubborn="")

    async def run():
        async with Supervisor(Plan("m", drain=3600), CARE) as served:
            asyncio.get_running_loop().call_later(0.1, served.hurry)

    asyncio.run(run())
    assert gone(folder)


SERVE = [sys.executable, "-m", "evolve", "serve", "some/model"]


def started(*words):
    process = subprocess.Popen([*SERVE, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return process, line


def test_a_supervisor_that_is_killed_leaves_no_process_behind(vllm):
    folder = vllm()
    process, _ = started()
    (found,) = discovered()
    process.kill()
    process.communicate()
    until(lambda: gone(folder))
    assert discovered() == []
    assert found.path.exists()  # known by its process, which is gone


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_the_command_ends_with_what_it_was_told_by(vllm, number, code):
    folder = vllm()
    process, line = started()
    assert line.startswith("serving some/model at http://127.0.0.1:")
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode == code, said
    assert "draining" in said
    assert gone(folder)
    assert list(folder.glob("serve/*.json")) == []


def test_a_second_ctrl_c_does_not_wait(vllm):
    folder = vllm(stubborn="")
    process, _ = started("--drain", "3600")
    process.send_signal(signal.SIGINT)
    while "draining" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert gone(folder)


def test_ctrl_c_while_it_starts_leaves_nothing(vllm):
    folder = vllm(mute="")
    process = subprocess.Popen(SERVE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: seen(folder, "engines"))
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    assert gone(folder)


def test_the_command_says_what_failed(vllm):
    vllm(stillborn="OSError: no such model")
    ended = subprocess.run(SERVE, check=False, capture_output=True, text=True)
    assert ended.returncode == 3
    assert "OSError: no such model" in ended.stderr
    assert "Traceback" not in ended.stderr.splitlines()[0]


def test_a_folder_that_is_not_there_is_said_at_once(vllm):
    folder = vllm()
    ended = subprocess.run([*SERVE[:-1], "./absent"], check=False, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr == "evolve: error: model ./absent: there is no such folder\n"
    assert not (folder / "starts").exists()


LOG = """\
WARNING 11-21 12:00:00 [utils.py:1] may cause `OSError: [Errno 24] Too many open files`
(EngineCore pid=7) ERROR 11-21 12:00:01 [core.py:1] Traceback (most recent call last):
(EngineCore pid=7) ERROR 11-21 12:00:01 [core.py:1]   File "x.py", line 3, in load
(EngineCore pid=7) ERROR 11-21 12:00:01 [core.py:1]     load()
(EngineCore pid=7) ERROR 11-21 12:00:01 [core.py:1]     ^^^^^^
(EngineCore pid=7) ERROR 11-21 12:00:01 [core.py:1] torch.OutOfMemoryError: 80 GiB \x1b[31m
(APIServer pid=6) RuntimeError: engine failed; see above
(APIServer pid=6) torch.OutOfMemoryError: 80 GiB \x1b[31m
bye
"""


def test_last_words_are_first_the_causes(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("ValueError: of an earlier start\n" + LOG)
    words = Process(None, log, len("ValueError: of an earlier start\n")).last_words(3)
    assert words.splitlines() == [
        "OutOfMemoryError: 80 GiB \N{REPLACEMENT CHARACTER}[31m",
        "RuntimeError: engine failed; see above",
        "bye",
    ]


def test_the_command_tells_in_json(vllm):
    vllm()
    process, first = started("--json")
    process.terminate()
    told = json.loads(first + process.stdout.read())
    process.communicate()
    assert told["pid"] == process.pid
    assert told["urls"][0].startswith("http://127.0.0.1:")
    assert "key" not in told
