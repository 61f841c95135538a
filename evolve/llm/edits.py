"""From a reply to a new block: SEARCH/REPLACE hunks, a whole block, or a sentence of a grammar.

Every way ends in the same check: Python, with the entry's name and parameters, without markers, and not the
parent again. What cannot be applied is an `EditError`, whose name is counted and whose sentence is told the model.
Nothing of a reply is ever run here.
"""

import ast
import re
import textwrap
from collections.abc import Callable
from functools import lru_cache

from evolve.llm.grammar import EditPlan
from evolve.llm.hunks import apply_hunks, elided, is_hunk, read_hunks
from evolve.llm.replies import EditError, Piece, mend, pieces, quote, tidy
from evolve.printing import show
from evolve.source import MARKER, SourceError, find_entry, hashes, parse

__all__ = ["EditError", "apply_block", "apply_choice", "apply_diff"]

_CODE = re.compile(r"^(?:import |from \S+ import|def |class |@\w|[A-Za-z_][\w.]* *(?::[^=\n]+)?=[^=])")
_UNIFIED = re.compile(r"^(?:@@ |--- \S|\+\+\+ \S|diff --git )", re.MULTILINE)
_CHOICE = re.compile(r"^[ \t`]*(\d{1,4})[ \t]*:([^\n]*)$", re.MULTILINE)
_MOST_PIECES = 16
_MENDABLE = frozenset(
    {"syntax", "not_found", "no_block", "wrong_format", "entry_missing", "truncated", "malformed"}
)


def apply_diff(reply: str, block: str, entry: str) -> str:
    """Apply the SEARCH/REPLACE hunks of a reply.

    Args:
        reply: what the model wrote, of any length.
        block: the parent's block, without markers.
        entry: function whose name and parameters stay.

    Returns:
        The new block.

    Raises:
        EditError: "too_long", "empty", "truncated", "no_block", "wrong_format", "malformed", "elided", "empty_search",
            "not_found", "ambiguous", "indentation", "markers", or what `apply_block` raises for the result.
    """

    def read(text: str) -> str:
        if not is_hunk(text):
            raise _no_hunk(text, entry)
        return _checked(apply_hunks(read_hunks(text), _plain(block)), block, entry)

    return _tried(reply, read)


def apply_block(reply: str, block: str, entry: str) -> str:
    """Take the whole new block from a reply: the last piece of code that is a program with the entry.

    Imports, helpers and constants of the parent that the new code uses and lacks are put first. Names of parameters,
    their order and their defaults must stay; annotations may differ.

    Args:
        reply: what the model wrote, of any length.
        block: the parent's block, without markers.
        entry: function whose name and parameters stay.

    Returns:
        The new block.

    Raises:
        EditError: "too_long", "empty", "truncated", "no_block", "wrong_format", "elided", "syntax", "too_large",
            "markers", "entry_missing", "entry_changed" or "unchanged".
    """
    return _tried(reply, lambda text: _block_in(text, block, entry))


def apply_choice(reply: str, plan: EditPlan) -> str:
    """Put the expression of a sentence of the plan's grammar where it says.

    Args:
        reply: the sentence; thinking, fences and lines around it are passed over.
        plan: made for the parent, see `grammar.plan_edits`.

    Returns:
        The new block.

    Raises:
        EditError: "too_long", "empty", "truncated", "no_choice", "unknown_site", "outside_grammar", "syntax",
            "too_large" or "unchanged".
    """
    found = [(int(site), text.strip(" \t`")) for site, text in _CHOICE.findall(tidy(reply))]
    found = [(site, text) for site, text in found if text]
    if not found:
        raise EditError(
            "no_choice", "The reply holds no line with a site's number, a colon and an expression."
        )
    return _checked(show(plan.put(*found[-1])), plan.block, plan.entry)


def _tried(reply: str, read: Callable[[str], str]) -> str:
    """What `read` makes of the reply; if nothing, of the reply with entities and odd blanks mended."""
    text = tidy(reply)
    try:
        return read(text)
    except EditError as error:
        mended = mend(text) if error.name in _MENDABLE else text
        if mended == text:
            raise
        try:
            return read(mended)
        except EditError:
            raise error from None


def _plain(block: str) -> str:
    return block.replace("\r\n", "\n").replace("\r", "\n")


