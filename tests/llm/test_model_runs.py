"""Whole runs that ask a server: what they record, how they are repeated, and what ends them."""

import json

import pytest
from author import PROBLEM
from served import served

import evolve
from evolve.budget import Budget
from evolve.cli import main
from evolve.errors import UsageError
from evolve.llm.dials import Dials
from evolve.llm.errors import Refused
from evolve.llm.spending import Price
from evolve.programs_db.ledger import Ledger

QUIET = Dials(syntactic=False, lessons=0, max_tokens=200)


@pytest.fixture
def toy(tmp_path):
    path = tmp_path / "toy.py"
    path.write_text(PROBLEM)
    return str(path)


@pytest.fixture
def server():
    with served(latency=0.02, slots=8) as server:
        yield server


def run(toy, ledger, server, dials=QUIET, **how):
    return evolve.run(toy, ledger=ledger, llm=server.url, dials=dials, workers=1, **how)


def numbers_of(book):
    return sorted(row["number"] for row in book.query("SELECT number FROM proposals"))


def test_a_run_improves_the_seed_and_records_every_answer(toy, server, tmp_path):
    found = run(toy, tmp_path / "a.db", server, proposals=60)
    with Ledger.read(tmp_path / "a.db") as book:
        assert numbers_of(book) == list(range(61))
        assert book.integrity() == []
        dialogues = book.dialogues()
        assert {one.asked.first for one in dialogues} == set(range(1, 61))
        assert all(one.answered.said[0].text for one in dialogues)
        spent, _ = book.spent()
    document = found.document
    assert document["best"]["value"] < document["seed_program"]["value"]
    assert {row.partition(":")[2] for row in document["model"]["operators"]} == {"diff", "block", "grammar"}
    counts = server.counts
    probe = json.loads(Ledger.read(tmp_path / "a.db").query("SELECT machine FROM sessions")[0]["machine"])[
        "probe"
    ]
    assert spent.prompt + probe["prompt"] == counts.prompt
    assert spent.completion + probe["completion"] == counts.completion
    assert document["tokens"]["prompt"] == spent.prompt > 0


@pytest.mark.parametrize(
    "dials",
    [QUIET, Dials(lessons=10, max_tokens=200, epoch=8), Dials(samples=3, max_tokens=200, lessons=15)],
    ids=["models alone", "with the syntactic mutator and lessons", "several answers to a prompt"],
)
def test_a_replay_needs_no_server_and_gives_the_same_content(toy, server, tmp_path, dials):
    first = run(toy, tmp_path / "a.db", server, dials, proposals=300, seed=4)
    asked = server.counts.requests
    again = evolve.run(toy, ledger=tmp_path / "b.db", llm=f"replay:{tmp_path / 'a.db'}", workers=2)
    assert again.document["content_hash"] == first.document["content_hash"]
    assert server.counts.requests == asked
    if dials.lessons:
        assert first.document["model"]["lessons"][0] == "smaller steps help"
        prompts = [json.dumps(body["messages"]) for body in server.counts.bodies]
        assert any("smaller steps help" in prompt for prompt in prompts)


def test_a_replay_of_a_run_that_was_stopped_in_its_midst_gives_the_same_content(toy, server, tmp_path):
    first = run(
        toy, tmp_path / "a.db", server, Dials(lessons=20, max_tokens=200, syntactic=False), seconds=1.0
    )
    with Ledger.read(tmp_path / "a.db") as book:
        assert any(one.answered is None for one in book.dialogues()), "nothing was in flight"
    again = evolve.run(toy, ledger=tmp_path / "b.db", llm=f"replay:{tmp_path / 'a.db'}", workers=1)
    assert again.document["content_hash"] == first.document["content_hash"]


def test_what_was_in_flight_is_asked_again_when_a_run_goes_on(toy, server, tmp_path):
    run(toy, tmp_path / "a.db", server, seconds=0.7)
    with Ledger.read(tmp_path / "a.db") as book:
        waiting = {one.asked.first for one in book.dialogues() if one.answered is None}
        before = book.commits
    assert waiting
    evolve.resume(tmp_path / "a.db", proposals=before + 100, workers=1)
    with Ledger.read(tmp_path / "a.db") as book:
        assert numbers_of(book) == list(range(before + 101))
        answered = [one.asked.first for one in book.dialogues() if one.answered is not None]
        assert waiting <= set(answered)
        assert len(answered) == len(set(answered))
        hashed = book.content_hash()
    again = evolve.run(toy, ledger=tmp_path / "b.db", llm=f"replay:{tmp_path / 'a.db'}", workers=1)
    assert again.document["content_hash"] == hashed


