# ruff: noqa: E501, PT012 - programs are written in one string each; a session is part of what may raise
"""Hostile and dying programs at the channel, with bodies in shared memory and with bodies in the socket."""

import errno
import os
import signal
import socket
import textwrap

import numpy as np
import psutil
import pytest

from evolve.fastcore import exchange
from evolve.fastcore.channel import BODY_AT
from evolve.fastcore.jail import level
from evolve.fastcore.limits import Limits
from evolve.fastcore.runner import Failure, Runner
from evolve.fastcore.sealed import Sealed, memory_files_work
from evolve.fastcore.wire import encode

pytestmark = [
    pytest.mark.skipif(level() == "none", reason="this machine cannot confine programs"),
    pytest.mark.skipif(not memory_files_work(), reason="no memory files here"),
]
SHORT = Limits(seconds=1.0, setup_seconds=1.0, cpu_seconds=5.0, memory=256 << 20)
HEAD = """
import ctypes, os, struct, sys, time
import numpy as np

def found(name):
    frame = sys._getframe()
    while frame:
        if name in frame.f_locals: return frame.f_locals[name]
        frame = frame.f_back

def lay(nonce, kind, body, length=None):
    head = struct.pack('<8sBQ', nonce, kind, len(body) if length is None else length)
    answers = found('channel')._answers
    answers[64:64 + len(body)] = body
    answers[:17] = head
    return head

def ring(head, body=b''):
    os.write(3, head + body)

"""


@pytest.fixture(scope="module")
def shared():
    with Runner() as made:
        yield made


@pytest.fixture(params=["shared", "inline"])
def runner(request, shared, monkeypatch):
    if request.param == "inline":  # as where there are no memory files
        monkeypatch.setattr(exchange, "memory_files_work", lambda: False)
    return shared


def failure(runner, source, calls=3):
    with pytest.raises(Failure) as caught, runner.start(HEAD + source, "f", SHORT) as session:
        for _ in range(calls):
            session.call(())
    return caught.value


@pytest.mark.parametrize("size", [8, 50_000, 1 << 20, 3 << 20])
def test_data_of_any_size_crosses_both_ways(runner, size):
    given = np.frombuffer(os.urandom(size), np.uint8)
    source = "def f(a):\n    return a, a[::-1], a.ctypes.data % 64, a.flags.writeable"
    with Sealed(encode((given,))) as case, runner.start(source, "f", Limits()) as session:
        for args in ((given,), encode((given,)), case):
            same, turned, misaligned, writable = session.call(args)
            assert np.array_equal(same, given)
            assert np.array_equal(turned, given[::-1])
            assert (misaligned, writable) == (0, False)


@pytest.mark.parametrize("size", [0, 3, 1 << 16, 1 << 18])  # copied, or mapped
@pytest.mark.parametrize(
    "write", ["a[:] = 7", "a.flags.writeable = True", "np.frombuffer(a.data, 'B')[:] = 7"]
)
def test_arrays_of_the_input_are_read_only(runner, size, write):
    source = f"import numpy as np\n\ndef f(a):\n    {write}"
    refused = pytest.raises(Failure, match="error: ValueError")
    with runner.start(source, "f", SHORT) as session, refused:
        session.call((np.arange(size),))


@pytest.mark.parametrize("size", [3, 1 << 16, 1 << 18])
def test_arrays_of_the_input_are_aligned_and_those_a_program_keeps_stay_as_they_were(runner, size):
    source = """
    kept = []
    def f(a, b):
        kept.extend([a, b])
        aligned = all(x.__array_interface__["data"][0] % 64 == 0 for x in kept)
        return aligned, [int(x.sum()) for x in kept], [x.flags.writeable for x in kept]
    """
    with runner.start(textwrap.dedent(source), "f", Limits()) as session:
        for turn in range(1, 4):
            got = session.call((np.full(size, turn, np.uint8), np.full(size, turn)))
            assert got == (True, [n * size for n in range(1, turn + 1) for _ in "ab"], [False] * 2 * turn)


def test_failures_cross_both_ways(runner):
    assert failure(runner, "def f():\n    return 1 / 0").status == "error"
    assert failure(runner, "def f():\n    return bytearray(1 << 40)").status == "memory"
    assert failure(runner, "def f():\n    os._exit(0)").status == "died"
    assert failure(runner, "def f():\n    os.close(3)\n    time.sleep(9)").status == "died"
    assert failure(runner, "def f():\n    os.write(3, bytes(5))\n    os._exit(0)").status == "died"
    assert failure(runner, "def f():\n    os.write(3, bytes(5))\n    time.sleep(9)").status == "timeout"
    assert failure(runner, "def f():\n    ring(b'12345678' + bytes(9))\n    return 1").status == "protocol"


