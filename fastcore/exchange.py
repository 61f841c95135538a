"""The supervisor's end of one child's channel: ring for a call, wait for its bell, drain its output meanwhile.

Knows bells, deadlines and caps; believes nothing: a bell out of turn, with a wrong nonce or of too long a body
ends the program. Knows no process and no zygote.
"""

import array
import contextlib
import os
import re
import select
import socket
import time
from collections.abc import Callable
from typing import Final

from evolve.fastcore.buffers import ROOM_TO_ASK, Buffers
from evolve.fastcore.channel import HEADER, IN_ASKS, IN_FILE, IN_STREAM
from evolve.fastcore.child import ANSWER, ROOM_FOR_REPORT
from evolve.fastcore.sealed import Sealed, memory_files_work

__all__ = ["ClosedError", "Exchange", "ForgedError", "plain_text"]

# Control characters but tab and newline, soft hyphen, bidirectional and zero-width marks, line separators,
# tags.
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\uffff"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
_CHUNK: Final = 1 << 16
_BELL: Final = 64


class ClosedError(Exception):
    """The child's end of the channel is closed: it ended, or closed it."""


class ForgedError(Exception):
    """The child sent what no honest child sends; the message says what."""


def plain_text(text: str | bytes, limit: int) -> str:
    """Return at most `limit` characters of untrusted text without control or invisible characters."""
    if isinstance(text, bytes):
        text = text[: 4 * limit].decode("utf-8", "replace")
    return _UNPRINTABLE.sub("", text[: 2 * limit])[:limit]


