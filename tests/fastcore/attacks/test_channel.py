# ruff: noqa: E501 - programs are written in one string each
"""TRUST.md, section 4, Score, 67 to 75 and 87: the channel, the memory shared with a program, and the inputs in it.

A program can do all that its own half of the transport does: it finds it in the frames below its own.
"""

import numpy as np
import pytest

from .hosts import HONEST, TAIL, Attack
from .test_read import LIBC

CHANNEL = """
import struct
HEADER, BODY_AT = struct.Struct('<8sBQ'), 64
def local(name):
    frame = sys._getframe(1)
    while frame and name not in frame.f_locals: frame = frame.f_back
    return frame.f_locals[name]
def lay(bell, body):
    answers = local('channel')._answers
    if answers is None: return body
    answers[BODY_AT : BODY_AT + len(body)] = body
    answers[: HEADER.size] = bell
    return b''
def ring(nonce, kind, body, length=None, written=True):
    bell = HEADER.pack(nonce, kind, len(body) if length is None else length)
    os.write(local('channel')._number, bell + (lay(bell, body) if written else b''))
"""
BELLS = {
    "67 before the block is there, with a guessed nonce": ("ring(b'12345678', 1, b'T')", "pass"),
    "67 in the place of the set-up, and again": ("ring(local('nonce'), 1, b'N'); ring(local('nonce'), 1, b'T')", "pass"),
    "67 with the last call's nonce": ("", "ring(last[-1], 1, b'T'); os._exit(0)"),
    "67 of another kind": ("", "ring(local('nonce'), 9, b'N'); os._exit(0)"),
    "67 with a report that is none": ("", "ring(local('nonce'), 2, b'junk'); os._exit(0)"),
    "67 half a bell, then an end": ("", "os.write(3, b'12345'); os._exit(0)"),
    "68 twice": ("", "ring(local('nonce'), 1, b'T')"),
    "69 of a huge length": ("", "ring(local('nonce'), 1, b'', 1 << 62); os._exit(0)"),
    "69 of one byte too many": ("", "ring(local('nonce'), 1, b'', ROOM_TO_ANSWER + 1); os._exit(0)"),
    "69 of a report that is too long": ("", "ring(local('nonce'), 2, b'', (64 << 10) + 1); os._exit(0)"),
    "74 with nothing written": ("", "ring(local('nonce'), 1, b'T', written=False); os._exit(0)"),
    "75 over a stale body": ("", "bell = HEADER.pack(local('nonce'), 1, 9); local('channel')._answers[:17] = bell; os.write(3, bell); os._exit(0)"),
    "75 longer than what is written": ("", "ring(local('nonce'), 1, b'T', 9); os._exit(0)"),
    "71 over an answer moved out of the buffer": ("", "import mmap; local('channel')._answers = mmap.mmap(-1, 4096); ring(local('nonce'), 1, b'T'); os._exit(0)"),
}  # fmt: skip
ROOM_TO_ANSWER = 1 << 20


@pytest.mark.parametrize("name", BELLS)
def test_67_68_69_71_74_75_a_bell_that_is_not_this_calls_answer_disqualifies(host, name):
    top, act = BELLS[name]
    source = CHANNEL + f"ROOM_TO_ANSWER = {ROOM_TO_ANSWER}\nlast = []\n{top}\n"
    source += "def entry(turn):\n    if turn == 3:\n        " + act.replace("; ", "\n        ")
    source += "\n    last.append(local('nonce'))\n    return turn / 3\n"
    said = host.attempt(source, {"answer_bytes": ROOM_TO_ANSWER}, asks=[(1,), (2,), (3,), (4,)])
    # Who ends in the midst of a bell has not rung.
    assert said["status"] == ("died" if "then an end" in name else "protocol"), said
    # One bell too many shows at the next call at the latest; what was answered before is the program's own.
    assert said["values"][:2] == [1 / 3, 2 / 3][: len(said["values"])]
    assert len(said["values"]) in ([0] if top else [2, 3])


def test_74_75_the_control_reads_what_lay_in_the_buffer_before(host):
    said = host.ask("beside", "def entry(): pass", {}, "naive.reused_buffer()")
    assert said == [7.0, 7.0]


def test_74_75_an_honest_program_after_all_that(host):
    said = host.attempt("def entry(turn): return turn / 3", asks=[(1,), (2,)])
    assert said["values"] == [1 / 3, 2 / 3]


