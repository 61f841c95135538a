"""What has cheated other engines, handed to every shipped problem: a status, or plainly the true score."""

import functools

import pytest

from evolve.loader import load, shipped

HELP = """
import sys
_honest = {entry}
def _like(value, what):
    import numpy as np
    if isinstance(value, np.ndarray) or isinstance(value, (int, float)): return np.full(np.shape(value), what)
    if isinstance(value, (list, tuple)): return [_like(part, what) for part in value]
    return what
def _frames():
    frame = sys._getframe(1)
    while frame:
        yield from list(frame.f_locals.values())
        frame = frame.f_back
"""
# Each answers honestly, or with a lie that no scorer may take for anything but what it is.
HONEST = {
    "patched numpy": """
def {entry}(*args):
    answer = _honest(*args)
    import numpy as np
    np.sqrt = np.sum = np.max = np.min = lambda *a, **k: 0.0
    np.array_equal = np.allclose = np.isclose = np.isfinite = np.all = lambda *a, **k: True
    return answer
""",
    "frame walk": """
def {entry}(*args):
    for thing in _frames():
        for name in ('hidden', 'expected', 'score', 'stream_keys', 'items', 'certify'):
            if hasattr(thing, name) and type(thing).__module__.startswith('evolve'): raise SystemExit('found')
            if isinstance(thing, dict) and name in thing and 'evolve' in str(thing)[:1000]: thing[name] = 0
    return _honest(*args)
""",
}
LIES = {
    "NaN": "def {entry}(*args): return _like(_honest(*args), float('nan'))",
    "pickle": """
import os, pickle
class _Payload:
    def __reduce__(self): return os.system, (f'touch /tmp/evolve_attack_{{MARK}}',)
def {entry}(*args): return pickle.dumps(_Payload())
""",
    "misreported score": "def {entry}(*args): return _honest(*args), 1e9",
}


# An attack meets the same walls where there is less to do.
SMALL = {
    "attention_cell": {"budget": "tiny"},
    "csr_spmm": {"size": 100},
    "small_sort": {"m": 4_000},
    "topk": {"n": 40_000},
    "tsp_guide": {"maps": 2},
}


@functools.cache
def known(name):
    """What one has to know of a problem to attack it."""
    problem = load(name, SMALL.get(name, {}))
    return {"block": problem.block, "entry": problem.entry, "form": problem.form}


def judged(host, name, cheat):
    return host.judge(name, program(name, cheat), parameters=SMALL.get(name, {}))


@functools.cache
def honest(host, name):
    """What the seed is worth, run the same way."""
    return judged(host, name, "\ndef {entry}(*args): return _honest(*args)\n")


def program(name, cheat):
    problem = known(name)
    # What is no expression is run in the jail, and an own name for the seed's entry is none. Compiling takes seconds.
    block = problem["block"].replace("@numba.njit\n", "")
    return block + HELP.format(**problem) + cheat.format(**problem)


@pytest.mark.parametrize("name", sorted(shipped()))
@pytest.mark.parametrize("cheat", HONEST)
def test_55_56_64_66_patches_and_walks_change_no_score(host, name, cheat):
    said = judged(host, name, HONEST[cheat])
    assert said["status"] == honest(host, name)["status"] == "ok", said
    assert said["isolation"] == "strict"
    assert measured(said) == measured(honest(host, name))


@pytest.mark.parametrize("name", sorted(shipped()))
@pytest.mark.parametrize("cheat", LIES)
def test_59_60_lies_are_statuses_or_worth_what_they_are(host, name, cheat):
    said = judged(host, name, LIES[cheat])
    if said["status"] == "ok":
        # Only a table may hold what is not finite: NaN means never. Then it is worth what a table of nevers is.
        assert cheat == "NaN"
        assert known(name)["form"] == "table"
        never = LIES[cheat].replace("'nan'", "'-inf'")
        assert measured(said) == measured(judged(host, name, never))
    else:
        assert said["status"] in ("rejected", "error", "unscorable"), said
        assert said["objective"] is None


def measured(said):
    """The scores that do not depend on the machine: a ratio of times is another one each time."""
    return {case: numbers for case, numbers in said["scores"].items() if "speedup" not in numbers}
