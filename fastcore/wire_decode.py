"""The reading end of `wire`: strict, bounded, and raising nothing but `WireError`, whatever the bytes."""

import struct
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from evolve.fastcore.limits import AnswerBounds
from evolve.fastcore.wire_format import (
    ALIGNMENT,
    ARRAY,
    BIG,
    BYTES,
    DICT,
    DTYPES,
    FALSE,
    KEY_LIMIT,
    LIST,
    MAX_RANK,
    NONE,
    PACKED,
    REAL,
    SCALAR,
    SMALL,
    TEXT,
    TRUE,
    TUPLE,
    BoundsError,
    WireError,
)

__all__ = ["decode"]

_U64: Final = struct.Struct("<Q")
_I64: Final = struct.Struct("<q")
_F64: Final = struct.Struct("<d")
_ZEROS: Final = bytes(ALIGNMENT)


def decode(data: bytes | bytearray | memoryview, bounds: AnswerBounds, views: bool = False) -> Any:
    """Return the value that `encode` wrote; arrays are fresh, writable copies in C order.

    Args:
        data: the bytes, a view of them as good as a copy.
        bounds: what the value may be.
        views: let arrays be read-only views of `data`, which they keep alive and which must not change any more.
            For trusted data only: a bool array is not looked through.

    Raises:
        WireError: the bytes are not exactly one value within `bounds`. No other exception, whatever the
            bytes.
    """
    reader = _Reader(data, bounds, views)
    value = reader.value(0)
    if reader.at != reader.end:
        raise WireError(f"{reader.end - reader.at} bytes follow the value")
    return value


