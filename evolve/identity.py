r"""Identity of programs: the hash of the text, of what the program does, and of its structure.

Knows scopes as far as renaming a function's locals needs them. Knows nothing of problems, cases or scores.

The *form* of a tree is a string that two programs share only if they must behave the same. A part's form is
kept in its node, so a changed tree costs the path to its root. Names stand in a form between marks until the
scope that owns them renames them; a name that no scope may rename stays.

    \0x\0    a name that is read          \0=x\0   a name that is assigned or deleted
    \0!x\0   a name that must not be renamed (parameter, import, def, global, handler, attribute of a class)
    \1h.i\1  local number i of a scope that holds h levels of scopes
    \2v\2    a float literal, with its sign      \3   the program may look at itself
"""

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from evolve.printing import show
from evolve.tree import Node, docstring

__all__ = ["Hashes", "hashes_of", "text_hash"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NAMES = _words("""
    locals globals vars dir eval exec compile open help breakpoint getattr setattr delattr hasattr input
    inspect traceback dis gc ast tokenize linecache importlib builtins pickle marshal copyreg symtable pdb
    cProfile profile trace tracemalloc faulthandler logging warnings attrgetter methodcaller
""")
"""Names and modules through which a program can see its own text, its locals' names or its line numbers."""

_ATTRIBUTES = _words("""
    _getframe _current_frames currentframe settrace setprofile exc_info last_traceback with_traceback
    monitoring modules tb_frame tb_lineno tb_next f_locals f_globals f_builtins f_code f_lineno f_back
    gi_frame gi_code cr_frame cr_code ag_frame ag_code co_varnames co_names co_code co_consts
""")
# Dunder names that show nothing.
_ORDINARY = _words("""
    __init__ __post_init__ __call__ __len__ __getitem__ __setitem__ __delitem__ __contains__ __iter__
    __next__ __enter__ __exit__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __hash__ __bool__ __add__ __radd__
    __sub__ __rsub__ __mul__ __rmul__ __truediv__ __neg__ __abs__ __slots__ __future__
""")
_TELLING = re.compile(r"__|frame|\b(?:f|co|gi|tb|cr|ag)_")  # in a string: a format may look it up

_FLOAT = re.compile("\2[^\2]*\2")


@dataclass(frozen=True, slots=True)
class Hashes:
    """Identity of one program.

    Args:
        id: hash of its text.
        canonical: equal only for programs which must behave the same: names of function locals, comments,
            docstrings and layout do not count; the hash of the text where a program may look at itself.
        structure: the canonical form with every float literal abstracted.
        nodes: statements and expressions, docstrings and parameters not counted.
    """

    id: str
    canonical: str
    structure: str
    nodes: int


def text_hash(source: str) -> str:
    """The BLAKE2b hash of the text as UTF-8: "b2:" and 16 bytes in hex."""
    return "b2:" + blake2b(source.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def hashes_of(tree: Node, source: str | None = None) -> Hashes:
    """The hashes of a module's tree.

    Args:
        tree: a tree of kind `ast.Module`.
        source: the text that it was read from; by default what `show` prints.
    """
    if source is None:
        source = show(tree)
    own = text_hash(source)
    said = form(tree)
    structure = text_hash("structure " + _FLOAT.sub("\2", said))
    canonical = own if "\3" in said else text_hash(said)
    return Hashes(own, canonical, structure, tree.size)


def form(node: Node) -> str:
    """The form of a part, see the head of this module."""
    known = node.form
    if known is None:
        known = node.form = _FORMS.get(node.kind, _generic)(node)
    return known


def _generic(node: Node) -> str:
    return f"({node.kind.__name__} {' '.join([_field(value) for value in node.fields])})"


def _field(value: Any) -> str:
    if value.__class__ is Node:
        return value.form or form(value)
    if value.__class__ is tuple:
        return f"[{' '.join([_field(item) for item in value])}]"
    if value.__class__ is str:
        return _kept(value)
    if value is None:
        return "~"
    return value.__name__ if isinstance(value, type) else repr(value)


def _reflects(name: str) -> str:
    return "\3" if name in NAMES or (name.startswith("__") and name not in _ORDINARY) else ""


def _kept(name: str) -> str:
    return f"{_reflects(name)}\0!{name}\0"


def _alias(node: Node) -> str:
    """An import binds the first part of a dotted name, or the name after `as`."""
    name, renamed = node.fields
    first, _, rest = name.partition(".")
    return f"(alias {_kept(first)}.{rest} {_field(renamed)})"


def _import_from(node: Node) -> str:
    module, names, level = node.fields
    seen = "".join([_reflects(part) for part in (module or "").split(".")])
    return f"(ImportFrom {seen}{module} {_field(names)} {level})"


def _name(node: Node) -> str:
    name, context = node.fields
    return f"{_reflects(name)}\0{name}\0" if context is ast.Load else f"{_reflects(name)}\0={name}\0"


def _constant(node: Node) -> str:
    value = node.fields[0]
    if value.__class__ is float:
        return f"\2{value!r}\2"
    if value.__class__ is str:  # a name in a string may be looked up
        seen = "\3" if value in NAMES or value in _ATTRIBUTES or _TELLING.search(value) else ""
        return f"{seen}'{value!r}"
    return f"#{value.__class__.__name__}:{value!r}"


def _unary(node: Node) -> str:
    operator, value = node.fields
    inside = form(value)
    if operator is ast.USub and inside[0] == "\2":
        return f"\2-{inside[1:]}"  # one literal with its signs: tuning may turn it
    return f"({operator.__name__} {inside})"


def _binary(node: Node) -> str:
    left, operator, right = node.fields
    return f"({operator.__name__} {left.form or form(left)} {right.form or form(right)})"


def _attribute(node: Node) -> str:
    value, name, context = node.fields
    dunder = name[:2] == "__" and name[-2:] == "__" and name not in _ORDINARY
    seen = "\3" if dunder or name in _ATTRIBUTES else ""
    return f"(.{context.__name__} {value.form or form(value)} {seen}{name})"


def _keyword(node: Node) -> str:
    name, value = node.fields
    return f"({'**' if name is None else name}= {form(value)})"


def _body(node: Node) -> str:
    """The statements of a function, class or module without the docstring."""
    body = node.get("body")
    return _field(body[1:] if docstring(node) is not None else body)


def _module(node: Node) -> str:
    return _body(node)


def _head(node: Node) -> str:
    fields = zip(node.kind._fields, node.fields, strict=True)
    return " ".join([_field(value) for name, value in fields if name != "body"])


def _function(node: Node) -> str:
    # Defaults, annotations and decorators are evaluated outside; the names of parameters are kept.
    inside = _renamed(_body(node), _marked(node.get("args"), "!"))
    return f"({node.kind.__name__} {_head(node)} {inside})"


def _marked(node: Node, mark: str) -> frozenset[str]:
    return frozenset([piece[1:] for piece in form(node).split("\0")[1::2] if piece[0] == mark])


def _renamed(inside: str, kept: frozenset[str], own: frozenset[str] | None = None) -> str:
    """`inside` with the names that its scope owns numbered in the order of their appearance.

    Renaming every occurrence of such a name, in inner scopes too, is sound: an occurrence means this scope's
    local, or an inner scope's own, which no parameter or declaration marks as kept.

    Args:
        inside: form of what runs in the scope.
        kept: names that must stay.
        own: names that the scope owns; by default all that are assigned in it.
    """
    pieces = inside.split("\0")
    names = pieces[1::2]
    owned = own if own is not None else {name[1:] for name in names if name[0] == "="}
    owned = owned - kept - {name[1:] for name in names if name[0] == "!"}
    if own is None and not owned and "=" not in inside:
        return inside
    depth = 0
    if "\1" in inside:
        depth = 1 + max([int(piece.partition(".")[0]) for piece in inside.split("\1")[1::2]])
    numbers: dict[str, str] = {}
    for i in range(1, len(pieces), 2):
        mark = pieces[i][0] if pieces[i][0] in "=!" else ""
        name = pieces[i][len(mark) :]
        if name in owned and not name.startswith("__"):  # a class body would mangle those
            number = numbers.setdefault(name, f"\1{depth}.{len(numbers)}\1")
            pieces[i] = mark + number
        elif mark == "=" and own is None:
            pieces[i] = f"\0!{name}\0"
        else:
            pieces[i] = f"\0{pieces[i]}\0"
    return "".join(pieces)


def _kept_inside(node: Node) -> str:
    """A lambda or class: what is assigned in it (attributes) keeps its name, here and around."""
    if node.kind is ast.ClassDef:
        rest = [
            _field(value)
            for name, value in zip(node.kind._fields, node.fields, strict=True)
            if name != "body"
        ]
        return f"(ClassDef {' '.join(rest)} {_body(node)})".replace("\0=", "\0!")
    return _generic(node).replace("\0=", "\0!")


def _comprehension(node: Node) -> str:
    """A scope of its own for the targets; the first source is evaluated outside of it."""
    generators = node.fields[-1]
    first = generators[0]
    own: frozenset[str] = frozenset()
    for generator in generators:
        own |= _marked(generator.fields[0], "=")
    head = " ".join([_field(value) for value in node.fields[:-1]])
    parts = [f"{_field(first.fields[0])} {_field(first.fields[2])} {first.fields[3]}"]
    parts.extend([form(generator) for generator in generators[1:]])
    inside = _renamed(f"{head} {' '.join(parts)}", frozenset(), own)
    return f"({node.kind.__name__} {form(first.fields[1])} {inside})"


_FORMS: dict[type[ast.AST], Callable[[Node], str]] = {
    ast.Name: _name,
    ast.Constant: _constant,
    ast.UnaryOp: _unary,
    ast.BinOp: _binary,
    ast.Attribute: _attribute,
    ast.keyword: _keyword,
    ast.alias: _alias,
    ast.ImportFrom: _import_from,
    ast.Module: _module,
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.ClassDef: _kept_inside,
    ast.Lambda: _kept_inside,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.DictComp: _comprehension,
    ast.GeneratorExp: _comprehension,
}
