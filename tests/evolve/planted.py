"""Problems with one typical flaw each, and the same problems without it: what `evolve redteam` must tell apart.

A problem is its seed block, its body, the flawed piece of code and the right one, and the attack that must find it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Planted:
    """One problem; FLAW in `body` becomes `flawed` or `right`."""

    attack: str
    says: str
    block: str
    body: str
    flawed: str
    right: str


POINTS = """
import numpy as np


def place(n):
    side = 1
    while side * side < n:
        side = side + 1
    made = np.zeros((n, 2))
    for i in range(n):
        made[i, 0] = (i % side) / side
        made[i, 1] = (i // side) / side
    return made
"""

DISCS = """
import numpy as np
from fractions import Fraction
from evolve import Certificate


FLAW


@problem
def small(n: int = 9) -> Problem:
    return Problem(
        entry="place",
        cases=[Case(f"n{m}", inputs=(m,)) for m in (n, n + 1)],
        returns=Array("f8", (None, 3)),
        score=score,
        certify=CERTIFY,
        objective=Objective("sum", "max"),
    )
"""

TOUCHING = """
import numpy as np


def place(n):
    side = 1
    while side * side < n:
        side = side + 1
    made = np.zeros((n, 3))
    for i in range(n):
        made[i, 0] = (i % side + 0.5) / side
        made[i, 1] = (i // side + 0.5) / side
        made[i, 2] = 0.5 / side * SLACK
    return made
"""

_SCORE = """
def score(discs, case):
    if len(discs) != case.inputs[0]:
        raise Rejected("count")
    for i, (x, y, r) in enumerate(discs):
        if not (r >= 0 and abs(x) <= 2 and abs(y) <= 2 and x - r >= -TOL and x + r <= 1 + TOL and y - r >= -TOL and y + r <= 1 + TOL):
            raise Rejected("outside")
        for u, v, s in discs[:i]:
            if not np.hypot(x - u, y - v) >= r + s - TOL:
                raise Rejected("overlap")
    return {"sum": float(sum(discs[:, 2]))}
"""

_EXACT = """
def score(discs, case):
    if len(discs) != case.inputs[0]:
        raise Rejected("count")
    rows = [tuple(Fraction(float(value)) for value in row) for row in discs]
    for i, (x, y, r) in enumerate(rows):
        if not (r >= 0 and x - r >= 0 and x + r <= 1 and y - r >= 0 and y + r <= 1):
            raise Rejected("outside")
        for u, v, s in rows[:i]:
            if (x - u) ** 2 + (y - v) ** 2 < (r + s) ** 2:
                raise Rejected("overlap")
    return {"sum": float(sum(row[2] for row in rows))}
"""

_CERTIFY = """

def certify(discs, case):
    rows = [tuple(Fraction(float(value)) for value in row) for row in discs]
    valid = len(rows) == case.inputs[0]
    for i, (x, y, r) in enumerate(rows):
        valid = valid and r >= 0 and x - r >= 0 and x + r <= 1 and y - r >= 0 and y + r <= 1
        for u, v, s in rows[:i]:
            valid = valid and (x - u) ** 2 + (y - v) ** 2 >= (r + s) ** 2
    return Certificate(valid, str(sum(row[2] for row in rows)), "discs")
"""

_REPEATS = """

def certify(discs, case):
    try:
        value = score(discs, case)["sum"]
    except Rejected:
        return Certificate(False, "0", "discs")
    return Certificate(True, repr(value), "discs")
"""


def _discs(attack: str, says: str, flawed: str, certify: str, right: str) -> Planted:
    return Planted(
        attack,
        says,
        TOUCHING.replace("SLACK", "(1.0 - 1e-9)"),
        DISCS.replace("CERTIFY", certify),
        flawed,
        right,
    )


CHOOSE = """
def choose(values, most):
    chosen = []
    for i in range(len(values)):
        if len(chosen) < most and i % 2 == 0:
            chosen.append(i)
    return chosen
"""

INDICES = """
@problem
def small() -> Problem:
    return Problem(
        entry="choose",
        cases=[
            Case("a", inputs=([3, 1, 4, 1, 5, 9, 2, 6], 3)),
            Case("b", inputs=([2, 7, 1, 8, 2, 8, 1, 8, 2, 8], 4)),
        ],
        returns=RETURNS,
        score=score,
        objective=Objective("total", "max"),
    )


FLAW
"""

FIT = """
import numpy as np


def fit(x):
    return 0.5 * x
"""

FITTING = """
import numpy as np


FLAW


def instance(name, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(12 + seed)
    return Case(name, inputs=INPUTS, hidden=np.sin(x))


@problem
def small() -> Problem:
    return Problem(
        entry="fit",
        cases=[instance("a", 1), instance("b", 2)],
        returns=RETURNS,
        score=score,
        objective=Objective("error", "min"),
    )
"""

ERROR = """
def score(y, case):
    if len(y) != len(case.hidden):
        raise Rejected("length")
    return {"error": float(np.mean(np.abs(y - case.hidden)))}
"""


def _fitting(
    attack: str, says: str, flawed: str, right: str = ERROR, returns: str = 'Array("f8", (None,))'
) -> Planted:
    return Planted(
        attack, says, FIT, FITTING.replace("RETURNS", returns).replace("INPUTS", "(x,)"), flawed, right
    )


SORT = """
def arrange(numbers):
    made = list(numbers)
    for i in range(len(made)):
        for j in range(len(made) - 1):
            if made[j] > made[j + 1]:
                made[j], made[j + 1] = made[j + 1], made[j]
    return made
"""

PLANTED = {
    "a tolerance in score, and no certificate": _discs(
        "tolerance", "the tolerance is worth", _SCORE.replace("TOL", "1e-6"), "None", _EXACT
    ),
    "a tolerance in score, and an exact certificate": _discs(
        "tolerance",
        "certify does not",
        _SCORE.replace("TOL", "1e-6") + _CERTIFY,
        "certify",
        _EXACT + _CERTIFY,
    ),
    "a certificate that repeats the tolerance of score": _discs(
        "tolerance",
        "the tolerance is worth",
        _SCORE.replace("TOL", "1e-6") + _REPEATS,
        "certify",
        _EXACT + _CERTIFY,
    ),
    "a tolerance with a name, used through isclose": _discs(
        "tolerance",
        "the tolerance is worth",
        "CLOSE = 10**-7\n\n"
        + _SCORE.replace("TOL", "0.0").replace(
            "not np.hypot(x - u, y - v) >= r + s - 0.0",
            "not (np.hypot(x - u, y - v) >= r + s or np.isclose(np.hypot(x - u, y - v), r + s, rtol=0.0, atol=CLOSE))",
        ),
        "None",
        _EXACT,
    ),
    "a certificate without the rule on the count": _discs(
        "length",
        "certify calls it valid",
        _EXACT + _CERTIFY.replace("len(rows) == case.inputs[0]", "True"),
        "certify",
        _EXACT + _CERTIFY,
    ),
    "a certificate of another value": _discs(
        "honest",
        "score says",
        _EXACT + _CERTIFY.replace("str(sum(row[2] for row in rows))", "str(len(rows))"),
        "certify",
        _EXACT + _CERTIFY,
    ),
    "NaN that arises in score passes a comparison": Planted(
        "overflow",
        "a comparison with NaN is false",
        POINTS,
        """
import numpy as np


@problem
def small(n: int = 9) -> Problem:
    return Problem(
        entry="place",
        cases=[Case("a", inputs=(n,))],
        returns=Array("f8", (n, 2)),
        score=score,
        objective=Objective("near", "max"),
    )


def score(points, case):
    near = 0
    for i, (x, y) in enumerate(points):
        for u, v in points[:i]:
            d = (x * x - 2 * x * u + u * u) + (y * y - 2 * y * v + v * v)
            if FLAW:
                raise Rejected("too near")
            near += bool(d > 2.0)
    return {"near": near}
""",
        "d < 0.01",
        "not d >= 0.01",
    ),
    "NaN is let in and ranks first": _fitting(
        "nonfinite",
        "nan everywhere",
        """
def score(y, case):
    if len(y) != len(case.hidden):
        raise Rejected("length")
    worst = 0.0
    for a, b in zip(y, case.hidden):
        if abs(a - b) > worst:
            worst = abs(a - b)
    return {"error": float(worst)}
""",
        """
def score(y, case):
    if len(y) != len(case.hidden) or not np.isfinite(y).all():
        raise Rejected("length")
    return {"error": float(np.max(np.abs(y - case.hidden)))}
""",
        'Array("f8", (None,), nan=True)',
    ),
    "a sum of int64 wraps around": Planted(
        "wrap",
        "with whole numbers that do not wrap around",
        "def choose(n):\n    made = []\n    for i in range(n):\n        made.append(i)\n    return made\n",
        """
import numpy as np


@problem
def small() -> Problem:
    return Problem(
        entry="choose",
        cases=[Case("a", inputs=(6,)), Case("b", inputs=(8,))],
        returns=Sequence(Integer(low=0)),
        score=score,
        objective=Objective("largest", "max"),
    )


def score(chosen, case):
    if len(chosen) != case.inputs[0]:
        raise Rejected("count")
    if FLAW > 100:
        raise Rejected("too heavy")
    return {"largest": min(max(chosen), 1000)}
""",
        "np.sum(np.array(chosen, dtype=np.int64))",
        "sum(chosen)",
    ),
    "negative indices stand for others": Planted(
        "alias",
        "alone is worth what",
        CHOOSE,
        INDICES.replace("RETURNS", "Sequence(Integer())"),
        """
def score(chosen, case):
    values, most = case.inputs
    if len(chosen) > most or len(set(chosen)) != len(chosen):
        raise Rejected("twice, or too many")
    return {"total": sum(values[i] for i in chosen)}
""",
        """
def score(chosen, case):
    values, most = case.inputs
    if len(chosen) > most or len(set(chosen)) != len(chosen) or not all(0 <= i < len(values) for i in chosen):
        raise Rejected("twice, too many, or out of range")
    return {"total": sum(values[i] for i in chosen)}
""",
    ),
    "repetition is counted": Planted(
        "duplicates",
        "repeated 8 times",
        CHOOSE,
        INDICES.replace("RETURNS", "Sequence(Integer(low=0))"),
        """
def score(chosen, case):
    values, most = case.inputs
    if any(i >= len(values) for i in chosen) or len(set(chosen)) > most:
        raise Rejected("too many")
    return {"total": sum(values[i] for i in chosen)}
""",
        """
def score(chosen, case):
    values, most = case.inputs
    if any(i >= len(values) for i in chosen) or len(set(chosen)) > most:
        raise Rejected("too many")
    return {"total": sum(values[i] for i in set(chosen))}
""",
    ),
    "the length is not checked": _fitting(
        "length",
        "nothing of an answer of 13 parts",
        'def score(y, case):\n    return {"error": float(sum(abs(a - b) for a, b in zip(y, case.hidden)))}\n',
    ),
    "the mean of what is given": _fitting(
        "length",
        "alone of an answer of",
        """
def score(y, case):
    if len(y) == 0:
        raise Rejected("nothing")
    return {"error": float(sum(abs(a - b) for a, b in zip(y, case.hidden)) / len(y))}
""",
    ),
    "the score is what the program says": Planted(
        "claim",
        "is the score",
        "def choose(n):\n    return {'set': list(range(n)), 'size': n}\n",
        """
@problem
def small() -> Problem:
    return Problem(
        entry="choose", cases=[Case("a", inputs=(5,))], score=score, objective=Objective("size", "max")
    )


def score(answer, case):
    if not isinstance(answer, dict) or not isinstance(answer.get("set"), list):
        raise Rejected("no set")
    if not all(isinstance(member, int) and 0 <= member < 2 * case.inputs[0] for member in answer["set"]):
        raise Rejected("out of range")
    return {"size": FLAW}
""",
        'answer["size"]',
        'len(set(answer["set"]))',
    ),
    "nothing bounds the objective": Planted(
        "claim",
        "moves the score without bound",
        "def choose(n):\n    return 2.0 * n\n",
        """
@problem
def small() -> Problem:
    return Problem(
        entry="choose",
        cases=[Case("a", inputs=(5,)), Case("b", inputs=(7,))],
        returns=Real(),
        score=score,
        objective=Objective("area", "max"),
    )


def score(width, case):
    return {"area": FLAW}
""",
        "width * case.inputs[0] + 1.0",
        "width * (4.0 * case.inputs[0] - width)",
    ),
    "score sorts what is hidden": _fitting(
        "state",
        "scoring changed case a",
        ERROR.replace("    return", "    case.hidden.sort()\n    return"),
    ),
    "score remembers the best so far": _fitting(
        "state",
        "has ",
        "SEEN = []\n"
        + ERROR.replace("    return {", "    SEEN.append(float(np.abs(y).sum()))\n    return {").replace(
            "case.hidden)))}", "case.hidden))) + 1e-3 * len(SEEN)}"
        ),
    ),
    "score draws random numbers": _fitting(
        "state",
        "scored twice",
        ERROR.replace("    return", "    case_noise = np.random.default_rng().random()\n    return").replace(
            "case.hidden)))}", "case.hidden))) + case_noise}"
        ),
    ),
    "what is hidden stands among the inputs": Planted(
        "echo",
        "is what is hidden",
        "def fit(x, truth):\n    return 0.5 * x\n",
        FITTING.replace("FLAW", ERROR)
        .replace("RETURNS", 'Array("f8", (None,))')
        .replace("INPUTS", "(x, FLAW)"),
        "np.sin(x)",
        "np.cos(x)",
    ),
    "the answer is not compared with its case": Planted(
        "previous",
        "score does not look at the inputs",
        SORT,
        """
@problem
def small() -> Problem:
    return Problem(
        entry="arrange",
        cases=[Case("a", inputs=([3, 1, 2, 5],)), Case("b", inputs=([9, 7, 8, 6],))],
        returns=Sequence(Integer()),
        score=score,
        objective=Objective("ordered", "max"),
    )


def score(numbers, case):
    if len(numbers) != len(case.inputs[0]) or FLAW:
        raise Rejected("other numbers")
    return {"ordered": sum(a <= b for a, b in zip(numbers, numbers[1:]))}
""",
        "False",
        "sorted(numbers) != sorted(case.inputs[0])",
    ),
    "a text is evaluated": Planted(
        "code",
        "was executed",
        "def formula(n):\n    return 'x * ' + str(n)\n",
        """
from evolve import Text
import ast


@problem
def small() -> Problem:
    return Problem(
        entry="formula",
        cases=[Case("a", inputs=(3,)), Case("b", inputs=(4,))],
        returns=Text(200),
        score=score,
        objective=Objective("error", "min"),
    )


def score(text, case):
    try:
        FLAW
        wrong = abs(float(value) - case.inputs[0])
    except Exception:
        raise Rejected("no formula")
    return {"error": wrong}
""",
        "value = eval(text, {'x': 1.0})",
        "value = float(text.removeprefix('x * '))",
    ),
    "numbers of another dtype are worth more": Planted(
        "precision",
        "the same numbers as",
        "import numpy as np\n\n\ndef step(n):\n    return np.arange(n) % 3\n",
        """
import numpy as np


@problem
def small() -> Problem:
    return Problem(
        entry="step",
        cases=[Case("a", inputs=(7,)), Case("b", inputs=(9,))],
        returns=RETURNS,
        score=score,
        objective=Objective("rise", "max"),
    )


def score(steps, case):
    if not isinstance(steps, np.ndarray) or steps.shape != (case.inputs[0],) or not ((steps >= -2) & (steps <= 2)).all():
        raise Rejected("shape")
    return {"rise": float(np.max(FLAW))}
""".replace("RETURNS", "Plain()").replace(
            "import numpy as np\n", "import numpy as np\nfrom evolve import Plain\n", 1
        ),
        "np.diff(steps)",
        "np.diff(steps.astype(float))",
    ),
    "a crash of the process": Planted(
        "kinds",
        "took two workers down",
        "def choose(n):\n    return [n]\n",
        """
import os


@problem
def small() -> Problem:
    return Problem(
        entry="choose", cases=[Case("a", inputs=(5,))], score=score, objective=Objective("size", "max")
    )


def score(answer, case):
    if not isinstance(answer, list):
        FLAW
    if not all(isinstance(number, int) for number in answer):
        raise Rejected("no number")
    return {"size": min(len(answer), 1)}
""",
        "os.abort()",
        'raise Rejected("no list")',
    ),
    "infinity wins the simulation": Planted(
        "nonfinite_table",
        "inf everywhere scores",
        "import numpy as np\n\n\ndef rate(x):\n    return 0.0 * x\n",
        """
import numpy as np


@problem
def small() -> Problem:
    return Problem(
        entry="rate",
        form="table",
        grid=(np.arange(6.0),),
        cases=[Case("a", hidden=2), Case("b", hidden=4)],
        simulate=simulate,
        score=score,
        objective=Objective("regret", "min"),
        baselines={"wrong": "def rate(x):\\n    return -x\\n"},
    )


def simulate(table, case):
    FLAW


def score(regret, case):
    return {"regret": regret}
""",
        "gap = table[case.hidden] - table.max()\n    return 0.0 if gap != gap else 5.0 - float(gap > -1e300)",
        "return float(np.argmax(table) != case.hidden)",
    ),
}

SHOWN = Planted(
    "shown",
    "is shown all of what is hidden",
    "import numpy as np\n\n\ndef decide(now, rest):\n    return 0.0 * now\n",
    """
import numpy as np


@problem
def small() -> Problem:
    return Problem(
        entry="decide",
        form="step",
        cases=[Case("a", hidden=np.arange(9.0)), Case("b", hidden=np.arange(8.0) ** 2)],
        simulate=simulate,
        returns=Real(),
        score=score,
        objective=Objective("error", "min"),
    )


def simulate(decide, case):
    return sum(abs(decide(float(now), FLAW) - after) for now, after in zip(case.hidden, case.hidden[1:]))


def score(error, case):
    return {"error": float(error)}
""",
    "case.hidden",
    "case.hidden[:3]",
)
