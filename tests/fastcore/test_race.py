"""Races by injected clocks, where every figure is known."""

import math
import random

import numpy as np
import pytest

from evolve.fastcore import track as tracks
from evolve.fastcore.race import Rules, race

NOBODY = 1 << 23  # beyond the greatest process number: no clock of a real process is read


class World:
    """Clocks that only the fakes move."""

    def __init__(self):
        self.wall, self.cpu, self.later = 1000.0, {}, {}

    def read(self, pid):
        """The clocks as they stand; what a program does behind its answer comes just after this reading."""
        now = self.cpu[pid], self.wall
        self.cpu[pid] += self.later.pop(pid, 0.0)
        return now


class Fake:
    """A contestant whose calls take `cpu`, then `tail` more after the answer, and sleep meanwhile."""

    threads = 2  # so that nobody tries to pin it

    def __init__(self, world, pid, cpu, tail=0.0, sleep=0.0, cores=1.0, stall=lambda: 0.0):
        self.world, self.pid, self.cpu = world, pid, cpu if callable(cpu) else lambda call: cpu
        self.tail, self.sleep, self.cores, self.stall = tail, sleep, cores, stall
        self.calls, self.began, self.was_ready = 0, 0, False
        world.cpu[pid] = 5.0

    def ready(self):
        self.was_ready = True

    def begin_case(self):
        self.began += 1

    def ask(self, body):
        assert self.was_ready
        spent = self.cpu(self.calls)
        self.calls += 1
        self.world.cpu[self.pid] += spent
        self.world.wall += spent / self.cores + self.sleep + self.stall() + 30e-6
        self.world.later[self.pid] = self.tail
        return b"answer to " + body


@pytest.fixture
def world(monkeypatch):
    made = World()
    monkeypatch.setattr(tracks, "cpu_and_wall", made.read)
    return made


def noise(seed, spread=0.02):
    rng = random.Random(seed)
    return lambda base: lambda call: base * math.exp(rng.gauss(0.0, spread))


def deal(cases=1):
    return lambda: [b"case %d" % number for number in range(cases)]


def silent(name, case, answer):
    pass


def run(world, program, baseline, rules=None, cases=1, seed=0, check=silent):
    """Race two fakes, given as keywords of `Fake`."""
    contestants = Fake(world, NOBODY, **program), Fake(world, NOBODY + 1, **baseline)
    return race(*contestants, deal(cases), check, rules or Rules(), seed)


def test_a_program_three_times_as_fast_is_called_faster_at_the_first_look(world):
    result = run(world, {"cpu": noise(1)(0.002)}, {"cpu": noise(2)(0.006)}, cases=3)
    assert (result.verdict, result.pairs, result.flagged) == ("faster", 6, False)
    assert result.ratios.shape == (6, 3)
    assert result.speedup == pytest.approx(3.0, rel=0.05)
    assert result.per_case == pytest.approx([3.0] * 3, rel=0.05)
    assert result.low <= result.speedup <= result.high
    by_pair = np.exp(np.log(result.ratios).mean(axis=1))
    assert result.speedup == np.median(by_pair)
    assert (result.low, result.high) == pytest.approx((by_pair.min() / 1.01, by_pair.max() * 1.01))
    assert result.wall_speedup == pytest.approx(3.0, rel=0.1)
    assert result.core is None
    assert result.wall_seconds > 0.0


