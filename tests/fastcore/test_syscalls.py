"""The filter is run in a small BPF interpreter here, so that the aarch64 table is checked on any machine."""

import struct

import pytest

from evolve.fastcore.syscalls import ARCHES, filter_program

ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, ENOSYS, EACCES = 0x50001, 0x50026, 0x5000D


def run(program, arch, number, *args):
    data = struct.pack("<IIQ6Q", number, arch, 0, *(*args, 0, 0, 0, 0, 0, 0)[:6])
    at = accumulator = 0
    while True:
        code, yes, no, k = struct.unpack_from("=HBBI", program, 8 * at)
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, k)[0]
        elif code == 0x06:
            return k
        elif code == 0x05:
            at += k
        else:
            holds = {0x15: accumulator == k, 0x35: accumulator >= k, 0x45: bool(accumulator & k)}[code]
            at += yes if holds else no


NUMBERS = {
    "x86_64": {"read": 0, "openat": 257, "fork": 57, "execve": 59, "socket": 41, "kill": 62, "ptrace": 101,
               "io_uring_setup": 425, "unshare": 272, "clone": 56, "clone3": 435, "fcntl": 72, "ioctl": 16,
               "prlimit64": 302, "prctl": 157, "exit_group": 231, "mmap": 9, "memfd_create": 319,
               "process_vm_readv": 310, "tgkill": 234, "setrlimit": 160, "pidfd_send_signal": 424,
               "recvmsg": 47, "madvise": 28, "close_range": 436},
    "aarch64": {"read": 63, "openat": 56, "execve": 221, "socket": 198, "kill": 129, "ptrace": 117,
                "io_uring_setup": 425, "unshare": 97, "clone": 220, "clone3": 435, "fcntl": 25, "ioctl": 29,
                "prlimit64": 261, "prctl": 167, "exit_group": 94, "mmap": 222, "memfd_create": 279,
                "process_vm_readv": 270, "tgkill": 131, "setrlimit": 164, "pidfd_send_signal": 424,
                "recvmsg": 212, "madvise": 233, "close_range": 436},
}  # fmt: skip


@pytest.mark.parametrize("machine", ARCHES)
@pytest.mark.parametrize("threads", [False, True])
def test_the_filter_answers_as_it_says(machine, threads):
    program, arch, number = filter_program(machine, threads), ARCHES[machine], NUMBERS[machine]

    def ask(name, *args):
        return run(program, arch, number[name], *args)

    assert {ask(name) for name in ("read", "mmap", "exit_group")} == {ALLOW}
    for name in number.keys() - {
        "read",
        "mmap",
        "exit_group",
        "clone",
        "clone3",
        "openat",
        "fcntl",
        "prlimit64",
        "recvmsg",
        "madvise",
        "close_range",
    }:
        assert ask(name) in (EPERM, 0x50019), name
    assert ask("clone3") == ENOSYS
    assert ask("clone", 0x10F00) == (ALLOW if threads else EPERM)
    assert ask("clone", 0x11) == EPERM
    assert ask("clone", 0x10010F00) == EPERM  # CLONE_THREAD with a new user namespace
    assert ask("openat", 0, 0, 0o2000000) == ALLOW
    assert {ask("openat", 0, 0, flags) for flags in (1, 2, 0o101, 0o1000, 0o20200000)} == {EACCES}
    assert {ask("fcntl", 0, command) for command in (1, 2, 3, 1030)} == {ALLOW}
    assert {ask("fcntl", 0, command) for command in (0, 4, 8, 10, 1024, 1031)} == {EPERM}
    assert ask("prlimit64", 0, 7, 0, 1) == ALLOW
    assert ask("prlimit64", 7, 7, 0, 1) == EPERM
    assert ask("prlimit64", 0, 7, 1 << 32, 0) == EPERM
    assert ask("recvmsg", 3) == ALLOW
    assert {ask("recvmsg", number) for number in (0, 2, 4, 1 << 31)} == {EPERM}
    assert {ask("madvise", 0, 4096, advice) for advice in (0, 4, 8, 14, 15)} == {ALLOW}
    assert {ask("madvise", 0, 4096, advice) for advice in (9, 100, 101)} == {EPERM}
    assert ask("close_range", 3, 9, 4) == ALLOW
    assert ask("close_range", 3, 9, 2) == EPERM  # CLOSE_RANGE_UNSHARE
    assert ask("prctl", 1) == EPERM  # PDEATHSIG
    assert ask("prctl", 15) == ALLOW


@pytest.mark.parametrize("machine", ARCHES)
def test_a_foreign_abi_is_killed(machine):
    program = filter_program(machine, threads=True)
    foreign = {"x86_64": 0x40000003, "aarch64": 0x40000028}[machine]
    assert run(program, foreign, 1) == KILL


def test_x32_is_killed():
    assert run(filter_program("x86_64", False), ARCHES["x86_64"], 0x40000001) == KILL


@pytest.mark.parametrize("machine", ARCHES)
def test_jumps_stay_short_for_any_number(machine):
    program = filter_program(machine, threads=False)
    assert len(program) // 8 < 4096
    for number in (*range(600), 0x3FFFFFFF):
        assert run(program, ARCHES[machine], number) in (ALLOW, EPERM, ENOSYS, EACCES, 0x50019)
