"""The filter is run in a small BPF interpreter here, so that the aarch64 table is checked on any machine."""

import re
import struct
from pathlib import Path

import pytest

from evolve.fastcore import syscalls
from evolve.fastcore.syscalls import ARCHES, filter_program

ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, ENOSYS, EACCES, EINVAL, ENOTTY = 0x50001, 0x50026, 0x5000D, 0x50016, 0x50019
HIGH = 1 << 32  # a bit that a rule does not see, nor the kernel


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
        elif code == 0x54:
            accumulator &= k
        else:
            holds = {0x15: accumulator == k, 0x35: accumulator >= k, 0x45: bool(accumulator & k)}[code]
            at += yes if holds else no


NUMBERS = {
    "x86_64": {"read": 0, "openat": 257, "fork": 57, "execve": 59, "socket": 41, "kill": 62, "ptrace": 101,
               "io_uring_setup": 425, "unshare": 272, "clone": 56, "clone3": 435, "fcntl": 72, "ioctl": 16,
               "prlimit64": 302, "prctl": 157, "exit_group": 231, "mmap": 9, "memfd_create": 319, "munmap": 11,
               "process_vm_readv": 310, "tgkill": 234, "setrlimit": 160, "pidfd_send_signal": 424,
               "recvmsg": 47, "madvise": 28, "close_range": 436, "futex": 202, "open": 2, "dup2": 33, "sendmsg": 46,
               "ftruncate": 77, "fallocate": 285, "flock": 73, "pwrite64": 18, "timer_create": 222, "setitimer": 38,
               "rt_sigqueueinfo": 129, "sched_setaffinity": 203, "setpriority": 141, "mlock": 149, "shmget": 29,
               "msgget": 68, "keyctl": 250, "add_key": 248, "perf_event_open": 298, "bpf": 321, "userfaultfd": 323,
               "memfd_secret": 447, "process_madvise": 440, "pidfd_getfd": 438, "landlock_restrict_self": 446,
               "seccomp": 317, "splice": 275, "personality": 135, "chdir": 80, "utimensat": 280, "fchmod": 91},
    "aarch64": {"read": 63, "openat": 56, "execve": 221, "socket": 198, "kill": 129, "ptrace": 117,
                "io_uring_setup": 425, "unshare": 97, "clone": 220, "clone3": 435, "fcntl": 25, "ioctl": 29,
                "prlimit64": 261, "prctl": 167, "exit_group": 94, "mmap": 222, "memfd_create": 279, "munmap": 215,
                "process_vm_readv": 270, "tgkill": 131, "setrlimit": 164, "pidfd_send_signal": 424,
                "recvmsg": 212, "madvise": 233, "close_range": 436, "futex": 98, "dup3": 24, "sendmsg": 211,
                "ftruncate": 46, "fallocate": 47, "flock": 32, "pwrite64": 68, "timer_create": 107, "setitimer": 103,
                "rt_sigqueueinfo": 138, "sched_setaffinity": 122, "setpriority": 140, "mlock": 228, "shmget": 194,
                "msgget": 186, "keyctl": 219, "add_key": 217, "perf_event_open": 241, "bpf": 280, "userfaultfd": 282,
                "memfd_secret": 447, "process_madvise": 440, "pidfd_getfd": 438, "landlock_restrict_self": 446,
                "seccomp": 277, "splice": 76, "personality": 92, "chdir": 49, "utimensat": 88, "fchmod": 52},
}  # fmt: skip
FILTERED = {"clone", "clone3", "openat", "open", "fcntl", "ioctl", "prlimit64", "prctl", "recvmsg", "madvise",
            "close_range", "mmap", "futex"}  # fmt: skip
FREE = {"read", "munmap", "exit_group"}


@pytest.fixture(params=ARCHES)
def machine(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["one thread", "threads"])
def ask(request, machine):
    program = filter_program(machine, request.param)

    def ask(name, *args):
        return run(program, ARCHES[machine], NUMBERS[machine][name], *args)

    ask.threads, ask.names = request.param, NUMBERS[machine].keys()
    return ask


def test_only_what_is_listed_is_allowed(ask):
    assert {ask(name) for name in FREE} == {ALLOW}
    for name in ask.names - FREE - FILTERED:
        assert ask(name) == EPERM, name
    assert ask("clone3", 0) == ENOSYS


def test_files_are_opened_for_reading_only(ask):
    for name, args in {"openat": (0, 0), "open": (0,)}.items():
        if name in ask.names:
            assert {ask(name, *args, flags) for flags in (0, 0o2000000, 0o200000, HIGH)} == {ALLOW}
            # WRONLY RDWR CREAT TRUNC ASYNC PATH TMPFILE
            for denied in (1, 2, 0o101, 0o1000, 0o20000, 0o10000000, 0o20200000):
                assert ask(name, *args, denied) == ask(name, *args, denied | HIGH) == EACCES


