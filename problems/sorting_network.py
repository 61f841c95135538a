"""Find sorting networks of few comparators.

A comparator (i, j) with i < j puts the smaller of two values on wire i and the larger on wire j. A network is a
fixed list of comparators; it sorts when whatever enters leaves in rising order, wire 0 the smallest. The fewest
comparators are sought, and of equally many the fewest layers: the objective is the number of comparators plus a
thousandth of the number of layers.

The program gives priorities. Fixed, trusted code starts with no comparators and adds, again and again, the one of
highest priority among those that would still swap something (of equals, the first in lexicographic order), until
none would: then the network sorts. So every program gives a network that sorts, and only its size is in question.

`priority(i, j, a, b, n)` is evaluated once, on all comparators and layers at a time: i and j are the wires, a and b
the numbers of layers that wires i and j have passed so far (n - 1 stands for more, too), n the number of wires. All
are whole numbers; i and j have shape (n (n - 1) / 2, 1, 1), a (1, n, 1), b (1, 1, n). What it returns is broadcast
to (n (n - 1) / 2, n, n).

The seed adds the comparators of bubble sort. A policy that was fitted to one n shows it on the unseen sizes.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from evolve import (
    Case,
    Certificate,
    Grid,
    Measure,
    Objective,
    Primitive,
    Problem,
    Reference,
    Rejected,
    certified,
    problem,
)
from evolve.fastcore.kernels.zero_one import depth_of, greedy_network, is_sorting_network

# EVOLVE-BLOCK-START
import numpy as np


def priority(i, j, a, b, n):
    """Priority of comparator (i, j) when its wires have passed a and b layers; the highest is added."""
    return i - j


# EVOLVE-BLOCK-END


def simulate(table: npt.NDArray[np.float64], case: Case) -> npt.NDArray[np.int64]:
    """The network that the priorities give, (k, 2)."""
    return greedy_network(table, case.hidden)


def plain(table: npt.NDArray[np.float64], case: Case) -> npt.NDArray[np.int64]:
    """The same network, straight from the rules, with the set of what all vectors of zeros and ones have become."""
    n, last = case.hidden, table.shape[1] - 1
    vectors = {tuple(number >> wire & 1 for wire in range(n)) for number in range(2**n)}
    layers = [0] * n
    network: list[tuple[int, int]] = []
    while True:
        working = [
            (table[row, min(layers[i], last), min(layers[j], last)], -row, i, j)
            for row, (i, j) in enumerate(combinations(range(n), 2))
            if any(vector[i] > vector[j] for vector in vectors)
        ]
        if not working:
            return np.array(network).reshape(-1, 2)
        _, _, i, j = max(working)
        layers[i] = layers[j] = max(layers[i], layers[j]) + 1
        network.append((i, j))
        vectors = {_exchanged(vector, i, j) for vector in vectors}


def _exchanged(vector: tuple[int, ...], i: int, j: int) -> tuple[int, ...]:
    wires = list(vector)
    wires[i], wires[j] = min(vector[i], vector[j]), max(vector[i], vector[j])
    return tuple(wires)


def score(network: npt.NDArray[np.int64], case: Case) -> dict[str, float]:
    """Comparators and a thousandth of the layers; mean reach of one; share whose mirror image is there."""
    n = case.hidden
    if not is_sorting_network(network, n):
        raise Rejected("the network does not sort")
    depth = depth_of(network, n)
    reach = network[:, 1] - network[:, 0]
    pairs = {(i, j) for i, j in network.tolist()}
    mirrored = sum((n - 1 - j, n - 1 - i) in pairs for i, j in pairs)
    return {
        "comparators": len(network) + depth / 1000.0,
        "depth": depth,
        "reach": float(reach.mean()) / (n - 1),
        "symmetry": mirrored / len(pairs),
    }


def check(data: "dict[str, Any]") -> str:
    """Comparators (i, j), i < j, that sort n wires, and after the point their layers, by the 0-1 principle."""
    n, pairs = data["n"], data["comparators"]
    if type(n) is not int or not 2 <= n <= 20:
        raise ValueError("n is no whole number from 2 to 20")
    everything = 2 ** (2**n) - 1
    # Every vector of zeros and ones at once: bit v of wire w is bit w of v, blocks of 2**w zeros and as many ones.
    wires = [everything // (2 ** (2**w) + 1) << 2**w for w in range(n)]
    layers = [0] * n
    for i, j in pairs:
        if type(i) is not int or type(j) is not int or not 0 <= i < j < n:
            raise ValueError(f"({i}, {j}) is no comparator")
        wires[i], wires[j] = wires[i] & wires[j], wires[i] | wires[j]
        layers[i] = layers[j] = max(layers[i], layers[j]) + 1
    for w in range(n - 1):
        if wires[w] & ~wires[w + 1]:
            raise ValueError(f"some vector is not sorted at wires {w} and {w + 1}")
    if max(layers) > 999:
        raise ValueError(f"{max(layers)} layers do not fit into three digits")
    return f"{len(pairs)}.{max(layers):03d}"


def certify(network: npt.NDArray[np.int64], case: Case) -> Certificate:
    """The comparators, for `check`."""
    pairs = network.tolist()
    statement = f"a sorting network on {case.hidden} wires; comparators, point, layers: {{value}}"
    return certified(check, {"n": case.hidden, "comparators": pairs}, statement)


BATCHER = """
import numpy as np


