"""topk: what is right, and what is wrong in every way that is tempting."""

import numpy as np
import pytest
from hypothesis import given, settings

from evolve.loader import load
from evolve.statement import Rejected

PROBLEM = load("topk", {"n": 1000})


def answers(source, case):
    names = {}
    exec(source, names)
    values, k = case.inputs
    values = values.copy()
    values.flags.writeable = False
    return names["top"](values, k)


@pytest.mark.parametrize("name", ["seed", *PROBLEM.baselines])
def test_seed_and_baselines_are_right_on_every_case(name):
    source = PROBLEM.baselines.get(name, PROBLEM.block)
    unseen = (case for suite in PROBLEM.unseen.values() for case in suite)
    for case in (*PROBLEM.cases, *unseen, *PROBLEM.fresh(np.random.default_rng(1))):
        assert PROBLEM.score(answers(source, case), case) == {}, case.name


@given(PROBLEM.strategy())
@settings(max_examples=60, deadline=None)
def test_drawn_cases_have_the_answer_of_plain_python(case):
    values, k = case.inputs
    order = sorted(range(len(values)), key=lambda index: (-values[index], index))[:k]
    assert case.hidden.tolist() == order
    for source in (PROBLEM.block, *PROBLEM.baselines.values()):
        assert PROBLEM.score(answers(source, case), case) == {}


def by(body):
    return f"import numpy as np\ndef top(values, k):\n    {body}\n    return values[indices], indices"


WRONG = {
    "any order": by("indices = np.argpartition(values, len(values) - k)[len(values) - k:]"),
    "the last of equals": by("indices = np.argsort(values, kind='stable')[::-1][:k]"),
    "the smallest": by("indices = np.argsort(values, kind='stable')[:k]"),
    "one less": by("indices = np.argsort(-values, kind='stable')[:k - 1]"),
    "in rising order": by("indices = np.argsort(-values, kind='stable')[:k][::-1]"),
    "as 32 bits": by("indices = np.argsort(-values, kind='stable')[:k].astype('i4')"),
    "of other values": "import numpy as np\ndef top(values, k):\n"
    "    indices = np.argsort(-values, kind='stable')[:k]\n    return np.abs(values[indices]), indices",
    "without a sign of zero": "import numpy as np\ndef top(values, k):\n"
    "    indices = np.argsort(-values, kind='stable')[:k]\n    return values[indices] + 0.0, indices",
    "one vector": "import numpy as np\ndef top(values, k):\n    return np.sort(values)[::-1][:k]",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_wrong_on_a_training_case(name):
    def right(case):
        try:
            PROBLEM.score(answers(WRONG[name], case), case)
        except Rejected:
            return False
        return True

    assert not all(map(right, PROBLEM.cases))


def test_too_few_values_are_refused():
    with pytest.raises(Exception, match="at least 1000"):
        load("topk", {"n": 999})
