"""Problem files to start from, one a form and one for speed: small honest problems that a search improves in seconds.

Knows texts only. `{name}` is the factory's name; nothing else is filled in.
"""

import keyword
import re
from pathlib import Path

__all__ = ["FORMS", "factory_name", "template"]

_CALL = '''"""Approximate the perimeter of an ellipse, for which there is no elementary formula.

The objective is the relative error in percent, mean over the ellipses of a case.

(This is a template. Put your own block, cases and `score` in place; `evolve check` says whether it holds.)
"""

import numpy as np

from evolve import Array, Case, Measure, Objective, Primitive, Problem, problem

# Between the markers stands the seed program: what the search changes. It runs alone, in a jail: it sees its
# arguments, and nothing else of this file, so it imports what it needs by itself.
# EVOLVE-BLOCK-START
import numpy as np


def perimeter(a, b):
    """The perimeter of a circle with the mean radius; a and b are (n,) arrays, 0 < b <= a."""
    return np.pi * (a + b)
# EVOLVE-BLOCK-END


def exact(a, b):
    """The perimeter to the last digits, by the arithmetic-geometric mean (Gauss)."""
    total, weight, mean, root = a * a, 0.5, a, b
    for _ in range(12):
        total = total - weight * (mean * mean - root * root)
        mean, root, weight = (mean + root) / 2, np.sqrt(mean * root), 2 * weight
    return 2 * np.pi * total / mean


# Everything from here on is trusted: it never meets the program, only the plain data that it returned.
def score(answer, case):
    """Numbers for one case. Raise evolve.Rejected("why") for an answer that breaks a rule."""
    a, b = case.inputs
    truth = exact(a, b)
    return {
        "error": 100 * float(np.mean(np.abs(answer - truth) / truth)),
        "above": float(np.mean(answer > truth)),
    }


def ellipses(lowest, highest, count):
    """One case: `count` ellipses with a = 1 and b from `lowest` to `highest`."""
    b = np.linspace(lowest, highest, count)
    return Case(f"b{lowest:g}..{highest:g}", inputs=(np.ones(count), b))


# A baseline is what the search must be compared with: a block of its own that defines the same function.
QUADRATIC_MEAN = """
import numpy as np

def perimeter(a, b):
    return 2 * np.pi * np.sqrt((a * a + b * b) / 2)
"""

RAMANUJAN = """
import numpy as np

def perimeter(a, b):
    return np.pi * (3 * (a + b) - np.sqrt((3 * a + b) * (a + 3 * b)))
"""


@problem
def {name}(count: int = 60) -> Problem:  # `-p count=100` sets it
    """The perimeter of an ellipse."""
    return Problem(
        entry="perimeter",
        cases=[ellipses(0.05, 0.5, count), ellipses(0.5, 1.0, count)],
        returns=Array("f8", (count,)),  # what does not fit is refused before `score` sees it
        score=score,
        objective=Objective("error", "min", "%"),
        # Axes of the archive, which keeps the best program of each kind. "nodes" is the program's size.
        measures=[Measure("nodes", 0, 80, bins=16), Measure("above", 0.0, 1.0, bins=10)],
        # No selection ever sees these; they tell whether a program learned the rule or only its cases.
        unseen={"flatter": [ellipses(0.01, 0.05, count)], "between": [ellipses(0.052, 0.987, count)]},
        baselines={"quadratic_mean": QUADRATIC_MEAN, "ramanujan": RAMANUJAN},
        # Which functions proposals may call: kinds of arguments, kind of value. Arithmetic is always there.
        primitives=[
            Primitive("np.sqrt", ("num",), "num"),
            Primitive("np.square", ("num",), "num"),
            Primitive("np.minimum", ("num", "num"), "num"),
            Primitive("np.maximum", ("num", "num"), "num"),
        ],
    )
'''

