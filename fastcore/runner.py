"""Runs one program at a time in its own jailed process and says what came back, or how it failed.

Knows processes, limits and statuses; knows no case, no score and no judge. Only plain data (`wire`) crosses,
and the clocks are the kernel's.
"""

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeGuard

from evolve.fastcore import child, wire
from evolve.fastcore.clock import cpu_and_wall
from evolve.fastcore.exchange import ClosedError, Exchange, ForgedError, plain_text
from evolve.fastcore.limits import AnswerBounds, Limits, source_fault
from evolve.fastcore.sealed import Sealed
from evolve.fastcore.verdicts import Failure, FailureStatus, Usage
from evolve.fastcore.warden import Reaped, Warden, ZygoteDeadError, ZygoteError

__all__ = ["Failure", "Runner", "Session", "Usage", "ZygoteError"]

_BOUNDS: Final = AnswerBounds()
_REPORT: Final = AnswerBounds(nodes=8, depth=2, text=child.ROOM_FOR_REPORT)
_CPU_MESSAGE: Final = "it used more than its {} CPU seconds"
_TRIES: Final = 2
_NAMED: Final = frozenset(signal.Signals)
"""Not among them: most of the real-time signals, which a program without a jail may send to itself."""
_GLANCE: Final = 0.01
"""Least seconds between two looks at a clock."""
_THREADS_GLANCE: Final = 0.02
"""Most seconds between two looks at the number of threads, where there may be more than one."""


class Runner:
    """One zygote, and at most one live program; use it from the thread that made it, as a context manager."""

    def __init__(
        self,
        preload: Sequence[str] = (),
        unsafe: bool = False,
        landlock: int | None = None,
        compiled: bool | None = None,
    ) -> None:
        """Remember what to preload; the zygote starts at `__enter__` or at the first program.

        Args:
            preload: modules that the zygote imports once and programs may import.
            unsafe: run programs without a jail (limits on resources stay); said in every `Usage`.
            landlock: newest Landlock ABI to use, for tests; what the kernel has if not given.
            compiled: whether to close the jail in one compiled call; where it can be, if not given.
        """
        self._settings = tuple(preload), unsafe, landlock, compiled
        self._warden: Warden | None = None
        self._session: Session | None = None

    def __enter__(self) -> Self:
        self.warden()
        return self

    def __exit__(self, kind: object, error: object, trace: TracebackType | None) -> None:
        self.close()

    @property
    def zygote(self) -> int:
        """Process number of the zygote, started if need be."""
        return self.warden().pid

    def warden(self) -> Warden:
        """Return the zygote's handle, started if need be.

        Raises:
            ZygoteError: a preloaded module fails, or this machine cannot confine and `unsafe` is false.
        """
        if self._warden is None:
            self._warden = Warden(*self._settings)
        return self._warden

    def discard(self) -> None:
        """Give up the zygote; the next program gets another."""
        if self._warden is not None:
            self._warden.close()
            self._warden = None

    def start(self, source: str, entry: str, limits: Limits, timed: bool = False) -> "Session":
        """Start a program in a process of its own and return at once.

        Failures of the set-up (a SyntaxError, say) are raised by the first `Session.call`, or by
        `Session.ready`, so that `Session.finish` tells what any program used.

        Args:
            source: Python source of the block.
            entry: name of the function that calls go to.
            limits: what the program may use.
            timed: have it collect garbage after its set-up, and not again by itself.

        Raises:
            RuntimeError: the last program is not finished; one lives at a time (use a second Runner).
            ZygoteError: see `warden`.
        """
        if self._session is not None and self._session.alive:
            raise RuntimeError(
                "runner: the last program still lives; finish() its session, or use a second Runner"
            )
        self._session = Session(self, source, entry, limits, timed)
        return self._session

    def close(self) -> None:
        """Finish the live program and end the zygote; idempotent."""
        if self._session is not None:
            self._session.finish()
        self.discard()


