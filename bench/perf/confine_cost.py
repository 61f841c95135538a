"""CPU microseconds of closing the jail, in one compiled call and through ctypes, in forks of one warm process.

Run: `python bench/perf/confine_cost.py [forks]`. Each fork closes the jail around itself and reports the CPU time that
took; it reads its thread's clock, because the clock of a process goes by ticks once there is a limit on CPU seconds.
The kinds take turns. The process stands for a zygote: it has entered the same Landlock domain, whose rules the kernel
copies for each program. "nothing" is what the clock itself costs, "limits only" the jail of `unsafe=True`. "touched" is
the jail alone: the fork has set its limits once before, so that the pages of interpreter and code are its own already.
"""

import functools
import gc
import os
import struct
import sys
import time
from collections.abc import Callable

import numpy as np

from evolve.fastcore import jail, zygote
from evolve.fastcore.limits import Limits


def one(before: Callable[[], None], work: Callable[[], None]) -> float:
    """Return the CPU microseconds of `work` in a fresh fork that has done `before`."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            before()
            began = time.thread_time_ns()
            work()
            os.write(writing, struct.pack("<q", time.thread_time_ns() - began))
        finally:
            os._exit(0)
    os.close(writing)
    told = os.read(reading, 8)
    os.close(reading)
    os.waitpid(pid, 0)
    return float(struct.unpack("<q", told)[0]) / 1e3


def main() -> None:
    forks = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    np.dot(np.zeros((2, 2)), np.zeros((2, 2)))
    rules = list(zygote._readable({"numpy", "numba", "llvmlite"}))
    limits, parent = Limits(), os.getpid()
    cages = {
        **({"compiled": jail.Jail(compiled=True)} if jail.COMPILED else {}),
        "ctypes": jail.Jail(compiled=False),
        "limits only": jail.Jail(unsafe=True),
    }
    jail.restrict_files(rules)
    jail.prepare_zygote()
    kinds: dict[str, Callable[[], None]] = {"nothing": _nothing}
    for name, cage in cages.items():
        kinds[name] = functools.partial(cage.confine, limits, parent)
    befores = {"cold": _nothing, "touched": kinds["limits only"]}
    gc.collect()
    gc.freeze()
    costs: dict[tuple[str, str], list[float]] = {(name, pages): [] for name in kinds for pages in befores}
    for _ in range(forks):
        for (name, pages), values in costs.items():
            values.append(one(befores[pages], kinds[name]))
    print(f"{len(rules)} Landlock rules\n{'CPU us in the child':<24}{'median':>9}{'10 %':>9}{'90 %':>9}")
    for (name, pages), values in costs.items():
        ordered = sorted(values)
        shown = (ordered[int(part * (forks - 1))] for part in (0.5, 0.1, 0.9))
        print(f"{name + ', ' + pages:<24}" + "".join(f"{value:>9.1f}" for value in shown))


def _nothing() -> None:
    pass


if __name__ == "__main__":
    main()
