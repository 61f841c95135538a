"""A report of a run that asked a model: tokens, money, lessons, and the command that replays it."""

import sys
from pathlib import Path

import pytest

import evolve
from evolve.bench.report.gathering import gather
from evolve.llm.dials import Dials
from evolve.llm.spending import Price
from evolve.programs_db.ledger import Ledger

sys.path.insert(0, str(Path(__file__).parents[2] / "llm"))  # a server that answers, and what it is asked

from author import PROBLEM
from served import served


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """The ledger of a run with a model, with prices and notes, and lessons that a human has set."""
    folder = tmp_path_factory.mktemp("asked")
    (folder / "toy.py").write_text(PROBLEM, encoding="utf-8")
    dials = Dials(syntactic=False, lessons=0, max_tokens=200, notes="think of <b>")
    with served(latency=0.01, slots=8) as server:
        evolve.run(
            str(folder / "toy.py"),
            ledger=folder / "a.db",
            llm=server.url,
            dials=dials,
            workers=1,
            proposals=20,
            prices={"": Price(1.0, 2.0)},
        )
    with Ledger.open(folder / "a.db") as book:
        book.record_intervention("lessons", {"by": "a human", "lessons": ["keep it short"]})
    return folder / "a.db"


def test_tokens_and_money_are_those_of_the_run(asked):
    document = evolve.open_run(asked).document
    facts = gather(asked)
    assert facts.cost.requests == document["model"]["requests"] >= 20
    assert facts.cost.tokens == document["tokens"]
    assert facts.cost.money == pytest.approx(document["model"]["last_session"]["money"])
    assert facts.cost.money > 0.0
    used = document["tokens"]["prompt"] + document["tokens"]["completion"] + document["tokens"]["wasted"]
    assert facts.measures.rate.per_thousand_tokens == pytest.approx(1000 * facts.measures.rate.gain / used)


def test_what_a_human_told_the_model_is_told_and_the_command_replays(asked, cli, tmp_path):
    facts = gather(asked)
    assert [one.kind for one in facts.deeds] == ["what every prompt was told", "lessons"]
    assert facts.deeds[1].words == "- keep it short"
    assert facts.origin.command == "evolve run toy.py:toy -p pause=0.0 -p baseline=0.7 --llm replay:a.db"
    assert cli("report", asked, "-o", tmp_path / "m.html", "--md", tmp_path / "m.md")[0] == 0
    text = (tmp_path / "m.html").read_text(encoding="utf-8")
    assert "think of &lt;b&gt;" in text
    assert "tokens: completion" in text
