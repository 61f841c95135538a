"""What bytes are a message, and of which value: written from the description of the format alone, slow and plain.

Shares no code with `evolve.fastcore.wire`: agreement of the two is what `fuzz_wire` checks. A value comes out as a tree
of tuples that start with the name of its type, so that no comparison of Python's (1 == 1.0 == True) can hide anything.
"""

import math
from dataclasses import dataclass
from typing import Any

WIDTHS = {0: ("b", 1), 1: ("i", 1), 2: ("i", 2), 3: ("i", 4), 4: ("i", 8), 5: ("u", 1), 6: ("u", 2), 7: ("u", 4),
          8: ("u", 8), 9: ("f", 4), 10: ("f", 8)}  # fmt: skip
ALIGNMENT = 64


class Refused(Exception):  # noqa: N818 - a verdict on a message
    """These bytes are no message, or one beyond its bounds."""


@dataclass
class Room:
    """What is left of the bounds."""

    nodes: int
    depth: int
    digits: int
    text: int
    keys: int


class Slow:
    """A position in a message."""

    def __init__(self, data: bytes, room: Room) -> None:
        self.data = data
        self.at = 0
        self.room = room

    def need(self, holds: bool, what: str) -> None:
        if not holds:
            raise Refused(what)

    def some(self, count: int) -> bytes:
        self.need(count <= len(self.data) - self.at, "too short")
        self.at += count
        return self.data[self.at - count : self.at]

    def length(self) -> int:
        return int.from_bytes(self.some(8), "little")

    def held(self) -> bytes:
        """Bytes that say how many they are."""
        return self.some(self.length())

    def whole(self) -> tuple[Any, ...]:
        """The value of the whole message."""
        value = self.one(0)
        self.need(self.at == len(self.data), "more bytes")
        return value

    def one(self, depth: int) -> tuple[Any, ...]:
        self.room.nodes -= 1
        self.need(self.room.nodes >= 0, "nodes")
        tag = chr(self.some(1)[0])
        simple = {"N": ("none",), "T": ("bool", True), "F": ("bool", False)}
        if tag in simple:
            return simple[tag]
        if tag in "ldt":
            self.need(depth < self.room.depth, "depth")
            return self.mapping(depth) if tag == "d" else self.row(tag, depth)
        known = {"i": self.small, "I": self.big, "f": self.real, "s": self.text, "b": self.raw, "n": self.scalar,
                 "a": self.array}  # fmt: skip
        if tag == "p":
            self.need(depth < self.room.depth, "depth")
            return self.packed()
        self.need(tag in known, "tag")
        return known[tag]()

    def integer(self, raw: bytes) -> tuple[Any, ...]:
        value = int.from_bytes(raw, "little", signed=True)
        digits = self.room.digits
        self.need(digits >= 19 or abs(value) < 10**digits, "digits")
        return ("int", value)

    def small(self) -> tuple[Any, ...]:
        return self.integer(self.some(8))

    def big(self) -> tuple[Any, ...]:
        raw = self.held()  # bounded by its bits, to within one digit, and by two bytes more than these
        bits = math.floor(self.room.digits * math.log2(10)) + 1
        number = self.integer(raw)
        self.need(number[1].bit_length() <= bits and 8 * len(raw) <= bits + 16, "digits")
        return number

    def real(self) -> tuple[Any, ...]:
        return ("float", self.some(8))

    def text(self) -> tuple[Any, ...]:
        try:
            value = self.held().decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("utf-8") from None
        self.need(len(value) <= self.room.text, "text")
        return ("str", value)

    def raw(self) -> tuple[Any, ...]:
        value = self.held()
        self.need(len(value) <= self.room.text, "text")
        return ("bytes", value)

    def row(self, tag: str, depth: int) -> tuple[Any, ...]:
        count = self.length()
        self.need(count <= len(self.data) - self.at, "count")
        return ("list" if tag == "l" else "tuple", tuple([self.one(depth + 1) for _ in range(count)]))

    def packed(self) -> tuple[Any, ...]:
        tag, letter = map(chr, self.some(2))
        self.need(tag in "lt" and letter in "dq", "packed")
        count = self.length()
        self.need(count <= len(self.data) - self.at, "count")
        self.room.nodes -= count
        self.need(self.room.nodes >= 0, "nodes")
        items = [self.some(8) for _ in range(count)]
        made = [("float", item) if letter == "d" else self.integer(item) for item in items]
        return ("list" if tag == "l" else "tuple", tuple(made))

    def mapping(self, depth: int) -> tuple[Any, ...]:
        count = self.length()
        self.need(count <= len(self.data) - self.at, "count")
        self.room.keys -= count
        self.need(self.room.keys >= 0, "keys")
        items: list[tuple[Any, Any]] = []
        seen = set()
        for _ in range(count):
            key = self.one(depth + 1)
            self.need(key[0] == "str" or (key[0] == "int" and abs(key[1]) < 1 << 60), "key")
            self.need(key not in seen, "key twice")
            seen.add(key)
            items.append((key, self.one(depth + 1)))
        return ("dict", tuple(items))

    def elements(self, code: int, count: int) -> tuple[str, bytes]:
        kind, width = WIDTHS[code]
        raw = self.some(count * width)
        self.need(kind != "b" or not set(raw) - {0, 1}, "bool")
        return f"{kind}{width}", raw

    def code(self) -> int:
        code = self.some(1)[0]
        self.need(code in WIDTHS, "dtype")
        return code

    def scalar(self) -> tuple[Any, ...]:
        return ("scalar", *self.elements(self.code(), 1))

    def array(self) -> tuple[Any, ...]:
        code = self.code()
        rank = self.some(1)[0]
        self.need(rank <= 8, "rank")
        shape = [self.length() for _ in range(rank)]
        size, span = 1, 1
        for length in shape:
            size, span = size * length, span * max(length, 1)
        self.need(span <= 1 << 40, "shape")
        self.need(not any(self.some(-self.at % ALIGNMENT)), "gap")
        return ("array", tuple(shape), *self.elements(code, size))
