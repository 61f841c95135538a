"""The supervisor's end of the memory it shares with one child: what is asked goes in, what is answered comes out.

Two memory files a program, made afresh, so that no program leaves anything to the next. The child can neither write
the one nor change the size or the seals of the other: no pointer into them can be made to fault here.
"""

import ctypes
import mmap
import os
from typing import Final

from evolve.fastcore.channel import BODY_AT, HEADER
from evolve.fastcore.sealed import (
    SEAL_AS_IT_IS,
    SEAL_FUTURE_WRITE,
    SEAL_SIZE,
    add_seals,
    memory_file,
)

__all__ = ["ROOM_TO_ASK", "Buffers"]

ROOM_TO_ASK: Final = 1 << 20
"""Longest body that is copied through the shared memory, in bytes; a longer one travels as a file of its own."""
_POISON: Final = b"\xff" * 4096  # no tag of `wire` and, in floats, NaN


class Buffers:
    """The two memory files of one child, both mapped here; the child's descriptors are `for_child`."""

    def __init__(self, room_to_answer: int) -> None:
        """Make, map and seal them.

        Args:
            room_to_answer: longest body that the child may lay down, in bytes.

        Raises:
            OSError: no memory, or no descriptor, is left.
        """
        made: list[int] = []
        try:
            made += [memory_file(ROOM_TO_ASK)]
            made += [memory_file(-(-(BODY_AT + room_to_answer) // mmap.PAGESIZE) * mmap.PAGESIZE)]
            asks, answers = made
            self._asks, self._answers = mmap.mmap(asks, 0), mmap.mmap(answers, 0)
            add_seals(asks, SEAL_FUTURE_WRITE | SEAL_SIZE | SEAL_AS_IT_IS)
            add_seals(answers, SEAL_SIZE | SEAL_AS_IT_IS)
        except OSError:
            for descriptor in made:
                os.close(descriptor)
            raise
        self.for_child = asks, answers
        self._used = HEADER.size

    def close_child_ends(self) -> None:
        """Close the descriptors; the mappings stay."""
        for descriptor in self.for_child:
            os.close(descriptor)

    def ask(self, body: bytes) -> None:
        """Lay down a call of at most `ROOM_TO_ASK` bytes."""
        self._asks[: len(body)] = body

    def poison(self) -> None:
        """Overwrite the last answer, so that it cannot be taken for the next one."""
        if self._used <= len(_POISON):
            self._answers[: self._used] = _POISON[: self._used]
        else:
            ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(self._answers)), _POISON[0], self._used)

    def answer(self, bell: bytes, length: int) -> bytes | None:
        """Return a private copy of an answer's body, or None if it does not begin with the very bell that was rung.

        Args:
            bell: what came over the socket.
            length: the body's bytes, at most the `room_to_answer`.
        """
        self._used = BODY_AT + length
        if self._answers[: HEADER.size] != bell:
            return None
        return self._answers[BODY_AT : BODY_AT + length]

    def close(self) -> None:
        """Unmap both; once only."""
        self._asks.close()
        self._answers.close()
