"""How models are asked: read from words, kept in ledgers, completed by what servers say."""

import pytest

from evolve.errors import UsageError
from evolve.llm.dials import Dials


def test_dials_are_read_from_words():
    words = {"samples": "3", "repair": "no", "formats": "block,diff", "sampling": '{"temperature": 0.7}'}
    dials = Dials.of(words)
    assert (dials.samples, dials.repair, dials.formats) == (3, False, ("block", "diff"))
    assert dials.sampling == {"temperature": 0.7}
    assert Dials.of(dials.as_dict()) == dials


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"sample": "3"}, "no dial called 'sample'"),
        ({"samples": "0"}, "samples is 0; at least 1"),
        ({"samples": "many"}, "samples is 'many'"),
        ({"repair": "perhaps"}, "repair is 'perhaps'"),
        ({"formats": "diff,diff"}, "formats is diff,diff"),
        ({"kinds": "repair"}, "kinds is repair"),
        ({"models": ()}, "models is empty"),
        ({"sampling": "{"}, "sampling is '{'"),
        ({"sampling": '{"n": 3}'}, "sampling: n cannot be set there"),
        ({"sampling": '{"temperature": NaN}'}, "sampling cannot be sent as JSON"),
        ({"characters": "nan"}, "characters is nan"),
        ({"deadline": "inf"}, "deadline is inf; at least 0.01, and finite"),
        ({"context": 4096, "max_tokens": 4000}, "smaller max_tokens"),
    ],
)
def test_what_cannot_be_meant_is_said(given, told):
    with pytest.raises(UsageError, match=told):
        Dials.of(given)


def test_servers_say_how_long_and_whether_constraints_bind():
    dials = Dials().resolved(8192, binds=True)
    assert (dials.context, dials.max_tokens, dials.room) == (8192, 2048, 6144)
    assert "grammar" in dials.formats
    assert Dials().resolved(200_000, binds=True).max_tokens == 4096
    assert Dials(context=5000, max_tokens=100).resolved(8192, binds=True).room == 4900
    assert Dials().resolved(0, binds=False).formats == ("diff", "block")
    with pytest.raises(UsageError, match="obeys no constraint"):
        Dials(formats=("grammar",)).resolved(8192, binds=False)


def test_notes_that_no_prompt_has_room_for_are_refused():
    with pytest.raises(UsageError, match="the notes have about 50001 tokens, and a prompt has room for 6144"):
        Dials(notes="a" * 100_000).resolved(8192, binds=True)
    assert Dials(notes="a" * 1_000).resolved(8192, binds=True).notes


def test_tokens_are_estimated_from_bytes():
    assert Dials(characters=2.0).count("abcd") == 3
    assert Dials(characters=2.0).count("äöüß") == 5
    assert Dials().count("\udcff") > 0
