"""Random, mutated and structure-aware messages into the decoder of answers, and a sample through a hostile program.

Nothing but `WireError` may be raised, what is accepted must be what an independent, slow reader accepts, with the same
value, and the memory it takes is bounded by the length of the message.
Run: `python bench/campaigns/fuzz_wire.py --messages 1000000`
"""

import contextlib
import random
import struct
import sys
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import report
import slow_wire

from evolve.fastcore.limits import AnswerBounds, Limits
from evolve.fastcore.runner import Failure, Runner
from evolve.fastcore.wire import WireError, decode, encode

BOUNDS = AnswerBounds(nodes=300, depth=6, digits=40, text=200, keys=20)
TIGHT = AnswerBounds(nodes=20, depth=3, digits=9, text=20, keys=3)
WIDE = AnswerBounds()
CODES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"]
TAGS = b"NTFiIfsbltdanp"
MOST_MEMORY = 40.0
"""Bytes that a decoder may take for each byte of a long message."""
LIMITS = Limits(seconds=5.0, setup_seconds=5.0, answer_bytes=1 << 20)


# --- what is sent


def value(rng: random.Random, depth: int = 0) -> Any:
    """A plain value."""
    kind = rng.randrange(13 if depth < 5 else 9)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind == 1:
        return rng.choice(
            [rng.randrange(-9, 9), rng.getrandbits(63), -(1 << 63), rng.getrandbits(rng.randrange(1, 150))]
        )
    if kind == 2:
        return rng.choice([rng.random(), float("nan"), float("inf"), -0.0, 5e-324])
    if kind in (3, 4):
        text = "".join(rng.choice("abc\0é€😀") for _ in range(rng.choice([0, 3, 30, 250])))
        return text if kind == 3 else text.encode()
    if kind in (5, 6):
        shape = [rng.randrange(4) for _ in range(rng.randrange(4))]
        return (np.ones(shape) * rng.randrange(3)).astype(rng.choice(CODES))
    if kind in (7, 8):
        return np.dtype(rng.choice(CODES)).type(rng.randrange(2))
    if kind == 9:
        return [rng.choice([rng.random(), 1.5]) for _ in range(rng.choice([0, 7, 8, 30]))]
    items = [value(rng, depth + 1) for _ in range(rng.choice([0, 1, 2, 4]))]
    if kind == 10:
        return items
    if kind == 11:
        return tuple(items)
    return {rng.choice([f"k{n}", n, -n]): item for n, item in enumerate(items)}


def written(rng: random.Random, depth: int = 0) -> bytes:
    """A message written piece by piece, by one who knows the format and lies now and then."""

    def count(true: int) -> bytes:
        lie = rng.choice([true + 1, true - 1, 0, 1 << 62, 1 << 31, (1 << 64) - 1])
        return struct.pack("<Q", (true if rng.random() < 0.97 else lie) % (1 << 64))

    tag = rng.choice(TAGS)
    if rng.random() < 0.01:
        tag = rng.randrange(256)
    head = bytes([tag])
    if tag in b"lt":
        many = rng.choice([0, 1, 2, 5])
        return (
            head + count(many) + b"".join(written(rng, depth + 1) if depth < 8 else b"N" for _ in range(many))
        )
    if tag == b"d"[0]:
        many = rng.choice([0, 1, 2, 5])
        parts = [_key(rng) + (written(rng, depth + 1) if depth < 8 else b"T") for _ in range(many)]
        return head + count(many) + b"".join(parts)
    if tag == b"p"[0]:
        many = rng.choice([0, 3, 8, 40])
        return (
            head
            + rng.choice([b"ld", b"tq", b"lq", b"td", b"xd", b"lf"])
            + count(many)
            + rng.randbytes(8 * many)
        )
    if tag in b"Isb":
        many = rng.choice([0, 1, 8, 16, 17, 30, 201])
        raw = rng.randbytes(many) if rng.random() < 0.5 else b"a" * many
        return head + count(many) + raw
    if tag == b"a"[0]:
        shape = [rng.choice([0, 1, 2, 3, 1 << 20]) for _ in range(rng.choice([0, 1, 2, 8, 9]))]
        body = (
            rng.randbytes(min(8 * int(np.prod(shape, dtype=float)), 64)) if rng.random() < 0.7 else b"\1" * 8
        )
        return (
            head
            + bytes([rng.randrange(12), len(shape)])
            + b"".join(map(count, shape))
            + bytes(rng.randrange(64))
            + body
        )
    if tag == b"n"[0]:
        return head + bytes([rng.randrange(12)]) + rng.choice([b"\0", b"\1", b"\1" * 8, b"\2"])
    return head + (rng.randbytes(8) if tag in b"if" else b"")


