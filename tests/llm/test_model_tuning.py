"""Whose constants are tuned in a run that asks a model."""

import json
import sqlite3
from itertools import count

import pytest
from author import PROBLEM
from served import served

import evolve
from evolve.llm.dials import Dials
from evolve.programs_db.ledger import Ledger


@pytest.fixture
def toy(tmp_path):
    path = tmp_path / "toy.py"
    path.write_text(PROBLEM)
    return str(path)


def longer():
    """A model that adds a term at each answer, so that each is a structure that nobody has seen."""
    number = count(1)

    def answer(body):
        terms = " + ".join(["0.01 * x"] * next(number))
        return f"```python\ndef value(x):\n    return {terms}\n```"

    return answer


def run(toy, path, proposals=40, answer=None, **dials):
    given = Dials(**{"formats": ("block",), "lessons": 0, "max_tokens": 200, "repair": False, **dials})
    with served(answer or longer(), latency=0.01, slots=4) as server:
        evolve.run(
            toy, ledger=path, llm=server.url, dials=given, proposals=proposals, workers=1, verify=False
        )


def trials(path):
    """Trials by the number of their proposal, and the mutator of each proposal."""
    with Ledger.read(path) as book:
        tried = {
            row["proposal"]: row["n"]
            for row in book.query("SELECT proposal, count(*) AS n FROM trials GROUP BY 1")
        }
        return tried, {
            row["number"]: row["mutator"] for row in book.query("SELECT number, mutator FROM proposals")
        }


def test_what_a_model_wrote_is_tuned_and_what_the_mutator_changed_is_not(toy, tmp_path):
    run(toy, tmp_path / "a.db", proposals=150)
    tried, mutators = trials(tmp_path / "a.db")
    assert tried
    assert {mutators[number] for number in tried} == {"llm"}
    assert "syntactic" in mutators.values()
    assert max(tried.values()) <= 40


def test_a_structure_that_the_mutator_had_first_is_tuned_when_a_model_writes_it(toy, tmp_path):
    path = tmp_path / "a.db"
    run(
        toy, path, answer=lambda body: "```python\ndef value(x):\n    return 0.9 * x\n```"
    )  # that of the seed program
    tried, mutators = trials(path)
    assert [mutators[number] for number in tried] == ["llm"]


@pytest.mark.parametrize(("tune", "most"), [(0, 0), (3, 3)])
def test_its_dial_says_how_much(toy, tmp_path, tune, most):
    run(toy, tmp_path / "a.db", syntactic=False, tune=tune)
    assert max(trials(tmp_path / "a.db")[0].values(), default=0) == most


def test_a_run_from_before_there_was_that_dial_goes_on_as_it_was(toy, tmp_path):
    path = tmp_path / "a.db"
    run(toy, path, syntactic=False, tune=0)
    with sqlite3.connect(path) as book:
        told = json.loads(book.execute("SELECT config FROM runs").fetchone()[0])
        del told["llm"]["tune"]
        told["config"]["tune"] = 2
        guards = book.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'runs'"
        ).fetchall()
        for name, _ in guards:
            book.execute(f"DROP TRIGGER {name}")
        book.execute("UPDATE runs SET config = ?", [json.dumps(told)])
        for _, again in guards:
            book.execute(again)
    book.close()
    with served(longer(), latency=0.01, slots=4) as server:
        evolve.resume(path, llm=server.url, proposals=120, workers=1)
    tried, _ = trials(path)
    assert min(tried) > 40
    assert max(tried.values()) == 2
