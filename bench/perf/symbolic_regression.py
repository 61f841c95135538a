"""`symbolic_regression` beside gplearn, at equal evaluations and equal primitives; writes docs/suite-regression.md.

gplearn is an extra: pip install 'evolve-engine[peers]'. A quarter of an hour on one core, and the load does not matter,
as the budget is counted in evaluations:

    python bench/perf/symbolic_regression.py --folder /tmp/regression --write docs/suite-regression.md

Runs that are in the folder already are not repeated.
"""

import argparse
import ast
import json
import math
import os
import statistics
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import evolve
from evolve.evaluator import Job, Judge
from evolve.problems.symbolic_regression import equation_of
from evolve.statement import Problem

EQUATIONS = range(3)
SEEDS = range(3)
SUITES = ("train", "inside", "outside")
# Population and parsimony coefficient; the first is its default. With no parsimony programs grow to thousands of parts.
GPLEARN = {
    "gplearn 1,000, 0.001": (1_000, 0.001),
    "gplearn 1,000, 0.0001": (1_000, 0.0001),
    "gplearn 5,000, 0.001": (5_000, 0.001),
}
_PARTS = (ast.BinOp, ast.UnaryOp, ast.Call, ast.Name, ast.Constant)
Result = dict[str, Any]


# -- evolve


def searched(equation: int, seed: int, evaluations: int, folder: Path) -> Result:
    """One search: the best program among those whose evaluation was done within the budget."""
    problem = evolve.load("symbolic_regression", {"equation": equation})
    ledger = folder / f"evolve-{evaluations}-{equation}-{seed}.db"
    ledger.unlink(missing_ok=True)  # of a run that was broken off
    run = evolve.run(
        problem,
        seed=seed,
        budget=f"{evaluations}ev",
        ledger=ledger,
        config=evolve.Config(tune=40),
        workers=1,
        verify=False,
    )
    if run.stopped != "budget":
        raise SystemExit(f"{ledger}: {run.stopped}: not counted")
    spent, best = 0, None
    for row in run.programs:
        spent += row["evaluations"]
        if spent > evaluations:
            break
        if row["status"] == "ok" and (best is None or row["objective"] < best["objective"]):
            best = row
    assert best is not None
    told = {"source": best["source"], "size": size_of(best["source"])}
    return told | scores_of(problem, best["source"])


def size_of(source: str) -> int:
    """Operations, names and numbers in the entry, as gplearn counts the length of a program."""
    entry = next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    body = [line for line in entry.body if not isinstance(line, ast.Expr)]
    parts = [part for line in body for part in ast.walk(line) if isinstance(part, _PARTS)]
    called = [part.func for part in parts if isinstance(part, ast.Call)]
    modules = [part.value for part in called if isinstance(part, ast.Attribute)]
    stored = [part for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)]
    return len(parts) - len(modules) - len(stored)


def scores_of(problem: Problem, source: str) -> Result:
    """Normalised error on each suite; None where the formula is not finite."""
    judge = Judge(problem)
    try:
        return {
            suite: judge.judge(Job(source, suite="" if suite == "train" else suite)).evaluation.objective
            for suite in SUITES
        }
    finally:
        judge.close()


# -- gplearn


def _exp(x: np.ndarray) -> np.ndarray:
    return np.exp(np.minimum(x, 50.0))  # gplearn wants functions that are finite everywhere


def _cube(x: np.ndarray) -> np.ndarray:
    return x**3


def bred(equation: int, seed: int, evaluations: int, population: int, parsimony: float) -> Result:
    """One run of gplearn: the program that it chooses itself from its last generation."""
    from gplearn.functions import make_function
    from gplearn.genetic import SymbolicRegressor

    problem = evolve.load("symbolic_regression", {"equation": equation})
    own = (
        make_function(function=_exp, name="exp", arity=1),
        make_function(function=np.square, name="square", arity=1),
        make_function(function=_cube, name="cube", arity=1),
    )
    machine = SymbolicRegressor(
        population_size=population,
        generations=evaluations // population,
        function_set=("add", "sub", "mul", "div", "neg", "sin", "cos", "log", "sqrt", "abs", *own),
        const_range=(-3.0, 3.0),
        metric="mse",
        parsimony_coefficient=parsimony,
        random_state=seed,
    )
    (train,) = problem.cases
    machine.fit(np.array(train.inputs).T, train.hidden.t)
    told: Result = {"source": str(machine._program), "size": machine._program.length_}
    for suite in SUITES:
        errors = []
        for case in problem.cases if suite == "train" else problem.unseen[suite]:
            predicted = machine.predict(np.array(case.inputs).T)
            errors.append(float(np.mean(((case.hidden.t - predicted) / case.hidden.s) ** 2)))
        told[suite] = statistics.fmean(errors) if np.isfinite(errors).all() else None
    return told


# -- the page


