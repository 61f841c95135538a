"""Supervisors with real processes: batches, deaths, stuck judges, and that nothing outlives its engine."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from evolve.fastcore.jail import level
from evolve.fastcore.pool import JudgeError, JudgeStartError, JudgeStuck, Pool, SupervisorLost

HERE = str(Path(__file__).parent)
confining = pytest.mark.skipif(level() == "none", reason="this machine cannot confine programs")


def make(name="Words", args=(), workers=1, hard_seconds=None):
    return Pool(f"pool_judges:{name}", args, workers, hard_seconds, paths=[HERE])


async def all_of(pool, payloads):
    return await asyncio.gather(*map(pool.submit, payloads), return_exceptions=True)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def test_results_come_back_in_their_futures():
    async def story():
        async with make(workers=2) as pool:
            payloads = [None, 3, "text", b"bytes", {"a": [1, 2.5]}, (1,)] * 50
            assert await all_of(pool, payloads) == payloads
            assert await pool.submit("x" * (3 << 20)) == "x" * (3 << 20)

    run(story())


def test_work_is_spread_over_the_workers():
    async def story():
        async with make(workers=2) as pool:
            pids = [answer[0] for answer in await all_of(pool, ["pid"] * 10)]
            assert sorted(map(pids.count, pool.pids())) == [5, 5]

    run(story())


def test_what_is_submitted_in_one_tick_travels_in_one_message():
    async def story():
        async with make() as pool:
            supervisor = pool._supervisors[0]
            sizes = []
            give = supervisor.give
            supervisor.give = lambda jobs: (sizes.append(len(jobs)), give(jobs))
            await all_of(pool, range(100))
            assert sizes == [100]

    run(story())


def test_an_early_result_does_not_wait_for_a_slow_neighbour():
    async def story():
        async with make() as pool:
            quick, slow = pool.submit(1), pool.submit("nap")
            assert await quick == 1
            assert not slow.done()
            assert await slow == "rested"

    run(story())


def test_a_supervisor_has_a_session_of_its_own_and_no_secret(monkeypatch):
    monkeypatch.setenv("EVOLVE_TEST_API_KEY", "sk-test")
    monkeypatch.setenv("NUMBA_EXAMPLE", "kept")

    async def story():
        async with make() as pool:
            pid, session, parent = await pool.submit("pid")
            assert (pid, parent) == (session, os.getpid())
            environ = await pool.submit("environ")
            assert "EVOLVE_TEST_API_KEY" not in environ
            assert environ["NUMBA_EXAMPLE"] == "kept"
            assert environ["PATH"] == os.environ["PATH"]

    run(story())


@pytest.mark.parametrize(("payload", "words"), [("raise", "a judge's own mistake"), ("lambda", "pickle")])
def test_a_judge_that_raises_fails_that_future_only(payload, words):
    async def story():
        async with make() as pool:
            before, error, after = await all_of(pool, [1, payload, 2])
            assert (before, after) == (1, 2)
            assert isinstance(error, JudgeError)
            assert words in str(error)
            assert "Traceback" in str(error)

    run(story())


@pytest.mark.parametrize(
    ("name", "words"),
    [("broken", "the judge's file is gone"), ("dying", "died before"), ("Missing", "AttributeError")],
)
def test_a_judge_that_cannot_be_made_is_one_clear_error(name, words):
    async def story():
        with pytest.raises(JudgeStartError, match=words):
            async with make(name, workers=2):
                pass

    before = psutil.Process().children()
    run(story())
    assert psutil.Process().children() == before


@pytest.mark.parametrize("judge", ["words", "__main__:Judge", ":x", "module:"])
def test_a_judge_that_no_process_can_import_is_refused(judge):
    with pytest.raises(ValueError, match="module:callable"):
        Pool(judge)


def test_a_supervisor_killed_from_outside_loses_no_work():
    async def story():
        async with make(workers=2) as pool:
            waiting = [pool.submit(payload) for payload in ["nap", *range(20)]]
            await asyncio.sleep(0.05)
            old = pool.pids()
            for pid in old:
                os.kill(pid, signal.SIGKILL)
            assert await asyncio.gather(*waiting) == ["rested", *range(20)]
            assert len(pool.pids()) == 2
            assert not set(old) & set(pool.pids())

    run(story())


def test_a_payload_that_kills_two_supervisors_is_found_among_its_neighbours():
    async def story():
        async with make(workers=2) as pool:
            answers = await all_of(pool, [*range(10), "die", *range(10)])
            assert isinstance(answers.pop(10), SupervisorLost)
            assert answers == [*range(10), *range(10)]
            assert await pool.submit(1) == 1

    run(story())


def test_a_payload_that_kills_once_is_tried_again(tmp_path):
    async def story():
        async with make("Counter", (str(tmp_path / "seen"),)) as pool:
            assert await all_of(pool, [1, "die", 2]) == [1, "survived", 2]

    run(story())


@pytest.mark.parametrize("payload", ["sleep", "c_loop"])
def test_a_stuck_judge_is_killed_and_its_payload_found(payload):
    async def story():
        async with make(hard_seconds=0.4) as pool:
            answers = await all_of(pool, [1, payload, 2])
            assert isinstance(answers[1], JudgeStuck)
            assert answers[::2] == [1, 2]
            assert await pool.submit(3) == 3

    run(story())


def test_a_big_payload_for_a_busy_judge_does_not_stop_the_loop():
    async def story():
        async with make() as pool:
            slow = pool.submit("nap")
            await asyncio.sleep(0.02)
            began = time.monotonic()
            big = pool.submit("x" * (8 << 20))
            await asyncio.sleep(0.01)
            assert time.monotonic() - began < 0.2
            assert (await slow, len(await big)) == ("rested", 8 << 20)

    run(story())


def test_a_cancelled_future_harms_nobody():
    async def story():
        async with make() as pool:
            first = pool.submit("nap")
            first.cancel()
            assert await pool.submit(2) == 2

    run(story())


def test_closing_ends_the_judges_and_cancels_the_rest(tmp_path):
    marker = tmp_path / "closed"

    async def story():
        async with make(args=(str(marker),)) as pool:
            pids = pool.pids()
            await pool.submit(1)
            left = pool.submit("nap")
            await asyncio.sleep(0.05)
        assert left.cancelled()
        assert not any(map(psutil.pid_exists, pids))
        with pytest.raises(RuntimeError, match="not open"):
            pool.submit(1)
        pool.close()
        assert pool.cpu_seconds() > 0

    run(story())
    assert marker.exists()


def test_a_stuck_judge_does_not_stop_the_closing():
    async def story():
        async with make() as pool:
            pids = pool.pids()
            stuck = pool.submit("c_loop")
            await asyncio.sleep(0.05)
        assert stuck.cancelled()
        return pids

    assert not any(map(psutil.pid_exists, run(story())))


@confining
def test_cpu_seconds_count_supervisors_zygotes_and_programs():
    async def story():
        async with make("Programs") as pool:
            await pool.submit("def f(): return 1")
            before = pool.cpu_seconds()
            await pool.submit("def f():\n    import time\n    while time.process_time() < 0.5: pass")
            assert 0.4 < pool.cpu_seconds() - before < 1.5
        assert pool.cpu_seconds() > before + 0.4

    run(story())


@confining
@pytest.mark.parametrize("victim", ["engine", "supervisor"])
def test_nothing_outlives_a_sigkill(victim, tmp_path):
    script = tmp_path / "engine.py"
    script.write_text(
        "import asyncio\nfrom evolve.fastcore.pool import Pool\n"
        "async def main():\n"
        f"    pool = Pool('pool_judges:Programs', (), 1, paths=[{HERE!r}])\n"
        "    await pool.start()\n"
        "    print(*pool.pids(), await pool.submit('zygote'), flush=True)\n"
        "    await pool.submit('def f():\\n    while True: pass')\n"
        "asyncio.run(main())\n"
    )
    engine = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    with engine:
        supervisor, zygote = (int(word) for word in engine.stdout.readline().split())
        wait_for(lambda: psutil.Process(zygote).children())
        program = psutil.Process(zygote).children()[0].pid
        if victim == "engine":
            engine.kill()
        else:
            os.kill(supervisor, signal.SIGKILL)
        wait_for(lambda: not any(map(is_alive, (supervisor, zygote, program))))
        engine.kill()


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_ctrl_c_while_a_supervisor_starts_leaves_no_process():
    async def story():
        pool = make()
        starting = asyncio.create_task(pool.start())
        await asyncio.sleep(0)  # its process lives, and its link is being made
        pids = pool.pids()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert len(pids) == 1
        assert not psutil.pid_exists(pids[0])

    run(story())


def test_what_is_dropped_is_not_judged_and_what_comes_after_is():
    async def story():
        async with make() as pool:
            dropped = [pool.submit("nap") for _ in range(1_000)]  # five minutes of them
            await asyncio.sleep(0.1)
            pool.drop()
            assert all(one.cancelled() for one in dropped)
            assert await pool.submit("after") == "after"
            assert not pool._supervisors[0].out

    run(story())
