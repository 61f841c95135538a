"""Programs that use Numba, in the jail: compiled there, with nothing cached, in one thread unless more are allowed."""

import dataclasses

import numpy as np
import pytest

from evolve.fastcore.jit import explain
from evolve.fastcore.limits import Limits
from evolve.fastcore.runner import Failure, Runner

HEAD = "import numba\nimport numpy as np\nfrom numba import njit, prange, types\n"
LIMITS = Limits(seconds=30.0, setup_seconds=30.0, cpu_seconds=60.0)
LINE = np.array([3.0, 1.0, 2.0])


@pytest.fixture(scope="module")
def runner():
    with Runner(preload=("numba",)) as made:
        yield made


def answer(runner, source, *args, limits=LIMITS):
    with runner.start(HEAD + source, "f", limits) as session:
        return session.call(args or (LINE,))


def failure(runner, source, *args, limits=LIMITS):
    with pytest.raises(Failure) as caught:
        answer(runner, source, *args, limits=limits)
    return caught.value


LOOP = "def f(x):\n    total = 0.0\n    for i in range(x.shape[0]):\n        total += x[i]\n    return total\n"
PARALLEL_LOOP = LOOP.replace("range", "prange")


@pytest.mark.parametrize(
    ("decorator", "body"),
    [
        ("@njit", LOOP),
        ("@njit(fastmath=True, error_model='numpy', boundscheck=True)", LOOP),
        ("@njit(cache=True)", LOOP),
        ("@numba.jit(cache=True)", LOOP),
        ("@njit(parallel=True)", PARALLEL_LOOP),
        ("@njit(parallel={'prange': True}, cache=True)", PARALLEL_LOOP),
        ("@njit(types.float64(types.Array(types.float64, 1, 'C', readonly=True)))", LOOP),
        ("@numba.jit(forceobj=True)", LOOP),
    ],
)
def test_a_dispatcher_may_be_the_entry_however_it_is_made(runner, decorator, body):
    assert answer(runner, f"{decorator}\n{body}") == 6.0


UFUNCS = """
@numba.vectorize(['f8(f8)'], cache=True)
def plus(x):
    return x + 1

@numba.vectorize(['f8(f8)'], target='parallel')
def minus(x):
    return x - 1

@numba.guvectorize(['(f8[:],f8[:])'], '(n)->(n)', cache=True)
def double(x, y):
    for i in range(x.shape[0]):
        y[i] = 2 * x[i]

@numba.guvectorize(['(f8[:],f8[:])'], '(n)->(n)', target='parallel')
def half(x, y):
    for i in range(x.shape[0]):
        y[i] = x[i] / 2

@numba.cfunc('f8(f8)', cache=True)
def square(x):
    return x * x

def f(x):
    return plus(x), minus(x), double(x), half(x), square.ctypes(3.0), numba.get_num_threads()
"""


def test_ufuncs_and_callbacks_are_not_cached_and_need_no_threads(runner):
    plus, minus, double, half, square, threads = answer(runner, UFUNCS)
    assert np.array_equal([plus, minus, double, half], [LINE + 1, LINE - 1, LINE * 2, LINE / 2])
    assert (square, threads) == (9.0, 1)


CONTAINERS = """
@njit
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

@njit
def f(x):
    kept = [1.5]
    for value in x:
        kept.append(value)
    return kept.pop() + kept[1], fib(10), typed(x)

@njit
def typed(x):
    seen = numba.typed.Dict.empty(types.int64, types.float64)
    seen[3] = x[0]
    return seen[3]
"""


def test_lists_typed_dicts_and_recursion_are_compiled(runner):
    assert answer(runner, CONTAINERS) == (5.0, 55, 3.0)


def test_threads_that_are_allowed_are_used(runner):
    source = """
    @njit(parallel=True)
    def f(x):
        out = np.zeros(64, np.int64)
        for i in prange(64):
            out[i] = numba.get_thread_id() + 10 * numba.get_num_threads()
        return out
    """
    source = "\n".join(line[4:] for line in source.splitlines())
    limits = dataclasses.replace(LIMITS, threads=3)
    assert set(answer(runner, source, limits=limits)) == {20, 21}
    assert set(answer(runner, source)) == {10}


ERRORS = {
    "return x + 'a'": ("add(readonly array(float64, 1d, C), Literal[str](a))", "return x + 'a'"),
    "return np.zeros(3.5)": ("Cannot parse input types to function np.empty(float64", "return np.zeros(3.5)"),
    "return nothing": ("name 'nothing' is not defined",),
    "x[0] = 1.0\n    return x": ("Cannot modify readonly array", "x[0] = 1.0", "write into a copy)"),
    "with open('a') as file:\n        return file": ("is not supported",),
    "return x.unheard_of": ("Unknown attribute 'unheard_of'", "return x.unheard_of"),
}


@pytest.mark.parametrize("body", ERRORS)
def test_a_compiler_s_error_says_what_and_where_within_its_bounds(runner, body):
    got = failure(runner, f"@njit\ndef f(x):\n    {body}\n")
    assert (got.status, len(got.message) < 1_200) == ("error", True)
    assert [words for words in ERRORS[body] if words not in got.message] == []
    assert [words for words in ("site-packages", "candidate", " at 0x") if words in got.message] == []


def test_a_signature_that_asks_for_writable_inputs_is_explained(runner):
    got = failure(runner, "@njit('f8[:](f8[:])')\ndef f(x):\n    return x * 2\n")
    assert (got.status, "readonly array(float64, 1d, C)" in got.message) == ("error", True)
    assert got.message.endswith("for one such as 'f8[:](f8[:])' asks for arrays that can be written)")


def test_a_message_of_another_s_error_is_left_alone():
    text = "There are 2 candidate implementations:\n  kept\n\nat 0x7f00"
    assert explain(ValueError(text), text) == text


def test_an_error_that_compiled_code_raises_has_its_line(runner):
    got = failure(runner, "@njit\ndef f(x):\n    raise ValueError('as told')\n")
    assert (got.status, got.message) == ("error", "ValueError: as told")
    assert "line 6, in f" in got.traceback


@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        ("y = np.zeros(10)\n    for i in range(10**11):\n        y[i * 1000] = 1.0\n    return y", {"died"}),
        ("kept = [np.zeros(10**7)]\n    while True:\n        kept.append(np.zeros(10**7))", {"memory", "died"}),
        ("return np.zeros(10**12)[0]", {"memory"}),
    ],
    ids=["out of bounds", "list of arrays", "one array"],
)
def test_compiled_code_is_held_like_any_other(runner, body, statuses):
    assert failure(runner, f"@njit\ndef f(x):\n    {body}\n").status in statuses
    assert answer(runner, "@njit\ndef f(x):\n    return x[0]\n") == 3.0


def test_compiled_code_that_never_ends_is_ended(runner):
    source = "@njit('i8(i8)')\ndef f(x):\n    while x >= 0:\n        x = (x + 1) % 1000\n    return x\n"
    limits = dataclasses.replace(LIMITS, seconds=0.5)
    assert failure(runner, source, 1, limits=limits).status == "timeout"


def test_numba_can_be_imported_cold_within_the_set_up():
    with Runner() as lean:
        hidden = HEAD.replace("import numba\n", "numba = __import__('num' + 'ba')\n", 1)
        with lean.start(hidden + "@njit\n" + LOOP, "f", Limits(seconds=30.0)) as session:
            assert session.call((LINE,)) == 6.0

