"""What the tests of prompts share: facts of a small problem, and a reader of fences that takes nothing on trust."""

import re

from evolve.fastcore.limits import Limits
from evolve.llm.facts import Facts, Failure, Order, Shown, Statement
from evolve.programs_db.records import Measure, Objective

BLOCK = '''import numpy as np


def area(r):
    """Area of a disc."""
    k = {k}
    return k * r * r
'''
STATEMENT = Statement(
    description="Find the area of a disc.",
    entry="area",
    signature="def area(r):",
    docstring="Area of a disc.",
    form="`area` is called once a case.",
    returns="It must return a finite number.",
    objective=Objective("error", "min", "%"),
    measures=(Measure("nodes", 0, 50),),
    imports="It may import numpy.",
    primitives="np.sqrt(num) -> num",
    limits=Limits(),
)


def program(k, error, number=0, source=None):
    scores = (("small", (("error", error - 0.5),)), ("large", (("error", error + 0.5),)))
    return Shown(source or BLOCK.format(k=k), error, (("nodes", 9.0),), scores, number)


ELITES = tuple(program(3.14 - i / 10, 1.0 + i, i) for i in range(4))
FACTS = Facts(
    STATEMENT,
    parent=ELITES[1],
    elites=ELITES,
    failures=(Failure("timeout", "it took 10 s"), Failure("error", "ZeroDivisionError", "half way")),
    notes="Pi is near 3.",
    lessons=("constants above 3.2 lose", "k matters"),
)
FAILED = BLOCK.format(k="1 / 0")
ORDERS = {
    "improve": {},
    "explore": {},
    "simplify": {},
    "crossover": {"mates": (ELITES[2],)},
    "repair": {"failed": FAILED, "failure": Failure("error", "ZeroDivisionError")},
}


def order(kind="improve", form="diff", **more):
    sites = {"sites": "k = 3\n  0: 3  (num)\n"} if form == "grammar" else {}
    return Order(kind, form, **{**ORDERS[kind], **sites, **more})


_OPENING = re.compile(r"^ {0,3}(`{3,}|~{3,})([^`\n]*)$")


def fences(text):
    """(what stands outside of fences, what stands inside each), as CommonMark reads them."""
    outside, inside, fence = [], [], None
    for line in text.split("\n"):
        if fence is None:
            match = _OPENING.match(line)
            if match is None:
                outside.append(line)
                continue
            fence, body = match[1], []
            outside.append("[fence]" + match[2])
        elif re.fullmatch(rf" {{0,3}}{re.escape(fence[0])}{{{len(fence)},}}[ \t]*", line):
            inside.append("\n".join(body))
            fence = None
        else:
            body.append(line)
    assert fence is None, "a fence is never closed"
    return "\n".join(outside), inside
