"""The plots of a report as inline SVG, made with matplotlib: text stays text, ink is the page's own, light or dark.

Knows facts and figures; nothing of pages. matplotlib is loaded when a plot is made.
"""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from evolve.bench.novelty import Diversity, Novelty
from evolve.bench.report.facts import Case, Gain
from evolve.bench.report.judgement import BEST, SEED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["anytime", "brief", "by_case", "diversity", "drawing", "gains", "lineage", "novelty"]

_WIDE = 4.6  # inches; 331 px of a drawing, shown as wide as its column
# Colours that no drawing holds otherwise, and what stands for them on the page.
INK, SOFT, MAIN, OTHER, GOOD = "#010203", "#010204", "#010205", "#010206", "#010207"
_ON_PAGE: Final = {
    INK: "var(--ink)",
    SOFT: "var(--line)",
    MAIN: "var(--main)",
    OTHER: "var(--other)",
    GOOD: "var(--good)",
}
_SETTINGS: Final[Mapping[str, Any]] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name may hold a dollar
    "text.usetex": False,
    "font.size": 8.5,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.unicode_minus": False,
    "axes.formatter.useoffset": False,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "path.simplify": True,
}
_SVG: Final = "{http://www.w3.org/2000/svg}"
_FAMILY: Final = re.compile(r"font-family: [^;]*;? ?")
_SHORTER: Final = re.compile(r"(\d\.\d\d)\d+")
_DOTS = 500  # of a cloud, at most
ElementTree.register_namespace("", _SVG[1:-1])
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
_LARGEST = 1e300  # that is drawn; matplotlib takes differences, which must not overflow
_NAME = 26  # characters of a name beside an axis


@contextmanager
def drawing(name: str, high: float = 2.5, wide: float = _WIDE) -> "Iterator[tuple[Figure, list[str]]]":
    """A figure, and a list that holds its SVG when it is left.

    Args:
        name: of the drawing: no two on a page may share one.
        high: inches.
        wide: inches.
    """
    import matplotlib
    from matplotlib.figure import Figure

    done: list[str] = []
    settings: Any = {**_SETTINGS, "svg.hashsalt": name}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # a glyph that matplotlib's font lacks: the page's has it
        figure = Figure(figsize=(wide, high), layout="constrained")
        yield figure, done
        file = io.StringIO()
        figure.savefig(
            file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    done.append(_inline(file.getvalue(), name))


def _inline(text: str, name: str) -> str:
    """A drawing as a part of a page: no rules for the whole page, no ids but those in use, the page's sizes and ink."""
    root = ElementTree.fromstring(text)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{_SVG}metadata", f"{_SVG}style"):
                parent.remove(child)
    used = {value for one in root.iter() for value in re.findall(r"#([\w-]+)", " ".join(one.attrib.values()))}
    for one in root.iter():
        if one.get("id") not in used:
            one.attrib.pop("id", None)
        for key, value in one.attrib.items():
            one.set(key, _page_style(value) if key == "style" else _SHORTER.sub(r"\1", value))
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.set("role", "img")
    root.set("aria-label", name)
    return ElementTree.tostring(root, encoding="unicode")


def _page_style(style: str) -> str:
    for colour, meaning in _ON_PAGE.items():
        style = style.replace(colour, meaning)
    return _FAMILY.sub("", style)


def brief(name: str) -> str:
    """A name as it stands beside an axis, in one line."""
    name = " ".join(name.split())
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"


def drawable(value: float) -> float:
    """A value as it can be drawn: one that is larger than a drawing can hold stands at its edge."""
    return min(_LARGEST, max(-_LARGEST, value))


def anytime(curve: tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]], end: int, label: str) -> str:
    """The best objective so far over the evaluations spent.

    Args:
        curve: (n,) evaluations, and (n,) values from there on; n > 0.
        end: evaluations spent in all.
        label: of the objective, with its unit.
    """
    with drawing("anytime curve") as (figure, done):
        axes = figure.subplots()
        evaluations, values = curve[0], np.clip(curve[1], -_LARGEST, _LARGEST)
        axes.step(
            [*evaluations, max(end, evaluations[-1])], [*values, values[-1]], where="post", color=MAIN, lw=1.6
        )
        axes.plot(evaluations, values, "o", ms=2.6, color=MAIN)
        axes.set_xlabel("evaluations")
        axes.set_ylabel(brief(label))
        _quiet(axes)
    return done[0]


def lineage(objectives: Sequence[float | None], label: str) -> str:
    """The objective along the lineage of the best, from the seed program on."""
    with drawing("objective along the lineage") as (figure, done):
        from matplotlib.ticker import MaxNLocator

        axes = figure.subplots()
        known = [(place, drawable(value)) for place, value in enumerate(objectives) if value is not None]
        axes.plot(
            [place for place, _ in known], [value for _, value in known], "o-", ms=3, lw=1.2, color=MAIN
        )
        axes.set_xlabel("steps from the seed program")
        axes.set_ylabel(brief(label))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _quiet(axes)
    return done[0]


