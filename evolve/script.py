"""The schedule of a replay: what another ledger records is drawn, answered and committed again, in the same order.

No server is asked: answers come from the recording. What would be asked now is compared with what was asked then, so
that a replay which goes another way says so at once. Knows ledgers and searches; knows no server.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from evolve.desk import Books
from evolve.engine import Engine
from evolve.evaluator import Judged
from evolve.mutators.base import Draft
from evolve.mutators.llm import LESSONS, Question, Unusable
from evolve.programs_db.dialogue import Answered, Asked, Dialogue, Said
from evolve.programs_db.errors import LedgerMismatch
from evolve.programs_db.ledger import Ledger
from evolve.search import Pending, Standing

__all__ = ["Script"]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A question that was drawn again."""

    question: Question
    standing: Standing


class Script:
    """Repeats a recording.

    Args:
        recording: open to be read.
        books: of the ledger that is written.
    """

    def __init__(self, recording: Ledger, books: Books) -> None:
        self.recording = recording
        self.books = books
        rows = recording.query(
            "SELECT number, arrival, mutator, staleness, error FROM proposals ORDER BY arrival"
        )
        self._order = [row["number"] for row in rows]
        self._fills: dict[int, list[tuple[int, str | None]]] = defaultdict(list)  # and why nothing was asked
        self._asked: dict[int, list[Dialogue]] = defaultdict(list)
        self._answers: dict[int, tuple[Asked, Answered | None]] = {}
        self._learnt = recording.interventions(LESSONS)
        dialogues = recording.dialogues()
        asked = set()
        for dialogue in dialogues:
            self._asked[dialogue.asked.seen].append(dialogue)
            if dialogue.asked.kind != LESSONS:
                for number in range(dialogue.asked.first, dialogue.asked.first + dialogue.asked.samples):
                    self._answers[number] = dialogue.asked, dialogue.answered
                    asked.add(number)
        given = len(recording.run["init"])
        for row in rows:
            if row["number"] not in asked and row["number"] > given:
                why = row["error"] if row["mutator"] == books.model.name else None
                self._fills[row["arrival"] - 1 - row["staleness"]].append((row["number"], why))
        self._drawn: dict[int, _Drawn] = {}
        self._coming: dict[int, asyncio.Task[tuple[Pending, Judged | None]]] = {}

    async def drive(self, engine: Engine) -> None:
        """See `Schedule.drive`."""
        most = engine.budget.proposals
        try:
            for commits in range(engine.ledger.commits, len(self._order) + 1):
                self._between(engine, commits)
                if commits == len(self._order) or (most is not None and commits > most):
                    break
                number = self._order[commits]
                if number not in self._coming:  # one of those to start from
                    self._judge(engine, engine.search.propose(number))
                await engine.settle(*await self._coming.pop(number))
        finally:
            for task in self._coming.values():
                task.cancel()
            await asyncio.gather(*self._coming.values(), return_exceptions=True)

    def _between(self, engine: Engine, commits: int) -> None:
        """All that was drawn, and learnt, while there were so many commits, in the order in which it was recorded."""
        search = engine.search
        for number, why in self._fills.get(commits, ()):
            draft = None if why is None else Draft.failed("", why)
            given_up = draft and search.given_up(number, draft, search.standing())
            self._judge(engine, given_up or search.propose(number))
        for dialogue in self._asked.get(commits, ()):
            self._learn(engine, commits)
            self._put(engine, dialogue)
        self._learn(engine, commits)

    def _learn(self, engine: Engine, commits: int) -> None:
        """Lessons that came before the next request."""
        while (
            self._learnt
            and self._learnt[0][0] <= commits
            and self._learnt[0][1]["asked"] == engine.ledger.asked
        ):
            _, told = self._learnt.pop(0)
            engine.ledger.record_intervention(LESSONS, told)
            self.books.model.learn(told)

    def _put(self, engine: Engine, dialogue: Dialogue) -> None:
        """Draw a question again, and take its answer from the recording."""
        asked, answered, wasted = dialogue
        drawn = self._again(engine, asked)
        if (now := drawn.question.asked()) != asked:
            self._diverged(asked, now)
        entry = self.books.enter(drawn.question)
        for spent in wasted:
            engine.ledger.record_wasted(entry, spent)
        if answered is not None:
            engine.ledger.record_answered(entry, answered)
        billed = (*wasted, *([answered.spent] if answered else []))
        self.books.charge(asked.kind, asked.first, asked.samples, sum(spent.tokens for spent in billed))
        if asked.kind != LESSONS:
            for number in range(asked.first, asked.first + asked.samples):
                self._drawn.setdefault(number, drawn)
                self._read(engine, number, asked)

    def _again(self, engine: Engine, asked: Asked) -> _Drawn:
        search = engine.search
        if asked.kind == LESSONS:
            return _Drawn(search.ask_lessons(asked.first), search.standing())
        if asked.attempt:
            before = self._drawn[asked.first]
            spare = bool(asked.parameters["spare"])
            request = replace(before.question.request, n=asked.samples)
            question = replace(
                before.question,
                first=asked.first,
                seen=asked.seen,
                attempt=asked.attempt,
                request=request,
                spare=spare,
            )
            return replace(before, question=question)
        question = search.ask(asked.first)
        question = replace(question, request=replace(question.request, n=asked.samples))
        return _Drawn(question, search.standing())

    def _read(self, engine: Engine, number: int, asked: Asked) -> None:
        """Judge what the last answer to a proposal says, once that is the one at hand."""
        last, answered = self._answers[number]
        if last is not asked or answered is None:
            return
        drawn = self._drawn[number]
        question, search = drawn.question, engine.search
        parents = tuple(parent.id for parent in question.parents)
        if answered.error:
            draft = Draft.failed(question.operator, f"no_reply: {answered.error}", parents)
        else:
            place = number - asked.first
            said = answered.said[place] if place < len(answered.said) else Said(None, "", "missing")
            try:
                draft = self.books.model.read(question, number, said)
            except Unusable as why:
                draft = Draft.failed(question.operator, str(why), parents)
        self._judge(engine, search.answered(number, question, draft, drawn.standing))

    def _judge(self, engine: Engine, pending: Pending) -> None:
        async def judged() -> tuple[Pending, Judged | None]:
            return pending, None if pending.job is None else await engine.judge(pending.job)

        self._coming[pending.proposal.number] = asyncio.ensure_future(judged())

    def _diverged(self, then: Asked, now: Asked) -> None:
        told = ", ".join(_differences(then, now))
        raise LedgerMismatch(
            f"{self.recording.path}: the request for proposal {then.first} would be another one now ({told}): evolve, "
            "a template or the score of a program has changed since it was recorded"
        )


def _differences(then: Asked, now: Asked) -> Iterator[str]:
    for name in ("kind", "model", "samples", "parameters", "prompt", "seen"):
        if getattr(then, name) != getattr(now, name):
            yield name
