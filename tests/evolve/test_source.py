"""The text of a program: cut, put back, parsed under guard, and told apart by what it does."""

import ast
import dis
import random
import sys
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.fastcore.limits import MAX_SOURCE
from evolve.source import (
    BlockError,
    SourceError,
    cut,
    find_entry,
    hashes,
    parse,
    program_of,
    put_back,
    text_hash,
)

FILE = '''"""A problem."""
from evolve import problem

# EVOLVE-BLOCK-START
def f(x):
    return x
# EVOLVE-BLOCK-END

after = 1
'''

# -- the block


def test_a_block_is_cut_out_and_put_back():
    where = cut(FILE, "p.py")
    assert where.block == "def f(x):\n    return x\n"
    assert where.first_line == 5
    assert FILE.splitlines()[where.first_line - 1] == "def f(x):"
    assert put_back(where, where.block) == FILE
    assert cut(put_back(where, "def f(x):\n    return 2"), "p.py").block == "def f(x):\n    return 2\n"


def test_an_empty_block_is_a_block():
    assert cut("# EVOLVE-BLOCK-START\n# EVOLVE-BLOCK-END\n", "p.py").block == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\n", r"p.py: line 1: no block; put '# EVOLVE-BLOCK-START'"),
        ("\n# EVOLVE-BLOCK-START\n", "line 2: .* is never closed; add '# EVOLVE-BLOCK-END'"),
        ("\n\n# EVOLVE-BLOCK-END\n", "line 3: .* without a start"),
        (
            "# EVOLVE-BLOCK-END\n# EVOLVE-BLOCK-START\n",
            "line 1: .* stands before .* of line 2; exchange them",
        ),
        (FILE + FILE, "line 13: a second '# EVOLVE-BLOCK-START' .the first is in line 4."),
        (FILE + "# EVOLVE-BLOCK-END\n", "line 10: a second '# EVOLVE-BLOCK-END' .the first is in line 7."),
        (FILE.replace("return x", "return ("), r"p.py:6:\d+: .*; mend the block"),
        (FILE.replace("return x", "return '\0'"), r"p.py:5: the program holds a NUL"),
    ],
)
def test_a_wrong_block_is_told_with_file_line_and_mend(text, says):
    with pytest.raises(BlockError, match=says):
        cut(text, "p.py")


def test_markers_inside_a_line_of_code_do_not_count():
    text = FILE.replace("after = 1", "after = '# EVOLVE-BLOCK-END'")
    assert cut(text, "p.py").block == "def f(x):\n    return x\n"


# -- parsing


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("x = '" + "a" * MAX_SOURCE + "'", "longer than 65536 bytes"),
        ("x = '" + "é" * (MAX_SOURCE // 2) + "'", "longer than 65536 bytes"),
        ("x = 1\0", "NUL"),
        ("def f(:\n", r"not Python: .* \(line 1, column \d+\)"),
        ("x = 1\n  y = 2\n", "line 2"),
        ("(" * 5000, "not Python|nested"),
        ("x = " + "-" * 20_000 + "1", "nested"),
        ("x = " + "+".join("a" * 5000), "nested"),
        ("x = " + "[" * 90 + "]" * 90 + "." + ".".join("a" * 200), "nested"),
        ("x = " + "9" * 5000, "not Python"),
        ("x = 0x" + "f" * 5000, "not Python"),
        ("x = -0b" + "1_" * 20_000 + "1", "not Python"),
        ("x = '\ud800'", "not Python"),
    ],
)
def test_whatever_is_no_program_is_one_kind_of_error(source, says):
    with pytest.raises(SourceError, match=says):
        parse(source)


def test_a_byte_order_mark_is_no_part_of_a_program():
    assert program_of("\ufeffdef f(x):\n    return x\n", "f") == program_of("def f(x):\n    return x\n", "f")
    assert hashes("\ufeffx = 1\n") == hashes("x = 1\n")
    with pytest.raises(SourceError, match="not Python"):
        parse("\ufeff\ufeffx = 1\n")
    with pytest.raises(SourceError, match="not Python"):
        parse("x = 1\n\ufeffy = 1\n")


