"""Attacks that need more than one program, or a supervisor that does something meanwhile; played by `serve.py`."""

import asyncio
import ctypes
import fcntl
import os
import signal
import termios
import threading
import time
from pathlib import Path
from typing import Any

from evolve.fastcore.limits import Limits
from evolve.fastcore.runner import Failure

QUICK = Limits(seconds=0.3, setup_seconds=2.0, cpu_seconds=3.0, memory=256 << 20)

HOLDER = """
import ctypes
held = ctypes.create_string_buffer(b"another program's")
def entry(): return ctypes.addressof(held), held.value
"""
THIEF = """
import ctypes, os
def entry(pid, address):
    ways = [lambda: os.pread(os.open(f'/proc/{pid}/mem', os.O_RDWR), 7, address) == b'another',
            lambda: os.listdir(f'/proc/{pid}/fd'), lambda: open(f'/proc/{pid}/maps').read()]
    for way in ways:
        try:
            if way(): return True
        except OSError: pass
    return False
"""


def another_programs_data(server: Any, kind: str) -> list[bool]:
    """Whether a program reaches the memory of one that lives beside it, and whether that is as it was."""
    one, two = server.runner(kind), server.runner(kind + " two")
    with one.start(HOLDER, "entry", QUICK) as victim, two.start(THIEF, "entry", QUICK) as thief:
        address, _ = victim.call(())
        reached = thief.call((victim.pid, address))
        return [reached, victim.call(()) == (address, b"another program's")]


def has_io_uring(_server: Any) -> bool:
    """Whether this kernel lets a plain process of this context make a ring."""
    number = ctypes.CDLL(None).syscall(425, 1, (ctypes.c_char * 120)())
    if number >= 0:
        os.close(number)
    return number >= 0


def on_a_terminal(server: Any, source: str) -> Any:
    """Run a program as the owner of a terminal of its own."""
    from serve import forked, head

    text = head(server.facts(None, {"HARMLESS": True})) + source

    def work() -> Any:
        _, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        os.dup2(slave, 0)
        namespace: dict[str, Any] = {}
        exec(text, namespace)
        return namespace["entry"]()

    return forked(work)


def arithmetic(_server: Any) -> list[Any]:
    """What this supervisor computes: denormals are not flushed, and it rounds to nearest."""
    tiny, one, three, tenth = (float(text) for text in ("1e-310", "1", "3", "0.1"))
    return [tiny * 1.0 > 0.0, one / three, tenth + 2.0 * tenth]


def sealed(server: Any, source: str, how: str, case: Any) -> list[Any]:
    """What a program makes of a sealed case before and after another has attacked it."""
    from evolve.fastcore import wire
    from evolve.fastcore.sealed import Sealed

    found: list[Any] = []
    runner = server.runner()
    with Sealed(wire.encode((case,))) as body:
        for what in ("none", how, "none"):
            with runner.start(f"import ctypes\nHOW = {what!r}\n" + source, "entry", QUICK) as session:
                try:
                    session.call(body)
                    found.append(session.call(body))  # what it sees itself, after the attack
                except Failure as failure:
                    found.append(failure.status)
    return found


def zygote_dies(server: Any, times: int) -> list[Any]:
    """What a program answers whose zygote is killed `times` times while it runs."""
    runner = server.runner()
    first = runner.zygote
    source = "import time\ndef entry():\n    time.sleep(0.05)\n    return 7\n"
    with runner.start(source, "entry", QUICK) as session:
        session.ready()
        killer = threading.Thread(target=_kill_zygotes, args=(runner, times))
        killer.start()
        try:
            found: Any = session.call(())
        except Failure as failure:
            found = failure.status
        killer.join()
    return [found, f"the same zygote: {runner.zygote == first}"]


def _kill_zygotes(runner: Any, times: int) -> None:
    killed: set[int] = set()
    while len(killed) < times:
        warden = runner._warden
        if warden is not None and warden.pid not in killed:
            killed.add(warden.pid)
            os.kill(warden.pid, signal.SIGKILL)
        time.sleep(0.001)


def engine(server: Any, path: str) -> list[int]:
    """Leave an engine at work, a supervisor and an endless program with it; all process numbers."""
    from evolve.evaluator import Evaluator, Job
    from evolve.loader import load

    problem = load(path, {"seconds": 60.0})

    async def work() -> None:
        async with Evaluator(problem, workers=1) as evaluator:
            await evaluator.evaluate(Job("def norm(x):\n    while True: pass\n"))

    def forever() -> None:
        asyncio.run(work())

    threading.Thread(target=forever, daemon=True).start()
    lasting = server.runner("lasting").start(
        "def entry():\n    while True: pass\n", "entry", Limits(seconds=60.0)
    )
    lasting.ready()
    found: list[int] = []
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline and len(found) < 5:
        found = _descendants(os.getpid())
        time.sleep(0.05)
    return found


def _descendants(pid: int) -> list[int]:
    from serve import children

    offspring, found = children(), [pid]
    for each in found:
        found += offspring.get(each, [])
    return found[1:]


def surrogate(server: Any) -> dict[str, Any]:
    """What is said of a source that no UTF-8 text can hold."""
    with server.runner().start("def entry(): return 1\n# \ud800", "entry", QUICK) as session:
        try:
            session.call(())
        except Failure as failure:
            return {"status": failure.status, "message": failure.message}
    return {"status": "ok", "message": ""}


def with_many_files(server: Any, source: str) -> Any:
    """What a program answers when its supervisor had 300 files open as its zygote began."""
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(300)]
    try:
        return server.run(server.runner("late"), "import os\n" + source, QUICK, [()])["value"]
    finally:
        for number in files:
            os.close(number)


def who_am_i(_server: Any) -> dict[str, Any]:
    """Whose rights this supervisor has, and what its context refuses."""
    from evolve.fastcore.jail import level

    status = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line
    )
    libc = ctypes.CDLL(None, use_errno=True)

    def error(answer: int) -> int:
        return ctypes.get_errno() if answer < 0 else 0

    return {
        "level": level(),
        "uid": os.getuid(),
        "capabilities": int(status["CapEff"], 16),
        "seccomp": int(status["Seccomp"]),
        "unshare": error(libc.unshare(0)),
        "clone3": error(libc.syscall(435, None, 0)),
    }
