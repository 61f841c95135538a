"""Tunes the float literals of an entry with CMA-ES, once for a fresh structure.

Knows where the constants of a program are and how to put others in their place. Does not know what a program
is worth: that is asked of a function. Chance comes from a seed alone; no global generator is touched.
"""

import ast
import math
import pathlib
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from typing import Any, Literal

from evolve.printing import show
from evolve.programs_db.records import Trial
from evolve.source import SourceError, to_tree
from evolve.tree import Node, Path, at, replace
from evolve.vocabulary import number

__all__ = [
    "Rules",
    "TuneResult",
    "constants_in",
    "substitute",
    "tunable",
    "tune",
]


def constants_in(entry: Node, path: Path = ()) -> list[Path]:
    """Paths of the float literals in the body of a function's node, in the order of the text.

    A sign is no part of a literal. Integers, defaults, annotations, and what f-strings hold are left alone.
    """
    where = entry.kind._fields.index("body")
    found: list[Path] = []
    for i, statement in enumerate(entry.fields[where]):
        found.extend(_literals(statement, (*path, (where, i))))
    return found


_ORDER: dict[type[ast.AST], tuple[int, ...]] = {  # fields to look into, where not all in their order
    ast.IfExp: (1, 0, 2),  # the text reads: body, test, orelse
    ast.AnnAssign: (0, 2),
    ast.JoinedStr: (),
    ast.arg: (),
}


def _literals(node: Node, path: Path) -> Iterator[Path]:
    if node.kind is ast.Constant:
        if node.fields[0].__class__ is float:
            yield path
        return
    for i in _ORDER.get(node.kind, range(len(node.fields))):
        value = node.fields[i]
        if value.__class__ is Node:
            yield from _literals(value, (*path, i))
        elif value.__class__ is tuple:
            for j, item in enumerate(value):
                if item.__class__ is Node:
                    yield from _literals(item, (*path, (i, j)))


@lru_cache(maxsize=16)  # a tuner asks for the same text at each trial
def _read(source: str, entry: str) -> tuple[Node, tuple[Path, ...]]:
    root = to_tree(source)
    body = root.fields[0]
    for i in range(len(body) - 1, -1, -1):
        if body[i].kind is ast.FunctionDef and body[i].fields[0] == entry:
            return root, tuple(constants_in(body[i], ((0, i),)))
    raise SourceError(f"the block defines no function '{entry}' at its top level")


def tunable(source: str, entry: str) -> tuple[float, ...]:
    """The float literals of the entry's body in the order of the text; none if one of them is infinite.

    Raises:
        SourceError: the text is no program, or does not define `entry`.
    """
    root, paths = _read(source, entry)
    values = tuple([at(root, path).fields[0] for path in paths])
    return values if all(map(math.isfinite, values)) else ()


def substitute(source: str, entry: str, values: Sequence[float]) -> str:
    """The text with other literals in the order of `tunable`; it reads back to exactly these doubles.

    Args:
        source: text of the block.
        entry: the function.
        values: finite, as many as `tunable` gives.

    Raises:
        SourceError: the text is no program, or does not define `entry`.
        ValueError: the number of values is wrong, or one is not finite.
    """
    root, paths = _read(source, entry)
    if len(values) != len(paths):
        raise ValueError(f"{len(values)} values for {len(paths)} constants")
    for path, value in zip(paths, values, strict=True):
        new = number(float(value))
        above = at(root, path[:-1])
        if new.kind is ast.UnaryOp and above.kind is ast.UnaryOp and above.fields[0] is ast.USub:
            path, new = path[:-1], new.fields[1]  # two signs are none
        root = replace(root, path, new)
    return show(root)


@dataclass(frozen=True, slots=True)
class Rules:
    """How to tune.

    Args:
        budget: most trials, the first (the values as given) included.
        seed: of all chance.
        better: direction of the objective.
        bars: (trials, objective): after so many trials the best must be at least that good, or it ends.
    """

    budget: int
    seed: int
    better: Literal["min", "max"]
    bars: tuple[tuple[int, float], ...] = ()

    def hopeless(self, trials: int, best: float | None) -> bool:
        """Whether a tuning that stands so is given up; one in which every try failed is, at the first bar."""
        for needed, bar in self.bars:
            if trials >= needed and (best is None or (best > bar if self.better == "min" else best < bar)):
                return True
        return False


