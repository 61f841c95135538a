"""Claims that can be checked without evolve: plain data, and a function of the standard library that checks them."""

import ast
import builtins
import hashlib
import inspect
import json
import symtable
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

__all__ = ["Certificate", "Checker", "certified", "script", "signed", "source_of"]

Checker = Callable[[dict[str, Any]], str]
"""Takes a certificate's data as JSON gives it, and returns the exact value as text; ValueError says what is broken."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What an exact check established, independent of `score`.

    Args:
        valid: whether every rule holds exactly.
        value: the objective, exact, as a string ("20", "12345/1024"); "" if it is not valid.
        statement: one sentence that a reader can check; of one that is not valid, which rule is broken.
        data: numbers as strings, for the certificate file.
    """

    valid: bool
    value: str
    statement: str
    data: Mapping[str, Any] = field(default_factory=dict)


def certified(check: Checker, data: Mapping[str, Any], statement: str) -> Certificate:
    """The certificate that a checker gives for data, which it gets as a file would hold them.

    Args:
        check: the problem's `check`.
        data: lists, dicts, texts and whole numbers; fractions as texts such as "1/3".
        statement: one sentence; `{value}` in it stands for the exact value.

    Raises:
        TypeError, ValueError: the data cannot be written as JSON.
    """
    held = json.loads(json.dumps(data, allow_nan=False))
    try:
        value = check(held)
    except ValueError as error:
        return Certificate(False, "", str(error), held)
    told = f"{value}, about {float(Fraction(value)):.10g}" if "/" in value else value
    return Certificate(True, value, statement.replace("{value}", told), held)


def source_of(check: Checker) -> str:
    """The text of a checker, which has to stand alone.

    Raises:
        ValueError: it is no plain function, or needs something beside the standard library; says what.
    """
    try:
        text = textwrap.dedent(inspect.getsource(check))
    except (OSError, TypeError):
        raise ValueError("check= must be a function that is written in the problem file") from None
    tree = ast.parse(text)
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.FunctionDef):
        raise ValueError("check= must be a plain function, written with def")
    if names := sorted(_foreign(symtable.symtable(text, "check", "exec"))):
        raise ValueError(
            f"check= uses {', '.join(names)} from outside; it must stand alone: import or define it inside"
        )
    if names := sorted(
        name for name in _imported(tree) if name.partition(".")[0] not in sys.stdlib_module_names
    ):
        raise ValueError(f"check= imports {', '.join(names)}; it may use the standard library only")
    return text


def _foreign(table: symtable.SymbolTable) -> set[str]:
    """Names that a function takes from its module."""
    names = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if table.get_type() == "function" and symbol.is_global() and symbol.is_referenced()
    }
    return names.union(*map(_foreign, table.get_children())) - set(dir(builtins))


def _imported(tree: ast.AST) -> list[str]:
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return found


def signed(claims: Mapping[str, Any]) -> str:
    """The text of a certificate file: JSON with a digest of everything else in it."""
    held = json.loads(json.dumps(claims, allow_nan=False))
    text = json.dumps(held, sort_keys=True, separators=(",", ":"))
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return json.dumps({**held, "digest": digest}, indent=1) + "\n"


def script(check: Checker, problem: str, version: str) -> str:
    """A program of the standard library alone that checks certificate files, as `signed` writes them.

    Raises:
        ValueError: see `source_of`.
    """
    source = source_of(check).strip("\n")
    return _SCRIPT.format(problem=problem, version=version, source=source, check=check.__name__)


_SCRIPT = '''"""Checks a certificate of the problem {problem}. Needs nothing but Python, 3.10 or later.

Written by evolve {version}.

    python -I check_{problem}.py CERTIFICATE.json

Ends with 0 if every claim in the file holds, with 1 and the reason if one does not.
"""

import hashlib
import json
import sys


{source}


def main(path):
    with open(path, encoding="utf-8") as file:
        certificate = json.load(file)
    digest = certificate.pop("digest")
    text = json.dumps(certificate, sort_keys=True, separators=(",", ":"))
    if digest != "sha256:" + hashlib.sha256(text.encode()).hexdigest():
        raise ValueError("the digest is another one: the file was changed")
    if not certificate["claims"]:
        raise ValueError("it claims nothing")
    for claim in certificate["claims"]:
        value = {check}(claim["data"])
        if value != claim["value"]:
            raise ValueError(f"the value is {{value}} and not {{claim['value']}}")
        print(ascii(claim["case"]), "holds, with the exact value", value)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("say the name of a certificate file")
    try:
        main(sys.argv[1])
    except Exception as error:
        sys.exit("NOT valid: " + ascii(f"{{type(error).__name__}}: {{error}}")[1:-1])
'''
