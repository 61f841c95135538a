"""Plain data in and out of the jail: a small tagged binary format, never pickle.

Knows types, sizes and bounds; knows no process. `decode` builds exact built-in types and numpy arrays only,
so that no method of a stranger's class survives the crossing.
"""

import operator
import struct
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from evolve.fastcore.limits import AnswerBounds

__all__ = ["TRUSTED", "BoundsError", "WireError", "decode", "encode"]

MAX_DEPTH: Final = 64
MAX_RANK: Final = 8
TRUSTED: Final = AnswerBounds(nodes=1 << 62, depth=MAX_DEPTH, digits=1 << 40, text=1 << 40, keys=1 << 62)
"""Bounds for data that came from a supervisor: only the format itself limits it."""

# The order is the wire format. `kind + itemsize` names a dtype whatever its byte order or C spelling.
_DTYPES: Final = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8")
_CODE: Final = {name: code for code, name in enumerate(_DTYPES)}
_DTYPE: Final = tuple(np.dtype(np.bool_) if name == "b1" else np.dtype("<" + name) for name in _DTYPES)

_COUNT: Final = struct.Struct("<BQ")
_INT: Final = struct.Struct("<Bq")
_FLOAT: Final = struct.Struct("<Bd")
_U64: Final = struct.Struct("<Q")
_I64: Final = struct.Struct("<q")
_F64: Final = struct.Struct("<d")
_NONE, _TRUE, _FALSE = b"N"[0], b"T"[0], b"F"[0]
_SMALL, _BIG, _REAL, _TEXT, _BYTES = b"i"[0], b"I"[0], b"f"[0], b"s"[0], b"b"[0]
_LIST, _TUPLE, _DICT, _ARRAY, _SCALAR, _PACKED = b"l"[0], b"t"[0], b"d"[0], b"a"[0], b"n"[0], b"p"[0]
# Below 2**60 distinct integers have distinct hashes (CPython reduces modulo 2**61 - 1): beyond, a hostile
# dict of multiples of that prime would make its insertion quadratic.
_KEY_LIMIT: Final = 1 << 60
_PACK_FROM: Final = 8


class WireError(ValueError):
    """The value is not plain data, or the bytes are not a plain value within its bounds."""


class BoundsError(WireError):
    """A well-formed value exceeds its `AnswerBounds`."""


def encode(value: object) -> bytes:
    """Return the bytes of a plain value.

    Plain are None, bool, int, float, str, bytes, list, tuple, dict with str or int keys, numpy arrays (rank
    at most 8) and scalars of bool, int8-64, uint8-64, float32 and float64. A subclass travels as its plain
    base value; anything with `__array__` as the array it gives.

    Raises:
        WireError: the value (or a part of it) is not plain, with the name of its type.
    """
    out = bytearray()
    _put(out, value, 0)
    return bytes(out)


def _put(out: bytearray, value: Any, depth: int) -> None:
    writer = _WRITERS.get(type(value))
    if writer is None:
        _put_other(out, value, depth)
    else:
        writer(out, value, depth)


def _put_none(out: bytearray, _value: None, _depth: int) -> None:
    out.append(_NONE)


def _put_bool(out: bytearray, value: bool, _depth: int) -> None:
    out.append(_TRUE if value else _FALSE)


def _put_int(out: bytearray, value: int, _depth: int) -> None:
    if -(1 << 63) <= value < 1 << 63:
        out += _INT.pack(_SMALL, value)
    else:
        raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        out += _COUNT.pack(_BIG, len(raw))
        out += raw


def _put_float(out: bytearray, value: float, _depth: int) -> None:
    out += _FLOAT.pack(_REAL, value)


def _put_text(out: bytearray, value: str, _depth: int) -> None:
    try:
        raw = value.encode()
    except UnicodeEncodeError:
        raise WireError("a string holds a lone surrogate; give text that UTF-8 can hold") from None
    out += _COUNT.pack(_TEXT, len(raw))
    out += raw


def _put_bytes(out: bytearray, value: bytes, _depth: int) -> None:
    out += _COUNT.pack(_BYTES, len(value))
    out += value


