"""The supervisor's end of one child's channel: send a call, wait for its frame, drain its output meanwhile.

Knows frames, deadlines and caps; believes nothing: a frame out of turn, with a wrong nonce or too long ends
the program. Knows no process and no zygote.
"""

import os
import re
import secrets
import select
import socket
import time
from collections.abc import Callable
from typing import Final

from evolve.fastcore.child import ANSWER, HEADER, ROOM_FOR_REPORT

__all__ = ["ClosedError", "Exchange", "ForgedError", "plain_text"]

# Control characters but tab and newline, soft hyphen, bidirectional and zero-width marks, line separators,
# tags.
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\uffff"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
_CHUNK: Final = 1 << 16


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
    """One channel (a stream socket) and one output pipe, both read without blocking."""

    def __init__(self, answer_bytes: int, output_bytes: int) -> None:
        self._socket, self.child_end = socket.socketpair()
        self._output, self.child_output = os.pipe()
        self._socket.setblocking(False)
        os.set_blocking(self._output, False)
        self._answer_bytes = answer_bytes
        self._room = output_bytes
        self.output = bytearray()
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._poll.register(self._output, select.POLLIN)

    def close_child_ends(self) -> None:
        """Close what the child has now; without this its end would never be noticed."""
        self.child_end.close()
        os.close(self.child_output)

    def request(self, body: bytes, deadline: float, look: Callable[[], float]) -> tuple[int, bytearray]:
        """Send one call and return the kind and the body of the answer.

        Args:
            body: encoded arguments.
            deadline: monotonic seconds at which to give up.
            look: called at least when its last answer, in seconds, has passed; raises to give up (CPU
                budget).

        Raises:
            TimeoutError: no answer by `deadline`.
            ClosedError: the channel ended.
            ForgedError: a frame out of turn, with a wrong nonce, or too long.
        """
        self._check_silence()
        nonce = secrets.token_bytes(8)
        self._send(HEADER.pack(nonce, 0, len(body)) + body, deadline, look)
        head = self._wait(HEADER.size, deadline, look)
        got_nonce, kind, length = HEADER.unpack_from(head)
        if got_nonce != nonce:
            raise ForgedError("it answered a call that was not made")
        if length > (self._answer_bytes if kind == ANSWER else ROOM_FOR_REPORT):
            raise ForgedError(
                f"it announced an answer of {length} bytes; at most {self._answer_bytes} are allowed"
            )
        rest = head[HEADER.size :]
        while len(rest) < length:
            rest += self._wait(1, deadline, look)
        if len(rest) > length:
            raise ForgedError("it sent more than one answer")
        return kind, rest

    def _check_silence(self) -> None:
        try:
            early = self._socket.recv(1)
        except BlockingIOError:
            return
        except ConnectionError:
            early = b""
        if early:
            raise ForgedError("it sent an answer before it was asked")
        raise ClosedError

    def _send(self, data: bytes, deadline: float, look: Callable[[], float]) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                self._pause(deadline, look, writing=True)
            except ConnectionError as error:
                raise ClosedError from error

    def _wait(self, least: int, deadline: float, look: Callable[[], float]) -> bytearray:
        got = bytearray()
        while len(got) < least:
            self._pause(deadline, look, writing=False)
            try:
                data = self._socket.recv(1 << 20 if got or least == 1 else _CHUNK)
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
