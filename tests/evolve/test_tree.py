"""Immutable trees: nothing is lost from `ast` to tree to text to `ast`, and what is kept is never stale."""

import ast
import random
import sysconfig
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.identity import hashes_of
from evolve.printing import show, text
from evolve.source import hashes, to_tree
from evolve.tree import Node, at, docstring, edit_body, from_ast, replace, to_ast, walk

LOAD = ast.Load()
names = st.sampled_from(["a", "b", "np", "x1"]).map(lambda name: ast.Name(name, LOAD))
constants = st.one_of(
    st.integers(0, 10**12),
    st.floats(0, allow_nan=False),
    st.booleans(),
    st.none(),
    st.just(...),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.floats(0, allow_nan=False).map(lambda value: complex(0, value)),
).map(ast.Constant)
binary = st.sampled_from(
    [ast.Add, ast.Sub, ast.Mult, ast.MatMult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow,
     ast.LShift, ast.RShift, ast.BitOr, ast.BitXor, ast.BitAnd]
)  # fmt: skip
compared = st.sampled_from(
    [ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Is, ast.IsNot, ast.In, ast.NotIn]
)
no_arguments = ast.arguments([], [], None, [], [], None, [])


def some(inner, least=0):
    return st.lists(inner, min_size=least, max_size=3)


def generators(inner):
    target = st.sampled_from(
        [ast.Name("a", ast.Store()), ast.Tuple([ast.Name("a", ast.Store())], ast.Store())]
    )
    return some(st.builds(lambda t, i, c: ast.comprehension(t, i, c, 0), target, inner, some(inner)), 1)


def larger(inner):
    starred = st.one_of(inner, inner.map(lambda value: ast.Starred(value, LOAD)))
    index = st.one_of(
        inner,
        st.builds(ast.Slice, st.none() | inner, st.none() | inner, st.none() | inner),
        st.builds(lambda a, b: ast.Tuple([ast.Slice(a, None, None), b], LOAD), inner, inner),
    )
    keywords = some(st.builds(ast.keyword, st.sampled_from(["k", None]), inner))
    return st.one_of(
        st.builds(lambda a, o, b: ast.BinOp(a, o(), b), inner, binary, inner),
        st.builds(
            lambda o, a: ast.UnaryOp(o(), a),
            st.sampled_from([ast.USub, ast.UAdd, ast.Not, ast.Invert]),
            inner,
        ),
        st.builds(lambda o, a: ast.BoolOp(o(), a), st.sampled_from([ast.And, ast.Or]), some(inner, 2)),
        st.builds(
            lambda a, o, b: ast.Compare(a, [x() for x in o], b[: len(o)]),
            inner,
            st.lists(compared, min_size=1, max_size=2),
            st.lists(inner, min_size=2, max_size=2),
        ),
        st.builds(ast.IfExp, inner, inner, inner),
        st.builds(ast.Call, inner, some(starred), keywords),
        st.builds(lambda a: ast.Attribute(a, "real", LOAD), inner),
        st.builds(lambda a, i: ast.Subscript(a, i, LOAD), inner, index),
        st.builds(lambda a: ast.Tuple(a, LOAD), some(starred)),
        st.builds(lambda a: ast.List(a, LOAD), some(starred)),
        st.builds(ast.Set, some(starred, 1)),
        st.builds(lambda k, v: ast.Dict([k, None], [v, k]), inner, inner),
        st.builds(ast.ListComp, inner, generators(inner)),
        st.builds(ast.GeneratorExp, inner, generators(inner)),
        st.builds(ast.DictComp, inner, inner, generators(inner)),
        st.builds(lambda a: ast.Lambda(no_arguments, a), inner),
        st.builds(lambda a: ast.NamedExpr(ast.Name("w", ast.Store()), a), inner),
        inner.map(ast.Await),
        inner.map(ast.Yield),
    )


expressions = st.recursive(names | constants, larger, max_leaves=12)


@given(expressions)
@settings(max_examples=400, deadline=None)
def test_an_expression_is_printed_so_that_it_reads_back(tree):
    tree = ast.fix_missing_locations(tree)
    printed = text(from_ast(tree))
    assert ast.dump(ast.parse(f"({printed})", mode="eval").body) == ast.dump(tree)
    assert ast.dump(to_ast(from_ast(tree))) == ast.dump(tree)


@given(expressions)
@settings(max_examples=200, deadline=None)
def test_hashes_of_a_tree_are_those_of_its_text(tree):
    module = ast.Module([ast.Return(tree)], [])
    root = from_ast(module)
    assert hashes_of(root) == hashes(show(root))


