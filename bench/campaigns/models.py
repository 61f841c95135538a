"""Whole runs with models, at length: killed, starved of servers, answered badly, and kept within their budgets.

The tests of `tests/llm` do a little of this each time; here the same tests do much.
Run: `python bench/campaigns/models.py --kills 20 --faults 200 --outage 60 --budgets 100`
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import report

ROOT = Path(__file__).parents[2]
_WASTED = re.compile(r"^(\w+): (\d+) tokens wasted of (\d+), (\d+) asked again$", re.MULTILINE)
_OUTCOME = re.compile(r"^(PASSED|FAILED|ERROR) (\S+)(?: - )?(.*)$", re.MULTILINE)


def tested(name: str, **sizes: int) -> tuple[str, list[str], list[str]]:
    """Run a file of tests at length: its output, those that passed, those that did not and how they ended."""
    environment = {**os.environ, **{key: str(value) for key, value in sizes.items()}}
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", f"tests/llm/{name}.py"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    outcomes = _OUTCOME.findall(done.stdout)
    passed = [test for outcome, test, _ in outcomes if outcome == "PASSED"]
    failed = [f"{test}: {why}" for outcome, test, why in outcomes if outcome != "PASSED"]
    if done.returncode and not failed:
        failed = [f"{name}: {done.stdout[-300:]}{done.stderr[-300:]}"]
    return done.stdout, passed, failed


def main() -> int:
    parser = report.parser(__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="of one run, at random moments")
    parser.add_argument(
        "--faults", type=int, default=200, help="proposals for each fault, at 30 % of the replies"
    )
    parser.add_argument("--outage", type=int, default=60, help="seconds without a server")
    parser.add_argument("--budgets", type=int, default=100, help="random runs of one to three sessions")
    args = parser.parse_args()
    began = time.monotonic()
    _, killed, lost = tested("test_model_kills", EVOLVE_KILLS=args.kills)
    told, survived, broken = tested("test_model_faults", EVOLVE_FAULTS=args.faults, EVOLVE_OUTAGE=args.outage)
    _, kept, exceeded = tested("test_model_budgets", EVOLVE_BUDGETS=args.budgets)
    faults = _WASTED.findall(told)
    wasted = {name: int(count) / int(whole) for name, count, whole, _ in faults if int(count)}
    again = {name: int(count) for name, _, _, count in faults if int(count)}
    rows = [
        (
            "kills of one run, with a replay of what was recorded",
            f"{args.kills}; {'lost' if lost else 'nothing lost'}",
        ),
        ("kinds of faults, each at 30 % of the replies", len(faults)),
        ("proposals of each", args.faults),
        ("runs that came to their end", f"{len(survived)} of {len(survived) + len(broken)}"),
        (
            "tokens wasted, where servers bill them",
            ", ".join(f"{name} {share:.1%}" for name, share in wasted.items()),
        ),
        ("asked again, once", ", ".join(f"{name} {count}" for name, count in again.items())),
        ("outage in the midst of a run, seconds", args.outage),
        ("random runs within their budgets", f"{len(kept)} of {len(kept) + len(exceeded)}"),
        ("seconds", time.monotonic() - began),
    ]
    told = "Runs against a server that fails on demand; what each test asserts is in `tests/llm/test_model_*.py`."
    faulty = [*lost, *broken, *exceeded]
    if not killed:
        faulty.append("no kill was tested")
    return report.conclude("Models", told, rows, faulty, args.write)


if __name__ == "__main__":
    sys.exit(main())