class Exchange:
    """One channel (a stream socket, and memory shared with the child) and one output pipe.

    Socket and pipe are read without blocking. Where there are no memory files, bodies follow their bells through
    the socket.
    """

    def __init__(self, answer_bytes: int, output_bytes: int) -> None:
        """Make them.

        Args:
            answer_bytes: longest encoded answer.
            output_bytes: bytes of output that are kept.

        Raises:
            OSError: no memory, or no descriptor, is left.
        """
        room = max(answer_bytes, ROOM_FOR_REPORT)
        with contextlib.ExitStack() as undo:  # there may be too few descriptors for all of it
            self._buffers = Buffers(room) if memory_files_work() else None
            if self._buffers is not None:
                undo.callback(self._buffers.close_child_ends)
                undo.callback(self._buffers.close)
            self._socket, self._child_end = socket.socketpair()
            undo.callback(self._socket.close)
            undo.callback(self._child_end.close)
            self._output, self._child_output = os.pipe()
            undo.pop_all()
        self._socket.setblocking(False)
        os.set_blocking(self._output, False)
        self._answer_bytes = answer_bytes
        self._room = output_bytes
        self.output = bytearray()
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._poll.register(self._output, select.POLLIN)

    @property
    def for_child(self) -> tuple[int, ...]:
        """The child's descriptors: channel, output and, where memory is shared, the two memory files."""
        ends = self._child_end.fileno(), self._child_output
        return ends if self._buffers is None else (*ends, *self._buffers.for_child)

    def close_child_ends(self) -> None:
        """Close what the child has now; without this its end would never be noticed."""
        self._child_end.close()
        os.close(self._child_output)
        if self._buffers is not None:
            self._buffers.close_child_ends()

    def request(self, body: bytes | Sealed, deadline: float, look: Callable[[], float]) -> tuple[int, bytes]:
        """Make one call and return the kind and a private copy of the body of the answer.

        Args:
            body: encoded arguments.
            deadline: monotonic seconds at which to give up.
            look: called at least when its last answer, in seconds, has passed; raises to give up (CPU
                budget).

        Raises:
            TimeoutError: no answer by `deadline`.
            ClosedError: the channel ended.
            ForgedError: a bell out of turn, with a wrong nonce, of too long a body, or of none.
        """
        nonce = os.urandom(8)  # nobody can have rung with it before
        self._ask(nonce, body, deadline, look)
        head = self._wait(HEADER.size, deadline, look)
        bell, rest = head[: HEADER.size], bytearray(head[HEADER.size :])
        got_nonce, kind, length = HEADER.unpack(bell)
        if got_nonce != nonce:
            raise ForgedError("it answered a call that was not made")
        if length > (self._answer_bytes if kind == ANSWER else ROOM_FOR_REPORT):
            raise ForgedError(
                f"it announced an answer of {length} bytes; at most {self._answer_bytes} are allowed"
            )
        if self._buffers is None:
            while len(rest) < length:
                rest += self._wait(1, deadline, look)
        elif not rest:
            answer = self._buffers.answer(bell, length)
            if answer is None:
                raise ForgedError("it rang without an answer to this call in the shared memory")
            return kind, answer
        if len(rest) > length or self._buffers is not None:
            raise ForgedError("it sent more than one answer")
        return kind, bytes(rest)

    def _ask(self, nonce: bytes, body: bytes | Sealed, deadline: float, look: Callable[[], float]) -> None:
        if self._buffers is None:
            data = body.body() if isinstance(body, Sealed) else body
            self._send(HEADER.pack(nonce, IN_STREAM, len(data)) + data, deadline, look)
            return
        self._buffers.poison()
        if isinstance(body, Sealed):
            if body.in_file:
                descriptor = body.open()
                try:
                    self._send(HEADER.pack(nonce, IN_FILE, body.size), deadline, look)
                    self._send(b"F", deadline, look, descriptor)
                finally:
                    os.close(descriptor)
                return
            body = body.body()
        if len(body) > ROOM_TO_ASK:
            with Sealed(body) as once:
                self._ask(nonce, once, deadline, look)
            return
        self._buffers.ask(body)
        self._send(HEADER.pack(nonce, IN_ASKS, len(body)), deadline, look)

    def _send(
        self, data: bytes, deadline: float, look: Callable[[], float], descriptor: int | None = None
    ) -> None:
        rights = (
            []
            if descriptor is None
            else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        )
        view = memoryview(data)
        while view:
            try:
                sent = self._socket.sendmsg([view], rights) if rights else self._socket.send(view)
            except BlockingIOError:
                self._pause(deadline, look, writing=True)
            except ConnectionError as error:
                raise ClosedError from error
            else:
                view, rights = view[sent:], []

    def _wait(self, least: int, deadline: float, look: Callable[[], float]) -> bytes:
        got = b""
        while len(got) < least:
            self._pause(deadline, look, writing=False)
            try:
                data = self._socket.recv(_CHUNK if self._buffers is None else _BELL)
            except BlockingIOError:  # it was the output pipe
                continue
            except ConnectionError:
                data = b""
            if not data:
                raise ClosedError
            got += data
        return got

    def _pause(self, deadline: float, look: Callable[[], float], writing: bool) -> None:
        """Return when the channel may be ready; drain the output pipe meanwhile."""
        if writing:
            self._poll.modify(self._socket, select.POLLIN | select.POLLOUT)
        try:
            now = time.monotonic()
            if now >= deadline:
                raise TimeoutError
            pause = min(deadline - now, look())
            ready = self._poll.poll(pause * 1000.0 + 0.5)
        finally:
            if writing:
                self._poll.modify(self._socket, select.POLLIN)
        if any(number == self._output for number, _event in ready):
            self.drain(1)
        if writing and any(number != self._output and event == select.POLLIN for number, event in ready):
            raise ForgedError("it sent an answer before it had the call")

    def drain(self, most: int) -> None:
        """Read what the child has printed, at most `most` chunks; keep the first bytes, drop the rest."""
        for _ in range(most):
            try:
                data = os.read(self._output, _CHUNK)
            except BlockingIOError:
                return
            if not data:  # end of file would make every poll return at once
                self._poll_out()
                return
            self.output += data[: self._room - len(self.output)]

    def _poll_out(self) -> None:
        try:
            self._poll.unregister(self._output)
        except KeyError:
            return

    def close(self) -> None:
        """Keep what is left in the output pipe and close both; once only."""
        self.drain(16)
        self._socket.close()
        os.close(self._output)
        if self._buffers is not None:
            self._buffers.close()
