"""Makes a comparison that was planned: who is right, then block by block in random order, then the report.

The one code path of `evolve bench`, of the pytest plugin and of the campaigns.
"""

import datetime
import platform
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from evolve.bench.compare.orders import (
    Block,
    BlockOrder,
    CaseOrder,
    DrawOrder,
    Fault,
    GateOrder,
    Scores,
    derived,
    timed_stream,
)
from evolve.bench.compare.records import CONTROL, Contender, Gate, Plan, Report, Row
from evolve.bench.compare.verdicts import corrected, rows_of_blocks, rows_of_scores
from evolve.errors import EvolveError
from evolve.evaluator import patience
from evolve.fastcore.machine import fingerprint
from evolve.fastcore.pool import JudgeStuck, Pool, SupervisorLost
from evolve.fastcore.race import resolution
from evolve.loader import factory_of
from evolve.statement import Problem
from evolve.text import clean
from evolve.waiting import wait

__all__ = ["FRESH", "Progress", "ReferenceFails", "compare", "groups_of", "machine", "problem_of_plan"]

FRESH = "fresh"
"""Name of the group of cases that are drawn afresh, where `score` gives the objective."""

_CHECKED = "right on what no selection saw"
_NOTHING_NEW = "the problem has no unseen and no fresh cases: checked on its training cases only"


class ReferenceFails(EvolveError):  # noqa: N818 - what there is to say
    """The reference itself is wrong, so nothing can be compared with it."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a comparison is.

    Args:
        what: was done last.
        done: steps that are done.
        steps: all of them.
        seconds: wall seconds so far.
        left: wall seconds to come, about; None while programs are still being checked.
    """

    what: str
    done: int
    steps: int
    seconds: float
    left: float | None


def problem_of_plan(plan: Plan) -> Problem:
    """The problem that a plan is about."""
    path, factory, parameters = plan.origin
    problem = factory_of(Path(path), factory)(**parameters)
    return replace(problem, block=plan.seed_program)


def groups_of(problem: Problem, seed: int) -> tuple[str, ...]:
    """Names of what each contender is measured on: the cases of `fresh` where speed is sought, else the suites.

    Raises:
        Exception: whatever the problem's `fresh` raises.
    """
    if problem.speed is not None:
        assert problem.fresh is not None
        return tuple(case.name for case in problem.fresh(np.random.default_rng([*timed_stream(seed, 0), 0])))
    return (*((drawn_group(problem),) if problem.fresh is not None else ()), *problem.unseen)


def drawn_group(problem: Problem) -> str:
    """Name of the group of cases that are drawn afresh; no suite of unseen cases has it."""
    return FRESH if FRESH not in problem.unseen else f"{FRESH} draws"


def machine() -> dict[str, Any]:
    """What is known of this machine, and its name."""
    return {"host": platform.node(), **fingerprint()}


def compare(plan: Plan, tell: Callable[[Progress], None] = lambda _: None) -> Report:
    """Make a comparison.

    Args:
        plan: what to compare.
        tell: told of each step.

    Raises:
        ReferenceFails: the reference answers wrong.
        InfrastructureError: no worker can be kept alive.
        JudgeError, JudgeStartError: the problem cannot be made, or its own functions fail.
    """
    return wait(_Comparison(plan, tell).report())