BUFFERS = (
    LIBC
    + CHANNEL
    + """
import mmap
libc.mmap.restype = libc.mremap.restype = ctypes.c_void_p
FAILED = 2 ** 64 - 1
def address(view):
    import numpy as np
    return np.frombuffer(view, np.uint8).__array_interface__['data'][0]
def own(size=8192):
    file = os.memfd_create('own', os.MFD_ALLOW_SEALING)
    os.ftruncate(file, size)
    return file
def descriptors():
    for number in range(64):
        try: os.fstat(number)
        except OSError: continue
        yield number
"""
)
ATTACKS = [
    Attack(
        71,
        "shrink or grow the output buffer",
        """
if HARMLESS: return os.ftruncate(own(), 4096) is None
answers = local('channel')._answers
ways = [lambda number=number: os.ftruncate(number, 0) is None for number in descriptors()]
ways += [lambda: answers.resize(4096) is None, lambda: answers.resize(1 << 30) is None]
return any_of(*ways)
""",
        BUFFERS,
        plain=True,
    ),
    Attack(
        72,
        "write to the input, through mprotect or a mapping of its own",
        """
import fcntl
view = local('channel')._asks if not HARMLESS else mmap.mmap(-1, 8192, prot=mmap.PROT_READ)
start, length = address(view), len(view)
def protect(): return libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(length), 3) == 0
def again(number): return libc.mmap(None, ctypes.c_size_t(4096), 3, 1, number, 0) not in (None, FAILED)
ways = [protect] + [lambda number=number: again(number) for number in descriptors() if not HARMLESS]
def direct(): view[0] = 7
return any_of(*ways, direct)
""",
        BUFFERS,
        plain=True,
    ),
    Attack(
        72,
        "remap the input: its own view of it is all that changes",
        """
view = local('channel')._asks if not HARMLESS else mmap.mmap(-1, 1 << 20, prot=mmap.PROT_READ)
start = address(view)
moved = libc.mremap(ctypes.c_void_p(start), ctypes.c_size_t(4096), ctypes.c_size_t(8192), 1)
return moved not in (None, FAILED) and libc.mprotect(ctypes.c_void_p(moved), ctypes.c_size_t(4096), 3) == 0
""",
        BUFFERS,
        plain=True,
    ),
    Attack(
        87,
        "add seals to the output buffer",
        """
import fcntl
numbers = [own()] if HARMLESS else list(descriptors())
return any_of(*(lambda number=number: fcntl.fcntl(number, 1033, 2) == 0 for number in numbers),
              *(lambda number=number: fcntl.fcntl(number, 1034) >= 0 and not HARMLESS for number in numbers))
""",
        BUFFERS,
        plain=True,
    ),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_71_72_87_the_shared_memory_stays_as_it_is(host, attack):
    attack.check(host)


@pytest.mark.parametrize("way", ["libc.munmap(ctypes.c_void_p(start), ctypes.c_size_t(length))",
                                 "libc.mmap(ctypes.c_void_p(start), ctypes.c_size_t(length), 3, 0x32, -1, 0)"])  # fmt: skip
def test_71_who_takes_its_own_buffer_away_harms_itself(host, way):
    source = (
        BUFFERS
        + f"def attack():\n    view = local('channel')._answers\n    start, length = address(view), len(view)\n    {way}\n"
    )
    said = host.attempt(source + TAIL)
    assert said["status"] in ("died", "protocol"), said
    assert host.attempt("def attack(): return False\n" + TAIL)["value"] == (False, HONEST, "")


WRITER = """
import numpy as np
def entry(x, how=None):
    how = how or HOW
    total = float(x.sum())
    start = x.__array_interface__['data'][0]
    if how == 'flag': x.flags.writeable = True
    if how == 'view': np.frombuffer(x.data, np.uint8)[:] = 0
    if how == 'memset': ctypes.memset(start, 0, x.nbytes)
    if how == 'mprotect':
        page = start - start % 4096
        libc = ctypes.CDLL(None)
        if libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(x.nbytes), 3) == 0: ctypes.memset(start, 0, x.nbytes)
    if how == 'fixed':
        page = start - start % 4096
        ctypes.CDLL(None).mmap(ctypes.c_void_p(page), ctypes.c_size_t(x.nbytes), 3, 0x32, -1, 0)
    return total
"""


@pytest.mark.parametrize("how", ["flag", "view", "memset", "mprotect", "fixed"])
def test_72_one_sealed_case_is_the_same_for_every_program(host, how):
    case = np.arange(1 << 15, dtype=float)
    want = float(case.sum())
    before, attacked, after = host.scene("sealed", WRITER, how, case)
    assert (before, after) == (want, want)
    assert attacked in (want, "error", "died")


def test_72_the_control_writes_to_what_is_not_sealed(host):
    beside = WRITER + "import numpy as np\nx = np.arange(9.0)\n"
    assert host.ask("beside", beside, {}, "(entry(x, 'memset'), float(x.sum()))") == [36.0, 0.0]
