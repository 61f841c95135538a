"""The text of a program: the EVOLVE-BLOCK cut out of a file and put back, parsed under guard, and identified.

Knows markers, limits and Python's parser; programs are parsed here and never run. Knows nothing of problems.
"""

import ast
import re
import warnings
from dataclasses import dataclass
from functools import lru_cache

from evolve.fastcore.limits import source_fault
from evolve.identity import Hashes, hashes_of, text_hash
from evolve.programs_db.records import Program
from evolve.tree import Node, from_ast

__all__ = [
    "MARKER",
    "MAX_DEPTH",
    "BlockError",
    "Cut",
    "Hashes",
    "SourceError",
    "cut",
    "depth_of",
    "find_entry",
    "hashes",
    "hashes_of",
    "parse",
    "plain",
    "program_of",
    "put_back",
    "text_hash",
    "to_tree",
]

MAX_DEPTH = 150  # levels of syntax; three frames a level still leave room under CPython's limit of 1000

_WIDE = re.compile(r"0[xXoObB][0-9a-fA-F_]{3000}")  # 3000 hexadecimal digits are 3612 decimal ones
_START = "# EVOLVE-BLOCK-START"
_END = "# EVOLVE-BLOCK-END"
MARKER = re.compile(r"^\ufeff?[ \t]*#[ \t]*EVOLVE-BLOCK-(START|END)\b[^\n]*$", re.MULTILINE)


class BlockError(ValueError):
    """A file without exactly one usable EVOLVE-BLOCK; the message names the file, the line and the mend."""


class SourceError(ValueError):
    """A text that is no program: too long, too deep, or not Python; the message says why."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A file in three parts; `before + block + after` is the file.

    Args:
        before: text up to and with the start marker's line.
        block: the program.
        after: text from the end marker's line on.
        first_line: number of the block's first line in the file, from 1.
    """

    before: str
    block: str
    after: str
    first_line: int


def cut(text: str, path: str) -> Cut:
    """Find the one block of a file.

    Args:
        text: the file's text.
        path: what to call the file in an error.

    Raises:
        BlockError: unless there is exactly one pair of markers, in order, with valid Python between them.
    """
    marks = [(mark[1], text.count("\n", 0, mark.start()) + 1, mark) for mark in MARKER.finditer(text)]
    kinds = [kind for kind, _, _ in marks]
    if kinds != ["START", "END"]:
        raise BlockError(f"{path}: {_complaint(marks)}")
    start, end = marks[0][2], marks[1][2]
    begin = min(start.end() + 1, end.start())
    made = Cut(text[:begin], text[begin : end.start()], text[end.start() :], marks[0][1] + 1)
    try:
        parse(made.block)
    except SourceError as error:
        cause = error.__cause__
        if isinstance(cause, SyntaxError) and cause.lineno is not None:
            line = made.first_line + cause.lineno - 1
            raise BlockError(f"{path}:{line}:{cause.offset}: {cause.msg}; mend the block") from error
        raise BlockError(f"{path}:{made.first_line}: {error}") from error
    return made


def _complaint(marks: list[tuple[str, int, re.Match[str]]]) -> str:
    starts = [line for kind, line, _ in marks if kind == "START"]
    ends = [line for kind, line, _ in marks if kind == "END"]
    if not marks:
        return f"line 1: no block; put '{_START}' and '{_END}' around what may evolve"
    if not ends:
        return f"line {starts[0]}: '{_START}' is never closed; add '{_END}' below the block"
    if not starts:
        return f"line {ends[0]}: '{_END}' without a start; add '{_START}' above the block"
    if len(starts) > 1:
        return f"line {starts[1]}: a second '{_START}' (the first is in line {starts[0]}); keep one block"
    if len(ends) > 1:
        return f"line {ends[1]}: a second '{_END}' (the first is in line {ends[0]}); keep one block"
    return f"line {ends[0]}: '{_END}' stands before '{_START}' of line {starts[0]}; exchange them"


