"""The tags, dtypes and limits of the wire format, shared by both of its ends (`wire` and `wire_decode`)."""

import struct
from typing import Final

import numpy as np

from evolve.fastcore.limits import AnswerBounds

MAX_DEPTH: Final = 64
MAX_RANK: Final = 8
ALIGNMENT: Final = 64
"""The bytes of an array begin at a multiple of this, counted from the first byte of the message: a cache line."""
TRUSTED: Final = AnswerBounds(nodes=1 << 62, depth=MAX_DEPTH, digits=1 << 40, text=1 << 40, keys=1 << 62)
"""Bounds for data that came from a supervisor: only the format itself limits it."""

# The order is the wire format. `kind + itemsize` names a dtype whatever its byte order or C spelling.
DTYPE_NAMES: Final = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8")
DTYPES: Final = tuple(np.dtype(np.bool_) if name == "b1" else np.dtype("<" + name) for name in DTYPE_NAMES)

COUNT: Final = struct.Struct("<BQ")
INT: Final = struct.Struct("<Bq")
FLOAT: Final = struct.Struct("<Bd")
NONE, TRUE, FALSE = b"N"[0], b"T"[0], b"F"[0]
SMALL, BIG, REAL, TEXT, BYTES = b"i"[0], b"I"[0], b"f"[0], b"s"[0], b"b"[0]
LIST, TUPLE, DICT, ARRAY, SCALAR, PACKED = b"l"[0], b"t"[0], b"d"[0], b"a"[0], b"n"[0], b"p"[0]
# Below 2**60 distinct integers have distinct hashes (CPython reduces modulo 2**61 - 1): beyond, a hostile
# dict of multiples of that prime would make its insertion quadratic.
KEY_LIMIT: Final = 1 << 60
PACK_FROM: Final = 8


class WireError(ValueError):
    """The value is not plain data, or the bytes are not a plain value within its bounds."""


class BoundsError(WireError):
    """A well-formed value exceeds its `AnswerBounds`."""
