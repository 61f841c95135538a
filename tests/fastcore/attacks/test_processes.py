# ruff: noqa: E501 - programs are written in one string each
"""TRUST.md, section 4, Processes: a program is one process, and touches no other."""

import pytest

from .hosts import Attack
from .test_read import LIBC

ATTACKS = [
    Attack(
        31,
        "fork bomb",
        """
def bomb(depth):
    for _ in range(2 if HARMLESS else 1_000_000):
        pid = os.fork()
        if pid == 0:
            if HARMLESS: os._exit(0)
            continue
        if HARMLESS: os.waitpid(pid, 0)
    return True
return any_of(lambda: bomb(0), lambda: libc.syscall(56, 17, 0, 0, 0, 0) > 0 and not HARMLESS, lambda: os.forkpty())
""",
        LIBC,
        plain=True,
    ),
    Attack(
        32,
        "double-fork orphan",
        """
pid = os.fork()
if pid == 0:
    if os.fork() == 0: os.setsid()
    os._exit(0)
os.waitpid(pid, 0)
return True
""",
        plain=True,
    ),
    Attack(
        33,
        "subprocess",
        """
import subprocess
return any_of(lambda: subprocess.run(['/bin/true']).returncode == 0, lambda: os.system('true') == 0,
              lambda: os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)[1] == 0)
""",
        plain=True,
    ),
    Attack(
        34,
        "execve",
        """
os.execv('/bin/sh', ['sh', '-c', f'echo "[true, {honest()!r}]"'])  # it becomes another program, which answers
""",
        plain=True,
    ),
    Attack(
        35,
        "setuid binary",
        """
import subprocess
try:
    told = subprocess.run([SETUID, '-u'], capture_output=True).stdout
except OSError:
    os.execv(SETUID, ['id', '-u'])
return int(told) == os.stat(SETUID).st_uid
""",
        plain=True,
    ),
    Attack(
        36,
        "a thread where none is allowed",
        """
import threading
done = []
thread = threading.Thread(target=lambda: done.append(1))
thread.start()
thread.join()
return bool(done)
""",
        plain=True,
    ),
    Attack(
        37,
        "signal the supervisor",
        """
pidfd = getattr(os, 'pidfd_open', None)
return any_of(lambda: os.kill(SUPERVISOR, 0) is None, lambda: libc.syscall(234, SUPERVISOR, SUPERVISOR, 0) == 0,
              lambda: pidfd(SUPERVISOR) > 0)
""",
        LIBC,
    ),
    Attack(38, "signal the zygote", "return os.kill(ZYGOTE, 0) is None"),
    Attack(39, "signal everybody", "return os.kill(-1, 0) is None"),
    Attack(
        40,
        "raise rlimits",
        """
for name in ('STACK', 'NOFILE', 'AS', 'CPU', 'NPROC'):
    which = getattr(resource, 'RLIMIT_' + name)
    soft, hard = resource.getrlimit(which)
    resource.setrlimit(which, (soft, hard))
return True
""",
        "import resource",
    ),
    Attack(
        41,
        "set affinity",
        """
return any_of(lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)) is None, lambda: os.nice(0) == 0 and not HARMLESS
              and os.nice(1))
""",
    ),
    Attack(
        42,
        "prlimit on the parent",
        "return any_of(*(lambda pid=pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in (ZYGOTE, SUPERVISOR)))",
        "import resource",
    ),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_no_process_is_made_or_touched(host, attack):
    attack.check(host)
