"""A run as a researcher holds it: start one, resume one, open one, and ask it what it found.

Puts the rooms together: loads the problem, opens the ledger, replays it, starts workers, drives the engine.
How a search decides is `search`'s; how results are told is `summary`'s.
"""

import asyncio
import contextlib
import platform
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import evolve
from evolve.asking import Asking, as_last, asked, recording_of
from evolve.budget import Budget
from evolve.config import Config
from evolve.engine import Engine, Schedule, signals
from evolve.errors import ProblemError, UsageError
from evolve.evaluator import Evaluator, Job
from evolve.fastcore import machine
from evolve.finals import Finals, score_finals
from evolve.fingerprint import fingerprint
from evolve.handle import Run
from evolve.llm.dials import Dials
from evolve.llm.pool import Notice
from evolve.loader import load, loading
from evolve.lockstep import Lockstep
from evolve.mutators.llm import ModelMutator
from evolve.mutators.simulated import Simulated, SimulatedModel
from evolve.mutators.syntactic import SyntacticMutator
from evolve.options import Options, how_of
from evolve.origin import problem_of, problem_unchanged
from evolve.programs_db.claims import Ruling
from evolve.programs_db.ledger import Ledger
from evolve.restoring import Restored, restore, restore_models
from evolve.search import Pending, Search
from evolve.servers import REPLAY
from evolve.statement import Problem
from evolve.summary import document, earlier_cpu_seconds, seed_value
from evolve.verifier import VERIFIER, Claim
from evolve.waiting import wait

T = TypeVar("T")

__all__ = ["Options", "Run", "free_name", "open_run", "problem_of", "rescore", "resume", "run"]


def run(
    problem: Problem | str,
    *,
    seed: int = 0,
    ledger: str | Path | None = None,
    config: Config | None = None,
    init: Sequence[str] = (),
    dials: Dials | None = None,
    **how: Any,
) -> Run:
    """Search for better programs, from the problem's seed program.

    Args:
        problem: a Problem, or a name or path as on the command line.
        seed: of all randomness; the same seed and a budget in proposals give the same ledger content.
        ledger: where to write; `<problem>-<date>-<seed>.db` by default.
        config: the dials of the search.
        init: sources of programs to start from, beside the seed program.
        dials: how models are asked, where `llm=` says which. A replay takes these, seed, config and init from its
            recording.
        **how: the budget (`budget="60s"`, or `proposals=` and `seconds=`), and any of `Options`.

    Raises:
        UsageError: a request that cannot be meant.
        ProblemError: the problem is wrong, or its seed program does not score.
        LedgerError: the ledger cannot be written.
        InfrastructureError: no worker can be kept alive.
    """
    _not_while_loading()
    if isinstance(problem, str):
        problem = load(problem)
    if not isinstance(problem, Problem):
        raise UsageError(f"run({problem!r}): give a Problem, or the name or path of one")
    if problem.origin is None:
        raise UsageError(
            "this Problem was made without @problem, so no worker can load it; decorate its factory"
        )
    budget, options = how_of(how, free=str(how.get("llm", "")).startswith(REPLAY))
    budget, config = _simulating(options, budget, config or Config())
    if options.llm is None and (dials is not None or budget.needs_model):
        raise UsageError(
            "dials, and a budget in requests, tokens or money, need a model: say --llm (llm= in Python)"
        )
    if budget.money is not None and not options.prices:
        raise UsageError(
            "a budget in money needs prices: say --price PROMPT,ANSWER of a million tokens (prices=)"
        )
    if not 0 <= seed < 2**63:
        raise UsageError(f"seed {seed}: a number from 0 to 2**63 - 1")
    with asked(options, dials) as (asking, resolved):
        making: dict[str, Any] = {"seed": seed, "config": config.as_dict(), "init": list(init)}
        if options.simulated is not None:
            making["simulated"] = options.simulated.as_dict()
        if resolved is not None:
            making["llm"] = resolved.as_dict()
        if asking is not None and asking.recording is not None:
            making = recording_of(asking.recording, problem)
        path = Path(ledger) if ledger is not None else free_name(problem.name, making["seed"])
        return _begun(problem, path, making, _How(budget, options, asking))


def _simulating(options: Options, budget: Budget, config: Config) -> tuple[Budget, Config]:
    """Budget and dials, as they are where a model is simulated."""
    if options.simulated is None:
        return budget, config
    if options.llm is not None:
        raise UsageError("a model is asked or simulated; say llm= or simulated=, not both")
    return options.simulated.budget(budget), options.simulated.config(config)


@dataclass(frozen=True, slots=True)
class _How:
    budget: Budget
    options: Options
    asking: Asking | None