_TABLE = '''"""Pig, alone: roll a die as often as you like and bank the sum; a 1 loses what the turn brought.

The program says when to go on. The objective is the expected number of turns to reach the target, exactly.

(This is a template. Put your own block, cases and `simulate` in place; `evolve check` says whether it holds.)
"""

import numpy as np

from evolve import Case, Grid, Measure, Objective, Primitive, Problem, Rejected, problem

MOST = 100

# Between the markers stands the seed program: what the search changes. It runs alone, in a jail, once, on the
# whole grid of situations; it never meets a case, so it cannot look ahead.
# EVOLVE-BLOCK-START
import numpy as np


def keenness(turn, need):
    """Roll again while this is positive; turn: points of this turn, need: points to the target (arrays)."""
    return 12.0 - turn
# EVOLVE-BLOCK-END


# Everything from here on is trusted: it never meets the program, only the table that it made.
def simulate(table, case):
    """Expected number of turns, by looking back from the target: expected[n] is that with n points to go."""
    sides, target = case.hidden
    faces = range(2, sides + 1)
    expected = np.zeros(target + 1)
    for need in range(1, target + 1):
        chance, lost, banked, gained = np.zeros(need + sides), 0.0, 0.0, 0.0
        chance[0] = 1.0
        for turn in range(need):
            if turn > 0 and not table[turn, need] > 0:
                banked += chance[turn] * expected[need - turn]
                gained += chance[turn]
                continue
            lost += chance[turn] / sides
            for face in faces:
                chance[turn + face] += chance[turn] / sides
        if lost > 0.999999:
            raise Rejected(f"with {need} points to go it hardly ever banks anything")
        expected[need] = (1.0 + banked) / (1.0 - lost)
    return expected[target], float(lost)


def score(outcome, case):
    """Numbers for one case: the objective and the measures."""
    turns, lost = outcome
    return {"turns": float(turns), "risk": float(lost)}


def die(name, sides, target):
    """One case; what is hidden stays on the trusted side."""
    return Case(name, hidden=(sides, target))


# A baseline is what the search must be compared with: a block of its own that defines the same function.
HOLD_AT_20 = """
def keenness(turn, need):
    return 20.0 - turn
"""


@problem
def {name}(target: int = 60) -> Problem:  # `-p target=100` sets it
    """Pig, alone."""
    return Problem(
        entry="keenness",
        form="table",
        # Where the program is evaluated; NaN in its table becomes -inf.
        grid=Grid(tuple(np.meshgrid(np.arange(MOST + 1.0), np.arange(MOST + 1.0), indexing="ij"))),
        cases=[die("d6", 6, target), die("d8", 8, target)],
        simulate=simulate,
        score=score,
        objective=Objective("turns", "min"),
        # Axes of the archive, which keeps the best program of each kind. "nodes" is the program's size.
        measures=[Measure("nodes", 0, 80, bins=16), Measure("risk", 0.0, 1.0, bins=20)],
        # No selection ever sees these; they tell whether a program learned the game or only its cases.
        unseen={"longer": [die("d6", 6, MOST), die("d8", 8, MOST)], "other_die": [die("d10", 10, target)]},
        baselines={"hold_at_20": HOLD_AT_20},
        # Which functions proposals may call: kinds of arguments, kind of value. Arithmetic is always there.
        primitives=[
            Primitive("np.sqrt", ("num",), "num"),
            Primitive("np.minimum", ("num", "num"), "num"),
            Primitive("np.maximum", ("num", "num"), "num"),
            Primitive("np.where", ("bool", "num", "num"), "num"),
        ],
    )
'''

