"""Evaluates programs whose objective is speed: right on every case first, then raced against the baseline.

Lives in a judge. How two running programs are raced is `fastcore.race`'s; what a right answer is, the problem's. A
program's answers are checked in every timed run, so that it cannot tell being checked from being timed.
"""

import hashlib
import secrets
import statistics
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Protocol

from evolve.batches import Batches, Dealer
from evolve.cores import own_core
from evolve.fastcore.clock import cpu_and_wall
from evolve.fastcore.limits import Limits
from evolve.fastcore.race import Result, Rules, race, resolution
from evolve.fastcore.runner import Failure
from evolve.fastcore.runner import Session as Jailed
from evolve.fastcore.sealed import Sealed
from evolve.fastcore.wire import encode
from evolve.programs_db.records import Status
from evolve.properties import draw
from evolve.scoring import Scored, Scorer, Stopped, behaviour_of, put_together
from evolve.speed import ALL, ON_CASE
from evolve.statement import Case, Problem

__all__ = ["RUNS", "Heat", "Role", "Start", "Timing", "limits_of"]

EXAMPLES = 40
"""Cases drawn from the problem's strategy once a judge, for every program of a search."""

# A first race only tells whether a program is worth a second, whose figure is kept. No interval is narrower than the
# resolution of a race, 1 %.
_SEARCH = Rules(looks=(6, 10, 16, 26, 42, 64), precision=0.03, stop_when_decided=False)
_KEPT = replace(_SEARCH, precision=0.02)
"""In a search, a program below its floor is given up at the first looks, another one is measured to 3 %."""

_PATIENCE = 2.4
"""CPU of both contestants after which a race is given up, in batches of the baseline for each pair of the last look:
a program as fast as the baseline uses 2, and a slower one is decided long before."""

_LEAST_PATIENCE = 3.0
"""... but no less CPU seconds than these, for what is compiled in its first runs."""

RUNS = 6
"""Batches that the cost of the baseline is measured with; the first one warms up."""

Role = str


def _number(source: str) -> int:
    """A number that a text alone decides: a program's second race gets inputs of its own."""
    digest = hashlib.blake2b(source.encode("utf-8", "surrogatepass"), digest_size=7).digest()
    return int.from_bytes(digest, "big")


def limits_of(problem: Problem, pairs: int) -> Limits:
    """A program's limits in a race of so many pairs: those of the problem are meant for a race of a search."""
    more = max(1.0, pairs / _SEARCH.looks[-1])
    return replace(problem.limits, cpu_seconds=problem.limits.cpu_seconds * more)


def _cpu(session: Jailed) -> float:
    """CPU seconds of a program so far; 0 where its zygote has just died, as the next call will see."""
    try:
        return cpu_and_wall(session.pid)[0]
    except ProcessLookupError:
        return 0.0


@dataclass(frozen=True, slots=True)
class Heat:
    """One race of a search.

    Args:
        source: text of the program.
        suite: "" for the training cases, else the suite of unseen cases that it must answer right.
        round: 0 for the inputs that all programs share; another number for inputs of its own.
        floor: speed-up below which it need not be known well; None if it must be.
    """

    source: str
    suite: str = ""
    round: int = 0
    floor: float | None = None


class Start(Protocol):
    """Starts a program in the process that its role has."""

    def __call__(self, role: Role, source: str, limits: Limits) -> Jailed:
        """The session of the program, to be finished by the caller."""
        ...


