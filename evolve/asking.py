"""The part of a session that asks models: who answers, what may be spent, and the schedule that comes of it.

A run without a model has none of this. Knows servers, ledgers and schedules; starts no evaluator.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evolve.budget import Budget
from evolve.desk import Books, Desk, purse_of
from evolve.engine import Schedule
from evolve.errors import UsageError
from evolve.flow import Flow
from evolve.hosting import hosted, same
from evolve.llm.dials import Dials
from evolve.llm.endpoints import Endpoint
from evolve.llm.pool import Notice
from evolve.llm.records import NOTHING, Usage
from evolve.llm.spending import Limits, Price
from evolve.options import Options
from evolve.programs_db.ledger import Ledger
from evolve.restoring import Restored
from evolve.script import Script
from evolve.search import Search
from evolve.servers import REPLAY, Met, Windows, meet, opened
from evolve.statement import Problem
from evolve.traffic import Cores
from evolve.waiting import wait

__all__ = ["Asking", "as_last", "asked", "probed", "recording_of"]


@dataclass(frozen=True, slots=True)
class Asking:
    """Who is asked in a session.

    Args:
        word: what a later session says to ask the same; without keys.
        endpoints: servers; none for a replay.
        recording: the ledger that is repeated, or None.
        met: what the servers said of themselves.
    """

    word: str
    endpoints: tuple[Endpoint, ...] = ()
    recording: Path | None = None
    met: Met = field(default_factory=lambda: Met(0, True, True, NOTHING))

    @contextlib.asynccontextmanager
    async def schedule(
        self, search: Search, book: Ledger, session: tuple[Budget, Options], restored: Restored
    ) -> AsyncIterator[tuple[Schedule, dict[str, Any]]]:
        """The schedule of a session, and the figures that it leaves behind when it is over."""
        budget, options = session
        model = search.model
        assert model is not None
        limits = Limits(budget.requests, budget.tokens, budget.money)
        purse = purse_of(limits, options.prices, book.entries(), probed(book))
        figures: dict[str, Any] = {}
        if self.recording is not None:
            with Ledger.read(self.recording) as recording:
                yield Script(recording, Books(model, book)), figures
            return
        cores = Cores(options.workers, search.config.window)
        async with opened(self.endpoints, options.patience, options.notices) as client:
            desk = Desk(model, book, client, purse, options.notices)
            desk.answered = self.met.known
            flow = Flow(desk, Windows(client), cores, restored.opened, restored.lost)
            try:
                yield flow, figures
            finally:
                figures.update(_figures(flow, cores, desk))


@contextlib.contextmanager
def asked(options: Options, dials: Dials | None) -> Iterator[tuple[Asking | None, Dials | None]]:
    """Who is asked for as long as this is entered, after they were met; and the dials with what they said.

    Args:
        options: says who.
        dials: as the user gave them; None for those that are usual.

    Raises:
        UsageError, InfrastructureError: who is meant is not there, or cannot do what is asked.
    """
    who = options.llm
    if who is None:
        yield None, dials
    elif isinstance(who, str) and who.startswith(REPLAY):
        path = Path(who.removeprefix(REPLAY))
        yield Asking(f"{REPLAY}{path.resolve()}", recording=path), dials
    elif not isinstance(who, str):
        yield _met(same(who), tuple(who), options, dials)
    else:
        with hosted(who, options.notices) as endpoints:
            yield _met(who, endpoints, options, dials)


def _met(
    word: str, endpoints: tuple[Endpoint, ...], options: Options, dials: Dials | None
) -> tuple[Asking, Dials]:
    dials = dials or Dials()
    met = wait(meet(endpoints, dials.models, options.notices))
    for words in met.warnings:
        if options.notices is not None:
            options.notices(Notice("warning", "", words))
    return Asking(word, endpoints, met=met), dials.resolved(met.context, met.binds)


def as_last(book: Ledger, options: Options) -> Options:
    """Options with what they do not say as it was in the last session: who is asked, and at what price.

    Raises:
        UsageError: nobody that could be asked again.
    """
    rows = book.query("SELECT machine FROM sessions WHERE rescore = 0 ORDER BY id DESC LIMIT 1")
    last = json.loads(rows[0]["machine"]) if rows else {}
    word = last.get("llm", "")
    if word.startswith(REPLAY):
        raise UsageError(f"{book.path}: a replay is not resumed; run it again")
    if not options.llm and not word:
        raise UsageError(f"{book.path}: say --llm: who is asked")
    prices = {model: Price(**price) for model, price in last.get("prices", {}).items()}
    return replace(options, llm=options.llm or word, prices=options.prices or prices)


def recording_of(path: Path, problem: Problem) -> dict[str, Any]:
    """What the run of a recording was told: its seed, config, init and dials.

    Raises:
        LedgerUnreadable: no ledger.
        LedgerMismatch: it is about another problem.
        UsageError: it asked no model, or it sought speed.
    """
    with Ledger.read(path) as book:
        book.expect(problem.name, problem.parameters)
        making = book.run
    if "llm" not in making:
        raise UsageError(
            f"{path}: this run asked no model; run it again with the same seed, it needs no replay"
        )
    if problem.speed:
        raise UsageError(
            f"{path}: measured speeds differ from run to run, and models are told of them: a search for speed cannot "
            "be replayed"
        )
    return making


def probed(book: Ledger) -> Usage:
    """Tokens that asking the servers whether they will do has cost, in all sessions up to this one."""
    total = NOTHING
    for row in book.query("SELECT machine FROM sessions ORDER BY id"):
        told = json.loads(row["machine"]).get("probe")
        if told:
            total += Usage(**told)
    return total


def _figures(flow: Flow, cores: Cores, desk: Desk) -> dict[str, Any]:
    """How full both sides were in this session."""
    levels = flow.figures
    tally = desk.purse.tally
    return {
        "in_flight": round(levels.in_flight.mean, 2),
        "starved_seconds": round(levels.starved.total, 3),
        "evaluators_busy": round(cores.busy.mean, 4),
        "waiting": round(levels.waiting.mean, 2),
        "asked_again": levels.again,
        "unanswered": desk.unanswered,
        "money": tally.money,
    }