def merge_sort(n):
    # Batcher's odd-even merge sort, without the comparators that reach beyond wire n - 1.
    p = 1
    while p < n:
        k = p
        while k:
            for start in range(k % p, n - k, 2 * k):
                for low in range(start, min(start + k, n - k)):
                    if low // (2 * p) == (low + k) // (2 * p):
                        yield low, low + k
            k //= 2
        p *= 2


def priority(i, j, a, b, n):
    table = np.full(np.broadcast_shapes(i.shape, j.shape, a.shape, b.shape), -np.inf)
    wires = np.arange(2**n) >> np.arange(n)[:, None] & 1
    passed = [0] * n
    for place, (low, high) in enumerate(merge_sort(n)):
        if (wires[low] <= wires[high]).all():
            continue  # it would swap nothing
        table[np.ravel((i == low) & (j == high)), min(passed[low], n - 1), min(passed[high], n - 1)] = -place
        passed[low] = passed[high] = max(passed[low], passed[high]) + 1
        wires[[low, high]] = np.sort(wires[[low, high]], axis=0)
    return table
"""

TRANSPOSITION = """
import numpy as np


def priority(i, j, a, b, n):
    return i - j - n * np.maximum(a, b)
"""


def _grid(n: int) -> Grid:
    i, j = np.triu_indices(n, 1)
    passed = np.arange(n)
    return Grid((i[:, None, None], j[:, None, None], passed[None, :, None], passed[None, None, :], n))


def _language() -> Sequence[Primitive]:
    kinds = ("int", "num")  # the narrower first: what is made of whole numbers stays whole
    both = [
        Primitive(name, (kind, kind), kind)
        for kind in kinds
        for name in ("np.minimum", "np.maximum", "np.remainder")
    ]
    bits = [
        Primitive(name, ("int", "int"), "int")
        for name in ("np.bitwise_xor", "np.bitwise_and", "np.bitwise_or")
    ]
    compared = [Primitive(name, ("num", "num"), "bool") for name in ("np.equal", "np.not_equal")]
    chosen = [Primitive("np.where", ("bool", kind, kind), kind) for kind in kinds]
    sizes = [Primitive("np.abs", (kind,), kind) for kind in kinds]
    names = [Primitive(name, (), "int") for name in "ijabn"]
    return [*names, *both, *bits, *compared, *chosen, *sizes]


@problem
def sorting_network(n: int = 8) -> Problem:
    """A sorting network on n wires, 3 to 14, by a priority for each comparator."""
    if not 3 <= n <= 14:
        raise ValueError(f"n is {n}; a number of wires from 3 to 14, as the unseen cases have two more")
    sizes = (n, n + 1, n + 2)
    return Problem(
        entry="priority",
        form="table",
        grid={f"n{m}": _grid(m) for m in sizes},
        cases=[Case(f"n{n}", hidden=n, grid=f"n{n}")],
        simulate=simulate,
        plain=plain,
        score=score,
        certify=certify,
        check=check,
        objective=Objective("comparators", "min"),
        measures=[Measure("reach", 0.0, 1.0, bins=16), Measure("symmetry", 0.0, 1.0, bins=16)],
        unseen={f"n{m}": [Case(f"n{m}", hidden=m, grid=f"n{m}")] for m in sizes[1:]},
        primitives=_language(),
        baselines={"batcher": BATCHER, "transposition": TRANSPOSITION},
        # Layers: Fonollosa, arXiv:1806.00305, up to n12. Where size and depth cannot both be least, size is.
        references=[
            Reference("optimum", 12.005, "Knuth, TAOCP 3, 5.3.4 (Floyd, Knuth 1966)", "1966", "n6"),
            Reference("optimum", 16.006, "Knuth, TAOCP 3, 5.3.4 (Floyd, Knuth 1966)", "1966", "n7"),
            Reference("optimum", 19.006, "Knuth, TAOCP 3, 5.3.4 (Floyd, Knuth 1966)", "1966", "n8"),
            Reference("optimum", 25.007, "Codish et al., arXiv:1405.5754; Floyd 1964", "2014", "n9"),
            Reference("optimum", 29.008, "Codish et al., arXiv:1405.5754; Waksman 1969", "2014", "n10"),
            Reference("optimum", 35.008, "Harder, arXiv:2012.04400; Shapiro, Green 1969", "2020", "n11"),
            Reference("optimum", 39.009, "Harder, arXiv:2012.04400; Shapiro, Green 1969", "2020", "n12"),
            Reference("best known", 45.01, "Juillé 1995, in Knuth, TAOCP 3, 5.3.4", "1995", "n13"),
        ],
    )