def test_a_file_may_begin_with_a_byte_order_mark():
    text = "\ufeff" + FILE[FILE.index("# EVOLVE") :]
    where = cut(text, "p.py")
    assert where.block == "def f(x):\n    return x\n"
    assert put_back(where, where.block) == text


def test_warnings_of_a_program_are_its_own_affair():
    parse("x = '\\d' is 1\n")


def test_the_last_definition_of_the_entry_counts():
    tree = parse("def f(x):\n    return 1\n\ndef f(y):\n    return 2\n")
    assert find_entry(tree, "f").args.args[0].arg == "y"
    with pytest.raises(SourceError, match="no function 'g'"):
        find_entry(tree, "g")
    with pytest.raises(SourceError, match="no function 'g'"):
        program_of("def f(x):\n    return 1\n", "g")


def test_a_program_carries_its_hashes():
    program = program_of("def f(x):\n    return x * 1.5\n", "f")
    assert program.id == text_hash(program.source)
    assert program.id.startswith("b2:")
    assert len(program.id) == 35
    assert program.nodes == 5


# -- canonical hash: what must be equal


def canonical(source):
    return hashes(source).canonical


TEMPLATE = """
def f(p, q=1):
    {a} = p + 1.5
    {b} = [{c} * {a} for {c} in range(q) if {c} > {a}]
    for {d} in {b}:
        {a} += {d}
        if ({e} := {a} * 2) > 3:
            break
    def inner(z):
        {g} = z + {a}
        return {g} * {b}[0]
    k = lambda z: z + {d}
    return inner({a}) + k({e}) + G
"""
NAMES = ["a", "b", "c", "d", "e", "g", "x1", "total", "radius"]


@given(st.permutations(NAMES))
def test_names_of_locals_do_not_count(names):
    filled = TEMPLATE.format(**dict(zip("abcdeg", names, strict=False)))
    assert canonical(filled) == canonical(TEMPLATE.format(**{name: name for name in "abcdeg"}))
    assert hashes(filled).structure == hashes(TEMPLATE.format(**{name: name for name in "abcdeg"})).structure


def test_a_scopes_own_name_may_be_that_of_another_scope():
    one = "def f(p):\n    a = [b for b in p]\n    return a\n"
    other = "def f(p):\n    a = [a for a in p]\n    return a\n"
    assert canonical(one) == canonical(other)


def test_comments_docstrings_and_layout_do_not_count():
    one = '"""Doc."""\ndef f(x):\n    """Say."""\n    return x+(1)   # why\n'
    other = "def f(x):\n\n    return (x\n        + 1)\n"
    assert canonical(one) == canonical(other)
    assert hashes(one).nodes == hashes(other).nodes
    assert hashes(one).id != hashes(other).id


# -- canonical hash: what must differ


