"""The child's end of its channel: bells over a socket, bodies in shared memory (or over the socket as well).

Loaded by the zygote, with `child`. A bell says who is called (a nonce), where the body lies and how long it is.
Nothing here is trusted once the block has started; `exchange` and `buffers` are the end that checks.
"""

import array
import ctypes
import mmap
import os
import socket
import struct
import weakref
from typing import Final

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
"""Places of a call's body: behind the bell, in `ASKS`, in a memory file that the bell carries."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_MAP_FAILED: Final = ctypes.c_void_p(-1).value
_RIGHTS: Final = socket.CMSG_SPACE(array.array("i").itemsize)


class Channel:
    """One program's channel. `receive` a bell, take the `body`, `send` an answer."""

    def __init__(self, shared: bool) -> None:
        """Map the two buffers if bodies are shared; their descriptors are the caller's to close.

        Raises:
            MemoryError: the kernel refuses to map them.
        """
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, CHANNEL)
        self._asks = _mapped(ASKS, mmap.PROT_READ) if shared else None
        self._answers = _mapped(ANSWERS, mmap.PROT_READ | mmap.PROT_WRITE) if shared else None
        self.mapped = sum(view.nbytes for view in (self._asks, self._answers) if view is not None)
        self._place = IN_STREAM
        self._length = 0
        self._descriptors: list[int] = []

    def receive(self) -> bytes:
        """Wait for the next call and return its nonce.

        Raises:
            EOFError: the supervisor is gone.
        """
        head, ancillary, _flags, _address = self._socket.recvmsg(HEADER.size, _RIGHTS)
        if len(head) < HEADER.size:
            head += self._read(HEADER.size - len(head))
        nonce: bytes
        nonce, self._place, self._length = HEADER.unpack(head)
        self._descriptors = [fd for _level, _type, data in ancillary for fd in array.array("i", data)]
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
        start = -ctypes.addressof(ctypes.c_char.from_buffer(block)) % ALIGNMENT
        room = memoryview(block)[start : start + self._length]
        if self._place == IN_ASKS:  # copied: what the program keeps of it must outlive the next call
            assert self._asks is not None
            room[:] = self._asks[: self._length]
        else:
            self._fill(room)
        return room.toreadonly()

    def send(self, nonce: bytes, kind: int, body: bytes | bytearray) -> None:
        """Lay down the answer and ring."""
        bell = HEADER.pack(nonce, kind, len(body))
        if self._answers is None:
            view = memoryview(bell + body)
            while view:
                view = view[os.write(CHANNEL, view) :]
            return
        self._answers[BODY_AT : BODY_AT + len(body)] = body
        self._answers[: HEADER.size] = bell
        os.write(CHANNEL, bell)

    def _mapped_file(self) -> memoryview:
        if not self._descriptors:
            raise OSError("the program left no descriptor free for its next case")
        descriptor = self._descriptors.pop()
        try:
            return _mapped(descriptor, mmap.PROT_READ).toreadonly()
        finally:
            os.close(descriptor)

    def _read(self, count: int) -> bytearray:
        data = bytearray(count)
        self._fill(memoryview(data))
        return data

    def _fill(self, room: memoryview) -> None:
        while room:
            got = os.readv(CHANNEL, [room])
            if not got:
                raise EOFError
            room = room[got:]


def _mapped(descriptor: int, protection: int) -> memoryview:
    """Map a whole file, shared; it is unmapped when the last view of it is gone.

    Not `mmap.mmap`, which keeps a copy of the descriptor, for the program to use.
    """
    length = os.fstat(descriptor).st_size
    address = _libc.mmap(None, length, protection, mmap.MAP_SHARED, descriptor, 0)
    if address == _MAP_FAILED:
        raise MemoryError(f"{length} bytes of a case cannot be mapped: {os.strerror(ctypes.get_errno())}")
    block = (ctypes.c_char * length).from_address(address)
    weakref.finalize(block, _libc.munmap, address, length)
    return memoryview(block).cast("B")
