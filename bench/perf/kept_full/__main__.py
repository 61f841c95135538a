"""Measures, and prints tables; see the package."""

import argparse
import datetime
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bench.perf.kept_full import __doc__ as about
from bench.perf.kept_full.contenders import ClientAlone, Contender, Ours
from bench.perf.kept_full.figures import row
from bench.perf.kept_full.measure import follow, settle
from bench.perf.kept_full.peer import OpenEvolve, install
from bench.perf.kept_full.settings import SETTINGS
from bench.perf.kept_full.table import tables

CONTENDERS: Final[dict[str, Callable[[argparse.Namespace], Contender]]] = {
    "ours": lambda given: Ours(tuple(given.options.split())) if given.options else Ours(),
    "client": lambda _: ClientAlone(),
    "openevolve": lambda given: OpenEvolve(install(given.peer), wide=given.wide),
    "openevolve-wide": lambda given: OpenEvolve(install(given.peer), wide=1.5),
    "openevolve-process": lambda given: OpenEvolve(install(given.peer), process=True, wide=given.wide),
    "openevolve-rewrite": lambda given: OpenEvolve(install(given.peer), rewrite=True, wide=given.wide),
}


def _run(given: argparse.Namespace) -> None:
    contenders = [CONTENDERS[name](given) for name in given.contender]
    told: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "rows": [],
    }
    if given.out and given.out.exists():
        told = json.loads(given.out.read_text())
    for _ in range(given.repeats):
        for key in given.setting:
            for contender in contenders:
                setting = SETTINGS[key]
                programs = given.programs or (200 if setting.busy else 2_000)
                before = settle(given.quiet, given.patience)
                course = follow(contender, setting, programs, given.seconds, given.keep)
                figures = row(contender.name, (key, setting), course, given.warm)
                when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
                told["rows"].append({**figures, "at": when, "other_cores_before": before})
                if given.out:
                    given.out.write_text(json.dumps(told, indent=1) + "\n")
                print(json.dumps(figures), file=sys.stderr, flush=True)
    print(tables(told["rows"]))


def _table(given: argparse.Namespace) -> None:
    told = [json.loads(file.read_text()) for file in given.files]
    print("\n".join({each["machine"]: None for each in told}))
    print()
    print(tables([each for one in told for each in one["rows"]]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.perf.kept_full", description=about)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    verbs = parser.add_subparsers(required=True)
    run = verbs.add_parser("run", help="measure, and add rows to a file")
    run.add_argument("--contender", action="append", choices=CONTENDERS, required=True)
    run.add_argument("--setting", action="append", choices=SETTINGS, help="all by default")
    run.add_argument("--programs", type=int, help="2,000 by default; 200 where they compute")
    run.add_argument("--seconds", type=float, default=600.0, help="after which a run is stopped")
    run.add_argument("--warm", type=float, default=6.0, help="seconds at the start that are left out")
    run.add_argument("--quiet", type=float, default=0.2, help="cores that others may use when a run begins")
    run.add_argument("--patience", type=float, default=600.0, help="seconds to wait for that")
    run.add_argument("--repeats", type=int, default=1)
    run.add_argument("--options", default="", help="for `evolve run`, in place of the usual ones")
    run.add_argument("--peer", type=Path, help="folder for the peer's environment; in the cache by default")
    run.add_argument("--wide", type=float, default=1.0, help="workers of the peer for each slot")
    run.add_argument("--keep", type=Path, help="keep what one run leaves in this folder, which is made")
    run.add_argument("--out", type=Path, help="JSON file of rows; new rows are added to it")
    run.set_defaults(do=_run)
    table = verbs.add_parser("table", help="print the tables of such files")
    table.add_argument("files", type=Path, nargs="+")
    table.set_defaults(do=_table)
    given = parser.parse_args()
    if given.do is _run and not given.setting:
        given.setting = list(SETTINGS)
    given.do(given)


if __name__ == "__main__":
    main()
