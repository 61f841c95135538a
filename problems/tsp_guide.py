"""Build a short round trip through cities by a rule for the next city.

A trip starts at city 0 and goes from city to city until all are visited, and back. The next city is the unvisited one
of the highest `priority(step, out, lonely, left)` (NaN is the lowest; of equals the nearest, then the smallest number):

- step: its distance from here;
- out: how directly the step leads away from city 0, from -1 (straight back) to 1 (straight away): the distance from
  there to city 0 less the distance from here to city 0, over the step; 0 where the step has no length;
- lonely: the distance from there to the second nearest of the other unvisited cities; where there are fewer than two,
  to city 0;
- left: the share of the cities that are unvisited.

Distances are Euclidean, rounded to whole numbers. Step and lonely are given in units of the mean distance of a city to
its nearest one, and rounded down to a level: tenths up to 3, quarters up to 6, then 7, 8, 10, 12, 16, 24, 32; lonely
only quarters up to 4, then 5, 6, 8, 12. Out is rounded to the nearest quarter. Left is given as 0.1, 0.3, 0.5, 0.7 or
0.9, the middle of the fifth that it lies in. The program is evaluated once, on the grid of all levels, as numpy arrays
that broadcast, of shapes (S, 1, 1, 1), (O, 1, 1), (L, 1) and (5,). It never meets a map.

The objective is the length of the trip over the length of one found by a long local search (2-opt and Or-opt, with 30
kicks a city), mean over maps of 50, 100 and 200 cities that lie evenly at random in a square.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isqrt

import numpy as np
import numpy.typing as npt

from evolve import Case, Measure, Objective, Primitive, Problem, Stage, problem
from evolve.fastcore.kernels.tours import (
    Axes,
    distances,
    guided_tour,
    nearest_first,
    searched_tour,
    tour_length,
)

# EVOLVE-BLOCK-START
import numpy as np


def priority(step, out, lonely, left):
    """Priority of a city as the next one; the highest is visited."""
    return -step


# EVOLVE-BLOCK-END

Ints = npt.NDArray[np.int64]

AXES = Axes(
    step=np.array([*range(0, 300, 10), *range(300, 600, 25), 600, 700, 800, 1000, 1200, 1600, 2400, 3200]),
    lonely=np.array([*range(0, 400, 25), 400, 500, 600, 800, 1200]),
    out=9,
    left=5,
)
SIDE = 10_000


@dataclass(frozen=True, eq=False)
class Map:
    """What is hidden from the program: the cities, whole numbers (n, 2), and what follows from them."""

    points: Ints

    @cached_property
    def between(self) -> Ints:
        """Distances, (n, n)."""
        return distances(self.points)

    @cached_property
    def nearest(self) -> Ints:
        """The other cities of each, nearest first, (n, n - 1)."""
        return nearest_first(self.between)

    @cached_property
    def yardstick(self) -> int:
        """Length of the trip that the long local search finds."""
        count = len(self.points)
        draws = np.random.default_rng(count).integers(0, 2**31, (30 * count, 3))
        return tour_length(self.between, searched_tour(self.between, draws))


def even(rng: np.random.Generator, count: int) -> Ints:
    """Cities anywhere in the square."""
    return rng.integers(0, SIDE, (count, 2))


def clustered(rng: np.random.Generator, count: int) -> Ints:
    """Cities around one of six centres."""
    centres = rng.integers(0, SIDE, (6, 2))[rng.integers(0, 6, count)]
    return np.clip(np.rint(rng.normal(centres, SIDE / 20)), 0, SIDE).astype(np.int64)


def simulate(table: npt.NDArray[np.float64], case: Case) -> tuple[Ints, int]:
    """The cities in order, and how many steps did not go to a nearest unvisited city."""
    cities: Map = case.hidden
    return guided_tour(table, cities.between, cities.nearest, AXES)


def plain(table: npt.NDArray[np.float64], case: Case) -> tuple[Ints, int]:
    """The same, with no cleverness."""
    points = case.hidden.points.tolist()
    cities = range(len(points))
    squares = [[(x - u) ** 2 + (y - v) ** 2 for u, v in points] for x, y in points]
    apart = [[(isqrt(4 * square) + 1) // 2 for square in row] for row in squares]
    unit = max(1, sum(min(row[:city] + row[city + 1 :]) for city, row in enumerate(apart)))

    def level(length: int, grades: list[int]) -> int:
        return sum(grade * unit <= 100 * length * len(points) for grade in grades) - 1

    steps, lonelies = AXES.step.tolist(), AXES.lonely.tolist()
    here, tour, skips = 0, [0], 0
    while len(tour) < len(points):
        free = [city for city in cities if city not in tour]
        ranked = []
        for city in free:
            length, home = apart[here][city], apart[city][0]
            beyond = sorted(apart[city][other] for other in free if other != city)
            lonely = beyond[1] if len(beyond) > 1 else home
            out = (home - apart[here][0] + length) / (2 * length) if length else 0.5
            quarter = int(8 * min(max(out, 0), 1) + 0.5)
            fifth = 5 * len(free) // len(points)
            place = level(length, steps), quarter, level(lonely, lonelies), fifth
            ranked.append((-float(table[place]), length, city))
        skips += min(ranked)[1] > min(length for _, length, _ in ranked)
        here = min(ranked)[2]
        tour.append(here)
    return np.array(tour), skips


def score(outcome: tuple[Ints, int], case: Case) -> dict[str, float]:
    """Length over the yardstick's; share of steps that skip the nearest city; share of the length in the last fifth."""
    tour, skips = outcome
    cities: Map = case.hidden
    steps = cities.between[tour, np.roll(tour, -1)]
    total = tour_length(cities.between, tour)
    return {
        "ratio": total / cities.yardstick,
        "skips": skips / len(tour),
        "late": int(steps[len(steps) * 4 // 5 :].sum()) / total,
    }


NEAREST = """
def priority(step, out, lonely, left):
    return -step
"""

# What is saved by going on from here, and not over city 0: Clarke and Wright, Operations Research 12, 1964, one route.
SAVINGS = """
def priority(step, out, lonely, left):
    return step * out - step
"""


def _grid() -> tuple[npt.NDArray[np.float64], ...]:
    step, lonely = AXES.step / 100.0, AXES.lonely / 100.0
    out = np.linspace(-1.0, 1.0, AXES.out)
    left = (np.arange(AXES.left) + 0.5) / AXES.left
    return step[:, None, None, None], out[:, None, None], lonely[:, None], left


def _maps(name: str, make: Callable[..., Ints], counts: Sequence[int], seed: int) -> list[Case]:
    return [
        Case(f"{name}_{count}_{place}", hidden=Map(make(np.random.default_rng([seed, place]), count)))
        for place, count in enumerate(counts)
    ]


@problem
def tsp_guide(maps: int = 16) -> Problem:
    """Round trips by a priority for the next city."""
    if not 2 <= maps <= 200:
        raise ValueError(f"maps is {maps}; from 2 to 200")
    sizes = (50,) * maps + (100,) * maps + (200,) * (maps // 2)
    train = _maps("train", even, sizes, 21)
    return Problem(
        entry="priority",
        form="table",
        grid=_grid(),
        cases=train,
        # The smaller maps tell a hopeless rule, and are enough to tune constants on.
        stages=[Stage(tuple(case.name for case in train[: 2 * maps]), gate=1.6)],
        simulate=simulate,
        plain=plain,
        score=score,
        objective=Objective("ratio", "min"),
        measures=[Measure("skips", 0.0, 1.0, bins=16), Measure("late", 0.0, 0.6, bins=16)],
        unseen={
            "n50": _maps("unseen", even, [50] * 8, 22),
            "n100": _maps("unseen", even, [100] * 8, 23),
            "n200": _maps("unseen", even, [200] * 8, 24),
            "n400": _maps("unseen", even, [400] * 4, 25),
            "clustered": _maps("clustered", clustered, [100] * 8, 26),
        },
        # In the same proportion as the training maps, and few: each needs a long local search of its own.
        fresh=lambda rng: [
            Case(f"fresh_{place}", hidden=Map(even(rng, count)))
            for place, count in enumerate((50, 50, 100, 100, 200))
        ],
        primitives=[
            Primitive("np.sqrt", ("num",), "num"),
            Primitive("np.square", ("num",), "num"),
            Primitive("np.exp", ("num",), "num"),
            Primitive("np.abs", ("num",), "num"),
            Primitive("np.minimum", ("num", "num"), "num"),
            Primitive("np.maximum", ("num", "num"), "num"),
            Primitive("np.where", ("bool", "num", "num"), "num"),
        ],
        baselines={
            "nearest_neighbour": NEAREST,
            "savings": SAVINGS,
        },
    )