# -- whole blocks


def _block_in(text: str, block: str, entry: str) -> str:
    fenced = pieces(text)
    named = re.compile(rf"\bdef[ \t]+{re.escape(entry)}\b")
    candidates = [piece for piece in fenced if named.search(piece.text)][-_MOST_PIECES:]
    bare = None if candidates or not named.search(text) else _unfenced(text, named)
    candidates = [bare] if bare else candidates
    failure: EditError | None = None
    for piece in reversed(candidates):
        try:
            return _whole(piece, block, entry)
        except EditError as error:
            failure = _worse(failure, error)
    if is_hunk(text):
        raise EditError(
            "wrong_format", "The reply holds SEARCH/REPLACE hunks; write the whole block in one fence."
        )
    raise failure or _no_code(text, fenced, entry)


def _worse(one: EditError | None, other: EditError) -> EditError:
    """Which of two failures to report: the later piece's, unless it is only broken and the other is a program."""
    broken = ("syntax", "truncated")
    return other if one is None or (one.name in broken and other.name not in broken) else one


def _no_code(text: str, fenced: list[Piece], entry: str) -> EditError:
    if _UNIFIED.search(text):
        return EditError("wrong_format", "The reply is a unified diff; write the whole block in one fence.")
    if fenced or any(_CODE.match(line) for line in text.split("\n")):
        return EditError(
            "entry_missing", f"The code defines no function '{entry}' at its top level; write all of it."
        )
    return EditError("no_block", "The reply holds no code; write the whole block in one fence.")


def _no_hunk(text: str, entry: str) -> EditError:
    if _UNIFIED.search(text):
        return EditError(
            "wrong_format", "The reply is a unified diff; write SEARCH/REPLACE hunks without line numbers."
        )
    if re.search(rf"\bdef[ \t]+{re.escape(entry)}\b", text):
        return EditError(
            "wrong_format", "The reply is a whole block; write SEARCH/REPLACE hunks of what changes."
        )
    return EditError("no_block", "The reply holds no hunk that begins with a line of '<' signs and SEARCH.")


def _whole(piece: Piece, block: str, entry: str) -> str:
    text = _between_markers(piece.text)
    known = {line.strip() for line in block.split("\n")}
    for line in text.split("\n"):
        if elided(line) and line.strip() != "..." and line.strip() not in known:
            raise EditError("elided", f"The code leaves lines out ({quote(line)}); write the whole block.")
    try:
        tree = parse(text)
    except SourceError as error:
        shifted = textwrap.dedent(text)
        try:
            if shifted == text:
                raise
            text, tree = shifted, parse(shifted)
        except SourceError:
            raise _broken(error, text, piece.closed) from None
    return _checked(_completed(text, tree, block), block, entry)


def _between_markers(text: str) -> str:
    """The part between the block's markers, if they are quoted; all of it if not."""
    marks = list(MARKER.finditer(text))
    kinds = [mark[1] for mark in marks]
    if kinds not in ([], ["START"], ["END"], ["START", "END"]):
        raise EditError(
            "markers", "The code holds more EVOLVE-BLOCK markers than one pair; write none of them."
        )
    for mark in reversed(marks):
        text = text[mark.end() :].removeprefix("\n") if mark[1] == "START" else text[: mark.start()]
    return text


def _unfenced(text: str, named: re.Pattern[str]) -> Piece:
    """Code without fences: from its first line that is code to where prose begins again."""
    lines = text.split("\n")
    starts = [i for i, line in enumerate(lines) if _CODE.match(line.lstrip())][:200]
    definition = next((i for i, line in enumerate(lines) if named.search(line)), 0)
    best = Piece("\n".join(lines[definition:]), False)
    for start in [i for i in starts if i <= definition][:8]:
        piece = Piece(_without_tail(lines[start:], named), False)
        try:
            parse(textwrap.dedent(piece.text))
        except SourceError:
            continue
        return piece
    return best


