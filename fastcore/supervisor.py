"""A trusted process that holds one judge and judges payloads, batch by batch; `pool` is its other end.

Started by exec (`python -m evolve.fastcore.supervisor`), never forked. Knows how to import a judge and how
to send results back; knows nothing of what a payload means. All that comes over its link is the engine's,
and trusted.
"""

import contextlib
import importlib
import os
import pickle
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Protocol, Self

from multiprocess.connection import Connection

from evolve.fastcore.jail import die_with_parent

__all__ = ["BROKEN", "DONE", "DROP", "FAILED", "READY", "RESULTS", "Judge", "main"]

READY, BROKEN, RESULTS = "ready", "broken", "results"
DROP: Final = "drop"
"""Instead of a batch: nobody waits any more for what was sent before."""
DONE, FAILED = 0, 1
_FLUSH_SECONDS: Final = 0.005
_GRACE_SECONDS: Final = 1.0
_LONGEST_REPORT: Final = 20_000

Batch = list[tuple[int, bytes]]
Result = tuple[int, int, Any]


class Judge(Protocol):
    """What a supervisor holds; `judge` is always called from the main thread, one payload at a time."""

    def judge(self, payload: Any) -> Any:
        """Return the result for one payload, both plain picklable data."""

    def close(self) -> None:
        """Release what it holds (its Runner, say); called once."""


def main() -> None:
    """Serve on the inherited descriptor until the engine closes it."""
    number, parent = int(sys.argv[1]), int(sys.argv[2])
    die_with_parent(parent)  # from the main thread, before anything can be started
    link = Connection(number)
    try:
        name, args = pickle.loads(link.recv_bytes())  # noqa: S301 - from the engine
    except (EOFError, OSError):
        return  # it has closed the pool before this process had started (Ctrl-C)
    start = _Report()
    with start:
        judge = _load(name)(*args)
    if start.text:
        with contextlib.suppress(OSError):  # another one has said so, and the engine has closed
            link.send_bytes(pickle.dumps((BROKEN, start.text)))
        return
    try:
        link.send_bytes(pickle.dumps((READY, os.getpid())))
    except OSError:  # closed while the judge was being made
        judge.close()
        return
    inbox = _Inbox()
    threading.Thread(target=_read, args=(link, inbox), daemon=True).start()
    outbox = _Outbox(link)
    try:
        while (batch := inbox.batches.get()) is not None:
            for ticket, payload in batch:
                outbox.add(
                    (ticket, FAILED, "dropped")
                    if ticket <= inbox.dropped
                    else _judge_one(judge, ticket, payload)
                )
            outbox.flush()
    finally:
        judge.close()


def _load(name: str) -> Callable[..., Judge]:
    module, _, attribute = name.partition(":")
    found: Callable[..., Judge] = getattr(importlib.import_module(module), attribute)
    return found


def _judge_one(judge: Judge, ticket: int, payload: bytes) -> Result:
    report = _Report()
    result = b""
    with report:  # the pickling too: a result that cannot travel is the judge's fault
        result = pickle.dumps(judge.judge(pickle.loads(payload)), 5)  # noqa: S301 - from the engine
    return (ticket, FAILED, report.text) if report.text else (ticket, DONE, result)


class _Inbox:
    """What was sent; `dropped` is the last ticket that nobody waits for: tickets rise."""

    def __init__(self) -> None:
        self.batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self.dropped = -1
        self._latest = -1

    def take(self, message: Batch | str) -> None:
        if isinstance(message, str):
            self.dropped = self._latest
            return
        self._latest = max(self._latest, *(ticket for ticket, _ in message))
        self.batches.put(message)


def _read(link: Connection, inbox: _Inbox) -> None:
    """Take batches off the link at once, so that the engine never waits; end after the engine's end."""
    while True:
        try:
            message = pickle.loads(link.recv_bytes())  # noqa: S301 - from the engine
        except (EOFError, OSError):
            break
        inbox.take(message)
    inbox.batches.put(None)
    time.sleep(_GRACE_SECONDS)
    os._exit(1)  # the judge is stuck; the kernel takes its zygote and its program with it


class _Report:
    """Keeps the traceback of what a judge raises: it is the engine's to know, and the next payload is due."""

    def __init__(self) -> None:
        self.text = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.text = "".join(traceback.format_exception(error))[-_LONGEST_REPORT:]
        return True


class _Outbox:
    """Sends results in groups: when the batch is done, or when the oldest has waited 5 ms."""

    def __init__(self, link: Connection) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._waiting: list[Result] = []
        self._oldest = 0.0
        self._some = threading.Event()
        threading.Thread(target=self._flush_late, daemon=True).start()

    def add(self, result: Result) -> None:
        now = time.monotonic()
        with self._lock:
            if not self._waiting:
                self._oldest = now
            self._waiting.append(result)
        if now - self._oldest >= _FLUSH_SECONDS:
            self.flush()
        else:
            self._some.set()

    def flush(self) -> None:
        with self._lock:
            self._some.clear()
            results, self._waiting = self._waiting, []
            if not results:
                return
            try:
                self._link.send_bytes(pickle.dumps((RESULTS, results), 5))
            except OSError:  # the engine is gone; `_read` notices and ends this process
                return

    def _flush_late(self) -> None:
        # For a result that would otherwise wait for the next payload, which may take a minute.
        while self._some.wait():
            time.sleep(_FLUSH_SECONDS)
            self.flush()


if __name__ == "__main__":
    main()
