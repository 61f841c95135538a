"""Wall seconds, CPU seconds and bytes of the reports of one run: HTML, Markdown, CSV.

python bench/perf/report_cost.py --problem online_bin_packing --proposals 5000
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import evolve

EVOLVE = str(Path(sys.executable).parent / "evolve")


def cost(*arguments: str) -> tuple[float, float]:
    """Wall and CPU seconds of one command."""
    before, started = _children(), time.perf_counter()
    subprocess.run([EVOLVE, "report", *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started, _children() - before


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--problem", default="online_bin_packing")
    parser.add_argument("--proposals", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ledger = f"{folder}/run.db"
        evolve.run(
            options.problem, seed=options.seed, ledger=ledger, proposals=options.proposals, verify=False
        )
        print(f"{options.problem}, {options.proposals} proposals\n")
        print("| report | wall s (worst) | CPU s | kB |\n|---|---|---|---|")
        for what, flag in (("HTML", "-o"), ("Markdown", "--md"), ("CSV", "--csv")):
            place = Path(folder) / what
            rows = [cost(ledger, flag, str(place), "--force") for _ in range(options.repeat)]
            wall, cpu = zip(*rows, strict=True)
            files = [place] if place.is_file() else list(place.rglob("*"))
            size = sum(one.stat().st_size for one in files) / 1000
            took = f"{statistics.median(wall):.2f} ({max(wall):.2f}) | {statistics.median(cpu):.2f}"
            print(f"| {what} | {took} | {size:.0f} |")


if __name__ == "__main__":
    main()
