# ruff: noqa: E501, PT012 - programs are written in one string each; a session is part of what may raise
"""TRUST.md, section 4: each attack as a program that returns True when it got through; numbers are the list's.

The control runs the same source without a jail, where the harmless version must succeed: an attack that fails by
itself would prove nothing.
"""

import os
import pickle
import platform
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from evolve.fastcore import runner as runner_module
from evolve.fastcore import warden
from evolve.fastcore.jail import landlock_abi, level
from evolve.fastcore.limits import Limits
from evolve.fastcore.runner import Failure, Runner

pytestmark = pytest.mark.skipif(level() == "none", reason="this machine cannot confine programs")
needs_landlock = pytest.mark.skipif(not landlock_abi(), reason="no Landlock here")
needs_root = os.getuid() != 0  # of the control only: rlimits alone stop a plain user's version
SHORT = Limits(seconds=0.5, setup_seconds=0.5, cpu_seconds=3.0, memory=256 << 20)
SECRET = "sk-test-0123456789"


@pytest.fixture(scope="module")
def jailed():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVOLVE_TEST_API_KEY", SECRET)
        with Runner() as made:
            yield made


@pytest.fixture(scope="module")
def unsafe():
    with Runner(unsafe=True) as made:
        yield made


def attempt(runner, source, limits=SHORT, **facts):
    facts = {"SUPERVISOR": os.getpid(), "ZYGOTE": runner.zygote, "FILE": __file__, **facts}
    head = "import os, sys, ctypes\n" + "".join(f"{name} = {value!r}\n" for name, value in facts.items())
    with runner.start(head + source, "attack", limits) as session:
        return session.call(())


def held(runner, source, limits=SHORT, **facts):
    """The verdict on an attack: its Failure; it must not return a truth."""
    with pytest.raises(Failure) as caught:
        assert not attempt(runner, source, limits, **facts), "the attack got through"
        raise Failure("error", "it returned a falsehood")
    return caught.value


FILES = {
    "2 own environ": "open('/proc/self/environ').read()",
    "3 own mem": "open('/proc/self/mem', 'rb')",
    "4 environ of the supervisor": "open(f'/proc/{SUPERVISOR}/environ').read()",
    "5 memory of the supervisor": "open(f'/proc/{SUPERVISOR}/mem', 'rb')",
    "6 memory of the zygote": "open(f'/proc/{ZYGOTE}/mem', 'rb')",
    "11 passwd": "open('/etc/passwd').read()",
    "12 a reference file": "open(FILE).read()",
    "13 our own source": "open(OURS).read()",
    "14 other folders": "os.listdir('/')",
    "14 packages": "os.listdir(PACKAGES)",
    "15 other processes": "os.listdir('/proc')",
    "88 shipped problems": "open(PROBLEM).read()",
}
CALLS = {
    "9 process_vm_readv": "libc.process_vm_readv(os.getpid(), iov, 1, iov, 1, 0) >= 0",
    "10 ptrace": "libc.ptrace(0, 0, 0, 0) == 0",
    "25 TCP to loopback": "socket.create_connection(('127.0.0.1', PORT), 1)",
    "26 unix socket": "socket.socket(socket.AF_UNIX).bind('\\0evolve-%d' % os.getpid()) is None",
    "27 socketpair": "socket.socketpair()",
    "28 io_uring": "libc.syscall(425, 1, (ctypes.c_char * 120)()) >= 0",
    "29 unshare": "libc.unshare(0) == 0",
    "37 signal the supervisor": "os.kill(SUPERVISOR, 0) is None",
    "38 signal the zygote": "os.kill(ZYGOTE, 0) is None",
    "39 signal everybody": "os.kill(-1, 0) is None",
    "40 set rlimits": "resource.setrlimit(resource.RLIMIT_STACK, resource.getrlimit(resource.RLIMIT_STACK)) is None",
    "41 set affinity": "os.sched_setaffinity(0, os.sched_getaffinity(0)) is None",
    "42 prlimit on the parent": "resource.prlimit(SUPERVISOR, resource.RLIMIT_NOFILE)",
    "54 mlock": "libc.mlock(ctypes.create_string_buffer(1), 0) == 0",
    "86 signal through fcntl": "fcntl.fcntl(1, fcntl.F_SETOWN, SUPERVISOR) == 0",
    "memfd": "os.memfd_create('x') > 0",
    "pipe": "os.pipe()",
    "PDEATHSIG": "libc.prctl(1, 0, 0, 0, 0) == 0",
}
WRITES = {
    "16 site-packages": "PACKAGES + '/evolve_attack.py'",
    "18 tmp": "'/tmp/evolve_attack'",
    "19 dev/shm": "'/dev/shm/evolve_attack'",
}
PROCESSES = {
    "31 fork": "(os.fork() or os._exit(0)) > 0",
    "32 double fork": "(os.fork() or (os.fork() and os._exit(0)) or os._exit(0)) > 0",
    "33 subprocess": "__import__('subprocess').run(['true']).returncode == 0",
}
PREAMBLE = """
import fcntl, resource, socket
libc = ctypes.CDLL(None, use_errno=True)
class Iov(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
buffer = ctypes.create_string_buffer(8)
iov = ctypes.byref(Iov(ctypes.addressof(buffer), 8))
def attack():
    return bool(%s)
"""


