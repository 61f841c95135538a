"""What the tests of programs_db share: commits by number, and a ledger to write them into."""

import importlib.util
from pathlib import Path

import pytest

from evolve.programs_db.ledger import Ledger

WRITER = Path(__file__).with_name("writer.py")


@pytest.fixture(scope="session")
def writer():
    """The module of writer.py."""
    spec = importlib.util.spec_from_file_location("programs_db_writer", WRITER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make(writer, tmp_path):
    """make(name, commits, batch) -> an open ledger of its own with these commits."""
    opened = []

    def build(name="a.db", commits=(), batch=64, fingerprint="fp-1"):
        ledger = Ledger.create(tmp_path / name, writer.PROBLEM, writer.RUN, fingerprint)
        opened.append(ledger)
        ledger.begin_session(fingerprint, {"cpus": 2}, ["evolve"], 100)
        for count, commit in enumerate(commits, start=1):
            ledger.record(commit)
            if count % batch == 0:
                ledger.flush()
        ledger.flush()
        return ledger

    yield build
    for ledger in opened:
        ledger.close()


@pytest.fixture
def commits(writer):
    """Forty commits of every kind."""
    return [writer.commit_at(number) for number in range(40)]
