"""A run as a researcher holds it: start one, resume one, open one, and ask it what it found.

Puts the rooms together: loads the problem, opens the ledger, replays it, starts workers, drives the engine.
How a search decides is `search`'s; how results are told is `summary`'s.
"""

import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import evolve
from evolve.budget import Budget
from evolve.config import Config
from evolve.engine import Engine, Observer, signals
from evolve.errors import ProblemError, UsageError
from evolve.evaluator import Evaluator, Job
from evolve.fastcore import machine
from evolve.finals import Finals, score_finals
from evolve.fingerprint import fingerprint
from evolve.handle import Run
from evolve.lockstep import Lockstep
from evolve.loader import load, loading, shipped
from evolve.mutators.syntactic import SyntacticMutator
from evolve.programs_db.errors import LedgerMismatch
from evolve.programs_db.ledger import Ledger
from evolve.search import Pending, Search
from evolve.statement import Problem
from evolve.summary import document, earlier_cpu_seconds

T = TypeVar("T")

__all__ = ["Options", "Run", "free_name", "open_run", "problem_of", "rescore", "resume", "run"]


@dataclass(frozen=True, slots=True)
class Options:
    """What does not change a result: how a session is run.

    Args:
        workers: supervisors, one core each; the number of cores by default.
        unsafe: run programs without a jail where this machine gives none.
        observer: told of each commit.
    """

    workers: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    unsafe: bool = False
    observer: Observer | None = None

    def __post_init__(self) -> None:
        most = max(16, 4 * len(os.sched_getaffinity(0)))
        if not 1 <= self.workers <= most:
            raise UsageError(
                f"{self.workers} workers; from 1 to {most} on the cores that this process may use"
            )


