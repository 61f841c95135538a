"""Runs that go on and are repeated: they ask what they would have asked; and what a run says when models fail it."""

import json

import pytest
from author import PROBLEM
from served import served

import evolve
from evolve.asking import recording_of
from evolve.budget import Budget
from evolve.cli import main
from evolve.engine import Engine
from evolve.errors import InfrastructureError, UsageError
from evolve.llm.dials import Dials
from evolve.llm.endpoints import Endpoint
from evolve.llm.errors import Outage
from evolve.llm.spending import Price
from evolve.loader import load
from evolve.programs_db.dialogue import Answered, Asked, Said, Spent
from evolve.programs_db.ledger import Ledger
from evolve.telling import doubts


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


def test_lessons_of_a_human_hold_before_the_seed_program_is_committed(toy, tmp_path, monkeypatch):
    async def killed(self):
        raise KeyboardInterrupt

    dials = Dials(syntactic=False, lessons=0, max_tokens=200)
    with served() as server:
        with monkeypatch.context() as patch:
            patch.setattr(Engine, "_seed", killed)
            with pytest.raises(KeyboardInterrupt):
                evolve.run(toy, ledger=tmp_path / "a.db", llm=server.url, dials=dials, proposals=9, workers=1)
        (tmp_path / "lessons.txt").write_text("- try 0.7 at once")
        assert main(["lessons", str(tmp_path / "a.db"), "--set", str(tmp_path / "lessons.txt")]) == 0
        evolve.resume(tmp_path / "a.db", workers=1)
    evolve.run(toy, ledger=tmp_path / "b.db", llm=f"replay:{tmp_path / 'a.db'}", workers=1)
    for path in (tmp_path / "a.db", tmp_path / "b.db"):
        with Ledger.read(path) as book:
            prompts = ["".join(text for _, text in one.asked.prompt) for one in book.dialogues()]
            assert len(prompts) == 9
            assert all("try 0.7 at once" in prompt for prompt in prompts)


def test_what_a_model_said_is_found_among_requests_for_several_answers(tmp_path):
    with Ledger.create(tmp_path / "a.db", {"name": "x", "parameters": {}}, {"seed": 0}, "mark") as book:
        book.begin_session("mark", {}, [], {})
        for first in (1, 5):
            asked = Asked(first, 4, 0, 1, "improve", "", (("user", "hello"),))
            said = tuple(Said(f"answer {number}") for number in range(first, first + 4))
            book.record_answered(book.record_asked(asked), Answered(said, Spent()))
        again = book.record_asked(Asked(6, 1, 1, 1, "improve", "", (("user", "hello"),)))
        book.record_answered(again, Answered((Said("another"),), Spent()))
        told = [book.said(number, 4) for number in range(10)]
    assert told == ["", *(f"answer {n}" for n in (1, 2, 3, 4, 5)), "another", "answer 7", "answer 8", ""]


def test_a_search_for_speed_is_not_replayed(toy, tmp_path, monkeypatch):
    with served() as server:
        evolve.run(toy, ledger=tmp_path / "a.db", llm=server.url, proposals=3, workers=1)
    fast = load("topk")
    monkeypatch.setattr(Ledger, "expect", lambda *_: None)  # a small problem stands for a timed one
    with pytest.raises(UsageError, match="a search for speed cannot be replayed"):
        recording_of(tmp_path / "a.db", fast)


def test_a_run_whose_models_were_too_slow_for_its_proposals_says_so(toy, tmp_path):
    with served() as server:
        server.settings.latency = 0.0
        met = evolve.run(toy, ledger=tmp_path / "a.db", llm=server.url, proposals=3, workers=1).document
    slow = {**met, "model": {**met["model"], "proposals": 0}}
    assert any("no proposal is a model's" in doubt for doubt in doubts(slow))
    theirs = {**met, "model": {**met["model"], "proposals": 1}}
    assert not any("no proposal is a model's" in doubt for doubt in doubts(theirs))


def test_an_outage_says_what_was_wrong_last(toy, tmp_path):
    with served() as server:
        server.settings.faults = lambda number, body: "html" if number > 4 else None
        with pytest.raises(Outage, match=r"the reply is no JSON.*the run can be resumed"):
            evolve.run(
                toy,
                ledger=tmp_path / "a.db",
                llm=server.url,
                dials=Dials(syntactic=False),
                patience=0.5,
                proposals=9,
            )


def probing(body):
    return body["messages"][0]["content"] == "Say hello."


