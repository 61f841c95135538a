"""What the jailed process runs: close the jail, import the block, then answer calls until the channel ends.

Loaded by the zygote before any program, never imported beside a scorer. Nothing here is trusted once the
block has started: whatever it sends is checked by `runner` and `wire` on the other side.
"""

import contextlib
import functools
import gc
import linecache
import os
import random
import socket
import sys
import types
from collections.abc import Callable
from typing import Any, Final, NoReturn

import numpy as np

from evolve.fastcore import jit, wire
from evolve.fastcore.channel import ANSWERS, ASKS, Channel
from evolve.fastcore.jail import Jail
from evolve.fastcore.limits import Limits

__all__ = [
    "ANSWER",
    "ERROR",
    "MEMORY",
    "MODULE",
    "ROOM_FOR_REPORT",
    "UNJAILED",
    "forget",
    "run",
    "seed",
    "serve",
]

MODULE: Final = "program"
ROOM_FOR_REPORT: Final = 64 << 10
"""Longest body that is not an answer, in bytes."""

ANSWER, ERROR, MEMORY, UNJAILED = 1, 2, 3, 4
_STREAMS: Final = 4
"""Descriptors that a program has: /dev/null, the output pipe twice, its channel."""
_DESCRIPTORS: Final = 64
_FILENAME: Final = "<program>"
_KEPT_FRAMES: Final = 12


def run(jail: Jail, parent: int, link: socket.socket, shared: bool) -> NoReturn:
    """Serve one program on the channel's descriptors, and never return to the zygote.

    Args:
        jail: what to close around this process before the block is imported.
        parent: process number of the zygote.
        link: a socket object on the channel's descriptor.
        shared: whether the bodies of calls and answers lie in shared memory.
    """

    def confine(limits: Limits) -> None:
        jail.confine(limits, parent)
        os.closerange(_STREAMS, _DESCRIPTORS)

    try:
        with contextlib.suppress(BrokenPipeError, EOFError, ConnectionError):
            serve(confine, Channel(link, (ASKS, ANSWERS) if shared else None))
    finally:
        os._exit(0)


def serve(confine: Callable[[Limits], None], channel: Channel) -> None:
    """Set up one program and answer calls until the channel ends.

    Raises:
        EOFError, OSError: the channel's end.
    """
    nonce = channel.receive()
    source, entry_name, limits, timed = wire.decode(channel.body(), wire.TRUSTED)
    answer_bytes = limits["answer_bytes"]
    limits["memory"] += channel.mapped  # the buffers are not the program's to pay for
    try:
        confine(Limits(**limits))
    except (RuntimeError, OSError, ValueError) as error:
        channel.send(nonce, UNJAILED, wire.encode(f"the jail could not be closed: {error}"))
        return
    jit.allow_threads(limits["threads"])
    if "random" in source and "numpy.random" not in _SEEDED:
        np.random.seed(0)
    entry: list[Callable[..., Any]] = []
    answer = functools.partial(_answer, channel, answer_bytes)
    answer(nonce, lambda: entry.append(_load(source, entry_name, timed)))
    while entry:
        answer(channel.receive(), lambda: _call(entry[0], channel))


_SEEDED: set[str] = set()


def seed() -> None:
    """Make unseeded chance repeat, for every child from now on: a program must answer the same whenever it runs.

    numpy loads numpy.random when it is first used. Loaded in the zygote it would cost every program 0.6 ms (90 more
    mappings to fork), loaded by a program 10 ms; a problem that uses it much preloads it.
    """
    random.seed(0)
    if "numpy.random" in sys.modules:
        np.random.seed(0)
        _SEEDED.add("numpy.random")


def forget() -> None:
    """Drop the block that `serve` has imported, where it returns at all: in the zygote."""
    del sys.modules[MODULE], linecache.cache[_FILENAME]


def _call(entry: Callable[..., Any], channel: Channel) -> Any:
    return entry(*wire.decode(channel.body(), wire.TRUSTED, views=True))


def _load(source: str, entry_name: str, timed: bool) -> Callable[..., Any]:
    # A module of its own in sys.modules: dataclasses and numba look the block up by its __module__.
    module = types.ModuleType(MODULE)
    module.__file__ = _FILENAME
    sys.modules[MODULE] = module
    linecache.cache[_FILENAME] = (len(source), None, source.splitlines(keepends=True), _FILENAME)
    source = source.removeprefix("\ufeff")  # as the interpreter does with a file
    exec(compile(source, _FILENAME, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - in the jail
    entry = module.__dict__.get(entry_name)
    if not callable(entry):
        raise NameError(f"the block defines no function {entry_name!r}")
    if timed:  # a collection in the midst of a case would be billed to it
        gc.collect()
        gc.disable()
    return entry  # type: ignore[no-any-return]


def _answer(channel: Channel, answer_bytes: int, nonce: bytes, work: Callable[[], Any]) -> None:
    body: bytes | bytearray
    try:
        body = answered = bytearray()
        wire.encode_into(answered, work())
        kind = ANSWER
        if len(body) > answer_bytes:
            raise ValueError(f"the answer takes {len(body)} bytes; at most {answer_bytes} are allowed")
    except MemoryError as error:
        error.__traceback__ = None  # its frames hold what filled the memory
        gc.collect()
        kind, body = MEMORY, wire.encode("out of memory")
    except BaseException as error:  # noqa: BLE001 - the one place: whatever a program raises is a report
        kind, body = ERROR, _report(error)
    for stream in (_STDOUT, _STDERR):
        with contextlib.suppress(Exception):
            stream.flush()
    channel.send(nonce, kind, body)


# Kept, because a program may bind sys.stdout to something else.
_STDOUT, _STDERR = sys.stdout, sys.stderr


def _report(error: BaseException) -> bytes:
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 - the message is the program's code as well
        text = "(its message cannot be printed)"
    if isinstance(error, SyntaxError) and error.filename == _FILENAME:
        text = f"{error.msg} (line {error.lineno})"
    if type(error) is ModuleNotFoundError:
        text = f"{text[:1000]} (a problem's `preload` says which libraries its programs may import)"
    text = jit.explain(error, text)
    lines = [line[:400] for line in _own_frames(error.__traceback__)]
    fields = (type(error).__name__[:200], text[:4000], "".join(lines))
    return wire.encode(tuple(field.encode("utf-8", "replace").decode() for field in fields))


def _own_frames(trace: types.TracebackType | None) -> list[str]:
    found: list[str] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename == _FILENAME:
            line = linecache.getline(_FILENAME, trace.tb_lineno).strip()
            found.append(f'  File "{_FILENAME}", line {trace.tb_lineno}, in {code.co_name}\n    {line}\n')
        trace = trace.tb_next
    if len(found) > _KEPT_FRAMES:
        half = _KEPT_FRAMES // 2
        found[half:-half] = [f"  ... {len(found) - 2 * half} more frames ...\n"]
    return found
