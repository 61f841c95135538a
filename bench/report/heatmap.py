"""The archive as a map: which cells of the grid were reached, and how good the best program ever found in each is.

Knows cells, measures and plots; reads no ledger.
"""

from collections.abc import Mapping, Sequence

from evolve.bench.report.plots import INK, SOFT, brief, drawing
from evolve.programs_db.records import Measure, Objective

__all__ = ["LEVELS", "merged", "pictured"]

_MOST = 48  # cells along an axis; of more, neighbours are drawn as one
LEVELS = (
    "#440154",
    "#482878",
    "#3e4a89",
    "#31688e",
    "#26828e",
    "#1f9e89",
    "#35b779",
    "#6ece58",
    "#b5de2b",
    "#fde725",
)
"""viridis, the worst tenth of the cells first: told apart by those who see no colours, outlined for dark pages."""

Cells = Mapping[tuple[int, ...], float]


def merged(cells: Cells, measures: Sequence[Measure], objective: Objective) -> dict[tuple[int, int], float]:
    """The cells as they are drawn: (column, row), the best objective of those that are drawn as one."""
    steps = [-(-measure.bins // _MOST) for measure in measures[:2]]
    found: dict[tuple[int, int], float] = {}
    for cell, value in cells.items():
        bins = [place // step for place, step in zip(cell, steps, strict=False)]
        at = (bins[0] if bins else 0, bins[1] if len(bins) > 1 else 0)
        if at not in found or objective.better(value, found[at]):
            found[at] = value
    return found


def pictured(cells: Cells, measures: Sequence[Measure], objective: Objective) -> str:
    """The map as SVG.

    Args:
        cells: best objective by bins of the first two measures; at least one.
        measures: of the problem; at least one.
        objective: what is better.
    """
    places = merged(cells, measures, objective)
    # By rank, not by value: one hopeless cell would leave all others the same colour.
    order = sorted(set(places.values()), key=objective.key)
    ranks = {value: min(9, int(10 * place / max(1, len(order) - 1))) for place, value in enumerate(order)}
    if len(order) == 1:
        ranks = {order[0]: 9}
    two = len(measures) > 1
    with drawing("map of the archive", 3.3 if two else 1.1) as (figure, done):
        from matplotlib.collections import PolyCollection

        axes = figure.subplots()
        sides = [_sides(measure) for measure in measures[:2]] or [(0.0, 1.0)]
        wide, high = sides[0][1], sides[1][1] if two else 1.0
        left, low = sides[0][0], sides[1][0] if two else 0.0
        squares = [
            [(left + (x + dx) * wide, low + (y + dy) * high) for dx, dy in ((0, 0), (1, 0), (1, 1), (0, 1))]
            for x, y in places
        ]
        colours = [LEVELS[ranks[value]] for value in places.values()]
        axes.add_collection(PolyCollection(squares, facecolors=colours, edgecolors=SOFT, linewidths=0.5))
        axes.set_xlim(measures[0].low, measures[0].high)
        axes.set_xlabel(brief(measures[0].name))
        if two:
            axes.set_ylim(measures[1].low, measures[1].high)
            axes.set_ylabel(brief(measures[1].name))
        else:
            axes.set_ylim(0.0, 1.0)
            axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(True)
            spine.set_color(SOFT)
        axes.tick_params(labelcolor=INK)
    return done[0]


def _sides(measure: Measure) -> tuple[float, float]:
    """Where the first cell begins as it is drawn, and how wide one is."""
    step = -(-measure.bins // _MOST)
    return measure.low, (measure.high - measure.low) / measure.bins * step