def _key(rng: random.Random) -> bytes:
    return rng.choice(
        [encode("key"), encode(f"k{rng.randrange(9)}"), encode(rng.randrange(5)), b"F", encode(1 << 60)]
    )


def mutated(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """A message with some bits, lengths or parts exchanged."""
    made = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(made)) if made else 0
        how = rng.randrange(7)
        if how == 0 and made:
            made[at] ^= 1 << rng.randrange(8)
        elif how == 1 and made:
            made[at] = rng.choice([0, 255, *TAGS])
        elif how == 2:
            del made[at : at + rng.choice([1, 2, 8, 64])]
        elif how == 3:
            made[at:at] = rng.choice([rng.randbytes(3), other[: rng.randrange(60)], bytes(8), bytes(64)])
        elif how == 4:
            made = made[:at] + bytearray(other[rng.randrange(len(other) + 1) :])
        elif how == 5:
            made = made[:at]
        elif len(made) >= 8:
            at = rng.randrange(len(made) - 7)
            number = int.from_bytes(made[at : at + 8], "little") + rng.choice([1, -1, 256, 1 << 40])
            made[at : at + 8] = (number % (1 << 64)).to_bytes(8, "little")
    return bytes(made)


def messages(rng: random.Random, count: int) -> Iterator[bytes]:
    """Messages of every kind."""
    last = encode([1, "two", 3.0])
    for _ in range(count):
        how = rng.random()
        if how < 0.1:
            yield rng.randbytes(rng.choice([0, 1, 9, 40, 300]))
            continue
        made = written(rng) if how < 0.4 else encode(value(rng))
        yield made if how > 0.9 else mutated(rng, made, last)
        last = made


# --- what is checked


def tree(found: Any) -> tuple[Any, ...]:
    """A decoded value as `slow_wire` tells it; its type must be one of the exact ones."""
    kind = type(found)
    if kind is np.ndarray:
        return ("array", found.shape, f"{found.dtype.kind}{found.dtype.itemsize}", found.tobytes())
    if isinstance(found, np.generic):
        return ("scalar", f"{found.dtype.kind}{found.dtype.itemsize}", found.tobytes())
    if kind in (list, tuple):
        return (kind.__name__, tuple([tree(item) for item in found]))
    if kind is dict:
        return ("dict", tuple([(tree(key), tree(item)) for key, item in found.items()]))
    if kind is float:
        return ("float", struct.pack("<d", found))
    if found is None:
        return ("none",)
    assert kind in (bool, int, str, bytes), kind
    return (kind.__name__, found)


def slow(data: bytes, bounds: AnswerBounds) -> tuple[Any, ...] | None:
    """What the slow reader makes of a message; None where it refuses."""
    room = slow_wire.Room(bounds.nodes, bounds.depth, bounds.digits, bounds.text, bounds.keys)
    try:
        return slow_wire.Slow(data, room).whole()
    except slow_wire.Refused:
        return None


def complaint(data: bytes, bounds: AnswerBounds) -> tuple[str, bool]:
    """What is wrong with the decoder's verdict on a message (empty: nothing), and whether it was accepted."""
    try:
        found = decode(data, bounds)
    except WireError:
        return ("refused, and should not be" if slow(data, bounds) is not None else ""), False
    except BaseException as error:  # noqa: BLE001 - just what must not happen
        return f"{type(error).__name__}: {error}", False
    want = slow(data, bounds)
    if want is None:
        return "accepted, and should not be", True
    if tree(found) != want:
        return "another value", True
    again = encode(found)
    if again != data and encode(decode(again, bounds)) != again:
        return "its canonical form is not stable", True
    return ("" if tree(decode(again, bounds)) == want else "its canonical form is another value"), True


