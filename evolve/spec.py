"""What an answer must look like: declared by a problem, checked on plain data before `score` sees it.

Knows nothing of problems or processes. A check returns the value in the declared form or raises `Misfit`.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Integer", "Misfit", "Plain", "Real", "Sequence", "Spec", "Text"]


class Misfit(ValueError):  # noqa: N818 - a verdict on an answer, not an error of ours
    """An answer that does not fit what the problem declares; the message says how."""


class Spec(Protocol):
    """Anything that can hold an answer to its declared form."""

    def check(self, value: Any) -> Any:
        """Return `value` in the declared form.

        Raises:
            Misfit: it does not fit.
        """
        ...


def _within(value: float, low: float | None, high: float | None, what: str) -> None:
    if low is not None and value < low:
        raise Misfit(f"{what} is {value:g}, below {low:g}")
    if high is not None and value > high:
        raise Misfit(f"{what} is {value:g}, above {high:g}")


@dataclass(frozen=True, slots=True)
class Array:
    """A numpy array of one dtype; lists of numbers are taken as one.

    Args:
        dtype: "f8", "f4", "i8", "i4", "b1", ...
        shape: one entry an axis, None for any length there; None for any shape at all.
        low: smallest value allowed, if any.
        high: largest value allowed, if any.
        max_size: most elements where the shape leaves it open.
        nan: whether NaN and infinities are let through (a table of priorities).
    """

    dtype: str = "f8"
    shape: tuple[int | None, ...] | None = None
    low: float | None = None
    high: float | None = None
    max_size: int = 2_000_000
    nan: bool = False

    def check(self, value: Any) -> npt.NDArray[Any]:
        """Return `value` as an array of the declared dtype and shape, C order, owned by the caller.

        Raises:
            Misfit: wrong kind, shape, size or bounds, or a value that is not finite.
        """
        array = self._as_array(value)
        if self.shape is not None:
            fits = array.ndim == len(self.shape) and all(
                want is None or want == have for want, have in zip(self.shape, array.shape, strict=True)
            )
            if not fits:
                wanted = "(" + ", ".join("any" if n is None else str(n) for n in self.shape) + ")"
                raise Misfit(f"answer has shape {array.shape}, {wanted} is asked for")
        if array.size > self.max_size:
            raise Misfit(f"answer has {array.size} elements, at most {self.max_size} are allowed")
        if array.size and array.dtype.kind in "fc" and not self.nan and not np.isfinite(array).all():
            raise Misfit("answer holds a value that is not finite")
        if array.size and (self.low is not None or self.high is not None):
            _within(float(array.min()), self.low, None, "the smallest value of the answer")
            _within(float(array.max()), None, self.high, "the largest value of the answer")
        return array

    def _as_array(self, value: Any) -> npt.NDArray[Any]:
        wanted = np.dtype(self.dtype)
        if not isinstance(value, (np.ndarray, list, tuple, int, float)):
            raise Misfit(f"answer is of type {type(value).__name__}, an array is asked for")
        try:
            array = np.asarray(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise Misfit(f"answer is not an array: {error}") from None
        if array.dtype.kind not in "biuf":
            raise Misfit(f"answer holds values of type {array.dtype}, {wanted} is asked for")
        if array.size and not np.can_cast(array.dtype, wanted, casting="same_kind"):
            raise Misfit(f"answer has dtype {array.dtype}, {wanted} is asked for")
        if array.dtype.kind in "iu" and wanted.kind in "iu" and array.size:
            limits = np.iinfo(wanted)
            if int(array.min()) < limits.min or int(array.max()) > limits.max:
                raise Misfit(f"answer holds an integer outside {wanted}")
        return np.ascontiguousarray(array, dtype=wanted).reshape(array.shape)


@dataclass(frozen=True, slots=True)
class Real:
    """One finite number."""

    low: float | None = None
    high: float | None = None

    def check(self, value: Any) -> float:
        """Return `value` as a float.

        Raises:
            Misfit: not a number, not finite, or out of bounds.
        """
        if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
            raise Misfit(f"answer is of type {type(value).__name__}, a number is asked for")
        try:
            number = float(value)
        except OverflowError:
            raise Misfit("answer is an integer too large for a float") from None
        if not math.isfinite(number):
            raise Misfit("answer is not finite")
        _within(number, self.low, self.high, "the answer")
        return number


@dataclass(frozen=True, slots=True)
class Integer:
    """One whole number; a float is refused even where it is whole."""

    low: int | None = None
    high: int | None = None

    def check(self, value: Any) -> int:
        """Return `value` as an int.

        Raises:
            Misfit: not an integer, or out of bounds.
        """
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise Misfit(f"answer is of type {type(value).__name__}, an integer is asked for")
        number = int(value)
        if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
            raise Misfit(f"the answer lies outside {self.low}..{self.high}")
        return number


@dataclass(frozen=True, slots=True)
class Text:
    """A string of bounded length."""

    max_length: int = 10_000

    def check(self, value: Any) -> str:
        """Return `value`.

        Raises:
            Misfit: not a string, or too long.
        """
        if not isinstance(value, str):
            raise Misfit(f"answer is of type {type(value).__name__}, a string is asked for")
        if len(value) > self.max_length:
            raise Misfit(f"answer has {len(value)} characters, at most {self.max_length} are allowed")
        return value


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list or tuple of values that all fit `of`; comes to `score` as a list."""

    of: Spec
    max_length: int = 100_000
    min_length: int = 0

    def check(self, value: Any) -> list[Any]:
        """Return the checked items.

        Raises:
            Misfit: not a list, too long or too short, or an item that does not fit.
        """
        if isinstance(value, np.ndarray) and value.ndim >= 1:
            value = value.tolist() if value.ndim == 1 else list(value)
        if not isinstance(value, (list, tuple)):
            raise Misfit(f"answer is of type {type(value).__name__}, a list is asked for")
        if not self.min_length <= len(value) <= self.max_length:
            raise Misfit(f"answer has {len(value)} items, {self.min_length}..{self.max_length} are allowed")
        checked = []
        for index, item in enumerate(value):
            try:
                checked.append(self.of.check(item))
            except Misfit as misfit:
                raise Misfit(f"item {index}: {misfit}") from None
        return checked


@dataclass(frozen=True, slots=True)
class Plain:
    """Any bounded plain data whose numbers are finite; the default of a problem that declares nothing."""

    def check(self, value: Any) -> Any:
        """Return `value`.

        Raises:
            Misfit: a number in it is not finite.
        """
        _all_finite(value)
        return value


def _all_finite(value: Any) -> None:
    if isinstance(value, (float, np.floating)):
        if not math.isfinite(value):
            raise Misfit("answer holds a number that is not finite")
    elif isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise Misfit("answer holds a value that is not finite")
    elif isinstance(value, dict):
        for item in value.values():
            _all_finite(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _all_finite(item)