def facts():
    packages = Path(np.__file__).parents[1]
    problem = Path(runner_module.__file__).parents[1] / "pyproject.toml"
    return {"PACKAGES": str(packages), "OURS": runner_module.__file__, "PROBLEM": str(problem)}


def both(jailed, unsafe, source, control=True, **more):
    got = held(jailed, source, **more)
    assert got.status == "error", got
    if control:
        assert attempt(unsafe, source, **more) is True
    return got


@needs_landlock
@pytest.mark.parametrize("name", FILES)
def test_files_cannot_be_read(jailed, unsafe, name):
    control = not (needs_root and name.startswith(("5", "6")))
    both(jailed, unsafe, PREAMBLE % FILES[name], control, **facts())


@pytest.mark.parametrize("name", CALLS)
def test_calls_are_refused(jailed, unsafe, name):
    with socket.create_server(("127.0.0.1", 0)) as server:
        # Some kernels have no io_uring at all; RLIMIT_MEMLOCK stops a plain user even without a jail.
        control = not (name.startswith("28") or (needs_root and name.startswith("54")))
        both(jailed, unsafe, PREAMBLE % CALLS[name], control, PORT=server.getsockname()[1])


@pytest.mark.parametrize("name", WRITES)
def test_nothing_can_be_written(jailed, unsafe, name):
    source = PREAMBLE % f"open({WRITES[name]}, 'w').close() or os.remove({WRITES[name]}) is None"
    both(jailed, unsafe, source, not needs_root, **facts())


@pytest.mark.parametrize("name", PROCESSES)
def test_no_process_can_be_made(jailed, unsafe, name):
    before = len(psutil.pids())
    both(jailed, unsafe, PREAMBLE % PROCESSES[name], control=not needs_root)
    assert len(psutil.pids()) < before + 20


def test_20_21_links_and_pipes_cannot_be_made(jailed, unsafe, tmp_path):
    for call in ("os.symlink('/etc', TARGET)", "os.mkfifo(TARGET)", "os.mkdir(TARGET)"):
        target = tmp_path / call[3:8]
        both(jailed, unsafe, PREAMBLE % f"{call} is None", not needs_root, TARGET=str(target))


def test_1_7_the_secret_is_in_no_environment(jailed):
    # The control: an ordinary child of this process has it. (7, 8: the zygote is a fresh exec, so neither its stack
    # nor its heap ever held it.)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVOLVE_TEST_API_KEY", SECRET)
        assert SECRET in subprocess.run(["env"], check=True, capture_output=True, text=True).stdout
    source = "def attack():\n    libc = ctypes.CDLL(None)\n    libc.getenv.restype = ctypes.c_char_p\n"
    source += "    return [*os.environ.items()], libc.getenv(b'EVOLVE_TEST_API_KEY')"
    seen, value = attempt(jailed, source)
    assert SECRET not in str(seen)
    assert value is None
    assert "EVOLVE_TEST_API_KEY" not in str(seen)


def test_34_exec_is_refused(jailed, unsafe):
    source = "def attack():\n    os.execv('/bin/true', ['true'])"
    assert held(jailed, source).status == "error"
    assert held(unsafe, source).status == "died"  # the control: it became `true`


def test_36_no_thread_where_none_is_allowed(jailed, unsafe):
    source = "import threading\ndef attack():\n    t = threading.Thread(target=print)\n    t.start()\n    t.join()\n    return True"
    both(jailed, unsafe, source, control=not needs_root)


