"""What a warm compiler costs and saves: CPU of a zygote's start, of a trivial program, of first compilations.

The rows are zygotes that differ in what they compile before their first fork; "shipped" compiles all of
`typical.KERNELS`. Programs are run in turn, one from each zygote, so that a busy machine is the same to all.
Run: `python bench/perf/numba_cost.py [rounds]`. CPU time, all processes together, medians.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from evolve.fastcore.clock import cpu_and_wall
from evolve.fastcore.limits import Limits
from evolve.fastcore.runner import Runner

LIMITS = Limits(seconds=60.0, cpu_seconds=60.0)
KERNELS = "import sys\ntypical = sys.modules['evolve.fastcore.typical']\ntypical.KERNELS = "
VARIANTS = {
    "nothing": KERNELS + "()",
    "one expression": KERNELS + "((lambda x: x[0] + 1.0, typical.KERNELS[0][1]),)",
    "a line": KERNELS + "typical.KERNELS[:1]",
    "and a grid": KERNELS + "typical.KERNELS[:2]",
    "shipped": "",
}
HEAD = "import numba\nimport numpy as np\n\n\n@numba.njit\ndef entry(x):\n"
TRIVIAL = "def entry(x):\n    return 0\n"
LINE = """
    total = 0.0
    for i in range(x.shape[0]):
        if x[i] > total:
            total += 0.5 * x[i]
    return total
"""
GRID = """
    best = np.zeros(x.shape, np.int64)
    for i in range(1, x.shape[0]):
        for j in range(1, x.shape[1]):
            best[i, j] = max(best[i - 1, j], best[i, j - 1], best[i - 1, j - 1] + x[i, j])
    return best
"""
SORT = """
    order = np.argsort(x)
    kept = np.zeros(x.shape[0], np.bool_)
    for i in range(0, x.shape[0], 2):
        kept[order[i]] = True
    return np.sort(x), kept
"""
PROGRAMS = {
    "trivial": (TRIVIAL, np.arange(8.0)),
    "line": (HEAD + LINE, np.arange(8.0)),
    "grid": (HEAD + GRID, np.arange(16).reshape(4, 4)),
    "sort": (HEAD + SORT, np.arange(8.0)),
}


def cost(runner: Runner, program: str) -> float:
    """Return the CPU milliseconds of one program: its process, its fork, and ours."""
    source, argument = PROGRAMS[program]
    began = time.process_time() + cpu_and_wall(runner.zygote)[0]
    with runner.start(source, "entry", LIMITS) as session:
        session.call((argument,))
    used = session.finish().cpu_seconds
    return (time.process_time() + cpu_and_wall(runner.zygote)[0] - began + used) * 1e3


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        sys.path.append(folder)
        runners = {"(no numba)": Runner()}
        for number, (name, text) in enumerate(VARIANTS.items()):
            Path(folder, f"variant{number}.py").write_text(text)
            runners[name] = Runner(preload=("numba", f"variant{number}"))
        started = {name: cpu_and_wall(runner.zygote)[0] for name, runner in runners.items()}
        print(
            f"{'compiled beforehand':<22}{'start, s':>10}"
            + "".join(f"{name + ', ms':>14}" for name in PROGRAMS)
        )
        found: dict[tuple[str, str], list[float]] = {}
        for program in PROGRAMS:
            for _ in range(20 * rounds if program == "trivial" else rounds):
                for name, runner in runners.items():
                    if program == "trivial" or name in VARIANTS:
                        found.setdefault((name, program), []).append(cost(runner, program))
        for name, runner in runners.items():
            medians = (found.get((name, program), []) for program in PROGRAMS)
            cells = (f"{statistics.median(one):>14.1f}" if one else f"{'':>14}" for one in medians)
            print(f"{name:<22}{started[name]:>10.2f}" + "".join(cells))
            runner.close()


if __name__ == "__main__":
    main()
