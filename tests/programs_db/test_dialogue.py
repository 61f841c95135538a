"""Requests and replies: written at once, read back exactly, texts once, tokens summed."""

import dataclasses

import pytest

from evolve.programs_db.dialogue import Answered, Asked, Dialogue, Said, Spent
from evolve.programs_db.errors import LedgerError
from evolve.programs_db.ledger import Ledger

SYSTEM = ("system", "You change programs. " * 50)
ASKED = Asked(
    5, 2, 0, 4, "improve", "m", (SYSTEM, ("user", "Do it: \u20ac")), {"temperature": 0.7, "max_tokens": 900}
)
ANSWERED = Answered(
    (Said("def f(): pass", "let me see"), Said(None, "", "length")),
    *(Spent(900, 800, 70, 20), "m-1", "fp_1", "http://a/v1", 2, 1.25),
)


def test_what_is_asked_and_answered_is_read_back_and_known_to_other_processes_at_once(make):
    ledger = make()
    request = ledger.record_asked(ASKED)
    with Ledger.read(ledger.path) as other:
        assert other.dialogues() == [Dialogue(ASKED, None)]
    ledger.record_answered(request, ANSWERED)
    with Ledger.read(ledger.path) as other:
        assert other.dialogues() == [Dialogue(ASKED, ANSWERED)]
        assert other.integrity() == []


def test_tokens_are_summed_and_shared_texts_are_stored_once(make):
    ledger = make()
    for number in range(4):
        asked = dataclasses.replace(ASKED, first=number * 2, prompt=(SYSTEM, ("user", f"number {number}")))
        ledger.record_answered(ledger.record_asked(asked), ANSWERED)
    assert ledger.spent() == (Spent(3600, 3200, 280, 80), Spent())
    assert ledger.query("SELECT count(*) AS n FROM texts WHERE text = :t", {"t": SYSTEM[1]}) == [{"n": 1}]


def test_nothing_is_asked_or_answered_twice(make):
    ledger = make()
    request = ledger.record_asked(ASKED)
    with pytest.raises(LedgerError):
        ledger.record_asked(ASKED)
    again = ledger.record_asked(dataclasses.replace(ASKED, attempt=1))
    ledger.record_answered(request, ANSWERED)
    with pytest.raises(LedgerError):
        ledger.record_answered(request, ANSWERED)
    with pytest.raises(LedgerError):
        ledger.record_answered(again + 1, ANSWERED)
    assert [answered for _, answered, _ in ledger.dialogues()] == [ANSWERED, None]


def test_a_failed_request_has_an_error_and_no_answers(make):
    ledger = make()
    failed = Answered((), Spent(10, 0, 5, 0), error="the server died twice of it \udc80")
    failed = dataclasses.replace(failed, error="the server died twice of it")
    ledger.record_answered(ledger.record_asked(ASKED), failed)
    assert ledger.dialogues() == [Dialogue(ASKED, failed)]


def test_tries_that_were_billed_in_vain_are_kept_one_by_one_and_are_not_content(make):
    ledger, other = make(), make("b.db")
    tries = (Spent(10, 0, 5, 0), Spent(10, 8, 0, 0))
    for book in (ledger, other):
        request = book.record_asked(ASKED)
        for spent in tries if book is ledger else ():
            book.record_wasted(request, spent)
    with Ledger.read(ledger.path) as read:  # at once
        assert read.dialogues() == [Dialogue(ASKED, None, tries)]
        assert read.spent() == (Spent(), Spent(20, 8, 5, 0))
        (entry,) = read.entries()
        assert (entry.wasted, entry.tokens, entry.answered) == (tries, 25, False)
    for book in (ledger, other):
        book.record_answered(1, ANSWERED)
    assert ledger.entries()[0].tokens == 25 + 970
    assert ledger.content_hash() == other.content_hash()
    assert ledger.integrity() == []


def test_the_content_hash_covers_what_was_said_and_not_what_was_measured(make, tmp_path):
    def hashed(name, asked, answered, swap=False):
        ledger = make(name)
        other = dataclasses.replace(asked, first=90)
        requests = [ledger.record_asked(one) for one in ((other, asked) if swap else (asked, other))]
        for request in requests:
            ledger.record_answered(request, answered)
        return ledger.content_hash()

    base = hashed("a.db", ASKED, ANSWERED)
    measured = dataclasses.replace(
        ANSWERED, endpoint="http://b/v1", seconds=9.0, tries=1, server="", spent=Spent(900, 0, 70, 20)
    )
    assert hashed("b.db", ASKED, measured) == base
    assert hashed("c.db", ASKED, ANSWERED, swap=True) == base
    said = (Said("def g(): pass", "let me see"), Said(None, "", "length"))
    assert hashed("d.db", ASKED, dataclasses.replace(ANSWERED, said=said)) != base
    assert hashed("e.db", dataclasses.replace(ASKED, seen=3), ANSWERED) != base
