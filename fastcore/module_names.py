"""Parses untrusted Python text and lists what its module level binds: imports, numbers and functions only.

Knows the shape of a module and which annotations are inert. Does not know what is inside a function.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence
from typing import Literal, NoReturn

from evolve.fastcore.limits import source_fault

MAX_INTEGER = 2**63
"""Larger Python integers are left to the jail: they are how a short text asks for a huge number."""

Number = bool | int | float
RefusalKind = Literal["invalid", "not straight-line"]

_MODULES = {"numpy": "np.", "math": "math."}
_ANNOTATIONS = frozenset({"float", "int", "bool", "object"})
_NUMPY_ANNOTATIONS = frozenset({"ndarray", "generic", "float64", "int64", "bool_", "floating", "integer"})


class NotExpression(Exception):  # noqa: N818 (a verdict on a text, not an error)
    """The text is no expression program.

    Attributes:
        reason: what stands in the way, with its line.
        kind: `invalid` when Python could not run the text either, `not straight-line` when the jail must.
    """

    def __init__(self, reason: str, kind: RefusalKind = "not straight-line") -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind


def parse_source(source: str) -> ast.Module:
    """Parse untrusted text of at most 64 kB.

    Raises:
        NotExpression: of kind `invalid`.
    """
    fault = source_fault(source)
    if fault:
        raise NotExpression(fault, "invalid")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source.removeprefix("\ufeff"))  # as the interpreter reads a file
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NotExpression(f"{type(error).__name__}: {error}", "invalid") from None


def refuse(node: ast.AST, what: str) -> NoReturn:
    """Raise NotExpression at a place of the text."""
    raise NotExpression(f"line {getattr(node, 'lineno', 0)}: {what}")


def is_text(node: ast.stmt) -> bool:
    """Whether a statement is a bare string, as a docstring is."""
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and type(value.value) is str


def _is_lazy_annotations(node: ast.stmt) -> bool:
    """Whether this is `from __future__ import annotations`, which is legal nowhere but at the top."""
    if not isinstance(node, ast.ImportFrom) or node.module != "__future__" or node.level:
        return False
    return [(alias.name, alias.asname) for alias in node.names] == [("annotations", None)]


def number_of(node: ast.Constant) -> Number:
    """The number that a literal writes. Raises NotExpression for other literals and for huge integers."""
    value = node.value
    if type(value) is int:
        if value > MAX_INTEGER:
            refuse(node, "integer literal beyond 2**63")
        return value
    if type(value) is float or type(value) is bool:
        return value
    refuse(node, f"literal of type {type(value).__name__}")


class ModuleNames:
    """The names that a module binds, each exactly once.

    Attributes:
        imports: alias of a module -> its prefix in dotted names, `np.` or `math.`.
        numbers: the constants.
        functions: the definitions, their signatures checked.
        names: all of them.

    Raises:
        NotExpression: the module level holds anything else.
    """

    def __init__(self, body: Sequence[ast.stmt]) -> None:
        self.imports: dict[str, str] = {}
        self.numbers: dict[str, Number] = {}
        self.functions: dict[str, ast.FunctionDef] = {}
        self.names: set[str] = set()
        start = 1 if body and is_text(body[0]) else 0
        if len(body) > start and _is_lazy_annotations(body[start]):
            self.names.add("annotations")
            start += 1
        for node in body[start:]:
            if isinstance(node, ast.FunctionDef):
                self._define(node)
            elif isinstance(node, ast.Import):
                self._import(node)
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                self._assign(node)
            else:
                refuse(node, f"{type(node).__name__} at module level")

    def _bind(self, node: ast.AST, name: str) -> None:
        # The last binding wins in Python, for functions defined before it too: one binding leaves no doubt.
        if name in self.names:
            refuse(node, f"{name} is bound twice")
        if name.startswith("__"):
            refuse(node, f"{name} may mean something to Python")
        self.names.add(name)

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            prefix = _MODULES.get(alias.name)
            if prefix is None:
                refuse(node, f"import of {alias.name}")
            name = alias.asname or alias.name
            if self.imports.get(name) != prefix:
                self._bind(node, name)
                self.imports[name] = prefix

    def _assign(self, node: ast.Assign | ast.AnnAssign) -> None:
        names, value = self.assigned(node)
        sign = type(value.op) if isinstance(value, ast.UnaryOp) else None
        literal = value.operand if isinstance(value, ast.UnaryOp) else value
        if not isinstance(literal, ast.Constant) or sign not in {None, ast.USub, ast.UAdd}:
            refuse(node, "only number literals at module level")
        number = number_of(literal)
        number = number if sign is None else -number if sign is ast.USub else +number
        for name in names:
            self._bind(node, name)
            self.numbers[name] = number

    def _define(self, node: ast.FunctionDef) -> None:
        names = node.args
        if names.vararg or names.kwarg or names.kwonlyargs:
            refuse(node, "parameters other than positional ones")
        if node.decorator_list or names.defaults or getattr(node, "type_params", None):
            refuse(node, "decorator, default or type parameter")
        for parameter in (*names.posonlyargs, *names.args):
            self._annotation(parameter, parameter.annotation)
        self._annotation(node, node.returns)
        self._bind(node, node.name)
        self.functions[node.name] = node

    def assigned(self, node: ast.Assign | ast.AnnAssign) -> tuple[list[str], ast.expr]:
        """The plain names that a statement assigns, and what."""
        if isinstance(node, ast.AnnAssign):
            self._annotation(node, node.annotation)
        if node.value is None or (isinstance(node, ast.AnnAssign) and not node.simple):
            refuse(node, "annotation without an assignment to a plain name")
        names = []
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if not isinstance(target, ast.Name):
                refuse(target, f"assignment to {type(target).__name__}")
            if target.id.startswith("__"):
                refuse(target, f"{target.id} may mean something to Python")
            names.append(target.id)
        return names, node.value

    def _annotation(self, at: ast.AST, node: ast.expr | None) -> None:
        """Refuse what could fail or act when Python evaluates the annotation, here and now in the text."""
        if node is None or isinstance(node, ast.Constant):
            return
        if isinstance(node, ast.Name) and node.id in _ANNOTATIONS:
            return
        owner = node.value if isinstance(node, ast.Attribute) and node.attr in _NUMPY_ANNOTATIONS else None
        if not isinstance(owner, ast.Name) or self.imports.get(owner.id) != "np.":
            refuse(at, "annotation that would have to be evaluated")
