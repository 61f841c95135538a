"""Whether a problem's arguments are of the kinds that they are taken for; what they say is `statement`'s to judge."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from evolve.fastcore.limits import Limits
from evolve.programs_db.records import Measure, Objective
from evolve.vocabulary import Primitive

if TYPE_CHECKING:
    from evolve.statement import Problem

__all__ = ["mistaken"]

_FUNCTIONS = {
    "score": "score(outcome, case)",
    "simulate": "simulate(outcome, case)",
    "fresh": "fresh(rng)",
    "strategy": "strategy()",
    "certify": "certify(outcome, case)",
    "check": "check(data)",
    "plain": "plain(outcome, case)",
}
_OURS = ("seed", "seed program", "best", "reference")
_OPTIONAL = ("simulate", "fresh", "strategy", "certify", "check", "plain")


def mistaken(problem: "Problem", case: type) -> list[tuple[bool, str]]:
    """What can be said against the kinds of a problem's arguments; the rest can be judged only once they are right.

    Args:
        problem: any.
        case: the class of cases.
    """
    listed = (("cases", case), ("measures", Measure), ("primitives", Primitive), ("preload", str))
    return [
        *(_function(name, getattr(problem, name)) for name in _FUNCTIONS),
        *(_list(name, getattr(problem, name), kind) for name, kind in listed),
        _one("objective", problem.objective, Objective, "Objective(...) or Speed(...)"),
        _one("limits", problem.limits, Limits, "Limits(...)"),
        _one("score_seconds", problem.score_seconds, int | float, "a number of seconds"),
        (
            isinstance(problem.returns, type) or not callable(getattr(problem.returns, "check", None)),
            f"returns= is {_kind(problem.returns)}; give a form of answer, such as Array('f8', (None,)) or Real()",
        ),
        _named("baselines", problem.baselines, str, "source blocks (text) by name"),
        _taken(problem.baselines),
        _named("unseen", problem.unseen, Sequence, "lists of cases by the name of a suite"),
        _suites(problem.unseen, case),
        _installed(problem.preload),
    ]


def _kind(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"of type {type(value).__name__}"


def _function(name: str, value: Any) -> tuple[bool, str]:
    wrong = not callable(value) and not (value is None and name in _OPTIONAL)
    return wrong, f"{name}= is {_kind(value)}; give a function, {_FUNCTIONS[name]}, without calling it"


def _list(name: str, value: Any, kind: type) -> tuple[bool, str]:
    what = "names" if kind is str else f"{kind.__name__}(...)"
    if isinstance(value, str) or not isinstance(value, Sequence):
        return True, f"{name}= is {_kind(value)}; give a list of {what}"
    wrong = [item for item in value if not isinstance(item, kind)]
    return bool(wrong), f"{name}= holds something {_kind(wrong[0]) if wrong else ''}; give a list of {what}"


def _one(name: str, value: Any, kind: Any, what: str) -> tuple[bool, str]:
    return not isinstance(value, kind), f"{name}= is {_kind(value)}; give {what}"


def _named(name: str, value: Any, kind: type, what: str) -> tuple[bool, str]:
    right = isinstance(value, Mapping) and all(isinstance(item, kind) for item in value.values())
    return not right, f"{name}= must be a dictionary: {what}"


def _taken(baselines: Any) -> tuple[bool, str]:
    # One that had such a name would stand in the place of the program that tables know by it.
    wrong = [name for name in _OURS if isinstance(baselines, Mapping) and name in baselines]
    return bool(wrong), (
        f"a baseline is named {', '.join(map(repr, wrong))}, as tables name a program of their own; "
        "give it another name"
    )


def _installed(preload: Any) -> tuple[bool, str]:
    names = [name for name in preload if isinstance(name, str)] if isinstance(preload, Sequence) else []
    tops = [name.partition(".")[0] for name in names]
    missing = [top for top in tops if not top.isidentifier() or find_spec(top) is None]
    return bool(
        missing
    ), f"preload= names {', '.join(map(repr, missing))}, which is not installed here; mend that"


def _suites(unseen: Any, case: type) -> tuple[bool, str]:
    suites = unseen.values() if isinstance(unseen, Mapping) else []
    items = [item for suite in suites if isinstance(suite, Sequence) for item in suite]
    right = all(isinstance(item, case) for item in items)
    return not right, "a suite in unseen= holds something other than a Case"
