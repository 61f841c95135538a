"""What can be said of a problem by reading it: what is not declared, and habits in its functions that go wrong.

Reads the functions behind `score`, `simulate` and `certify` as syntax trees. Advice at most, but for `eval`.
"""

import ast
from collections.abc import Callable, Iterator
from typing import Any

from evolve.redteam.oracles import SMALL
from evolve.redteam.target import Target
from evolve.spec import Array, Plain
from evolve.statement import Problem

__all__ = ["declared", "habits", "pace"]

_RUNS = frozenset(
    {"eval", "exec", "compile", "loads", "load", "literal_eval", "system", "popen", "run", "sympify"}
)
_HARMLESS = {("json", "loads"), ("ast", "literal_eval"), ("json", "load")}
_CHANCE = frozenset(
    {"random", "randint", "rand", "randn", "shuffle", "choice", "uniform", "normal", "sample"}
)


def declared(target: Target) -> None:
    """`returns`, `unseen`: what is not declared is not checked."""
    problem = target.problem
    if isinstance(problem.returns, Plain) and problem.form != "table":
        target.hit(
            "advice",
            "returns= is not declared, so score meets answers of any kind: say Array, Real, Integer or Sequence",
        )
    if isinstance(problem.returns, Array) and problem.returns.nan and problem.form == "call":
        target.hit("advice", "returns= lets NaN in (nan=True): score has to refuse it where it is no answer")
    if not problem.unseen:
        target.hit("advice", "no unseen= cases: hard-coded answers to the visible ones would pass")


def pace(target: Target) -> None:
    """The time that the problem's functions take for honest answers, against what they may."""
    limit = target.problem.score_seconds
    if target.slowest > limit / 2:
        target.hit(
            "warning",
            f"an honest answer takes {target.slowest:.2f} s of score_seconds={limit:g}: a busy machine makes it "
            "unscorable; give more time, or do less",
        )


def habits(target: Target) -> None:
    """Texts executed, chance without a seed, `assert` for a rule, tolerances."""
    if target.problem.origin is None:
        return
    for node in _nodes(target.problem):
        if isinstance(node, ast.Call):
            _call(target, node)
        elif isinstance(node, ast.Assert):
            target.hit(
                "advice",
                f"line {node.lineno}: an assert that fails is unscorable, not rejected: raise Rejected",
            )
        elif isinstance(node, ast.Compare) and target.problem.certify is None and _small(node):
            target.hit("advice", f"line {node.lineno}: a comparison with a tolerance; exact rules need none")


def _call(target: Target, node: ast.Call) -> None:
    owner, name = _name(node.func)
    if name in _RUNS and (owner, name) not in _HARMLESS and (owner or name in ("eval", "exec")):
        target.hit(
            "warning",
            f"line {node.lineno}: {owner + '.' if owner else ''}{name}() in a trusted function: nothing of an answer "
            "may reach it",
        )
    if name in _CHANCE and owner in ("random", "np.random", "numpy.random"):
        target.hit(
            "advice", f"line {node.lineno}: {owner}.{name}() draws from a state that all programs share"
        )
    if name in ("isclose", "allclose", "assert_allclose") and target.problem.certify is None:
        target.hit("advice", f"line {node.lineno}: {name} has a tolerance; exact rules need none")


def _name(node: ast.expr) -> tuple[str, str]:
    if isinstance(node, ast.Name):
        return "", node.id
    if isinstance(node, ast.Attribute):
        owner, name = _name(node.value)
        return f"{owner}.{name}" if owner else name, node.attr
    return "", ""


def _small(node: ast.Compare) -> bool:
    """Whether a tolerance stands in it."""
    return any(
        isinstance(part, ast.Constant) and isinstance(part.value, float) and 0.0 < part.value <= SMALL
        for part in ast.walk(node)
    )


def _nodes(problem: Problem) -> Iterator[ast.AST]:
    """All nodes of the functions that `score`, `simulate` and `certify` lead to in the problem's file."""
    assert problem.origin is not None
    tree = ast.parse(problem.origin.path.read_text(encoding="utf-8"))
    known = {
        node.name: node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name != problem.origin.factory
    }
    waiting = [_called(function) for function in (problem.score, problem.simulate, problem.certify)]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in known:
            continue
        seen.add(name)
        for node in ast.walk(known[name]):
            yield node
            if isinstance(node, ast.Name):
                waiting.append(node.id)


def _called(function: Callable[..., Any] | None) -> str:
    return getattr(function, "__name__", type(function).__name__)