@dataclass(frozen=True, slots=True)
class TuneResult:
    """What tuning found.

    Args:
        values: the best constants, the given ones if none was better.
        objective: their objective; None if every try failed.
        trials: every try, in order.
        stopped: "budget", "rule" or "converged".
    """

    values: tuple[float, ...]
    objective: float | None
    trials: tuple[Trial, ...]
    stopped: str


_CONVERGED = 1e-6  # step, in units of a constant's own scale, below which another trial tells nothing


def tune(
    values: Sequence[float],
    evaluate: Callable[[tuple[float, ...]], float | None],
    rules: Rules,
) -> TuneResult:
    """Look for better constants with CMA-ES, each on its own scale (0.3 of its size, at least 0.1).

    Args:
        values: where to start, at least one.
        evaluate: the objective, or None for a failed try, which ranks last.
        rules: budget, seed, direction and when to stop.

    Raises:
        ValueError: no values, or a budget below 1.
    """
    if not values or rules.budget < 1:
        raise ValueError(
            f"{len(values)} constants and a budget of {rules.budget}; at least 1 of each is needed"
        )
    search = _Search(tuple(values), evaluate, rules)
    search.try_out(search.best[0])
    if rules.hopeless(1, search.best[1]):
        return TuneResult(*search.best, tuple(search.trials), "rule")
    return TuneResult(*_descend(search))


def _descend(search: "_Search") -> tuple[tuple[float, ...], float | None, tuple[Trial, ...], str]:
    rules = search.rules
    strategy = _strategy(len(search.origin), rules.seed)
    stopped = "budget"
    while len(search.trials) < rules.budget:
        steps = strategy.ask()
        ranks = [search.try_out(search.at(step)) for step in steps[: rules.budget - len(search.trials)]]
        if len(ranks) < len(steps):
            break
        strategy.tell(steps, ranks)
        if rules.hopeless(len(search.trials), search.best[1]):
            stopped = "rule"
            break
        if strategy.sigma < _CONVERGED or not math.isfinite(strategy.sigma):
            stopped = "converged"
            break
    return (*search.best, tuple(search.trials), stopped)


class _Search:
    """The state of one tuning: scales, trials and the best so far."""

    def __init__(
        self,
        origin: tuple[float, ...],
        evaluate: Callable[[tuple[float, ...]], float | None],
        rules: Rules,
    ) -> None:
        self.origin = origin
        self.evaluate = evaluate
        self.rules = rules
        self.scales = tuple([max(0.3 * abs(value), 0.1) for value in origin])
        self.trials: list[Trial] = []
        self.best: tuple[tuple[float, ...], float | None] = (origin, None)

    def at(self, step: Sequence[float]) -> tuple[float, ...]:
        """The constants at a step of CMA-ES, whose coordinates are all of size one."""
        return tuple([o + s * x for o, s, x in zip(self.origin, self.scales, step, strict=True)])

    def try_out(self, values: tuple[float, ...]) -> float:
        """Evaluate, take note, and answer with what CMA-ES minimises."""
        finite = all(map(math.isfinite, values))
        objective = self.evaluate(values) if finite else None
        if objective is not None and not math.isfinite(objective):
            objective = None
        self.trials.append(Trial(values, objective))
        if objective is None:
            return math.inf
        cost = objective if self.rules.better == "min" else -objective
        held = self.best[1]
        if held is None or cost < (held if self.rules.better == "min" else -held):
            self.best = (values, objective)
        return cost


def _strategy(count: int, seed: int) -> Any:
    """CMA-ES in pure Python: 8-16 us a trial for 1-6 constants."""
    return _purecma().CMAES([0.0] * count, 1.0, randn=random.Random(seed).gauss)


@cache
def _purecma() -> Any:
    """The module `cma.purecma`, without the rest of its package: that imports scipy and matplotlib where they are
    installed, 2 s of CPU in every worker, and none of it is used here.
    """
    package = find_spec("cma")
    assert package is not None
    for folder in package.submodule_search_locations or ():
        for place in ("more_algorithms/purecma.py", "purecma.py"):  # of cma 4.5, and of 4.0
            path = pathlib.Path(folder, place)
            if path.is_file():
                spec = spec_from_file_location("evolve_purecma", path)
                assert spec is not None
                assert spec.loader is not None
                module = module_from_spec(spec)
                spec.loader.exec_module(module)
                return module
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses matplotlib
        return import_module("cma").purecma