def test_tries_that_were_billed_before_a_kill_count_when_the_run_goes_on(toy, tmp_path, monkeypatch):
    """Each is written down when it has failed, not when the request is over."""
    record = Ledger.record_wasted

    def killed(self, request, spent):
        record(self, request, spent)
        if self.query("SELECT count(*) AS n FROM wastes")[0]["n"] >= 3:
            raise RuntimeError("killed")

    ledger, dials = tmp_path / "a.db", Dials(syntactic=False, lessons=0, max_tokens=200)
    with served() as server:
        server.settings.faults = lambda number, body: None if probing(body) else "billed_empty"
        how = {"workers": 1, "prices": {"": Price(1.0, 2.0)}, "llm": [Endpoint(server.url, slots=1)]}
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "record_wasted", killed)
            with pytest.raises(RuntimeError, match="killed"):
                evolve.run(toy, ledger=ledger, dials=dials, proposals=9, **how)
        with Ledger.read(ledger) as book:
            dialogues, before = book.dialogues(), book.spent()[1]
        assert all(one.answered is None for one in dialogues)
        tries = sum(len(one.wasted) for one in dialogues)
        assert tries >= 3
        server.settings.faults = ()
        found = evolve.resume(ledger, budget=Budget(requests=tries + 5), **how)
        with Ledger.read(ledger) as book:
            answered = [one for one in book.dialogues() if one.answered is not None]
            replies, wastes = book.spent()
            machines = [json.loads(row["machine"]) for row in book.query("SELECT machine FROM sessions")]
        assert (len(answered), wastes) == (5, before)  # asking whether the server will do is no request
        assert found.document["tokens"]["wasted"] == wastes.tokens
        probes = sum(one["probe"]["prompt"] + one["probe"]["completion"] for one in machines)
        assert probes > 0
        paid = (replies.prompt + wastes.prompt + 2.0 * (replies.completion + wastes.completion)) / 1e6
        assert paid < found.document["model"]["last_session"]["money"] <= paid + 2.0 * probes / 1e6
    evolve.run(toy, ledger=tmp_path / "b.db", llm=f"replay:{ledger}", workers=1)
    with Ledger.read(tmp_path / "b.db") as book:
        assert book.spent() == (replies, wastes)
        assert book.content_hash() == found.document["content_hash"]


def test_a_smaller_budget_leaves_open_what_is_beyond_it(toy, tmp_path):
    """Of 20 numbers some are open when the run is cut off; those above the new budget are left alone."""
    ledger, dials = tmp_path / "a.db", Dials(lessons=0, max_tokens=200)
    with served(latency=0.3, slots=8) as server:
        evolve.run(toy, ledger=ledger, llm=server.url, dials=dials, budget=Budget(seconds=0.8), workers=1)
        with Ledger.read(ledger) as book:
            open_ones = [one.asked.first for one in book.dialogues() if one.answered is None]
            known = {row["number"] for row in book.query("SELECT number FROM proposals")}
        assert open_ones
        server.settings.latency = 0.0
        evolve.resume(ledger, budget=Budget(proposals=min(open_ones) - 1), workers=1)
        with Ledger.read(ledger) as book:
            now = {row["number"] for row in book.query("SELECT number FROM proposals")}
            assert open_ones == [one.asked.first for one in book.dialogues() if one.answered is None]
        assert all(number < min(open_ones) for number in now - known)
        last = max(*known, *open_ones)
        evolve.resume(ledger, budget=Budget(proposals=last), workers=1)
        with Ledger.read(ledger) as book:
            assert {row["number"] for row in book.query("SELECT number FROM proposals")} == {*range(last + 1)}


def test_a_server_that_says_nothing_is_asked_once_and_a_human_is_told(toy, tmp_path, monkeypatch):
    monkeypatch.setattr("evolve.servers.DEADLINE", 0.4)
    monkeypatch.setattr("evolve.servers._SLOW", 0.1)
    notices = []
    with served(latency=30.0) as server:
        with pytest.raises(InfrastructureError, match=r"no model can be asked: .*late"):
            evolve.run(
                toy, ledger=tmp_path / "a.db", llm=server.url, proposals=9, workers=1, notices=notices.append
            )
        assert server.counts.requests == 1
        assert [one.words.startswith(f"waiting for an answer of {server.url}") for one in notices] == [True]
    assert not (tmp_path / "a.db").exists()


def test_a_budget_that_has_no_room_for_one_request_says_so(toy, tmp_path):
    notices = []
    with served() as server:
        how = {"llm": server.url, "budget": Budget(tokens=2000), "workers": 1, "notices": notices.append}
        evolve.run(toy, ledger=tmp_path / "a.db", dials=Dials(syntactic=False, max_tokens=1000), **how)
    (told,) = [one.words for one in notices if one.kind == "warning"]
    assert "of 2000 spent" in told
    assert "has no room" in told