_STEP = '''"""Keep a store: order each evening what comes two days later, not knowing what will be asked for.

Each item left over costs 1 a night, each one that was asked for and missing costs 9. The objective is the
cost a day of a hundred stores, mean over the days.

(This is a template. Put your own block, cases and `simulate` in place; `evolve check` says whether it holds.)
"""

import numpy as np

from evolve import Array, Case, Measure, Objective, Primitive, Problem, problem

STORES = 100

# Between the markers stands the seed program: what the search changes. It runs alone, in a jail, and is asked
# for one decision at a time, for all stores at once; days to come stay on the trusted side.
# EVOLVE-BLOCK-START
import numpy as np


def order(stock, coming, yesterday):
    """What to order. stock: on the shelf, coming: on its way, yesterday: asked for then; (n,) arrays."""
    return np.maximum(20.0 - stock - coming, 0.0)
# EVOLVE-BLOCK-END


# Everything from here on is trusted: it never meets the program, only decisions that `returns` has checked.
def simulate(decide, case):
    """Live through the days; `decide(...)` asks the program."""
    demand = case.hidden
    stock, tomorrow, later = np.full(STORES, 10.0), np.zeros(STORES), np.zeros(STORES)
    yesterday = np.full(STORES, 10.0)
    left = missing = 0.0
    for asked in demand:
        ordered = np.floor(decide(stock, tomorrow + later, yesterday))
        stock, tomorrow, later = stock + tomorrow, later, ordered
        left += float(np.maximum(stock - asked, 0.0).sum())
        missing += float(np.maximum(asked - stock, 0.0).sum())
        stock, yesterday = np.maximum(stock - asked, 0.0), asked
    return left, missing


def score(outcome, case):
    """Numbers for one case: the objective and the measures."""
    left, missing = outcome
    days = case.hidden.size
    return {"cost": (left + 9 * missing) / days, "service": 1.0 - missing / float(case.hidden.sum())}


def season(name, mean, swing, seed, days=60):
    """One case: what each store is asked for on each day, Poisson around a mean that swings; hidden."""
    wave = mean * (1 + swing * np.sin(np.arange(days) / 6.0))
    demand = np.random.default_rng(seed).poisson(wave[:, None], (days, STORES))
    return Case(name, hidden=demand.astype(float))


# A baseline is what the search must be compared with: a block of its own that defines the same function.
LEVEL_35 = """
import numpy as np

def order(stock, coming, yesterday):
    return np.maximum(35.0 - stock - coming, 0.0)
"""


@problem
def {name}(mean: float = 10.0) -> Problem:  # `-p mean=20` sets it
    """Keep a store."""
    return Problem(
        entry="order",
        form="step",
        cases=[season("steady", mean, 0.0, seed=1), season("swinging", mean, 0.5, seed=2)],
        returns=Array("f8", (STORES,), low=0.0, high=1e6),  # what does not fit is refused
        simulate=simulate,
        score=score,
        objective=Objective("cost", "min"),
        # Axes of the archive, which keeps the best program of each kind. "nodes" is the program's size.
        measures=[Measure("nodes", 0, 80, bins=16), Measure("service", 0.0, 1.0, bins=20)],
        # No selection ever sees these; they tell whether a program learned to keep store or only its cases.
        unseen={"other_days": [season("steady", mean, 0.0, seed=3), season("swinging", mean, 0.5, seed=4)],
                "busier": [season("busier", 1.5 * mean, 0.3, seed=5)]},
        baselines={"level_35": LEVEL_35},
        # Which functions proposals may call: kinds of arguments, kind of value. Arithmetic is always there.
        primitives=[
            Primitive("np.sqrt", ("num",), "num"),
            Primitive("np.minimum", ("num", "num"), "num"),
            Primitive("np.maximum", ("num", "num"), "num"),
            Primitive("np.where", ("bool", "num", "num"), "num"),
        ],
    )
'''

