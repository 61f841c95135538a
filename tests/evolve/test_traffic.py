"""Who gets a core, and how many questions may be out."""

import asyncio

import pytest

from evolve.traffic import Cores, Level, Usual, wanted


def test_the_usual_is_not_moved_by_what_is_rare():
    usual = Usual()
    assert usual.value is None
    usual.note(9.0)
    assert usual.value == 9.0
    for _ in range(15):
        usual.note(1.0)
    assert usual.value == 1.0
    for _ in range(32):
        usual.note(2.0)
    assert usual.value == 2.0


def test_a_level_is_meant_over_time(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("evolve.traffic.time.monotonic", lambda: now[0])
    level = Level()
    level.set(4.0)
    now[0] += 3.0
    level.set(0.0)
    now[0] += 1.0
    assert level.total == 12.0
    assert level.mean == 3.0


def test_programs_of_models_go_first_and_no_place_is_lost():
    async def run():
        cores, order = Cores(1, 2), []

        async def work(name, urgent):
            await cores.take(urgent)
            order.append(name)
            await asyncio.sleep(0)
            cores.give(0.5)

        names = [("a", False), ("b", False), ("c", False), ("urgent", True), ("d", False)]
        tasks = [asyncio.ensure_future(work(*each)) for each in names]
        await asyncio.sleep(0)
        assert cores.taken == 2
        assert cores.waiting == 1
        tasks[2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert order == ["a", "b", "urgent", "d"]
        assert (cores.taken, cores.waiting) == (0, 0)

    asyncio.run(run())


@pytest.mark.parametrize("when", ["waiting", "given"])
def test_who_is_cancelled_leaves_its_place_to_others(when):
    async def run():
        cores = Cores(1, 2)
        await cores.take(True)
        await cores.take(True)
        task = asyncio.ensure_future(cores.take(True))
        await asyncio.sleep(0)
        if when == "given":
            cores.give(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if when == "waiting":
            cores.give(0.1)
        cores.give(0.1)
        assert (cores.taken, cores.waiting) == (0, 0)

    asyncio.run(run())


def test_short_evaluations_lie_ahead_in_numbers_and_long_ones_do_not():
    cores = Cores(2, 32)
    assert cores.places == 4
    cores.seconds.note(0.001)
    assert cores.places == 32
    cores = Cores(2, 32)
    cores.seconds.note(0.4)
    assert cores.places == 4
    assert cores.rate == 5.0


def test_as_many_questions_are_out_as_keep_the_evaluators_busy():
    cores = Cores(2, 32)
    assert wanted(cores, None) == 4  # nothing is known
    cores.seconds.note(0.4)
    assert wanted(cores, 0.2) == pytest.approx(1.25 * 5.0 * 0.2 + 4)
    assert wanted(cores, 20.0) == pytest.approx(129.0)
