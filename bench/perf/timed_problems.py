"""What searches for speed and for small networks find from the seeds with no model; writes docs/timed-problems.md.

A job for a person, on a machine with nothing else running (32 minutes; `--only` takes one problem):

    python bench/perf/timed_problems.py --folder /tmp/timed --write docs/timed-problems.md

Every run is the command line. Runs whose document is in the folder already are not repeated.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import evolve
from evolve.fastcore.machine import fingerprint

SEEDS = range(3)
BUDGET = "120s"
OPTIMAL = {6: 12, 7: 16, 8: 19}
"""Comparators that n inputs need (Knuth, The Art of Computer Programming 3, section 5.3.4)."""
ASKED = {6: 12, 7: 16, 8: 21}
SPEED = ("small_sort", "topk", "csr_spmm")


def once(folder: Path, problem: str, seed: int, *more: str) -> dict[str, Any]:
    """One run: the document that it ends with, and under "source" the text of its best program."""
    name = "-".join([problem, *more[1:], str(seed)]).replace("=", "")
    ledger, told = folder / f"{name}.db", folder / f"{name}.json"
    if not told.exists():
        ledger.unlink(missing_ok=True)
        words = [
            problem,
            *more,
            "--budget",
            BUDGET,
            "--seed",
            str(seed),
            "--workers",
            "2",
            "--ledger",
            str(ledger),
        ]
        command = [str(Path(sys.executable).parent / "evolve"), "run", *words, "--json"]
        told.write_text(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    document: dict[str, Any] = json.loads(told.read_text())
    run = evolve.open_run(ledger)
    document["source"] = run.best().program.source  # type: ignore[union-attr]
    document["anytime"] = [(point.evaluations, point.objective) for point in run.curve()]
    return document


def networks(folder: Path) -> list[str]:
    """The table of `sorting_network`."""
    lines = [
        "| n | comparators, seeds 0..2 | evaluations until then | seed program | asked | optimal |",
        "|---" * 6 + "|",
    ]
    for n, optimal in OPTIMAL.items():
        runs = [once(folder, "sorting_network", seed, "-p", f"n={n}") for seed in SEEDS]
        sizes = [int(run["best"]["value"]) for run in runs]
        first = [
            next(many for many, value in run["anytime"] if int(value) == best)
            for run, best in zip(runs, sizes, strict=True)
        ]
        told = ", ".join(f"**{size}**" for size in sizes), ", ".join(f"{many:,}" for many in first)
        seed = int(runs[0]["seed_program"]["value"])
        lines.append(f"| {n} | {' | '.join(told)} | {seed} | <= {ASKED[n]} | {optimal} |")
    return ["## `sorting_network`: comparators", "", *lines, "", "Depth is the tie-break of the objective."]


def races(folder: Path, problem: str) -> list[str]:
    """The table of one problem for speed, and the fastest of the programs found."""
    runs = [once(folder, problem, seed) for seed in SEEDS]
    baseline = runs[0]["best"]["confirmation"]["baseline"]
    lines = [
        f"| program | speed-up over {baseline} | 95 % interval | pairs | verdict | proposals |",
        "|---" * 6 + "|",
    ]
    for seed, run in zip(SEEDS, runs, strict=True):
        lines.append(_row(f"best of search {seed}", run["best"], f"{run['proposals']:,}"))
    lines.append(_row("seed program", runs[0]["seed_program"], ""))
    lines += [_row(name, line, "") for name, line in runs[0]["baselines"].items()]
    best = max(runs, key=lambda run: run["best"]["value"] or 0.0)
    return [f"## `{problem}`", "", *lines, "", "The fastest:", "", "```text", best["source"].strip(), "```"]


def _row(name: str, line: Mapping[str, Any], proposals: str) -> str:
    found = line["confirmation"]
    if "speedup" not in found:
        return f"| {name} | | | | {_failures(line['failures'])} | {proposals} |"
    low, high = ("?" if found[end] is None else f"{found[end]:.3f}" for end in ("low", "high"))
    verdict = "confirmed" if found["confirmed"] else found["verdict"]
    return f"| {name} | **{found['speedup']:.3f}** | [{low}, {high}] | {found['pairs']} | {verdict} | {proposals} |"


def _failures(failures: Mapping[str, str]) -> str:
    return "; ".join(text.replace("|", "/") for text in failures.values())


def page(folder: Path, problems: Sequence[str]) -> str:
    """The whole page."""
    machine = fingerprint()
    where = f"{machine.get('cpu', machine['architecture'])}, {machine['kernel']}, Python {machine['python']}"
    parts = [INTRODUCTION.format(version=evolve.__version__, where=where, budget=BUDGET).strip()]
    if "sorting_network" in problems:
        parts.append("\n".join(networks(folder)))
    parts += ["\n".join(races(folder, problem)) for problem in SPEED if problem in problems]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("timed-problems"))
    parser.add_argument("--only", choices=("sorting_network", *SPEED))
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    text = page(options.folder, [options.only] if options.only else ["sorting_network", *SPEED])
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


INTRODUCTION = """
# Timed problems

What a search of {budget} with two workers (`evolve run PROBLEM --budget {budget} --workers 2 --seed N`) finds from the
seed programs with no model; evolve {version}, on {where}. This page is written by
`python bench/perf/timed_problems.py --write docs/timed-problems.md`.

Speed-ups are those of the confirmation at the end of each run: raced again, over 200 pairs or more, on inputs made from
a seed that did not exist during the search. They compare two programs on one machine, at one time; the same two differ
by some per cent more or less on another day, and by much more on another processor.
"""


if __name__ == "__main__":
    main()
