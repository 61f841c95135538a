"""Typical flaws of a score, one a problem: what `evolve redteam` must find.

Each is a tuple: the attack that must find the flaw, words of its finding, the seed block, the rest of the file, and
what stands for FLAW in it: first the flawed code, then the right one.
"""

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


def _fitting(attack, says, flawed, right=ERROR, returns='Array("f8", (None,))'):
    return (attack, says, FIT, FITTING.replace("RETURNS", returns).replace("INPUTS", "(x,)"), flawed, right)


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
    "NaN that arises in score passes a comparison": (
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
    "a sum of int64 wraps around": (
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
    "negative indices stand for others": (
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
    "repetition is counted": (
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
    "the score is what the program says": (
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
    "nothing bounds the objective": (
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
    "what is hidden stands among the inputs": (
        "echo",
        "is what is hidden",
        "def fit(x, truth):\n    return 0.5 * x\n",
        FITTING.replace("FLAW", ERROR)
        .replace("RETURNS", 'Array("f8", (None,))')
        .replace("INPUTS", "(x, FLAW)"),
        "np.sin(x)",
        "np.cos(x)",
    ),
    "the answer is not compared with its case": (
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
}
