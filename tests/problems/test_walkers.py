"""A policy that looks for the rest of its case in frames, memory, the collector's lists and descriptors finds none."""

import re

import pytest

from evolve.evaluator import Job, Judge
from evolve.loader import load

# What the rest of a case would look like: a stream of items, of requests, of keys over time.
LOOKS = {
    "online_bin_packing": "thing.ndim == 1 and thing.size >= 1000",
    "cache_eviction": "thing.ndim == 1 and thing.size >= 1000",
    "memory_rule": "thing.ndim == 4",
}
WALK = """
import gc
import os
import sys

import numpy as np


def _walk(given):
    seen, found = {}, 0
    waiting = [*gc.get_objects(), sys.modules, dict(globals())]
    frame = sys._getframe()
    while frame is not None:
        waiting += [frame.f_locals, frame.f_globals]
        frame = frame.f_back
    while waiting and len(seen) < 300000:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        if isinstance(thing, np.ndarray):
            if not any(np.shares_memory(thing, one) for one in given) and (LOOK):
                found += 1
        elif isinstance(thing, (list, tuple)) and len(thing) >= 1000 and not set(map(type, thing)) - {int, float}:
            found += 1
        waiting += gc.get_referents(thing)
    files = 0
    for number in range(3, 64):
        try:
            files += len(os.pread(number, 1 << 16, 0)) > 4000
        except OSError:
            pass
    return len(seen), found, files


def _looked(answer, *args):
    if not _TOLD:
        _TOLD.append(1)
        given = [one for one in (answer, *args) if isinstance(one, np.ndarray)]
        print("looked at %d, found %d, read %d" % _walk(given))
    return answer


_TOLD = []
"""
SAID = re.compile(r"looked at (\d+), found (\d+), read (\d+)")


@pytest.fixture(scope="module", params=LOOKS)
def walked(request):
    """The problem's name, its judge, and its seed program with and without a walk."""
    problem = load(request.param)
    names = re.search(rf"def {problem.entry}\(([^)]*)\)", problem.block)[1]
    inner = problem.block.replace(f"def {problem.entry}(", "def _inner(")
    outer = f"\n\ndef {problem.entry}({names}):\n    return _looked(_inner({names}), {names})\n"
    judge = Judge(problem)
    yield problem, judge, WALK.replace("LOOK", LOOKS[request.param]) + inner, outer
    judge.close()


def test_it_finds_nothing_and_scores_no_better(walked):
    problem, judge, inner, outer = walked
    judged = judge.judge(Job(inner + outer))
    looked, found, files = map(int, SAID.search(judged.evaluation.output).groups())
    assert looked > 5_000
    assert (found, files) == (0, 0)
    alone = judge.judge(Job(problem.block)).evaluation
    assert judged.evaluation.objective == alone.objective
    assert judged.evaluation.scores == alone.scores


def test_it_would_find_what_was_there(walked):
    """The control: the walk finds a stream that stands where a leak would put it."""
    _, judge, inner, outer = walked
    judged = judge.judge(
        Job(inner + "\n_leak = {'deep': [[np.ones((2000,)), np.ones((2, 2, 2, 2))]]}\n" + outer)
    )
    assert int(SAID.search(judged.evaluation.output)[2]) >= 1
