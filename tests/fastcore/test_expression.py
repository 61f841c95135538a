"""Look-alikes of expression programs, which must be left to the jail, and texts that are no Python."""

from __future__ import annotations

import pytest

from evolve.fastcore.interpret import NotExpression, compile_expression, numpy_functions


def read(source: str) -> None:
    compile_expression(source, "entry", numpy_functions())


def body(
    *lines: str, head: str = "import numpy as np\nimport math\n", parameters: str = "item, remaining"
) -> str:
    return f"{head}\ndef entry({parameters}):\n" + "".join(f"    {line}\n" for line in lines)


NP = "import numpy as np\n"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("np = 3\n" + body("return np.exp(item)", head=""), "not a whitelisted name"),
        (NP + "np = 3\n" + body("return np.exp(item)", head=""), "np is bound twice"),
        (NP + "import math as np\n" + body("return np.exp(item)", head=""), "np is bound twice"),
        (NP + "np.exp = 3\n" + body("return np.exp(item)", head=""), "assignment to Attribute"),
        (NP + "def np():\n    return 1\n" + body("return np.exp(item)", head=""), "np is bound twice"),
        (body("np = 3.0", "return np.exp(item)"), "not a whitelisted name"),
        (body("a = np.exp(item)", "np = 3.0", "return a"), "not a whitelisted name"),
        (body("return np.exp(item)", parameters="item, np"), "not a whitelisted name"),
        (body("return abs(item)", parameters="item, abs"), "not a whitelisted name"),
        (body("return abs(item)", head="abs = 3\n"), "not a whitelisted name"),
        (body("return abs(item)", head="import math as abs\n"), "not a whitelisted name"),
        ("def abs(x):\n    return x\n" + body("return abs(item)", head=""), "not a whitelisted name"),
        (body("return exp(item)", head="from numpy import exp\n"), "ImportFrom"),
        (body("return exp(item)", head="from numpy import *\n"), "ImportFrom"),
        (body("return x.exp(item)", head="import scipy as x\n"), "import of scipy"),
        (body("return np.linalg.norm(item)"), "not a whitelisted name"),
        (body("return numpy.exp(item)"), "not a whitelisted name"),
        (body("import numpy as xp", "return xp.exp(item)"), "Import in a function"),
        (body("return entry(item, remaining)"), "not a whitelisted name"),
        ("def other(x):\n    return x\n" + body("return other(item)", head=""), "not a whitelisted name"),
        ("def other(x):\n    break\n    return x\n" + body("return item"), "Break"),
        (NP + "@np.vectorize\n" + body("return item", head=""), "decorator"),
        (body("return item", parameters="item, remaining=1"), "default"),
        (body("return item", parameters="item, *, remaining=1"), "other than positional"),
        (body("return item", parameters="item, *, remaining"), "other than positional"),
        (body("return item", parameters="*item"), "other than positional"),
        (body("return item", parameters="**item"), "other than positional"),
        (body("return item", parameters="item: print(1)"), "annotation"),
        (body("return item", parameters="item: nothing"), "annotation"),
        (body("return item", parameters="item: np.nothing"), "annotation"),
        ("def entry(x: np.ndarray):\n    return x\nimport numpy as np\n", "annotation"),
        (body("return item", parameters="item, __debug__"), "__debug__"),
        (body("__builtins__ = 3", "return item"), "__builtins__"),
        ("__builtins__ = 3\n" + body("return item"), "__builtins__"),
        (body("return item", parameters="item, item"), "parameter item"),
        (body("item += 1", "return item"), "AugAssign"),
        (body("a, b = 1, 2", "return item"), "assignment to Tuple"),
        (body("item[0] = 1", "return item"), "assignment to Subscript"),
        (body("a: float", "return a"), "annotation without"),
        (body("(a): float = 1.0", "return a"), "annotation without"),
        (body("a: print(1) = 1.0", "return a"), "annotation that"),
        (body("b = a", "a = 1", "return b"), "a is used before it is assigned"),
        (body("b = X", "X = 1", "return b", head="X = 2\n"), "X is used before it is assigned"),
        (body("X = X + 1", "return X", head="X = 2\n"), "X is used before it is assigned"),
        (body("global X", "X = 1", "return X", head="X = 2\n"), "Global"),
        (body("return item", "return remaining"), "Return in a function"),
        (body("return item", "a = 1"), "last statement"),
        (body("a = item"), "last statement"),
        (body("return"), "last statement"),
        (body("pass", "return item"), "Pass"),
        (body("item", "return item"), "Expr"),
        (body("if item:", "    return 1", "return 2"), "If"),
        (body("def f(): pass", "return item"), "FunctionDef"),
        (body("return (lambda: item)()"), "not a whitelisted name"),
        (body("return lambda: item"), "Lambda"),
        (body("return [x for x in item]"), "ListComp"),
        (body("return (a := item)"), "NamedExpr"),
        (body("return item if 1 else 2"), "IfExp"),
        (body("return item and remaining"), "BoolOp"),
        (body("return 1 < item < 2"), "comparison"),
        (body("return item is remaining"), "comparison"),
        (body("return item in remaining"), "comparison"),
        (body("return item << 2"), "operator LShift"),
        (body("return item @ remaining"), "operator MatMult"),
        (body("return item ** remaining"), "exponent"),
        (body("return item ** 0.5"), "exponent"),
        (body("return item ** 9"), "exponent"),
        (body("return item ** True"), "exponent"),
        (body("N = 2", "return item ** N", head="N = 3\n"), "exponent"),
        (body("return item[0]"), "Subscript"),
        (body("return item.sum()"), "not a whitelisted name"),
        (body("return item.size"), "not a whitelisted name"),
        (body("return (1.0).real"), "not a whitelisted name"),
        (body("return item, remaining"), "Tuple"),
        (body("return 'text'"), "literal of type str"),
        (body("return f'{item}'"), "JoinedStr"),
        (body("return None"), "literal of type NoneType"),
        (body("return 1j"), "literal of type complex"),
        (body("return 9223372036854775809"), "2\\*\\*63"),
        (body("return np"), "np is not a number"),
        (body("return entry"), "entry is not a number"),
        (body("return unknown"), "unknown is not a number"),
        (body("return __name__"), "__name__ is not a number"),
        (body("return np.newaxis"), "not a known number"),
        (body("return np.exp"), "not a known number"),
        (body("return np.exp(item, out=remaining)"), "by position"),
        (body("return np.exp(item, remaining)"), "by position"),
        (body("return np.exp(*item)"), "Starred"),
        (body("return np.exp()"), "by position"),
        (body("return np.load(item)"), "np.load is not whitelisted"),
        (body("return math.factorial(item)"), "not whitelisted"),
        (body("return print(item)"), "not whitelisted"),
        (body("return eval(item)"), "not whitelisted"),
        ("class A:\n    def entry(x):\n        return x\n", "ClassDef"),
        ("async def entry(x):\n    return x\n", "AsyncFunctionDef"),
        ("entry = 3\n", "no function"),
        (body("return item") + "entry = 3\n", "entry is bound twice"),
        (body("return item") + body("return remaining", head=""), "entry is bound twice"),
        ("X = [1]\n" + body("return item"), "number literals"),
        ("X = 1 + 1\n" + body("return item"), "number literals"),
        ("X = 'a'\n" + body("return item"), "literal of type str"),
        ("X = 1\n1\n" + body("return item"), "Expr at module level"),
        ("if True:\n    X = 1\n" + body("return item"), "If at module level"),
        (NP + "from __future__ import annotations\n" + body("return item"), "ImportFrom"),
        ("", "no function"),
    ],
)
def test_a_look_alike_is_refused(source: str, reason: str) -> None:
    with pytest.raises(NotExpression, match=reason) as refused:
        read(source)
    assert refused.value.kind == "not straight-line"


@pytest.mark.parametrize(
    "source",
    [
        "def entry(x:\n",
        "def entry(x):\nreturn x\n",
        "\0",
        "x = '\ud800'\n",
        "\ufeffx = = 1\n",
        f"X = {'9' * 5000}\n",
        "#" * 70_000,
        "é" * 40_000,
    ],
    ids=["cut", "indent", "nul", "surrogate", "bom", "digits", "long", "long in bytes"],
)
def test_an_invalid_text_is_told_apart(source: str) -> None:
    with pytest.raises(NotExpression) as refused:
        read(source)
    assert refused.value.kind == "invalid"
