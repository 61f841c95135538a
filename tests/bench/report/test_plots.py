"""Drawings of figures that hardly fit into a number."""

import numpy as np
import pytest

from evolve.bench.report import plots
from evolve.bench.report.facts import Case, Gain


@pytest.mark.parametrize("size", [1.7e308, 1e300, 1.0, 1e-300, 5e-324, float("inf")])
def test_every_number_can_be_drawn(size):
    cases = [
        Case("a", "training", {"best": size, "seed program": -size}, (-size, size)),
        Case("b", "unseen", {"best": size}),
    ]
    drawings = (
        plots.anytime((np.array([1, 2]), np.array([-size, size])), 5, "x"),
        plots.anytime((np.array([1]), np.array([size])), 5, "x"),
        plots.lineage([-size, None, size], "x"),
        plots.by_case(cases, "x", []),
        plots.gains([Gain("a", size, size, -size, size)], "x"),
    )
    assert all(drawn.startswith("<svg") for drawn in drawings)
