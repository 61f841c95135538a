"""From what was seen of a run to the figures of a table: pure."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from bench.perf.kept_full.measure import Course, Sample
from bench.perf.kept_full.settings import CORES, Setting

__all__ = ["row"]

_BANDS: Final = ((100, 300), (900, 1_100), (1_500, 2_000), (4_500, 5_500), (9_000, 11_000), (18_000, 20_000))
"""Numbers of programs between which the cost of one is told, where a run came so far."""

_FEWEST: Final = 4  # samples of a steady part


def row(name: str, setting: tuple[str, Setting], course: Course, warm: float) -> dict[str, Any]:
    """The figures of one run, as JSON.

    Args:
        name: of the contender.
        setting: with its key.
        course: what was seen.
        warm: seconds after the first program that are left out; so are the last programs, while the slots empty.

    Raises:
        SystemExit: the run was too short for a steady part, or failed.
    """
    key, asked = setting
    steady = _steady(course.samples, warm, 2 * asked.slots)
    if len(steady) < _FEWEST:
        made = course.samples[-1].made if course.samples else 0
        raise SystemExit(
            f"{name}, setting {key}: {made} programs in {course.seconds:.0f} s are too few for a steady part of "
            f"{_FEWEST} samples; ask for more. It ended with {course.code} and said:\n{course.said}"
        )
    first, last = steady[0], steady[-1]
    span = _between(first, last)
    made = course.made
    return {
        "contender": name,
        "setting": key,
        "slots": asked.slots,
        "latency": asked.latency,
        "busy": asked.busy,
        "programs": made,
        "ended": course.code,
        "steady_from": first.made,
        "steady_to": last.made,
        **span,
        "evaluators_busy": span["rate"] * asked.busy / CORES if asked.busy else None,
        # The same where others took a part of the cores: of what they left.
        "evaluators_busy_of_left": span["rate"] * asked.busy / max(CORES - span["other_cores"], 0.01)
        if asked.busy
        else None,
        "unrecorded": _unrecorded(steady),
        "bands": _bands(course.samples),
        "pss_mb": course.proportional / 1e6,
        "rss_mb": course.resident / 1e6,
        "processes": max(each.tree.processes for each in course.samples),
        "disk_bytes": course.disk.bytes / max(made, 1),
        "disk_files": course.disk.files / max(made, 1),
        "replies": int(course.samples[-1].server["answered"]),
    }


def _steady(samples: Sequence[Sample], warm: float, margin: int) -> list[Sample]:
    begun = next((each.at for each in samples if each.made), None)
    if begun is None:
        return []
    end = samples[-1].made - margin
    return [each for each in samples if each.at >= begun + warm and each.made <= end]


def _between(first: Sample, last: Sample) -> dict[str, float]:
    """Rates between two samples."""
    seconds = last.at - first.at
    programs = max(last.made - first.made, 1)
    served = last.server["at"] - first.server["at"]
    finished = max(last.server["finished"] - first.server["finished"], 1)
    answered = max(last.server["answered"] - first.server["answered"], 1)
    cpu = last.tree.cpu - first.tree.cpu
    serving = last.server["cpu"] - first.server["cpu"]
    return {
        "seconds": seconds,
        "rate": (last.made - first.made) / seconds,
        "replies_rate": (last.server["answered"] - first.server["answered"]) / served,
        "in_flight": (last.server["area"] - first.server["area"]) / served,
        "queued": (last.server["queued"] - first.server["queued"]) / served,
        "held_late_ms": 1e3 * (last.server["late"] - first.server["late"]) / finished,
        "cpu_ms": 1e3 * cpu / programs,
        "own_ms": 1e3 * (last.tree.own - first.tree.own) / programs,
        "cpu_cores": cpu / seconds,
        "prompt_tokens": (last.server["prompt"] - first.server["prompt"]) / answered,
        "server_ms": 1e3 * serving / answered,
        "other_cores": max(0.0, last.machine - first.machine - cpu - serving) / seconds,
    }


def _unrecorded(samples: Sequence[Sample]) -> int:
    """Replies that came and are in no recorded program yet, at most: what piles up, or was lost."""
    return int(max(each.server["answered"] - each.made for each in samples))


def _bands(samples: Sequence[Sample]) -> list[dict[str, float]]:
    """What a program cost at several sizes of the record."""
    most = samples[-1].made if samples else 0
    told = []
    for low, high in _BANDS:
        if most < low + (high - low) / 2:
            continue
        high = min(high, most)
        span = [_at(samples, number) for number in (low, high)]
        programs = high - low
        seconds = span[1](lambda each: each.at) - span[0](lambda each: each.at)
        told.append(
            {
                "from": low,
                "to": high,
                "rate": programs / seconds,
                "cpu_ms": 1e3 * _grown(span, lambda each: each.tree.cpu) / programs,
                "own_ms": 1e3 * _grown(span, lambda each: each.tree.own) / programs,
                "in_flight": _grown(span, lambda each: each.server["area"])
                / _grown(span, lambda each: each.server["at"]),
            }
        )
    return told


_Reading = Callable[[Sample], float]


def _grown(span: Sequence[Callable[[_Reading], float]], reading: _Reading) -> float:
    return span[1](reading) - span[0](reading)


def _at(samples: Sequence[Sample], number: int) -> Callable[[_Reading], float]:
    """Readings at the moment when so many programs were made, between two samples in proportion."""
    after = next(i for i, each in enumerate(samples) if each.made >= number)
    before = max(after - 1, 0)
    low, high = samples[before], samples[after]
    share = (number - low.made) / (high.made - low.made) if high.made > low.made else 0.0

    def read(reading: _Reading) -> float:
        return reading(low) + share * (reading(high) - reading(low))

    return read
