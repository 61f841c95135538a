"""The compiled walk against a plain one that counts everything anew at each step."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.fastcore.kernels.levels import levels
from evolve.fastcore.kernels.walksat import Walk, walk

AGES = levels(12, steps=2)
SHAPE = (3, 4, len(AGES))
EVERY = np.array(list(product((1, -1), (2, -2), (3, -3))))  # one of them is never satisfied


def formula(rng, n, count):
    variables = np.array([rng.permutation(n)[:3] + 1 for _ in range(count)])
    return variables * rng.choice([-1, 1], (count, 3))


def plain_walk(weights, clauses, start, luck):
    """Count every clause anew for each question."""
    clauses, assigned = clauses.tolist(), list(start)
    n, last = len(assigned), {}

    def unsatisfied(values):
        return [
            c for c, clause in enumerate(clauses) if not any(values[abs(x) - 1] == (x > 0) for x in clause)
        ]

    broken = unsatisfied(assigned)
    fewest, least, recent = len(broken), 0, 0
    for step, (one, other) in enumerate(luck):
        if not broken:
            return Walk(fewest, step, least, recent)
        options = []
        for literal in clauses[broken[int(one * len(broken))]]:
            v = abs(literal) - 1
            flipped = [value ^ (place == v) for place, value in enumerate(assigned)]
            after = set(unsatisfied(flipped))
            makes, breaks = len(set(broken) - after), len(after - set(broken))
            age = max(sum(step - last[v] >= AGES), 1) if v in last else len(AGES)
            options.append((weights[min(makes, 3) - 1, min(breaks, 3), age - 1], v, breaks, flipped, after))
        a, b, c = (option[0] for option in options)
        drawn = other * (a + b + c)
        _, v, breaks, assigned, after = options[0 if drawn < a else 1 if drawn < a + b else 2]
        least += breaks == min(option[2] for option in options)
        recent += v in last and 10 * (step - last[v]) <= n
        last[v] = step
        for c in [c for c, clause in enumerate(clauses) if v + 1 in clause or -v - 1 in clause]:
            if c in broken and c not in after:
                end = broken.pop()
                if end != c:
                    broken[broken.index(c)] = end
            elif c not in broken and c in after:
                broken.append(c)
        fewest = min(fewest, len(broken))
    return Walk(fewest, len(luck), least, recent)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 2**32), st.integers(3, 9), st.integers(1, 45), st.sampled_from(["any", "sharp", "zero"])
)
def test_agrees_with_a_plain_walk(seed, n, count, kind):
    rng = np.random.default_rng(seed)
    weights = {
        "any": rng.random(SHAPE),
        "sharp": np.exp(rng.integers(-3, 4, SHAPE) * 100.0),
        "zero": rng.choice([0.0, 1.0], SHAPE),
    }[kind]
    clauses, start, luck = formula(rng, n, count), rng.random(n) < 0.5, rng.random((60, 2))
    assert walk(weights, clauses, start, luck, AGES) == plain_walk(weights, clauses, start, luck)


def test_of_every_clause_over_three_variables_one_is_never_satisfied():
    luck = np.random.default_rng(0).random((100, 2))
    done = walk(np.ones(SHAPE), EVERY, np.zeros(3, bool), luck, AGES)
    assert (done.fewest, done.steps, done.least) == (1, 100, 100)
    done = walk(np.ones(SHAPE), EVERY[:7], np.zeros(3, bool), luck, AGES)
    assert done.fewest == 0


def test_what_is_satisfied_at_once_takes_no_step():
    clauses = np.array([[1, -2, 3]])
    luck = np.full((5, 2), 0.5)
    assert walk(np.ones(SHAPE), clauses, np.array([True, True, False]), luck, AGES) == Walk(0, 0, 0, 0)
    assert walk(np.ones(SHAPE), clauses, np.array([False, True, False]), luck, AGES) == Walk(0, 1, 1, 0)


@pytest.mark.parametrize(
    ("weights", "clauses", "luck", "says"),
    [
        (np.ones((3, 4)), EVERY, 0.5, "weights have shape"),
        (np.ones((3, 4, 2)), EVERY, 0.5, "weights have shape"),
        (np.full(SHAPE, np.nan), EVERY, 0.5, "a weight is"),
        (np.full(SHAPE, np.inf), EVERY, 0.5, "a weight is"),
        (np.full(SHAPE, -1.0), EVERY, 0.5, "a weight is"),
        (np.ones(SHAPE), EVERY, 1.0, "luck is"),
        (np.ones(SHAPE), EVERY, np.nan, "luck is"),
        (np.ones(SHAPE), EVERY[:, :2], 0.5, "clauses are"),
        (np.ones(SHAPE), EVERY * 1.0, 0.5, "clauses are"),
        (np.ones(SHAPE), np.array([[1, 2, 4]]), 0.5, "names none"),
        (np.ones(SHAPE), np.array([[1, 2, 0]]), 0.5, "names none"),
        (np.ones(SHAPE), np.array([[1, -(2**63), 2]]), 0.5, "names none"),
        (np.ones(SHAPE), np.array([[1, 2, -1]]), 0.5, "a variable twice"),
    ],
)
def test_what_does_not_fit_is_an_error(weights, clauses, luck, says):
    with pytest.raises(ValueError, match=says):
        walk(weights, clauses, np.zeros(3, bool), np.full((5, 2), luck), AGES)
