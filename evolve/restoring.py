"""Brings a search to where its ledger ends: commits again in order, and what was in flight as it was drawn.

Knows ledgers and searches; starts nothing.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evolve.desk import Books
from evolve.errors import ProblemError
from evolve.flow import Open
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
    window = search.config.window
    for commit in book.replay(fingerprint):
        search.remember(commit)
    prepared: dict[int, Pending] = {}
    before = 0.0
    for commit in _replayed(book, search, fingerprint):
        before = max(before, commit.proposal.elapsed)
        number = commit.proposal.number
        for new in range(1, window + 1) if number == 0 else (number + window,):
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
    standings: dict[int, Standing] = {}
    wanted = {first[number].seen for number in waiting}
    books = Books(model, book)
    for entry in entries:
        books.charge(entry.kind, entry.first, entry.samples, entry.spent)
    drawn: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        drawn[entry.seen].append(entry)
    learnt: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for arrival, told in book.interventions(LESSONS):
        learnt[arrival].append(told)
    for error in book.query(
        "SELECT number FROM proposals WHERE error IS NOT NULL AND mutator = :name", {"name": model.name}
    ):
        model.memory.said(error["number"], book.said(error["number"]))

    def between(commits: int) -> None:
        """What happened while there were so many commits."""
        if commits in wanted:
            standings[commits] = search.standing()
        for entry in drawn.get(commits, ()):
            model.asked(entry.kind, entry.repairs)
        for told in learnt.get(commits, ()):
            model.learn(told)

    seconds = 0.0
    for count, commit in enumerate(_replayed(book, search, fingerprint), 1):
        seconds = max(seconds, commit.proposal.elapsed)
        between(count)
    groups: dict[int, list[int]] = defaultdict(list)
    for number in waiting:
        groups[last[number].id].append(number)
    opened = tuple(
        _opened(book, model, last[numbers[0]], standings[first[numbers[0]].seen], numbers)
        for numbers in groups.values()
    )
    top = max(committed | set(last), default=0)
    lost = (
        number
        for number in range(len(search.init) + 1, top)
        if number not in committed and number not in last
    )
    return Restored(opened, tuple(lost), seconds)


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
    asked, answered = book.dialogue(entry.id)
    question = question_of(asked, book.program, model.dials.deadline)
    if entry.answered:
        return Open(question, standing, entry.id, answered, tuple(numbers))
    if answered is not None:  # there was no server: it is put again, under a number of its own
        question = replace(question, attempt=question.attempt + 1)
        return Open(question, standing, None, None, tuple(numbers))
    return Open(question, standing, entry.id, None, tuple(numbers))
