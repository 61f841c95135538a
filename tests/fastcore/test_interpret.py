"""The interpreter against Python itself, and the look-alikes that it must leave to the jail."""

from __future__ import annotations

import ast
import importlib.util
import random
import sys
import time
import tracemalloc
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.fastcore import interpret
from evolve.fastcore.interpret import (
    Function,
    InterpretError,
    NotExpression,
    NotInterpretable,
    compile_expression,
    numpy_functions,
)
from evolve.fastcore.runner import ZygoteError


def _script(name: str) -> ModuleType:
    path = Path(__file__).parents[2] / "bench" / "perf" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


programs = _script("random_expressions")
FUNCTIONS = numpy_functions()
INPUTS = programs.input_sets()
GRID = INPUTS[0]


def plan_of(source: str, entry: str = "entry") -> interpret.Plan:
    return compile_expression(source, entry, FUNCTIONS)


def body(
    *lines: str, head: str = "import numpy as np\nimport math\n", parameters: str = "item, remaining"
) -> str:
    return f"{head}\ndef entry({parameters}):\n" + "".join(f"    {line}\n" for line in lines)


def interpreted(runnable: Any, *arguments: Any) -> tuple[str, ...]:
    try:
        return programs.described(runnable.run(*arguments))
    except InterpretError as error:
        return ("error", error.kind, error.message)


# --- agreement with Python ---------------------------------------------------------------------------------


@settings(max_examples=600, deadline=None)
@given(st.integers(0, 2**64), st.sampled_from(range(len(INPUTS))))
def test_a_random_program_gives_what_python_gives_to_the_last_bit(seed: int, which: int) -> None:
    source = programs.HEAD + programs.Writer(random.Random(seed)).program()
    plan = plan_of(source)
    try:
        found = interpreted(plan, INPUTS[which])
    except NotInterpretable:
        return
    assert found == programs.in_python(programs.executed(source), INPUTS[which])
    bound = plan.bind(INPUTS[which])
    assert interpreted(bound) == found
    assert interpreted(bound) == found, "a second run must not see the first"


def test_it_agrees_with_the_jail(capsys: pytest.CaptureFixture[str]) -> None:
    agreement = _script("interpreter_agreement")
    try:
        verdict = agreement.main(["--programs", "1500", "--singly", "40", "--seed", "11"])
    except ZygoteError as error:
        pytest.skip(f"no jail here: {error}")
    assert verdict == 0, capsys.readouterr().out


class Retyped(ast.NodeTransformer):
    """Writes other floats into the entry of a text, in its order."""

    def __init__(self, constants: list[float]) -> None:
        self.left = constants

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant(self.left.pop(0)) if type(node.value) is float else node

    @classmethod
    def text(cls, source: str, constants: list[float]) -> str:
        tree = ast.parse(source)
        tree.body[-1] = cls(list(constants)).visit(tree.body[-1])
        return ast.unparse(tree)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**64), st.floats(0.0, 1e300), st.sampled_from(range(len(INPUTS))))
def test_other_constants_give_what_the_rewritten_text_gives(seed: int, new: float, which: int) -> None:
    source = programs.HEAD + programs.Writer(random.Random(seed)).program()
    plan = plan_of(source)
    constants = [abs(new) + index for index, _ in enumerate(plan.constants)]
    try:
        found = interpreted(plan, INPUTS[which], constants)
    except NotInterpretable:
        return
    function = programs.executed(Retyped.text(source, constants))
    assert found == programs.in_python(function, INPUTS[which])
    assert interpreted(plan.bind(INPUTS[which]), constants) == found


