"""How a program failed, and what it used: what `runner` says of each program, to be kept and pickled."""

from dataclasses import dataclass
from typing import Final, Literal

from evolve.fastcore.exchange import plain_text

__all__ = ["Failure", "FailureStatus", "Usage"]

FailureStatus = Literal["error", "timeout", "memory", "died", "protocol"]

_MESSAGE: Final = 2_000
_TRACEBACK: Final = 8_000


class Failure(Exception):  # noqa: N818 - a verdict on the program, not an error of ours
    """How a program failed.

    Attributes:
        status: "error", "timeout", "memory", "died" or "protocol".
        message: untrusted text, bounded, without control characters.
        traceback: the program's own frames, untrusted text likewise; often empty.
    """

    def __init__(self, status: FailureStatus, message: str, traceback: str = "") -> None:
        self.status: FailureStatus = status
        self.message = plain_text(message, _MESSAGE)
        self.traceback = plain_text(traceback, _TRACEBACK)
        super().__init__(f"{status}: {self.message}")

    def __reduce__(self) -> tuple[type["Failure"], tuple[FailureStatus, str, str]]:
        """Pickle between trusted processes; the default would call `__init__` with the joined text."""
        return Failure, (self.status, self.message, self.traceback)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a program used, all of it measured from outside.

    Attributes:
        cpu_seconds: user and system CPU of its process.
        wall_seconds: wall time spent waiting for it, set-up included.
        memory: greatest resident bytes, the zygote's shared pages included.
        output: first bytes of stdout and stderr, untrusted text without control characters.
        isolation: "strict", or "none" where it ran unconfined.
        setup_cpu: CPU seconds from its fork until it was ready: the fork itself, and the import of the block. All
            of them if it never was.
    """

    cpu_seconds: float
    wall_seconds: float
    memory: int
    output: str
    isolation: str
    setup_cpu: float = 0.0
