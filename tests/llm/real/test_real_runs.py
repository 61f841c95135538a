"""Whole runs through a real vLLM: every token accounted for, and an engine that is killed in their midst."""

import json
import os
import signal
import threading
import time

import pytest
from author import PROBLEM

import evolve
from evolve.llm.dials import Dials
from evolve.programs_db.ledger import Ledger

GUIDED = Dials(formats=("grammar",), syntactic=False, lessons=0, repair=False)


@pytest.fixture
def toy(tmp_path):
    path = tmp_path / "toy.py"
    path.write_text(PROBLEM)
    return str(path)


def numbers_of(book):
    return [row["number"] for row in book.query("SELECT number FROM proposals ORDER BY number")]


@pytest.mark.slow
def test_a_run_accounts_for_every_token_that_the_server_counts(real_vllm, toy, tmp_path):
    before = real_vllm.metrics()
    found = evolve.run(
        toy, ledger=tmp_path / "a.db", llm=[real_vllm.endpoint], dials=GUIDED, proposals=60, workers=1
    )
    after = real_vllm.metrics()
    with Ledger.read(tmp_path / "a.db") as book:
        assert numbers_of(book) == list(range(61))
        spent, _ = book.spent()
        probe = json.loads(book.query("SELECT machine FROM sessions")[0]["machine"])["probe"]
    for name, tokens in (("prompt", spent.prompt), ("generation", spent.completion)):
        counted = after[f"{name}_tokens_total"] - before[f"{name}_tokens_total"]
        assert counted == tokens + probe["prompt" if name == "prompt" else "completion"]
    assert spent.cached > 0
    # The constraint binds: whatever a model without a mind says is an edit.
    assert set(found.document["model"]["failures"]) <= {"unchanged"}
    again = evolve.run(toy, ledger=tmp_path / "b.db", llm=f"replay:{tmp_path / 'a.db'}", workers=2)
    assert again.document["content_hash"] == found.document["content_hash"]


@pytest.mark.slow
def test_a_killed_engine_costs_a_run_no_proposal(real_vllm, toy, tmp_path):
    notices, ledger = [], tmp_path / "a.db"
    # Any text, so that requests last: a sentence of the grammar is over in a moment.
    dials = Dials(formats=("block",), syntactic=False, lessons=0, repair=False, max_tokens=300)
    killed = threading.Event()

    def kill():
        while not ledger.exists() or Ledger.read(ledger).commits < 20:
            time.sleep(0.05)
        while real_vllm.metrics()["num_requests_running"] < 4:
            time.sleep(0.02)
        (engine,) = real_vllm.engines()
        os.kill(engine, signal.SIGKILL)
        killed.set()

    thread = threading.Thread(target=kill)
    thread.start()
    evolve.run(
        toy,
        ledger=ledger,
        llm=[real_vllm.endpoint],
        dials=dials,
        proposals=120,
        workers=1,
        notices=notices.append,
    )
    thread.join()
    assert killed.is_set()
    kinds = [notice.kind for notice in notices]
    assert "outage" in kinds
    assert "recovered" in kinds
    with Ledger.read(ledger) as book:
        assert numbers_of(book) == list(range(121))
        asked = [(one.asked.first, one.asked.attempt) for one in book.dialogues()]
        assert len(asked) == len(set(asked))
        assert all(one.answered is not None and not one.answered.error for one in book.dialogues())
