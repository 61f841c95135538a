"""Find a formula for numbers that were measured at points in space.

At each point (x, y, z) of the cube of coordinates from -2 to 2 there is one number t, a smooth function of the point
that nobody tells. `formula(x, y, z)` gets three float64 arrays of equal length, one entry a point, and returns what it
predicts: an array of that length, or one number for all points. It never sees t.

The objective is the normalised mean squared error over 400 points, mean((t - formula)^2) / s^2 with s the standard
deviation of t over these points: 0 is a perfect formula, and the best constant has 1. A prediction that is not
finite, or beyond 1e100 in size, is rejected; 27 of the points have no coordinate but -2, 0 and 2, to meet poles.

Unseen are other points of the cube, and points around it, where no coordinate is larger than 3 in size and one at
least is larger than 2. What t comes from holds there too; a mere fit does not.

The parameter `equation` is the seed of the equation behind t: a sum of functions, and products of them, of mixtures
of the coordinates, of which one may not matter; its numbers have three digits, and it is in no textbook. `noise` adds
normal noise to t at the 400 points, as a share of the standard deviation that t has there without it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from evolve import Array, Case, Measure, Objective, Primitive, Problem, Rejected, problem

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

# EVOLVE-BLOCK-START
import numpy as np


def formula(x, y, z):
    """The number at each point."""
    return 0.0 * x


# EVOLVE-BLOCK-END

Floats = npt.NDArray[np.float64]

_INSIDE, _OUTSIDE = 2.0, 3.0
_MOST = 1e100  # its square is finite, and so is the sum of many

SHAPES: Mapping[str, Callable[[Floats], Floats]] = {
    "({})": lambda m: m,
    "np.square({})": np.square,
    "np.sin({})": np.sin,
    "np.exp(-np.square({}))": lambda m: np.exp(-np.square(m)),
    "np.sqrt(1.0 + np.square({}))": lambda m: np.sqrt(1.0 + np.square(m)),
    "np.log(1.0 + np.square({}))": lambda m: np.log(1.0 + np.square(m)),
    "(1.0 / (1.0 + np.square({})))": lambda m: 1.0 / (1.0 + np.square(m)),
}
"""Functions of one number that are finite everywhere, by how a program would write them."""

MIXTURES: Mapping[str, Callable[[Floats, Floats, float], Floats]] = {
    "{u} + {a} * {w}": lambda u, w, a: u + a * w,
    "{a} * {u} * {w}": lambda u, w, a: a * u * w,
    "{u} + {a}": lambda u, _, a: u + a,
}


@dataclass(frozen=True)
class Piece:
    """A function of a mixture of two coordinates u and w: shape(u + a w), shape(a u w) or shape(u + a)."""

    shape: str
    coordinates: tuple[int, int]
    mixture: str
    number: float

    def __call__(self, points: Floats) -> Floats:
        """Its values at points (3, n)."""
        u, w = points[list(self.coordinates)]
        return SHAPES[self.shape](MIXTURES[self.mixture](u, w, self.number))

    def __str__(self) -> str:
        u, w = ("xyz"[place] for place in self.coordinates)
        return self.shape.format(self.mixture.format(u=u, w=w, a=self.number))


@dataclass(frozen=True)
class Equation:
    """base + one * first * second + other * third, where the last three are pieces."""

    numbers: tuple[float, float, float]
    pieces: tuple[Piece, Piece, Piece]

    def __call__(self, points: Floats) -> Floats:
        """Values of t at points (3, n)."""
        base, one, other = self.numbers
        first, second, third = (piece(points) for piece in self.pieces)
        return base + one * first * second + other * third

    def __str__(self) -> str:
        """As a program would write it."""
        (base, one, other), (first, second, third) = self.numbers, self.pieces
        return f"{base} + {one} * {first} * {second} + {other} * {third}"


def points_of(rng: np.random.Generator, count: int, outside: bool = False) -> Floats:
    """Points (3, count), evenly in the cube, or evenly in the shell around it."""
    if not outside:
        return rng.uniform(-_INSIDE, _INSIDE, (3, count))
    drawn = rng.uniform(-_OUTSIDE, _OUTSIDE, (3, 3 * count))  # 19 of 27 lie in the shell
    return drawn[:, np.abs(drawn).max(axis=0) > _INSIDE][:, :count]


def _digits(number: float) -> float:
    return float(f"{number:.3g}")


def _piece(rng: np.random.Generator) -> Piece:
    u, w, _ = rng.permutation(3).tolist()
    number = _digits(rng.uniform(0.3, 1.5) * rng.choice([-1.0, 1.0]))
    return Piece(str(rng.choice(list(SHAPES))), (u, w), str(rng.choice(list(MIXTURES))), number)


def _fit(terms: Floats, t: Floats) -> tuple[Floats, float]:
    """Coefficients of the least squares fit of t by the rows of `terms`, and its normalised error."""
    found = np.linalg.lstsq(terms.T, t, rcond=None)[0].astype(np.float64)
    return found, float(np.mean((t - found @ terms) ** 2) / np.var(t))


def monomials(points: Floats, degree: int) -> tuple[list[tuple[int, ...]], Floats]:
    """Exponents of x, y and z of all monomials up to a degree, and their values at the points."""
    powers = [power for power in product(range(degree + 1), repeat=3) if sum(power) <= degree]
    return powers, np.array([np.prod(points ** np.array(power)[:, None], axis=0) for power in powers])


def equation_of(seed: int) -> Equation:
    """An equation whose t has mean 0 and standard deviation 1 in the cube, but for the rounding of its numbers.

    Drawn again until both of its parts vary, and a line and a paraboloid leave a part of it unexplained.
    """
    rng = np.random.default_rng([1, seed])
    points = points_of(rng, 1_000)
    while True:
        first, second, third = _piece(rng), _piece(rng), _piece(rng)
        one, other = first(points) * second(points), third(points)
        share = rng.uniform(0.5, 0.9)  # of the variance, but for what both parts have in common
        if min(one.std(), other.std()) < 0.1:
            continue
        scales = sqrt(share) / one.std(), sqrt(1.0 - share) / other.std()
        t = scales[0] * one + scales[1] * other
        numbers = [_digits(value / t.std()) for value in (-t.mean(), *scales)]
        left = [_fit(monomials(points, degree)[1], t)[1] for degree in (1, 2)]
        if left[0] > 0.4 and left[1] > 0.2:
            return Equation((numbers[0], numbers[1], numbers[2]), (first, second, third))


@dataclass(frozen=True, eq=False)
class Measured:
    """What is hidden from the program: t at each point, s, and at which points x and y are positive, (2, points)."""

    t: Floats
    s: float
    positive: npt.NDArray[np.bool_]


def case(name: str, points: Floats, t: Floats, s: float = 0.0) -> Case:
    """A case; the points go to the program, the rest stays. `s` is that of t unless it is given."""
    hidden = Measured(t, s or float(t.std()), points[:2] > 0.0)
    return Case(name, inputs=tuple(np.ascontiguousarray(row) for row in points), hidden=hidden)


def score(predicted: Floats, case: Case) -> dict[str, float]:
    """Normalised error; which share of the squared error lies where x is positive, and where y is; a half of none.

    These shares keep apart formulas that are wrong in different places, and what one lacks another has.
    """
    hidden: Measured = case.hidden
    if predicted.shape not in ((), hidden.t.shape):
        raise Rejected(f"the prediction has shape {predicted.shape}, not {hidden.t.shape}")
    error = ((hidden.t - predicted) / hidden.s) ** 2
    total = float(error.sum())
    by_x, by_y = ((hidden.positive @ error) / total).tolist() if total > 0.0 else (0.5, 0.5)
    return {"nmse": float(error.mean()), "by_x": by_x, "by_y": by_y}


def polynomial(points: Floats, t: Floats, degree: int) -> str:
    """The program of the least squares polynomial of a degree."""
    powers, terms = monomials(points, degree)
    lines = []
    for number, power in zip(_fit(terms, t)[0].tolist(), powers, strict=True):
        factors = [f"{name}**{exponent}" for name, exponent in zip("xyz", power, strict=True) if exponent]
        lines.append(" * ".join([repr(number), *factors]))
    return "def formula(x, y, z):\n    return " + " + ".join(lines) + "\n"


@problem
def symbolic_regression(equation: int = 0, points: int = 400, noise: float = 0.0) -> Problem:
    """A formula for numbers measured at points in space."""
    if equation < 0 or points < 50 or not 0.0 <= noise <= 10.0:
        raise ValueError(
            "equation is a seed from 0, points are 50 or more, and noise is a share from 0 to 10"
        )
    law = equation_of(equation)
    rng = np.random.default_rng([2, equation])
    lattice = np.array(list(product((-_INSIDE, 0.0, _INSIDE), repeat=3))).T

    def measured(name: str, rng: np.random.Generator) -> tuple[Case, Floats, Floats]:
        at = np.hstack([lattice, points_of(rng, points - lattice.shape[1])])
        clean = law(at)
        noisy = clean + noise * clean.std() * rng.standard_normal(points)
        return case(name, at, noisy), at, noisy

    training, train, t = measured("train", rng)

    def others(name: str, rng: np.random.Generator, outside: bool = False) -> list[Case]:
        drawn = [points_of(rng, 500, outside) for _ in range(4)]
        return [case(f"{name}_{place}", at, law(at)) for place, at in enumerate(drawn)]

    def any_points() -> "SearchStrategy[Case]":
        """A few points of the cube: a formula is finite at each."""
        from hypothesis import strategies

        coordinate = strategies.one_of(
            strategies.integers(-16, 16).map(lambda n: n / 8.0), strategies.floats(-_INSIDE, _INSIDE)
        )
        rows = strategies.lists(strategies.tuples(coordinate, coordinate, coordinate), min_size=1, max_size=6)
        columns = rows.map(lambda drawn: np.array(drawn).T)
        return columns.map(lambda drawn: case("any", drawn, law(drawn), float(t.std())))

    return Problem(
        entry="formula",
        cases=[training],
        returns=Array("f8", None, low=-_MOST, high=_MOST),
        score=score,
        objective=Objective("nmse", "min"),
        measures=[Measure("by_x", 0.0, 1.0, bins=24), Measure("by_y", 0.0, 1.0, bins=24)],
        unseen={"inside": others("inside", rng), "outside": others("outside", rng, True)},
        fresh=lambda rng: [measured("fresh", rng)[0]],
        strategy=any_points,
        primitives=[
            *(Primitive(name, (), "num") for name in "xyz"),
            Primitive("np.sin", ("num",), "num"),
            Primitive("np.cos", ("num",), "num"),
            Primitive("np.exp", ("num",), "num"),
            Primitive("np.log", ("num",), "num"),
            Primitive("np.sqrt", ("num",), "num"),
            Primitive("np.abs", ("num",), "num"),
            Primitive("np.square", ("num",), "num"),
        ],
        baselines={
            "line": polynomial(train, t, 1),
            "quadratic": polynomial(train, t, 2),
            "quartic": polynomial(train, t, 4),
        },
        max_nodes=100,
    )
