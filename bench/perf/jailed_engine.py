"""Programs a core-second of the whole engine where each program needs a jailed process of its own and does nothing.

A trivial problem that cannot be interpreted (its program has a loop), the whole search with its ledger, archive and
workers. What a start costs is left out: two runs of different lengths are compared.
Run: `python bench/perf/jailed_engine.py [--proposals 4000] [--workers 1]`. CPU of all processes together.
"""

import argparse
import tempfile
from pathlib import Path

import evolve
from evolve.config import Config
from evolve.programs_db.ledger import Ledger

PROBLEM = '''"""Add up a few numbers."""

from evolve import Case, Measure, Objective, Problem, Real, problem

# EVOLVE-BLOCK-START
def total(a, b, c):
    """Return their sum."""
    found = 0.5
    for one in (a, b, c):
        found = found + one * 0.9
    return found
# EVOLVE-BLOCK-END


def score(answer, case):
    return {"error": min(abs(answer - sum(case.inputs)), 100.0)}


@problem
def trivial() -> Problem:
    return Problem(
        entry="total",
        cases=[Case("one", inputs=(1.0, 2.0, 4.0))],
        returns=Real(),
        score=score,
        objective=Objective("error", "min"),
        measures=[Measure("nodes", 0, 100), Measure("error", 0.0, 20.0)],
    )
'''
_SHORT = 500


def spent(folder: Path, proposals: int, workers: int) -> tuple[int, float]:
    """Programs that had a process, and CPU seconds of everything."""
    run = evolve.run(
        str(folder / "trivial.py"),
        proposals=proposals,
        workers=workers,
        config=Config(tune=0),
        ledger=folder / f"{proposals}.db",
    )
    with Ledger.read(folder / f"{proposals}.db") as book:
        sql = "SELECT count(*) AS jailed FROM evaluations WHERE isolation = 'strict' AND origin IS NULL"
        jailed = book.query(sql)[0]["jailed"]
    return int(jailed), run.document["cpu_seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proposals", type=int, default=4000)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "trivial.py").write_text(PROBLEM)
        few, cheap = spent(folder, _SHORT, options.workers)
        many, dear = spent(folder, options.proposals, options.workers)
    programs, seconds = many - few, dear - cheap
    print(
        f"{programs} programs with a process each in {seconds:.2f} CPU s: {1e3 * seconds / programs:.2f} ms each, "
    )
    print(f"{programs / seconds:.0f} a core-second")


if __name__ == "__main__":
    main()