def test_what_a_program_is_asked_aside_comes_unforeseen_and_once_more_at_the_end(world, monkeypatch):
    asked = []
    monkeypatch.setattr("evolve.fastcore.race.secrets.randbelow", lambda pairs: pairs // 2)
    program = Fake(world, NOBODY, 0.005, tail=0.001)
    other = Fake(world, NOBODY + 1, 0.006)

    def aside():
        asked.append(program.calls)
        world.cpu[NOBODY] += 9.0

    rules = Rules(looks=(6, 10), stop_when_decided=False)
    result = race(program, other, deal(), silent, rules, 0, aside=aside)
    assert asked == [8, 13]  # three to warm up, ten pairs
    assert result.ratios == pytest.approx(np.full((10, 1), 1.0))  # the tail is billed, the rest is not


def test_one_three_times_as_slow_is_called_slower(world):
    result = run(world, {"cpu": noise(1)(0.006)}, {"cpu": noise(2)(0.002)})
    assert (result.verdict, result.pairs) == ("slower", 6)


def test_equal_programs_run_to_the_last_look_and_stay_undecided(world):
    result = run(world, {"cpu": 0.005}, {"cpu": 0.005})
    assert (result.verdict, result.pairs, result.speedup) == ("undecided", 64, pytest.approx(1.0))
    assert result.low == pytest.approx(1 / 1.01)
    assert result.high == pytest.approx(1.01)


def test_a_difference_within_the_resolution_is_not_called(world):
    fast, slow = {"cpu": 0.005}, {"cpu": 0.00502}
    assert run(world, fast, slow).verdict == "undecided"
    assert run(world, fast, slow, Rules(resolution=0.0)).verdict == "faster"


def test_equal_programs_are_called_different_no_more_often_than_promised(world):
    """200 races at a confidence of 90 %: at most 20 expected, 33 is three standard errors more."""
    rules = Rules(confidence=0.9, resolution=0.0)
    different = sum(
        run(world, {"cpu": noise(seed)(0.005)}, {"cpu": noise(-seed - 1)(0.005)}, rules).verdict
        != "undecided"
        for seed in range(200)
    )
    assert 0 < different <= 33


@pytest.mark.parametrize(
    ("call", "tail"), [(0.001, 0.004), (0.0001, 0.0049)], ids=["burns between cases", "rings first"]
)
def test_work_between_two_questions_is_billed(world, call, tail):
    """Attacks 70 and 73: 5 ms a case in all, whatever part of it is done while the answer is awaited."""
    result = run(world, {"cpu": call, "tail": tail}, {"cpu": 0.005}, cases=2)
    assert result.verdict == "undecided"
    assert result.speedup == pytest.approx(1.0, rel=0.001)
    assert result.flagged
    assert result.disagreement < -0.05


def test_a_program_that_gets_slower_or_faster_after_the_warm_up_gains_nothing(world):
    lazy = run(world, {"cpu": lambda call: 0.0005 if call < 3 else 0.01}, {"cpu": 0.005})
    assert lazy.speedup == pytest.approx(0.5)
    late = run(world, {"cpu": lambda call: 0.01 if call < 12 else 0.0001}, {"cpu": 0.005})
    assert late.verdict == "slower"  # it was stopped at the first look


def test_compile_time_is_told_apart(world):
    result = run(world, {"cpu": lambda call: 1.505 if call == 0 else 0.005}, {"cpu": 0.005})
    assert result.compile_cpu == pytest.approx(1.5)
    assert result.speedup == pytest.approx(1.0)
    assert result.cpu_seconds > 1.5
    assert run(world, {"cpu": 0.005}, {"cpu": 0.005}).compile_cpu == 0.0


def test_a_program_that_sleeps_is_flagged_and_not_called_faster(world):
    result = run(world, {"cpu": 0.002, "sleep": 0.004}, {"cpu": 0.005})
    assert result.speedup == pytest.approx(2.5)
    assert result.low > 1.0
    assert result.wall_speedup < 0.9
    assert result.disagreement > 0.05
    assert (result.flagged, result.verdict) == (True, "undecided")


def test_a_program_with_threads_is_billed_for_all_of_them(world):
    result = run(world, {"cpu": 0.010, "cores": 4.0}, {"cpu": 0.005})
    assert result.verdict == "slower"
    assert result.wall_speedup > 1.5
    assert result.flagged


@pytest.mark.parametrize("seed", range(20))
def test_a_busy_machine_flags_nobody(world, seed):
    """Walls of several times the CPU time, at random, and no word from the kernel about who waited."""
    rng = random.Random(seed)

    def stall():
        return 0.003 * rng.randrange(8)

    program = {"cpu": noise(seed)(0.004), "stall": stall}
    result = run(world, program, {"cpu": noise(seed + 99)(0.006), "stall": stall})
    assert (result.verdict, result.flagged) == ("faster", False)


def test_one_lucky_wall_flags_nobody(world):
    result = run(world, {"cpu": 0.002}, {"cpu": lambda call: 0.003 if call == 5 else 0.006})
    assert result.wall_speedup == pytest.approx(1.5, rel=0.05)
    assert result.disagreement > 0.9
    assert (result.verdict, result.flagged) == ("faster", False)


def test_a_late_wake_up_flags_no_very_fast_program(world):
    """20 us a call are much beside 0.1 ms of work, and nothing beside the baseline's 5 ms."""
    result = run(world, {"cpu": 0.0001, "sleep": 20e-6}, {"cpu": 0.005})
    assert (result.verdict, result.flagged) == ("faster", False)


def test_waiting_for_a_core_is_no_wall_time(world, monkeypatch):
    """What the kernel says was spent in the queue comes off, also where one side waits all the time."""

    class Queue:
        def __init__(self, process):
            self.process = process

        def read(self):
            return waited if self.process == NOBODY else 0.0

        def close(self):
            pass

    waited = 0.0

    def stall():
        nonlocal waited
        waited += 0.02
        return 0.02

    monkeypatch.setattr(tracks, "QueueClock", Queue)
    result = run(world, {"cpu": 0.002, "stall": stall}, {"cpu": 0.005})
    assert (result.verdict, result.flagged) == ("faster", False)
    assert result.wall_speedup == pytest.approx(2.5, rel=0.05)


def test_a_hopeless_program_ends_after_two_pairs_with_an_honest_interval(world):
    result = run(world, {"cpu": 0.1}, {"cpu": 0.005}, Rules(floor=0.9))
    assert (result.pairs, result.low, result.high, result.verdict) == (2, 0.0, math.inf, "undecided")
    assert result.speedup == pytest.approx(0.05)


def test_the_floor_stops_at_a_look(world):
    rules = Rules(floor=2.0, stop_when_decided=False)
    assert run(world, {"cpu": 0.004}, {"cpu": 0.005}, rules).pairs == 6
    assert run(world, {"cpu": 0.002}, {"cpu": 0.005}, rules).pairs == 64


def test_the_precision_stops_at_a_look(world):
    rules = Rules(precision=0.02, stop_when_decided=False)
    assert run(world, {"cpu": noise(1, 0.001)(0.004)}, {"cpu": 0.005}, rules).pairs == 6
    result = run(world, {"cpu": noise(1, 0.05)(0.004)}, {"cpu": 0.005}, rules)
    assert result.pairs > 6
    assert result.pairs == 64 or (result.high - result.low) / 2 < 0.02 * result.speedup


def test_the_cpu_budget_ends_a_race_between_looks(world):
    program, baseline = {"cpu": noise(1)(0.005)}, {"cpu": noise(2)(0.005)}
    result = run(world, program, baseline, Rules(most_cpu=0.15))
    assert 10 <= result.pairs < 16  # the interval is that of ten pairs
    assert result.cpu_seconds == pytest.approx(0.15, abs=0.011)
    by_pair = np.sort(result.ratios[:10, 0])
    assert result.low == pytest.approx(min(by_pair[0] / 1.01, result.speedup))
    assert result.high == pytest.approx(max(by_pair[-1] * 1.01, result.speedup))
    once = run(world, program, baseline, Rules(most_cpu=1e-6))
    assert (once.pairs, once.low, once.high) == (1, 0.0, math.inf)


def test_a_race_that_ends_between_looks_has_its_speedup_in_the_interval(world):
    rules = Rules(looks=(6, 64), stop_when_decided=False, most_cpu=0.2)
    result = run(world, {"cpu": lambda call: 0.0025 if call < 8 else 0.005}, {"cpu": 0.005}, rules)
    assert 12 < result.pairs < 64
    assert (result.low, result.speedup) == (pytest.approx(1.0), pytest.approx(1.0))
    assert result.high == pytest.approx(2.0 * 1.01)


def test_each_answer_is_checked_once_after_both_have_answered(world):
    seen = []
    contestants = Fake(world, NOBODY, 0.002), Fake(world, NOBODY + 1, 0.006)

    def check(name, case, answer):
        assert contestants[0].calls == contestants[1].calls
        assert answer == b"answer to case %d" % case
        seen.append((name, case))

    result = race(*contestants, deal(3), check, Rules(), 0)
    warm_up = 2
    assert len(seen) == 2 * 3 * (warm_up + result.pairs)
    assert contestants[0].calls == contestants[0].began == len(seen) // 2
    batches = [seen[at : at + 6] for at in range(0, len(seen), 6)]
    for batch in batches:
        assert [case for _name, case in batch] == [0, 0, 1, 1, 2, 2]
        starters = [name for name, _case in batch[::2]]
        assert starters[0] == starters[2] != starters[1]
    first = [batch[0][0] for batch in batches]
    assert all(
        {one, other} == {"program", "baseline"} for one, other in zip(first[::2], first[1::2], strict=True)
    )


def test_the_order_is_drawn_by_the_seed(world):
    def order(seed):
        seen = []
        run(world, {"cpu": 0.005}, {"cpu": 0.005}, seed=seed, check=lambda name, *_: seen.append(name))
        return seen

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(8)}) == 8


