"""The contexts in which every attack is tried, each with a supervisor of its own (`serve.py`), and what they answer."""

import atexit
import functools
import json
import math
import os
import platform
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evolve.fastcore import wire
from evolve.fastcore.jail import level

HERE = Path(__file__).parent
CONTEXTS: dict[str, dict[str, Any]] = {
    "root": {},  # the whole jail, as whoever runs the tests
    "user": {},  # a plain user without capabilities
    "docker": {},  # Docker's default profile and capabilities
    "abi1": {"landlock": 1},  # the oldest Landlock
    "ctypes": {"compiled": False},  # the jail where no compiler was present
}
SECRET = "sk-test-0123456789"
LIMITS: dict[str, Any] = {"seconds": 0.3, "setup_seconds": 2.0, "cpu_seconds": 3.0, "memory": 256 << 20}
HONEST = math.fsum(math.sqrt(n) for n in range(100))
"""What the honest part of an attacking program is worth."""
TAIL = """
def honest(): return math.fsum(math.sqrt(n) for n in range(100))
def entry():
    try: through, why = bool(attack()), ''
    except BaseException as error: through, why = False, f'{type(error).__name__}: {error}'
    return through, honest(), why[:500]
"""


def missing(context: str) -> str:
    """Why a context cannot be entered here; empty where it can."""
    if level() == "none":
        return "this machine cannot confine programs"
    if context in ("user", "docker") and os.getuid() != 0:
        return f"entering the context {context} needs root"
    if context == "docker" and platform.machine() not in ("x86_64", "aarch64"):
        return "the profile is written for x86-64 and aarch64"
    return ""


@functools.cache
def _kernels() -> str:
    """A folder for compiled kernels that every context shares: a plain user may write to no package's own."""
    folder = tempfile.mkdtemp(prefix="evolve-kernels-")
    os.chmod(folder, 0o777)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Host:
    """A supervisor in a context, asked over a socket."""

    def __init__(self, context: str) -> None:
        self.context = context
        self.room = Path(tempfile.mkdtemp(prefix="evolve-attacks-"))
        self._furnish()
        ours, theirs = socket.socketpair()
        os.set_inheritable(theirs.fileno(), True)
        settings = {
            "context": context,
            "descriptor": theirs.fileno(),
            "room": str(self.room),
            "options": CONTEXTS[context],
        }
        environment = {
            **os.environ,
            "EVOLVE_TEST_API_KEY": SECRET,
            "NUMBA_CACHE_DIR": _kernels(),
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "enter.py"), json.dumps(settings)],
                env=environment,
                cwd="/",
                pass_fds=(theirs.fileno(),),
            )
        self._link = ours
        ours.settimeout(120.0)
        self.kept = self.listing()
        self.descriptors: dict[int, int] = {}

    def _furnish(self) -> None:
        """What lies in the watched folder: open to everybody, so that only the jail can be in the way."""
        for folder in (self.room, self.room / "site-packages", self.room / "__pycache__"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o777)
        (self.room / "reference.txt").write_text("the answer")
        (self.room / "sly").symlink_to("/etc/passwd")
        shutil.copy("/usr/bin/id", self.room / "id")
        (self.room / "id").chmod(0o4755)

    def ask(self, command: str, *args: Any) -> Any:
        """Have the supervisor do something; what it raises fails the test with its traceback."""
        body = wire.encode((command, args))
        self._link.sendall(struct.pack("<Q", len(body)) + body)
        what, answer = wire.decode(self._exactly(struct.unpack("<Q", self._exactly(8))[0]), wire.TRUSTED)
        assert what == "ok", f"in the context {self.context}:\n{answer}"
        return answer

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = self._link.recv(min(size - len(data), 1 << 20))
            assert part, f"the supervisor in the context {self.context} is gone"
            data += part
        return bytes(data)

    # --- in short

    def attempt(self, source: str, limits: dict[str, Any] | None = None, **how: Any) -> dict[str, Any]:
        """Run a program here: what `serve.Server.run` says of it."""
        return self.ask("attempt", source, {**how, "limits": {**LIMITS, **(limits or {})}})

    def judge(self, problem: str, source: str, **how: Any) -> dict[str, Any]:
        """Judge a program here; `problem` is a shipped name or a file of `problem_files`."""
        own = HERE / "problem_files" / f"{problem}.py"
        return self.ask("judge", str(own) if own.is_file() else problem, {**how, "source": source})

    def scene(self, name: str, *args: Any) -> Any:
        """Play a scene of `scenes` here."""
        return self.ask("scene", name, args)

    def listing(self) -> list[str]:
        """Everything in the watched folder, and what an attack would leave elsewhere."""
        here = sorted(str(path.relative_to(self.room)) for path in self.room.rglob("*"))
        return here + sorted(map(str, Path("/tmp").glob(f"*_{self.room.name}*")))

    def complaints(self) -> list[str]:
        """What an attack has left: processes, descriptors, files; empty as it should be."""
        left = self.ask("left")
        said = [
            f"{name}: {left[name]}" for name in ("descriptors", "strangers", "programs", "shm") if left[name]
        ]
        if self.listing() != self.kept:
            said.append(f"files: {sorted(set(self.listing()) ^ set(self.kept))}")
        for zygote in left["zygotes"]:
            try:
                count = len(os.listdir(f"/proc/{zygote}/fd"))
            except PermissionError:  # a zygote shows itself to nobody, unless one is root
                continue
            if count != self.descriptors.setdefault(zygote, count):
                said.append(f"zygote {zygote}: {count} descriptors, {self.descriptors[zygote]} before")
        return said

    def close(self) -> None:
        self._link.close()
        try:
            self.process.wait(20.0)
        finally:
            self.process.kill()
            self.process.wait()
            shutil.rmtree(self.room, ignore_errors=True)


