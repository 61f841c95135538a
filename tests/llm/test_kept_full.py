"""The harness of bench/perf/kept_full measures what it says: slots, time in them, CPU of what has ended, replies."""

import asyncio
import importlib
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import aiohttp
import psutil
import pytest

from evolve.llm.edits import apply_block, apply_choice, apply_diff
from evolve.llm.facts import Facts, Order, Shown, statement_of
from evolve.llm.grammar import plan_edits
from evolve.llm.prompt import build
from evolve.llm.window import read_load
from evolve.loader import load
from evolve.mutators.survey import map_program
from evolve.mutators.syntactic import derive_vocabulary
from evolve.source import to_tree

ROOT = Path(__file__).parents[2]


@pytest.fixture
def harness(monkeypatch):
    """A module of the harness by its name: it is not installed, and lies in the checkout."""
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"bench.perf.kept_full.{name}")


def body_of(parts, **more):
    return {"messages": [{"role": part.role, "content": part.text} for part in parts], **more}


def test_slots_are_counted_and_the_rest_waits(harness):
    async def run():
        slots = harness("server").Slots(3, 0.05)
        work = [asyncio.create_task(slots.make(1)) for _ in range(7)]
        await asyncio.sleep(0.01)
        seen = slots.running, slots.waiting
        await asyncio.gather(*work)
        slots.advance()
        return slots, seen

    slots, seen = asyncio.run(run())
    assert seen == (3, 4)
    assert (slots.running, slots.waiting, slots.finished) == (0, 0, 7)
    # Each was in a slot for the latency and what the loop came late by: the sum says so exactly.
    assert slots.area == pytest.approx(7 * 0.05 + slots.late)
    assert slots.queued >= 3 * 0.05 + 1 * 0.1  # four waited for a first round, one of them for a second


def test_who_gives_up_frees_its_slots(harness):
    async def run():
        slots = harness("server").Slots(2, 30.0)
        wide = asyncio.create_task(slots.make(5))
        await asyncio.sleep(0)
        held = slots.running, slots.waiting
        next_one = asyncio.create_task(slots.make(1))
        await asyncio.sleep(0)
        wide.cancel()
        await asyncio.sleep(0.01)
        left = slots.running, slots.waiting
        next_one.cancel()
        await asyncio.gather(wide, next_one, return_exceptions=True)
        return held, left, (slots.running, slots.waiting)

    assert asyncio.run(run()) == ((2, 3), (1, 0), (0, 0))


def test_the_server_speaks_what_clients_ask(harness):
    async def run():
        runner, _, url = await harness("server").serve(2, 0.01, 0.0)
        async with aiohttp.ClientSession() as session:
            body = {"model": "fake", "messages": [{"role": "user", "content": "x" * 400}], "n": 2}
            async with session.post(f"{url}/chat/completions", json=body) as response:
                reply = await response.json()
            async with session.get(url.removesuffix("/v1") + "/metrics") as response:
                metrics = await response.text()
            async with session.get(url.removesuffix("/v1") + "/stats") as response:
                stats = await response.json()
        await runner.cleanup()
        return reply, metrics, stats

    reply, metrics, stats = asyncio.run(run())
    texts = [choice["message"]["content"] for choice in reply["choices"]]
    assert len(set(texts)) == 2
    assert reply["usage"]["prompt_tokens"] == 100
    assert read_load(metrics) == (0.0, 0.0, 0.0, 0.0)
    assert (stats["requests"], stats["answered"], stats["finished"]) == (1, 1, 2)


@pytest.mark.parametrize("busy", [0.0, 0.01])
@pytest.mark.parametrize("form", ["diff", "block", "grammar"])
@pytest.mark.parametrize("kind", ["improve", "crossover"])
def test_replies_are_new_programs_in_our_formats(harness, tmp_path, kind, form, busy):
    answers, settings = harness("answers"), harness("settings")
    file = tmp_path / "level.py"
    file.write_text(settings.problem(busy))
    problem = load(str(file))
    other = Shown(settings.block(settings.height(4), busy), 0.9, (), (), 1)
    # Not as the template wrote it: as it is once an edit has been printed.
    parent = replace(other, source=settings.block("0.25", busy), number=2)
    vocabulary = derive_vocabulary(to_tree(parent.source))
    plan = plan_edits(parent.source, map_program(to_tree(parent.source), "level", vocabulary), vocabulary)
    more = {"sites": plan.listing(), "hole": plan.hole} if form == "grammar" else {}
    order = Order(kind, form, mates=(other,) if kind == "crossover" else (), **more)
    prompt = build(Facts(statement_of(problem), parent, (other, parent)), order, 1_000_000, len)
    made = set()
    for number in (1, 2):
        said = answers.reply(body_of(prompt.request_parts), number, busy)
        apply = {"diff": apply_diff, "block": apply_block}.get(form)
        new = apply(said, parent.source, "level") if apply else apply_choice(said, plan)
        assert f"height = {float(settings.height(number))}" in new.replace("000\n", "\n")
        assert ("thread_time" in new) == bool(busy)
        made.add(new)
    assert len(made) == 2


