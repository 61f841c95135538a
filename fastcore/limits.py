"""What one program may use and how large an answer may be: plain numbers, checked once, at the door.

Knows no process and no jail; enforcement lives in `jail`, `runner` and `wire`.
"""

import math
from dataclasses import dataclass, fields

__all__ = ["MAX_SOURCE", "AnswerBounds", "Limits", "source_fault"]

MAX_SOURCE = 64 * 1024
"""Longest source of a block, in bytes of UTF-8; longer ones are refused before any process sees them."""


def source_fault(source: str) -> str:
    """Say why a text is no program, whatever stands in it: it is too long, or holds a NUL; "" if neither."""
    if len(source) > MAX_SOURCE or len(source.encode("utf-8", "surrogatepass")) > MAX_SOURCE:
        return f"the program is longer than {MAX_SOURCE} bytes"
    return "the program holds a NUL character" if "\0" in source else ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use.

    Attributes:
        seconds: wall seconds a case; only the time spent waiting for the program counts.
        cpu_seconds: CPU seconds of the whole process, set-up included.
        setup_seconds: wall seconds for the import of the block.
        memory: bytes that the program may map on top of what the zygote already holds; its cases count.
        answer_bytes: longest encoded answer of one call.
        output_bytes: bytes of stdout and stderr (together) that are kept; the rest is thrown away.
        threads: 1 denies threads; of a larger number the supervisor, which counts them every 20 ms while it
            waits, ends a program that has more.

    Raises:
        ValueError: a limit is not a positive, finite number.
    """

    seconds: float = 10.0
    cpu_seconds: float = 60.0
    setup_seconds: float = 10.0
    memory: int = 1 << 30
    answer_bytes: int = 16 << 20
    output_bytes: int = 16 << 10
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("seconds", "cpu_seconds", "setup_seconds"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
                raise ValueError(f"limits: {name} is {value!r}; give a positive number of seconds")
        for name in ("memory", "answer_bytes", "threads"):
            _whole("limits", name, getattr(self, name), 1)
        _whole("limits", "output_bytes", self.output_bytes, 0)


@dataclass(frozen=True, slots=True)
class AnswerBounds:
    """How large and how deep decoded plain data may be; checked before anything looks at it.

    Attributes:
        nodes: values in all, an array counting as one.
        depth: containers inside one another, at most 64.
        digits: decimal digits of an integer (checked through its bits, so to within one digit).
        text: characters of one string, or bytes of one bytes value.
        keys: keys of all dicts together.

    Raises:
        ValueError: a bound is not a positive integer, or depth exceeds 64.
    """

    nodes: int = 1_000_000
    depth: int = 32
    digits: int = 4_000
    text: int = 1_000_000
    keys: int = 100_000

    def __post_init__(self) -> None:
        for field in fields(self):
            _whole("answer bounds", field.name, getattr(self, field.name), 1)
        if self.depth > 64:
            raise ValueError(f"answer bounds: depth is {self.depth}; the wire carries at most 64")


def _whole(where: str, name: str, value: object, least: int) -> None:
    if type(value) is not int or value < least:
        raise ValueError(f"{where}: {name} is {value!r}; give an integer of at least {least}")
