"""Who answers a run, from the word of the user."""

import pytest
from author import PROBLEM
from served import served

import evolve
from evolve.errors import UsageError
from evolve.hosting import hosted, same
from evolve.llm.dials import Dials
from evolve.llm.endpoints import Endpoint
from evolve.serving.discovery import Record


def endpoints(word):
    with hosted(word, None) as found:
        return found


def test_urls_may_have_weights_and_a_dialect():
    first, second = endpoints("http://a:8000/v1*2, openai+https://b/v1")
    assert (first.url, first.weight, first.dialect) == ("http://a:8000/v1", 2.0, "vllm")
    assert (second.url, second.weight, second.dialect) == ("https://b/v1", 1.0, "openai")
    assert endpoints(same((first, second))) == (first, second)
    assert "secret" not in same([Endpoint("http://a/v1", key="secret")])


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("", "no endpoint"),
        (",", "no endpoint"),
        ("localhost", "is not understood"),
        ("http://a/v1*much", "no number"),
        ("serve:", "say serve:MODEL"),
        ("serve:m#fast", "throughput"),
        ("serve:/nowhere/at/all", "no such folder"),
    ],
)
def test_what_cannot_be_meant_is_said(word, told, monkeypatch, tmp_path):
    monkeypatch.setenv("EVOLVE_VLLM", "/bin/true")
    monkeypatch.setenv("EVOLVE_SERVE_DIR", str(tmp_path))
    with pytest.raises(UsageError, match=told):
        endpoints(word)


def test_auto_finds_what_was_served_last_and_a_run_that_goes_on_finds_it_again(tmp_path, monkeypatch):
    monkeypatch.setenv("EVOLVE_SERVE_DIR", str(tmp_path / "serve"))
    with pytest.raises(UsageError, match="no `evolve serve` is running here"):
        endpoints("auto")
    path, ledger = tmp_path / "toy.py", tmp_path / "a.db"
    path.write_text(PROBLEM)
    with served() as old, served() as new:
        for name, server in (("old", old), ("new", new)):
            Record(tmp_path / "serve").write(
                name, "throughput", (Endpoint(server.url, model="fake", slots=8),)
            )
        assert [each.url for each in endpoints("auto")] == [new.url]
        dials = Dials(syntactic=False, lessons=0, max_tokens=200)
        evolve.run(str(path), ledger=ledger, llm="auto", dials=dials, proposals=10, workers=1)
        asked = new.counts.requests
        assert asked > 10
        evolve.resume(ledger, proposals=20, workers=1)
        assert new.counts.requests > asked + 9
        assert old.counts.requests == 0
