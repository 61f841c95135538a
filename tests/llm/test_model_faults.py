"""Whole runs against a server that fails in every way: nothing is lost, and nothing is paid for in vain unsaid."""

import os
import threading
import time

import pytest
from author import PROBLEM
from fake_server import FAULTS, at_random
from served import served

import evolve
from evolve.cli import main
from evolve.errors import InfrastructureError
from evolve.llm.dials import Dials
from evolve.programs_db.ledger import Ledger

PROPOSALS = int(os.environ.get("EVOLVE_FAULTS", "25"))
SHARE = 0.3
DIALS = Dials(syntactic=False, lessons=0, max_tokens=200, deadline=0.5)
DEADLY = {"death"}  # ends the server: see below


@pytest.fixture
def toy(tmp_path):
    path = tmp_path / "toy.py"
    path.write_text(PROBLEM)
    return str(path)


def numbers_of(ledger):
    with Ledger.read(ledger) as book:
        assert book.integrity() == []
        return sorted(row["number"] for row in book.query("SELECT number FROM proposals"))


def gently(fault):
    """The fault at random, but not in the first requests: those are the probe's."""
    draw = at_random({fault: SHARE}, 3)
    return lambda number, body: draw(number, body) if number > 4 else None


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in DEADLY])
def test_a_run_survives_a_fault_of_three_replies_in_ten(toy, tmp_path, fault):
    notices = []
    with served(latency=0.01, slots=16) as server:
        server.settings.faults = gently(fault)
        found = evolve.run(
            toy,
            ledger=tmp_path / "a.db",
            llm=server.url,
            dials=DIALS,
            proposals=PROPOSALS,
            workers=1,
            notices=notices.append,
        )
        assert server.counts.faults[fault] > 0
    assert found.stopped == "budget"
    assert numbers_of(tmp_path / "a.db") == list(range(PROPOSALS + 1))
    model, tokens = found.document["model"], found.document["tokens"]
    with Ledger.read(tmp_path / "a.db") as book:
        errors = [one.answered.error for one in book.dialogues() if one.answered.error]
    if fault in ("400", "401", "403", "404", "redirect"):  # never asked again, and said loudly
        assert errors
        words = "it redirects" if fault == "redirect" else f"injected {fault}"
        assert [notice.kind for notice in notices if words in notice.words] == ["refused"]
    if fault in ("null", "reasoning", "truncated"):
        assert model["asked_again"] > 0
    if fault in ("billed_500", "billed_empty"):
        assert tokens["wasted"] > 0
    print(
        f"{fault}: {tokens['wasted']} tokens wasted of {sum(tokens.values())}, {model['asked_again']} asked again"
    )


def test_servers_that_die_and_return_cost_no_proposal(toy, tmp_path):
    with served(latency=0.05, slots=8) as server:
        deaths = iter((20, 60))
        due = next(deaths)

        def fault(number, body):
            nonlocal due
            if due is not None and number >= due:
                due = next(deaths, None)
                return "death"
            return None

        server.settings.faults = fault
        done = threading.Event()

        def revive():
            while not done.wait(0.1):
                if server.counts.faults["death"] and server._runner is None:
                    time.sleep(0.5)
                    server.do(server.rise())

        thread = threading.Thread(target=revive)
        thread.start()
        try:
            evolve.run(toy, ledger=tmp_path / "a.db", llm=server.url, dials=DIALS, proposals=80, workers=1)
        finally:
            done.set()
            thread.join()
        assert server.counts.faults["death"] == 2
    assert numbers_of(tmp_path / "a.db") == list(range(81))


def test_an_outage_in_mid_run_is_told_waited_for_and_costs_no_budget(toy, tmp_path):
    notices, seconds = [], float(os.environ.get("EVOLVE_OUTAGE", "2"))
    with served(latency=0.05, slots=8) as server:

        def outage():
            while server.counts.answered < 30:
                time.sleep(0.01)
            server.do(server.die())
            time.sleep(seconds)
            server.do(server.rise())

        thread = threading.Thread(target=outage)
        thread.start()
        found = evolve.run(
            toy,
            ledger=tmp_path / "a.db",
            llm=server.url,
            dials=DIALS,
            proposals=100,
            workers=1,
            notices=notices.append,
        )
        thread.join()
    kinds = [notice.kind for notice in notices]
    assert kinds.index("outage") < kinds.index("recovered")
    assert numbers_of(tmp_path / "a.db") == list(range(101))
    assert found.document["model"]["failures"].get("no_reply", 0) == 0


def test_an_outage_for_good_ends_with_exit_3_and_a_ledger_that_goes_on(toy, tmp_path, capsys):
    ledger = tmp_path / "a.db"
    with served(latency=0.05, slots=8) as server:

        def end():
            while server.counts.answered < 30:
                time.sleep(0.01)
            server.do(server.die())

        thread = threading.Thread(target=end)
        thread.start()
        words = [
            "run",
            toy,
            "--llm",
            server.url,
            "--budget",
            "100",
            "--ledger",
            str(ledger),
            "--workers",
            "1",
        ]
        asks = ["--ask", "max_tokens=200", "--ask", "syntactic=no", "--ask", "lessons=0", "--patience", "1.5"]
        assert main([*words, *asks]) == 3
        thread.join()
        err = capsys.readouterr().err
        assert "no endpoint answers; waiting up to" in err
        assert "the run can be resumed" in err
        waiting = {one.asked.first for one in Ledger.read(ledger).dialogues() if one.answered is None}
        assert waiting
        server.do(server.rise())
        assert main(["resume", str(ledger), "--workers", "1"]) == 0
        assert numbers_of(ledger) == list(range(101))


def test_servers_that_were_never_there_are_said_at_once(toy, tmp_path):
    with pytest.raises(
        InfrastructureError, match=r"no model can be asked: http://127.0.0.1:9/v1: unreachable"
    ):
        evolve.run(toy, ledger=tmp_path / "a.db", llm="http://127.0.0.1:9/v1", proposals=10)
    assert not (tmp_path / "a.db").exists()
