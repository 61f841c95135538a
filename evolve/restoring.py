"""Brings a search to where its ledger ends: commits again in order, and what was in flight as it was drawn.

Knows ledgers and searches; starts nothing.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any

from evolve.desk import Books
from evolve.errors import ProblemError
from evolve.flow import Open
from evolve.lockstep import Drawing
from evolve.mutators.llm import LESSONS, ModelMutator, question_of
from evolve.programs_db.dialogue import Entry
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.records import Commit
from evolve.search import Pending, Search, Standing

__all__ = ["Restored", "restore", "restore_models"]


@dataclass(frozen=True, slots=True)
class Restored:
    """Where a run with a model stopped.

    Args:
        opened: questions with proposals that are not committed.
        lost: numbers that the syntactic mutator had drawn.
        seconds: of searching so far.
    """

    opened: tuple[Open, ...] = ()
    lost: tuple[int, ...] = ()
    seconds: float = 0.0


def restore(book: Ledger, search: Search, fingerprint: str) -> tuple[dict[int, Pending], float]:
    """Bring a search without a model to where the ledger ends.

    Proposals that were in flight are drawn again, each right after the commit that it saw last, so a resumed
    run goes on exactly as one that was never stopped.

    Returns:
        Those proposals by number, and the seconds of searching so far.

    Raises:
        ProblemError: the seed program scores no more.
    """
    done = book.commits - 1
    if done < 0:
        return {}, 0.0
    drawing = Drawing(search.config)
    for commit in book.replay(fingerprint):
        search.remember(commit)
    prepared: dict[int, Pending] = {}
    before = 0.0
    for commit in _replayed(book, search, fingerprint):
        before = max(before, commit.proposal.elapsed)
        for new in drawing.after(commit.proposal.number):
            if new > done:
                prepared[new] = search.propose(new)
    return prepared, before


def _replayed(book: Ledger, search: Search, fingerprint: str) -> Iterator[Commit]:
    """Each commit, after the search has taken it."""
    for commit in book.replay(fingerprint):
        search.replay(commit)
        if commit.proposal.number == 0 and (commit.evaluation is None or commit.evaluation.objective is None):
            raise ProblemError(
                f"{book.path}: since the last rescore the seed program does not score; mend the problem"
            )
        yield commit


class _Between:
    """What happened between two commits, as the mutator has to be told again."""

    def __init__(self, book: Ledger, search: Search, wanted: Set[int]) -> None:
        self.standings: dict[int, Standing] = {}
        self._search = search
        self._wanted = wanted
        self._drawn: dict[int, list[Entry]] = defaultdict(list)
        self._learnt: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for entry in book.entries():
            self._drawn[entry.seen].append(entry)
        for arrival, told in book.interventions(LESSONS):
            self._learnt[max(1, arrival)].append(told)  # a human may be quicker than the seed program

    def tell(self, model: ModelMutator, commits: int) -> None:
        """There are so many commits now."""
        if commits in self._wanted:
            self.standings[commits] = self._search.standing()
        for entry in self._drawn.get(commits, ()):
            model.asked(entry.kind, entry.repairs)
        for told in self._learnt.get(commits, ()):
            model.learn(told)


def restore_models(book: Ledger, search: Search, fingerprint: str) -> Restored:
    """Bring a search with a model to where the ledger ends, and find what it had asked for.

    Raises:
        ProblemError: the seed program scores no more.
    """
    model = search.model
    assert model is not None
    entries = book.entries()
    first, last = _covering(entries)
    committed = {row["number"] for row in book.query("SELECT number FROM proposals")}
    waiting = [number for number in last if number not in committed]
    _recall(book, model, entries)
    between = _Between(book, search, {first[number].seen for number in waiting})
    seconds = 0.0
    for count, commit in enumerate(_replayed(book, search, fingerprint), 1):
        seconds = max(seconds, commit.proposal.elapsed)
        between.tell(model, count)
    if book.commits == 0:
        between.tell(model, 1)  # no commit tells it what a human has
    groups: dict[int, list[int]] = defaultdict(list)
    for number in waiting:
        groups[last[number].id].append(number)
    opened = tuple(
        _opened(book, model, last[numbers[0]], between.standings[first[numbers[0]].seen], numbers)
        for numbers in groups.values()
    )
    known = committed | set(last)
    lost = (number for number in range(len(search.init) + 1, max(known, default=0)) if number not in known)
    return Restored(opened, tuple(lost), seconds)


def _recall(book: Ledger, model: ModelMutator, entries: Sequence[Entry]) -> None:
    """What answers have cost, and what those said that made no program."""
    books = Books(model, book)
    for entry in entries:
        books.charge(entry.kind, entry.first, entry.samples, entry.tokens)
    failed = "SELECT number FROM proposals WHERE error IS NOT NULL AND mutator = :name"
    for row in book.query(failed, {"name": model.name}):
        model.memory.said(row["number"], book.said(row["number"], model.dials.samples))


def _covering(entries: Sequence[Entry]) -> tuple[dict[int, Entry], dict[int, Entry]]:
    """For each proposal of a model the first and the last entry that asks for it."""
    first: dict[int, Entry] = {}
    last: dict[int, Entry] = {}
    for entry in entries:
        if entry.kind == LESSONS:
            continue
        for number in range(entry.first, entry.first + entry.samples):
            first.setdefault(number, entry)
            last[number] = entry
    return first, last


def _opened(
    book: Ledger, model: ModelMutator, entry: Entry, standing: Standing, numbers: Sequence[int]
) -> Open:
    asked, answered, _ = book.dialogue(entry.id)
    question = question_of(asked, book.program, model.dials.deadline)
    return Open(question, standing, entry.id, answered, tuple(numbers))
