"""Plain data taken apart and put together: where its numbers and its series are, and copies with one changed.

Knows lists, tuples, dicts, numpy arrays and scalars; knows nothing of problems.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "Path",
    "every",
    "has_numbers",
    "is_number",
    "leaves",
    "one",
    "pick",
    "replaced",
    "same",
    "series",
    "sizes",
]

Path = tuple[Any, ...]
"""Keys and indices that lead from a value to a part of it; the last may be an index into an array."""

_MOST = 2_000  # parts of one answer that are looked at


def is_number(value: Any) -> bool:
    """Whether it is one number; truth values are none."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, (list, tuple)):
        yield from enumerate(value)


def leaves(value: Any, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """What has no parts: numbers, texts, None; and arrays as a whole."""
    if isinstance(value, (dict, list, tuple)):
        for key, part in _parts(value):
            yield from leaves(part, (*at, key))
    else:
        yield at, value


def has_numbers(value: Any, kinds: str = "iuf") -> bool:
    """Whether a number of these numpy kinds is in it ("iu": whole ones)."""
    return any(_kind(leaf) in kinds for _, leaf in leaves(value) if _kind(leaf))


def _kind(leaf: Any) -> str:
    if isinstance(leaf, np.ndarray):
        return leaf.dtype.kind if leaf.size else ""
    if not is_number(leaf):
        return ""
    return "i" if isinstance(leaf, (int, np.integer)) else "f"


def every(value: Any, change: Callable[[Any], Any], kinds: str = "iuf") -> Any:
    """A copy in which `change` is applied to each number (to each array of numbers as a whole)."""
    if isinstance(value, dict):
        return {key: every(part, change, kinds) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(every(part, change, kinds) for part in value)
    return change(value) if _kind(value) and _kind(value) in kinds else value


def one(value: Any, place: int, change: Callable[[Any], Any], kinds: str = "iuf") -> Any:
    """A copy in which one number is changed: the `place`-th of all; -1 is the last one."""
    found = [(at, leaf) for at, leaf in leaves(value) if _kind(leaf) and _kind(leaf) in kinds][:_MOST]
    counts = [leaf.size if isinstance(leaf, np.ndarray) else 1 for _, leaf in found]
    place = place if place >= 0 else sum(counts) + place
    for (at, leaf), count in zip(found, counts, strict=True):
        if not 0 <= place < count:
            place -= count
            continue
        if not isinstance(leaf, np.ndarray):
            return replaced(value, at, change(leaf))
        new = change(leaf.flat[place].item())
        array = np.array(leaf, dtype=_room(leaf, new))
        array.flat[place] = new
        return replaced(value, at, array)
    return value


def _room(array: npt.NDArray[Any], value: Any) -> Any:
    """A dtype that holds both."""
    if array.dtype.kind not in "iu":
        return array.dtype
    if isinstance(value, int):
        low, high = min(value, int(array.min())), max(value, int(array.max()))
        for name in (array.dtype, np.dtype(np.int64), np.dtype(np.uint64)):
            if np.iinfo(name).min <= low and high <= np.iinfo(name).max:
                return name
    return np.float64


def replaced(value: Any, at: Path, new: Any) -> Any:
    """A copy of `value` with another part at `at`."""
    if not at:
        return new
    head, rest = at[0], at[1:]
    if isinstance(value, dict):
        return {key: replaced(part, rest, new) if key == head else part for key, part in value.items()}
    return type(value)(replaced(part, rest, new) if key == head else part for key, part in enumerate(value))


def series(value: Any, most: int = 4) -> list[tuple[Path, Any]]:
    """Parts that are rows of like things: arrays, and lists or tuples of two or more parts of one type."""
    found: list[tuple[Path, Any]] = []
    waiting: list[tuple[Path, Any]] = [((), value)]
    while waiting and len(found) < most:
        at, part = waiting.pop(0)
        if isinstance(part, np.ndarray):
            if part.ndim and len(part):
                found.append((at, part))
        elif isinstance(part, list) and part and len({type(item) for item in part}) == 1:
            found.append((at, part))
        elif isinstance(part, (dict, list, tuple)):
            waiting += [((*at, key), item) for key, item in _parts(part)]
    return found


def pick(part: Any, places: Sequence[int]) -> Any:
    """Rows of a series, in this order, with repetition."""
    if isinstance(part, np.ndarray):
        return part[np.asarray(places, dtype=np.int64)]
    return type(part)(part[place] for place in places)


def same(value: Any, other: Any) -> bool:
    """Whether two values are equal in every part; NaN equals NaN, a list equals an array of the same numbers."""
    if isinstance(value, np.ndarray) or isinstance(other, np.ndarray):
        try:
            left, right = np.asarray(value), np.asarray(other)
        except ValueError:
            return False
        if left.shape != right.shape or "O" in (left.dtype.kind, right.dtype.kind):
            return False
        return bool(np.array_equal(left, right, equal_nan=left.dtype.kind == right.dtype.kind == "f"))
    if isinstance(value, dict) and isinstance(other, dict):
        return value.keys() == other.keys() and all(same(value[key], other[key]) for key in value)
    if isinstance(value, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(value) == len(other) and all(map(same, value, other))
    if is_number(value) and is_number(other):
        return bool(value == other) or (math.isnan(value) and math.isnan(other))
    return type(value) is type(other) and bool(value == other)


def sizes(*values: Any, numbers: bool = True) -> set[int]:
    """Whole numbers that may say how long an answer is to be: lengths, extents of arrays; and numbers themselves."""
    found: set[int] = set()
    waiting = list(values)
    for _ in range(_MOST):
        if not waiting:
            break
        value = waiting.pop()
        if isinstance(value, np.ndarray):
            found.update(value.shape)
        elif isinstance(value, (list, tuple, dict)):
            found.add(len(value))
            waiting += [part for _, part in _parts(value)][:_MOST]
        elif numbers and isinstance(value, (int, np.integer)) and not isinstance(value, bool):
            found.add(int(value))
    return {size for size in found if 2 <= size <= 10_000_000}
