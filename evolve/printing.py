"""Prints trees: each part once, with the fewest parentheses that Python's precedence allows.

Knows the grammar's layout and keeps what it printed in the node. Knows nothing of names, kinds or hashes.
Expressions that are rarely touched are left to `ast.unparse`.
"""

import ast
from collections.abc import Callable

from evolve.tree import Node, docstring, to_ast

__all__ = ["lines", "show", "text"]

# Levels of binding, weakest first (Python reference, 6.17, read from the bottom).
_LOOSE, _TEST, _OR, _AND, _NOT, _COMPARE, _BITOR, _BITXOR = range(8)
_BITAND, _SHIFT, _SUM, _TERM, _SIGN, _POWER, _AWAIT, _ATOM = range(8, 16)

_OPERATORS: dict[type[ast.AST], tuple[str, int]] = {
    ast.Add: ("+", _SUM),
    ast.Sub: ("-", _SUM),
    ast.Mult: ("*", _TERM),
    ast.MatMult: ("@", _TERM),
    ast.Div: ("/", _TERM),
    ast.FloorDiv: ("//", _TERM),
    ast.Mod: ("%", _TERM),
    ast.Pow: ("**", _POWER),
    ast.LShift: ("<<", _SHIFT),
    ast.RShift: (">>", _SHIFT),
    ast.BitOr: ("|", _BITOR),
    ast.BitXor: ("^", _BITXOR),
    ast.BitAnd: ("&", _BITAND),
    ast.And: ("and", _AND),
    ast.Or: ("or", _OR),
    ast.Not: ("not ", _NOT),
    ast.USub: ("-", _SIGN),
    ast.UAdd: ("+", _SIGN),
    ast.Invert: ("~", _SIGN),
}
_COMPARISONS: dict[type[ast.AST], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}
_LEVELS: dict[type[ast.AST], int] = {
    ast.Lambda: _TEST,
    ast.IfExp: _TEST,
    ast.Starred: _TEST,
    ast.Slice: _TEST,
    ast.Compare: _COMPARE,
    ast.Yield: _LOOSE,
    ast.YieldFrom: _LOOSE,
    ast.Await: _LOOSE,
}


def text(node: Node) -> str:
    """The text of an expression, without parentheses around the whole of it."""
    known: str | None = node.text
    if known is None:
        known = node.text = _EXPRESSIONS.get(node.kind, _unparse)(node)
    return known


def lines(node: Node) -> tuple[str, ...]:
    """The logical lines of a statement, unindented; a line may hold newlines inside a string."""
    known: tuple[str, ...] | None = node.text
    if known is None:
        compound = _COMPOUND.get(node.kind)
        known = compound(node) if compound else (_SIMPLE.get(node.kind, _unparse)(node),)
        node.text = known
    return known


def show(root: Node) -> str:
    """The text of a module: every line of it, and a newline at the end."""
    known: str | None = root.text
    if known is None:
        known, wide = "", True
        for statement in root.fields[0]:
            apart = statement.kind in _DEFINITIONS
            known += "\n" * (2 if known and (apart or wide) else 0) + "\n".join(lines(statement)) + "\n"
            wide = apart
        root.text = known
    return known


def _at(node: Node, level: int) -> str:
    """The text of `node`, in parentheses if it binds less tightly than `level`."""
    own = node.text or text(node)
    place = _OPERATOR_AT.get(node.kind)
    bound = _LEVELS.get(node.kind, _ATOM) if place is None else _OPERATORS[node.fields[place]][1]
    return own if bound >= level else f"({own})"


_OPERATOR_AT: dict[type[ast.AST], int] = {ast.BinOp: 1, ast.UnaryOp: 0, ast.BoolOp: 0}


def _unparse(node: Node) -> str:
    return ast.unparse(ast.fix_missing_locations(to_ast(node)))


def _name(node: Node) -> str:
    name: str = node.fields[0]
    return name


def _constant(node: Node) -> str:
    value, kind = node.fields
    if value is Ellipsis:
        return "..."
    if value.__class__ in (float, complex):
        return repr(value).replace("inf", "1e309")  # what overflows a double reads as infinity
    return ("u" if kind == "u" else "") + repr(value)


def _binary(node: Node) -> str:
    left, operator, right = node.fields
    symbol, level = _OPERATORS[operator]
    if level == _POWER:  # binds to the right, and weaker than a sign on its right
        return f"{_at(left, _AWAIT)} ** {_at(right, _SIGN)}"
    return f"{_at(left, level)} {symbol} {_at(right, level + 1)}"


def _unary(node: Node) -> str:
    symbol, level = _OPERATORS[node.fields[0]]
    return symbol + _at(node.fields[1], level)


