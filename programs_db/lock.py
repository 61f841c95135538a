"""One writer for one ledger: a lock on a file beside it, which the kernel drops when its holder dies.

Knows paths and process ids, nothing of databases.
"""

import contextlib
import errno
import fcntl
import os
from pathlib import Path

from evolve.programs_db.errors import LedgerBusy, LedgerFull

__all__ = ["WriterLock", "is_held"]


class WriterLock:
    """Holds `<path>.lock` until `release` or the death of the process.

    A file of its own, because closing any other handle on the database would drop SQLite's POSIX locks. It
    stays behind when released: to unlink it would let two writers lock two files of the same name.

    Args:
        path: the ledger, with symbolic links resolved.

    Raises:
        LedgerBusy: another process, or another `Ledger` of this one, holds it.
        LedgerFull: the folder cannot be written, or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        name = path.with_name(path.name + ".lock")
        try:
            self._fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT):
                mend = (
                    "free some space"
                    if error.errno in (errno.ENOSPC, errno.EDQUOT)
                    else "make the folder writable"
                )
                raise LedgerFull(f"{path}: cannot lock the ledger ({error.strerror}); {mend}") from error
            raise
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip()
            os.close(self._fd)
            pid = int(holder) if holder.isdigit() else None
            who = f"process {pid}" if pid is not None else "another process"
            raise LedgerBusy(f"{path}: {who} is writing this ledger; wait for it or stop it", pid) from None
        # The number only serves the message above, so a full disk must not stop us here.
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next writer in. Releasing twice is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def is_held(ledger: Path) -> bool:
    """Whether a process holds the lock of a ledger, as far as the kernel tells; nothing is locked to find out."""
    try:
        held = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
        lock = ledger.resolve()
        node = str(lock.with_name(lock.name + ".lock").stat().st_ino)
    except (OSError, UnicodeDecodeError):
        return False
    return any(node == place.rpartition(":")[2] for words in held for place in words if ":" in place)
