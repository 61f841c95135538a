"""Flaws by what an answer may be: texts, dtypes, tables, decisions. What `evolve redteam` must find.

Each is a tuple: the attack that must find the flaw, words of its finding, the seed block, the rest of the file, and
what stands for FLAW in it: first the flawed code, then the right one.
"""

PLANTED = {
    "a text is evaluated": (
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
    "numbers of another dtype are worth more": (
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
    if not isinstance(steps, np.ndarray) or steps.shape != (case.inputs[0],):
        raise Rejected("shape")
    if not ((steps >= -2) & (steps <= 2)).all():
        raise Rejected("steps")
    return {"rise": float(np.max(FLAW))}
""".replace("RETURNS", "Plain()").replace(
            "import numpy as np\n", "import numpy as np\nfrom evolve import Plain\n", 1
        ),
        "np.diff(steps)",
        "np.diff(steps.astype(float))",
    ),
    "a crash of the process": (
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
    "infinity wins the simulation": (
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

SHOWN = (
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
