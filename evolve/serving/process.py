"""One server's process: started behind its guard, logged to a file, ended with all its offspring."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from pathlib import Path

from evolve.errors import InfrastructureError
from evolve.serving import guard
from evolve.serving.plan import KEY, Command
from evolve.text import clean

__all__ = ["Process"]

_LOG = 16 << 20  # bytes at which a log is put aside, at a start
_READ = 1 << 16
_LINE = 300  # characters
# The last line of a traceback, which says what happened; the very last lines say often only that something did.
_CAUSE = re.compile(r"\b(\w+(?:Error|Exception|Exit)|error): \S.*")
# What vLLM sets before each line of a process, and lines of a traceback that say only where.
_BEFORE = re.compile(r"^\(\w+ pid=\d+\) +|^(?:ERROR|INFO) \d\d-\d\d [\d:]+ \[[^\]]*\] ?")
_WHERE = re.compile(r'^\s*(?:[\^~]+$|File "|raise |Traceback )')


class Process:
    """A server that runs, or has run.

    Attributes:
        log: file of what it writes.
    """

    def __init__(self, process: asyncio.subprocess.Process, log: Path, offset: int) -> None:
        self._process = process
        self.log = log
        self._offset = offset

    @classmethod
    async def start(cls, command: Command, key: str, log: Path) -> "Process":
        """Start it in a group of its own: Ctrl-C in a terminal is the supervisor's to pass on.

        Raises:
            InfrastructureError: no process, or no log.
        """
        environment = {**os.environ, **command.environment, KEY: key}
        # What vLLM compiles at run time looks for tools of its own environment.
        environment["PATH"] = os.pathsep.join(
            [str(Path(command.words[0]).parent), os.environ.get("PATH", "")]
        )
        try:
            if log.exists() and log.stat().st_size > _LOG:
                log.replace(log.with_suffix(".old"))
            with open(log, "ab", opener=_private) as file:
                offset = file.seek(0, os.SEEK_END)
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", guard.__file__, *command.words),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=file,
                    stderr=asyncio.subprocess.STDOUT,
                    start_new_session=True,
                    env=environment,
                )
        except OSError as error:
            raise InfrastructureError(f"{command.words[0]} cannot be started, log {log}: {error}") from None
        return cls(process, log, offset)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        """Of the guard; also the number of the group."""
        return self._process.pid

    async def wait(self) -> int:
        """Its exit code, once it and its offspring are gone."""
        code = await self._process.wait()
        if code < 0:  # the guard itself was killed
            self.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        return code

    def terminate(self) -> None:
        """Tell the server to finish what is under way, and to end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now: its guard does, who sees the supervisor's end of the pipe closed."""
        if self.running and self._process.stdin is not None:
            self._process.stdin.close()
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def last_words(self, most: int = 6) -> str:
        """What its log says of its end, safe to show: first what looks like a cause, then the last lines."""
        try:
            with self.log.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(self._offset, end - 4 * _READ))
                text = file.read().decode("utf-8", "replace")
        except OSError as error:
            return f"{self.log} cannot be read: {error.strerror}"
        lines = (_BEFORE.sub("", _BEFORE.sub("", clean(line, _LINE).rstrip())) for line in text.splitlines())
        said = [line for line in lines if line.strip() and not _WHERE.match(line)]
        found = (_CAUSE.search(line) for line in said if not line.startswith("WARNING "))
        causes = list(dict.fromkeys(match[0] for match in found if match is not None))[:most]
        last = [line for line in said[-most:] if not any(cause in line for cause in causes)]
        return "\n".join([*causes, *last]) or "it has said nothing"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