VALUES: list[Any] = [
    *(value for pair in INPUTS for value in pair),
    np.arange(6).reshape(2, 3),
    np.array(True),
    np.bool_(True),
    np.uint64(2**63),
    np.float32(0.5),
    -7,
    1e400,
]


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_agrees_on_every_kind_of_value(name: str) -> None:
    function = FUNCTIONS[name]
    rng = random.Random(name)
    for given_ in range(function.arity - function.optional, function.arity + 1):
        parameters = ", ".join("abc"[:given_])
        source = (
            f"import numpy as np\nimport math\ndef entry({parameters}):\n    return {name}({parameters})\n"
        )
        plan, python = plan_of(source), programs.executed(source)
        for _ in range(60 * given_):
            values = tuple(rng.choice(VALUES) for _ in range(given_))
            if given_ > function.arity - function.optional and rng.random() < 0.8:
                values = (*values[:-1], rng.choice((0, 1, -1, 2)))
            try:
                found = interpreted(plan, values)
            except NotInterpretable:
                continue
            assert found == programs.in_python(python, values), (name, values)


def test_bits_do_not_depend_on_the_alignment_of_the_inputs() -> None:
    rng = np.random.default_rng(3)
    pool = rng.normal(size=509) * 10.0 ** rng.integers(-8, 8, 509)
    pool[:4] = np.nan, np.inf, -np.inf, -0.0
    buffer = np.zeros(pool.nbytes + 128, np.uint8)
    start = -buffer.ctypes.data % 64
    for name, function in FUNCTIONS.items():
        if not name.startswith("np.") or function.arity - function.optional != 1:
            continue
        plan = plan_of(body(f"return {name}(x)", parameters="x"))
        expected = interpreted(plan, (pool,))
        for shift in range(8, 64, 8):
            moved = buffer[start + shift : start + shift + pool.nbytes].view(np.float64)
            moved[:] = pool
            assert interpreted(plan, (moved,)) == expected, (name, shift)


def test_arrays_in_another_memory_order_are_brought_into_the_jails() -> None:
    plan = plan_of(body("return np.sum(np.tan(item), 0)", parameters="item"))
    table = np.random.default_rng(5).normal(size=(64, 78))
    assert interpreted(plan, (np.asfortranarray(table),)) == interpreted(plan, (table,))
    assert interpreted(plan, (table[::-1][::-1],)) == interpreted(plan, (table,))


def test_an_unused_local_that_fails_still_fails() -> None:
    with pytest.raises(InterpretError, match="ZeroDivisionError: float division by zero") as failed:
        plan_of(body("unused = 1.0 / 0", "return item")).run(GRID)
    assert (failed.value.kind, failed.value.message) == ("ZeroDivisionError", "float division by zero")


def test_the_first_failure_wins_also_when_bound() -> None:
    plan = plan_of(body("a = 1.0 / 0", "b = 1 // 0", "return a + b"))
    assert interpreted(plan, GRID)[2] == interpreted(plan.bind(GRID))[2] == "float division by zero"


def test_a_local_hides_a_parameter_and_a_module_constant() -> None:
    source = body("item = item * SCALE", "item = item + 1.0", "return item", head="SCALE = -2\n")
    assert np.array_equal(plan_of(source).run(GRID), GRID[0] * -2 + 1.0)


def test_equal_operations_are_made_once() -> None:
    calls = []
    counted = Function("np.exp", lambda value: calls.append(1) or np.exp(value), 1)
    source = body("a = np.exp(item - remaining)", "return a + np.exp(item - remaining)")
    compile_expression(source, "entry", {"np.exp": counted}).run(GRID)
    assert len(calls) == 1


# --- results, constants and inputs -------------------------------------------------------------------------


@pytest.mark.parametrize("expression", ["item", "np.round(item)", "min(item, item)", "+item", "np.abs(item)"])
@pytest.mark.parametrize("item", [np.arange(3), np.arange(1), np.array(7)], ids=["many", "one", "rank 0"])
def test_a_result_never_aliases_an_input(expression: str, item: np.ndarray) -> None:
    plan = plan_of(body(f"return {expression}", parameters="item"))
    for runnable, arguments in ((plan, ((item,),)), (plan.bind((item,)), ())):
        try:
            found = runnable.run(*arguments)
        except InterpretError:
            continue  # min() asks many items for their truth value
        assert not isinstance(found, np.ndarray) or not np.shares_memory(found, item)


