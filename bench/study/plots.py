"""Anytime curves as SVG: for each strategy the median over seeds, and a band that holds the middle half of them."""

import io
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evolve.bench.study.outcomes import Outcome, at
from evolve.bench.study.plan import Plan
from evolve.terminal import number

__all__ = ["curves", "drawable", "places_of", "said"]

_UNITS: Final = {
    "evaluations": "evaluations",
    "proposals": "proposals",
    "cpu_seconds": "CPU seconds",
    "requests": "requests",
    "tokens": "tokens",
    "money": "money",
}

_COLOURS: Final = (
    *("#1d4ed8", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2"),
    *("#be185d", "#65a30d", "#57534e", "#4338ca", "#b45309", "#0f766e"),
)
_PLACES: Final = 160
_STYLE: Final[Any] = {
    "svg.hashsalt": "study",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def said(amount: float, kind: str) -> str:
    """A budget for people: 1 evaluation, 5000 proposals, 2,000,000 tokens."""
    unit = _UNITS[kind].removesuffix("s") if amount == 1 else _UNITS[kind]
    return f"{amount:,.0f} {unit}" if amount >= 1e6 else f"{number(amount)} {unit}"


def drawable() -> bool:
    """Whether there is a library to draw with."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def places_of(plan: Plan) -> NDArray[np.float64]:
    """Where curves are read off, rising, f8, shape (n,): what is counted begins at 1, what is not anywhere."""
    first = plan.amount / 400
    if plan.kind not in ("cpu_seconds", "money"):
        first = max(1.0, first)
    return np.geomspace(first, plan.amount, _PLACES)


def curves(
    plan: Plan, label: str, problem: Mapping[str, Any], runs: Mapping[str, Mapping[int, Outcome]]
) -> str:
    """The curves of a problem; the same outcomes give the same text.

    Args:
        plan: of the study.
        label: of the problem.
        problem: as the document has it.
        runs: outcomes by strategy and seed.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    objective = problem["objective"]
    places = places_of(plan)
    with rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 4.0), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        for number, (strategy, by_seed) in enumerate(runs.items()):
            colour = _COLOURS[number % len(_COLOURS)]
            values = np.array([[at(one.curve, place) for place in places] for one in by_seed.values()])
            if plan.strategy(strategy).kind == "classical":
                axes.axhline(values[0, 0], color=colour, linestyle="--", linewidth=1.2, label=strategy)
                continue
            low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
            axes.fill_between(places, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
            axes.step(places, middle, where="post", color=colour, linewidth=1.6, label=strategy)
        axes.set_xscale("log")
        unit = _UNITS[plan.kind] + (" of a simulated model" if plan.simulated is not None else "")
        axes.set_xlabel(unit)
        axes.set_ylabel(_plain(f"{objective['name']} ({objective['direction']}) {objective['unit']}".strip()))
        axes.set_title(
            _plain(f"{label}: best so far, median and 25-75 % of {_seeds(runs)} seeds"), fontsize=10
        )
        axes.legend(frameon=False, fontsize=8)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _seeds(runs: Mapping[str, Mapping[int, Outcome]]) -> int:
    return max(map(len, runs.values()))


def _plain(text: str) -> str:
    """Text that the library does not take for mathematics."""
    return text.replace("$", r"\$")
