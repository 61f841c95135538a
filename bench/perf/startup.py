"""Wall seconds from command to answer: help, the seed program's score, and the summary of a run of one proposal.

The first score is told when engine and worker have started and one program was evaluated. The summary comes after the
best was verified and seed, best and baselines were scored on every unseen suite.

    python bench/perf/startup.py --problem online_bin_packing
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS = ("first score", "summary of one proposal")
EVOLVE = str(Path(sys.executable).parent / "evolve")


def help_seconds() -> float:
    """Wall seconds of `evolve --help`."""
    started = time.perf_counter()
    subprocess.run([EVOLVE, "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def run_seconds(problem: str, ledger: str, **environment: str) -> tuple[float, float]:
    """Wall seconds from the command to the first score that it tells, and to its end."""
    started, first = time.perf_counter(), 0.0
    command = [EVOLVE, "run", problem, "--budget", "1", "--workers", "1", "--json-events", "--ledger", ledger]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **environment}) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not first and json.loads(line)["event"] == "improved":
                first = time.perf_counter() - started
    if process.returncode or not first:
        raise SystemExit(f"{shlex.join(command)} ended with {process.returncode}")
    return first, time.perf_counter() - started


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problem", default="online_bin_packing")
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    helps = [help_seconds() for _ in range(options.repeat)]
    with tempfile.TemporaryDirectory() as folder:
        run_seconds(options.problem, f"{folder}/0.db")
        warm = [run_seconds(options.problem, f"{folder}/{n}.db") for n in range(1, options.repeat + 1)]
        cold = run_seconds(options.problem, f"{folder}/cold.db", NUMBA_CACHE_DIR=f"{folder}/numba")
    print(f"{options.problem}: wall seconds, median (worst) of {options.repeat}")
    for what, figures in (("evolve --help", helps), *zip(ROWS, zip(*warm, strict=True), strict=True)):
        print(f"{what:<34}{statistics.median(figures):.3f} ({max(figures):.3f})")
    for what, figure in zip(ROWS, cold, strict=True):
        print(f"{what + ', cold caches':<34}{figure:.2f}")


if __name__ == "__main__":
    main()