def test_what_the_check_raises_ends_the_race(world):
    def check(name, case, answer):
        if name == "program":
            raise ArithmeticError("wrong answer")

    with pytest.raises(ArithmeticError, match="wrong answer"):
        run(world, {"cpu": 0.005}, {"cpu": 0.005}, check=check)


def test_warm_up_waits_for_two_batches_that_agree_but_not_for_ever(world):
    falling = Fake(world, NOBODY, lambda call: 0.005 * (1 + max(0, 4 - call)))
    race(falling, Fake(world, NOBODY + 1, 0.005), deal(), silent, Rules(looks=(6,)), 0)
    assert falling.calls == 6 + 6  # 25, 20, 15, 10, 5, 5 ms
    restless = Fake(world, NOBODY, lambda call: 0.005 * (1 + call % 2))
    race(restless, Fake(world, NOBODY + 1, 0.005), deal(), silent, Rules(looks=(6,)), 0)
    assert restless.calls == 8 + 6


def test_a_program_started_again_in_the_race_is_timed_by_its_new_clock(world):
    """Its zygote died: the pair is dropped and both warm up again."""

    class Reborn(Fake):
        def ask(self, body):
            if self.calls == 5:
                self.pid = NOBODY + 7
                self.world.cpu[self.pid] = 0.0
            return super().ask(body)

    program = Reborn(
        world, NOBODY, lambda call: 0.05 if call == 6 else 0.002
    )  # its first run in the new process
    baseline = Fake(world, NOBODY + 1, 0.006)
    result = race(program, baseline, deal(), silent, Rules(), 0)
    assert (result.verdict, result.pairs) == ("faster", 6)
    assert result.ratios == pytest.approx(np.full((6, 1), 3.0))
    assert program.calls == 2 + 3 + 1 + 3 + 3  # warm-up, three pairs, the one that is dropped, and so again


def test_batches_must_be_alike(world):
    sizes = iter([2, 2, 3])
    contestants = Fake(world, NOBODY, 0.005), Fake(world, NOBODY + 1, 0.005)
    with pytest.raises(ValueError, match="3 cases, the first had 2"):
        race(*contestants, lambda: [b"x"] * next(sizes), silent, Rules(), 0)
    with pytest.raises(ValueError, match="0 cases"):
        race(*contestants, list, silent, Rules(), 0)


@pytest.mark.parametrize(
    ("words", "rules"),
    [
        ("increasing", {"looks": (6, 6)}),
        ("confidence", {"confidence": 1.0}),
        ("precision", {"precision": -1.0}),
        ("precision", {"precision": math.nan}),
        ("floor", {"floor": 0.0}),
        ("most_cpu", {"most_cpu": 0.0}),
        ("resolution", {"resolution": -0.1}),
    ],
)
def test_rules_out_of_range_are_refused(words, rules):
    with pytest.raises(ValueError, match=words):
        Rules(**rules)


# Real programs, in their jail. Each call steps a generator `n` times; the seed is fresh in every batch.
