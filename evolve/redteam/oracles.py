"""The problem's own functions run strictly, so that careless code contradicts itself. Three ways:

- "halved": every tolerance is half as large: float literals up to 1e-3 in the functions behind `score`, the
  tolerances of `isclose` and `allclose`. An answer that is accepted only thanks to the other half used the tolerance.
- "careful": a comparison that leads to a `raise` is asked the other way round (`not d >= r` for `d < r`): the same
  for numbers, but NaN fails it.
- "exact": whole numbers are Python's, which do not wrap around: arrays of them hold objects, and so does what numpy
  makes of them.

The file is read again, changed as a syntax tree, and executed as a second module; the cases stay those of the first.
Where the changed functions cannot run, or score honest answers otherwise, they are no witness (`Target.strict`).
"""

import ast
import contextlib
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from evolve.spec import Spec
from evolve.statement import Problem, ProblemFactory

__all__ = ["SMALL", "Strict", "strict_problem"]

Strict = Literal["halved", "careful", "exact"]

SMALL = 1e-3
"""Float literals up to this size are taken for tolerances."""
_CLOSE = {"isclose": ("rel_tol", 1e-9, "abs_tol", 0.0), "allclose": ("rtol", 1e-5, "atol", 1e-8)}
_SAFE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
}


def strict_problem(problem: Problem, how: Strict) -> Problem | None:
    """The problem with the same functions, run strictly; None if they are not written so that it matters."""
    origin = problem.origin
    if origin is None:
        return None
    tree = ast.parse(origin.path.read_text(encoding="utf-8"))
    if how != "exact":
        change = _Halved() if how == "halved" else _Careful()
        tree = ast.fix_missing_locations(change.visit(tree))
        if not change.changed:
            return None
    made = _executed(tree, origin.path, origin.factory, origin.parameters, how)
    if made is None:
        return None
    returns = _Objects(problem.returns) if how == "exact" else problem.returns
    return replace(
        problem, score=made.score, simulate=made.simulate, certify=made.certify, check=None, returns=returns
    )


def _executed(
    tree: ast.Module, path: Path, factory: str, parameters: Mapping[str, Any], how: Strict
) -> Problem | None:
    """Run the changed file, and make its Problem; None where it cannot be run."""
    name = f"evolve_redteam_{how}_{path.stem}"
    module = types.ModuleType(name)
    module.__file__ = str(path)
    module.__dict__["_evolve_fails"] = _fails
    sys.modules[name] = module
    try:
        with contextlib.redirect_stdout(sys.stderr):
            exec(compile(tree, str(path), "exec"), module.__dict__)  # noqa: S102 - the researcher's own file
            made = module.__dict__[factory]
            assert isinstance(made, ProblemFactory)
            problem = made(**parameters)
    except (Exception, SystemExit):  # noqa: BLE001 - changed code may fail in any way; then it tells nothing
        return None
    finally:
        del sys.modules[name]
    if how == "exact":
        _use_objects(module)
    return problem


