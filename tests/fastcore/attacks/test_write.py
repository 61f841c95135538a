# ruff: noqa: E501 - programs are written in one string each
"""TRUST.md, section 4, Write: nothing can be made or changed, anywhere."""

import pytest

from .hosts import Attack

# In the control each folder is one that everybody may write to: only limits and jail could be in the way.
ATTACKS = [
    Attack(
        16,
        "site-packages",
        "return any_of(*(lambda folder=folder: write(folder + '/evolve_attack.py') for folder in FOLDERS))",
        "FOLDERS = [ROOM + '/site-packages'] + [PACKAGES] * (not HARMLESS)",
        plain=True,
    ),
    Attack(
        17,
        "__pycache__",
        """
import json
cached = sorted(os.listdir(os.path.dirname(json.__cached__)))  # may be read, as all of the library
return any_of(lambda: write(ROOM + '/__pycache__/evolve_attack.pyc'), *(
    lambda name=name: open(os.path.join(os.path.dirname(json.__cached__), name), 'r+b') for name in cached * (not HARMLESS)))
""",
        plain=True,
    ),
    Attack(18, "/tmp", "return write(f'/tmp/evolve_attack_{MARK}')", plain=True),
    Attack(
        19,
        "/dev/shm",
        """
libc = ctypes.CDLL(None)
def shm():
    if libc.shm_open(f'/evolve_attack_{MARK}'.encode(), os.O_CREAT | os.O_RDWR, 0o600) < 0: return False
    libc.shm_unlink(f'/evolve_attack_{MARK}'.encode())
    return True
return any_of(lambda: write(f'/dev/shm/evolve_attack_{MARK}'), shm, lambda: os.memfd_create('x') > 0)
""",
        plain=True,
    ),
    Attack(
        20,
        "symlink escape",
        """
def link(how):
    how(ROOM + '/reference.txt', ROOM + '/evolve_attack')
    os.remove(ROOM + '/evolve_attack')
    return True
return any_of(lambda: open(ROOM + '/sly').read(), lambda: link(os.symlink), lambda: link(os.link))
""",
        plain=True,
    ),
    Attack(
        21,
        "mkfifo, mknod, mkdir",
        """
def make(how, undo):
    how(ROOM + '/evolve_attack')
    undo(ROOM + '/evolve_attack')
    return True
return any_of(lambda: make(os.mkfifo, os.remove), lambda: make(os.mknod, os.remove), lambda: make(os.mkdir, os.rmdir))
""",
        plain=True,
    ),
    Attack(
        23,
        "many small files",
        """
names = [f'{ROOM}/evolve_attack_{n}' for n in range(10 if HARMLESS else 100_000)]
for name in names:
    with open(name, 'w') as file: file.write('x')
for name in names: os.remove(name)
return True
""",
        plain=True,
    ),
    Attack(
        24,
        "disk bomb",
        """
def fill(folder):
    with open(f'{folder}/evolve_attack_{MARK}', 'wb') as file:
        for _ in range(1 if HARMLESS else 10_000): file.write(bytes(1 << 20))
    os.remove(f'{folder}/evolve_attack_{MARK}')
    return True
return any_of(*(lambda folder=folder: fill(folder) for folder in (ROOM, '/tmp', '/dev/shm', '/var/tmp')))
""",
        plain=True,
    ),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_nothing_can_be_written(host, attack):
    attack.check(host)


def test_22_another_programs_data(host):
    assert host.scene("another_programs_data", "unsafe") == [True, True]
    found = host.scene("another_programs_data", "jailed")
    assert found == [False, True]  # not reached; and the other one still has it
