"""Tries a problem before anyone searches it: what holds, what fails, what is missing, what it costs.

Everything is run as a search would run it, through one worker of the pool. Knows no terminal.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from evolve.evaluator import Evaluator, Job, Judge, Judged
from evolve.fastcore.interpret import NotExpression, compile_expression, numpy_functions
from evolve.programs_db.records import Evaluation, Status
from evolve.redteam.campaign import attacked, count_of
from evolve.source import SourceError, find_entry, parse
from evolve.speed_inspection import against_itself, batch, twice
from evolve.speed_telling import raced, spoken
from evolve.statement import STRUCTURAL, Problem

__all__ = ["Check", "inspect_problem"]

_TIMING_SECONDS = 1.5
_TO_THE_JAIL = "\nif True:\n    pass\n"  # no expression program, and the same otherwise


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried.

    Args:
        name: short.
        result: "ok", "advice" (fine, could be better), "warning" (the search will suffer) or "failed".
        sentence: what was found, and the mend; untrusted text may be in it.
        figures: plain data, for `--json`.
    """

    name: str
    result: Literal["ok", "advice", "warning", "failed"]
    sentence: str
    figures: dict[str, Any] | None = None


class _Worker:
    """One worker of a pool, asked from ordinary code, so that Ctrl-C is heard between two questions too."""

    def __init__(self, problem: Problem, unsafe: bool) -> None:
        self.evaluator = Evaluator(problem, 1, unsafe)
        self.loop = asyncio.Runner()

    def __enter__(self) -> Self:
        self.loop.__enter__()
        self.loop.run(self.evaluator.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.run(self.evaluator.__aexit__())
        self.loop.close()

    def judge(self, source: str, **how: Any) -> Judged:
        return self.many([Job(source, **how)])[0]

    def many(self, jobs: Sequence[Job]) -> list[Judged]:
        return self.loop.run(self._many(jobs))

    async def _many(self, jobs: Sequence[Job]) -> list[Judged]:
        return await asyncio.gather(*(self.evaluator.evaluate(job) for job in jobs))


def inspect_problem(problem: Problem, unsafe: bool) -> Iterator[Check]:
    """Try everything, in order; ends early where nothing further can be tried.

    Args:
        problem: loaded from a file.
        unsafe: see `Judge`.
    """
    yield Check("block", "ok", "the file has exactly one block")
    try:
        find_entry(parse(problem.block), problem.entry)
    except SourceError as error:
        mend = f"entry={problem.entry!r} must name a function at the block's top level"
        yield Check("entry", "failed", f"{error}; {mend}")
        return
    yield Check("entry", "ok", f"it defines {problem.entry}()")
    if problem.speed:
        found = Check(*batch(problem, unsafe))
        yield found
        if found.result == "failed":
            return
    with _Worker(problem, unsafe) as worker:
        yield from _with_worker(problem, worker, unsafe)
    yield from _attacks(problem, unsafe)
    yield from _advice(problem)


def _attacks(problem: Problem, unsafe: bool) -> Iterator[Check]:
    """The most telling attacks of `evolve redteam`, a moment each."""
    made = list(attacked(problem, unsafe, short=True))
    if made[0].attack == "seed":
        return  # it has been told that the seed does not score
    held = 0
    for one in made:
        told = [hit for hit in one.found if hit.grade == one.result]
        if one.result in ("failed", "warning"):
            yield Check(f"redteam {one.attack}", one.result, f"{one.attack} attack: {told[0].sentence}")
        else:
            held += 1
    sentence = f"{held} of {len(made)} attacks were held; `evolve redteam PROBLEM` tries {count_of(problem)}"
    yield Check("redteam", "ok", sentence, {"tried": len(made), "held": held})


def _with_worker(problem: Problem, worker: _Worker, unsafe: bool) -> Iterator[Check]:
    seed = worker.judge(problem.block)
    yield _alone(problem, worker, seed)
    if seed.evaluation.status is not Status.OK:
        trace = f"\n{seed.traceback}" if seed.traceback else ""
        yield Check(
            "seed", "failed", f"the seed program does not score: {_fault(seed.evaluation)}{trace}".rstrip()
        )
        return
    yield Check("seed", "ok", f"the seed program scores {_value(problem, seed.evaluation)}")
    yield _same_again(problem, worker, seed)
    if problem.repeats > 1:
        yield _spread(problem, worker, seed)
    kinds = [("the seed", seed.evaluation)]
    for name, source in problem.baselines.items():
        line = worker.judge(source)
        kinds.append((f"baseline {name}", line.evaluation))
        if problem.speed and name == problem.speed.baseline and line.evaluation.status is Status.OK:
            yield Check(*against_itself(problem, line.evaluation))
        else:
            yield _scored(problem, f"baseline {name}", line.evaluation)
    yield _measures(problem, kinds)
    for suite in problem.unseen:
        yield _scored(problem, f"unseen {suite}", worker.judge(problem.block, suite=suite).evaluation)
    yield _cost(problem, worker, unsafe)


def _value(problem: Problem, evaluation: Evaluation) -> str:
    if problem.speed:
        return spoken(raced(problem, evaluation))
    return f"{problem.objective.name} {evaluation.objective:.6g} {problem.objective.unit}".rstrip()


def _fault(evaluation: Evaluation) -> str:
    return f"{evaluation.status.value}: {evaluation.message}"


def _alone(problem: Problem, worker: _Worker, seed: Judged) -> Check:
    """Run the block in the jail, without the rest of the file, also where it would be interpreted."""
    if seed.evaluation.isolation == "interpreted":
        jailed = worker.judge(problem.block.rstrip() + _TO_THE_JAIL).evaluation
        how, figures = "being an expression, it is interpreted", {"form": "interpreted"}
    else:
        jailed, figures = seed.evaluation, {"form": "jailed"}
        how = "it cannot be interpreted" + _why_not(problem)
    if jailed.status in (Status.ERROR, Status.DIED, Status.MEMORY):
        sentence = f"the block does not run alone, without the rest of the file: {jailed.message}"
        if jailed.message.startswith(("NameError", "ImportError", "ModuleNotFoundError")):
            sentence += "; import and define inside the block what it needs"
        return Check("alone", "failed", sentence)
    before = seed.evaluation.objective
    # A score that is not the same twice is no error of ours; `_same_again` tells of it.
    if jailed.objective != before and before == worker.judge(problem.block).evaluation.objective:
        sentence = (
            f"interpreted, the seed scores {seed.evaluation.objective}; jailed, {jailed.objective}: "
            "this is an error of evolve, please report it"
        )
        return Check("alone", "warning", sentence)
    return Check("alone", "ok", f"the block runs alone in the jail ({jailed.isolation}); {how}", figures)


def _why_not(problem: Problem) -> str:
    if problem.speed:
        return ", since it is timed"
    try:
        compile_expression(problem.block, problem.entry, numpy_functions())
    except NotExpression as reason:
        return f": {reason}"
    return ""


def _same_again(problem: Problem, worker: _Worker, seed: Judged) -> Check:
    again = worker.judge(problem.block).evaluation
    if (again.objective, again.behaviour) == (seed.evaluation.objective, seed.evaluation.behaviour):
        sentence = "the same program scores the same twice, to the last digit"
        return Check("repeatable", "ok", sentence, {"difference": 0.0})
    if again.objective is None or seed.evaluation.objective is None:
        return Check("repeatable", "failed", f"the second time the seed program gave {_fault(again)}")
    if problem.speed:
        return Check(*twice(problem, seed.evaluation, again))
    difference = again.objective - seed.evaluation.objective
    sentence = (
        f"two runs of the same program differ by {difference:.3g}: draw random numbers from a fixed seed in "
        "score and simulate; if the program is random, take the seed as an input by repeats="
    )
    return Check("repeatable", "warning", sentence, {"difference": difference})


def _spread(problem: Problem, worker: _Worker, seed: Judged) -> Check:
    other = worker.judge(problem.block, round=1).evaluation
    if other.objective is None or seed.evaluation.objective is None:
        return Check("spread", "failed", f"with other seeds the seed program gave {_fault(other)}")
    difference = abs(other.objective - seed.evaluation.objective)
    sentence = (
        f"with other random seeds the same program differs by {difference:.3g}; smaller gains mean nothing"
    )
    return Check("spread", "ok", sentence, {"difference": difference})


def _scored(problem: Problem, what: str, evaluation: Evaluation) -> Check:
    if evaluation.status is Status.OK:
        return Check(what, "ok", f"{what}: {_value(problem, evaluation)}", {"value": evaluation.objective})
    return Check(what, "failed", f"{what} does not score: {_fault(evaluation)}")


def _measures(problem: Problem, kinds: list[tuple[str, Evaluation]]) -> Check:
    if not problem.measures:
        return Check("measures", "ok", "there are no measures to check")
    outside = []
    for who, evaluation in kinds:
        for name, value in evaluation.measures.items():
            measure = problem.bounds(name)
            if not measure.low <= value <= measure.high:
                outside.append(f"{name} of {who} is {value:.4g}, outside {measure.low:g}..{measure.high:g}")
    if outside:
        return Check(
            "measures",
            "warning",
            "; ".join(outside) + ": it is clipped into the outermost bin; widen the bounds",
        )
    seen = [m.name for m in problem.measures if m.name not in STRUCTURAL]
    return Check("measures", "ok", f"measures lie within their bounds: {', '.join(seen) or 'all structural'}")


def _cost(problem: Problem, worker: _Worker, unsafe: bool) -> Check:
    """How many evaluations one worker makes when it never waits for work, and where their time goes."""
    started, done, batch, program = time.perf_counter(), 0, 1, 0.0
    while (spent := time.perf_counter() - started) < _TIMING_SECONDS or done == 0:
        made = worker.many([Job(problem.block)] * batch)
        program += sum(one.evaluation.wall_seconds for one in made)
        done += batch
        batch = max(1, min(64, int(done / max(spent, 0.01) / 8)))
    each, program = (time.perf_counter() - started) / done, program / done
    trusted = _trusted(problem, unsafe)
    # In form `step` the problem's simulation waits for the program: that time is the program's.
    trusted = max(0.0, trusted - (program if problem.form == "step" else 0.0))
    overhead = max(0.0, 1 - (program + trusted) / each)
    ours = "the baseline, fresh inputs and our overhead" if problem.speed else "our overhead"
    return Check(
        "cost",
        "ok",
        f"one evaluation of the seed takes {_time(each)}: {_time(program)} in the program, {_time(trusted)} "
        f"in the problem's functions, {100 * overhead:.0f} % is {ours}; one worker buys some "
        f"{60 / each:,.0f} proposals a minute",
        {
            "seconds": each,
            "program": program,
            "problem": trusted,
            "overhead": overhead,
            "proposals_per_minute": 60 / each,
        },
    )


class _Stopwatch:
    """Wraps the problem's functions and adds up their time."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Any) -> Any:
        def timed(*args: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args)
            finally:
                self.seconds += time.perf_counter() - started

        return timed if function is not None else None


def _trusted(problem: Problem, unsafe: bool) -> float:
    """Seconds that the problem's own functions take for one evaluation, measured in this process."""
    watch = _Stopwatch()
    measured = replace(problem, score=watch.around(problem.score), simulate=watch.around(problem.simulate))
    made = Judge(measured, unsafe)
    try:
        made.judge(Job(problem.block))  # compiles and warms up
        watch.seconds, count, started = 0.0, 0, time.perf_counter()
        while count < 100 and (time.perf_counter() - started < _TIMING_SECONDS / 3 or count == 0):
            made.judge(Job(problem.block))
            count += 1
    finally:
        made.close()
    return watch.seconds / count


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _advice(problem: Problem) -> Iterator[Check]:
    if len(problem.measures) < 2:
        has = "no measure" if not problem.measures else "one measure"
        yield Check(
            "measures?",
            "advice",
            f'it has {has}: two keep different kinds of programs alive ("nodes" needs no code)',
        )
    if not problem.unseen:
        yield Check(
            "unseen?",
            "advice",
            "no unseen cases: nobody will know whether a program learned more than its cases",
        )
    if not problem.baselines:
        yield Check(
            "baselines?",
            "advice",
            "no baselines: nobody will know whether the best is better than what is known",
        )
    if not problem.primitives:
        yield Check(
            "primitives?",
            "advice",
            "no primitives: without a model, proposals call only what the block calls already",
        )