def test_commands_are_chosen_singly(ask):
    for high in (0, HIGH):
        assert {ask("fcntl", 0, command | high) for command in (1, 2, 3, 1030)} == {ALLOW}
        # DUPFD SETFL SETOWN SETSIG SETLEASE NOTIFY ADD_SEALS SETPIPE_SZ
        assert {ask("fcntl", 0, command | high) for command in (0, 4, 8, 10, 1024, 1026, 1033, 1031)} == {
            EPERM
        }
        assert {ask("ioctl", 0, command | high) for command in (0x5401, 0x5413, 0x541B, 0x5450, 0x5451)} == {
            ALLOW
        }
        # TIOCSTI TIOCLINUX FIONBIO FIOASYNC FIOSETOWN
        assert {ask("ioctl", 0, command | high) for command in (0x5412, 0x541C, 0x5421, 0x5452, 0x8901)} == {
            ENOTTY
        }
        assert {ask("prctl", option | high) for option in (3, 15, 16)} == {ALLOW}
        # PDEATHSIG DUMPABLE SECCOMP NO_NEW_PRIVS SET_MM SET_PTRACER
        assert {ask("prctl", option | high) for option in (1, 4, 22, 38, 35, 0x59616D61)} == {EPERM}


def test_limits_are_only_read_and_only_ones_own(ask):
    assert ask("prlimit64", 0, 7, 0, 1) == ALLOW
    assert {ask("prlimit64", *args) for args in ((7, 7, 0, 1), (0, 7, 1, 0), (0, 7, HIGH, 0))} == {EPERM}


def test_memory_is_ordinary_memory(ask):
    assert {ask("mmap", 0, 4096, 3, flags) for flags in (0x1, 0x22, 0x10, 0x4022, 0x20022)} == {ALLOW}
    for locked in (0x2000, 0x40000, 0x42022):  # MAP_LOCKED, MAP_HUGETLB
        assert ask("mmap", 0, 4096, 3, locked) == ask("mmap", 0, 4096, 3, locked | HIGH) == EPERM
    assert {ask("madvise", 0, 4096, advice) for advice in (0, 1, 2, 3, 4, 8, 14, 15, 102, 103)} == {ALLOW}
    # REMOVE MERGEABLE COLD PAGEOUT COLLAPSE HWPOISON SOFT_OFFLINE
    assert {ask("madvise", 0, 4096, advice) for advice in (9, 12, 20, 21, 25, 100, 101)} == {EINVAL}
    assert ask("madvise", 0, 4096, 9 | HIGH) == EINVAL


def test_a_futex_lends_no_priority(ask):
    # Commands with PRIVATE (128) and CLOCK_REALTIME (256), as a C library sends them.
    assert {ask("futex", 0, command | 384) for command in (0, 1, 3, 4, 5, 9, 10)} == {ALLOW}
    # FD LOCK_PI UNLOCK_PI TRYLOCK_PI WAIT_REQUEUE_PI CMP_REQUEUE_PI LOCK_PI2
    assert {ask("futex", 0, command) for command in (2, 6, 7, 8, 11, 12, 13)} == {ENOSYS}
    assert ask("futex", 0, 6 | 384 | HIGH) == ENOSYS


def test_the_channel_is_the_one_socket(ask):
    assert ask("recvmsg", 3) == ALLOW
    assert {ask("recvmsg", number) for number in (0, 2, 4, 1 << 31)} == {EPERM}
    assert ask("close_range", 3, 9, 4) == ALLOW
    assert ask("close_range", 3, 9, 2) == EPERM  # CLOSE_RANGE_UNSHARE


def test_a_thread_is_all_that_clone_makes(ask):
    assert {ask("clone", flags) for flags in (0x3D0F00, 0x7D0F00)} == {ALLOW if ask.threads else EPERM}
    # A process; a thread without the descriptors of the others; with CLONE_PARENT; in a user namespace of its own.
    for flags in (0x11, 0x3D0B00, 0x3D8F00, 0x103D0F00, 0x10000, 0):
        assert ask("clone", flags) == ask("clone", flags | HIGH) == EPERM


def test_a_foreign_abi_is_killed(machine):
    program = filter_program(machine, threads=True)
    for arch in {0x40000003, 0x40000028, *ARCHES.values()} - {ARCHES[machine]}:
        assert {run(program, arch, number) for number in (0, 1, 63, 221)} == {KILL}


def test_x32_is_killed():
    program = filter_program("x86_64", False)
    assert {run(program, ARCHES["x86_64"], 0x40000000 | number) for number in (0, 1, 520)} == {KILL}


def test_every_number_gets_an_answer(machine):
    program = filter_program(machine, threads=False)
    answers = {run(program, ARCHES[machine], number) for number in (*range(600), 0x3FFFFFFF)}
    assert answers <= {ALLOW, EPERM, ENOSYS, EACCES, EINVAL, ENOTTY}


def test_numbers_are_those_of_the_kernel_headers():
    # x86-64 has a list of its own, aarch64 the generic one, which any Linux with headers has.
    headers = {
        "x86_64": [Path(f"/usr/include/{where}asm/unistd_64.h") for where in ("x86_64-linux-gnu/", "")],
        "aarch64": [Path("/usr/include/asm-generic/unistd.h")],
    }
    texts = {
        machine: next((p.read_text() for p in paths if p.exists()), "") for machine, paths in headers.items()
    }
    if not any(texts.values()):
        pytest.skip("no kernel headers here")
    for machine, text in texts.items():
        told = dict(re.findall(r"#define __NR(?:3264)?_(\w+)[ \t]+(\d+)", text))
        told.setdefault("newfstatat", told.get("fstatat", ""))
        ours = {name: getattr(call, machine) for name, call in syscalls._CALLS.items()}
        for name, number in (*ours.items(), *NUMBERS[machine].items()):
            if text and number is not None:
                assert told.get(name, number) in (number, str(number)), (machine, name)
