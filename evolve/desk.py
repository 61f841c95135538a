"""Puts questions to models and keeps the books: what is asked and what was paid for is in the ledger at once.

Knows clients, the purse and the ledger. When to ask, and what becomes of an answer, is a schedule's.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from evolve.llm.client import Client
from evolve.llm.errors import Overspent, Poisoned, Refused, Unanswered
from evolve.llm.pool import Notice, Observer
from evolve.llm.records import Reply, Usage
from evolve.llm.spending import Hold, Limits, Price, Purse
from evolve.mutators.llm import LESSONS, ModelMutator, Question
from evolve.programs_db.dialogue import Answered, Entry, Said, Spent
from evolve.programs_db.ledger import Ledger

__all__ = ["Books", "Desk", "purse_of"]

_REFUSALS = 20
"""In a row, and the key is not valid any more, or the model is gone; as many are told of."""


class Books:
    """Where questions are written down.

    Args:
        model: is told what is asked, and what proposals cost.
        ledger: open for writing.
    """

    def __init__(self, model: ModelMutator, ledger: Ledger) -> None:
        self.model = model
        self.ledger = ledger

    def enter(self, question: Question) -> int:
        """Write a question down before it is sent; returns the id of its entry."""
        self.model.asked(question.kind, question.repairs)
        return self.ledger.record_asked(question.asked())

    def charge(self, kind: str, first: int, samples: int, tokens: int) -> None:
        """Tell the mutator what a request has cost its proposals; lessons are nobody's."""
        if kind == LESSONS:
            return
        for number in range(first, first + samples):
            self.model.cost(number, tokens / samples)


class Desk(Books):
    """Where questions are put to models.

    Args:
        model: counts tokens, and is told what proposals cost.
        ledger: open for writing.
        client: answers.
        purse: what may be spent.
        observer: is told of each new kind of refusal.

    Attributes:
        unanswered: requests of which nothing came, so far in this session.
        answered: whether any was.
        refused: how many in a row a server has refused.
    """

    def __init__(
        self,
        model: ModelMutator,
        ledger: Ledger,
        client: Client,
        purse: Purse,
        observer: Observer | None = None,
    ) -> None:
        super().__init__(model, ledger)
        self.client = client
        self.purse = purse
        self.unanswered = 0
        self.answered = False
        self.refused = 0
        self._observer = observer
        self._told: set[str] = set()

    def reserve(self, question: Question) -> Hold:
        """Room in the budget for a question.

        Raises:
            Overspent: there is none.
        """
        count = self.model.dials.count
        prompt = sum(count(text) for role, text in question.pieces if role != "grammar")
        return self.purse.reserve(question.request, prompt)

    async def put(self, question: Question, entry: int, hold: Hold) -> Answered:
        """Send a question, and write down what comes before anyone sees it.

        Raises:
            Refused: a server says that it is wrong, and the next will be so too: none was answered yet, or many have
                been refused in a row. Else it is this one's fault: it is too long, for instance.
            Outage: no server; the question stays open, for when the run is resumed.
        """
        hold.book = partial(self._waste, question, entry)
        with hold:
            try:
                reply = await self.client.generate(question.request, hold)
            except (Poisoned, Unanswered, Overspent) as error:
                self.unanswered += 1
                answered = Answered((), Spent(), error=str(error))
            except Refused as error:
                self.refused += 1
                if not self.answered or self.refused >= _REFUSALS:
                    raise
                self.unanswered += 1
                self._tell(error)
                answered = Answered((), Spent(), error=str(error))
            else:
                self.answered, self.refused = True, 0
                usage = reply.usage if reply.counted else hold.asked
                hold.settle(usage)
                answered = _answered(reply, usage)
            self.ledger.record_answered(entry, answered)
        self.charge(question.kind, question.first, question.request.n, answered.spent.tokens)
        return answered

    def _waste(self, question: Question, entry: int, usage: Usage) -> None:
        """A try has failed and was billed."""
        self.ledger.record_wasted(entry, _spent(usage))
        self.charge(question.kind, question.first, question.request.n, usage.tokens)

    def warn(self, words: str) -> None:
        """Tell what a human should know, safe to show."""
        if self._observer is not None:
            self._observer(Notice("warning", "", words))

    def _tell(self, refusal: Refused) -> None:
        """Loudly, but not for each of a hundred in the same words, nor for more than so many in others."""
        if self._observer is not None and refusal.words not in self._told and len(self._told) < _REFUSALS:
            self._told.add(refusal.words)
            self._observer(Notice("refused", "", str(refusal)))


def _spent(usage: Usage) -> Spent:
    return Spent(usage.prompt, usage.cached, usage.completion, usage.reasoning)


def _answered(reply: Reply, usage: Usage) -> Answered:
    return Answered(
        tuple(Said(one.text, one.reasoning, one.finish) for one in reply.samples),
        _spent(usage),
        reply.model,
        reply.fingerprint,
        reply.endpoint,
        reply.attempts,
        reply.seconds,
    )


def purse_of(limits: Limits, prices: Mapping[str, Price], entries: Sequence[Entry], earlier: Usage) -> Purse:
    """The purse of a run, with all that was spent before.

    Args:
        limits: over all sessions.
        prices: by model.
        entries: of the ledger.
        earlier: tokens of the probes of earlier sessions and of this one.
    """
    purse = Purse(limits, prices)
    purse.charge(earlier, requests=0)
    for entry in entries:
        for spent in (*entry.wasted, entry.spent):
            if spent.tokens:
                used = Usage(spent.prompt, spent.cached, spent.completion, spent.reasoning)
                asked = Usage(spent.prompt, 0, entry.most)
                purse.charge(used, entry.model, asked=asked, wasted=spent is not entry.spent)
    return purse