class _Reader:
    """A position in the bytes, and what is left of the bounds."""

    __slots__ = ("at", "bounds", "cap", "data", "end", "keys", "nodes", "views")

    def __init__(self, data: bytes | bytearray | memoryview, bounds: AnswerBounds, views: bool) -> None:
        self.data = memoryview(data).toreadonly()
        self.views = views
        self.at = 0
        self.end = len(self.data)
        self.bounds = bounds
        self.nodes = bounds.nodes
        self.keys = bounds.keys
        self.cap = 10**bounds.digits if bounds.digits < 19 else 1 << 63

    def take(self, count: int) -> memoryview:
        start = self.at
        if count > self.end - start:
            raise WireError("the data ends inside a value")
        self.at = start + count
        return self.data[start : self.at]

    def spend(self, nodes: int) -> None:
        self.nodes -= nodes
        if self.nodes < 0:
            raise BoundsError(f"more than {self.bounds.nodes} values")

    def count(self) -> int:
        """Return a length; no more than the bytes that are left could hold."""
        count: int = _U64.unpack(self.take(8))[0]
        if count > self.end - self.at:
            raise WireError("a length exceeds the data")
        return count

    def value(self, depth: int) -> Any:
        tag = self.take(1)[0]
        self.spend(1)
        reader = _READERS.get(tag)
        if reader is None:
            raise WireError(f"unknown tag {tag}")
        return reader(self, depth)

    def small(self, _depth: int) -> int:
        value: int = _I64.unpack(self.take(8))[0]
        self.check_digits(value)
        return value

    def check_digits(self, value: int) -> None:
        if abs(value) >= self.cap and self.bounds.digits < 19:
            raise BoundsError(f"an integer of more than {self.bounds.digits} digits")

    def big(self, _depth: int) -> int:
        raw = self.take(self.count())
        bits = int(self.bounds.digits * 3.3219280948873626) + 1
        if 8 * len(raw) > bits + 16:
            raise BoundsError(f"an integer of more than {self.bounds.digits} digits")
        value = int.from_bytes(raw, "little", signed=True)
        if value.bit_length() > bits:
            raise BoundsError(f"an integer of more than {self.bounds.digits} digits")
        self.check_digits(value)
        return value

    def real(self, _depth: int) -> float:
        value: float = _F64.unpack(self.take(8))[0]
        return value

    def text(self, _depth: int) -> str:
        raw = self.take(self.count())
        if len(raw) > 4 * self.bounds.text:
            raise BoundsError(f"a string of more than {self.bounds.text} characters")
        try:
            value = str(raw, "utf-8")
        except UnicodeDecodeError:
            raise WireError("a string is not UTF-8") from None
        if len(value) > self.bounds.text:
            raise BoundsError(f"a string of more than {self.bounds.text} characters")
        return value

    def raw(self, _depth: int) -> bytes:
        raw = self.take(self.count())
        if len(raw) > self.bounds.text:
            raise BoundsError(f"a bytes value of more than {self.bounds.text} bytes")
        return bytes(raw)

    def inner(self, depth: int) -> int:
        if depth >= self.bounds.depth:
            raise BoundsError(f"data is nested more than {self.bounds.depth} deep")
        return depth + 1

    def sequence(self, depth: int) -> list[Any]:
        inner = self.inner(depth)
        return [self.value(inner) for _ in range(self.count())]

    def packed(self, depth: int) -> "list[Any] | tuple[Any, ...]":
        self.inner(depth)
        tag, letter = self.take(2)
        if tag not in (LIST, TUPLE) or letter not in b"dq":
            raise WireError("unknown packed sequence")
        count = self.count()
        self.spend(count)
        values = struct.unpack(f"<{count}{chr(letter)}", self.take(8 * count))
        if letter == b"q"[0] and values and self.bounds.digits < 19:
            self.check_digits(max(values))
            self.check_digits(min(values))
        return list(values) if tag == LIST else values

    def mapping(self, depth: int) -> dict[Any, Any]:
        inner = self.inner(depth)
        count = self.count()
        self.keys -= count
        if self.keys < 0:
            raise BoundsError(f"more than {self.bounds.keys} dict keys")
        found: dict[Any, Any] = {}
        for _ in range(count):
            key = self.value(inner)
            if type(key) not in (str, int) or (type(key) is int and abs(key) >= KEY_LIMIT) or key in found:
                raise WireError("a dict key is not a str or a small int, or comes twice")
            found[key] = self.value(inner)
        return found

    def dtype(self) -> "np.dtype[Any]":
        code = self.take(1)[0]
        if code >= len(DTYPES):
            raise WireError(f"unknown dtype {code}")
        return DTYPES[code]

    def elements(self, dtype: "np.dtype[Any]", count: int) -> "np.ndarray[Any, Any]":
        raw = self.take(count * dtype.itemsize)
        if self.views:
            return np.frombuffer(raw, dtype)
        if dtype.kind == "b" and count and int(np.frombuffer(raw, np.uint8).max()) > 1:
            raise WireError("a bool is neither 0 nor 1")  # numpy would compute nonsense with it
        return np.frombuffer(raw, dtype).copy()

    def array(self, _depth: int) -> "np.ndarray[Any, Any]":
        dtype = self.dtype()
        rank = self.take(1)[0]
        if rank > MAX_RANK:
            raise WireError(f"an array of rank {rank}")
        shape = struct.unpack(f"<{rank}Q", self.take(8 * rank))
        size, span = 1, 1
        for length in shape:
            size *= length
            span *= max(length, 1)
        if span > 1 << 40:
            raise WireError("the shape of an array is too large")
        gap = -self.at % ALIGNMENT
        if self.take(gap) != _ZEROS[:gap]:  # a second way to write the same value
            raise WireError("the bytes before an array are not zero")
        return self.elements(dtype, size).reshape(shape)

    def scalar(self, _depth: int) -> "np.generic":
        value: np.generic = self.elements(self.dtype(), 1)[0]
        return value


_READERS: Final[dict[int, Callable[[_Reader, int], Any]]] = {
    NONE: lambda _reader, _depth: None,
    TRUE: lambda _reader, _depth: True,
    FALSE: lambda _reader, _depth: False,
    SMALL: _Reader.small,
    BIG: _Reader.big,
    REAL: _Reader.real,
    TEXT: _Reader.text,
    BYTES: _Reader.raw,
    LIST: _Reader.sequence,
    TUPLE: lambda reader, depth: tuple(reader.sequence(depth)),
    DICT: _Reader.mapping,
    ARRAY: _Reader.array,
    SCALAR: _Reader.scalar,
    PACKED: _Reader.packed,
}
