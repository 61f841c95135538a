"""CPU microseconds a proposal by stage, on three blocks. Run: `python bench/perf/mutate_cost.py`.

Knows the stages of a syntactic proposal; asserts nothing, prints a table.
"""

import random
import time
from collections.abc import Callable

from evolve.identity import hashes_of
from evolve.mutators.base import Context
from evolve.mutators.operators import OPERATORS
from evolve.mutators.survey import map_program
from evolve.mutators.syntactic import SyntacticMutator
from evolve.mutators.tuner import Rules, tune
from evolve.mutators.work import Work
from evolve.printing import show
from evolve.source import program_of, to_tree
from evolve.tree import Node
from evolve.vocabulary import Primitive

NUM = ("num",)
PRIMITIVES = [
    *[Primitive(f"np.{name}", NUM, "num") for name in ("exp", "log", "sqrt", "abs")],
    *[Primitive(f"np.{name}", NUM * 2, "num") for name in ("minimum", "maximum")],
    Primitive("np.where", ("bool", "num", "num"), "num"),
]
BEST_FIT = "import numpy as np\n\n\ndef priority(item, remaining):\n    return item - remaining\n"
THIRTY = """import numpy as np


def priority(item, remaining):
    gap = remaining - item
    fit = np.exp(-gap / (item + 1.0))
    return np.where(gap < 10.0, fit * item - gap, np.sqrt(remaining)) + 0.1
"""
CIRCLES = '''import numpy as np


def pack(n: int) -> np.ndarray:
    """Return n rows (x, y, radius)."""
    discs = np.zeros((n, 3))
    for i in range(n):
        angle = 2.0 * np.pi * i / n
        discs[i, 0] = 0.5 + 0.3 * np.cos(angle)
        discs[i, 1] = 0.5 + 0.3 * np.sin(angle)
    for i in range(n):
        x = discs[i, 0]
        y = discs[i, 1]
        radius = min(x, y, 1.0 - x, 1.0 - y)
        for j in range(n):
            if j != i:
                radius = min(radius, 0.5 * np.hypot(x - discs[j, 0], y - discs[j, 1]))
        discs[i, 2] = radius
    return discs
'''
REPEATS = 4000


def timed(act: Callable[[int], object]) -> float:
    """CPU microseconds a call, best of three passes."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        for i in range(REPEATS):
            act(i)
        best = min(best, time.process_time() - start)
    return best / REPEATS * 1e6


def report(label: str, source: str, entry: str, primitives: list[Primitive]) -> None:
    """One line for one block."""
    mutator = SyntacticMutator(source, entry, primitives)
    parent = program_of(source, entry)
    own = map_program(to_tree(source), entry, mutator.vocabulary)
    assert own is not None
    names = list(OPERATORS)

    def mutate(i: int) -> Node | None:
        rng = random.Random(i)
        return OPERATORS[names[i % len(names)]](Work(rng, own, (own,), mutator.vocabulary))

    rng_cost = timed(lambda i: random.Random((7 << 64) | i))
    mutate_cost = timed(mutate) - rng_cost
    printing = hashing = 0.0
    for _ in range(3):
        trees = [tree for tree in (mutate(i) for i in range(REPEATS)) if tree is not None]
        start = time.process_time()
        for tree in trees:
            show(tree)
        middle = time.process_time()
        for tree in trees:
            hashes_of(tree)
        end = time.process_time()
        printing, hashing = (middle - start) / len(trees) * 1e6, (end - middle) / len(trees) * 1e6
    whole = timed(lambda i: mutator.propose(Context(random.Random((7 << 64) | i), parent, (parent,))))
    fresh = timed(lambda _i: map_program(to_tree(source), entry, mutator.vocabulary))
    print(
        f"{label:<24}{parent.nodes:>6}{rng_cost:>8.1f}{mutate_cost:>9.1f}{printing:>8.1f}{hashing:>9.1f}"
        f"{whole:>10.1f}{fresh:>13.1f}"
    )


def main() -> None:
    """Print the table."""
    head = f"{'CPU us':<24}{'nodes':>6}{'rng':>8}{'mutate':>9}{'print':>8}{'hashes':>9}"
    print(head + f"{'propose':>10}{'new parent':>13}")
    report("best fit", BEST_FIT, "priority", PRIMITIVES)
    report("30-node expression", THIRTY, "priority", PRIMITIVES)
    report("circle packing, loops", CIRCLES, "pack", [])
    tune([1.0], lambda values: values[0], Rules(5, 1, "min"))  # imports
    for count in (1, 3, 6):
        start, trials = time.process_time(), 0
        for seed in range(20):
            found = tune(
                [1.0] * count, lambda values: sum(x * x for x in values), Rules(10 * count, seed, "min")
            )
            trials += len(found.trials)
        print(f"tuner, {count} constants: {(time.process_time() - start) / trials * 1e6:.1f} us a trial")


if __name__ == "__main__":
    main()
