"""CPU milliseconds of one evaluated program by stage, so that the next bottleneck has a name.

Two views of the same run (same problem, seed and proposals, no tuner, so that each evaluation is a whole
program): every stage called in turn in this process with a CPU clock around it, and the real thing with its
processes. What the second costs beyond the first is the price of messages and of the event loop.

    python bench/perf/evaluation_cost.py --problem online_bin_packing -p instances=2 --proposals 5000
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import evolve
from evolve.config import Config
from evolve.evaluator import Judge
from evolve.fastcore import interpret
from evolve.fingerprint import fingerprint
from evolve.loader import load
from evolve.mutators.syntactic import SyntacticMutator
from evolve.programs_db.ledger import Ledger
from evolve.runs import run
from evolve.search import Search
from evolve.statement import Problem

CLOCK = time.thread_time


class Stages:
    """CPU seconds by name; a stage inside another is taken out of the outer one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner = [0.0]

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **more: Any) -> Any:
            self._inner.append(0.0)
            started = CLOCK()
            try:
                return function(*args, **more)
            finally:
                spent = CLOCK() - started
                self.seconds[name] += spent - self._inner.pop()
                self._inner[-1] += spent

        return wrapped


def in_one_process(problem: Problem, proposals: int, folder: Path) -> tuple[Stages, int]:
    """Propose, judge, commit and record in turn, each under a clock."""
    stages, config = Stages(), Config(tune=0)
    mutator = SyntacticMutator(problem.block, problem.entry, problem.primitives, problem.max_nodes)
    search = Search(problem, config, 0, mutator)
    judge = Judge(problem)
    judge.scorer.run = stages.timed("score and check", judge.scorer.run)  # type: ignore[method-assign]
    judge.scorer.trusted = stages.timed("simulation and score", judge.scorer.trusted)  # type: ignore[method-assign]
    judge._compiled = stages.timed("parse and compile", judge._compiled)  # type: ignore[method-assign]
    running = stages.timed("interpret", interpret.Plan.run)
    original, interpret.Plan.run = interpret.Plan.run, running  # type: ignore[method-assign, assignment]
    mutator.propose = stages.timed("mutate, print, hash", mutator.propose)  # type: ignore[method-assign]
    propose, judged_by = stages.timed("select", search.propose), stages.timed("judge, rest", judge.judge)
    commit = stages.timed("archive, bandit", lambda p, j: search.commit(search.finished(p, j)))
    about = {"name": problem.name, "parameters": {}, "objective": {}, "measures": []}
    try:
        with Ledger.create(
            folder / "stages.db", about, {"seed": 0, "version": ""}, fingerprint(problem)
        ) as book:
            book.begin_session(book.fingerprint, {}, [], {})
            record, flush = stages.timed("record", book.record), stages.timed("record", book.flush)
            for number in range(proposals + 1):
                pending = propose(number)
                made = commit(pending, None if pending.job is None else judged_by(pending.job))
                record(made)
                if number % 64 == 0:
                    flush()
            flush()
    finally:
        interpret.Plan.run = original  # type: ignore[method-assign]
        judge.close()
    return stages, search.tally.evaluations


def for_real(problem: Problem, proposals: int, folder: Path) -> tuple[float, int]:
    """CPU seconds of all processes for `proposals`, start-up and final report taken off; and evaluations."""
    spent = []
    for count in (1, proposals):
        told = run(
            problem,
            proposals=count,
            ledger=folder / f"real{count}.db",
            workers=1,
            seed=0,
            config=Config(tune=0),
        ).document
        spent.append((told["cpu_seconds"], told["evaluations"]))
    return spent[1][0] - spent[0][0], spent[1][1] - spent[0][1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problem", default="online_bin_packing")
    parser.add_argument("-p", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--proposals", type=int, default=5000)
    options = parser.parse_args()
    problem = load(options.problem, dict(item.split("=", 1) for item in options.p))
    with tempfile.TemporaryDirectory() as folder:
        in_one_process(problem, 50, Path(tempfile.mkdtemp(dir=folder)))  # compile and warm up
        stages, evaluations = in_one_process(problem, options.proposals, Path(folder))
        total, counted = for_real(problem, options.proposals, Path(folder))
    each = {name: 1e3 * seconds / evaluations for name, seconds in stages.seconds.items()}
    whole = 1e3 * total / counted
    each["messages, event loop"] = whole - sum(each.values())
    simulation = each["simulation and score"]
    print(
        f"evolve {evolve.__version__}, {options.problem}, {counted} evaluations, CPU ms an evaluated program"
    )
    for name, cost in each.items():
        print(f"{name:24s} {cost:7.3f}")
    print(f"{'all':24s} {whole:7.3f}")
    print(f"{'all but the simulation':24s} {whole - simulation:7.3f}")
    print(f"programs a core-second   {1e3 / whole:7.0f}")


if __name__ == "__main__":
    main()
