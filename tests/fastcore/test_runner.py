# ruff: noqa: E501, PT012 - programs are written in one string each; a session is part of what may raise
"""One program's life: what it answers, how each kind of failure is called, and that nothing is left behind."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import psutil
import pytest

from evolve.fastcore import wire
from evolve.fastcore.clock import cpu_and_wall
from evolve.fastcore.jail import describe, level
from evolve.fastcore.limits import AnswerBounds, Limits
from evolve.fastcore.runner import Failure, Runner, ZygoteError

pytestmark = pytest.mark.skipif(level() == "none", reason="this machine cannot confine programs")
SHORT = Limits(seconds=0.4, setup_seconds=0.4, cpu_seconds=5.0, memory=256 << 20)


@pytest.fixture(scope="module")
def runner():
    with Runner() as made:
        yield made


def answer(runner, source, *args, limits=None, bounds=None):
    with runner.start(textwrap.dedent(source), "f", limits or Limits()) as session:
        return session.call(args, bounds)


def failure(runner, source, *args, limits=None, bounds=None):
    with pytest.raises(Failure) as caught:
        answer(runner, source, *args, limits=limits, bounds=bounds)
    return caught.value


def test_a_program_answers_call_after_call(runner):
    with runner.start("def f(a, b):\n    return a + b", "f", Limits()) as session:
        assert session.call((1, 2)) == 3
        session.begin_case()
        assert session.call((np.arange(3), 0.5)).tolist() == [0.5, 1.5, 2.5]
        assert session.call(wire.encode(("x", "y"))) == "xy"
    usage = session.finish()
    assert usage.cpu_seconds > 0
    assert usage.wall_seconds > 0
    assert usage.memory > 1 << 20
    assert usage.isolation == "strict"
    assert usage is not session.finish()
    assert usage == session.finish()


def test_state_stays_within_one_program_and_never_reaches_the_next(runner):
    source = "n = 0\ndef f():\n    global n\n    n += 1\n    import math\n    math.seen = getattr(math, 'seen', 0) + 1\n    return n, math.seen"
    with runner.start(source, "f", Limits()) as session:
        assert [session.call(()) for _ in range(3)] == [(1, 1), (2, 2), (3, 3)]
    assert answer(runner, source) == (1, 1)


@pytest.mark.parametrize("size", [1 << 16, 1 << 20, 15 << 20])
def test_large_data_crosses_both_ways(runner, size):
    given = np.frombuffer(os.urandom(size), np.uint8)
    assert np.array_equal(answer(runner, "def f(a):\n    return a[::-1]", given), given[::-1])


@pytest.mark.parametrize(
    ("source", "status", "words"),
    [
        ("def f():\n    return 1 / 0", "error", "ZeroDivisionError: division by zero"),
        ("def f(:", "error", "SyntaxError: invalid syntax (line 1)"),
        ("def g():\n    pass", "error", "defines no function 'f'"),
        ("f = 3", "error", "defines no function 'f'"),
        ("def f():\n    raise SystemExit(0)", "error", "SystemExit"),
        ("def f():\n    raise KeyboardInterrupt", "error", "KeyboardInterrupt"),
        ("def f():\n    return f()", "error", "RecursionError"),
        ("def f():\n    return {1, 2}", "error", "sorted list"),
        ("def f():\n    return 1j", "error", "complex"),
        ("def f():\n    import numpy as np\n    return np.array([None])", "error", "dtype object"),
        ("class E(Exception):\n    def __str__(self): raise self\ndef f():\n    raise E", "error", "cannot be printed"),
        ("def f():\n    while True: pass", "timeout", "one case"),
        ("import time\ntime.sleep(60)\ndef f(): pass", "timeout", "set-up"),
        ("def f():\n    return bytearray(1 << 40)", "memory", "bytes of memory"),
        ("def f():\n    import numpy as np\n    return np.ones(1 << 40)", "memory", ""),
        ("def f():\n    raise MemoryError", "memory", ""),
        ("x = bytearray(1 << 40)\ndef f(): pass", "memory", ""),
        ("import os\ndef f():\n    os._exit(0)", "died", "exit status 0"),
        ("import os\nos._exit(0)", "died", "exit status 0"),
        ("import ctypes\ndef f():\n    ctypes.string_at(0)", "died", "SIGSEGV"),
        ("import os, time\ndef f():\n    os.close(3)\n    time.sleep(60)", "died", "closed its channel"),
    ],
)  # fmt: skip
def test_each_failure_has_its_status(runner, source, status, words):
    began = time.monotonic()
    got = failure(runner, source, limits=SHORT)
    assert (got.status, words in got.message) == (status, True), got
    assert time.monotonic() - began < 5


BLOCKED_LOOP = """
import ctypes, itertools, signal
def f():
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    sum(itertools.repeat(0))
"""


@pytest.mark.parametrize("source", ["def f():\n    while True: pass", BLOCKED_LOOP])
def test_a_loop_is_killed_at_its_wall_limit(runner, source):
    with runner.start(source, "f", SHORT) as session:
        session.ready()
        began = time.monotonic()
        with pytest.raises(Failure, match="timeout"):
            session.call(())
        assert 0.4 <= time.monotonic() - began < 0.4 + 0.2 + 0.5  # half a second for two noisy cores
    assert session.finish().cpu_seconds > 0.05


def test_cpu_seconds_are_counted_outside_and_over_all_calls(runner):
    source = "def f():\n    for _ in range(100_000): pass"
    with runner.start(source, "f", Limits(cpu_seconds=0.3)) as session, pytest.raises(Failure) as caught:
        for _ in range(10_000):
            session.begin_case()
            session.call(())
    assert caught.value.status == "timeout"
    assert "CPU" in caught.value.message
    assert 0.25 < session.finish().cpu_seconds < 1.0


def test_work_between_two_calls_ends_at_the_cpu_limit_of_the_kernel(runner):
    source = "import threading\ndef burn():\n    while True: pass\ndef f():\n    threading.Thread(target=burn, daemon=True).start()"
    with runner.start(source, "f", Limits(cpu_seconds=0.2, threads=2)) as session:
        session.call(())
        time.sleep(1.6)  # nobody waits for it now; RLIMIT_CPU is the whole second above
        with pytest.raises(Failure) as caught:
            session.call(())
    assert caught.value.status == "timeout"
    assert session.finish().cpu_seconds < 1.5


def test_only_the_time_spent_waiting_counts(runner):
    # A call may take a third longer than it sleeps, where the machine is busy: two fit into the limit, three do not.
    limits, source = Limits(seconds=1.2, setup_seconds=5.0), "import time\ndef f():\n    time.sleep(0.45)"
    with runner.start(source, "f", limits) as session:
        session.call(())
        time.sleep(1.2)
        session.call(())
        with pytest.raises(Failure, match="timeout"):
            session.call(())
    with runner.start(source, "f", limits) as session:
        for _ in range(3):
            session.begin_case()
            session.call(())


def test_a_failure_stays_the_failure_of_its_session(runner):
    with runner.start("def f():\n    return 1 / 0", "f", Limits()) as session:
        for _ in range(2):
            with pytest.raises(Failure, match="ZeroDivisionError"):
                session.call(())
        assert not session.alive


def test_a_failure_can_be_pickled_between_trusted_processes(runner):
    got = failure(runner, "def f():\n    return 1 / 0")
    copy = pickle.loads(pickle.dumps(got))
    assert (copy.status, copy.message, copy.traceback) == (got.status, got.message, got.traceback)


def test_a_traceback_shows_the_programs_own_lines_only(runner):
    got = failure(runner, "import json\ndef g(x):\n    return json.loads(x)\ndef f():\n    return g('{')")
    assert got.traceback == (
        '  File "<program>", line 5, in f\n    return g(\'{\')\n  File "<program>", line 3, in g\n    return json.loads(x)\n'
    )


def test_a_deep_traceback_is_cut_in_the_middle(runner):
    got = failure(runner, "def f(n=500):\n    return f(n - 1) if n else 1 / 0")
    assert "489 more frames" in got.traceback
    assert len(got.traceback) < 2_000


def test_a_flood_of_output_neither_blocks_nor_grows(runner):
    before = psutil.Process().memory_info().rss
    source = "import os\ndef f():\n    print('first')\n    for _ in range(3000): os.write(1, b'x' * 65536)\n    return 5"
    with runner.start(source, "f", Limits(output_bytes=1000)) as session:
        assert session.call(()) == 5
    usage = session.finish()
    assert usage.output.startswith("first\nxxxx")
    assert len(usage.output) == 1000
    assert psutil.Process().memory_info().rss - before < 50 << 20


def test_output_before_a_time_out_is_kept_and_cleaned(runner):
    source = "import sys\ndef f():\n    print('\\x1b[31mred\\x07\\u202e')\n    print('err', file=sys.stderr)\n    while True: pass"
    with runner.start(source, "f", SHORT) as session, pytest.raises(Failure, match="timeout"):
        session.call(())
    assert session.finish().output == "[31mred\nerr\n"


def test_messages_are_bounded_and_cleaned(runner):
    got = failure(runner, "def f():\n    raise ValueError('\\x1b]0;title\\x07\\u2066' + 'a' * 100_000)")
    assert got.message.startswith("ValueError: ]0;titleaaaa")
    assert len(got.message) == 2_000


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = 1\x00\ndef f(): pass", "holds a NUL"),
        ("x = '" + "a" * (10 << 20) + "'", "longer than 65536 bytes"),
        ("x = '\ud800'\ndef f(): pass", "surrogate"),
        ("x = " + "9" * 60_000 + "\ndef f(): pass", "Exceeds the limit"),
        ("x = " + "(" * 5_000, "SyntaxError"),
        ("x = " + "-" * 60_000 + "1\ndef f(): pass", ""),
    ],
    ids=["nul", "10 MB", "surrogate", "huge int", "brackets", "deep tree"],
)
def test_a_strange_source_is_an_error_of_the_program(runner, source, words):
    got = failure(runner, source)
    assert got.status in ("error", "memory", "died")
    assert words in got.message


@pytest.mark.parametrize(
    "source", ["\ufeffdef f():\n    return 1", "def f(): return 1", "def f():\r\n    return 1\r\n"]
)
def test_a_byte_order_mark_or_a_missing_newline_does_no_harm(runner, source):
    assert answer(runner, source) == 1


def test_an_answer_beyond_its_bytes_or_its_bounds_is_an_error(runner):
    got = failure(runner, "def f():\n    return b'x' * 5000", limits=Limits(answer_bytes=4096))
    assert (got.status, "4096" in got.message) == ("error", True)
    got = failure(runner, "def f():\n    return 10 ** 5000")
    assert (got.status, "4000 digits" in got.message) == ("error", True)
    assert answer(runner, "def f():\n    return 10 ** 5000", bounds=AnswerBounds(digits=6000)) == 10**5000


def test_dataclasses_and_numpy_work_quietly(runner):
    source = """
    from __future__ import annotations
    from dataclasses import dataclass
    import numpy as np, warnings
    @dataclass
    class Item:
        size: float
    def f(n):
        warnings.warn("not shown")
        return np.log(np.zeros(n)) / 0 + Item(1.0).size
    """
    with runner.start(textwrap.dedent(source), "f", Limits()) as session:
        assert session.call((2,)).tolist() == [-np.inf, -np.inf]
    assert session.finish().output == ""


def test_unseeded_chance_and_hashes_are_the_same_in_every_process():
    source = (
        "import random, numpy as np\ndef f():\n    return random.random(), float(np.random.rand()), hash('a')"
    )
    seen = set()
    for _ in range(2):
        with Runner() as runner:
            seen |= {answer(runner, source) for _ in range(2)}
    assert len(seen) == 1


def test_numba_compiles_inside_a_program():
    source = "import numba\n@numba.njit\ndef g(n):\n    t = 0\n    for i in range(n): t += i\n    return t\ndef f(n):\n    return g(n)"
    with Runner(preload=("numba",)) as runner:
        assert answer(runner, source, 10) == 45


def test_a_library_that_is_not_preloaded_is_simply_not_there(runner):
    got = failure(runner, "import pandas\ndef f(): pass")
    assert "No module named 'pandas'" in got.message
    assert "preload" in got.message


def test_threads_are_there_only_where_allowed(runner):
    source = "import threading\ndef f():\n    seen = []\n    t = threading.Thread(target=seen.append, args=(1,))\n    t.start()\n    t.join()\n    return seen"
    assert failure(runner, source).status == "error"
    assert answer(runner, source, limits=Limits(threads=2)) == [1]


def test_one_program_lives_at_a_time(runner):
    with runner.start("def f(): pass", "f", Limits()), pytest.raises(RuntimeError, match="second Runner"):
        runner.start("def f(): pass", "f", Limits())
    runner.start("def f(): pass", "f", Limits()).finish()


def test_its_clock_can_be_read_from_outside_while_it_lives(runner):
    with runner.start("def f():\n    for _ in range(300_000): pass", "f", Limits()) as session:
        session.ready()
        before = cpu_and_wall(session.pid)[0]
        session.call(())
        assert cpu_and_wall(session.pid)[0] > before


def test_a_zygote_killed_while_idle_or_at_work_is_replaced(runner):
    os.kill(runner.zygote, signal.SIGKILL)
    assert answer(runner, "def f(): return 1") == 1
    with runner.start("def f(x):\n    return x", "f", Limits()) as session:
        assert session.call((1,)) == 1
        os.kill(runner.zygote, signal.SIGKILL)
        assert session.call((2,)) == 2
    assert answer(runner, "def f(): return 1") == 1


def test_a_program_under_which_two_zygotes_die_has_died(runner):
    with runner.start("def f(x):\n    return x", "f", Limits()) as session, pytest.raises(Failure) as caught:
        for turn in range(3):
            session.call((turn,))
            os.kill(runner.zygote, signal.SIGKILL)
            wait_for_the_end_of([session.pid])
    assert (caught.value.status, "zygotes" in caught.value.message) == ("died", True)
    assert session.finish().cpu_seconds == 0
    assert answer(runner, "def f(): return 1") == 1


def test_a_preload_that_fails_says_so():
    with pytest.raises(ZygoteError, match="no_such_module"), Runner(preload=("no_such_module",)):
        pass
    with pytest.raises(ZygoteError, match="ModuleNotFoundError"), Runner(preload=("numpy.no_such_part",)):
        pass


def test_a_kernel_of_ours_can_be_preloaded_and_the_rest_of_us_cannot_be_imported():
    with Runner(preload=("evolve.fastcore.kernels",)) as runner:
        assert (
            answer(runner, "import evolve.fastcore.kernels as k\ndef f():\n    return k.__name__")
            == "evolve.fastcore.kernels"
        )
        assert failure(runner, "import evolve.fastcore.runner\ndef f(): pass").status == "error"


def test_200_programs_leave_no_process_and_no_descriptor(runner):
    answer(runner, "def f(): return 1")
    before = leftovers(runner)
    sources = ["def f(): return 1", "def f(): 1 / 0", "def f(", "import os\ndef f(): os._exit(1)"]
    for turn in range(200):
        with runner.start(sources[turn % 4], "f", Limits()) as session:
            if turn % 4:
                with pytest.raises(Failure):
                    session.call(())
            else:
                session.call(())
    assert leftovers(runner) == before


def leftovers(runner):
    me, zygote = psutil.Process(), psutil.Process(runner.zygote)
    # A plain user may not look into a zygote, which is not dumpable.
    inside = zygote.num_fds() if os.getuid() == 0 else 0
    return me.num_fds(), len(me.children(recursive=True)), inside


def test_closing_a_runner_ends_its_live_program():
    with Runner() as runner:
        session = runner.start("def f():\n    while True: pass", "f", Limits())
        pids = [session.pid, runner.zygote]
    assert not any(map(psutil.pid_exists, pids))
    with pytest.raises(RuntimeError, match="finished"):
        session.call(())


def test_nothing_outlives_a_supervisor_killed_at_once(tmp_path):
    script = tmp_path / "engine.py"
    script.write_text(
        "from evolve.fastcore.runner import Runner\nfrom evolve.fastcore.limits import Limits\n"
        "r = Runner()\ns = r.start('def f():\\n    while True: pass', 'f', Limits())\ns.ready()\n"
        "print(r.zygote, s.pid, flush=True)\ns.call(())\n"
    )
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    with process:
        pids = [int(word) for word in process.stdout.readline().split()]
        assert all(map(psutil.pid_exists, pids))
        process.kill()
    wait_for_the_end_of(pids)


def wait_for_the_end_of(pids):
    deadline = time.monotonic() + 5
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert not any(map(is_alive, pids))


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_doctor_is_told_what_this_machine_gives():
    told = describe()
    assert told["level"] == level()
    assert set(told) == {"level", "seccomp", "landlock", "privileges", "rlimits", "applied", "missing"}


def test_unsafe_is_said_in_the_usage():
    with Runner(unsafe=True) as runner, runner.start("def f(): return 1", "f", Limits()) as session:
        assert session.call(()) == 1
    assert session.finish().isolation == "none"


def test_a_signal_without_a_name_is_a_death_like_any_other():
    source = "import os\ndef f(): os.kill(os.getpid(), 40)"
    died = pytest.raises(Failure, match="died: its process was killed by signal 40")
    with Runner(unsafe=True) as runner, runner.start(source, "f", Limits()) as session, died:
        session.call(())