def _begun(problem: Problem, path: Path, making: Mapping[str, Any], how: _How) -> Run:
    """The first session of a run, in a new ledger."""
    mark = fingerprint(problem)
    search = _search(problem, making)
    with Ledger.create(path, _about(problem), {**making, "version": evolve.__version__}, mark) as book:
        try:
            return _session(_Session(problem, book, search, mark, how))
        except ProblemError:
            if book.commits == 0:
                _remove(book)  # nothing was found out: no empty ledger is left to trip over
            raise


def resume(ledger: str | Path, **how: Any) -> Run:
    """Go on with a run; the budget is a total over all of its sessions.

    Args:
        ledger: its ledger.
        **how: as for `run`; without a budget, that of the last session is finished.

    Raises:
        LedgerMismatch: the problem has changed in a way that matters (see `rescore`).
        UsageError, ProblemError, LedgerError, InfrastructureError: as `run`.
    """
    _not_while_loading()
    with Ledger.open(ledger) as book:
        problem = problem_unchanged(book)
        budget, options = how_of(how, book)
        if "simulated" in book.run:
            budget = Simulated.of(book.run["simulated"]).budget(budget)
        asks = "llm" in book.run
        options = as_last(book, options) if asks else replace(options, llm=None)
        with asked(options, _dials(book.run)) as (asking, _):
            session = _How(budget, options, asking)
            return _session(_Session(problem, book, _search(problem, book.run), book.fingerprint, session))


def rescore(ledger: str | Path, **how: Any) -> int:
    """Evaluate every program of a ledger again, after its problem has changed.

    Args:
        ledger: its ledger.
        **how: any of `Options`.

    Returns:
        How many programs were evaluated.
    """
    options = Options(**how)
    with Ledger.open(ledger) as book:
        problem = problem_of(book)
        mark = fingerprint(problem)
        book.begin_session(mark, _machine(options), sys.argv, {}, rescored=_about(problem))
        done = wait(_rescore(problem, book, options, mark))
        book.end_session("rescored", {"evaluations": done})
        return done


def open_run(ledger: str | Path) -> Run:
    """Open a run to read it; another process may be writing it.

    Raises:
        LedgerUnreadable: no ledger.
    """
    return Run(ledger)


@dataclass(frozen=True, slots=True)
class _Session:
    problem: Problem
    book: Ledger
    search: Search
    fingerprint: str
    how: _How


def _session(session: _Session) -> Run:
    book, search, asking = session.book, session.search, session.how.asking
    cpu = time.process_time()
    here = _machine(session.how.options)
    if asking is None:
        prepared, before = restore(book, search, session.fingerprint)
        restored = Restored(seconds=before)
    else:
        prepared, restored = {}, restore_models(book, search, session.fingerprint)
        prices = {model: asdict(price) for model, price in session.how.options.prices.items()}
        here |= {"llm": asking.word, "probe": asdict(asking.met.usage), "prices": prices}
    book.begin_session(session.fingerprint, here, sys.argv, session.how.budget.as_dict())
    kept = session.how.options.kept
    outcome = (kept.wait if kept is not None else wait)(_drive(session, prepared, restored))
    book.write_elites(search.archive)
    spent = time.process_time() - cpu + outcome.workers_cpu
    measured = {"seconds": outcome.seconds, "cpu_seconds": earlier_cpu_seconds(book) + spent}
    if outcome.finals is not None:
        _record(book, outcome.finals)
    told = document(book, outcome.why, measured, outcome.finals)
    if outcome.figures:
        told["model"] = {**told["model"], "last_session": outcome.figures}
    book.end_session(outcome.why, told)
    return Run(book.path)


def _record(book: Ledger, finals: Finals) -> None:
    said = finals.verdict
    book.record_ruling(
        Ruling(finals.best.program, book.fingerprint, VERIFIER, said.verdict, said.evidence(), said.seconds)
    )


@dataclass(frozen=True, slots=True)
class _Outcome:
    why: str
    seconds: float
    workers_cpu: float
    finals: Finals | None
    figures: dict[str, Any]


@contextlib.asynccontextmanager
async def _schedule(
    session: _Session, prepared: dict[int, Pending], restored: Restored
) -> AsyncIterator[tuple[Schedule, dict[str, Any]]]:
    """Who proposes when, and the figures that are left behind when it is over."""
    if session.how.asking is None:
        yield Lockstep(prepared), {}
        return
    how = session.how.budget, session.how.options
    async with session.how.asking.schedule(session.search, session.book, how, restored) as made:
        yield made


