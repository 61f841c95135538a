"""What Docker gives a container by default, as far as programs notice: its seccomp profile and its capabilities.

Source: Docker's documentation, "Seccomp security profiles" (the table of blocked calls) and "Runtime privilege and
Linux capabilities". A blocked call answers EPERM, clone3 answers ENOSYS so that libraries fall back to clone.
"""

import ctypes
import errno
import os
import platform
import struct

# Names to numbers on x86-64 and aarch64; None where the architecture has no such call.
BLOCKED = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "get_mempolicy": (239, 236),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "mbind": (237, 235),
    "migrate_pages": (256, 238),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "set_mempolicy": (238, 237),
    "set_mempolicy_home_node": (450, 450),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "ustat": (136, None),
    "vhangup": (153, 58),
}
CLONE, CLONE3, SOCKET = (56, 220), (435, 435), (41, 198)
NAMESPACES = 0x7E020000
"""Flags of clone that the profile refuses."""
AF_VSOCK = 40
# linux/capability.h: CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT
# MKNOD AUDIT_WRITE SETFCAP.
CAPABILITIES = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)

_LOAD, _JEQ, _JSET, _RET = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_libc = ctypes.CDLL(None, use_errno=True)


def profile(machine: str) -> bytes:
    """The profile as a BPF program for `machine`, "x86_64" or "aarch64"."""
    which = list(_ARCHES).index(machine)
    refuse = (_RET, 0, 0, _ERRNO | errno.EPERM)
    code = [(_LOAD, 0, 0, 4), (_JEQ, 1, 0, _ARCHES[machine]), (_RET, 0, 0, _ALLOW), (_LOAD, 0, 0, 0)]
    for numbers in BLOCKED.values():
        if numbers[which] is not None:
            code += [(_JEQ, 0, 1, numbers[which]), refuse]
    code += [(_JEQ, 0, 1, CLONE3[which]), (_RET, 0, 0, _ERRNO | errno.ENOSYS)]
    code += [(_JEQ, 0, 3, CLONE[which]), (_LOAD, 0, 0, 16), (_JSET, 0, 4, NAMESPACES), refuse]
    code += [
        (_JEQ, 0, 2, SOCKET[which]),
        (_LOAD, 0, 0, 16),
        (_JEQ, 1, 0, AF_VSOCK),
        (_RET, 0, 0, _ALLOW),
        refuse,
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def enter() -> None:
    """Take the profile and the capabilities upon this process, for good; only root can."""
    machine = platform.machine()
    program = profile(machine)
    code = ctypes.create_string_buffer(program, len(program))
    head = ctypes.create_string_buffer(struct.pack("=H6xQ", len(program) // 8, ctypes.addressof(code)))
    _call("the profile", _libc.prctl(22, ctypes.c_ulong(2), head, 0, 0))
    for number in range(64):
        if number not in CAPABILITIES and _libc.prctl(23, ctypes.c_ulong(number), 0, 0, 0) > 0:
            _call("the bounding set", _libc.prctl(24, ctypes.c_ulong(number), 0, 0, 0))
    mask = sum(1 << number for number in CAPABILITIES)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)(mask, mask, 0, 0, 0, 0)
    _call("capabilities", _libc.syscall({"x86_64": 126, "aarch64": 91}[machine], header, sets))


def _call(what: str, answer: int) -> None:
    if answer != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