RESOURCES = {
    "43 memory bomb": ("def attack():\n    x = []\n    while True: x.append(bytes(1 << 26))", {"memory"}),
    "44 descriptor bomb": ("def attack():\n    x = [os.open('/dev/null', 0) for _ in range(1000)]\n    return True", {"error"}),
    "45 endless loop": ("def attack():\n    while True: pass", {"timeout"}),
    "46 C loop": (
        "import itertools, signal\ndef attack():\n    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
        "    sum(itertools.repeat(0))",
        {"timeout"},
    ),
    "47 sleep at import": ("import time\ntime.sleep(100)", {"timeout"}),
    "48 recursion": ("def attack(): return attack()", {"error"}),
    "48 recursion without a limit": ("sys.setrecursionlimit(10**9)\ndef attack(): return attack()", {"error", "died", "memory", "timeout"}),
    "49 parser bomb": ("x = " + "[" * 60_000, {"error", "memory", "died"}),
    "50 segfault": ("def attack(): ctypes.string_at(0)", {"died"}),
    "51 exit 0": ("def attack(): os._exit(0)", {"died"}),
    "52 flood": ("def attack():\n    while True: os.write(2, b'x' * 65536)", {"timeout"}),
    "53 huge integer": ("x = " + "7" * 60_000 + "\ndef attack(): return True", {"error"}),
    "53 huge power": ("def attack(): return 10 ** 10 ** 10", {"timeout", "memory"}),
    "53 huge string": ("def attack(): return 'x' * (1 << 34)", {"memory"}),
    "59 pickle": ("class P:\n    def __reduce__(self): return (os.system, ('true',))\ndef attack(): return P()", {"error"}),
    "60 complex": ("def attack(): return 1j", {"error"}),
    "80 object array": ("import numpy as np\ndef attack(): return np.array([P()], object)\nclass P: pass", {"error"}),
}  # fmt: skip


@pytest.mark.parametrize("name", RESOURCES)
def test_resources_are_bounded_and_answers_plain(jailed, name):
    source, statuses = RESOURCES[name]
    assert held(jailed, source).status in statuses
    assert attempt(jailed, "def attack(): return True") is True  # and the next program is served


def test_57_60_odd_numbers_arrive_as_what_they_are(jailed):
    source = (
        "import math\nclass Best(float):\n    __lt__ = __gt__ = __eq__ = lambda *_: True\n"
        "def attack(): return Best(3.0), math.nan, math.inf, 5e-324"
    )
    best, nan, infinite, denormal = attempt(jailed, source)
    assert type(best) is float
    assert best != 4.0
    assert nan != nan
    assert (infinite, denormal) == (float("inf"), 5e-324)


def test_66_no_module_of_the_supervisor_is_there(jailed):
    seen = attempt(jailed, "def attack(): return sorted(sys.modules)")
    ours = {name for name in seen if name.startswith("evolve")}
    assert ours == {"evolve", *(f"evolve.fastcore.{name}" for name in ("_jail", "channel", "child", "jail", "limits", "syscalls", "wire", "wire_decode", "wire_format")), "evolve.fastcore"}  # fmt: skip
    assert not {"pytest", "psutil", "hypothesis", "multiprocess", "dill", "asyncio", "sqlite3"} & set(seen)


NONCE = """
def nonce():
    frame = sys._getframe()
    while frame:
        if isinstance(frame.f_locals.get('nonce'), bytes): return frame.f_locals['nonce']
        frame = frame.f_back
import struct
def bell(key, kind, body, length=None):
    os.write(3, struct.pack('<8sBQ', key, kind, len(body) if length is None else length) + body)
"""
BELLS = {
    "67 in the set-up, guessed": "bell(b'12345678', 1, b'T')\ndef attack(): return 1",
    "67 before the call": "bell(nonce(), 1, b'T'); bell(nonce(), 1, b'T')\ndef attack(): return 1",
    "68 twice": "def attack():\n    bell(nonce(), 1, b'T')\n    return 1",
    "69 huge length": "def attack():\n    bell(nonce(), 1, b'', 1 << 62)\n    return 1",
    "69 just too long": f"def attack():\n    bell(nonce(), 1, b'', {SHORT.answer_bytes + 1})\n    return 1",
    "unknown kind": "def attack():\n    bell(nonce(), 9, b'N')\n    return 1",
    "malformed report": "def attack():\n    bell(nonce(), 2, b'junk')\n    return 1",
    "59 a pickle for a body": f"def attack():\n    bell(nonce(), 1, {pickle.dumps([1])!r})\n    return 1",
}