class _Halved(ast.NodeTransformer):
    """Halves what looks like a tolerance."""

    def __init__(self) -> None:
        self.changed = False

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if isinstance(node.value, float) and 0.0 < node.value <= SMALL:
            self.changed = True
            return ast.Constant(node.value / 2.0)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """`10**-6` is a tolerance as well."""
        if isinstance(node.op, ast.Pow):
            with contextlib.suppress(ValueError, TypeError, ArithmeticError):
                value = _constant(node.left) ** _constant(node.right)
                if 0.0 < value <= SMALL:
                    self.changed = True
                    return ast.Constant(float(value) / 2.0)
        self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """`isclose` and `allclose`: what is not given has a default."""
        given = {word.arg for word in node.keywords}
        self.generic_visit(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in _CLOSE:
            return node
        self.changed = True
        maths = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "math"
        first, one, second, two = _CLOSE["isclose" if maths else "allclose"]
        for word, value, place in ((first, one, 2), (second, two, 3)):
            if word not in given and (maths or len(node.args) <= place):
                node.keywords.append(ast.keyword(word, ast.Constant(value / 2.0)))
        return node


def _constant(node: ast.expr) -> float:
    value = ast.literal_eval(node)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1_000:
        raise ValueError
    return value


class _Careful(ast.NodeTransformer):
    """Turns comparisons in the test of an `if` that raises; not those under a `not`, which NaN fails already."""

    def __init__(self) -> None:
        self.changed = False
        self.inside = False

    def visit_If(self, node: ast.If) -> ast.stmt:
        raises = any(isinstance(part, ast.Raise) for part in node.body)
        for name, value in ast.iter_fields(node):
            self.inside = raises and name == "test"
            if isinstance(value, list):
                setattr(node, name, [self.visit(part) for part in value])
            elif isinstance(value, ast.AST):
                setattr(node, name, self.visit(value))
        self.inside = False
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        return node if isinstance(node.op, (ast.Not, ast.Invert)) else self._deeper(node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """`any(...)` of comparisons is looked into; what `all(...)` says is the opposite of what it doubts."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return node if name == "all" else self._deeper(node)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        opposite = _SAFE.get(type(node.ops[0]))
        if not self.inside or len(node.ops) != 1 or opposite is None:
            return self._deeper(node)
        self.changed = True
        inner = ast.Compare(node.left, [opposite()], node.comparators)
        return ast.Call(ast.Name("_evolve_fails", ast.Load()), [inner], [])

    def _deeper(self, node: ast.expr) -> ast.expr:
        self.generic_visit(node)
        return node


def _fails(truth: Any) -> Any:
    """Not, also of an array of truth values."""
    return np.logical_not(truth) if isinstance(truth, np.ndarray) else not truth


# What they return is used as an index, or is one; numpy takes no objects there.
_INDICES = frozenset(
    """
    argsort argmax argmin argwhere nonzero flatnonzero where searchsorted lexsort indices ix_ arange
    triu_indices tril_indices bincount digitize unravel_index ravel_multi_index ndindex
    """.split()  # noqa: SIM905 - as words it is read
)


class _Whole(int):
    """A dtype of whole numbers without bounds: numpy takes any subclass of int for objects."""


@dataclass(frozen=True, slots=True)
class _Objects:
    """A Spec that gives arrays of whole numbers as arrays of Python's."""

    spec: Spec

    def check(self, value: Any) -> Any:
        """Return `value` in the declared form, but without wrap-around."""
        return _as_objects(self.spec.check(value))


def _as_objects(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.astype(object) if value.dtype.kind in "iu" else value
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, tuple) and type(value) is not tuple:
        return value  # a named tuple of numpy's
    if isinstance(value, (list, tuple)):
        return type(value)(_as_objects(part) for part in value)
    return value


class _Numpy:
    """numpy, but whole numbers in arrays are Python's."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        if isinstance(found, type) and issubclass(found, np.integer):
            return _Whole
        if isinstance(found, types.ModuleType) or not callable(found) or isinstance(found, type):
            return found
        return found if name in _INDICES else _exactly(found)


def _exactly(function: Callable[..., Any]) -> Callable[..., Any]:
    def exact(*args: Any, **options: Any) -> Any:
        given = [_from_list(arg) for arg in args]
        named = {key: _Whole if _is_whole(value) else _from_list(value) for key, value in options.items()}
        return _as_objects(function(*given, **named))

    return exact


def _from_list(value: Any) -> Any:
    """A list of whole numbers becomes an array of objects before numpy makes it one of 64 bits."""
    if isinstance(value, (list, tuple)) and value and all(type(part) is int for part in value):
        return np.array(value, dtype=object)
    if isinstance(value, list) and value and all(isinstance(part, (list, tuple)) for part in value):
        rows = [_from_list(part) for part in value]
        if all(isinstance(row, np.ndarray) and row.shape == rows[0].shape for row in rows):
            return np.array(rows, dtype=object)
    return _as_objects(value) if isinstance(value, np.ndarray) else value


def _is_whole(value: Any) -> bool:
    return (
        value is int
        or value is _Whole
        or (isinstance(value, str) and value[:1] in "iu" and value[1:].isdigit())
    )


def _use_objects(module: types.ModuleType) -> None:
    """Let the module's functions find the other numpy."""
    for name, value in list(module.__dict__.items()):
        if value is np:
            module.__dict__[name] = _Numpy()
        elif getattr(value, "__module__", "") == "numpy" and callable(value) and not isinstance(value, type):
            module.__dict__[name] = _exactly(value)