def _logical(node: Node) -> str:
    symbol, level = _OPERATORS[node.fields[0]]
    return f" {symbol} ".join([_at(value, level + 1) for value in node.fields[1]])


def _compare(node: Node) -> str:
    left, operators, others = node.fields
    tail = [
        f" {_COMPARISONS[operator]} {_at(other, _BITOR)}"
        for operator, other in zip(operators, others, strict=True)
    ]
    return _at(left, _BITOR) + "".join(tail)


def _conditional(node: Node) -> str:
    test, body, orelse = node.fields
    return f"{_at(body, _OR)} if {_at(test, _OR)} else {_at(orelse, _TEST)}"


def _call(node: Node) -> str:
    function, arguments, keywords = node.fields
    given = [_at(argument, _TEST) for argument in arguments]
    given.extend([_keyword(keyword) for keyword in keywords])
    return f"{_at(function, _ATOM)}({', '.join(given)})"


def _keyword(node: Node) -> str:
    name, value = node.fields
    return f"**{_at(value, _BITOR)}" if name is None else f"{name}={_at(value, _TEST)}"


def _attribute(node: Node) -> str:
    value = node.fields[0]
    whole = value.kind is ast.Constant and value.fields[0].__class__ is int  # 1.real is no Python
    return f"({text(value)}).{node.fields[1]}" if whole else f"{_at(value, _ATOM)}.{node.fields[1]}"


def _bare(node: Node) -> str:
    """A tuple without its parentheses where it has any item; anything else as it is."""
    if node.kind is ast.Tuple and node.fields[0]:
        items = node.fields[0]
        return ", ".join([_at(item, _TEST) for item in items]) + ("," if len(items) == 1 else "")
    return text(node)


def _subscript(node: Node) -> str:
    return f"{_at(node.fields[0], _ATOM)}[{_bare(node.fields[1])}]"


def _slice(node: Node) -> str:
    low, high, step = ("" if part is None else _at(part, _TEST) for part in node.fields)
    return f"{low}:{high}" + (f":{step}" if node.fields[2] is not None else "")


def _tuple(node: Node) -> str:
    return f"({_bare(node)})" if node.fields[0] else "()"


def _list(node: Node) -> str:
    return f"[{', '.join([_at(item, _TEST) for item in node.fields[0]])}]"


def _starred(node: Node) -> str:
    return f"*{_at(node.fields[0], _BITOR)}"


def _walrus(node: Node) -> str:
    return f"({text(node.fields[0])} := {_at(node.fields[1], _TEST)})"


def _generators(generators: tuple[Node, ...]) -> str:
    parts = []
    for generator in generators:
        target, source, tests, is_async = generator.fields
        parts.append(f"{'async ' if is_async else ''}for {_bare(target)} in {_at(source, _OR)}")
        parts.extend([f"if {_at(test, _OR)}" for test in tests])
    return " ".join(parts)


_BRACKETS: dict[type[ast.AST], tuple[str, str]] = {
    ast.ListComp: ("[", "]"),
    ast.SetComp: ("{", "}"),
    ast.GeneratorExp: ("(", ")"),
}


def _comprehension(node: Node) -> str:
    left, right = _BRACKETS[node.kind]
    return f"{left}{_at(node.fields[0], _TEST)} {_generators(node.fields[1])}{right}"


def _empty_or(text_: str, node: Node | None, level: int) -> str:
    return "" if node is None else text_ + _at(node, level)


_Printer = Callable[[Node], str]
_EXPRESSIONS: dict[type[ast.AST], _Printer] = {
    ast.Name: _name,
    ast.Constant: _constant,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _logical,
    ast.Compare: _compare,
    ast.IfExp: _conditional,
    ast.Call: _call,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.Slice: _slice,
    ast.Tuple: _tuple,
    ast.List: _list,
    ast.Starred: _starred,
    ast.NamedExpr: _walrus,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.GeneratorExp: _comprehension,
}


# Statements of one line.


def _assign(node: Node) -> str:
    return " = ".join([_bare(part) for part in (*node.fields[0], node.fields[1])])


def _augmented(node: Node) -> str:
    target, operator, value = node.fields
    return f"{text(target)} {_OPERATORS[operator][0]}= {_at(value, _TEST)}"


def _return(node: Node) -> str:
    return "return" if node.fields[0] is None else f"return {_bare(node.fields[0])}"


def _expression(node: Node) -> str:
    return _at(node.fields[0], _TEST)


_SIMPLE: dict[type[ast.AST], _Printer] = {
    ast.Assign: _assign,
    ast.AugAssign: _augmented,
    ast.Return: _return,
    ast.Expr: _expression,
}


