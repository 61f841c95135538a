"""Which zygote a program is forked from: told from its text alone, whatever the text."""

import pytest

from evolve.needs import zygote_for

USING = [
    "import numba",
    "import numpy as np, numba as nb",
    "import numba.typed",
    "from numba import njit",
    "from numba.experimental import jitclass",
    "def f(x):\n    import numba\n    return x",
    "try:\n    from numba import njit\nexcept ImportError:\n    njit = None",
    "numba = __import__('numba')",
    "import importlib\nnumba = importlib.import_module('numba.core')",
    "\ufeffimport numba",
]
NOT_USING = [
    "",
    "import numpy as np",
    "# numba would be quicker",
    "numba = 3\nnumba_like = numba + 1",
    "'''Not with numba.'''",
    "import numbalike",
    "from . import numba",
    "from .numba import njit",
    "import numba(",
    "import numba\0",
    "import numba\n" + "(" * 5_000,
    "import numba\n" + "x = 1\n" * 20_000,
    "import numba\n'\ud800'",
]


@pytest.mark.parametrize("source", USING)
def test_numba_is_added_where_a_program_imports_it(source):
    assert zygote_for(source, ()) == ("numba",)
    assert zygote_for(source, ["scipy"]) == ("scipy", "numba")
    assert zygote_for(source, ["numba", "scipy"]) == ("numba", "scipy")


@pytest.mark.parametrize("source", NOT_USING)
def test_other_texts_leave_the_preload_as_it_is(source):
    assert zygote_for(source, ()) == ()
    assert zygote_for(source, ["scipy"]) == ("scipy",)
