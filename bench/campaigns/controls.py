"""Whether a comparison can be believed: one program against itself, and against one that does 5 % more work.

Each repetition is a comparison as `evolve bench` makes it, with busy loops beside it: its control row compares a
program with itself (A/A), its other row a program with one whose work is 1.05 times as much.

    python bench/campaigns/controls.py --load 2 --save controls.jsonl --write

The file is continued where it ends: one JSON line a comparison, written when it is done. The seed is the number of the
first comparison.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import report

from evolve.bench.busy import busy_loops
from evolve.bench.compare.comparing import compare
from evolve.bench.compare.contenders import title_of
from evolve.bench.compare.records import Contender, Plan, Report, Row, Rules
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


def line_of(number: int, made: Report, load: int) -> dict[str, Any]:
    """What is kept of one comparison."""
    control, planted = (next(row for row in made.rows if row.is_control is own) for own in (True, False))
    return {
        "number": number,
        "load": load,
        "rules": dict(made.rules),
        "seconds": made.seconds,
        "machine": dict(made.machine),
        "control": _kept(control),
        "planted": _kept(planted),
    }


def _kept(row: Row) -> dict[str, Any]:
    names = ("ratio", "low", "high", "p", "p_corrected", "verdict", "why", "pairs", "disagreement", "flagged")
    return {name: getattr(row, name) for name in names}


def campaign(options: argparse.Namespace, rules: Rules) -> list[dict[str, Any]]:
    """Run the repetitions that are missing."""
    done = _read(options.save) if options.save and options.save.exists() else []
    for number, line in enumerate(done, options.seed):
        if (line["number"], line["load"], line["rules"]) != (number, options.load, asdict(rules)):
            raise SystemExit(f"{options.save} was recorded with other options; continue it with the same")
    problem = load(str(PROBLEM), {})
    with busy_loops(options.load):
        for number in range(options.seed + len(done), options.seed + options.repetitions):
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


def counted(lines: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How often each of the three things that are asked for happened."""
    controls = [line["control"] for line in lines]
    return {
        "different": sum(one["p"] <= 0.05 for one in controls),
        "covered": sum(one["low"] <= 1.0 <= one["high"] for one in controls),
        "faster": sum(line["planted"]["verdict"] == "faster" for line in lines),
    }


def told_of(lines: Sequence[dict[str, Any]]) -> tuple[list[tuple[str, object]], list[str]]:
    """Rows of the section, and which of the things that are asked for were missed."""
    counts, total = counted(lines), len(lines)
    met = {
        "different": counts["different"] * 200 <= ASKED["different"] * total,
        "covered": counts["covered"] * 200 >= ASKED["covered"] * total,
        "faster": counts["faster"] * 200 >= ASKED["faster"] * total,
    }
    words = {
        "different": f"a program against itself, called different, uncorrected (at most {ASKED['different']} of 200)",
        "covered": f"intervals of it that hold 1 (at least {ASKED['covered']} of 200)",
        "faster": f"{FASTER}, called faster after correction (at least {ASKED['faster']} of 200)",
    }
    seconds = sorted(line["seconds"] for line in lines)
    ratios = sorted(line["planted"]["ratio"] for line in lines)
    rows: list[tuple[str, object]] = [
        ("comparisons", total),
        *((words[key], counts[key]) for key in ASKED),
        (f"ratio found for {FASTER}, median", f"{ratios[total // 2]:.3f}"),
        ("... least and most", f"{ratios[0]:.3f}, {ratios[-1]:.3f}"),
        ("seconds a comparison, median", seconds[total // 2]),
        ("... most", seconds[-1]),
    ]
    return rows, [f"{words[key]}: {counts[key]} of {total}" for key in ASKED if not met[key]]


def main() -> int:
    """Measure, and tell."""
    usual = Rules()
    arguments = report.parser(__doc__ or "")
    arguments.add_argument("--repetitions", type=int, default=200)
    arguments.add_argument("--load", type=int, default=2, help="busy loops beside the comparisons")
    arguments.add_argument("--pairs", type=int, default=usual.pairs)
    arguments.add_argument("--rounds", type=int, default=usual.rounds)
    arguments.add_argument("--save", type=Path, help="keep the comparisons in this file, and continue it")
    options = arguments.parse_args()
    rules = Rules(pairs=options.pairs, rounds=options.rounds)
    rows, missed = told_of(campaign(options, rules))
    told = (
        "A program against itself and against one that does 5 % more work, compared as `evolve bench` does it: "
        f"{rules.pairs} pairs of {rules.rounds} runs. {options.load} busy loops ran beside it."
    )
    return report.conclude("Controls of comparisons", told, rows, missed, options.write)


if __name__ == "__main__":
    sys.exit(main())
