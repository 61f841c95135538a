"""How many answers a server should be working on at once, followed from what it says about itself.

A window opens fast until it meets a first sign that the server has enough, and slowly afterwards. Signs are the
server's own metrics; for servers without any, only their 429 and 503.
"""

import math
import re
from typing import Final, NamedTuple

__all__ = ["FIRST", "MOST", "Load", "Window", "read_load"]

FIRST: Final = 32
"""Where a window begins if nobody says how many sequences the server takes."""

MOST: Final = 4_096

# vLLM renamed the cache gauge in 0.11; with data parallelism there is a line for each engine.
_LINE: Final = re.compile(
    r"^vllm:(num_requests_running|num_requests_waiting|(?:gpu_cache|kv_cache)_usage_perc|num_preemptions_total)"
    r"(?:\{[^}\n]*\})?[ \t]+([^\s]+)",
    re.MULTILINE,
)


class Load(NamedTuple):
    """What a vLLM server says of itself, summed over its engines; `cache` is that of the fullest, from 0 to 1."""

    running: float
    waiting: float
    cache: float
    preemptions: float


def read_load(text: str) -> Load | None:
    """Read the text of `/metrics`; None if no vLLM speaks there."""
    sums = {"running": 0.0, "waiting": 0.0, "cache": 0.0, "preemptions": 0.0}
    found = False
    for name, digits in _LINE.findall(text):
        try:
            value = float(digits)
        except ValueError:
            continue
        if not math.isfinite(value):
            continue
        found = True
        if name.endswith("usage_perc"):
            sums["cache"] = max(sums["cache"], value)
        else:
            key = name.removeprefix("num_requests_").removeprefix("num_").removesuffix("_total")
            sums[key] += value
    return Load(**sums) if found else None


class Window:
    """A number of answers in flight, at least 1.

    Args:
        first: where it begins; the server's `max_num_seqs` if known.
    """

    __slots__ = ("_fast", "_full", "_preemptions", "_shrunk", "metered", "size")

    def __init__(self, first: int = FIRST) -> None:
        self.size = float(min(max(1, first), MOST))
        self.metered: bool | None = None  # unknown
        self._fast = True
        self._full = False
        self._preemptions: float | None = None
        self._shrunk = -math.inf

    def used(self, in_flight: int) -> None:
        """Told at each dispatch: a window that is never full has no reason to grow."""
        if in_flight >= int(self.size):
            self._full = True

    def follow(self, load: Load) -> None:
        """Move by what the server says; called about once a second."""
        self.metered = True
        before, self._preemptions = self._preemptions, load.preemptions
        preempted = before is not None and load.preemptions > before
        full, self._full = self._full, False
        # A request waits for the next step of the scheduler even at an idle server: a few are no queue.
        if preempted or load.waiting > max(1.0, self.size / 16):
            self._fast = False
            self._set(self.size - max(self.size / 10 if preempted else 0.0, load.waiting / 2))
        elif full and load.waiting == 0 and load.cache < 0.9:
            self._set(self.size * 2 if self._fast else self.size + max(1.0, self.size / 8))

    def succeeded(self, n: int) -> None:
        """`n` answers came back. Without metrics this is what opens the window: by 1 a round trip, or doubling."""
        if self.metered is False and self._full:
            self._full = False
            self._set(self.size + (n if self._fast else n / self.size))

    def refused(self, now: float) -> None:
        """A 429 or 503: three tenths less, once a second, for one full queue refuses many at once."""
        self._fast = self._full = False
        if now - self._shrunk >= 1.0:
            self._shrunk = now
            self._set(self.size * 0.7)

    def _set(self, size: float) -> None:
        self.size = min(max(1.0, size), float(MOST))
