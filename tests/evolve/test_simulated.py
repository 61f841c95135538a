"""The simulated model: its rates are what was asked for, it costs what it says, and it never passes for a model."""

import random
from collections import Counter

import pytest

import evolve
from evolve.budget import Budget
from evolve.config import Config
from evolve.errors import UsageError
from evolve.mutators.base import Context
from evolve.mutators.simulated import SIMULATED, Simulated, SimulatedModel
from evolve.mutators.syntactic import SyntacticMutator
from evolve.source import program_of
from evolve.telling import doubts

BLOCK = "def guess(x):\n    a = x * 2.5 + 1.0\n    b = a - x / 3.0\n    return a * b + 0.5\n"
OTHER = program_of("def guess(x):\n    return x - 7.0\n", "guess")
PARENT = program_of(BLOCK, "guess")
LIKE = Simulated(
    invalid=0.2, duplicate=0.3, lazy=0.1, step=3.0, tokens=900, latency=5.0, price=0.002, slots=8
)


def model(like):
    return SimulatedModel(like, SyntacticMutator(BLOCK, "guess"))


def answers(like, count=600):
    made = model(like)
    return [
        made.propose(Context(random.Random(n), PARENT, (OTHER,), PARENT.canonical.__eq__))
        for n in range(count)
    ]


def test_answers_come_at_the_rates_that_were_asked_for():
    kinds = Counter(draft.operator if "edit" not in draft.operator else "edits" for draft in answers(LIKE))
    for kind, share in (("invalid", 0.2), ("duplicate", 0.3), ("lazy", 0.1), ("edits", 0.4)):
        assert abs(kinds[kind] / 600 - share) < 0.07, kinds


def test_each_kind_of_answer_is_what_it_is_called():
    for draft in answers(LIKE):
        if draft.operator == "invalid":
            assert draft.error
            assert SIMULATED in draft.error
        elif draft.operator == "duplicate":
            assert draft.canonical in (PARENT.canonical, OTHER.canonical)
        elif draft.operator == "lazy":
            assert draft.structure == PARENT.structure
            assert draft.canonical != PARENT.canonical
        else:
            assert draft.canonical != PARENT.canonical
            assert draft.parents[0] == PARENT.id
            assert set(draft.parents) <= {PARENT.id, OTHER.id}, "no program on the way is a parent"


def test_the_step_is_the_mean_number_of_edits():
    assert {draft.operator for draft in answers(Simulated(0, 0, 0, step=1.0), 50)} == {"1 edit"}
    counts = [model(LIKE)._count(random.Random(n).random()) for n in range(4_000)]
    assert abs(sum(counts) / len(counts) - 3.0) < 0.15


def test_an_answer_follows_from_its_context_alone():
    made = model(LIKE)
    first = [
        made.propose(Context(random.Random(n), PARENT, (OTHER,), PARENT.canonical.__eq__)) for n in range(40)
    ]
    made.credit("1 edit", 1.0, 1.0)
    again = [
        made.propose(Context(random.Random(n), PARENT, (OTHER,), PARENT.canonical.__eq__)) for n in range(40)
    ]
    assert first == again == answers(LIKE, 40)


def test_budgets_of_models_become_proposals():
    assert LIKE.budget(Budget(tokens=90_000)) == Budget(proposals=100)
    assert LIKE.budget(Budget(requests=7, tokens=90_000)) == Budget(proposals=7)
    assert LIKE.budget(Budget(money=0.01)) == Budget(proposals=5)
    assert LIKE.budget(Budget(evaluations=50)) == Budget(evaluations=50)
    with pytest.raises(UsageError, match="costs more than that"):
        LIKE.budget(Budget(tokens=100))
    with pytest.raises(UsageError, match="needs a price"):
        Simulated().budget(Budget(money=1.0))


def test_cost_is_computed_from_the_number_of_answers():
    assert LIKE.cost(80) == {"requests": 80, "tokens": 72_000, "seconds": 50.0, "money": 0.16}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"invalid": 0.6, "duplicate": 0.4}, "leave at least 0.01"),
        ({"lazy": -0.1}, "shares from 0 to 1"),
        ({"slots": 0}, "slots is 0"),
        ({"step": "many"}, "step is 'many'; it takes float"),
        ({"temperature": 1}, "no dial called 'temperature'"),
    ],
)
def test_a_simulated_model_that_cannot_be_meant_is_refused(given, words):
    with pytest.raises(UsageError, match=words):
        Simulated.of(given)


def test_a_run_says_that_it_is_a_simulation_and_goes_on_as_one(problem_file, tmp_path):
    path = str(problem_file())
    given = {"simulated": LIKE, "workers": 1, "config": Config(tune=10), "verify": False}
    whole = evolve.run(path, budget="54ktok", ledger=tmp_path / "a.db", **given)
    told = whole.document
    assert told["proposals"] == 60
    assert told["simulated"]["label"] == SIMULATED
    assert told["simulated"]["cost"]["tokens"] == 54_000
    assert any(SIMULATED in doubt for doubt in doubts(told))
    assert whole.config["window"] == LIKE.slots
    evolve.run(path, budget="27ktok", ledger=tmp_path / "b.db", **given)
    on = evolve.resume(tmp_path / "b.db", budget="54ktok", workers=1, verify=False)
    assert on.document["content_hash"] == told["content_hash"]


def test_a_model_is_not_asked_and_simulated_at_once(problem_file, tmp_path):
    with pytest.raises(UsageError, match="not both"):
        evolve.run(str(problem_file()), budget="5", simulated=LIKE, llm="http://127.0.0.1:1/v1")