class _Comparison:
    """One comparison under way."""

    def __init__(self, plan: Plan, tell: Callable[[Progress], None]) -> None:
        self.plan = plan
        self.problem = problem_of_plan(plan)
        self.control = replace(plan.reference, name=CONTROL)
        self.standing = [self.control, *plan.contenders]
        self.gates: list[Gate] = []
        self._tell = tell
        self._began = time.monotonic()
        self._done = 0
        self._checked: tuple[int, float] | None = None
        suites = 0 if self.problem.speed else len(self.problem.unseen)
        drawn = plan.rules.pairs if self.problem.speed or self.problem.fresh else 0
        self._steps = len(self.standing) * (1 + drawn + suites)

    async def report(self) -> Report:
        plan, problem = self.plan, self.problem
        here = machine()
        args = plan.origin, plan.seed_program, plan.reference.source, plan.unsafe
        judge = "evolve.bench.compare.measuring:make_measurer"
        async with Pool(judge, args, 1, hard_seconds=2.0 * patience(problem)) as pool:
            await self._pass_gates(pool)
            self._checked = self._done, time.monotonic() - self._began
            rows = await (self._timed(pool) if problem.speed else self._scored(pool))
        objective = problem.objective
        return Report(
            plan.problem,
            plan.fingerprint,
            {
                "name": objective.name,
                "direction": objective.direction,
                "unit": objective.unit,
                "speed": problem.speed is not None,
            },
            {"name": plan.reference.name, "program": plan.reference.program},
            here,
            plan.seed,
            asdict(plan.rules),
            resolution(),
            tuple(self.gates),
            tuple(corrected(rows, plan.rules.confidence)),
            round(time.monotonic() - self._began, 3),
            datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="seconds"),
        )

    async def _pass_gates(self, pool: Pool) -> None:
        rules, problem = self.plan.rules, self.problem
        new = problem.fresh is not None or problem.unseen or problem.strategy is not None
        for one in list(self.standing):
            order = GateOrder(one.source, self.plan.seed, rules.draws, rules.examples)
            fault = await self._asked(pool, order, f"{one.name}: right or wrong")
            if isinstance(fault, Fault):
                self._fails(one, fault)
            else:
                self.gates.append(Gate(one.name, one.program, True, _CHECKED if new else _NOTHING_NEW))

    def _fails(self, one: Contender, fault: Fault) -> None:
        why = " ".join(clean(fault.why, 600).split())
        if one is self.control:
            name = self.plan.reference.name
            raise ReferenceFails(
                f"{self.plan.problem}: the reference {name!r} is itself wrong: {why}; name another one"
            )
        self.standing.remove(one)
        self.gates = [gate for gate in self.gates if gate.contender != one.name]
        self.gates.append(Gate(one.name, one.program, False, why))

    async def _asked(self, pool: Pool, order: Any, what: str) -> Any:
        """What the judge answers; a program that takes it down, or never lets it go, has failed."""
        try:
            answer = await pool.submit(order)
        except (SupervisorLost, JudgeStuck) as lost:
            answer = Fault(f"the process that measures did not survive it: {lost}")
        self._done += 1
        seconds = time.monotonic() - self._began
        self._tell(Progress(what, self._done, self._steps, seconds, self._left(seconds)))
        return answer

    def _left(self, seconds: float) -> float | None:
        """Wall seconds to come; a check takes longer than a block, so checks are left out."""
        if self._checked is None or self._done == self._checked[0]:
            return None
        done, at = self._checked
        return (seconds - at) / (self._done - done) * (self._steps - self._done)

    # -- speed -----------------------------------------------------------------------------------------------

    async def _timed(self, pool: Pool) -> list[Row]:
        """Block by block, in each of them all contenders in random order."""
        plan, rng = self.plan, random.Random(self.plan.seed)
        blocks: dict[str, list[Block]] = {one.name: [] for one in self.standing}
        for number in range(plan.rules.pairs):
            swapped = bool(number % 2)
            for one in rng.sample(self.standing, len(self.standing)):
                stream = timed_stream(plan.seed, number)
                order = BlockOrder(one.source, stream, plan.rules.rounds, swapped)
                found = await self._asked(
                    pool, order, f"block {number + 1} of {plan.rules.pairs}, {one.name}"
                )
                if isinstance(found, Fault):
                    self._fails(one, found)
                else:
                    blocks[one.name].append(found)
        return [
            row
            for one in self.standing
            for row in rows_of_blocks(one, blocks[one.name], resolution(), plan.rules.confidence)
        ]

    # -- objective -------------------------------------------------------------------------------------------

    async def _scored(self, pool: Pool) -> list[Row]:
        """Suite by suite, and draw by draw; in each of them all contenders in random order."""
        plan, rng = self.plan, random.Random(self.plan.seed)
        found: dict[str, dict[str, list[Scores]]] = {one.name: {} for one in self.standing}
        for group, orders in self._orders():
            for number, order in enumerate(orders):
                for one in rng.sample(self.standing, len(self.standing)):
                    what = f"{group} {number + 1} of {len(orders)}, {one.name}"
                    scores = await self._asked(pool, replace(order, source=one.source), what)
                    if isinstance(scores, Fault):
                        self._fails(one, scores)
                    else:
                        found[one.name].setdefault(group, []).append(scores)
        sign = self.problem.objective.sign
        rows: list[Row] = []
        for one in self.standing:
            joined = {group: _joined(parts) for group, parts in found[one.name].items()}
            rows += rows_of_scores(one, joined, sign, resolution(), plan.rules.confidence)
        return rows

    def _orders(self) -> list[tuple[str, list[DrawOrder | CaseOrder]]]:
        plan, rounds = self.plan, self.plan.rules.rounds
        groups: list[tuple[str, list[DrawOrder | CaseOrder]]] = []
        if self.problem.fresh is not None:
            seeds = [derived("drawn", plan.seed, number) for number in range(plan.rules.pairs)]
            drawn: list[DrawOrder | CaseOrder] = [
                DrawOrder("", seed, rounds, bool(place % 2)) for place, seed in enumerate(seeds)
            ]
            groups.append((drawn_group(self.problem), drawn))
        return groups + [(suite, [CaseOrder("", suite, rounds, False)]) for suite in self.problem.unseen]


def _joined(parts: Sequence[Scores]) -> Scores:
    return Scores(
        np.concatenate([one.values for one in parts]), np.concatenate([one.seconds for one in parts])
    )
