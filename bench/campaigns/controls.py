"""Whether a comparison can be believed: one program against itself, and against one that does 5 % more work.

Each repetition is a comparison as `evolve bench` makes it, with busy loops beside it: its control row compares a
program with itself (A/A), its other row a program with one whose work is 1.05 times as much.

    python bench/campaigns/controls.py --load 2 --save controls.jsonl
    python bench/campaigns/controls.py --table controls.jsonl

The file is continued where it ends: one JSON line a comparison, written when it is done.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from evolve.bench.compare.comparing import compare
from evolve.bench.compare.contenders import title_of
from evolve.bench.compare.records import Contender, Plan, Report, Row, Rules
from evolve.fastcore.machine import fingerprint as machine
from evolve.fingerprint import fingerprint
from evolve.loader import load
from evolve.source import text_hash
from evolve.statement import Problem

PROBLEM = Path(__file__).with_name("planted_walk.py")
FASTER = "x1.05"
ASKED = {"different": 17, "covered": 183, "faster": 180}
"""Of 200: at most, at least, at least."""


def plan_of(problem: Problem, number: int, rules: Rules) -> Plan:
    """The comparison of one repetition: the slower program against itself, and the faster one against it."""
    assert problem.origin is not None
    slower = problem.baselines["slower"]
    faster = slower.replace("STEPS = 10500", "STEPS = 10000")
    assert faster != slower
    return Plan(
        title_of(problem),
        (str(problem.origin.path), problem.origin.factory, {}),
        fingerprint(problem),
        problem.block,
        Contender("slower", text_hash(slower), slower),
        (Contender(FASTER, text_hash(faster), faster),),
        number,
        rules,
    )


def line_of(number: int, report: Report, load: int) -> dict[str, Any]:
    """What is kept of one comparison."""
    control, planted = (next(row for row in report.rows if row.is_control is own) for own in (True, False))
    return {
        "number": number,
        "load": load,
        "rules": dict(report.rules),
        "seconds": report.seconds,
        "machine": dict(report.machine),
        "control": _kept(control),
        "planted": _kept(planted),
    }


def _kept(row: Row) -> dict[str, Any]:
    names = ("ratio", "low", "high", "p", "p_corrected", "verdict", "why", "pairs", "disagreement", "flagged")
    return {name: getattr(row, name) for name in names}


def campaign(options: argparse.Namespace, rules: Rules) -> list[dict[str, Any]]:
    """Run the repetitions that are missing."""
    done = _read(options.save) if options.save and options.save.exists() else []
    for line in done:
        if line["load"] != options.load or line["rules"]["pairs"] != rules.pairs:
            raise SystemExit(f"{options.save} was recorded with other options; continue it with the same")
    problem = load(str(PROBLEM), {})
    with busy_loops(options.load):
        for number in range(len(done), options.repetitions):
            done.append(line_of(number, compare(plan_of(problem, number, rules)), options.load))
            if options.save:
                with options.save.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(done[-1]) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
            counts = counted(done)
            print(
                f"{len(done)}: different {counts['different']}, covered {counts['covered']}, "
                f"{FASTER} faster {counts['faster']}; {done[-1]['seconds']:.1f} s",
                file=sys.stderr,
            )
    return done


def _read(path: Path) -> list[dict[str, Any]]:
    """The lines of a campaign; a last one that was cut off by a kill is left out, and off the file."""
    found, kept = [], []
    for text in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            found.append(json.loads(text))
        except ValueError:
            break
        if not text.endswith("\n"):
            found.pop()
            break
        kept.append(text)
    path.write_text("".join(kept), encoding="utf-8")
    return found


@contextlib.contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Keep so many processes busy beside the comparisons."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def counted(lines: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How often each of the three things that are asked for happened."""
    controls = [line["control"] for line in lines]
    return {
        "different": sum(one["p"] <= 0.05 for one in controls),
        "covered": sum(one["low"] <= 1.0 <= one["high"] for one in controls),
        "faster": sum(line["planted"]["verdict"] == "faster" for line in lines),
    }


def table(lines: Sequence[dict[str, Any]]) -> str:
    """The page: counts beside what is asked, and what it took."""
    counts, total = counted(lines), len(lines)
    met = {
        "different": counts["different"] * 200 <= ASKED["different"] * total,
        "covered": counts["covered"] * 200 >= ASKED["covered"] * total,
        "faster": counts["faster"] * 200 >= ASKED["faster"] * total,
    }
    words = {
        "different": ("a program against itself, called different (before correction)", "at most"),
        "covered": ("intervals of it that hold 1", "at least"),
        "faster": ("x1.05, called faster (after correction)", "at least"),
    }
    rows = [
        f"| {words[key][0]} | {words[key][1]} {ASKED[key]} of 200 | {counts[key]} of {total}"
        f"{', met' if met[key] else ', **missed**'} |"
        for key in ASKED
    ]
    first, seconds = lines[0], sorted(line["seconds"] for line in lines)
    ratios = sorted(line["planted"]["ratio"] for line in lines)
    facts = ", ".join(f"{name} {value}" for name, value in first["machine"].items() if name != "host")
    return "\n".join(
        [
            "| what | asked | found |",
            "|---|---|---|",
            *rows,
            "",
            f"{first['load']} busy loops beside the comparisons; {first['rules']['pairs']} pairs of "
            f"{first['rules']['rounds']} runs; {seconds[len(seconds) // 2]:.1f} s a comparison (median; at most "
            f"{seconds[-1]:.1f} s). Ratio found for x1.05: {ratios[len(ratios) // 2]:.3f} in the median, "
            f"{ratios[0]:.3f} to {ratios[-1]:.3f}.",
            "",
            f"Machine: {facts}.",
        ]
    )


def main() -> None:
    """Measure, or render what was measured."""
    usual = Rules()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--load", type=int, default=2, help="busy loops beside the comparisons")
    parser.add_argument("--pairs", type=int, default=usual.pairs)
    parser.add_argument("--rounds", type=int, default=usual.rounds)
    parser.add_argument("--save", type=Path, help="keep the comparisons in this file, and continue it")
    parser.add_argument("--table", type=Path, help="measure nothing; render this file")
    options = parser.parse_args()
    began = time.monotonic()
    if options.table:
        lines = _read(options.table)
    else:
        lines = campaign(options, Rules(pairs=options.pairs, rounds=options.rounds))
        print(f"{time.monotonic() - began:.0f} s on {machine().get('cpu', 'this machine')}", file=sys.stderr)
    print(table(lines))


if __name__ == "__main__":
    main()
