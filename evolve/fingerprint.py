"""Fingerprint of a problem: what a score depends on, and nothing else. Knows problem files, not programs.

An evaluation is keyed by (program, fingerprint). In it: the syntax tree of the scaffold that takes part in
scoring, parameters, digests of the training cases, limits, versions of evolve, numpy and numba. Outside it:
comments, docstrings, references, baselines, primitives, bins and bounds of measures, unseen cases. Where speed is
the objective, the baseline that programs are raced against, `fresh` and the versions of what is preloaded are in it
too. The machine is not: a ledger says itself on which ones it was made.
"""

import ast
import dataclasses
import hashlib
import pickle
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

import numpy as np

from evolve.source import cut
from evolve.statement import Problem

__all__ = ["digest", "fingerprint", "scaffold"]

# Keywords of Problem(...) that change no score of a program.
_OUTSIDE = frozenset(
    {
        *(
            "measures",
            "references",
            "baselines",
            "primitives",
            "unseen",
            "fresh",
            "certify",
            "check",
            "plain",
        ),
        *("max_nodes",),
    }
)


def fingerprint(problem: Problem, *, engine: bool = True) -> str:
    """A hash, tagged "b2:", of everything that a program's score on `problem` depends on.

    Args:
        problem: the problem.
        engine: whether the version of evolve is in it; not where two versions of it are compared on one problem.
    """
    state = hashlib.blake2b(digest_size=16)
    if problem.origin is not None:
        state.update(scaffold(problem.origin.path, timed=problem.speed is not None).encode())
    for part in (
        problem.name,
        problem.entry,
        problem.form,
        dict(problem.parameters),
        sorted(measure.name for measure in problem.measures),
        dataclasses.asdict(problem.limits),
        problem.repeats,
        [digest(case) for case in problem.cases],
        {name: digest(grid) for name, grid in problem.grids().items()},
        {name: _version(name) for name in ("evolve-engine", "numpy", "numba")[not engine :]},
        *_of_speed(problem),
    ):
        state.update(repr(part).encode())
    return f"b2:{state.hexdigest()}"


def _of_speed(problem: Problem) -> list[Any]:
    """What a speed depends on beside."""
    if problem.speed is None:
        return []
    modules = sorted({name.partition(".")[0] for name in problem.preload})
    return [
        problem.baselines[problem.speed.baseline],
        {name: _version(name) or _version_of_home(name) for name in modules},
    ]


def _version_of_home(module: str) -> str:
    """Version of what brings a module, where it is called otherwise; looking that up reads every library's list."""
    return " ".join(f"{name} {_version(name)}" for name in packages_distributions().get(module, []))


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def scaffold(path: Path, timed: bool = False) -> str:
    """The problem file without its block, and its neighbours that it imports, as normalised syntax trees.

    Args:
        path: of the problem file.
        timed: whether speed is sought: then `fresh` makes the inputs that scores depend on.
    """
    seen: dict[Path, str] = {}
    _collect(path, seen, _OUTSIDE - {"fresh"} if timed else _OUTSIDE)
    return "\n".join(seen[key] for key in sorted(seen))


def _collect(path: Path, seen: dict[Path, str], outside: frozenset[str]) -> None:
    if path in seen:
        return
    text = path.read_text(encoding="utf-8")
    if not seen:
        piece = cut(text, str(path))
        text = piece.before + piece.after
    tree = ast.parse(text)
    seen[path] = ""
    for node in ast.walk(tree):
        for name in _imported(node):
            neighbour = path.parent / f"{name}.py"
            if neighbour.is_file():
                _collect(neighbour, seen, outside)
    seen[path] = ast.dump(_Normal(outside).visit(tree))


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module.split(".")[0]]
    return []


class _Normal(ast.NodeTransformer):
    """Drops docstrings, and the keywords of Problem(...) that change no score."""

    def __init__(self, outside: frozenset[str]) -> None:
        self.outside = outside

    def _bare(self, node: Any) -> Any:
        self.generic_visit(node)
        first = node.body[0] if node.body else None
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            node.body = node.body[1:] or [ast.Pass()]
        return node

    visit_Module = visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _bare  # noqa: N815

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, (ast.Name, ast.Attribute)):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if name == "Problem":
                node.keywords = [word for word in node.keywords if word.arg not in self.outside]
        return node


def digest(value: Any) -> str:
    """A hash of trusted data: arrays by dtype, shape and bytes; containers in order; dataclasses by field."""
    state = hashlib.blake2b(digest_size=16)
    _feed(state, value)
    return state.hexdigest()


def _feed(state: "hashlib.blake2b", value: Any) -> None:
    if isinstance(value, np.ndarray) and value.dtype != object:
        state.update(f"a{value.dtype.str}{value.shape}".encode())
        state.update(np.ascontiguousarray(value).tobytes())
    elif value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic)):
        state.update(f"{type(value).__name__}:{value!r};".encode())
    elif isinstance(value, (list, tuple)):
        state.update(f"{type(value).__name__}{len(value)}(".encode())
        for item in value:
            _feed(state, item)
    elif isinstance(value, Mapping):
        state.update(f"map{len(value)}(".encode())
        for key in sorted(value, key=repr):
            _feed(state, key)
            _feed(state, value[key])
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        state.update(type(value).__name__.encode())
        for field in dataclasses.fields(value):
            _feed(state, getattr(value, field.name))
    else:
        state.update(pickle.dumps(value, protocol=4))  # the researcher's own object, written and never read