def library():
    root = Path(sysconfig.get_path("stdlib"))
    files = sorted([*root.glob("*.py"), *root.glob("test/test_*.py"), *root.glob("asyncio/*.py")])
    wanted = {"test_grammar.py", "test_patma.py", "test_fstring.py", "test_except_star.py", "test_typing.py"}
    return random.Random(3).sample(files, 30) + [file for file in files if file.name in wanted]


@pytest.mark.parametrize("file", library(), ids=lambda file: file.name)
def test_the_standard_library_survives_the_round_trip(file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            pytest.skip("no Python of this version")
        root = from_ast(tree)
        assert ast.dump(ast.parse(show(root))) == ast.dump(tree)
        assert ast.dump(to_ast(root)) == ast.dump(tree)


BLOCK = '''import numpy as np


def f(n, m):
    """Say
    it in "two" lines.
    """
    a = [i * 1.5 for i in range(n)]
    with (n, m):
        pass
    with ((n, m)) as k, m:
        pass
    for i, (x, *y) in enumerate(a):
        if x > m:
            a[i] = -x ** 2
        elif x:
            continue
        else:
            text = "one\\ntwo"
            if y:
                del y
    while n:
        n -= 1
    else:
        n = yield
    return a, *a


class C(dict, metaclass=type):
    "Doc\\\\s"

    @property
    def g(self, *args: int, k: float = -0.0, **kw) -> "C":
        try:
            return f"{self!r:>{k}}"
        except* (ValueError, TypeError) as error:
            raise KeyError from error
        finally:
            pass


async def h():
    async with C() as c:
        async for d in c:
            await d
    match c:
        case [1, *rest] if rest:
            """No docstring."""
        case {"k": v, **kw} | C(v, x=kw):
            return (x := v)
'''


def test_a_block_with_everything_in_it_is_kept():
    root = to_tree(BLOCK)
    assert ast.dump(ast.parse(show(root))) == ast.dump(ast.parse(BLOCK))
    assert to_tree(show(root)).size == root.size
    assert hashes_of(root) == hashes(show(root))
    assert hashes(BLOCK).canonical == hashes(show(root)).canonical


def test_printing_is_stable_and_keeps_docstrings_readable():
    root = to_tree(BLOCK)
    assert '    """Say\n    it in "two" lines.\n    """\n' in show(root)
    assert show(to_tree(show(root))) == show(root)


@given(st.data())
@settings(deadline=None)
def test_nothing_kept_is_stale_after_an_edit(data):
    root = to_tree(BLOCK)
    hashes_of(root)  # fills every cache
    before = show(root)
    places = [(path, node) for path, node in walk(root) if node.kind in (ast.Name, ast.Constant, ast.BinOp)]
    loads = [path for path, node in places if node.kind is not ast.Name or node.fields[1] is ast.Load]
    path = data.draw(st.sampled_from(loads))
    other = to_tree("q + 2.5\n").fields[0][0].fields[0]
    inside_text = any(
        at(root, path[:i]).kind in (ast.JoinedStr, ast.MatchValue, ast.MatchMapping, ast.MatchClass)
        for i in range(len(path))
    )
    first = at(root, path[:-1]).kind is ast.Expr
    if inside_text or first:
        return  # a pattern or a docstring is no place for a sum
    changed = replace(root, path, other)
    fresh = from_ast(to_ast(changed))
    assert show(changed) == show(fresh)
    assert hashes_of(changed) == hashes_of(fresh) == hashes(show(fresh))
    assert changed.size == fresh.size
    assert show(root) == before


def test_only_the_way_to_the_root_is_made_anew():
    root = to_tree("def f(a):\n    b = a * 2\n    return b + 1\n")
    path = ((0, 0), (2, 1), 0, 2)
    assert text(at(root, path)) == "1"
    changed = replace(root, path, at(root, ((0, 0), (2, 0), 1)))
    assert show(changed) == "def f(a):\n    b = a * 2\n    return b + a * 2\n"
    assert at(changed, ((0, 0), (2, 0))) is at(root, ((0, 0), (2, 0)))
    assert changed.size == root.size + 2


def test_statements_are_inserted_and_deleted():
    root = to_tree("def f(a):\n    b = a\n    return b\n")
    path = ((0, 0), (2, 0))
    line = at(root, path)
    assert show(edit_body(root, path, ())) == "def f(a):\n    return b\n"
    assert show(edit_body(root, path, (line, line))) == "def f(a):\n    b = a\n    b = a\n    return b\n"
    with pytest.raises(ValueError, match="does not end in a list"):
        edit_body(root, (*path, 1), ())


def test_size_counts_statements_and_expressions_only():
    root = to_tree('def f(a: int = 3) -> None:\n    """Doc."""\n    return -a * f(b=2)\n')
    assert docstring(root.fields[0][0]) == "Doc."
    assert root.size == 10  # def, default 3, None, return, *, -, a, call, f, 2
    assert "size=10" in repr(root)
    assert isinstance(root, Node)