def _put_sequence(out: bytearray, value: "list[Any] | tuple[Any, ...]", depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise WireError(f"data is nested more than {MAX_DEPTH} deep, or holds itself")
    tag = _LIST if isinstance(value, list) else _TUPLE
    if len(value) >= _PACK_FROM and _put_packed(out, tag, value):
        return
    out += _COUNT.pack(tag, len(value))
    for item in value:
        _put(out, item, depth + 1)


def _put_packed(out: bytearray, tag: int, value: "list[Any] | tuple[Any, ...]") -> bool:
    kinds = set(map(type, value))
    letter = "d" if kinds == {float} else "q" if kinds == {int} else ""
    if not letter:
        return False
    try:
        raw = struct.pack(f"<{len(value)}{letter}", *value)
    except struct.error:  # an integer beyond 64 bits
        return False
    out += struct.pack("<BBcQ", _PACKED, tag, letter.encode(), len(value))
    out += raw
    return True


def _put_dict(out: bytearray, value: dict[Any, Any], depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise WireError(f"data is nested more than {MAX_DEPTH} deep, or holds itself")
    out += _COUNT.pack(_DICT, len(value))
    for key, item in value.items():
        if type(key) is str:
            _put_text(out, key, depth)
        elif isinstance(key, int | np.integer) and type(key) is not bool:
            number = operator.index(key)
            if abs(number) >= _KEY_LIMIT:
                raise WireError("a dict key is an integer of 2**60 or more")
            _put_int(out, number, depth)
        else:
            raise WireError(f"a dict key is a {type(key).__name__}; keys are str or int")
        _put(out, item, depth + 1)


def _put_array(out: bytearray, value: "np.ndarray[Any, Any]", _depth: int) -> None:
    code = _CODE.get(value.dtype.kind + str(value.dtype.itemsize))
    if code is None:
        raise WireError(
            f"an array of dtype {value.dtype} is not plain; give bool, int, uint, float32 or float64"
        )
    if value.ndim > MAX_RANK:
        raise WireError(f"an array of rank {value.ndim}; at most {MAX_RANK}")
    out += struct.pack(f"<BBB{value.ndim}Q", _ARRAY, code, value.ndim, *value.shape)
    out += value.astype(_DTYPE[code], copy=False).tobytes("C")


def _put_scalar(out: bytearray, value: "np.generic") -> bool:
    code = _CODE.get(value.dtype.kind + str(value.dtype.itemsize))
    if code is None:
        return False
    out += bytes((_SCALAR, code))
    out += value.astype(_DTYPE[code]).tobytes()
    return True


def _put_other(out: bytearray, value: Any, depth: int) -> None:
    if isinstance(value, np.ndarray):
        _put_array(out, np.asarray(value), depth)
        return
    if isinstance(value, np.generic) and _put_scalar(out, value):
        return
    for base, plain in _PLAIN:
        if isinstance(value, base):
            _put(out, plain(value), depth)
            return
    if isinstance(value, complex | np.generic) or not hasattr(type(value), "__array__"):
        raise WireError(f"a value of type {type(value).__name__} is not plain data{_mend(value)}")
    _put_array(out, np.asarray(value), depth)


def _mend(value: object) -> str:
    if isinstance(value, set | frozenset):
        return "; return a sorted list"
    if hasattr(value, "__next__"):
        return "; return a list"
    return ""


# The base class's own method, so that a subclass cannot lie about its value.
_PLAIN: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (int, int.__int__),
    (float, float.__float__),
    (str, str.__str__),
    (bytes, bytes.__bytes__),
    (bytearray, lambda value: bytes(memoryview(value))),
    (list, lambda value: list(list.__iter__(value))),
    (tuple, lambda value: tuple(tuple.__iter__(value))),
    (dict, lambda value: dict(dict.items(value))),
)
_WRITERS: Final[dict[type, Callable[[bytearray, Any, int], None]]] = {
    type(None): _put_none,
    bool: _put_bool,
    int: _put_int,
    float: _put_float,
    str: _put_text,
    bytes: _put_bytes,
    list: _put_sequence,
    tuple: _put_sequence,
    dict: _put_dict,
    np.ndarray: _put_array,
}


def decode(data: bytes | bytearray | memoryview, bounds: AnswerBounds) -> Any:
    """Return the value that `encode` wrote; arrays are fresh, writable copies in C order.

    Raises:
        WireError: the bytes are not exactly one value within `bounds`. No other exception, whatever the
            bytes.
    """
    reader = _Reader(data, bounds)
    value = reader.value(0)
    if reader.at != reader.end:
        raise WireError(f"{reader.end - reader.at} bytes follow the value")
    return value


class _Reader:
    """A position in the bytes, and what is left of the bounds."""

    __slots__ = ("at", "bounds", "cap", "data", "end", "keys", "nodes")

    def __init__(self, data: bytes | bytearray | memoryview, bounds: AnswerBounds) -> None:
        self.data = memoryview(data)
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
        if tag not in (_LIST, _TUPLE) or letter not in b"dq":
            raise WireError("unknown packed sequence")
        count = self.count()
        self.spend(count)
        values = struct.unpack(f"<{count}{chr(letter)}", self.take(8 * count))
        if letter == b"q"[0] and values and self.bounds.digits < 19:
            self.check_digits(max(values))
            self.check_digits(min(values))
        return list(values) if tag == _LIST else values

    def mapping(self, depth: int) -> dict[Any, Any]:
        inner = self.inner(depth)
        count = self.count()
        self.keys -= count
        if self.keys < 0:
            raise BoundsError(f"more than {self.bounds.keys} dict keys")
        found: dict[Any, Any] = {}
        for _ in range(count):
            key = self.value(inner)
            if type(key) not in (str, int) or (type(key) is int and abs(key) >= _KEY_LIMIT) or key in found:
                raise WireError("a dict key is not a str or a small int, or comes twice")
            found[key] = self.value(inner)
        return found

    def dtype(self) -> "np.dtype[Any]":
        code = self.take(1)[0]
        if code >= len(_DTYPE):
            raise WireError(f"unknown dtype {code}")
        return _DTYPE[code]

    def elements(self, dtype: "np.dtype[Any]", count: int) -> "np.ndarray[Any, Any]":
        raw = self.take(count * dtype.itemsize)
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
        return self.elements(dtype, size).reshape(shape)

    def scalar(self, _depth: int) -> "np.generic":
        value: np.generic = self.elements(self.dtype(), 1)[0]
        return value


_READERS: Final[dict[int, Callable[[_Reader, int], Any]]] = {
    _NONE: lambda _reader, _depth: None,
    _TRUE: lambda _reader, _depth: True,
    _FALSE: lambda _reader, _depth: False,
    _SMALL: _Reader.small,
    _BIG: _Reader.big,
    _REAL: _Reader.real,
    _TEXT: _Reader.text,
    _BYTES: _Reader.raw,
    _LIST: _Reader.sequence,
    _TUPLE: lambda reader, depth: tuple(reader.sequence(depth)),
    _DICT: _Reader.mapping,
    _ARRAY: _Reader.array,
    _SCALAR: _Reader.scalar,
    _PACKED: _Reader.packed,
}
