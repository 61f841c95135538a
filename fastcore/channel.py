"""The child's end of its channel: bells over a socket, bodies in shared memory (or over the socket as well).

Loaded by the zygote, with `child`. A bell says who is called (a nonce), where the body lies and how long it is.
Nothing here is trusted once the block has started; `exchange` and `buffers` are the end that checks.
"""

import ctypes
import mmap
import os
import socket
import struct
import sys
from typing import Any, Final

import numpy as np

from evolve.fastcore.wire_format import ALIGNMENT

__all__ = ["ANSWERS", "ASKS", "BODY_AT", "CHANNEL", "HEADER", "IN_ASKS", "IN_FILE", "IN_STREAM", "Channel"]

CHANNEL: Final = 3
"""Descriptor of the child's end of the socket; 0 is /dev/null, 1 and 2 are the output pipe."""
ASKS: Final = 4
"""Descriptor of the memory file with the body of a call, until the child has mapped it (read-only)."""
ANSWERS: Final = 5
"""Descriptor of the memory file for the answer, likewise."""
HEADER: Final = struct.Struct("<8sBQ")
"""Nonce, kind (or place) and length of the body: a bell, both ways, and the first bytes of `ANSWERS`."""
BODY_AT: Final = 64
"""Where the body begins in `ANSWERS`."""
IN_STREAM, IN_ASKS, IN_FILE = 0, 1, 2
"""Places of a call's body: behind the bell, in `ASKS`, in a memory file that the byte behind the bell carries."""

_DESCRIPTOR: Final = struct.Struct("i")
_RIGHTS: Final = socket.CMSG_SPACE(_DESCRIPTOR.size)
_SHARED: Final[dict[str, Any]] = {"flags": mmap.MAP_SHARED}
if sys.version_info >= (3, 13):  # before, a mapping keeps a copy of its descriptor open
    _SHARED["trackfd"] = False


class Channel:
    """One program's channel. `receive` a bell, take the `body`, `send` an answer."""

    def __init__(self, link: socket.socket, files: tuple[int, int] | None) -> None:
        """Map the two buffers if bodies are shared; their descriptors are the caller's to close.

        Args:
            link: the socket.
            files: descriptors of the memory files for what is asked and for what is answered, if there are any.

        Raises:
            OSError: the kernel refuses to map them.
        """
        self._socket = link
        self._number = link.fileno()
        self._asks = self._answers = None
        self.mapped = 0
        if files is not None:
            self._asks = mmap.mmap(files[0], 0, prot=mmap.PROT_READ, **_SHARED)
            self._answers = mmap.mmap(files[1], 0, **_SHARED)
            self.mapped = len(self._asks) + len(self._answers)
        self._place = IN_STREAM
        self._length = 0

    def receive(self) -> bytes:
        """Wait for the next call and return its nonce.

        Raises:
            EOFError: the supervisor is gone.
        """
        head = bytearray(HEADER.size)
        self._fill(memoryview(head))
        nonce: bytes
        nonce, self._place, self._length = HEADER.unpack(head)
        return nonce

    def body(self) -> memoryview:
        """Return the body of the call last received: read-only, 64-byte aligned, alive as long as its views.

        Raises:
            MemoryError: the program's memory does not suffice to hold or to map it.
            OSError: the program has left no descriptor free.
        """
        if self._place == IN_FILE:
            return self._mapped_file()
        block = np.empty(self._length + ALIGNMENT, np.uint8)
        start = -ctypes.addressof(ctypes.c_char.from_buffer(block.data)) % ALIGNMENT
        room = block.data[start : start + self._length]
        if self._place == IN_ASKS:  # copied: what the program keeps of it must outlive the next call
            assert self._asks is not None
            room[:] = memoryview(self._asks)[: self._length]
        else:
            self._fill(room)
        return room.toreadonly()

    def send(self, nonce: bytes, kind: int, body: bytes | bytearray) -> None:
        """Lay down the answer and ring."""
        bell = HEADER.pack(nonce, kind, len(body))
        if self._answers is None:
            view = memoryview(bell + body)
            while view:
                view = view[os.write(self._number, view) :]
            return
        self._answers[BODY_AT : BODY_AT + len(body)] = body
        self._answers[: HEADER.size] = bell
        os.write(self._number, bell)

    def _mapped_file(self) -> memoryview:
        """Map the file whose descriptor comes with one more byte: a plain read of the bell would have lost it."""
        _byte, ancillary, _flags, _address = self._socket.recvmsg(1, _RIGHTS)
        if not ancillary:
            raise OSError("the program left no descriptor free for its next case")
        descriptor = _DESCRIPTOR.unpack(ancillary[0][2])[0]
        try:
            return memoryview(mmap.mmap(descriptor, self._length, prot=mmap.PROT_READ, **_SHARED))
        except OSError as error:
            raise MemoryError(f"{self._length} bytes of a case cannot be mapped: {error}") from None
        finally:
            os.close(descriptor)

    def _fill(self, room: memoryview) -> None:
        while room:
            got = os.readv(self._number, [room])
            if not got:
                raise EOFError
            room = room[got:]