def memory_of(data: bytes) -> float:
    """Peak bytes that decoding takes for each byte of a message."""
    tracemalloc.start()
    with contextlib.suppress(WireError):
        decode(data, WIDE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return max(0, peak - 4096) / max(len(data), 1)


def swelling() -> list[bytes]:
    """Long messages of the parts that grow most when they are read."""
    many = 100_000
    units = {"none": b"N", "truth": b"T", "list": b"l" + bytes(8), "dict": b"d" + bytes(8), "int": b"i" + b"\7" * 8,
             "real": b"f" + bytes(8), "scalar": b"n\5\7", "text": b"s" + struct.pack("<Q", 1) + b"a",
             "wide": b"s" + struct.pack("<Q", 4) + "😀".encode()}  # fmt: skip
    rows = [tag + struct.pack("<Q", many) + unit * many for unit in units.values() for tag in (b"l", b"t")]
    keys = b"".join(b"s" + struct.pack("<Q", 5) + b"%05d" % n + b"N" for n in range(50_000))
    return [
        *rows,
        b"d" + struct.pack("<Q", 50_000) + keys,
        encode("a" * 400_000 + "😀"),
        encode(np.zeros(10**6)),
    ]


# --- through a program


HOSTILE = """
import os, sys
channel = sys.modules["evolve.fastcore.channel"].Channel
send = channel.send
said = []
def entry(how, body): said[:] = [how, body]
def lie(self, nonce, kind, body):
    if not said: return send(self, nonce, kind, body)
    how, raw = said
    said.clear()
    if how == "lay": return send(self, nonce, 1, raw)
    if how == "report": return send(self, nonce, 2, raw)
    if how == "kind": return send(self, nonce, 1 + len(raw) % 250, raw)
    if how == "nonce": return send(self, bytes(8), 1, raw)
    if how == "twice": return send(self, nonce, 1, raw), os.write(3, raw[:17])
    if how == "socket": return os.write(3, raw), os._exit(0)
channel.send = lie
"""
WAYS = ("lay", "lay", "lay", "lay", "report", "kind", "nonce", "twice", "socket")


def through_programs(rng: random.Random, count: int) -> tuple[list[str], dict[str, int]]:
    """Send messages as answers of a hostile program; what should not have come of them, and what came."""
    faults: list[str] = []
    outcomes: dict[str, int] = {}
    with Runner() as runner:
        session = None
        for data in messages(rng, count):
            how = rng.choice(WAYS)
            if session is None:
                session = runner.start(HOSTILE, "entry", LIMITS)
            try:
                found = tree(session.call((how, data), BOUNDS))
                said = "answer"
                if how == "lay" and found != slow(data, BOUNDS):
                    faults.append(f"{how}: another value than was laid down: {data[:60].hex()}")
                if how in ("report", "nonce", "socket"):
                    faults.append(f"{how}: taken for an answer: {data[:60].hex()}")
            except Failure as failure:
                said, session = failure.status, None
                if said not in ("protocol", "error", "died", "memory") or (
                    how == "nonce" and said != "protocol"
                ):
                    faults.append(f"{how}: {failure}")
            except BaseException as error:  # noqa: BLE001 - just what must not happen
                faults.append(f"{how}: {type(error).__name__}: {error}; {data[:60].hex()}")
                session = None
            outcomes[said] = outcomes.get(said, 0) + 1
    return faults, outcomes


def main() -> int:
    parser = report.parser(__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument(
        "--through", type=int, help="of these, through a program; a fiftieth unless said otherwise"
    )
    args = parser.parse_args()
    rng = random.Random(args.seed)
    through = args.messages // 50 if args.through is None else args.through
    faults: list[str] = []
    accepted = 0
    began = time.process_time()
    for number, data in enumerate(messages(rng, args.messages)):
        bounds = (BOUNDS, TIGHT, WIDE)[number % 3]
        said, taken = complaint(data, bounds)
        accepted += taken
        if said:
            faults.append(f"{said}: {data[:100].hex()}")
    spent = time.process_time() - began
    swollen = max(map(memory_of, swelling()))
    if swollen > MOST_MEMORY:
        faults.append(f"decoding takes {swollen:.1f} bytes for each byte of a message")
    more, outcomes = through_programs(rng, through)
    rows = [
        ("messages", args.messages),
        ("accepted, with the same value", accepted),
        ("CPU us a message, both readers", 1e6 * spent / max(args.messages, 1)),
        ("most memory for a byte of a long message, bytes", swollen),
        ("through a hostile program", through),
        *((f"... {name}", many) for name, many in sorted(outcomes.items())),
    ]
    told = "Random, mutated and structure-aware messages, read by `wire.decode` and by an independent, slow reader."
    return report.conclude("Messages", told, rows, faults + more, args.write)


if __name__ == "__main__":
    sys.exit(main())
