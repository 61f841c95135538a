"""CPU microseconds of what a search asks of its archive, beside pyribs in the same run.

    pip install 'evolve-engine[peers]'
    python bench/perf/archive_cost.py

Both get the same programs of the same objective and measures, one at a time, as a search with no barrier adds them; on
a grid of 32 x 32 on one island. A proposal asks for one parent and two mates: ours by the rules of the search (greed,
rank, fatigue), pyribs' uniformly, which is what its `sample_elites` does. pyribs keeps solutions in arrays, made for
batches: its batch of 1,024 is shown too. Rounds alternate; the figures are medians over them.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from evolve.config import Config
from evolve.programs_db.archive import Archive
from evolve.programs_db.records import Elite, Measure, Objective, Program
from evolve.select import choose_mates, choose_parent, key

BINS = 32
MATES = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--programs", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    try:
        import ribs
    except ImportError:
        raise SystemExit("pyribs is not installed: pip install 'evolve-engine[peers]'") from None
    theirs(2048)  # what it compiles, it compiles once
    rows: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for who in (ours, theirs):
            for what, seconds in who(options.programs).items():
                rows.setdefault(what, []).append(1e6 * seconds / options.programs)
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, ribs {ribs.__version__}"
    )
    print("\n| what | CPU us a program | least, most |\n|---|---|---|")
    for what, figures in rows.items():
        print(f"| {what} | {statistics.median(figures):.2f} | {min(figures):.2f}, {max(figures):.2f} |")
    middle = {what: statistics.median(figures) for what, figures in rows.items()}
    for what, own, other in (
        ("adding", "evolve: add", "pyribs: add"),
        ("adding in batches", "evolve: add", "pyribs: add, batches of 1,024"),
        ("choosing", "evolve: parent and mates", "pyribs: parent and mates"),
    ):
        print(f"{what}: pyribs takes {middle[other] / middle[own]:.2f} times as long")


def drawn(programs: int) -> tuple[np.ndarray, np.ndarray]:
    """Objectives, f8 of shape (programs,), that better slowly, and measures, f8 of shape (programs, 2)."""
    rng = np.random.default_rng(0)
    return rng.normal(np.linspace(0.0, 3.0, programs), 1.0), rng.beta(2.0, 5.0, (programs, 2))


def clocked(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def ours(programs: int) -> dict[str, float]:
    objectives, measures = drawn(programs)
    axes = [Measure("a", 0.0, 1.0, BINS), Measure("b", 0.0, 1.0, BINS)]
    archive, config = Archive(Objective("value", "max"), axes, 1), Config()
    elites = [
        Elite(Program(f"b2:{number}", "", "", "", 1), float(objective), (float(a), float(b)), "", number)
        for number, (objective, (a, b)) in enumerate(zip(objectives, measures, strict=True))
    ]
    rngs = [key(0, number) for number in range(programs)]

    def add() -> None:
        for elite in elites:
            archive.add(0, elite)

    def choose() -> None:
        there = archive.elites(0)
        for rng in rngs:
            parent = choose_parent(there, lambda program: archive.uses(0, program), rng, config, 0.5)
            choose_mates(there, parent, rng, MATES)

    return {"evolve: add": clocked(add), "evolve: parent and mates": clocked(choose)}


def theirs(programs: int) -> dict[str, float]:
    from ribs.archives import GridArchive

    objectives, measures = drawn(programs)
    solutions = np.arange(programs, dtype=np.float64)[:, None]
    bounds: Any = {"solution_dim": 1, "dims": [BINS, BINS], "ranges": [(0.0, 1.0), (0.0, 1.0)]}
    one, many = GridArchive(**bounds, seed=0), GridArchive(**bounds, seed=0)

    def add() -> None:
        for number in range(programs):
            one.add_single(solutions[number], objectives[number], measures[number])

    def batches() -> None:
        for start in range(0, programs, 1024):
            part = slice(start, start + 1024)
            many.add(solutions[part], objectives[part], measures[part])

    def choose() -> None:
        for _ in range(programs):
            one.sample_elites(1 + MATES)

    return {
        "pyribs: add": clocked(add),
        "pyribs: add, batches of 1,024": clocked(batches),
        "pyribs: parent and mates": clocked(choose),
    }


if __name__ == "__main__":
    main()
