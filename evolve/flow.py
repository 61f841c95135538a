"""The schedule of a run with a model: models are kept full, evaluators are kept busy, commits come as they arrive.

A question is put when a server has room and the evaluators will have time for its answers, and it is drawn then, from
all that is known then. Where evaluators would idle the syntactic mutator proposes. Knows no server and no syntax.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from evolve.desk import Desk
from evolve.engine import Engine, first_error
from evolve.llm.errors import Overspent
from evolve.llm.lessons import lesson_record, read_lessons
from evolve.llm.prompt import PromptError
from evolve.llm.spending import Hold
from evolve.mutators.base import Draft
from evolve.mutators.llm import LESSONS, NoQuestion, Question, Unusable
from evolve.programs_db.dialogue import Answered, Said
from evolve.programs_db.ledger import Ledger
from evolve.search import Pending, Standing
from evolve.traffic import Cores, Level, Usual, wanted

__all__ = ["Flow", "Open", "Vacancies"]


class Vacancies:
    """What a schedule asks of a client about its servers; this one has room for everything."""

    @property
    def window(self) -> float:
        """Answers that may be under way at once."""
        return math.inf

    async def vacancy(self) -> None:
        """Wait until an answer could be asked for."""


@dataclass(frozen=True, slots=True)
class Open:
    """A question of an earlier session, some of whose proposals are not committed.

    Args:
        question: as it was put.
        standing: of the run when it was drawn.
        entry: id of its entry.
        answered: its reply, if that had come.
        numbers: the proposals that are not committed.
    """

    question: Question
    standing: Standing
    entry: int
    answered: Answered | None
    numbers: tuple[int, ...]


@dataclass(slots=True)
class Figures:
    """How full both sides were, in one session."""

    in_flight: Level = field(default_factory=Level)
    starved: Level = field(default_factory=Level)
    waiting: Level = field(default_factory=Level)
    again: int = 0


class Flow:
    """Asks, evaluates and commits; drawn proposals get the next numbers.

    Args:
        desk: where questions are put.
        vacancies: of the servers.
        cores: places for evaluations.
        opened: questions of earlier sessions.
        lost: numbers that were drawn in an earlier session, never asked of a model, and never committed.
    """

    def __init__(
        self,
        desk: Desk,
        vacancies: Vacancies,
        cores: Cores,
        opened: Sequence[Open] = (),
        lost: Sequence[int] = (),
    ) -> None:
        self.desk = desk
        self.figures = Figures()
        self._vacancies = vacancies
        self._cores = cores
        self._syntactic = desk.model.dials.syntactic
        self._opened = tuple(opened)
        self._lost = deque(lost)
        self._latency = Usual()
        self._flying = 0
        self._unsettled = 0
        self._next = 0
        self._spent = ""
        self._condensing = False
        self._turn = asyncio.Lock()
        self._bell = asyncio.Event()

    async def drive(self, engine: Engine) -> None:
        """See `Schedule.drive`."""
        book, given = engine.ledger, len(engine.search.init)
        self._engine = engine
        self._lost = deque(number for number in self._lost if number <= self._most)
        self._next = max(
            book.next_number, given + 1, *(1 + number for number in self._lost), *self._ends(), 1
        )
        self._cores.seconds.note(_usual_seconds(book))
        if tell := getattr(engine.observer, "on_asking", None):
            tell(self.state)
        with first_error():
            async with asyncio.TaskGroup() as group:
                self._group = group
                absent = {*book.missing(), *range(book.next_number, given + 1)}
                for number in sorted(absent & {*range(1, given + 1)}):
                    await self._finish(engine.search.propose(number))
                for one in self._due():
                    group.create_task(self._reopened(one))
                group.create_task(self._ask())
                if self._syntactic:
                    for _ in range(self._cores.most):
                        group.create_task(self._fill())

    def state(self) -> dict[str, float]:
        """Questions that are out, and what was spent; may be asked on any thread."""
        tally = self.desk.purse.tally
        tokens = tally.usage.tokens + tally.wasted.tokens
        return {
            "in_flight": self._flying,
            "window": self._vacancies.window,
            "waiting": self._cores.waiting,
            "requests": tally.requests,
            "tokens": tokens,
            "money": tally.money,
        }

    def _due(self) -> Iterator[Open]:
        """Questions of earlier sessions, for the proposals that are within the budget; the others stay open."""
        for one in self._opened:
            if numbers := tuple(number for number in one.numbers if number <= self._most):
                yield replace(one, numbers=numbers)

    def _ends(self) -> list[int]:
        """For each request the number after its last."""
        entries = self._engine.ledger.entries()
        return [entry.first + entry.samples for entry in entries if entry.kind != LESSONS]

    # -- asking

    @property
    def _most(self) -> float:
        most = self._engine.budget.proposals
        return math.inf if most is None else most

    @property
    def _over(self) -> bool:
        if self._spent or self._engine.stopped is not None:
            return True
        return self._next > self._most and not self._lost

    def _change(self) -> None:
        """Something has changed that others wait for."""
        figures, window = self.figures, self._vacancies.window
        figures.in_flight.set(self._flying)
        figures.waiting.set(self._cores.waiting)
        room = max(0.0, window - self._flying) / window if 0.0 < window < math.inf else 0.0
        figures.starved.set(0.0 if self._over else room)
        self._bell.set()

    async def _until_change(self) -> None:
        self._bell.clear()
        await self._bell.wait()

    def _crowded(self) -> bool:
        """Whether more answers than the evaluators can take are on their way, or have come already."""
        if self._unsettled > 2 * self._cores.places:
            return True
        out = self._flying + self._unsettled
        return out > 0 and out + self.desk.model.dials.samples > wanted(self._cores, self._latency.value)

    async def _ask(self) -> None:
        while not self._over:
            if self._crowded():
                await self._until_change()
                continue
            await self._vacancies.vacancy()
            if self._over or self._crowded():
                continue
            number = self._number()
            if number is None:  # what is left is the other mutator's
                return
            try:
                await self._ask_for(number)
            except Overspent as why:
                if why.pending:
                    await self._until_change()
                else:
                    self._spent = str(why)
                    if not self._engine.ledger.asked:
                        self.desk.warn(self._spent)  # a run that never asks would look like one that did
                    self._change()

    async def _ask_for(self, number: int) -> None:
        """Put the next question; raises Overspent where it cannot be paid for."""
        try:
            question = self._drawn(number)
        except NoQuestion as why:
            await self._barren(number, str(why))
        except PromptError as why:
            if not self._engine.ledger.asked:
                raise  # not even the first: the model is too small for this problem
            await self._barren(number, f"too_long: {why}")
        else:
            self._put(question, self.desk.reserve(question))
            await asyncio.sleep(0)  # it takes its place at a server before the next one asks for room

    def _number(self) -> int | None:
        """The next proposal's, or that of one that was lost and that no one else takes."""
        if self._lost and not self._syntactic:
            return self._lost[0]
        return self._next if self._next <= self._most else None

    def _drawn(self, number: int) -> Question:
        search = self._engine.search
        if not self._condensing and self.desk.model.lessons_due:
            return search.ask_lessons(number)
        question = search.ask(number)
        left = 1 if number < self._next else self._most - number + 1
        samples = int(min(question.request.n, left))
        return replace(question, request=replace(question.request, n=samples))

    def _put(self, question: Question, hold: Hold) -> None:
        standing = self._engine.search.standing()
        entry = self.desk.enter(question)
        self._flying += question.request.n
        if question.kind == LESSONS:
            self._condensing = True
            self._group.create_task(self._learn(question, entry, hold))
        else:
            numbers = tuple(range(question.first, question.first + question.request.n))
            self._take(numbers)
            self._group.create_task(self._answer(Open(question, standing, entry, None, numbers), hold))
        self._change()

    def _take(self, numbers: Sequence[int]) -> None:
        """These numbers are somebody's."""
        if self._lost and self._lost[0] == numbers[0]:
            self._lost.popleft()
        self._next = max(self._next, numbers[-1] + 1)

    async def _barren(self, number: int, why: str) -> None:
        """A number whose parent cannot be changed is spent: the next one draws another parent."""
        standing = self._engine.search.standing()
        self._take((number,))
        await self._finish(self._engine.search.given_up(number, Draft.failed("", why), standing))

    async def _sent(self, question: Question, entry: int, hold: Hold) -> Answered:
        try:
            answered = await self.desk.put(question, entry, hold)
        finally:
            self._flying -= question.request.n
            self._change()
        if not answered.error:
            self._latency.note(answered.seconds)
        return answered

    async def _reopened(self, one: Open) -> None:
        """A question of an earlier session: its answer is there, or it is put once more."""
        if one.answered is not None:
            await self._read_all(one, one.answered)
            return
        hold = await self._hold(one.question)
        if hold is None:
            return  # it stays open
        self._flying += one.question.request.n
        await self._answer(one, hold)

    async def _hold(self, question: Question) -> Hold | None:
        """Room in the budget, as soon as there is some; None if there will be none."""
        while True:
            try:
                return self.desk.reserve(question)
            except Overspent as why:
                if not why.pending:
                    self._spent = self._spent or str(why)
                    return None
                await self._until_change()

    # -- answers

    async def _answer(self, one: Open, hold: Hold) -> None:
        await self._read_all(one, await self._sent(one.question, one.entry, hold))

    async def _read_all(self, one: Open, answered: Answered) -> None:
        self._unsettled += len(one.numbers)
        work = [self._read(one, number, answered) for number in one.numbers]
        for each in work[1:]:
            self._group.create_task(each)
        await work[0]

    async def _read(self, one: Open, number: int, answered: Answered) -> None:
        """One answer, from its text to its commit."""
        draft = self._draft(one.question, number, answered)
        if isinstance(draft, Unusable):
            draft = await self._again(one.question, number, draft)
        await self._finish(self._engine.search.answered(number, one.question, draft, one.standing))
        self._unsettled -= 1
        self._change()

    def _draft(self, question: Question, number: int, answered: Answered) -> Draft | Unusable:
        parents = tuple(parent.id for parent in question.parents)
        if answered.error:
            return Draft.failed(question.operator, f"no_reply: {answered.error}", parents)
        place = number - question.first
        said = answered.said[place] if place < len(answered.said) else Said(None, "", "missing")
        try:
            return self.desk.model.read(question, number, said)
        except Unusable as why:
            return why if question.spare else Draft.failed(question.operator, str(why), parents)

    async def _again(self, question: Question, number: int, why: Unusable) -> Draft:
        """Ask once more for an answer that was empty or cut off."""
        self.figures.again += 1
        again = question.again(number)
        hold = await self._hold(again)
        if hold is None:
            return Draft.failed(question.operator, str(why), tuple(parent.id for parent in question.parents))
        again = replace(again, seen=self._engine.search.tally.proposals)
        entry = self.desk.enter(again)
        self._flying += 1
        draft = self._draft(again, number, await self._sent(again, entry, hold))
        assert isinstance(draft, Draft)
        return draft

    async def _learn(self, question: Question, entry: int, hold: Hold) -> None:
        answered = await self._sent(question, entry, hold)
        self._condensing = False
        text = answered.said[0].text if answered.said else None
        lessons = read_lessons(text or "")
        if lessons:
            told = lesson_record(lessons, self._engine.ledger.asked, answered.model)
            self._engine.ledger.record_intervention(LESSONS, told)
            self.desk.model.learn(told)

    # -- evaluating

    async def _fill(self) -> None:
        """The syntactic mutator, where a core would idle."""
        engine = self._engine
        while True:
            await self._cores.take(urgent=False)
            if self._over:
                self._cores.give_back()
                return
            number = self._lost[0] if self._lost else self._next
            self._take((number,))
            await self._finish(engine.search.propose(number), placed=True)
            await asyncio.sleep(0)

    async def _finish(self, pending: Pending, placed: bool = False) -> None:
        """Judge a proposal if it needs it, and commit it; `placed` if it has a place already."""
        engine, judged = self._engine, None
        if pending.job is None:
            if placed:
                self._cores.give_back()
        else:
            if not placed:
                await self._cores.take(urgent=True)
            began = time.monotonic()
            try:
                judged = await engine.judge(pending.job)
            finally:
                self._cores.give(time.monotonic() - began)
        async with self._turn:
            if engine.stopped is not None:
                return
            await engine.settle(pending, judged)
        self._change()


def _usual_seconds(book: Ledger) -> float:
    """Wall seconds of an evaluation, by the latest ones."""
    rows = book.query("SELECT wall_seconds AS seconds FROM evaluations ORDER BY id DESC LIMIT 20")
    return max(1e-4, sum(row["seconds"] for row in rows) / len(rows)) if rows else 1.0
