"""A study in which a model is asked: the strategies that differ in what it is shown can be told apart there."""

import json
import sys
from pathlib import Path

import evolve

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "llm"))
from served import served
from small_study import write

PLAN = """
problems = ["small.py"]
seeds = [4]
budget = "{budget}"
strategies = ["evolution", "no_inspirations"]
llm = "{url}"
draws = 0
"""


def test_prompts_without_inspirations_are_a_strategy_where_a_model_is_asked(tmp_path, cli):
    with served(latency=0.01) as server:
        plan = write(tmp_path, PLAN.format(url=server.url, budget="6req"))
        code, _, err = cli("study", plan, "-o", tmp_path / "out", "--jobs", "1", "--yes")
        assert code == 0, err
        assert "is not known before it is tried: a model is asked" in err
    document = json.loads((tmp_path / "out" / "study.json").read_text())
    assert {one["strategy"] for one in document["runs"]} == {"evolution", "no_inspirations"}
    for name, elites in (("evolution", 4), ("no_inspirations", 0)):
        run = evolve.open_run(tmp_path / "out" / "runs" / "small" / f"{name}-4.db")
        assert run.document["model"]["requests"] == 6
        with evolve.programs_db.ledger.Ledger.read(run.ledger) as book:
            assert book.run["llm"]["elites"] == elites