FORGED = {
    "a guessed nonce": "def f():\n    ring(lay(b'12345678', 1, b'T'))",
    "before the call": "ring(lay(found('nonce'), 1, b'N')); ring(lay(found('nonce'), 1, b'T'))\ndef f(): pass",
    "twice": "def f():\n    head = lay(found('nonce'), 1, b'T')\n    ring(head); ring(head)\n    time.sleep(0.1)",
    "late": "def f():\n    ring(lay(found('nonce'), 1, b'T'))\n    return 1",
    "a byte too many": "def f():\n    ring(lay(found('nonce'), 1, b'T'), b'x')\n    time.sleep(9)",
    "a body in the socket": "def f():\n    ring(struct.pack('<8sBQ', found('nonce'), 1, 1), b'T')\n    time.sleep(9)",
    "huge": "def f():\n    ring(lay(found('nonce'), 1, b'T', 1 << 62))\n    time.sleep(9)",
    "just too long": f"def f():\n    ring(lay(found('nonce'), 1, b'T', {SHORT.answer_bytes + 1}))\n    time.sleep(9)",
    "a long report": "def f():\n    ring(lay(found('nonce'), 2, b'T', 65537))\n    time.sleep(9)",
    "an unknown kind": "def f():\n    ring(lay(found('nonce'), 9, b'N'))\n    time.sleep(9)",
    "a malformed report": "def f():\n    ring(lay(found('nonce'), 2, b'junk'))\n    time.sleep(9)",
    "no answer": "def f():\n    ring(struct.pack('<8sBQ', found('nonce'), 1, 1))\n    time.sleep(9)",
    "only a body": "def f():\n    ring(struct.pack('<8sBQ', found('nonce'), 1, 1)); found('channel')._answers[64] = 84\n    time.sleep(9)",
    "another length": "def f():\n    lay(found('nonce'), 1, b'TT'); ring(struct.pack('<8sBQ', found('nonce'), 1, 1))\n    time.sleep(9)",
    "the last call's answer": (
        "last = []\ndef f():\n    last.append(found('nonce'))\n    if len(last) > 1:\n"
        "        head = lay(last[0], 1, b'T')\n        ring(head[:0] + found('nonce') + head[8:])\n        time.sleep(9)"
    ),
    "an unwritten body": "def f():\n    lay(found('nonce'), 1, b'', 8); ring(struct.pack('<8sBQ', found('nonce'), 1, 8))\n    time.sleep(9)",
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_bell_is_a_verdict(shared, name):
    got = failure(shared, FORGED[name])
    assert got.status == "protocol", got


def test_the_supervisor_has_its_copy_when_the_bell_is_answered(shared):
    source = """
import threading
def scribble(answers):
    while True: answers[64:128] = bytes(64)
def f():
    answers = found('channel')._answers
    if not started:
        started.append(threading.Thread(target=scribble, args=(answers,), daemon=True))
        ring(lay(found('nonce'), 1, b'T'))
        answers[64] = 70
        started[0].start()
        time.sleep(9)
started = []
"""
    limits = Limits(seconds=0.5, threads=2)
    with shared.start(HEAD + source, "f", limits) as session:
        first = session.ask(encode(()))
        assert first in (
            b"T",
            b"F",
            b"\0",
        )  # whichever was there when it was copied: one of them, and now for good
        kept = bytes(first)
        with pytest.raises(Failure):
            session.ask(encode(()))
        assert first == kept


def test_what_is_asked_cannot_be_made_writable_from_inside(shared):
    source = """
libc = ctypes.CDLL(None, use_errno=True)
libc.mremap.restype = ctypes.c_void_p
def f():
    asks = found('channel')._asks
    size = len(asks)
    address = np.frombuffer(asks, np.uint8).__array_interface__['data'][0]
    area = ctypes.c_void_p(address)
    refused = libc.mprotect(area, ctypes.c_size_t(4096), 3), ctypes.get_errno()
    moved = libc.mremap(area, ctypes.c_size_t(size), ctypes.c_size_t(size), 1)
    return refused, libc.mprotect(ctypes.c_void_p(moved), ctypes.c_size_t(4096), 3)
"""
    with shared.start(HEAD + source, "f", SHORT) as session:
        assert session.call(()) == ((-1, 13), -1)


def test_a_write_to_what_is_asked_or_to_a_mapped_case_kills_the_program_only(shared):
    source = """
def f(a):
    asks = np.frombuffer(found('channel')._asks, np.uint8)
    place = (asks if len(a) < 9 else a).__array_interface__['data'][0]
    ctypes.memset(place, 0, 1)
"""
    with Sealed(encode((np.ones(1 << 18),))) as case:
        for args in (case, encode((np.ones(1),))):
            with shared.start(HEAD + source, "f", SHORT) as session, pytest.raises(Failure, match="SIGSEGV"):
                session.call(args)
        with shared.start("def f(a):\n    return float(a.sum())", "f", SHORT) as session:
            assert session.call(case) == 1 << 18


def test_filling_the_answers_grows_nothing_but_that_buffer_and_leaves_nothing_behind(shared):
    source = """
def f():
    answers = found('channel')._answers
    answers[:] = b'x' * len(answers)
    return len(answers)
"""
    before = psutil.Process().memory_info().rss
    for _ in range(5):
        with shared.start(HEAD + source, "f", SHORT) as session:
            assert SHORT.answer_bytes + BODY_AT <= session.call(()) < SHORT.answer_bytes + BODY_AT + 4096
    peek = "def f():\n    answers = found('channel')._answers\n    return max(answers[4096:])"
    with shared.start(HEAD + peek, "f", SHORT) as session:
        assert session.call(()) == 0
    assert psutil.Process().memory_info().rss - before < 40 << 20


def test_the_buffers_are_not_the_programs_to_pay_for(shared):
    source = "def f():\n    return len(bytearray(40 << 20))"
    limits = Limits(memory=48 << 20, answer_bytes=512 << 20)
    with shared.start(source, "f", limits) as session:
        assert session.call(()) == 40 << 20


def test_a_zygote_that_dies_while_a_case_is_mapped_is_replaced(shared):
    source = "kept = []\ndef f(a):\n    kept.append(a)\n    return float(kept[0].sum()) + len(kept)"
    with Sealed(encode((np.ones(1 << 18),))) as case, shared.start(source, "f", SHORT) as session:
        assert session.call(case) == (1 << 18) + 1
        program = psutil.Process(session.pid)
        os.kill(shared.zygote, signal.SIGKILL)
        psutil.wait_procs([program], timeout=5)
        assert session.call(case) == (1 << 18) + 1  # begun again
        assert session.call(case) == (1 << 18) + 2


def test_a_timed_program_collects_no_garbage_by_itself(shared):
    source = (
        "import gc\nclass A: pass\na = A(); a.a = a; del a\ndef f():\n    return gc.isenabled(), gc.collect()"
    )
    for timed in (False, True):
        with shared.start(source, "f", Limits(), timed=timed) as session:
            enabled, found = session.call(())
        assert (enabled, found > 0) == (not timed, not timed)


def test_set_up_is_told_apart_from_the_calls(shared):
    source = "for _ in range(200_000): pass\ndef f():\n    for _ in range(1_000_000): pass"
    with shared.start(source, "f", Limits()) as session:
        session.call(())
    usage = session.finish()
    assert 0 < usage.setup_cpu < usage.cpu_seconds / 2
    with shared.start("1 / 0", "f", Limits()) as session, pytest.raises(Failure):
        session.ready()
    usage = session.finish()
    assert usage.setup_cpu == usage.cpu_seconds > 0


def test_more_threads_than_allowed_are_an_error(shared):
    source = """
import threading, time
def f(n):
    for _ in range(n): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()
    time.sleep(0.2)
    return threading.active_count()
"""
    limits = Limits(threads=3)
    with shared.start(source, "f", limits) as session:
        assert session.call((2,)) == 3
    with shared.start(source, "f", limits) as session, pytest.raises(Failure) as caught:
        session.call((5,))
    assert (caught.value.status, "limits.threads allows it 3" in caught.value.message) == ("error", True)


def test_an_exchange_that_cannot_be_made_keeps_no_descriptor(monkeypatch):
    def none_left():
        raise OSError(errno.EMFILE, "Too many open files")

    before = len(os.listdir("/proc/self/fd"))
    for module, name in ((socket, "socketpair"), (os, "pipe")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, none_left)
            with pytest.raises(OSError, match="Too many open files"):
                exchange.Exchange(1000, 1000)
        assert len(os.listdir("/proc/self/fd")) == before