# Statements with a body.


def _indented(body: tuple[Node, ...]) -> list[str]:
    return [f"    {line}" for statement in body for line in lines(statement)]


def _documented(node: Node) -> list[str]:
    """The body of a function or class; a docstring keeps its lines where they can stand as they are."""
    body = node.get("body")
    said = docstring(node)
    if said is None:
        return _indented(body)
    plain = '"""' not in said and "\\" not in said and not said.endswith('"') and said.strip() != ""
    if plain and all(sign.isprintable() or sign in "\n\t" for sign in said):
        return [f'    """{said}"""', *_indented(body[1:])]
    return _indented(body)


def _decorated(node: Node) -> list[str]:
    return [f"@{text(decorator)}" for decorator in node.get("decorator_list")]


def _parameters_of_type(node: Node) -> str:
    given = node.get("type_params") if "type_params" in node.kind._fields else ()
    return f"[{', '.join([_unparse(one) for one in given])}]" if given else ""


def _function(node: Node) -> tuple[str, ...]:
    name, arguments = node.fields[:2]
    opening = "async def" if node.kind is ast.AsyncFunctionDef else "def"
    given = arguments.text
    if given is None:
        given = arguments.text = _unparse(arguments)
    returns = _empty_or(" -> ", node.get("returns"), _TEST)
    head = f"{opening} {name}{_parameters_of_type(node)}({given}){returns}:"
    return (*_decorated(node), head, *_documented(node))


def _class(node: Node) -> tuple[str, ...]:
    name, bases, keywords = node.fields[:3]
    given = ", ".join([*[_at(base, _TEST) for base in bases], *[_keyword(keyword) for keyword in keywords]])
    head = f"class {name}{_parameters_of_type(node)}" + (f"({given}):" if given else ":")
    return (*_decorated(node), head, *_documented(node))


def _otherwise(body: tuple[Node, ...], word: str = "else") -> list[str]:
    return [f"{word}:", *_indented(body)] if body else []


def _if(node: Node) -> tuple[str, ...]:
    test, body, orelse = node.fields
    if len(orelse) == 1 and orelse[0].kind is ast.If:
        tail = list(lines(orelse[0]))
        tail[0] = f"el{tail[0]}"
    else:
        tail = _otherwise(orelse)
    return (f"if {_at(test, _TEST)}:", *_indented(body), *tail)


def _while(node: Node) -> tuple[str, ...]:
    test, body, orelse = node.fields
    return (f"while {_at(test, _TEST)}:", *_indented(body), *_otherwise(orelse))


def _for(node: Node) -> tuple[str, ...]:
    target, source, body, orelse = node.fields[:4]
    opening = "async for" if node.kind is ast.AsyncFor else "for"
    return (f"{opening} {_bare(target)} in {_bare(source)}:", *_indented(body), *_otherwise(orelse))


def _with(node: Node) -> tuple[str, ...]:
    opening = "async with" if node.kind is ast.AsyncWith else "with"
    managers = []
    for item in node.fields[0]:
        manager = _at(item.fields[0], _TEST)
        if item.fields[0].kind is ast.Tuple:  # its own parentheses would read as a group of managers
            manager = f"({manager})"
        managers.append(manager + _empty_or(" as ", item.fields[1], _ATOM))
    return (f"{opening} {', '.join(managers)}:", *_indented(node.fields[1]))


def _try(node: Node) -> tuple[str, ...]:
    body, handlers, orelse, final = node.fields
    word = "except" if node.kind is ast.Try else "except*"
    out = ["try:", *_indented(body)]
    for handler in handlers:
        caught, name, inside = handler.fields
        out.append(word + _empty_or(" ", caught, _TEST) + (f" as {name}:" if name else ":"))
        out.extend(_indented(inside))
    return (*out, *_otherwise(orelse), *_otherwise(final, "finally"))


def _match(node: Node) -> tuple[str, ...]:
    subject, cases = node.fields
    out = [f"match {_bare(subject)}:"]
    for case in cases:
        pattern, guard, body = case.fields
        out.append(f"    case {_unparse(pattern)}{_empty_or(' if ', guard, _TEST)}:")
        out.extend([f"    {line}" for line in _indented(body)])
    return tuple(out)


_DEFINITIONS = frozenset((ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
_COMPOUND: dict[type[ast.AST], Callable[[Node], tuple[str, ...]]] = {
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.ClassDef: _class,
    ast.If: _if,
    ast.While: _while,
    ast.For: _for,
    ast.AsyncFor: _for,
    ast.With: _with,
    ast.AsyncWith: _with,
    ast.Try: _try,
    ast.TryStar: _try,
    ast.Match: _match,
}