def test_a_replay_that_would_ask_something_else_says_so(toy, server, tmp_path):
    run(toy, tmp_path / "a.db", server, proposals=20)
    with open(toy) as file:
        changed = file.read().replace("Come as close to 0.7", "Come near 0.7")
    with open(toy, "w") as file:
        file.write(changed)
    with pytest.raises(
        evolve.programs_db.errors.LedgerMismatch, match=r"proposal 1 would be another one now \(.*prompt"
    ):
        evolve.run(toy, ledger=tmp_path / "b.db", llm=f"replay:{tmp_path / 'a.db'}", workers=1)


def test_a_replay_is_not_resumed_and_takes_no_other_seed(toy, server, tmp_path, capsys):
    run(toy, tmp_path / "a.db", server, proposals=10)
    evolve.run(toy, ledger=tmp_path / "b.db", llm=f"replay:{tmp_path / 'a.db'}", workers=1)
    with pytest.raises(UsageError, match="a replay is not resumed"):
        evolve.resume(tmp_path / "b.db", proposals=20)
    assert main(["run", toy, "--llm", f"replay:{tmp_path / 'a.db'}", "--seed", "3"]) == 2
    assert "leave --seed" in capsys.readouterr().err
    evolve.run(toy, ledger=tmp_path / "c.db", proposals=10, workers=1)
    with pytest.raises(UsageError, match="asked no model"):
        evolve.run(toy, ledger=tmp_path / "d.db", llm=f"replay:{tmp_path / 'c.db'}")


def test_a_failed_proposal_is_repaired_once_with_its_error(toy, tmp_path):
    asked = []

    def answer(body):
        if "structured_outputs" in body:
            return json.loads('"x"') if "choice" not in body["structured_outputs"] else "no"
        text = body["messages"][-1]["content"]
        asked.append(text)
        if "A change of the current program was tried" in text:
            return "```python\ndef value(x):\n    return 1 / 0\n```"
        return f"```python\ndef value(x):\n    return undefined_name_{len(asked)}\n```"

    with served(answer, latency=0.01, slots=4) as server:
        dials = Dials(syntactic=False, formats=("block",), max_tokens=200, lessons=0)
        run(toy, tmp_path / "a.db", server, dials, proposals=120)
    repairs = [text for text in asked if "A change of the current program was tried" in text]
    assert repairs
    assert all("NameError" in text for text in repairs)
    tried = [text.split("undefined_name_")[-1].split("\n")[0] for text in repairs]
    assert len(tried) == len(set(tried))


def test_an_answer_that_was_cut_off_is_asked_for_again_once(toy, tmp_path):
    with served(faults=["null", "truncated"] * 4, latency=0.01, slots=4) as server:
        server.settings.faults = lambda number, body: "truncated" if number > 3 and number % 2 else None
        dials = Dials(syntactic=False, formats=("block",), max_tokens=200, lessons=0)
        found = run(toy, tmp_path / "a.db", server, dials, proposals=30)
    with Ledger.read(tmp_path / "a.db") as book:
        assert numbers_of(book) == list(range(31))
        again = [one.asked for one in book.dialogues() if one.asked.attempt]
        assert again
        assert all(one.attempt == 1 and not one.parameters["spare"] for one in again)
    assert found.document["model"]["asked_again"] == len(again)


def test_a_budget_of_tokens_ends_a_run_and_is_kept_over_sessions(toy, server, tmp_path):
    path = tmp_path / "a.db"
    found = run(toy, path, server, budget=Budget(tokens=60_000))
    first, _ = Ledger.read(path).spent()
    assert found.stopped == "budget"
    assert 30_000 < first.prompt + first.completion <= 60_000
    evolve.resume(path, budget=Budget(tokens=90_000), workers=1)
    both, _ = Ledger.read(path).spent()
    assert first.prompt < both.prompt
    assert both.prompt + both.completion <= 90_000
    assert found.document["proposals"] > 0