def test_a_bound_result_may_be_overwritten() -> None:
    bound = plan_of(body("return np.exp(item)", parameters="item")).bind((np.arange(3.0),))
    first = bound.run()
    first[:] = 0.0
    assert np.array_equal(bound.run(), np.exp(np.arange(3.0)))


def test_constants_are_the_entrys_float_literals_in_source_order() -> None:
    plan = plan_of(
        body(
            "a = item * -0.5 + 2", "return np.where(a > 0.5, 1e3, a) ** 2", head="import numpy as np\nX=9.0\n"
        )
    )
    assert plan.constants == (0.5, 0.5, 1000.0)
    assert plan.parameters == ("item", "remaining")
    with pytest.raises(ValueError, match="2 constants given; the program has 3"):
        plan.run(GRID, [1.0, 2.0])


def test_equal_constants_are_tuned_apart() -> None:
    plan = plan_of(body("return item * 0.5 + item * 0.5"))
    assert plan.run((2.0, 0), [1.0, 3.0]) == 8.0


def test_a_tuners_numpy_floats_promote_like_literals() -> None:
    plan = plan_of(body("return item * 0.5"))
    assert plan.run((np.ones(2, np.float32), 0), np.array([0.25])).dtype == np.float32


@pytest.mark.parametrize(
    "inputs",
    [
        ("text", 1.0),
        ([1, 2], 1.0),
        (np.ones(2, complex), 1.0),
        (np.ones(2, np.float16), 1.0),
        (np.array([None]), 1.0),
        (np.ones(2, ">f8"), 1.0),
        (2**64, 1.0),
        (np.datetime64("2020-01-01"), 1.0),
        (1.0,),
    ],
    ids=str,
)
def test_inputs_of_other_kinds_are_left_to_the_jail(inputs: tuple[Any, ...]) -> None:
    with pytest.raises(NotInterpretable):
        plan_of(body("return item")).run(inputs)


# --- attack 90: overflow, division by zero, nesting, and other ways to ask for too much --------------------


def test_growing_integers_are_left_to_the_jail() -> None:
    lines = ["a = 10 ** 8", *["a = a ** 8"] * 60, "return a"]
    with pytest.raises(NotInterpretable, match="integer"):
        plan_of(body(*lines)).run(GRID)
    with pytest.raises(NotInterpretable, match="integer"):
        plan_of(body("return math.floor(1e300)")).run(GRID)
    with pytest.raises(NotInterpretable, match="integer"):
        plan_of(body("return np.abs(item * 4)", parameters="item")).run((2**62,))


def test_overflow_and_division_by_zero_are_quiet_and_equal() -> None:
    source = body("return np.exp(item * 1e308) / (remaining - remaining) + item // 0.0 + item % 0.0")
    with np.errstate(all="raise"):
        found = plan_of(source).run(GRID)
    assert programs.described(found) == programs.in_python(programs.executed(source), GRID)
    assert interpreted(plan_of(body("return 2.5 ** 8 * 1e308 ** 8")), GRID)[1] == "OverflowError"


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("-" * 1000 + "item", "not straight-line"),
        ("-" * 60_000 + "item", "invalid"),
        ("(" * 1000 + "item" + ")" * 1000, "invalid"),
        ("np.abs(" * 1000 + "item" + ")" * 1000, "invalid"),
        ("item" + " + item" * 1000, "not straight-line"),
        ("item" + "+item" * 12_000, "invalid"),
        ("item" + ".a" * 30_000, "invalid"),
        ("[" * 150 + "]" * 150, "not straight-line"),
    ],
    ids=["signs", "many signs", "parentheses", "calls", "sum", "long sum", "attributes", "lists"],
)
def test_nesting_neither_crashes_nor_hangs(expression: str, kind: str) -> None:
    start = time.process_time()
    with pytest.raises(NotExpression) as refused:
        plan_of(body(f"return {expression}"))
    assert refused.value.kind == kind
    assert time.process_time() - start < 5.0