@dataclass(frozen=True)
class Attack:
    """An attack on the jail: a program whose `attack()` is true when it got through.

    Args:
        number: in TRUST.md, section 4.
        name: what it does.
        body: body of `attack()`.
        top: what stands before it, in the block itself.
        ends: statuses it may end the program with; empty where the program must live, refused, and score.
        plain: the control runs without any limits, beside the supervisor, instead of in a Runner(unsafe=True).
        excused: contexts that refuse the control by themselves, and why.
        limits: in place of `LIMITS`.
    """

    number: int
    name: str
    body: str
    top: str = ""
    ends: tuple[str, ...] = ()
    plain: bool = False
    excused: dict[str, str] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.number} {self.name}"

    @property
    def source(self) -> str:
        """The program's block."""
        lines = "\n".join("    " + line for line in self.body.strip("\n").splitlines())
        return f"{self.top}\ndef attack():\n{lines}\n{TAIL}"

    def control(self, host: Host) -> Any:
        """What the harmless version of it returns where nothing is in its way."""
        facts = {"HARMLESS": True}
        if self.plain:
            return host.ask("beside", self.source, facts)
        said = host.attempt(self.source, {**self.limits, "seconds": 10.0}, runner="unsafe", facts=facts)
        return said["value"] or said["status"] + said["message"]

    def check(self, host: Host) -> None:
        """It gets through where nothing is in its way, and not here; the honest part scores, or the next program."""
        if host.context not in self.excused:
            control = self.control(host)
            assert list(control)[:2] == [True, HONEST], f"the control of {self} says {control}"
        said = host.attempt(self.source, self.limits, facts={"HARMLESS": False})
        if self.ends:
            assert said["status"] in self.ends, said
            return
        assert said["status"] == "ok", said
        through, honest, why = said["value"]
        assert not through, f"{self} got through in the context {host.context}"
        assert honest == HONEST, why
        assert said["isolation"] not in ("none", "interpreted")


def gone(pids: list[int], seconds: float = 20.0) -> bool:
    """Whether all these processes have ended, waiting for it."""
    deadline = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() and not _is_zombie(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
