"""A run that asks models, killed at random moments: no answer that was recorded is lost, asked for again or doubled."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from author import PROBLEM
from served import served

import evolve
from evolve.programs_db.errors import LedgerError
from evolve.programs_db.ledger import Ledger

KILLS = int(os.environ.get("EVOLVE_KILLS", "2"))
CODE = """
import sys
import evolve
from evolve.llm.dials import Dials
from pathlib import Path
path, ledger, url, proposals = sys.argv[1:]
dials = Dials(max_tokens=200, lessons=25, samples=2)
if Path(ledger).exists(): evolve.resume(ledger, proposals=int(proposals), workers=1)
else: evolve.run(path, seed=5, ledger=ledger, llm=url, dials=dials, proposals=int(proposals), workers=1)
"""


def start(path, ledger, url, proposals):
    return subprocess.Popen([sys.executable, "-c", CODE, str(path), str(ledger), url, str(proposals)])


def told(ledger):
    """What is recorded: answers by request, and numbers of commits; None where there is no ledger yet."""
    try:
        with Ledger.read(ledger) as book:
            assert book.integrity() == []
            answers = {
                (one.asked.kind == "lessons", one.asked.first, one.asked.attempt): one.answered
                for one in book.dialogues()
                if one.answered is not None
            }
            return answers, [
                row["number"] for row in book.query("SELECT number FROM proposals ORDER BY arrival")
            ]
    except LedgerError:
        return None


@pytest.mark.slow
def test_kills_lose_no_answer_that_was_paid_for(tmp_path):
    path, ledger = tmp_path / "toy.py", tmp_path / "a.db"
    path.write_text(PROBLEM.replace("pause: float = 0.0", "pause: float = 0.01"))
    rng, kills, proposals, unread = random.Random(7), 0, 120 * KILLS, 0
    with served(latency=0.05, slots=8) as server:
        before = ({}, [])
        while kills < KILLS:
            engine = start(path, ledger, server.url, proposals)
            deadline = time.monotonic() + 60
            while (
                time.monotonic() < deadline and engine.poll() is None
            ):  # until it has got on, then at any moment
                now = told(ledger)
                if now is not None and len(now[1]) > len(before[1]):
                    break
                time.sleep(0.02)
            time.sleep(rng.random() * 0.6)
            engine.send_signal(signal.SIGKILL)
            assert engine.wait() != 0, "the run ended before it was killed often enough"
            now = told(ledger)
            assert now[1][: len(before[1])] == before[1]
            assert {key: now[0].get(key) for key in before[0]} == before[0]
            unread += sum(first not in now[1] for lessons, first, _ in now[0] if not lessons)
            before, kills = now, kills + 1
        assert start(path, ledger, server.url, proposals).wait(240) == 0
        with Ledger.read(ledger) as book:
            dialogues, hashed = book.dialogues(), book.content_hash()
            numbers = sorted(row["number"] for row in book.query("SELECT number FROM proposals"))
        assert numbers == list(range(proposals + 1))
        assert unread > 0, "no kill came between an answer and its evaluation"
        asked = [one.asked for one in dialogues]
        assert len({(one.first, one.attempt, one.kind == "lessons") for one in asked}) == len(asked)
        answered = sum(one.answered is not None for one in dialogues)
        # What a server has answered and no ledger holds was on its way through the socket when its reader died.
        assert answered <= server.counts.answered
        again = evolve.run(str(path), ledger=tmp_path / "b.db", llm=f"replay:{ledger}", workers=2)
        assert again.document["content_hash"] == hashed
