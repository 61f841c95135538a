"""Runs that go on: they ask what they would have asked, so that a replay of all their sessions asks it again."""

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


def kinds_of(ledger):
    with Ledger.read(ledger) as book:
        return {one.asked.kind for one in book.dialogues()}


def test_what_was_cut_off_twice_is_not_repaired_after_a_resume_either(toy, tmp_path):
    dials = Dials(syntactic=False, formats=("block",), max_tokens=200, lessons=0)
    with served() as server:
        server.settings.faults = lambda number, body: "truncated" if number > 3 else None
        evolve.run(toy, ledger=tmp_path / "a.db", llm=server.url, dials=dials, proposals=8, workers=1)
        first = evolve.resume(tmp_path / "a.db", proposals=40, workers=1)
    assert "repair" not in kinds_of(tmp_path / "a.db")
    again = evolve.run(toy, ledger=tmp_path / "b.db", llm=f"replay:{tmp_path / 'a.db'}", workers=1)
    assert again.document["content_hash"] == first.document["content_hash"]
