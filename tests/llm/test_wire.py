"""The wire format: what is sent, what is read, and what no reply can do."""

import json
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.errors import UsageError
from evolve.llm import wire
from evolve.llm.errors import Failure
from evolve.llm.records import Constraint, Message, Request, Sample, Usage


def sent(dialect="vllm", **changes):
    settings = {"stable": "s", "model": "m", "max_tokens": 9, **changes}
    request = Request((Message("system", "s\N{GREEK SMALL LETTER ALPHA}"), Message("user", "u")), **settings)
    return json.loads(wire.body(request, request.model, dialect))


def reply(**changes):
    content = {
        "model": "m",
        "choices": [{"message": {"content": "text"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7},
        **changes,
    }
    return json.dumps(content).encode()


def failure(data):
    with pytest.raises(Failure) as caught:
        wire.read(data)
    return caught.value


def test_the_body_says_what_is_set_and_nothing_else():
    assert sent() == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "s\N{GREEK SMALL LETTER ALPHA}"},
            {"role": "user", "content": "u"},
        ],
        "max_tokens": 9,
    }
    assert sent(n=4, sampling={"top_p": 0.9})["n"] == 4
    assert sent("openai")["max_completion_tokens"] == 9
    assert "max_tokens" not in sent("openai")


def test_the_shared_prefix_comes_first_in_the_bytes():
    request = Request((Message("user", "a"),), "s", "m", 5, sampling={"seed": 3})
    other = Request((Message("user", "a"),), "s", "m", 5, sampling={"seed": 4})
    first, second = wire.body(request, "m"), wire.body(other, "m")
    assert first[: first.index(b"seed")] == second[: second.index(b"seed")]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("regex", "[0-9]+", "[0-9]+"),
        ("grammar", 'root ::= "a"', 'root ::= "a"'),
        ("choice", '["a", "b"]', ["a", "b"]),
        ("json", '{"type": "object"}', {"type": "object"}),
    ],
)
def test_constraints_for_vllm(kind, value, expected):
    assert sent(constraint=Constraint(kind, value))["structured_outputs"] == {kind: expected}


def test_constraints_elsewhere():
    form = sent("openai", constraint=Constraint("json", '{"type": "object"}'))["response_format"]
    assert form["json_schema"]["schema"] == {"type": "object"}
    with pytest.raises(UsageError, match="takes no grammar constraint"):
        sent("openai", constraint=Constraint("grammar", "root ::= x"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampling": {"n": 3}}, "sampling: n cannot be set there"),
        ({"sampling": {"structured_outputs": {}, "stream": True}}, "stream, structured_outputs"),
        ({"sampling": {"temperature": float("nan")}}, "cannot be sent as JSON"),
        ({"sampling": {"stop": {1, 2}}}, "cannot be sent as JSON"),
        ({"constraint": Constraint("bnf", "x")}, "one of regex, grammar"),
        ({"constraint": Constraint("choice", "[")}, "is no JSON"),
    ],
)
def test_what_cannot_be_sent_is_said(changes, words):
    with pytest.raises(UsageError, match=words):
        sent(**changes)


def test_a_whole_reply_is_read():
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 90},
        "completion_tokens_details": {"reasoning_tokens": 30},
    }
    choices = [
        {"message": {"content": "a", "reasoning": "why"}, "finish_reason": "stop"},
        {"message": {"content": None, "reasoning_content": "because"}, "finish_reason": "length"},
        {"message": {"content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]}},
    ]
    answer = wire.read(reply(usage=usage, choices=choices, system_fingerprint="fp"))
    assert answer.samples == (
        Sample("a", "why", "stop"),
        Sample(None, "because", "length"),
        Sample("bc", "", ""),
    )
    assert answer.usage == Usage(100, 90, 50, 30)
    assert (answer.model, answer.fingerprint) == ("m", "fp")


def test_usage_that_is_none_or_nonsense():
    assert wire.read(reply(usage=None)).usage is None
    assert wire.read(reply(usage={"prompt_tokens": "5"})).usage is None
    for nonsense in (-1, True, None, 7.5, 10**40):
        assert wire.read(reply(usage={"prompt_tokens": 5, "completion_tokens": nonsense})).usage is None
        assert wire.read(reply(usage={"prompt_tokens": nonsense, "completion_tokens": 5})).usage is None
    odd = {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 99}}
    assert wire.read(reply(usage=odd)).usage == Usage(5, 5, 0, 0)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "malformed"),
        (b"<html>", "malformed"),
        (b"[]", "malformed"),
        (b"null", "malformed"),
        (b'{"choices": {}}', "malformed"),
        (b'{"choices": [3]}', "malformed"),
        (b'{"choices": [{"message": null}]}', "malformed"),
        (b'{"choices": []}', "empty"),
        (b"\xff\xfe{\x00}\x00", "malformed"),
        (reply().decode().encode("utf-16"), "malformed"),
        (b"[" * 100_000, "malformed"),
        (b'{"choices": [' + b"9" * 5_000 + b"]}", "malformed"),
    ],
)
def test_a_reply_that_is_none(data, kind):
    assert failure(data).kind == kind


def test_a_failed_reply_still_says_what_it_cost():
    assert failure(reply(choices=[])).usage == Usage(5, 0, 7, 0)
    assert failure(reply(choices=[{}])).usage == Usage(5, 0, 7, 0)


@given(st.text(alphabet=st.characters(codec=None)))
def test_any_text_comes_back_as_one_that_can_be_stored(text):
    (sample,) = wire.read(reply(choices=[{"message": {"content": text}}])).samples
    sample.text.encode()
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert sample.text == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    "choices",
                    "message",
                    "content",
                    "usage",
                    "prompt_tokens",
                    "prompt_tokens_details",
                    "reasoning",
                )
            ),
            inner,
            max_size=4,
        )
    ),
)


@given(JSON | st.binary(max_size=40))
def test_nothing_on_the_wire_is_an_error_of_ours(content):
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    for reader in (wire.read, wire.read_models):
        try:
            reader(data)
        except Failure:
            continue
    words, _ = wire.error_words(data)
    assert isinstance(words, str)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"error": {"message": "too long", "code": 400}}', "too long"),
        (b'{"object": "error", "message": "old vLLM"}', "old vLLM"),
        (b'{"detail": "Not Found"}', "Not Found"),
        (b'{"detail": [{"loc": ["body"]}]}', '[{"loc": ["body"]}]'),
        (b"plain words", "plain words"),
        (b"\xff\xfe", "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_the_words_of_an_error(data, words):
    assert wire.error_words(data)[0] == words


def test_models_and_their_contexts():
    data = b'{"data": [{"id": "a", "max_model_len": 4096}, {"id": "b"}, {"id": 3}, null]}'
    assert wire.read_models(data) == (("a", 4096), ("b", None))


def test_retry_after_is_a_number_or_a_date():
    assert wire.retry_after({}) is None
    assert wire.retry_after({"Retry-After": "7"}) == 7.0
    assert wire.retry_after({"Retry-After": "0.5"}) == 0.5
    assert wire.retry_after({"Retry-After": "soon"}) is None
    assert wire.retry_after({"Retry-After": "-3"}) is None
    assert wire.retry_after({"Retry-After": formatdate(usegmt=True)}) < 1.0
    assert wire.retry_after({"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}) > 3600
