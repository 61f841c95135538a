"""A ledger file is made whole, recognised, migrated, found damaged; a full one goes on when there is room."""

import sqlite3

import pytest

from evolve.programs_db import schema
from evolve.programs_db.errors import LedgerBusy, LedgerError, LedgerFull, LedgerUnreadable
from evolve.programs_db.ledger import Ledger


def test_integrity_finds_a_program_that_is_not_its_source_and_a_lost_commit(make, commits):
    ledger = make(commits=commits)
    ledger.close()
    db = sqlite3.connect(ledger.path)
    for table in ("texts", "proposals"):
        db.execute(f"DROP TRIGGER {table}_no_update")
        db.execute(f"DROP TRIGGER {table}_no_delete")
    db.execute("UPDATE texts SET text = 'pass' WHERE hash = ?", (commits[0].program.id,))
    db.execute("DELETE FROM proposals WHERE number = 13")
    db.commit()
    db.close()
    with Ledger.read(ledger.path) as damaged:
        found = "\n".join(damaged.integrity())
    assert f"texts: {commits[0].program.id} is not the hash of its text" in found
    assert "proposals: 39 commits are numbered 1..40 by arrival" in found


def test_a_ledger_is_not_made_twice_nor_where_there_is_no_folder(make, writer, tmp_path):
    make("a.db")
    with pytest.raises(LedgerBusy):
        make("a.db")
    make("b.db").close()
    with pytest.raises(LedgerError, match="the file exists") as caught:
        make("b.db")
    assert caught.value.exit_code == 2
    with pytest.raises(LedgerError, match="there is no folder"):
        Ledger.create(tmp_path / "none" / "a.db", writer.PROBLEM, writer.RUN, "fp")


@pytest.mark.parametrize("opening", [Ledger.open, Ledger.read])
def test_a_file_that_is_no_ledger_is_named_as_what_it_is(opening, make, tmp_path):
    with pytest.raises(LedgerUnreadable, match="there is no such ledger"):
        opening(tmp_path / "missing.db")
    text = tmp_path / "text.db"
    text.write_text("not a database " * 100)
    with pytest.raises(LedgerUnreadable, match="not a database"):
        opening(text)
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE t (x)")
    other.close()
    with pytest.raises(LedgerUnreadable, match="a database, but not a ledger"):
        opening(tmp_path / "other.db")
    ledger = make()
    ledger._db.execute("PRAGMA user_version = 99")
    ledger.close()
    with pytest.raises(LedgerUnreadable, match="newer evolve"):
        opening(ledger.path)


def test_an_older_ledger_is_migrated_when_it_is_opened_for_writing_or_left_as_it_was(
    make, commits, monkeypatch
):
    ledger = make(commits=commits)
    ledger.close()

    def add_a_column(db):
        db.execute("ALTER TABLE notes ADD COLUMN mood TEXT")

    def fail(db):
        add_a_column(db)
        raise RuntimeError("half-way")

    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, fail])
    monkeypatch.setattr("evolve.programs_db.opening.MIGRATIONS", schema.MIGRATIONS)
    with pytest.raises(LedgerUnreadable, match="older evolve"):
        Ledger.read(ledger.path)
    with pytest.raises(RuntimeError):
        Ledger.open(ledger.path)
    schema.MIGRATIONS[-1] = add_a_column
    with Ledger.open(ledger.path) as again:
        assert list(again.replay()) == commits
        assert schema.version_of(again._db) == len(schema.MIGRATIONS)
        again.query("SELECT mood FROM notes")


def test_a_full_database_keeps_what_it_has_and_the_buffer_can_be_flushed_later(make, writer):
    ledger = make(commits=[writer.commit_at(0)])
    pages = ledger.query("PRAGMA page_count")[0]["page_count"]
    ledger._db.execute(f"PRAGMA max_page_count = {pages + 2}").fetchall()
    batch = [writer.commit_at(number) for number in range(1, 100)]
    for commit in batch:
        ledger.record(commit)
    with pytest.raises(LedgerFull, match="what was committed is safe"):
        ledger.flush()
    with Ledger.read(ledger.path) as reader:
        assert list(reader.replay()) == [writer.commit_at(0)]
    ledger._db.execute("PRAGMA max_page_count = 1000000").fetchall()
    ledger.flush()
    assert list(ledger.replay()) == [writer.commit_at(0), *batch]


def test_a_symbolic_link_is_the_same_ledger(make, tmp_path):
    ledger = make()
    link = tmp_path / "link.db"
    link.symlink_to(ledger.path)
    with pytest.raises(LedgerBusy):
        Ledger.open(link)


def test_closing_twice_is_harmless(make):
    ledger = make()
    ledger.close()
    ledger.close()