def kept(name: str, folder: Path, make: Callable[[], Result]) -> Result:
    """A result of the folder, or a new one with the CPU seconds that it took."""
    path = folder / f"{name}.json"
    if not path.exists():
        started = _cpu_seconds()
        made = make()
        path.write_text(json.dumps(made | {"cpu": _cpu_seconds() - started}, indent=1))
        print(name, {key: made[key] for key in (*SUITES, "size")}, flush=True)
    result: Result = json.loads(path.read_text())
    return result


def _cpu_seconds() -> float:
    return sum(os.times()[:4])  # its processes', once they have ended, too


def _median(results: list[Result], suite: str) -> float:
    return statistics.median(math.inf if one[suite] is None else one[suite] for one in results)


def _cell(results: list[Result], suite: str) -> str:
    """The median of the seeds, and each."""
    middle, each = _median(results, suite), [one[suite] for one in results]
    told = ", ".join("fails" if value is None else f"{value:.3g}" for value in each)
    return f"**{middle:.3g}** ({told})" if math.isfinite(middle) else f"**fails** ({told})"


def rows_of(equation: int, found: dict[str, list[Result]]) -> list[str]:
    """The lines of one equation: what was found by each arm, and the polynomials."""
    rows = []
    for arm, results in found.items():
        cells = " | ".join(_cell(results, suite) for suite in SUITES)
        sizes = ", ".join(str(one["size"]) for one in results)
        seconds = statistics.median(one["cpu"] for one in results)
        rows.append(f"| {equation} | {arm} | {cells} | {sizes} | {seconds:.0f} |")
    problem = evolve.load("symbolic_regression", {"equation": equation})
    for name, source in problem.baselines.items():
        scored = scores_of(problem, source)
        cells = " | ".join(f"{scored[suite]:.3g}" for suite in SUITES)
        rows.append(f"| {equation} | {name}, least squares | {cells} | {size_of(source)} | |")
    return rows


def main() -> None:
    """Run what is missing and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("regression"))
    parser.add_argument("--evaluations", type=int, default=50_000)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    count, folder = options.evaluations, options.folder
    rows, wins = [], dict.fromkeys(("inside", "outside"), 0)
    for equation in EQUATIONS:
        found = {
            "evolve": [
                kept(
                    f"evolve-{count}-{equation}-{seed}",
                    folder,
                    partial(searched, equation, seed, count, folder),
                )
                for seed in SEEDS
            ]
        }
        for arm, (population, parsimony) in GPLEARN.items():
            found[arm] = [
                kept(
                    f"gplearn-{population}-{parsimony}-{count}-{equation}-{seed}",
                    folder,
                    partial(bred, equation, seed, count, population, parsimony),
                )
                for seed in SEEDS
            ]
        rows += rows_of(equation, found)
        for suite in wins:
            medians = {arm: _median(results, suite) for arm, results in found.items()}
            wins[suite] += medians.pop("evolve") < min(medians.values())
    equations = "\n".join(f"    {number}: t = {equation_of(number)}" for number in EQUATIONS)
    page = PAGE.format(
        count=f"{count:,}",
        rows="\n".join(rows),
        equations=equations,
        equations_count=len(EQUATIONS),
        version=evolve.__version__,
        other=version("gplearn"),
        **wins,
    )
    print(page)
    if options.write:
        options.write.write_text(page.lstrip(), encoding="utf-8")


PAGE = """
# `symbolic_regression` beside gplearn

Normalised mean squared errors of formulas for {equations_count} equations, found by evolve {version} without a model
and by [gplearn](https://gplearn.readthedocs.io) {other}, each with seeds 0, 1, 2: the median, and each in brackets.
`train` are the 400 points that both search on; `inside` and `outside` are 2,000 points each that no search sees, in
the same cube and around it. This page is written by

    pip install 'evolve-engine[peers]'
    python bench/perf/symbolic_regression.py --folder /tmp/regression --write docs/suite-regression.md

Alike for both: the points; {count} evaluations of programs (of evolve the trials of its tuner are counted, of
gplearn the programs of all generations); the primitives `+ - * /`, a sign, `sin`, `cos`, `exp`, `log`, `sqrt`,
`abs`, square, cube, and numbers; mean squared error; one core. `size` counts operations, names and numbers. CPU
seconds are medians, on a machine that did other things too.

Not alike: gplearn's `/`, `log` and `sqrt` are its protected ones, and its `exp` stops at exp(50), so they are
finite everywhere; with evolve a formula that is not finite at one of the points is rejected. gplearn is run in
three ways, by population and parsimony coefficient, else with its defaults but for squared error and constants from
-3 to 3; what it is judged by is the program that it chooses from its last generation. evolve tunes constants within
its budget, gplearn has no such step; it is judged by the best program on `train` when the evaluations are spent.
`fails` is a formula that is not finite at an unseen point. No setting of either was chosen by these figures; the
form of the equations was settled while evolve was tried on five others.

| equation | by | train | inside | outside | size | CPU s |
|---|---|---|---|---|---|---|
{rows}

By medians, evolve is better than the best of the three ways on `inside` for {inside} of the {equations_count}
equations, and on `outside` for {outside}. The equations:

{equations}
"""

if __name__ == "__main__":
    main()