def test_an_outer_product_stays_within_the_broadcast_of_the_inputs() -> None:
    table, column = np.ones((500, 2)), np.ones((500, 1))
    plan = plan_of(body("return np.sum(item, 1) + remaining"))
    tracemalloc.start()
    with pytest.raises(NotInterpretable, match="more than 4000 elements"):
        plan.run((table, column))
    assert tracemalloc.get_traced_memory()[1] < 500_000, "it must be refused before it is made"
    tracemalloc.stop()
    assert plan.run((table, column), max_elements=250_000).shape == (500, 500)


def test_take_cannot_multiply_shapes() -> None:
    plan = plan_of(body("return np.take(item, remaining, 1)"))
    with pytest.raises(NotInterpretable, match="elements"):
        plan.run((np.ones((300, 4)), np.zeros((300, 4), int)))


def test_max_elements_bounds_elementwise_programs_too() -> None:
    with pytest.raises(NotInterpretable, match="more than 10 elements"):
        plan_of(body("return item + remaining")).run(GRID, max_elements=10)


def test_much_work_is_left_to_the_jail_and_its_clock() -> None:
    lines = [*["item = np.power(item, remaining)"] * 900, "return item"]
    large = np.ones(100_000)
    with pytest.raises(NotInterpretable, match="900 operations on 100000 elements"):
        plan_of(body(*lines)).run((large, large))
    with pytest.raises(NotExpression, match="more than 1000 operations"):
        plan_of(body(*["item = item + 1"] * 1001, "return item"))


# --- unusual spellings and the whitelist --------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        body("return math.exp(item)", head="import numpy as math\n"),
        body("return numpy.exp(item)", head="import numpy\n"),
        body("return n.exp(item) + math.pi", head="import numpy as n, math\n"),
        body("return ｎp.exp(item)"),  # Python itself reads it as np
        body("ﬁt = item * 2.0", "return fit"),
        body("return item * 2.0", head="from __future__ import annotations\nimport numpy as np\n"),
        '"""Doc."""\n' + body('"""Doc."""', "a = b = item", "return a * b"),
        body("x: np.ndarray = item", "return x", parameters="item: np.ndarray, remaining: 'any'"),
        body("return abs(item) - LOW", head="LOW: float = -2.5\nHIGH = LAST = +3\n"),
        body("return item ** -N", head="N = 2\n"),
        body("return item", parameters="item, /, remaining"),
        body("return np.sum(item) - np.sum(item, 0)"),
        "def other(x):\n    return x\n\n" + body("return item * 1.5"),
        body("return item") + "LATER = 1\n",
        body("exp = item", "return np.exp(exp)"),
        body("return item + LATER") + "LATER = 1\n",
        body("return not 1.0"),
        body("return (item > 1) & ~(remaining > 60.0) | (item == 3) ^ True"),
        "\r\n".join(body("return item + 1.0").split("\n")),
    ],
)
def test_an_unusual_spelling_is_read_as_python_reads_it(source: str) -> None:
    assert interpreted(plan_of(source), GRID) == programs.in_python(programs.executed(source), GRID)


@pytest.mark.parametrize(("arity", "optional"), [(0, 0), (4, 0), (1, 1), (2, -1)])
def test_a_function_takes_one_to_three_arguments(arity: int, optional: int) -> None:
    with pytest.raises(ValueError, match="want 1 to 3"):
        Function("np.exp", np.exp, arity, optional)


def test_the_whitelist_is_shared_and_read_only() -> None:
    assert numpy_functions() is numpy_functions()
    with pytest.raises(TypeError):
        numpy_functions()["np.load"] = Function("np.load", np.load, 1)  # type: ignore[index]
    for name, function in numpy_functions().items():
        assert name == function.name
        assert eval(name, {"np": np, "math": __import__("math")}) is function.call


def test_known_numbers_are_numpys_and_maths() -> None:
    for name in ("np.pi", "np.e", "np.inf", "np.nan", "np.euler_gamma", "math.tau", "math.nan", "math.inf"):
        source = body(f"return {name}")
        assert plan_of(source).constants == ()
        assert interpreted(plan_of(source), GRID) == programs.in_python(programs.executed(source), GRID)