@pytest.mark.parametrize(
    "values",
    [
        ["1", "1.0", "True", "1j", "'1'", "b'1'", "-1", "+1", "-1.0", "None", "..."],
        ["0.0", "-0.0", "0", "False", "- -0.0"],
        ["1e999", "-1e999", "1e999 - 1e999"],
        ["x + y", "y + x", "x - y", "x ** y", "x // y", "x / y"],
        ["x < y", "x <= y", "y < x", "x < y < x"],
        ["(x, y)", "[x, y]", "{x, y}", "(y, x)"],
        ["f(x)", "f(x=x)", "f(*x)", "f(**x)", "f(y=x)"],
        ["x if y else 1", "y if x else 1"],
        ["x[y]", "x[y:]", "x[:y]", "x[::y]", "x[y,]"],
        ["lambda x: x", "lambda y: y", "lambda x: y"],
        ["'\\0!x\\0'", "x", "'x'"],
        ["f'{x=}'", "f'{x!r}'", "f'{x}'", "f'{y=}'"],
        ["x.a", "x.b", "a.x"],
        ["x and y", "x or y", "x and (y and x)", "x and y and x"],
    ],
)
def test_programs_that_differ_are_told_apart(values):
    found = {canonical(f"def f(x, y):\n    z = {value}\n    return z\n") for value in values}
    assert len(found) == len(values)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # a name that is global on one side
        ("def f():\n    a = 1\n    return a\n", "def f():\n    a = 1\n    return b\n"),
        ("def f():\n    return [a for a in G] + [a]\n", "def f():\n    return [a for a in G] + [b]\n"),
        ("def f(p):\n    return [p for a in a]\n", "def f(p):\n    return [p for b in b]\n"),
        ("def f():\n    global a\n    a = 1\n", "def f():\n    global b\n    b = 1\n"),
        ("def f():\n    import a\n    return a\n", "def f():\n    import b\n    return b\n"),
        ("def f():\n    def a(): pass\n    return a\n", "def f():\n    def b(): pass\n    return b\n"),
        ("def f(a):\n    return a\n", "def f(b):\n    return b\n"),
        ("def f(a, b):\n    return a\n", "def f(b, a):\n    return a\n"),
        ("class C:\n    a = 1\n", "class C:\n    b = 1\n"),
        (
            "def f():\n    class C:\n        a = 1\n    return C\n",
            "def f():\n    class C:\n        b = 1\n    return C\n",
        ),
        # the inner scope's own, or the outer's
        (
            "def f():\n    a = 1\n    def g():\n        b = 2\n        return a\n    return g\n",
            "def f():\n    a = 1\n    def g():\n        b = 2\n        return b\n    return g\n",
        ),
        (
            "def f():\n    a = 1\n    def g():\n        a = 2\n    g()\n    return a\n",
            "def f():\n    a = 1\n    def g():\n        nonlocal a\n        a = 2\n    g()\n    return a\n",
        ),
        ("def f(a=1): pass\n", "def f(a=1.0): pass\n"),
        ("x = 1\n", "y = 1\n"),
        ("def f():\n    a = b = 1\n    return a\n", "def f():\n    a = 1\n    return a\n"),
    ],
)
def test_scopes_are_told_apart(one, other):
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    "look",
    [
        "locals()", "vars()", "dir()", "eval('a')", "exec('a')", "globals()", "inspect.stack()",
        "sys._getframe().f_locals", "f.__code__.co_varnames", "f.__doc__", "getattr(f, '__code__')",
        "'{0.__code__}'.format(f)", "__builtins__", "open(__file__)", "__import__('inspect')",
    ],
)  # fmt: skip
def test_a_program_that_looks_at_itself_is_known_by_its_text(look):
    source = f"def f(x):\n    a = 1\n    return {look}\n"
    assert canonical(source) == text_hash(source)
    assert canonical(source) != canonical(source.replace("a =", "b ="))


def test_an_ordinary_class_is_no_look_at_oneself():
    source = "class C:\n    def __init__(self):\n        a = 1\n        self.x = a\n"
    assert canonical(source) == canonical(source.replace("a = 1", "b = 1").replace("= a", "= b"))


def test_structure_abstracts_floats_and_their_signs_only():
    def of(value):
        return hashes(f"def f(x):\n    return x * {value}\n").structure

    assert of("1.5") == of("0.25") == of("-7.0") == of("--3.0")
    assert of("1.5") != of("1")
    assert of("1") != of("2")
    assert of("2") != of("True")


# -- an oracle: programs of one canonical hash compile to the same code


class Scope:
    """Numbers a code object's names in the order in which instructions meet them."""

    def __init__(self, code, parent):
        self.code, self.parent, self.numbers = code, parent, {}
        self.parameters = code.co_varnames[: code.co_argcount]

    def of(self, name):
        if name in self.parameters and not (self.code.co_name.startswith("<") and name == ".0"):
            return name
        if name in self.code.co_freevars and self.parent is not None:
            return "up", self.parent.of(name)
        return self.numbers.setdefault(name, len(self.numbers))


def meaning(code, parent=None):
    scope, out = Scope(code, parent), []
    for step in dis.get_instructions(code):
        if step.opname in ("MAKE_CELL", "LOAD_CLOSURE", "COPY_FREE_VARS", "EXTENDED_ARG"):
            continue  # their order follows the names' alphabet
        value = step.argval
        if isinstance(value, types.CodeType):
            out.append((step.opname, meaning(value, scope)))
        elif step.opcode in dis.haslocal or step.opcode in dis.hasfree:
            out.append((step.opname, scope.of(value) if isinstance(value, str) else len(value)))
        elif "LOCALS" in step.opname or (step.opname == "LOAD_CONST" and isinstance(value, str)):
            out.append(step.opname)  # qualified names of functions
        else:
            out.append((step.opname, type(value).__name__, repr(value)))
    return tuple(out)


