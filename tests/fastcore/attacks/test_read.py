# ruff: noqa: E501 - programs are written in one string each
"""TRUST.md, section 4, Read: secrets, memory and files of others."""

import pytest

from .hosts import Attack

LIBC = """
libc = ctypes.CDLL(None, use_errno=True)
class Iov(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
"""
# access() says EFAULT of an address that is not mapped, and kills nobody.
PROBE = (
    LIBC
    + """
def mapped(address):
    ctypes.set_errno(0)
    libc.access(ctypes.c_void_p(address), 0)
    return ctypes.get_errno() != 14
def search(start, pages, letters):
    # In place and letter by letter: what is sought must not come into this memory by being sought.
    import numpy as np
    start -= start % 4096
    for page in range(start, start + 4096 * pages, 4096):
        if mapped(page):
            view = np.frombuffer((ctypes.c_ubyte * 4096).from_address(page), np.uint8)
            found = view[: -len(letters)] == letters[0]
            for at, letter in enumerate(letters):
                found &= view[at : at - len(letters)] == letter
            if found.any(): return True
    return False
"""
)
ATTACKS = [
    Attack(1, "a secret by os.environ", "return KEY in os.environ", plain=True),
    Attack(2, "/proc/self/environ", "return KEY in open('/proc/self/environ').read()", plain=True),
    Attack(3, "/proc/self/mem", "return open('/proc/self/mem', 'rb').fileno() > 0"),
    Attack(4, "environ of the supervisor", "return KEY in open(f'/proc/{SUPERVISOR}/environ').read()"),
    Attack(
        5,
        "memory of the supervisor",
        """
with open(f'/proc/{SUPERVISOR}/mem', 'rb', buffering=0) as file:
    return os.pread(file.fileno(), 11, ADDRESS) == b'heap-secret'
""",
    ),
    Attack(
        6,
        "memory of the zygote",
        """
with open(f'/proc/{ZYGOTE}/mem', 'rb', buffering=0) as file:
    return os.pread(file.fileno(), 8, id(os) + 8) == ctypes.string_at(id(os) + 8, 8)  # its type
""",
    ),
    Attack(
        7,
        "own stack, where the environment began",
        """
first = ctypes.cast(ctypes.c_void_p.in_dll(libc, 'environ').value, ctypes.POINTER(ctypes.c_void_p))[0]
libc.getauxval.restype = ctypes.c_ulong
last = libc.getauxval(31)  # the name of the file that was executed: at the end of the stack
return KEY.encode() in ctypes.string_at(first, last - first)
""",
        LIBC,
        plain=True,
    ),
    Attack(
        8,
        "own heap",
        """
import gc
letters = [104, 101, 97, 112, 45, 115, 101, 99, 114, 101, 116]
places = [ADDRESS, id(object()), id(sys.modules), ctypes.addressof(ctypes.create_string_buffer(8))]
return any(search(place - (1 << 20), 512, letters) for place in places) or any(
    KEY in thing or KEY.encode() in thing for thing in gc.get_objects() if type(thing) is dict)
""",
        PROBE,
        plain=True,
    ),
    Attack(
        9,
        "process_vm_readv",
        """
room = ctypes.create_string_buffer(11)
ours, theirs = Iov(ctypes.addressof(room), 11), Iov(ADDRESS, 11)
got = libc.process_vm_readv(SUPERVISOR, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0)
return got == 11 and room.value == b'heap-secret'
""",
        LIBC,
    ),
    Attack(10, "ptrace", "return libc.ptrace(0, 0, 0, 0) == 0", LIBC),
    Attack(11, "/etc/passwd", "return 'root' in open('/etc/passwd').read()"),
    Attack(12, "the reference file", "return 'answer' in open(ROOM + '/reference.txt').read()"),
    Attack(
        13,
        "the scorer's source",
        """
folder = os.path.dirname(OURS)
files = [OURS, folder + '/wire.py', SHIPPED, os.path.dirname(SHIPPED) + '/capset.py']
return any_of(*(lambda file=file: open(file).read() for file in files))
""",
    ),
    Attack(
        14,
        "other folders",
        "return any_of(*(lambda folder=folder: os.listdir(folder) is not None for folder in ('/', ROOM, PACKAGES, '/proc')))",
    ),
    Attack(
        15,
        "other processes in /proc",
        """
return any_of(*(lambda name=name: open(f'/proc/{SUPERVISOR}/{name}').read() for name in ('cmdline', 'maps', 'stat')),
              lambda: os.readlink(f'/proc/{SUPERVISOR}/exe'), lambda: os.listdir(f'/proc/{SUPERVISOR}/fd'))
""",
    ),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_nothing_of_others_can_be_read(host, attack):
    attack.check(host)