def put_back(where: Cut, block: str) -> str:
    """The file's text with another block."""
    if block and not block.endswith("\n"):
        block += "\n"
    return where.before + block + where.after


def plain(source: str) -> str:
    """The text as it is kept: without the byte order mark that some editors put first, as Python reads it."""
    return source.removeprefix("\ufeff")


def parse(source: str) -> ast.Module:
    """Parse a program that nobody trusts; nothing of it runs.

    Raises:
        SourceError: more than `MAX_SOURCE` bytes of UTF-8, a NUL, nested deeper than `MAX_DEPTH`, or not Python.
    """
    fault = source_fault(source)
    if fault:
        raise SourceError(fault)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes and the like: the program's affair
            tree = ast.parse(plain(source))
        if _WIDE.search(source):  # may be read at any length, but written out nowhere
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant):
                    repr(node.value)
    except SyntaxError as error:
        place = "" if error.lineno is None else f" (line {error.lineno}, column {error.offset})"
        raise SourceError(f"not Python: {error.msg}{place}") from error
    except (MemoryError, RecursionError) as error:
        raise SourceError("the program is nested too deeply") from error
    except ValueError as error:  # lone surrogates, integers of more than 4300 digits
        raise SourceError(f"not Python: {error}") from error
    if len(source) > MAX_DEPTH:  # a level takes at least one character
        _check_depth(tree)
    return tree


def _check_depth(tree: ast.Module) -> None:
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise SourceError(f"the program is nested more than {MAX_DEPTH} levels deep")


def find_entry(tree: ast.Module, entry: str) -> ast.FunctionDef:
    """The function `entry` at the top of a block: the last one, as Python would take it.

    Raises:
        SourceError: if there is none.
    """
    for statement in reversed(tree.body):
        if isinstance(statement, ast.FunctionDef) and statement.name == entry:
            return statement
    raise SourceError(f"the block defines no function '{entry}' at its top level")


def depth_of(source: str, entry: str) -> int:
    """Statements and expressions on the longest way down the entry's syntax tree, the entry itself included.

    Docstrings, parameters and annotations do not count, as for `Program.nodes`.

    Raises:
        SourceError: see `parse` and `find_entry`.
    """
    function = find_entry(parse(source), entry)
    documented = ast.get_docstring(function, clean=False) is not None
    depth, level = 1, list[ast.AST](function.body[documented:])
    while level:
        depth += 1
        level = [part for node in level for part in _below(node)]
    return depth


def _below(node: ast.AST) -> list[ast.AST]:
    """The statements and expressions right below a node, through what is neither (a comprehension, a handler)."""
    found: list[ast.AST] = []
    for part in ast.iter_child_nodes(node):
        if isinstance(part, (ast.stmt, ast.expr)):
            found.append(part)
        elif not isinstance(part, ast.arg):
            found += _below(part)
    return found


# A proposal's text is read for its edit, its identity and its constants; its parent's again and again.
@lru_cache(maxsize=64)
def to_tree(source: str) -> Node:
    """The immutable tree of a text.

    Raises:
        SourceError: see `parse`.
    """
    return from_ast(parse(source))


@lru_cache(maxsize=256)
def hashes(source: str) -> Hashes:
    """Identity of a text, see `Hashes`.

    Raises:
        SourceError: see `parse`.
    """
    return hashes_of(to_tree(source), plain(source))


def _defines(tree: Node, entry: str) -> bool:
    """Whether a function is defined at the top of a module's tree."""
    return any(one.kind is ast.FunctionDef and one.fields[0] == entry for one in tree.fields[0])


def program_of(source: str, entry: str | None = None) -> Program:
    """The Program that a text is.

    Args:
        source: text of the block; a byte order mark is no part of the Program.
        entry: function that it must define at its top level, or None.

    Raises:
        SourceError: see `parse` and `find_entry`.
    """
    if entry is not None and not _defines(to_tree(source), entry):
        raise SourceError(f"the block defines no function '{entry}' at its top level")
    kept, own = plain(source), hashes(source)
    return Program(own.id, kept, own.canonical, own.structure, own.nodes)
