"""A small anytime plot: the best objective so far over seconds of searching, a line for each seed."""

from xml.sax.saxutils import escape

from bench.suite.runs import SECONDS, Row

__all__ = ["small"]

WIDE, HIGH, LEFT, TOP, LOW = 340, 120, 64, 8, 22
COLOURS = ("#1d4ed8", "#0891b2", "#7c3aed")


def small(row: Row) -> str:
    """The plot as SVG, readable on light and on dark pages."""
    values = [value for course in row.courses for _, value in course.curve]
    low, high = min(values), max(values)
    span = (high - low) or abs(high) or 1.0

    def across(seconds: float) -> float:
        return LEFT + (WIDE - LEFT - 8) * min(1.0, seconds / SECONDS)

    def down(value: float) -> float:
        return TOP + (HIGH - TOP - LOW) * (high - value) / span

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" width="{WIDE}" height="{HIGH}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="11" role="img" aria-labelledby="title">',
        f'<title id="title">{escape(row.name)}: best so far over seconds of searching, three seeds</title>',
        f'<rect width="{WIDE}" height="{HIGH}" rx="4" fill="#ffffff"/>',
        f'<path d="M{LEFT} {TOP}V{HIGH - LOW}H{WIDE - 8}" fill="none" stroke="#9ca3af"/>',
    ]
    ends = dict.fromkeys((low, high))
    parts += [_text(LEFT - 5, down(value) + 4, f"{value:.4g}", "end") for value in ends]
    times = (0, SECONDS // 2, SECONDS)
    anchors = ("middle", "middle", "end")  # the last one would stand half outside
    parts += [
        _text(across(seconds), HIGH - 7, f"{seconds} s", anchor)
        for seconds, anchor in zip(times, anchors, strict=True)
    ]
    for course, colour in zip(row.courses, COLOURS, strict=False):
        steps = [f"M{across(course.curve[0][0]):.1f} {down(course.curve[0][1]):.1f}"]
        steps += [f"H{across(seconds):.1f}V{down(value):.1f}" for seconds, value in course.curve[1:]]
        path = "".join([*steps, f"H{across(SECONDS):.1f}"])
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#374151">{escape(words)}</text>'
