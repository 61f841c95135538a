"""The one test that the plugin collects from a ledger, once for each contender and case."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from evolve.bench.compare.plugin import Figures

__all__ = ["test_program"]


def test_program(benchmark: "BenchmarkFixture", evolve_figures: "Figures") -> None:
    """A program is right on cases that no selection saw, and takes the CPU seconds that were measured outside it."""
    evolve_figures.show(benchmark)
