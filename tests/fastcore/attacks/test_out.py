"""TRUST.md, section 4, Out: no network, no other process to talk to, no way around the filter."""

import pytest

from .hosts import Attack
from .test_read import LIBC

ATTACKS = [
    Attack(
        25,
        "TCP to loopback",
        "return socket.create_connection(('127.0.0.1', PORT), 1).close() is None",
        "import socket",
    ),
    Attack(
        26,
        "unix and abstract sockets",
        """
def abstract():
    with socket.socket(socket.AF_UNIX) as link: return link.connect(f'\\0evolve-{SUPERVISOR}') is None
def named():
    with socket.socket(socket.AF_UNIX) as link: return link.bind(ROOM + '/evolve_attack') is None
return any_of(abstract, named)
""",
        "import socket",
    ),
    Attack(27, "socketpair", "return bool(socket.socketpair()) or os.pipe()", "import socket"),
    Attack(
        28,
        "io_uring",
        "return libc.syscall(425, 1, (ctypes.c_char * 120)()) >= 0",
        LIBC,
        plain=True,
        excused={"docker": "its profile refuses io_uring"},
    ),
    Attack(
        29,
        "unshare",
        "return any(libc.unshare(flags) == 0 for flags in (0, 0x10000000, 0x20000)[:1 if HARMLESS else 3])",
        LIBC,
        excused={"docker": "its profile refuses unshare"},
    ),
    Attack(
        30,
        "TIOCSTI",
        """
import fcntl, termios
def push(number):
    return fcntl.ioctl(number, termios.TIOCSTI, b'x') is not None
return any_of(*(lambda number=number: push(number) for number in range(0, 1 if HARMLESS else 8)),
              lambda: push(os.open('/dev/tty', os.O_RDWR)), lambda: os.openpty())
""",
    ),
]


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if attack.number not in (28, 30)], ids=str)
def test_no_way_leads_out(host, attack):
    attack.check(host)


def test_28_no_ring_of_requests_that_no_filter_sees(host):
    attack = next(attack for attack in ATTACKS if attack.number == 28)
    kernel_has_it = host.scene("has_io_uring")
    assert kernel_has_it or host.context != "root" or attack.control(host)[0] is False
    if not kernel_has_it:  # nothing to hold then; the program must be refused all the same
        attack = Attack(
            28, attack.name, attack.body, attack.top, excused={host.context: "not in this kernel"}
        )
    attack.check(host)


def test_30_no_key_is_pressed_on_the_terminal(host):
    attack = next(attack for attack in ATTACKS if attack.number == 30)
    control = host.scene("on_a_terminal", attack.source)
    # A kernel that has switched the call off says EIO to a terminal's owner; it was reached, which is what counts.
    assert isinstance(control, list), control
    assert control[0] or "Input/output error" in control[2], control
    Attack(30, attack.name, attack.body, excused={host.context: "shown on a terminal"}).check(host)
