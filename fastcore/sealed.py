"""One encoded case that many programs read: written once, sealed, mapped by each at "go".

Knows memory files and seals; knows no program and no channel. Where there are no memory files (macOS) the bytes
are held instead, and travel with each call.
"""

import functools
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

__all__ = ["SEAL_AS_IT_IS", "SEAL_FUTURE_WRITE", "SEAL_SIZE", "Sealed", "add_seals", "memory_file",
           "memory_files_work"]  # fmt: skip

# linux/fcntl.h; the `fcntl` module of Python does not have all of them.
_F_ADD_SEALS: Final = 1033
SEAL_AS_IT_IS: Final = 0x1
"""No more seals."""
SEAL_SIZE: Final = 0x2 | 0x4
"""Neither shrinks nor grows: whoever has mapped it can never be sent SIGBUS."""
SEAL_FUTURE_WRITE: Final = 0x10
"""Only mappings that exist already can write; later ones are read-only for good (Linux 5.1)."""
_INLINE_UP_TO: Final = 32 << 10


def memory_file(size: int) -> int:
    """Return the descriptor of a new memory file of `size` zero bytes, none of them allocated yet."""
    descriptor = os.memfd_create("evolve", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, size)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def add_seals(descriptor: int, seals: int) -> None:
    """Add `seals` for good.

    Raises:
        OSError: a writable mapping is in the way, or the file is sealed against seals.
    """
    import fcntl  # not where there are no memory files

    fcntl.fcntl(descriptor, _F_ADD_SEALS, seals)


@functools.cache
def memory_files_work() -> bool:
    """Whether this kernel makes memory files and knows every seal that is needed."""
    try:
        descriptor = memory_file(1)
    except (AttributeError, OSError):  # macOS; a sandbox that forbids them
        return False
    try:
        add_seals(descriptor, SEAL_FUTURE_WRITE | SEAL_SIZE | SEAL_AS_IT_IS)
    except OSError:  # before Linux 5.1
        return False
    finally:
        os.close(descriptor)
    return Path("/proc/self/fd").is_dir()  # for `Sealed.open`


class Sealed:
    """The encoded arguments of one call, for any number of programs; a context manager that closes.

    A long body lies in a memory file whose content and size are sealed: a program maps it, read-only, when it is
    asked, at a cost that does not depend on the size. A short one is cheaper to copy, and holds no descriptor.

    Attributes:
        size: bytes of the body.
    """

    def __init__(self, body: bytes) -> None:
        """Write and seal.

        Args:
            body: `wire.encode` of the tuple of arguments.

        Raises:
            OSError: no memory, or no descriptor, is left for it.
        """
        self.size = len(body)
        self._descriptor = -1
        self._body: bytes | None = body
        if self.size > _INLINE_UP_TO and memory_files_work():
            self._descriptor, self._body = _written(body), None

    @property
    def in_file(self) -> bool:
        """Whether the body lies in a memory file.

        Raises:
            ValueError: it is closed.
        """
        if self._descriptor < 0 and self._body is None:
            raise ValueError("sealed: it is closed; keep it open while programs are asked")
        return self._descriptor >= 0

    def open(self) -> int:
        """Return a new descriptor of the memory file, to be closed by the caller.

        Opened anew, so that no two programs share the position of one open file, nor its time of access: a program
        could leave the next one a message there.

        Raises:
            OSError: no descriptor is left.
        """
        return os.open(f"/proc/self/fd/{self._descriptor}", os.O_RDONLY | os.O_NOATIME | os.O_CLOEXEC)

    def body(self) -> bytes:
        """Return a copy of the bytes.

        Raises:
            ValueError: it is closed.
        """
        if not self.in_file:
            assert self._body is not None
            return self._body
        parts, at = [], 0
        while at < self.size:  # one read gives at most 2 GiB
            parts.append(os.pread(self._descriptor, self.size - at, at))
            at += len(parts[-1])
        return b"".join(parts)

    def close(self) -> None:
        """Give up the memory, but for what programs have mapped; idempotent."""
        self._body = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            self.close()


def _written(body: bytes) -> int:
    descriptor = memory_file(len(body))
    try:
        view, at = memoryview(body), 0
        while at < len(body):
            at += os.pwrite(descriptor, view[at:], at)
        # Not F_SEAL_WRITE: it waits for every page that the kernel holds for reasons of its own, and may say "busy".
        # Nobody has mapped the file for writing, and from here on nobody can; write() is refused as well.
        add_seals(descriptor, SEAL_FUTURE_WRITE | SEAL_SIZE | SEAL_AS_IT_IS)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