class Timing:
    """Evaluates programs of one problem whose objective is Speed.

    Args:
        problem: the problem.
        scorer: of the same problem.
        start: starts programs.
    """

    def __init__(self, problem: Problem, scorer: Scorer, start: Start) -> None:
        assert problem.speed is not None
        self.problem = problem
        self.scorer = scorer
        self.start = start
        self.baseline = problem.speed.baseline
        self.batches = Batches(problem, scorer)
        # In no program's reach: who knows `fresh` could else draw the inputs in the set-up, which is on no bill.
        self._secret = secrets.randbits(128)
        self._drawn: list[Case] | None = None
        self._cost: dict[str, float] = {}

    # -- in a search -----------------------------------------------------------------------------------------

    def run(self, session: Jailed, heat: Heat) -> Scored:
        """Check a program, then race it.

        Args:
            session: the running program.
            heat: on what.

        Raises:
            Failure: the program failed.
            Stopped: an answer was refused, or the problem's own functions or baseline failed.
        """
        number = _number(heat.source)
        stream = None if heat.round == 0 else (heat.round, number, self._secret)
        with self.scorer.watching():
            scores, compiling = self.all_right(session, heat.suite)
            rules = _SEARCH if heat.round == 0 else _KEPT
            result = self.race(session, stream, replace(rules, floor=heat.floor), number, heat.suite)
        return self.scored(session, result, scores, compiling)

    def all_right(self, session: Jailed, suite: str = "") -> tuple[dict[str, Mapping[str, float]], float]:
        """Hold a program to the training cases or a suite, and to the cases drawn from the problem's strategy.

        Returns:
            Scores of each case, and the CPU seconds by which the first call took longer than when it came again.

        Raises:
            Failure, Stopped: see `run`.
        """
        cases = self._known(suite)
        session.ready()
        marks = [_cpu(session)]
        for _ in range(2):
            self.answer(session, cases[0])
            marks.append(_cpu(session))
        scores = {case.name: self.answer(session, case) for case in cases}
        self._answer_drawn(session)
        return scores, max(0.0, (marks[1] - marks[0]) - (marks[2] - marks[1]))

    def answer(self, session: Jailed, case: Case) -> Mapping[str, float]:
        """Score what a program answers to one case.

        Raises:
            Failure, Stopped: see `run`.
        """
        session.begin_case()
        with Sealed(encode(case.inputs)) as body:  # sent as in a race, so that it is not known by that
            return self.scorer.check(session.call(body), case)

    def _known(self, suite: str) -> Sequence[Case]:
        return self.problem.unseen[suite] if suite else self.problem.cases

    def _answer_drawn(self, session: Jailed) -> None:
        for case in self._drawn_cases():
            self.answer(session, case)

    def _drawn_cases(self) -> list[Case]:
        strategy = self.problem.strategy
        if strategy is None:
            return []
        if self._drawn is None:
            self._drawn = self.scorer.trusted(
                "strategy", lambda _: draw(strategy, EXAMPLES, 0), Case("drawn")
            )
        return self._drawn

    def scored(
        self, session: Jailed, result: Result, scores: Mapping[str, Mapping[str, float]], compiling: float
    ) -> Scored:
        """Put together what was found of a program, and end it."""
        on_case = {
            name: float(ratio) for name, ratio in zip(self.batches.names, result.per_case, strict=True)
        }
        measures = {name: put_together(self.problem, name, scores) for name in self.problem.supplied}
        for measure in self.problem.measures:
            if measure.name.startswith(ON_CASE):
                measures[measure.name] = on_case[measure.name.removeprefix(ON_CASE)]
        told: dict[str, Mapping[str, float]] = {name: {"speedup": ratio} for name, ratio in on_case.items()}
        told[ALL] = {
            **{name: float(getattr(result, name)) for name in ("speedup", "low", "high", "pairs")},
            "disagreement": float(result.disagreement),
            "flagged": float(result.flagged),
            "setup_cpu": session.finish().setup_cpu,
            "compile_cpu": compiling + result.compile_cpu,
        }
        return Scored(Status.OK, "", result.speedup, told, measures, behaviour_of(scores))

    # -- racing ----------------------------------------------------------------------------------------------

    def race(
        self, session: Jailed, stream: Sequence[int] | None, rules: Rules, seed: int, suite: str = ""
    ) -> Result:
        """Race a program against a fresh baseline, and ask it the known cases again in the midst of the race.

        Args:
            session: the running program.
            stream: of its inputs; None for those that all programs share.
            rules: when to stop; how much CPU it may take is filled in.
            seed: of the order within pairs.
            suite: of the known cases, as in `all_right`.

        Raises:
            Failure, Stopped: see `run`.
        """
        cost = sum(self.cost().values())
        most = max(_LEAST_PATIENCE, _PATIENCE * rules.looks[-1] * cost)
        limits = limits_of(self.problem, rules.looks[-1])
        coarse = resolution()
        precision = rules.precision and rules.precision + coarse - rules.resolution  # what can be had at all
        rules = replace(rules, most_cpu=most, resolution=coarse, precision=precision)
        with self._baseline(limits) as baseline, Dealer(self.batches, stream) as dealer:

            def check(who: str, number: int, answer: bytes) -> None:
                self._check(session if who == "program" else baseline, who, dealer.cases[number], answer)

            def aside() -> None:
                for case in self._known(suite):
                    self.answer(session, case)
                self._answer_drawn(session)

            try:
                session.ready()
                baseline.ready()
                with own_core() if limits.threads == 1 else nullcontext():
                    return race(session, baseline, dealer.deal, check, rules, seed, aside=aside)
            except Failure as failure:
                if baseline.alive:
                    raise
                raise self._fault(f"{failure.status}: {failure.message}") from None

    def _check(self, session: Jailed, who: str, case: Case, answer: bytes) -> None:
        try:
            self.scorer.check(session.decode(answer), case)
        except Stopped as stop:
            if who == "program":
                raise
            raise self._fault(stop.message) from None

    def _baseline(self, limits: Limits) -> Jailed:
        return self.start("baseline", self.problem.baselines[self.baseline], limits)

    def _fault(self, why: str) -> Stopped:
        return Stopped(
            Status.UNSCORABLE, f"baseline {self.baseline!r}, which programs are raced against, fails: {why}"
        )

    def cost(self) -> dict[str, float]:
        """CPU seconds of the baseline on each case of a batch, measured once.

        Raises:
            Stopped: the problem's own functions or baseline failed.
        """
        if not self._cost:
            with self._baseline(self.problem.limits) as baseline, Dealer(self.batches, (3,)) as dealer:
                try:
                    runs = [self._costs(baseline, dealer) for _ in range(RUNS)][1:]
                except Failure as failure:
                    raise self._fault(f"{failure.status}: {failure.message}") from None
            columns = zip(*runs, strict=True)
            self._cost = dict(zip(self.batches.names, map(statistics.median, columns), strict=True))
        return self._cost

    def carrying(self) -> float:
        """CPU seconds a batch that are on the bill of an entry which does nothing: what travels is taken apart there.

        Raises:
            Stopped, Failure: the problem's `fresh` failed, or its inputs do not fit the limits.
        """
        idle = f"def {self.problem.entry}(*_):\n    pass\n"
        limits = self.problem.limits
        with self.start("program", idle, limits) as session, Dealer(self.batches, (3,)) as dealer:
            return statistics.median([sum(self._costs(session, dealer, False)) for _ in range(RUNS)][1:])

    def _costs(self, session: Jailed, dealer: Dealer, is_baseline: bool = True) -> list[float]:
        found = []
        for number, body in enumerate(dealer.deal()):
            session.begin_case()
            session.ready()
            before = _cpu(session)
            answer = session.ask(body)
            found.append(max(0.0, _cpu(session) - before))
            if is_baseline:
                self._check(session, "baseline", dealer.cases[number], answer)
        return found