async def _drive(session: _Session, prepared: dict[int, Pending], restored: Restored) -> _Outcome:
    options, search = session.how.options, session.search
    async with _evaluator(session) as (evaluator, used):
        engine = Engine(search, session.book, evaluator, session.how.budget, options.observer)
        engine.spent_before = earlier_cpu_seconds(session.book)
        async with _schedule(session, prepared, restored) as (schedule, figures):
            why = await engine.run(schedule, restored.seconds)
        seconds = engine.elapsed
        best = search.archive.best()
        finals = None
        if why == "budget" and best is not None and options.verify:
            claim = Claim(best.program.source, best.objective, seed_value(session.book))
            if options.notices is not None:
                options.notices(Notice("verifying", "", "the budget is spent; what was found is verified"))
            scoring = asyncio.ensure_future(score_finals(evaluator, session.problem, claim))
            with signals(scoring.cancel):
                try:
                    finals = await scoring
                except asyncio.CancelledError:
                    why = "interrupted"  # `resume` scores them
        return _Outcome(why, seconds, evaluator.pool.cpu_seconds() - used, finals, figures)


@contextlib.asynccontextmanager
async def _evaluator(session: _Session) -> AsyncIterator[tuple[Evaluator, float]]:
    """Workers for a session, and the CPU seconds that they had used for others."""
    options = session.how.options
    if options.kept is None:
        async with Evaluator(session.problem, options.workers, options.unsafe) as evaluator:
            yield evaluator, 0.0
        return
    async with options.kept.lent(session.problem) as evaluator:
        yield evaluator, evaluator.pool.cpu_seconds()


async def _rescore(problem: Problem, book: Ledger, options: Options, mark: str) -> int:
    done = 0
    programs = list(book.unscored(mark))
    async with Evaluator(problem, options.workers, options.unsafe) as evaluator:
        for start in range(0, len(programs), 256):
            batch = programs[start : start + 256]
            judged = await asyncio.gather(*(evaluator.evaluate(Job(program.source)) for program in batch))
            book.record_rescore(
                Search.evaluation_of(problem, program, one)
                for program, one in zip(batch, judged, strict=True)
            )
            book.flush()
            done += len(batch)
    return done


def _search(problem: Problem, making: Mapping[str, Any]) -> Search:
    """The search that a run was told to be."""
    mutator = SyntacticMutator(problem.block, problem.entry, problem.primitives, problem.max_nodes)
    dials = _dials(making)
    model = None if dials is None else ModelMutator(problem, dials)
    simulated = SimulatedModel(Simulated.of(making["simulated"]), mutator) if "simulated" in making else None
    config = Config.recorded(making["config"])
    return Search(problem, config, making["seed"], simulated or mutator, making["init"], model)


def _about(problem: Problem) -> dict[str, Any]:
    """What a ledger says of a problem, for readers that do not load it."""
    assert problem.origin is not None
    return {
        "name": problem.name,
        "parameters": dict(problem.parameters),
        "description": problem.description,
        "path": str(problem.origin.path),
        "factory": problem.origin.factory,
        "objective": _told(problem),
        "measures": [[m.name, m.low, m.high, m.bins] for m in problem.measures],
        "seed_program": problem.block,
    }


def _dials(making: Mapping[str, Any]) -> Dials | None:
    """How models are asked, if any are. A ledger that is older than the dial `tune` tuned all programs alike."""
    return Dials.of({"tune": making["config"]["tune"], **making["llm"]}) if "llm" in making else None


def _told(problem: Problem) -> dict[str, Any]:
    objective = problem.objective
    told = {"name": objective.name, "direction": objective.direction, "unit": objective.unit}
    return {**told, "baseline": problem.speed.baseline} if problem.speed else told


def free_name(problem: str, seed: int) -> Path:
    """A name for a new ledger in this folder: problem, day and seed."""
    stem = f"{problem}-{date.today().isoformat()}-{seed}"
    for again in count(1):
        path = Path(f"{stem}.db" if again == 1 else f"{stem}.{again}.db")
        if not path.exists():
            return path
    raise AssertionError("unreachable")


def _remove(book: Ledger) -> None:
    book.close()
    for suffix in ("", "-wal", "-shm", ".lock"):
        Path(f"{book.path}{suffix}").unlink(missing_ok=True)


def _machine(options: Options) -> dict[str, Any]:
    return {
        "platform": platform.platform(),
        **machine.fingerprint(),
        "workers": options.workers,
        "unsafe": options.unsafe,
    }


def _not_while_loading() -> None:
    if loading():
        raise ProblemError(
            "a problem file starts a search while it is being loaded; put the search under "
            "`if __name__ == '__main__':` or in a file of its own"
        )
