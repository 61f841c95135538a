# ruff: noqa: E501 - programs are written in one string each
"""TRUST.md, section 4, Resources: a program that takes too much ends as a status, and the next one is served."""

import pytest

from .hosts import HONEST, TAIL, Attack
from .test_read import LIBC

HONEST_PROGRAM = "def attack(): return False\n" + TAIL
QUICK = {"setup_seconds": 0.3}
SMALL = {"memory": 48 << 20, "seconds": 5.0}
# HARMLESS makes a little of each; it is what the control runs.
ATTACKS = [
    Attack(
        43,
        "memory bomb",
        """
held = []
for _ in range(2 if HARMLESS else 1_000_000): held.append(b'x' * (1 << 22))
return True
""",
        limits=SMALL,
    ),
    Attack(
        43,
        "memory bomb in C",
        """
libc.mmap.restype = ctypes.c_void_p
for _ in range(2 if HARMLESS else 100_000):
    if libc.mmap(None, ctypes.c_size_t(1 << 26 if not HARMLESS else 1 << 16), 3, 0x8022, -1, 0) in (None, 2 ** 64 - 1):
        raise MemoryError
return True
""",
        LIBC,
        limits=SMALL,
    ),
    Attack(44, "descriptor bomb", "return len([os.open('/dev/null', 0) for _ in range(8 if HARMLESS else 1000)]) > 0"),
    Attack(
        45,
        "endless loop",
        """
while not HARMLESS: pass
return True
""",
        ends=("timeout",),
    ),
    Attack(
        46,
        "C loop with every signal ignored",
        """
for number in set(range(1, 65)) - {9, 19, 32, 33}: signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
sum(itertools.repeat(0, 10)) if HARMLESS else sum(itertools.repeat(0))
return True
""",
        "import itertools, signal",
        ends=("timeout",),
    ),
    Attack(
        47,
        "sleep at import",
        "return True",
        "import time\ntime.sleep(0.001 if HARMLESS else 100)",
        ends=("timeout",),
        limits=QUICK,
    ),
    Attack(
        48,
        "recursion",
        """
def deeper(n): return n if HARMLESS and n > 100 else deeper(n + 1)
return deeper(0) > 0
""",
    ),
    Attack(
        48,
        "recursion in C",
        """
sys.setrecursionlimit(10 ** 9)
class Deep:
    def __repr__(self): return repr(self) if not HARMLESS else 'deep'
return repr(Deep()) == 'deep'
""",
        ends=("ok", "died", "memory", "timeout", "error"),
    ),
    Attack(
        49,
        "parser bomb",
        "return eval('(' * (10 if HARMLESS else 50_000) + '1' + ')' * (10 if HARMLESS else 50_000)) == 1",
    ),
    Attack(49, "compiler bomb", "return eval('-' * (10 if HARMLESS else 60_000) + '1') == 1", ends=("ok", "died", "memory")),
    Attack(50, "segfault", "return ctypes.string_at(ctypes.addressof(ctypes.c_int()) if HARMLESS else 8, 4) is not None",
           ends=("died",)),
    Attack(50, "abort", "return HARMLESS or ctypes.CDLL(None).abort()", ends=("died",)),
    Attack(51, "os._exit(0)", "return HARMLESS or os._exit(0)", ends=("died",)),
    Attack(51, "exit in C", "return HARMLESS or ctypes.CDLL(None).exit(0)", ends=("died",)),
    Attack(51, "close the channel", "return HARMLESS or os.closerange(3, 64)", ends=("died",)),
    Attack(
        52,
        "flood of output",
        """
for _ in range(2 if HARMLESS else 10 ** 9): os.write(2, b'x' * 65536)
return True
""",
        ends=("timeout",),
    ),
    Attack(53, "huge power", "return 10 ** 10 ** (1 if HARMLESS else 10) > 0", ends=("timeout", "memory")),
    Attack(53, "huge string", "return len('x' * (10 if HARMLESS else 1 << 34)) > 0"),
    Attack(53, "huge integer in the source", "return eval('7' * (10 if HARMLESS else 60_000)) > 0"),
    Attack(
        54,
        "mlock and huge pages",
        """
libc.mmap.restype = ctypes.c_void_p
def locked(): return libc.mlock(ctypes.create_string_buffer(1), 1) == 0
def huge(): return libc.mmap(None, ctypes.c_size_t(1 << 30), 3, 0x40022, -1, 0) != 2 ** 64 - 1
return any_of(locked, lambda: libc.mlockall(1) == 0, huge)
""",
        LIBC,
        plain=True,
    ),
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_a_program_takes_no_more_than_its_share(host, attack):
    attack.check(host)
    assert host.attempt(HONEST_PROGRAM)["value"] == (False, HONEST, "")  # and the next one is served


def test_43_who_does_not_catch_it_has_run_out_of_memory(host):
    assert (
        host.attempt("held = []\ndef entry():\n    while True: held.append(bytes(1 << 24))", SMALL)["status"]
        == "memory"
    )


def test_52_of_a_flood_the_first_bytes_are_kept(host):
    body = "os.write(1, b'begin')\nfor _ in range(200): os.write(1, b'x' * 65536)\nreturn False"
    said = host.attempt(Attack(52, "", body).source, {"output_bytes": 1000, "seconds": 10.0})
    assert said["value"] == (False, HONEST, "")
    assert said["output"] == "begin" + "x" * 995


def test_47_a_sleeping_program_is_not_billed_for_cpu(host):
    said = host.attempt("import time\ntime.sleep(100)", {"setup_seconds": 0.2})
    assert said["status"] == "timeout"
    assert said["cpu"] < 0.2