def test_a_budget_of_money_needs_prices_and_is_kept(toy, server, tmp_path):
    with pytest.raises(UsageError, match="prices"):
        run(toy, tmp_path / "a.db", server, budget=Budget(money=0.01))
    found = run(
        toy,
        tmp_path / "b.db",
        server,
        budget=Budget(money=0.05),
        prices={"": Price(prompt=1.0, completion=2.0)},
    )
    assert 0.02 < found.document["model"]["last_session"]["money"] <= 0.05
    more = evolve.resume(tmp_path / "b.db", budget=Budget(money=0.08), workers=1)  # at the same prices
    assert 0.05 < more.document["model"]["last_session"]["money"] <= 0.08


def test_a_model_that_no_server_has_is_said_in_the_servers_words(toy, server, tmp_path):
    with pytest.raises(Refused, match="`nonesuch` does not exist"):
        run(toy, tmp_path / "a.db", server, Dials(models=("nonesuch",), syntactic=False), proposals=10)


def test_several_models_compete(toy, tmp_path):
    with served(latency=0.01, slots=8, models=("small", "large")) as server:
        dials = Dials(models=("small", "large"), syntactic=False, max_tokens=200, lessons=0)
        found = run(toy, tmp_path / "a.db", server, dials, proposals=80)
        asked = {body["model"] for body in server.counts.bodies}
    assert asked == {"small", "large"}
    assert {name.partition("@")[2] for name in found.document["model"]["operators"]} == {"small", "large"}


def test_lessons_are_shown_and_replaced(toy, server, tmp_path, capsys):
    path = tmp_path / "a.db"
    run(toy, path, server, Dials(syntactic=False, lessons=10, max_tokens=200), proposals=150)
    assert main(["lessons", str(path)]) == 0
    assert "- smaller steps help" in capsys.readouterr().out
    (tmp_path / "mine.txt").write_text("I know better:\n- 0.7 is \x1b[31mseven tenths\n")
    assert main(["lessons", str(path), "--set", str(tmp_path / "mine.txt"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["by"] == "human"
    asked = server.counts.requests
    evolve.resume(path, proposals=250, workers=1)
    late = [json.dumps(body["messages"]) for body in server.counts.bodies[asked:]]
    assert all("seven tenths" in prompt for prompt in late if "# Problem" in prompt)
    assert not any("\\u001b" in prompt for prompt in late)
    (tmp_path / "mine.txt").write_text("no list")
    assert main(["lessons", str(path), "--set", str(tmp_path / "mine.txt")]) == 2


def test_the_command_line_tells_what_models_cost(toy, server, tmp_path, capsys):
    words = [
        "run",
        toy,
        "--llm",
        server.url,
        "--budget",
        "40",
        "--ledger",
        str(tmp_path / "a.db"),
        "--workers",
        "1",
    ]
    assert main([*words, "--ask", "max_tokens=200", "--ask", "syntactic=no"]) == 0
    out = capsys.readouterr().out
    assert "models: 40 requests" in out
    assert "answers out on average" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--llm", "nowhere", "--budget", "5"], "is not understood"),
        (["--llm", "http://127.0.0.1:9/v1*x", "--budget", "5"], "weight"),
        (
            ["--llm", "http://127.0.0.1:9/v1", "--budget", "5", "--ask", "no=1"],
            "--ask no: no such dial; there are: formats,",
        ),
        (["--llm", "http://127.0.0.1:9/v1", "--budget", "5", "--ask", "formats=prose"], "formats is prose"),
        (["--llm", "http://127.0.0.1:9/v1", "--budget", "5", "--price", "a"], "--price"),
        (["--llm", "http://127.0.0.1:9/v1", "--budget", "5", "--notes", "nowhere"], "cannot be read"),
        (["--llm", "http://127.0.0.1:9/v1", "--budget", "5s", "--budget", "10s"], "limited twice"),
        (["--llm", "http://127.0.0.1:9/v1"], "no budget"),
        (["--model", "x", "--budget", "5"], "need --llm"),
        (["--budget", "5Mtok"], "need a model"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_line(toy, capsys, words, told):
    assert main(["run", toy, *words]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert len(err.strip().splitlines()) == 1
