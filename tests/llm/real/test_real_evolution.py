"""Evolution by a model that knows nothing: held to the grammar, each of its answers is an edit."""

import re

from author import PROBLEM
from ebnf import Recogniser

import evolve
from evolve.llm.dials import Dials
from evolve.programs_db.ledger import Ledger

EDIT_ERRORS = {"unchanged", "syntax", "too_large", "no_site", "unknown_site", "outside_grammar", "no_choice"}


def test_a_run_with_guided_edits_alone_improves_the_seed_program(real_vllm, tmp_path):
    toy, path = tmp_path / "toy.py", tmp_path / "a.db"
    toy.write_text(PROBLEM)
    found = evolve.run(
        str(toy),
        ledger=path,
        llm=[real_vllm.endpoint],
        dials=Dials(syntactic=False, formats=("grammar",), lessons=0, tune=0),
        proposals=100,
        workers=1,
    )
    with Ledger.read(path) as book:
        dialogues = book.dialogues()
        rows = book.query("SELECT number, mutator, program, error FROM proposals ORDER BY number")
    assert [row["number"] for row in rows] == list(range(101))
    assert {row["mutator"] for row in rows[1:]} == {"llm"}
    for row in rows[1:]:
        named = re.match(r"(\w+): ", row["error"] or "")
        assert (row["program"] is None) == (named is not None), row
        assert named is None or named[1] in EDIT_ERRORS, row
    for told in dialogues:
        (grammar,) = (text for role, text in told.asked.prompt if role == "grammar")
        (said,) = told.answered.said
        assert Recogniser(grammar).accepts(said.text), said
    assert len(dialogues) == 100
    assert sum(row["program"] is not None for row in rows) > 80
    assert {program["status"] for program in found.programs} >= {"ok"}
    assert found.document["best"]["value"] < found.document["seed_program"]["value"]
