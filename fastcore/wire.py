"""Plain data in and out of the jail: a small tagged binary format, never pickle.

Knows types, sizes and bounds; knows no process. `decode` builds exact built-in types and numpy arrays only,
so that no method of a stranger's class survives the crossing.
"""

import operator
import struct
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from evolve.fastcore.wire_decode import decode
from evolve.fastcore.wire_format import (
    ALIGNMENT,
    ARRAY,
    BIG,
    BYTES,
    COUNT,
    DICT,
    DTYPE_NAMES,
    DTYPES,
    FALSE,
    FLOAT,
    INT,
    KEY_LIMIT,
    LIST,
    MAX_DEPTH,
    MAX_RANK,
    NONE,
    PACK_FROM,
    PACKED,
    REAL,
    SCALAR,
    SMALL,
    TEXT,
    TRUE,
    TRUSTED,
    TUPLE,
    BoundsError,
    WireError,
)

__all__ = ["TRUSTED", "BoundsError", "WireError", "decode", "encode", "encode_into"]

_CODE: Final = {name: code for code, name in enumerate(DTYPE_NAMES)}


def encode(value: object) -> bytes:
    """Return the bytes of a plain value.

    Plain are None, bool, int, float, str, bytes, list, tuple, dict with str or int keys, numpy arrays (rank
    at most 8) and scalars of bool, int8-64, uint8-64, float32 and float64. A subclass travels as its plain
    base value; anything with `__array__` as the array it gives. The elements of an array begin at a multiple
    of 64 bytes from the first byte, behind zeros, so that a view of the message is as aligned as the message.

    Raises:
        WireError: the value (or a part of it) is not plain, with the name of its type.
    """
    out = bytearray()
    _put(out, value, 0)
    return bytes(out)


def encode_into(out: bytearray, value: object) -> None:
    """Write the bytes of a plain value to the empty `out`: `encode` without its last copy.

    Raises:
        WireError: as `encode`; `out` then holds a part of the value.
    """
    _put(out, value, 0)


def _put(out: bytearray, value: Any, depth: int) -> None:
    writer = _WRITERS.get(type(value))
    if writer is None:
        _put_other(out, value, depth)
    else:
        writer(out, value, depth)


def _put_none(out: bytearray, _value: None, _depth: int) -> None:
    out.append(NONE)


def _put_bool(out: bytearray, value: bool, _depth: int) -> None:
    out.append(TRUE if value else FALSE)


def _put_int(out: bytearray, value: int, _depth: int) -> None:
    if -(1 << 63) <= value < 1 << 63:
        out += INT.pack(SMALL, value)
    else:
        raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        out += COUNT.pack(BIG, len(raw))
        out += raw


def _put_float(out: bytearray, value: float, _depth: int) -> None:
    out += FLOAT.pack(REAL, value)


def _put_text(out: bytearray, value: str, _depth: int) -> None:
    try:
        raw = value.encode()
    except UnicodeEncodeError:
        raise WireError("a string holds a lone surrogate; give text that UTF-8 can hold") from None
    out += COUNT.pack(TEXT, len(raw))
    out += raw


def _put_bytes(out: bytearray, value: bytes, _depth: int) -> None:
    out += COUNT.pack(BYTES, len(value))
    out += value


def _put_sequence(out: bytearray, value: "list[Any] | tuple[Any, ...]", depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise WireError(f"data is nested more than {MAX_DEPTH} deep, or holds itself")
    tag = LIST if isinstance(value, list) else TUPLE
    if len(value) >= PACK_FROM and _put_packed(out, tag, value):
        return
    out += COUNT.pack(tag, len(value))
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
    out += struct.pack("<BBcQ", PACKED, tag, letter.encode(), len(value))
    out += raw
    return True


def _put_dict(out: bytearray, value: dict[Any, Any], depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise WireError(f"data is nested more than {MAX_DEPTH} deep, or holds itself")
    out += COUNT.pack(DICT, len(value))
    for key, item in value.items():
        if type(key) is str:
            _put_text(out, key, depth)
        elif isinstance(key, int | np.integer) and type(key) is not bool:
            number = operator.index(key)
            if abs(number) >= KEY_LIMIT:
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
    out += struct.pack(f"<BBB{value.ndim}Q", ARRAY, code, value.ndim, *value.shape)
    out += bytes(-len(out) % ALIGNMENT)
    out += np.ascontiguousarray(value.astype(DTYPES[code], copy=False)).data


def _put_scalar(out: bytearray, value: "np.generic") -> bool:
    code = _CODE.get(value.dtype.kind + str(value.dtype.itemsize))
    if code is None:
        return False
    out += bytes((SCALAR, code))
    out += value.astype(DTYPES[code]).tobytes()
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
