"""CPU microseconds of closing the jail, in one compiled call and through ctypes, in forks of one warm process.

Run: `python bench/perf/confine_cost.py [forks]`. Each fork closes the jail around itself and reports the CPU time that
took, its own clock read before and after; beside it the same fork without any jail (limits only).
"""

import os
import struct
import sys
import time
from pathlib import Path

import numpy as np

from evolve.fastcore import jail
from evolve.fastcore.limits import Limits


def one(cage: jail.Jail, limits: Limits) -> float:
    """Return the CPU microseconds that a fresh fork took to confine itself."""
    reading, writing = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        began = time.process_time_ns()
        cage.confine(limits, parent)
        os.write(writing, struct.pack("<q", time.process_time_ns() - began))
        os._exit(0)
    os.close(writing)
    spent = struct.unpack("<q", os.read(reading, 8))[0] / 1e3
    os.close(reading)
    os.waitpid(pid, 0)
    return float(spent)


def main() -> None:
    forks = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    np.dot(np.zeros((2, 2)), np.zeros((2, 2)))
    # As in a zygote: the domain that forbids all files is entered once, before.
    jail.restrict_files([Path("/usr/lib"), Path(sys.prefix), Path(sys.base_prefix), Path("/proc/self/statm")])
    jail.prepare_zygote()
    cages = {
        "compiled": jail.Jail(),
        "ctypes": jail.Jail(compiled=False),
        "limits only": jail.Jail(unsafe=True),
    }
    costs: dict[str, list[float]] = {name: [] for name in cages}
    for _ in range(forks):
        for name, cage in cages.items():
            costs[name].append(one(cage, Limits()))
    print(f"{'CPU us in the child':<22}{'median':>9}{'10 %':>9}{'90 %':>9}")
    for name, values in costs.items():
        low, middle, high = np.percentile(values, (10, 50, 90))
        print(f"{name:<22}{middle:>9.1f}{low:>9.1f}{high:>9.1f}")


if __name__ == "__main__":
    main()
