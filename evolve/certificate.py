"""Claims that can be checked without evolve: plain data, and a function of the standard library that checks them."""

import ast
import builtins
import hashlib
import inspect
import json
import re
import symtable
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any

__all__ = ["Certificate", "Checker", "certified", "rounded", "script", "signed", "sound", "source_of"]

_MOST = 8 << 20  # characters of a certificate's data: they are kept in the ledger, and read again
_EXACT = re.compile(r"[+-]?[0-9]+(/[0-9]+|(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?)")

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
    text = json.dumps(data, allow_nan=False)
    held = json.loads(text)  # a copy of its own: what the checker does to it changes nothing
    try:
        with _long_numbers():
            value = check(json.loads(text))
    except ValueError as error:
        return Certificate(False, "", str(error), held)
    about = rounded(value)
    told = f"{value}, about {about:.10g}" if "/" in value else value
    return Certificate(True, value, statement.replace("{value}", told), held)


@contextmanager
def _long_numbers() -> Iterator[None]:
    """Exact numbers of any length: beyond 4300 digits Python raises ValueError, as if a rule were broken."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(before)


def rounded(value: str) -> float:
    """The float next to an exact value; infinite beyond the largest float.

    Raises:
        ValueError: it is no whole number, fraction or decimal number, or its denominator is zero.
        TypeError: it is no text.
    """
    if not isinstance(value, str):
        raise TypeError(f"check returned {type(value).__name__}, not the exact value as text")
    if not _EXACT.fullmatch(value):
        raise ValueError(f"the value is {value[:60]!r}; give a whole number, a fraction or a decimal number")
    above, _, below = value.partition("/")
    divisor = Decimal(below or 1)
    if not divisor:
        raise ValueError(f"the value is {value[:60]!r}: its denominator is zero")
    return float(Context(prec=40).divide(Decimal(above), divisor))


def sound(made: Any) -> Certificate:
    """What a problem's `certify` returned, if it is a certificate that a ledger and a file can hold.

    Raises:
        TypeError, ValueError: it is not; says what is wrong.
    """
    if not isinstance(made, Certificate):
        raise TypeError(f"it returned {type(made).__name__}, not a Certificate")
    if not isinstance(made.valid, bool) or not isinstance(made.statement, str):
        raise TypeError("valid= must be a bool, and statement= a text")
    if made.valid:
        rounded(made.value)
    text = json.dumps(dict(made.data), allow_nan=False)
    length = len(text) + len(made.statement) + len(made.value)
    if length > _MOST:
        raise ValueError(f"its data are {length} characters long; at most {_MOST}")
    return Certificate(made.valid, made.value, made.statement, json.loads(text))


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
    if names := sorted(_foreign(symtable.symtable(text, "check", "exec")) - {check.__name__}):
        raise ValueError(
            f"check= uses {', '.join(names)} from outside; it must stand alone: import or define it inside"
        )
    if names := sorted(
        name for name in _imported(tree) if name.partition(".")[0] not in sys.stdlib_module_names
    ):
        raise ValueError(f"check= imports {', '.join(names)}; it may use the standard library only")
    return text


def _foreign(table: symtable.SymbolTable) -> set[str]:
    """Names that a function takes from its module, those in its decorators, defaults and annotations included."""
    names = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module")
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

Ends with 0 if every claim in the file holds, with 1 and the reason if one does not. It reads the data of a claim and
its value; what else the file says, its statements among it, are words.
"""

import hashlib as _hashlib
import json as _json
import sys as _sys


{source}


def _once(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name comes twice")
    return dict(pairs)


class _Data(dict):
    """What a claim is about; knows which parts were looked at, for nothing else is checked."""

    def __getitem__(self, name):
        self.__dict__.setdefault("seen", {{}})[name] = None
        part = super().__getitem__(name)
        if type(part) in (float, bool):
            raise ValueError(f"{{name}} is {{part}}; exact numbers are whole, or texts")
        return part


def _main(path):
    if hasattr(_sys, "set_int_max_str_digits"):
        _sys.set_int_max_str_digits(0)
    with open(path, encoding="utf-8") as file:
        certificate = _json.load(file, object_pairs_hook=_once)
    digest = certificate.pop("digest")
    text = _json.dumps(certificate, sort_keys=True, separators=(",", ":"), allow_nan=False)
    if digest != "sha256:" + _hashlib.sha256(text.encode()).hexdigest():
        raise ValueError("the digest is another one: the file was changed")
    if not certificate["claims"]:
        raise ValueError("it claims nothing")
    for claim in certificate["claims"]:
        data = _Data(claim["data"])
        value = {check}(data)
        if type(value) is not str or value != claim["value"]:
            raise ValueError(f"the value is {{value}} and not {{claim['value']}}")
        about = "".join(f"{{name}} = {{data[name]}}, " for name in data.seen if type(data[name]) is int)
        print(f"{{about}}the exact value", ascii(value)[1:-1], "holds; the file calls it", ascii(claim["case"]))


if __name__ == "__main__":
    if len(_sys.argv) != 2:
        _sys.exit("say the name of a certificate file")
    try:
        _main(_sys.argv[1])
    except Exception as error:
        _sys.exit("NOT valid: " + ascii(f"{{type(error).__name__}}: {{error}}")[1:-1])
'''