def by_case(cases: Sequence[Case], label: str, others: Sequence[str]) -> str:
    """A dot a program on each case, suite and set of draws, with the span of the best where there is one.

    Args:
        cases: top to bottom; at least one.
        label: of the objective.
        others: names of the baselines.
    """
    looks: dict[str, dict[str, Any]] = {
        BEST: {"marker": "o", "color": MAIN, "s": 26, "zorder": 3},
        SEED: {"marker": "o", "facecolors": "none", "edgecolors": INK, "s": 26, "zorder": 2},
    }
    shapes = ("x", "+", "^", "s", "d", "v", "*", "1")
    for place, name in enumerate(others):
        looks[name] = {
            "marker": shapes[place % len(shapes)],
            "color": OTHER,
            "s": 20,
            "zorder": 1,
            "linewidths": 1.0,
        }
    high = 0.9 + 0.21 * len(cases)
    with drawing("objective by case", high) as (figure, done):
        axes = figure.subplots()
        for row, case in enumerate(cases):
            if case.span is not None:
                axes.plot(
                    [*map(drawable, case.span)],
                    [row, row],
                    color=MAIN,
                    lw=2.2,
                    alpha=0.45,
                    solid_capstyle="butt",
                )
        for name, look in looks.items():
            rows = [row for row, case in enumerate(cases) if name in case.values]
            if rows:
                values = [drawable(cases[row].values[name]) for row in rows]
                axes.scatter(values, rows, label=brief(name), **look)
        _named_rows(axes, [case.name for case in cases])
        _between(axes, [case.kind for case in cases])
        axes.set_xlabel(brief(label))
        _legend(figure, axes)
    return done[0]


def gains(rows: Sequence[Gain], label: str) -> str:
    """How much better the best is on fresh draws: a dot for the mean, a line for the interval of the median."""
    with drawing("gain on fresh draws", 0.75 + 0.24 * len(rows)) as (figure, done):
        axes = figure.subplots()
        for row, one in enumerate(rows):
            span = drawable(one.low), drawable(one.high)
            axes.plot(span, [row, row], color=MAIN, lw=2.2, alpha=0.45, solid_capstyle="butt")
            axes.plot([drawable(one.gain)], [row], "o", ms=4, color=MAIN)
        axes.axvline(0.0, color=INK, lw=0.8, ls=(0, (3, 3)))
        _named_rows(axes, [f"over {one.over}" for one in rows])
        axes.set_xlabel(brief(label))
    return done[0]


def novelty(found: Novelty) -> str:
    """How far each elite was from the nearest before it, in behaviour and in structure, over the run."""
    with drawing("novelty of elites") as (figure, done):
        axes = figure.subplots()
        kept = np.linspace(0, len(found.structure) - 1, min(_DOTS, len(found.structure))).astype(int)
        spent = found.evaluations[1:][kept]
        axes.plot(spent, found.structure[kept], ".", ms=2.6, color=OTHER, alpha=0.6, label="in structure")
        axes.plot(spent, found.behaviour[kept], ".", ms=2.6, color=MAIN, alpha=0.8, label="in behaviour")
        axes.set_xlabel("evaluations")
        axes.set_ylabel("distance to nearest")
        _quiet(axes)
        _legend(figure, axes)
    return done[0]


def diversity(points: Sequence[Diversity]) -> str:
    """How many structures the archive holds in effect, and how far its elites are apart, over the run."""
    with drawing("diversity of the archive") as (figure, done):
        axes = figure.subplots()
        beside = axes.twinx()
        spent = [point.evaluations for point in points]
        axes.plot(
            spent, [point.structures for point in points], color=MAIN, lw=1.4, label="structures, in effect"
        )
        beside.plot(
            spent,
            [point.spread for point in points],
            color=OTHER,
            lw=1.4,
            label="spread of behaviour (right)",
        )
        axes.set_xlabel("evaluations")
        axes.set_ylim(bottom=0)
        beside.set_ylim(bottom=0)
        beside.spines["right"].set_visible(True)
        _quiet(axes)
        _legend(figure, axes, beside)
    return done[0]


def _quiet(axes: "Axes") -> None:
    axes.grid(axis="y", color=SOFT, lw=0.5)
    axes.set_axisbelow(True)


def _named_rows(axes: "Axes", names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [brief(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=SOFT, lw=0.5)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)


def _between(axes: "Axes", kinds: Sequence[str]) -> None:
    """A line where another kind of cases begins."""
    for row in range(1, len(kinds)):
        if kinds[row] != kinds[row - 1]:
            axes.axhline(row - 0.5, color=SOFT, lw=0.8)


def _legend(figure: "Figure", *axes: "Axes") -> None:
    found: dict[str, Any] = {}
    for one in axes:
        handles, labels = one.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    figure.legend(
        list(found.values()),
        list(found),
        loc="outside upper left",
        ncols=3,
        handletextpad=0.3,
        columnspacing=1.0,
    )