class Writer:
    """Small random functions over few names, so that many are alike."""

    def __init__(self, rng):
        self.rng = rng

    def name(self):
        return self.rng.choice("abp")

    def expression(self, depth):
        draw = self.rng.randrange(8 if depth else 3)
        if draw < 2:
            return self.name()
        if draw == 2:
            return self.rng.choice(["1", "1.0"])
        if draw == 3:
            return (
                f"[{self.expression(depth - 1)} for {self.rng.choice('ab')} in {self.expression(depth - 1)}]"
            )
        if draw == 4:
            return f"(lambda {self.name()}: {self.expression(depth - 1)})"
        if draw == 5:
            return f"({self.rng.choice('ab')} := {self.expression(depth - 1)})"
        return f"{self.expression(depth - 1)} + {self.name()}"

    def body(self, depth):
        lines = []
        for _ in range(self.rng.randint(1, 2)):
            draw = self.rng.randrange(5)
            if draw < 3:
                lines.append(f"{self.rng.choice('ab')} = {self.expression(1)}")
            elif draw == 3 and depth:
                lines += ["def g():", *[f"    {line}" for line in self.body(depth - 1)], "g()"]
            else:
                lines += [f"for {self.rng.choice('ab')} in p:", f"    {self.expression(1)}"]
        return [*lines, f"return {self.expression(1)}"]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="comprehensions are inlined: names share slots")
def test_programs_of_one_canonical_hash_compile_to_the_same_code():
    rng = random.Random(1)
    groups = {}
    for _ in range(6000):
        source = "\n    ".join(["def f(p):", *Writer(rng).body(1)]) + "\n"
        try:
            code = compile(source, "f", "exec")
        except SyntaxError:  # `[(a := 1) for a in p]`
            continue
        groups.setdefault(canonical(source), {})[source] = meaning(code)
    shared = [group for group in groups.values() if len(group) > 1]
    assert len(shared) > 100
    for group in shared:
        assert len(set(group.values())) == 1, "\n".join(group)


# -- every single change shows

CORPUS = '''
import numpy as np
K = 3.5
def helper(v, w):
    s = v - w
    return s * 0.5 if s > 0 else -s
def f(n, m):
    """Doc."""
    out = np.zeros((n, 3))
    acc = 0.0
    for i in range(n):
        x = helper(i, m) ** 2
        if x > acc and i != 0:
            acc += x / 2.0
        out[i, 0] = min(acc, K)
    rest = {i: x for i in range(3)}
    return out, [acc for _ in rest if acc]
'''


def changes(tree):
    """The tree with one leaf or operator changed, for every one of them."""
    swap = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Gt: ast.GtE}
    for node in ast.walk(tree):
        for field, old in list(ast.iter_fields(node)):
            new = []
            if isinstance(node, ast.Constant) and field == "value" and old != "Doc.":
                new = [old + 1, float(old) if type(old) is int else int(old)]
            elif isinstance(old, str) and isinstance(node, ast.Name):
                new = [name for name in ("out", "acc", "i", "x", "n", "zz") if name != old]
                if isinstance(node.ctx, ast.Store):
                    new = ["zz"] if old not in ("rest", "_") else []
            elif isinstance(old, str) and field in ("attr", "arg", "name"):
                new = ["zz"]
            elif type(old) in swap:
                new = [swap[type(old)]()]
            elif field == "body" and isinstance(old, list) and len(old) > 1:
                new = [old[:-1], old[::-1]]
            for value in new:
                setattr(node, field, value)
                yield ast.unparse(tree)
            setattr(node, field, old)


def test_every_single_change_of_a_program_shows():
    tree = ast.parse(CORPUS)
    own = canonical(CORPUS)
    assert canonical(ast.unparse(tree)) == own
    tried = list(changes(tree))
    assert len(tried) > 150
    for changed in tried:
        assert canonical(changed) != own, changed
