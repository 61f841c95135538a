"""Races of real jailed programs, where the difference is huge or the clock is attacked."""

import os
import random
import subprocess
import sys
import textwrap

import pytest

from evolve.fastcore import wire
from evolve.fastcore.jail import level
from evolve.fastcore.limits import Limits
from evolve.fastcore.race import Rules, race
from evolve.fastcore.runner import Failure, Runner

jailed = pytest.mark.skipif(level() == "none", reason="this machine cannot confine programs")
WALK = """
def f(n, seed):
    x = seed
    for _ in range(n):
        x = (x * 1103515245 + 12345) & 0x7fffffff
    return x
"""
SHORT = Rules(looks=(6,))


def truth(n, seed):
    scope = {}
    exec(WALK, scope)
    return scope["f"](n, seed)


@pytest.fixture(scope="module")
def runners():
    with Runner() as one, Runner() as other:
        yield one, other


def jailed_race(runners, source, baseline, limits=None, n=30_000, rules=SHORT):
    """Race two sources; every answer is checked against what the walk gives here."""
    rng = random.Random(5)
    seeds = []
    known = {}

    def fresh():
        seeds.append(rng.randrange(1 << 30))
        known[len(seeds)] = truth(n, seeds[-1])
        return [wire.encode((n, seeds[-1]))]

    def check(name, case, answer):
        assert wire.decode(answer, wire.TRUSTED) == known[len(seeds)], name

    limits = limits or Limits()
    with (
        runners[0].start(textwrap.dedent(source), "f", limits) as program,
        runners[1].start(textwrap.dedent(baseline), "f", limits) as other,
    ):
        return race(program, other, fresh, check, rules, 1)


SLOW = WALK.replace(
    "    x = seed\n",
    "    for _ in range(10 * n):\n        pass\n    for _ in range(20 * n):\n        pass\n    x = seed\n",
)


@jailed
def test_a_jailed_program_that_does_many_times_the_work_is_slower(runners):
    result = jailed_race(runners, SLOW, WALK)
    assert (result.verdict, result.flagged, result.pairs) == ("slower", False, 6)
    assert jailed_race(runners, WALK, SLOW).verdict == "faster"
    assert result.core is None or result.core in os.sched_getaffinity(0)


PATCHED = """
import time
for name in ("time", "perf_counter", "process_time", "monotonic", "thread_time"):
    setattr(time, name, lambda: 0.0)
"""


@jailed
def test_a_jailed_program_that_sleeps_is_flagged(runners):
    sleeper = WALK.replace("    return", "    __import__('time').sleep(0.05)\n    return")
    result = jailed_race(runners, sleeper, SLOW)
    assert (result.verdict, result.flagged) == ("undecided", True)
    assert result.low > 1.0
    assert result.wall_speedup < result.speedup / 1.5


@jailed
def test_busy_neighbours_flag_no_jailed_program(runners):
    loops = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(2)]
    try:
        fast, slow = jailed_race(runners, WALK, SLOW), jailed_race(runners, SLOW, WALK)
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    assert (fast.verdict, fast.flagged) == ("faster", False)
    assert (slow.verdict, slow.flagged) == ("slower", False)


@jailed
def test_attack_55_a_patched_clock_changes_nothing(runners):
    result = jailed_race(runners, PATCHED + SLOW, WALK)
    assert (result.verdict, result.flagged) == ("slower", False)


MEMO = """
seen = {}
def f(n, seed):
    if (n, seed) in seen:
        return seen[n, seed]
    for _ in range(30 * n):
        pass
    x = seed
    for _ in range(n):
        x = (x * 1103515245 + 12345) & 0x7fffffff
    seen[n, seed] = x
    return x
"""


@jailed
def test_attack_62_a_memo_finds_no_input_twice(runners):
    assert jailed_race(runners, MEMO, WALK).verdict == "slower"


@jailed
def test_attack_62_would_succeed_on_repeated_inputs(runners):
    """The positive control: with one input for all runs the same program wins."""
    body = wire.encode((30_000, 1))
    with runners[0].start(MEMO, "f", Limits()) as program, runners[1].start(WALK, "f", Limits()) as other:
        assert (
            race(program, other, lambda: [body], lambda name, case, answer: None, SHORT, 1).verdict
            == "faster"
        )


@jailed
@pytest.mark.skipif(sys.platform != "linux", reason="affinity is Linux's")
def test_both_are_on_one_core_in_the_race_and_free_after_it(runners):
    with runners[0].start(WALK, "f", Limits()) as program, runners[1].start(WALK, "f", Limits()) as other:
        program.ready()
        before = os.sched_getaffinity(program.pid)
        seen = set()

        def check(name, case, answer):
            seen.add(frozenset(os.sched_getaffinity(program.pid) | os.sched_getaffinity(other.pid)))

        result = race(program, other, lambda: [wire.encode((5_000, 1))], check, SHORT, 1)
        assert seen == {frozenset({result.core})}
        assert os.sched_getaffinity(program.pid) == os.sched_getaffinity(other.pid) == before


THREAD = """
import threading
def burn():
    while True:
        for _ in range(1000):
            pass
threading.Thread(target=burn, daemon=True).start()
"""


@jailed
def test_attack_73_a_thread_that_works_between_the_cases_is_billed(runners):
    """The entry alone is many times as fast as the baseline; the thread beside it is on the bill."""
    limits = Limits(threads=4)
    honest = jailed_race(runners, WALK, SLOW, limits)
    burning = jailed_race(runners, THREAD + WALK, SLOW, limits)
    assert honest.core is burning.core is None
    assert burning.speedup < honest.speedup / 2


@jailed
def test_a_failure_passes_through(runners):
    with pytest.raises(Failure, match="ZeroDivisionError"):
        jailed_race(runners, "def f(n, seed):\n    return 1 / 0\n", WALK)