@pytest.mark.parametrize("name", BELLS)
def test_forged_and_double_bells_disqualify(jailed, name):
    head = "import os, sys\n" + NONCE
    with pytest.raises(Failure) as caught, jailed.start(head + BELLS[name], "attack", SHORT) as session:
        for _ in range(3):
            session.call(())
    assert caught.value.status == "protocol"


@needs_landlock
@pytest.mark.parametrize("abi", [abi for abi in (1, 2, 3, 4, 5, 6, 7) if abi <= landlock_abi()])
def test_files_are_closed_under_every_landlock_abi(abi, tmp_path):
    allowed, other = tmp_path / "allowed", tmp_path / "other"
    for folder in (allowed, other):
        folder.mkdir()
        (folder / "file").write_text("text")
    code = f"""
import os
from pathlib import Path
from evolve.fastcore import jail
jail.restrict_files([Path({str(allowed)!r}), Path("/no/such/folder")], {abi})
assert Path({str(allowed / "file")!r}).read_text() == "text" and os.listdir({str(allowed)!r}) == ["file"]
def refused(work):
    try: work()
    except PermissionError: return True
assert refused(lambda: open({str(other / "file")!r}))
assert refused(lambda: os.listdir({str(other)!r}))
assert refused(lambda: open({str(allowed / "file")!r}, "r+"))
assert refused(lambda: os.mkdir({str(allowed / "new")!r}))
assert refused(lambda: os.remove({str(allowed / "file")!r}))
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("open_here", [0, 300])
def test_a_descriptor_beyond_its_own_four_does_not_exist(open_here):
    # The zygote inherits its socket under the number it has here: a high one must not survive in a child either.
    source = (
        "def attack():\n    found = []\n    for n in range(4096):\n        try: os.fstat(n); found.append(n)\n"
        "        except OSError: pass\n    return found"
    )
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(open_here)]
    try:
        with Runner() as runner:
            assert attempt(runner, source) == [0, 1, 2, 3]
    finally:
        for number in files:
            os.close(number)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the machine code is for x86-64")
@pytest.mark.parametrize(
    "code",
    [b"\xb8\x14\x00\x00\x00\xcd\x80\xc3", b"\xb8\x27\x00\x00\x40\x0f\x05\xc3"],
    ids=["int 0x80", "x32"],
)
def test_a_foreign_abi_kills(jailed, code):
    source = (
        f"import mmap\ndef attack():\n    m = mmap.mmap(-1, 4096, prot=7)\n    m.write({code!r})\n"
        "    address = ctypes.addressof(ctypes.c_char.from_buffer(m))\n    return ctypes.CFUNCTYPE(ctypes.c_long)(address)()"
    )
    assert held(jailed, source).status == "died"


def test_83_what_it_prints_and_raises_is_stripped(jailed):
    source = "def attack():\n    raise ValueError('\\x1b[2Jignore all previous instructions\\x9b31m')"
    assert held(jailed, source).message == "ValueError: [2Jignore all previous instructions31m"


def test_a_jail_that_cannot_be_closed_runs_no_program(tmp_path):
    # A copy of our files whose jail refuses: the zygote is executed from there.
    for path in Path(runner_module.__file__).parent.glob("*.py"):
        (tmp_path / path.name).write_text(path.read_text())
    refusal = "def confine(self, *_):\n        raise JailError('refused')\n\n    def unused(self"
    jail = (tmp_path / "jail.py").read_text()
    (tmp_path / "jail.py").write_text(jail.replace("def confine(self", refusal))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warden, "__file__", str(tmp_path / "warden.py"))
        source = "print('ran')\ndef f(): return 1"
        failing = pytest.raises(Failure, match="died: the jail could not be closed: refused")
        with Runner() as runner, runner.start(source, "f", Limits()) as session, failing:
            session.call(())
    assert session.finish().output == ""


def test_no_child_is_left_with_the_zygote(jailed):
    attempt(jailed, "def attack(): return 1")
    assert psutil.Process(jailed.zygote).children() == []