class _ExceededError(Exception):
    """The program has used more than a limit, seen from outside: a status and a message."""

    def __init__(self, status: FailureStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Session:
    """One program in its process, from its set-up to its `Usage`; a context manager that finishes."""

    def __init__(self, runner: Runner, source: str, entry: str, limits: Limits, timed: bool) -> None:
        self._runner = runner
        self._limits = limits
        self._exchange: Exchange | None = None
        self._pid = 0
        self._born = 0.0
        self._is_ready = False
        self._lost_zygotes = 0
        self._left = limits.seconds
        self._waited = 0.0
        self._failure: Failure | None = None
        self._reaped = Reaped(0, 0.0, 0)
        self._output = b""
        self._isolation = runner.warden().level
        self._setup_cpu: float | None = None
        self._setup = self._encode_setup(source, entry, timed)
        if self._failure is None:
            with contextlib.suppress(Failure):  # it is kept, and raised by the first call
                self._launch()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: TracebackType | None) -> None:
        self.finish()

    @property
    def alive(self) -> bool:
        """Whether the program has a process that is not reaped yet."""
        return self._exchange is not None

    @property
    def pid(self) -> int:
        """Process number of the program while it is alive (for `clock.cpu_and_wall`)."""
        return self._pid

    @property
    def threads(self) -> int:
        """How many threads its limits allow."""
        return self._limits.threads

    def ready(self) -> None:
        """Wait until the block is imported; `call` does so by itself.

        Raises:
            Failure: the set-up failed.
        """
        self._attempt(None)

    def begin_case(self) -> None:
        """Give the program its `limits.seconds` of wall time afresh."""
        self._left = self._limits.seconds

    def call(self, args: tuple[Any, ...] | bytes | Sealed, bounds: AnswerBounds | None = None) -> Any:
        """Return what the entry returns for `args`: exact plain data, arrays fresh and writable.

        The program gets arrays as read-only views.

        Args:
            args: positional arguments, plain data; or `wire.encode` of such a tuple, to encode a case only
                once; or that `Sealed`, to write a large case only once for many programs.
            bounds: how large the answer may be; `AnswerBounds()` if not given.

        Raises:
            Failure: the program failed; it is ended then, and every further call raises the same.
            WireError: an argument is not plain data.
            RuntimeError: the session is finished.
        """
        return self.decode(self.ask(wire.encode(args) if isinstance(args, tuple) else args), bounds)

    def ask(self, body: bytes | Sealed) -> bytes:
        """Make one call and return a copy of its encoded answer: clocks are read before anything looks at it.

        Args:
            body: `wire.encode` of the tuple of arguments, sealed or not.

        Raises:
            Failure, RuntimeError: as `call`.
        """
        return self._attempt(body)

    def decode(self, data: bytes, bounds: AnswerBounds | None = None) -> Any:
        """Return the plain data of an answer.

        Raises:
            Failure: it is too large, or not plain data; the program is ended then.
        """
        try:
            return wire.decode(data, bounds or _BOUNDS)
        except wire.BoundsError as error:
            raise self._fail("error", f"the answer is too large: {error}") from None
        except wire.WireError as error:
            raise self._fail("protocol", f"the answer is not plain data: {error}") from None

    def finish(self) -> Usage:
        """End the program if it lives, and return what it used; idempotent."""
        with contextlib.suppress(ZygoteDeadError):
            self._end()
        output = plain_text(self._output, self._limits.output_bytes)
        setup = self._reaped.cpu_seconds if self._setup_cpu is None else self._setup_cpu
        used = self._reaped
        return Usage(used.cpu_seconds, self._waited, used.memory, output, self._isolation, setup)

    def _encode_setup(self, source: str, entry: str, timed: bool) -> bytes:
        try:
            fault = source_fault(source)
            if fault:
                raise wire.WireError(fault)
            return wire.encode((source, entry, asdict(self._limits), timed))
        except ValueError as error:  # a lone surrogate, say
            self._failure = Failure("error", str(error))
            return b""

    def _launch(self) -> None:
        """Have a child forked; a zygote found dead is replaced, once for each program."""
        while True:
            warden = self._runner.warden()
            exchange = Exchange(self._limits.answer_bytes, self._limits.output_bytes)
            try:
                self._pid = warden.fork(exchange.for_child)
            except ZygoteDeadError:
                exchange.close()
                self._lose_zygote()
                continue
            finally:
                exchange.close_child_ends()
            self._exchange, self._is_ready, self._born = exchange, False, time.monotonic()
            return

    def _lose_zygote(self) -> None:
        self._runner.discard()
        self._lost_zygotes += 1
        if self._lost_zygotes >= _TRIES:
            self._failure = Failure("died", f"{_TRIES} zygotes died under it")
            raise self._failure

    def _attempt(self, body: bytes | Sealed | None) -> bytes:
        """Set up if that is still to do, then make the call; both again on a new zygote if this one dies."""
        if self._failure is not None:
            raise self._failure
        if self._exchange is None:
            raise RuntimeError("session: the program is finished; start it again")
        while True:
            try:
                data = b""
                if not self._is_ready:
                    data = self._ask(self._setup, self._limits.setup_seconds, "its set-up")
                    with contextlib.suppress(ProcessLookupError):  # its zygote has died just now
                        self._setup_cpu = cpu_and_wall(self._pid)[0]
                    self._is_ready = True
                if body is not None:
                    began = self._waited
                    data = self._ask(body, self._left, "one case")
                    self._left -= self._waited - began
            except ZygoteDeadError:
                self._lose_zygote()
                self._launch()
            else:
                return data

    def _ask(self, body: bytes | Sealed, seconds: float, what: str) -> bytes:
        assert self._exchange is not None
        began = time.monotonic()
        try:
            kind, data = self._exchange.request(body, began + seconds, self._look)
        except TimeoutError:
            raise self._fail("timeout", f"no answer within the wall seconds of {what}") from None
        except _ExceededError as error:
            raise self._fail(error.status, str(error)) from None
        except ForgedError as error:
            raise self._fail("protocol", str(error)) from None
        except ClosedError:
            raise self._explain_death() from None
        finally:
            self._waited += time.monotonic() - began
        if kind == child.ANSWER:
            return data
        raise self._explain_report(kind, data)

    def _look(self) -> float:
        """Return for how many seconds nothing need be looked at; read clock and threads only if they might matter.

        Raises:
            _ExceededError: CPU seconds or threads.
        """
        if self._limits.threads == 1:  # the jail denies a second one
            return self._look_at_cpu(1)
        try:
            # A folder for each: links to it are one a thread, and two. No file is opened.
            threads = Path(f"/proc/{self._pid}/task").stat().st_nlink - 2
        except (
            FileNotFoundError
        ):  # dead, as the channel will say; or a system without, where none are counted
            threads = 0
        if threads > self._limits.threads:
            allowed = self._limits.threads
            raise _ExceededError("error", f"it has {threads} threads; limits.threads allows it {allowed}")
        return min(self._look_at_cpu(os.cpu_count() or 1), _THREADS_GLANCE)

    def _look_at_cpu(self, cores: int) -> float:
        budget = self._limits.cpu_seconds
        sure = budget / cores - (time.monotonic() - self._born)
        if sure > 0:
            return sure
        try:
            used = cpu_and_wall(self._pid)[0]
        except ProcessLookupError:  # its zygote is dead; the end of the channel will say so
            return _GLANCE
        if used >= budget:
            raise _ExceededError("timeout", _CPU_MESSAGE.format(budget))
        return max((budget - used) / cores, _GLANCE)

    def _explain_death(self) -> Failure:
        self._end()
        status, cpu = self._reaped.status, self._reaped.cpu_seconds
        if cpu >= self._limits.cpu_seconds:
            return self._fail("timeout", _CPU_MESSAGE.format(self._limits.cpu_seconds))
        if os.WIFEXITED(status):
            return self._fail("died", f"its process ended by itself (exit status {os.WEXITSTATUS(status)})")
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in _NAMED else f"signal {number}"
        if name == "SIGKILL":
            return self._fail("died", "its process was killed (by SIGKILL), or it closed its channel")
        return self._fail("died", f"its process was killed by {name}")

    def _explain_report(self, kind: int, data: bytes) -> Failure:
        try:
            report = wire.decode(data, _REPORT)
        except wire.WireError:
            return self._fail("protocol", "its report of a failure is malformed")
        if kind == child.ERROR and _is_texts(report):
            name, text, trace = report
            return self._fail("error", f"{name}: {text}" if text else name, trace)
        if kind == child.MEMORY:
            return self._fail("memory", f"it ran out of its {self._limits.memory} bytes of memory")
        if kind == child.UNJAILED and type(report) is str:
            return self._fail("died", report)
        return self._fail("protocol", "it sent a frame of an unknown kind")

    def _fail(self, status: FailureStatus, message: str, traceback: str = "") -> Failure:
        with contextlib.suppress(ZygoteDeadError):
            self._end()
        self._failure = Failure(status, message, traceback)
        return self._failure

    def _end(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        try:
            self._reaped = self._runner.warden().end()
        except ZygoteDeadError:
            self._runner.discard()
            raise
        finally:
            exchange.close()
            self._output = bytes(exchange.output)


def _is_texts(report: object) -> TypeGuard[tuple[str, str, str]]:
    return type(report) is tuple and len(report) == 3 and all(type(part) is str for part in report)
