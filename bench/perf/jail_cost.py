"""CPU milliseconds, of all processes together, of a program in a jailed process of its own and of one call.

Beside it, in the same run: a cold `python -c "import numpy"`, a `multiprocess.Process`, and a `multiprocess.Pool` that
gives each task a process. Every row is measured once a round, so that a loaded minute loads all of them; the last
column is the median, over the rounds, of the ratio to the first row of its group.
Run: `python bench/perf/jail_cost.py [programs a round] [rounds]`. CPU time, because walls on a shared machine lie.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median

import multiprocess
import numpy as np

from evolve.fastcore.clock import cpu_and_wall
from evolve.fastcore.jail import describe
from evolve.fastcore.limits import Limits
from evolve.fastcore.runner import Runner
from evolve.fastcore.sealed import Sealed
from evolve.fastcore.wire import encode

SOURCE = "import numpy as np\n\ndef entry(n):\n    return np.arange(n).sum()\n"
READS_NOTHING = "def entry(a):\n    return a.size\n"
SUMS = "def entry(a):\n    return a.sum()\n"
TWICE = "def entry(a):\n    return a * 2.0\n"
LIMITS = Limits()

Work = Callable[[int], float]


def own_cpu() -> float:
    """Return CPU seconds of this process and of the children it has reaped."""
    reaped = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + reaped.ru_utime + reaped.ru_stime


def programs_of(runner: Runner, source: str, case: bytes | Sealed) -> Work:
    """One call each of many programs."""

    def work(programs: int) -> float:
        began = time.process_time() + cpu_and_wall(runner.zygote)[0]
        spent = 0.0
        for _ in range(programs):
            with runner.start(source, "entry", LIMITS) as session:
                session.call(case)
            spent += session.finish().cpu_seconds
        return time.process_time() + cpu_and_wall(runner.zygote)[0] - began + spent

    return work


def calls_of(runner: Runner, size: int) -> Work:
    """Many calls of one program: `size` bytes of floats go and come back doubled."""
    case = np.ones(size // 8)

    def work(calls: int) -> float:
        with runner.start(TWICE, "entry", LIMITS) as session:
            for _ in range(50):
                session.call((case,))
            began = time.process_time() + cpu_and_wall(session.pid)[0]
            for _ in range(calls):
                session.call((case,))
            return time.process_time() + cpu_and_wall(session.pid)[0] - began

    return work


def cold_numpy(programs: int) -> float:
    began = own_cpu()
    for _ in range(programs):
        subprocess.run([sys.executable, "-I", "-c", "import numpy"], check=True)
    return own_cpu() - began


def trivial(n: int) -> int:
    return sum(range(n))


def forked_process(programs: int) -> float:
    context = multiprocess.get_context("fork")
    began = own_cpu()
    for _ in range(programs):
        process = context.Process(target=trivial, args=(10,))
        process.start()
        process.join()
    return own_cpu() - began


def pool_of_one_task_each(programs: int) -> float:
    context = multiprocess.get_context("fork")
    began = own_cpu()
    pool = context.Pool(1, maxtasksperchild=1)
    pool.map(trivial, [10] * programs, chunksize=1)
    pool.close()
    pool.join()
    return own_cpu() - began


def main() -> None:
    programs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 15
    print(", ".join(f"{part}: {text}" for part, text in describe().items() if text))
    with ExitStack() as stack:
        lean, unsafe = stack.enter_context(Runner()), stack.enter_context(Runner(unsafe=True))
        numba = stack.enter_context(Runner(preload=("numba",)))
        small, large = (stack.enter_context(Sealed(encode((np.ones(size // 8),)))) for size in (16, 16 << 20))
        trifle = encode((10,))
        groups: list[dict[str, tuple[Work, int]]] = [
            {
                "jailed program, lean zygote": (programs_of(lean, SOURCE, trifle), programs),
                "jailed program, numba zygote": (programs_of(numba, SOURCE, trifle), programs),
                "no jail (unsafe), lean zygote": (programs_of(unsafe, SOURCE, trifle), programs),
                "multiprocess.Process, forked": (forked_process, programs),
                "multiprocess.Pool, a task each": (pool_of_one_task_each, programs),
                'python -I -c "import numpy"': (cold_numpy, 1),
            },
            {
                "case of 16 B, not read": (programs_of(lean, READS_NOTHING, small), programs),
                "case of 16 MB, not read": (programs_of(lean, READS_NOTHING, large), programs),
                "case of 16 B, summed": (programs_of(lean, SUMS, small), programs),
                "case of 16 MB, summed": (programs_of(lean, SUMS, large), programs),
            },
            {
                "step of 8 B both ways": (calls_of(lean, 8), 50 * programs),
                "step of 50 kB both ways": (calls_of(lean, 50_000), 50 * programs),
            },
        ]
        for group in groups:
            costs: dict[str, list[float]] = {name: [] for name in group}
            for _ in range(rounds):
                for name, (work, count) in group.items():
                    costs[name].append(work(count) / count * 1e3)
            report(costs)


def report(costs: dict[str, list[float]]) -> None:
    first = next(iter(costs.values()))
    print(f"\n{'CPU ms each, all processes':<34}{'median':>9}{'least':>9}{'most':>9}{'ratio':>9}")
    for name, values in costs.items():
        ratio = median(value / base for value, base in zip(values, first, strict=True))
        print(f"{name:<34}{median(values):>9.3f}{min(values):>9.3f}{max(values):>9.3f}{ratio:>9.2f}")


if __name__ == "__main__":
    main()