_SPEED = '''"""Lengths of many vectors in space, faster than numpy.linalg.norm.

`lengths(rows)` gets an (n, 3) array of float64, each element 0 or between 1e-50 and 1e50 in size, and returns the
n lengths, right to the rounding of a few operations.

(This is a template. Put your own block, cases and `score` in place; `evolve check` says whether it holds.)
"""

import numpy as np

from evolve import Array, Case, Limits, Measure, Primitive, Problem, Rejected, Speed, problem

# Between the markers stands the seed program: what the search changes. It runs alone, in a jail: it sees its
# arguments, which are read-only, and nothing else of this file, so it imports what it needs by itself.
# EVOLVE-BLOCK-START
import numpy as np


def lengths(rows):
    """Return the length of each of the (n, 3) rows."""
    x, y, z = np.abs(rows[:, 0]), np.abs(rows[:, 1]), np.abs(rows[:, 2])
    return np.sqrt(x * x + y * y + z * z)
# EVOLVE-BLOCK-END


# Everything from here on is trusted, and says what is right. What is fast is measured for you: CPU time, from
# outside, in pairs with the baseline, each pair on inputs that nobody has seen.
def score(answer, case):
    """Nothing to tell but right or wrong."""
    if answer.shape != case.hidden.shape or np.any(np.abs(answer - case.hidden) > 1e-15 * case.hidden):
        raise Rejected("a length is wrong by more than the rounding of a few operations")
    return {}


def case(name, rows):
    """A case; `hidden` is worked out once, `score` is called for each answer."""
    return Case(name, inputs=(rows,), hidden=np.linalg.norm(rows, axis=1))


def nasty():
    """Inputs on which programs go wrong first; a program must answer them all before it is raced."""
    sizes = [case(f"n{n}", np.arange(3.0 * n).reshape(n, 3)) for n in (1, 7, 8, 9, 1000)]
    extremes = np.array([0.0, 1e-50, -1e-50, 1.0, -1.0, 1e50, -1e50])
    return [case("none", np.zeros((0, 3))), case("extremes", np.tile(extremes, 3).reshape(-1, 3)), *sizes]


def fresh(rng, n):
    """One batch: the same names in the same order at each call, other data. 5 ms of work or more."""
    return [case("few", rng.random((n, 3)) - 0.5), case("many", rng.standard_normal((3 * n, 3)))]


def strategy():
    """Small cases that hypothesis thinks up to catch a program that is wrong."""
    from hypothesis import strategies

    whole = strategies.lists(strategies.integers(-99, 99), max_size=15)
    return whole.map(lambda row: case("any", np.array(row[: len(row) // 3 * 3], float).reshape(-1, 3)))


# A baseline is a block of its own that defines the same function; one of them is what programs are raced with.
NUMPY = """
import numpy as np

def lengths(rows):
    return np.linalg.norm(rows, axis=1)
"""


@problem
def {name}(n: int = 60_000) -> Problem:  # `-p n=100000` sets it
    """Lengths of vectors."""
    return Problem(
        entry="lengths",
        cases=nasty(),
        returns=Array("f8", (None,)),  # what does not fit is refused before `score` sees it
        score=score,
        objective=Speed(baseline="numpy"),
        baselines={"numpy": NUMPY},
        fresh=lambda rng: fresh(rng, n),
        strategy=strategy,
        # Axes of the archive: the program's size, and its speed-up on one of the cases.
        measures=[Measure("nodes", 0, 80), Measure("speedup:few", 0.0, 8.0)],
        # No selection ever sees these; the best program must answer them before its speed is confirmed.
        unseen={"other_sizes": [case(f"n{n}", np.sin(np.arange(3.0 * n)).reshape(n, 3)) for n in (31, 4097)]},
        # Which functions proposals may call: kinds of arguments, kind of value. Arithmetic is always there.
        primitives=[
            Primitive("np.sqrt", ("num",), "num"),
            Primitive("np.square", ("num",), "num"),
            Primitive("np.hypot", ("num", "num"), "num"),
        ],
        limits=Limits(seconds=2.0, cpu_seconds=20.0),  # CPU seconds are those of a whole race
    )
'''

FORMS = {"call": _CALL, "table": _TABLE, "step": _STEP, "speed": _SPEED}


def factory_name(path: Path) -> str:
    """A name for the factory, from that of the file: `my-problem.py` gives `my_problem`."""
    name = re.sub(r"\W+", "_", path.stem, flags=re.ASCII).strip("_").lower()
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"problem_{name}".rstrip("_")


def template(form: str, name: str) -> str:
    """The text of a problem file.

    Args:
        form: "call", "table", "step", or "speed": form call, with an objective of Speed.
        name: of its factory.
    """
    return FORMS[form].replace("{name}", name)