def _without_tail(lines: list[str], named: re.Pattern[str]) -> str:
    """Lines up to the prose that follows them, if it begins at the margin, where Python stops to read."""
    for _ in range(4):
        text = textwrap.dedent("\n".join(lines))
        try:
            parse(text)
        except SourceError as error:
            cause = error.__cause__
            line = cause.lineno if isinstance(cause, SyntaxError) else None
            if line is None or line < 2 or not text.split("\n")[line - 1][:1].strip():
                return text
            if not named.search("\n".join(lines[: line - 1])):
                return text
            lines = lines[: line - 1]
        else:
            return text
    return "\n".join(lines)


def _broken(error: SourceError, text: str, closed: bool) -> EditError:
    cause = error.__cause__
    if not isinstance(cause, SyntaxError):
        return EditError(
            "too_large" if "Python" not in str(error) else "syntax", f"The code is refused: {error}."
        )
    last = text.rstrip().count("\n") + 1
    unfinished = (
        (cause.lineno or 0) >= last or "never closed" in str(cause.msg) or "unterminated" in str(cause.msg)
    )
    if not closed and unfinished:
        return EditError("truncated", f"The code breaks off in line {last}; write less, and finish it.")
    lines = text.split("\n")
    at = min(max((cause.lineno or 1) - 1, 0), len(lines) - 1)
    return EditError("syntax", f"Line {at + 1} of the code is not Python ({cause.msg}): {quote(lines[at])}.")


def _completed(text: str, tree: ast.Module, block: str) -> str:
    """The text behind those statements of the parent that bind what it reads and does not bind itself.

    A reply often holds the changed functions alone. Without the imports and helpers that they go on using it
    would end in a NameError, so nothing else can be meant.
    """
    if any(isinstance(one, ast.ImportFrom) and one.module == "__future__" for one in tree.body):
        return text  # it must stay first
    made, lacking = _bound(tree), _read(tree)
    theirs = [statement for statement in parse(block).body if isinstance(statement, _KEPT)]
    taken: set[int] = set()
    while True:  # a helper may read what another one binds
        more = {i for i, one in enumerate(theirs) if i not in taken and (_bound(one, False) - made) & lacking}
        if not more:
            break
        taken |= more
        lacking |= {name for i in more for name in _read(theirs[i])}
    lines = [ast.unparse(theirs[i]) for i in sorted(taken)]
    return "\n".join(lines) + "\n\n\n" + text.lstrip("\n") if lines else text


_IMPORTS = (ast.Import, ast.ImportFrom)
_KEPT = (*_IMPORTS, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)


def _read(tree: ast.AST) -> set[str]:
    return {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def _bound(tree: ast.AST, inside: bool = True) -> set[str]:
    """Names that are bound anywhere in a tree, or by a statement alone, without what is inside of its body."""
    if not inside and isinstance(tree, ast.FunctionDef | ast.ClassDef):
        return {tree.name}
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, _IMPORTS):
            found |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
    return found


# -- the result


def _checked(text: str, block: str, entry: str) -> str:
    """The new block, if it is a program that keeps the entry and is not the parent again."""
    if not text.strip():
        raise EditError("empty", "Nothing is left of the block.")
    if MARKER.search(text):
        raise EditError("markers", "The new block holds an EVOLVE-BLOCK marker; write none of them.")
    try:
        tree = parse(text)
    except SourceError as error:
        raise _broken(error, text, True) from None
    try:
        function = find_entry(tree, entry)
    except SourceError:
        raise EditError(
            "entry_missing", f"The code defines no function '{entry}' at its top level."
        ) from None
    wanted, given = _wanted(block, entry), _signature(function)
    if wanted != given:
        raise EditError(
            "entry_changed",
            f"'{entry}' takes ({quote(given, 120)[1:-1]}); it must take ({quote(wanted, 120)[1:-1]}).",
        )
    if hashes(text).canonical == hashes(block).canonical:
        raise EditError("unchanged", "The new block does what the parent does; change what it computes.")
    return text if text.endswith("\n") else text + "\n"


@lru_cache(maxsize=256)
def _wanted(block: str, entry: str) -> str:
    return _signature(find_entry(parse(block), entry))


def _signature(function: ast.FunctionDef) -> str:
    """Parameters and their defaults as text, without annotations, which are not behaviour."""
    found = function.args
    for argument in (*found.posonlyargs, *found.args, *found.kwonlyargs, found.vararg, found.kwarg):
        if argument is not None:
            argument.annotation = None
    return ast.unparse(found)
