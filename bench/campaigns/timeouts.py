"""A time-out of 2 s ends every kind of endless program in time, and leaves nothing that runs.

Kinds: an endless loop, a loop in C with every signal ignored and blocked, a module that sleeps while it is imported.
Run: `python bench/campaigns/timeouts.py --runs 100`
"""

import os
import queue
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil
import report

from evolve.fastcore.clock import cpu_and_wall
from evolve.fastcore.limits import Limits
from evolve.fastcore.runner import Failure, Runner

SECONDS, MOST = 2.0, 2.2
LIMITS = Limits(seconds=SECONDS, setup_seconds=SECONDS, cpu_seconds=30.0)
ENDLESS = {
    "loop": "def entry():\n    while True: pass",
    "C loop": "import itertools, signal\nfor number in set(range(1, 65)) - {9, 19, 32, 33}:\n"
    "    signal.signal(number, signal.SIG_IGN)\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
    "def entry(): sum(itertools.repeat(0))",
    "sleeping import": "import time\ntime.sleep(1000)\ndef entry(): pass",
}


@dataclass(frozen=True)
class Met:
    """One time-out: its kind, wall seconds from the call to the verdict, CPU seconds billed, and what was wrong."""

    kind: str
    wall: float
    cpu: float
    fault: str


def meet(runner: Runner, kind: str) -> Met:
    """Run one endless program into its time-out."""
    status = "no failure"
    with runner.start(ENDLESS[kind], "entry", LIMITS) as session:
        pid = session.pid
        if kind != "sleeping import":
            session.ready()  # its import has a time of its own
        began = time.monotonic()
        try:
            session.call(())
        except Failure as failure:
            status = failure.status
        wall = time.monotonic() - began
        usage = session.finish()
    faults = []
    if status != "timeout":
        faults.append(f"it ended with {status!r}")
    if not SECONDS <= wall <= MOST:
        faults.append(f"it took {wall:.3f} s")
    if psutil.Process(runner.zygote).children():
        faults.append("a process is left")
    try:
        cpu_and_wall(pid)
        faults.append("its clock still runs")
    except ProcessLookupError:
        pass
    return Met(kind, wall, usage.cpu_seconds, f"{kind}: {', '.join(faults)}" if faults else "")


def worker(todo: "queue.SimpleQueue[str]", found: list[Met]) -> None:
    """Meet one after the other, with a zygote of this thread's own: the kernel kills it with the thread."""
    with Runner() as runner:
        while True:
            try:
                kind = todo.get_nowait()
            except queue.Empty:
                return
            found.append(meet(runner, kind))


def rows_of(found: Sequence[Met]) -> list[tuple[str, object]]:
    """A row for each kind."""
    rows: list[tuple[str, object]] = []
    for kind in ENDLESS:
        met = [one for one in found if one.kind == kind]
        good = sum(not one.fault for one in met)
        walls = sorted(one.wall for one in met)
        told = f"{good} of {len(met)} within {MOST} s; {walls[len(walls) // 2]:.3f} s median, {walls[-1]:.3f} s at most"
        rows.append((kind, f"{told}; {max(one.cpu for one in met):.2f} CPU s at most"))
    return rows


def main() -> int:
    parser = report.parser(__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100, help="of each kind")
    parser.add_argument(
        "--at-once", type=int, default=3 * (os.cpu_count() or 1), help="programs at the same time"
    )
    args = parser.parse_args()
    todo: queue.SimpleQueue[str] = queue.SimpleQueue()
    for _ in range(args.runs):
        for kind in ENDLESS:  # in turn: a third of those that run at a time only sleep
            todo.put(kind)
    found: list[Met] = []
    threads = [threading.Thread(target=worker, args=(todo, found)) for _ in range(args.at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    faults = [one.fault for one in found if one.fault]
    if psutil.Process().children(recursive=True):
        faults.append(f"processes are left: {psutil.Process().children(recursive=True)}")
    if len(found) != args.runs * len(ENDLESS):
        faults.append(f"{len(found)} of {args.runs * len(ENDLESS)} came back")
    told = (
        f"A limit of {SECONDS:g} s on programs that never end, {args.at_once} at once: "
        f"each must be gone within {MOST} s."
    )
    return report.conclude("Time-outs", told, rows_of(found), faults, args.write)


if __name__ == "__main__":
    sys.exit(main())
