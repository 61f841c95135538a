"""Anytime curves as one SVG: a row for each problem and tuning, a panel for each who proposes, a line for each seed."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log10
from statistics import median
from typing import Any, Final
from xml.sax.saxutils import escape

from bench.perf.random_model.arms import ARMS, PROPOSALS, Arm, at

WIDE, HIGH = 270, 150  # of a panel
LEFT, TOP, GAP = 70, 60, 62
THIN, THICK = "#93c5fd", "#1d4ed8"
PLACES: Final = sorted({round(10 ** (step / 40)) for step in range(round(40 * log10(PROPOSALS)) + 1)})


def drawn(courses: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The whole drawing; thin lines are courses, the thick one is their median."""
    rows: dict[tuple[str, int], list[Arm]] = {}
    for arm in ARMS:
        rows.setdefault((arm.problem, arm.tune), []).append(arm)
    columns = max(map(len, rows.values()))
    width, height = LEFT + columns * (WIDE + 24), TOP + len(rows) * (HIGH + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="12" role="img" aria-labelledby="title">',
        '<title id="title">Best objective so far over the number of proposals, by who proposes</title>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        _text(
            LEFT,
            18,
            "Best objective so far (lower is better) over proposals; thin: one seed, thick: median",
            "start",
        ),
    ]
    for index, ((problem, tune), arms) in enumerate(rows.items()):
        top = TOP + index * (HIGH + GAP)
        told = f"{problem}, {f'constants tuned by {tune} evaluations' if tune else 'no tuning'}"
        parts.append(_text(LEFT, top - 22, told, "start", bold=True))
        values = [at(one, place) for arm in arms for one in courses[arm.key] for place in (1, PROPOSALS)]
        low, high = min(values), max(values)
        for column, arm in enumerate(arms):
            left = LEFT + column * (WIDE + 24)
            parts += _panel(arm, courses[arm.key], (left, top), (low, high), column == 0)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(
    arm: Arm,
    courses: Sequence[Mapping[str, Any]],
    corner: tuple[int, int],
    bounds: tuple[float, float],
    labelled: bool,
) -> list[str]:
    left, top = corner
    low, high = bounds
    span = (high - low) or 1.0

    def across(place: float) -> float:
        return left + WIDE * log10(place) / log10(PROPOSALS)

    def down(value: float) -> float:
        return top + 6 + (HIGH - 12) * (high - value) / span

    parts = [
        f'<rect x="{left}" y="{top}" width="{WIDE}" height="{HIGH}" fill="none" stroke="#9ca3af"/>',
        _text(left + WIDE / 2, top - 6, arm.name),
    ]
    parts += [_text(across(place), top + HIGH + 15, f"{place:,}") for place in (1, 10, 100, 1_000)]
    if labelled:
        parts += [_text(left - 6, down(value) + 4, f"{value:.3g}", "end") for value in (low, high)]
    curves = [[at(one, place) for place in PLACES] for one in courses]
    middle = [median(values) for values in zip(*curves, strict=True)]
    for curve, colour, width in [*((one, THIN, 1.2) for one in curves), (middle, THICK, 2.2)]:
        parts.append(
            f'<path d="{_steps([(across(x), down(y)) for x, y in zip(PLACES, curve, strict=True)])}" '
            f'fill="none" stroke="{colour}" stroke-width="{width}"/>'
        )
    return parts


def _steps(points: Sequence[tuple[float, float]]) -> str:
    words = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (_, before), (x, y) in pairwise(points):
        words.append(f"H{x:.1f}" if y == before else f"H{x:.1f}V{y:.1f}")
    return "".join(words)


def _text(x: float, y: float, words: str, anchor: str = "middle", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight}>{escape(words)}</text>'
