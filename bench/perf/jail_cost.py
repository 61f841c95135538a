"""CPU milliseconds, of all processes together, for a trivial program in a jailed process of its own.

Beside it, in the same run: a cold `python -c "import numpy"`, a `multiprocess.Process`, and a call on a live
program. Run: `python bench/perf/jail_cost.py [programs]`. CPU time, because walls on a shared machine lie.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable

import multiprocess

from evolve.fastcore.clock import cpu_and_wall
from evolve.fastcore.jail import describe
from evolve.fastcore.limits import Limits
from evolve.fastcore.runner import Runner

SOURCE = "import numpy as np\n\ndef entry(n):\n    return np.arange(n).sum()\n"
GROUPS = 5


def own_cpu() -> float:
    """Return CPU seconds of this process and of the children it has reaped."""
    now = os.times()
    return now.user + now.system + now.children_user + now.children_system


def median_cost(work: Callable[[int], float], programs: int) -> tuple[float, float, float]:
    """Return (median, least, greatest) milliseconds a program over `GROUPS` groups."""
    costs = sorted(work(programs) / programs * 1e3 for _ in range(GROUPS))
    return costs[GROUPS // 2], costs[0], costs[-1]


def jailed(runner: Runner) -> Callable[[int], float]:
    limits = Limits()

    def work(programs: int) -> float:
        # time.process_time, not os.times: the latter counts in ticks of 10 ms.
        began = time.process_time() + cpu_and_wall(runner.zygote)[0]
        spent = 0.0
        for _ in range(programs):
            with runner.start(SOURCE, "entry", limits) as session:
                assert session.call((10,)) == 45
            spent += session.finish().cpu_seconds
        return time.process_time() + cpu_and_wall(runner.zygote)[0] - began + spent

    return work


def calls(runner: Runner) -> Callable[[int], float]:
    def work(programs: int) -> float:
        with runner.start(SOURCE, "entry", Limits()) as session:
            session.call((10,))
            began = time.process_time() + cpu_and_wall(session.pid)[0]
            for _ in range(programs):
                session.call((10,))
            return time.process_time() + cpu_and_wall(session.pid)[0] - began

    return work


def cold_numpy(programs: int) -> float:
    began = own_cpu()
    for _ in range(programs):
        subprocess.run([sys.executable, "-I", "-c", "import numpy"], check=True)
    return own_cpu() - began


def trivial(n: int) -> None:
    sum(range(n))


def forked_process(programs: int) -> float:
    context = multiprocess.get_context("fork")
    began = own_cpu()
    for _ in range(programs):
        process = context.Process(target=trivial, args=(10,))
        process.start()
        process.join()
    return own_cpu() - began


def main() -> None:
    programs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(", ".join(f"{part}: {text}" for part, text in describe().items() if text))
    with Runner() as runner, Runner(preload=("numba",)) as numba, Runner(unsafe=True) as unsafe:
        rows = [
            ("jailed program, lean zygote", jailed(runner), programs),
            ("jailed program, numba zygote", jailed(numba), programs),
            ("no jail (unsafe), lean zygote", jailed(unsafe), programs),
            ("one call on a live program", calls(runner), 20 * programs),
            ("multiprocess.Process, forked", forked_process, programs),
            ('python -I -c "import numpy"', cold_numpy, max(programs // 20, 3)),
        ]
        print(f"{'CPU ms each, all processes':<34}{'median':>9}{'least':>9}{'most':>9}")
        for name, work, count in rows:
            print(f"{name:<34}" + "".join(f"{cost:>9.3f}" for cost in median_cost(work, count)))


if __name__ == "__main__":
    main()