def test_the_answer_to_a_probe_is_what_was_constrained(harness):
    body = {"messages": [{"role": "user", "content": "hi"}], "structured_outputs": {"choice": ["zeta"]}}
    assert harness("answers").reply(body, 1, 0.0) == "zeta"


def test_heights_differ(harness):
    height = harness("settings").height
    assert len({height(number) for number in range(30_000)}) == 30_000


def test_cpu_of_children_that_ended_is_counted(harness):
    tree = harness("tree")
    me = psutil.Process()
    before = tree.taken(me)
    child = os.fork()
    if child == 0:
        stop = time.process_time() + 0.1
        while time.process_time() < stop:
            pass
        os._exit(0)
    os.waitpid(child, 0)
    after = tree.taken(me)
    assert after.cpu - before.cpu >= 0.09
    assert after.own - before.own <= after.cpu - before.cpu - 0.09
    assert after.processes >= 1


def course_of(harness, seconds, rate, cost, slots=8):
    """A run of a contender that is as regular as a clock."""
    measure, tree = harness("measure"), harness("tree")
    samples = []
    for tick in range(2 * seconds + 1):
        at = tick / 2
        made = int(rate * at)
        server = {
            **{"at": at, "area": (slots - 1) * at, "queued": 0.0, "late": 0.0, "cpu": made * 1e-3},
            **{"finished": made + 2, "answered": made + 2, "prompt": 100 * (made + 2)},
        }
        cpu = 1.0 + made * cost
        samples.append(measure.Sample(at, made, tree.Taken(cpu, cpu / 4, 9), server, 2 * cpu))
    disk = tree.Disk(10, 5_000)
    return measure.Course(tuple(samples), samples[-1].made, 10**8, 2 * 10**8, disk, 0, float(seconds), "")


def test_figures_are_those_of_the_steady_part(harness):
    setting = harness("settings").SETTINGS["8"]
    told = harness("figures").row("x", ("8", setting), course_of(harness, 60, 40, 0.010), 2.0)
    assert told["rate"] == pytest.approx(40)
    assert told["in_flight"] == pytest.approx(7)
    assert told["cpu_ms"] == pytest.approx(10)
    assert told["own_ms"] == pytest.approx(2.5)
    assert told["server_ms"] == pytest.approx(1)
    assert told["other_cores"] == pytest.approx(0.4 - 0.04)
    assert told["unrecorded"] == 2
    assert (told["programs"], told["disk_bytes"]) == (2_400, pytest.approx(5_000 / 2_400))
    assert told["steady_to"] <= 2_400 - 16
    assert [band["from"] for band in told["bands"]] == [100, 900, 1_500]
    assert all(band["cpu_ms"] == pytest.approx(10) for band in told["bands"])
    assert re.search(r"\| 8 slots, 200 ms \| x \| 7\.0 \(7\.7\) \| 40\.0 ", harness("table").tables([told]))


def test_evaluators_are_busy_as_far_as_programs_were_made(harness):
    setting = harness("settings").SETTINGS["busy"]
    told = harness("figures").row("x", ("busy", setting), course_of(harness, 60, 4, 0.2), 2.0)
    assert told["evaluators_busy"] == pytest.approx(4 * 0.42 / 2)
    assert told["evaluators_busy_of_left"] == pytest.approx(4 * 0.42 / (2 - 0.8 + 0.004))
    assert "| x | 4.00 (4.76) | 84.0 % (139.5 %) | 2 |" in harness("table").tables([told])


def test_a_run_that_was_too_short_is_no_figure(harness):
    setting = harness("settings").SETTINGS["8"]
    with pytest.raises(SystemExit, match="too few for a steady part"):
        harness("figures").row("x", ("8", setting), course_of(harness, 4, 40, 0.010), 3.0)


def test_the_peers_log_is_read_on_from_where_it_was(harness, tmp_path):
    made = harness("peer")._entered(tmp_path)
    line = "INFO - Iteration {}: Program abc (parent: def) completed in 0.20s\n"
    log = tmp_path / "openevolve_1.log"
    log.write_text(line.format(1) + "INFO - other\n" + line.format(2)[:20])
    assert made() == 1
    log.write_text(line.format(1) + "INFO - other\n" + line.format(2) + line.format(3))
    assert made() == 3
