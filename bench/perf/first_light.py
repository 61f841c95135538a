"""What the search finds from the weak seeds with no model on one core; writes docs/first-light.md.

A job for a person, on a machine with nothing else running (20 minutes):

    python bench/perf/first_light.py --core 0 --folder /tmp/first-light --write docs/first-light.md

Every run is the command line, pinned with its worker to one core. Bin packing is scored again by a plain simulator
that keeps every bin, over a table that a jailed Python process made: it shares neither the interpreter nor the
histogram with the run. Runs whose ledger is in the folder already are not repeated.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import evolve
from evolve.fastcore.limits import Limits
from evolve.fastcore.runner import Runner

SEEDS = range(5)
CAPSET = {4: 20, 5: 42, 6: 96}


def once(problem: str, budget: str, seed: int, options: argparse.Namespace, *more: str) -> dict[str, Any]:
    """One run; the document that it ends with, and its wall seconds from command to end."""
    name = "-".join([problem, *more, budget, str(seed)]).replace("=", "")
    ledger, told = options.folder / f"{name}.db", options.folder / f"{name}.json"
    if not told.exists():
        ledger.unlink(missing_ok=True)
        command = [
            str(Path(sys.executable).parent / "evolve"),
            "run",
            problem,
            "--budget",
            budget,
            "--seed",
            str(seed),
        ]
        command += ["--workers", "1", "--ledger", str(ledger), "--json", *more]
        pinned = [shutil.which("taskset") or "taskset", "-c", str(options.core), *command]
        told.write_text(subprocess.run(pinned, check=True, stdout=subprocess.PIPE, text=True).stdout)
    document: dict[str, Any] = json.loads(told.read_text())
    document["source"] = evolve.open_run(ledger).best().program.source  # type: ignore[union-attr]
    return document


def plain_excess(source: str, suite: str) -> float:
    """Mean excess in percent on an unseen suite, every bin kept in a list; ties to the least room."""
    problem = evolve.load("online_bin_packing")
    values = []
    with Runner() as runner:
        for case in problem.unseen[suite]:
            grid = problem.grid_of(case)
            with runner.start(source, problem.entry, Limits()) as session:
                session.begin_case()
                answer = np.broadcast_to(np.asarray(session.call(grid.inputs), dtype=float), grid.table_shape)
            capacity, items = case.hidden.capacity, case.hidden.items
            priority = np.full((capacity + 1, capacity + 1), -np.inf)
            item, remaining = (values.astype(int) for values in grid.inputs)
            priority[item, remaining] = np.where(np.isnan(answer), -np.inf, answer)
            values.append(100.0 * (_bins(priority, items, capacity) - case.hidden.bound) / case.hidden.bound)
    return statistics.fmean(values)


def _bins(priority: np.ndarray, items: np.ndarray, capacity: int) -> int:
    rooms = np.full(len(items) + 1, capacity)  # rooms[used] is the fresh bin
    used = 0
    for item in items:
        open_bins = rooms[: used + 1]
        fits = open_bins >= item
        wanted = np.where(fits, priority[item, np.where(fits, open_bins, capacity)], -np.inf)
        best = wanted.max()
        if best == -np.inf:
            place = used
        else:
            places = np.flatnonzero(fits & (wanted == best))
            place = int(places[np.argmin(open_bins[places])])
        used += int(place == used)
        rooms[place] -= item
    return used


def packing(options: argparse.Namespace) -> list[str]:
    """The table of `online_bin_packing`."""
    runs = [once("online_bin_packing", "60s", seed, options) for seed in SEEDS]
    suites = list(runs[0]["best"]["unseen"])
    plain = [plain_excess(run["source"], "weibull_5k") for run in runs]
    lines = ["| seed | plain 5k | " + " | ".join(suites) + " | train | evaluations | CPU s |"]
    lines.append("|---" * (len(suites) + 5) + "|")
    for seed, run, exact in zip(SEEDS, runs, plain, strict=True):
        unseen = " | ".join(f"{run['best']['unseen'][suite]:.2f}" for suite in suites)
        lines.append(
            f"| {seed} | **{exact:.3f}** | {unseen} | {run['best']['value']:.3f} | {run['evaluations']:,} "
            f"| {run['cpu_seconds']:.0f} |"
        )
    base = runs[0]["baselines"]["best_fit"]
    unseen = " | ".join(f"{base['unseen'][suite]:.2f}" for suite in suites)
    lines.append(
        f"| best fit (the seed program) | {plain_excess(BEST_FIT, 'weibull_5k'):.3f} | {unseen} | | | |"
    )
    verdict = f"median **{statistics.median(plain):.3f}** (asked <= 0.85), best **{min(plain):.3f}** (asked <= 0.70)"
    return ["## `online_bin_packing`, 60 s: excess in %", "", *lines, "", verdict + "."]


BEST_FIT = "def priority(item, remaining):\n    return item - remaining\n"


def memory(options: argparse.Namespace) -> list[str]:
    """The table of `memory_rule`."""
    runs = [once("memory_rule", "60s", seed, options) for seed in SEEDS]
    lines = ["| seed | train | same size | larger | evaluations | CPU s |", "|---|---|---|---|---|---|"]
    for seed, run in zip(SEEDS, runs, strict=True):
        unseen = run["best"]["unseen"]
        larger = "failed" if unseen["larger"] is None else f"{unseen['larger']:.4f}"
        lines.append(
            f"| {seed} | **{run['best']['value']:.4f}** | {unseen['same_size']:.4f} | {larger} "
            f"| {run['evaluations']:,} | {run['cpu_seconds']:.0f} |"
        )
    for name, line in (
        ("Hebb (the seed program)", runs[0]["seed_program"]),
        *sorted(runs[0]["baselines"].items()),
    ):
        unseen = line["unseen"]
        lines.append(
            f"| {name} | {line['value']:.4f} | {unseen['same_size']:.4f} | {unseen['larger']:.4f} | | |"
        )
    reached = sum(run["best"]["value"] <= 0.130 for run in runs)
    return [
        "## `memory_rule`, 60 s: bit error",
        "",
        *lines,
        "",
        f"<= 0.130 in **{reached} of 5** (asked: 3 of 5).",
    ]


def caps(options: argparse.Namespace) -> list[str]:
    """The table of `capset`."""
    lines = ["| n | budget | sizes, seeds 0..4 | asked | reached |", "|---|---|---|---|---|"]
    for n, asked in CAPSET.items():
        sizes = [int(once("capset", "10s", seed, options, "-p", f"n={n}")["best"]["value"]) for seed in SEEDS]
        reached = sum(size >= asked for size in sizes)
        lines.append(
            f"| {n} | 10 s | {', '.join(map(str, sizes))} | >= {asked} in 4 of 5 | **{reached} of 5** |"
        )
    long = once("capset", "300s", 0, options, "-p", "n=6")
    lines.append(f"| 6 | 300 s | {long['best']['value']:.0f} (seed 0) | optimum 112 | |")
    return ["## `capset`: size", "", *lines]


def main() -> None:
    """Run what is missing and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("first-light"))
    parser.add_argument("--only", choices=("packing", "memory", "caps"))
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    parts = {"packing": packing, "memory": memory, "caps": caps}
    text = [INTRODUCTION.format(version=evolve.__version__, machine=machine()).strip()]
    for name, part in parts.items():
        if options.only in (None, name):
            text.append("\n".join(part(options)))
    page = "\n\n".join(text) + "\n"
    print(page)
    if options.write:
        options.write.write_text(page, encoding="utf-8")


def machine() -> str:
    """The processor, in words."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{model or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


INTRODUCTION = """
# First light

What the search finds from the weak seed programs with no model, evolve {version}, on {machine}. Each run has its
engine and its one worker on one core (`taskset -c 0 evolve run PROBLEM --budget 60s --seed N --workers 1`). This page
is written by `python bench/perf/first_light.py --write docs/first-light.md`.

The defaults of the search were chosen by experiments on these same problems, with these seeds among them, and looking
at the unseen figures too: take the numbers as what this version does, not as an estimate for a new problem.
"""


if __name__ == "__main__":
    main()
