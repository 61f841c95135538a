"""Wall seconds from command to answer: help, and a run of one proposal with warm and with cold caches of Numba.

A run of one proposal starts engine and worker, evaluates two programs and scores seed, best and baselines on every
unseen suite, so its time is an upper bound of the time to the first evaluation.

    python bench/perf/startup.py --problem online_bin_packing
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EVOLVE = str(Path(sys.executable).parent / "evolve")


def seconds(*arguments: str, **environment: str) -> float:
    """Wall seconds of one command."""
    started = time.perf_counter()
    subprocess.run(
        [EVOLVE, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )  # fmt: skip
    return time.perf_counter() - started


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problem", default="online_bin_packing")
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:

        def run(number: int, **environment: str) -> float:
            ledger = f"{folder}/{number}.db"
            given = ("--budget", "1", "--workers", "1", "--json", "--ledger", ledger)
            return seconds("run", options.problem, *given, **environment)

        helps = [seconds("--help") for _ in range(options.repeat)]
        run(0)
        warm = [run(number) for number in range(1, options.repeat + 1)]
        cold = run(99, NUMBA_CACHE_DIR=f"{folder}/numba")
    print(f"{options.problem}: wall seconds, median (worst) of {options.repeat}")
    print(f"evolve --help                   {statistics.median(helps):.3f} ({max(helps):.3f})")
    print(f"one proposal, warm caches       {statistics.median(warm):.2f} ({max(warm):.2f})")
    print(f"one proposal, cold caches       {cold:.2f}")


if __name__ == "__main__":
    main()