def run(
    problem: Problem | str,
    *,
    seed: int = 0,
    ledger: str | Path | None = None,
    config: Config | None = None,
    init: Sequence[str] = (),
    **how: Any,
) -> Run:
    """Search for better programs, from the problem's seed program.

    Args:
        problem: a Problem, or a name or path as on the command line.
        seed: of all randomness; the same seed and a budget in proposals give the same ledger content.
        ledger: where to write; `<problem>-<date>-<seed>.db` by default.
        config: the dials of the search.
        init: sources of programs to start from, beside the seed program.
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
    budget, options = _how(how)
    config = config or Config()
    if not 0 <= seed < 2**63:
        raise UsageError(f"seed {seed}: a number from 0 to 2**63 - 1")
    path = Path(ledger) if ledger is not None else free_name(problem.name, seed)
    mark = fingerprint(problem)
    about = {
        "name": problem.name,
        "parameters": dict(problem.parameters),
        "description": problem.description,
        "path": str(problem.origin.path),
        "factory": problem.origin.factory,
        "objective": _told(problem),
        "measures": [[m.name, m.low, m.high, m.bins] for m in problem.measures],
        "seed_program": problem.block,
    }
    making = {"seed": seed, "version": evolve.__version__, "config": config.as_dict(), "init": list(init)}
    with Ledger.create(path, about, making, mark) as book:
        try:
            return _session(
                _Session(problem, book, _search(problem, config, seed, init), budget, options, mark)
            )
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
        problem = problem_of(book)
        mark = fingerprint(problem)
        if mark != book.fingerprint:
            raise LedgerMismatch(
                f"{book.path}: problem {problem.name!r} or a library has changed since, so its scores cannot be "
                f"compared with new ones; `evolve rescore {book.path.name}` evaluates its programs again"
            )
        budget, options = _how(how, book)
        making = book.run
        search = _search(problem, Config.of(making["config"]), making["seed"], making["init"])
        return _session(_Session(problem, book, search, budget, options, mark))


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
        book.begin_session(mark, _machine(options), sys.argv, {}, rescore=True)
        done = _wait(_rescore(problem, book, options, mark))
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
    budget: Budget
    options: Options
    fingerprint: str


def _session(session: _Session) -> Run:
    book, search = session.book, session.search
    cpu = time.process_time()
    prepared, before = _replay(session)
    book.begin_session(session.fingerprint, _machine(session.options), sys.argv, session.budget.as_dict())
    outcome = _wait(_drive(session, prepared, before))
    book.write_elites(search.archive)
    spent = time.process_time() - cpu + outcome.workers_cpu
    measured = {"seconds": outcome.seconds, "cpu_seconds": earlier_cpu_seconds(book) + spent}
    book.end_session(outcome.why, document(book, outcome.why, measured, outcome.finals))
    return Run(book.path)


@dataclass(frozen=True, slots=True)
class _Outcome:
    why: str
    seconds: float
    workers_cpu: float
    finals: Finals | None


async def _drive(session: _Session, prepared: dict[int, Pending], before: float) -> _Outcome:
    options, search = session.options, session.search
    async with Evaluator(session.problem, options.workers, options.unsafe) as evaluator:
        engine = Engine(search, session.book, evaluator, session.budget, options.observer)
        why = await engine.run(Lockstep(prepared), before)
        seconds = engine.elapsed
        best = search.archive.best()
        finals = None
        if why == "budget" and best is not None:
            scoring = asyncio.ensure_future(score_finals(evaluator, session.problem, best.program.source))
            with signals(scoring.cancel):
                try:
                    finals = await scoring
                except asyncio.CancelledError:
                    why = "interrupted"  # `resume` scores them
        return _Outcome(why, seconds, evaluator.pool.cpu_seconds(), finals)


def _replay(session: _Session) -> tuple[dict[int, Pending], float]:
    """Bring the search to where the ledger ends.

    Proposals that were in flight are drawn again, each right after the commit that it saw last, so a resumed
    run goes on exactly as one that was never stopped.
    """
    book, search = session.book, session.search
    done = book.commits - 1
    if done < 0:
        return {}, 0.0
    window = search.config.window
    for commit in book.replay(session.fingerprint):
        search.remember(commit)
    prepared: dict[int, Pending] = {}
    before = 0.0
    for commit in book.replay(session.fingerprint):
        search.replay(commit)
        before = max(before, commit.proposal.elapsed)
        number = commit.proposal.number
        if number == 0 and (commit.evaluation is None or commit.evaluation.objective is None):
            raise ProblemError(
                f"{book.path}: since the last rescore the seed program does not score; mend the problem"
            )
        for new in range(1, window + 1) if number == 0 else (number + window,):
            if new > done:
                prepared[new] = search.propose(new)
    return prepared, before


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


def _search(problem: Problem, config: Config, seed: int, init: Sequence[str]) -> Search:
    mutator = SyntacticMutator(problem.block, problem.entry, problem.primitives, problem.max_nodes)
    return Search(problem, config, seed, mutator, init)


def problem_of(book: Ledger) -> Problem:
    """The problem of a ledger, loaded again from its file; its seed program is the one that the run began with.

    Raises:
        UsageError: the file is gone.
        LedgerMismatch: what the file states now is another problem.
    """
    about = book.problem
    name = about["name"]
    path = about["path"]
    if not Path(path).is_file():
        if name not in shipped():
            raise UsageError(f"{book.path}: its problem file {path} is gone; put it back")
        path = str(shipped()[name])
    problem = load(f"{path}:{about['factory']}", about["parameters"])
    book.expect(problem.name, problem.parameters)
    return replace(problem, block=about["seed_program"])


def _how(how: Mapping[str, Any], book: Ledger | None = None) -> tuple[Budget, Options]:
    options = dict(how)
    known = ("budget", "proposals", "seconds", "workers", "unsafe", "observer")
    for name in options:
        if name not in known:
            raise UsageError(f"run: unknown option {name}; it takes {', '.join(known)}")
    given = options.pop("budget", None)
    proposals, seconds = options.pop("proposals", None), options.pop("seconds", None)
    if isinstance(given, str):
        given = Budget.parse(given)
    if given is None and (proposals is not None or seconds is not None):
        given = Budget(proposals, seconds)
    if given is None and book is not None:
        last = book.query("SELECT budget FROM sessions WHERE rescore = 0 ORDER BY id DESC LIMIT 1")
        given = Budget(**json.loads(last[0]["budget"])) if last else None
    if given is None:
        raise UsageError("no budget; say budget='60s', proposals=5000 or seconds=60")
    if options.get("workers", 0) is None:
        del options["workers"]
    return given, Options(**options)


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


def _wait(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also from inside a running event loop (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, work).result()
