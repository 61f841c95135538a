"""The researcher's functions as an attack meets them: honest answers, and a way to ask for the score of any other.

Lives in a supervisor. Each answer crosses the wire format and the problem's own `Scorer`, one case at a time.
"""

import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from evolve.certificate import Certificate
from evolve.evaluator import Job, Judge
from evolve.fastcore import wire
from evolve.fastcore.runner import Failure
from evolve.loader import reload
from evolve.programs_db.records import Objective, Status
from evolve.redteam.asking import ALONE, Said, digest_of, sober, some_cases
from evolve.redteam.oracles import Strict, strict_problem
from evolve.redteam.plain import same
from evolve.scoring import Scorer, Stopped
from evolve.spec import Array
from evolve.statement import Case, Problem

__all__ = ["ROUNDING", "WALL", "Enough", "Hit", "Honest", "Reply", "Target"]

Grade = Literal["advice", "warning", "failed"]

ROUNDING = 1e-9
"""Relative difference of two values of the objective below which neither is called better."""
WALL = 3.0
"""Wall seconds that an attack may take for each of its CPU seconds."""
# Times as long as the slowest honest answer: an answer that needs more is told as a costly one.
_SLOWER = 20.0
_LEAST_SECONDS = 1.0
# A worthless answer, told as such: no fault of anybody.
_INFINITE = re.compile(r"score returned -?(inf|nan) for")


class Enough(Exception):  # noqa: N818 - control flow: the attack has used its time
    """An attack has had its share of time; what it found so far counts."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that an attack found: "failed" means that it got through. Untrusted text may be in it."""

    grade: Grade
    sentence: str


@dataclass(frozen=True, slots=True)
class Honest:
    """What an honest program answered on a case, and what it scored."""

    who: str
    case: Case
    answer: Any
    value: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What the problem's functions made of an answer.

    Args:
        status: "ok" only if it scored.
        message: why not.
        value: the objective on the case; 0.0 where the objective is measured elsewhere (a race).
        scored: whether `score` or `simulate` saw it at all, or `returns` had refused it before.
    """

    status: Status
    message: str
    value: float
    scored: bool

    @property
    def ok(self) -> bool:
        """Whether it scored."""
        return self.status is Status.OK


class Target:
    """A problem under attack.

    Args:
        problem: made by its factory.
        judge: the real judge, for programs.
    """

    def __init__(self, problem: Problem, judge: Judge) -> None:
        self.problem = problem
        self.judge = judge
        self.cases = some_cases(problem)
        self.timed = problem.speed is not None  # score only says whether an answer is right
        self.slowest = 0.0
        self.hits: list[Hit] = []
        self.tried = 0
        self._deadline = self._latest = float("inf")
        self._strict: dict[Strict, Problem | None] = {}
        self._seconds = problem.score_seconds
        self._unscorable: list[str] = []
        self._reached = False
        self.broken = ""
        self.honest: list[Honest] = []
        self.digests = {case.name: digest_of(case) for case in self.cases}
        if problem.form != "step":
            self._be_honest()

    # --- an attack's life

    def begin(self, seconds: float) -> None:
        """Start an attack that may take so many CPU seconds, and some more by the wall."""
        self.hits, self.tried, self._unscorable = [], 0, []
        self._deadline = time.process_time() + seconds
        self._latest = time.monotonic() + WALL * seconds

    def end(self) -> None:
        """Look at what an attack left behind."""
        changed = [case.name for case in self.cases if digest_of(case) != self.digests.get(case.name)]
        if changed:
            self.hit(
                "failed",
                f"scoring changed case {changed[0]}, so what one program answers changes the score of the next",
            )
            self._restore()
        if self._unscorable:
            count, first = len(self._unscorable), self._unscorable[0]
            self.hit("warning", f"{count} answers were unscorable (caught, but each costs): {first}")

    def _restore(self) -> None:
        if self.problem.origin is None:
            return
        self.problem = reload(self.problem.origin)
        self.cases = some_cases(self.problem)
        named = {case.name: case for case in self.cases}
        self.honest = [replace(one, case=named[one.case.name]) for one in self.honest]
        self.digests = {case.name: digest_of(case) for case in self.cases}
        self._strict.clear()

    def hit(self, grade: Grade, sentence: str) -> None:
        """Note a finding; the same one only once."""
        if Hit(grade, sentence) not in self.hits:
            self.hits.append(Hit(grade, sentence))

    # --- asking

    def attempt(self, label: str, answer: Any, case: Case) -> Reply:
        """Have a hostile answer scored, and certified where the problem can; what is wrong by itself is noted.

        Raises:
            Enough: the attack's time is over.
        """
        if time.process_time() > self._deadline or time.monotonic() > self._latest:
            raise Enough
        self.tried += 1
        reply = self.ask(answer, case)
        if reply.status is Status.UNSCORABLE and not _INFINITE.search(reply.message):
            self._unscorable.append(f"{label}: {reply.message}")
        elif reply.scored and self.problem.certify is not None:
            self._compare(label, answer, case, reply)
        return reply

    def ask(
        self, answer: Any, case: Case, problem: Problem | None = None, seconds: float | None = None
    ) -> Reply:
        """What `score` says of an answer to `case`; of the problem, or of a variant with other functions.

        Args:
            answer: plain data.
            case: one of the problem's.
            problem: the variant.
            seconds: of wall time that the functions may take, in place of the attack's limit.
        """
        single = replace(
            self._single(problem or self.problem, case),
            score_seconds=self._seconds if seconds is None else seconds,
        )
        self._reached = False
        try:
            session = Said(answer)
            with sober():
                scored = Scorer(single).run(session, single.cases)
        except (Stopped, Failure) as stop:
            return Reply(Status(stop.status), stop.message, 0.0, self._reached)
        except (wire.WireError, RecursionError) as error:
            return Reply(Status.PROTOCOL, str(error), 0.0, False)
        return Reply(Status.OK, "", scored.objective or 0.0, True)

    def _single(self, problem: Problem, case: Case) -> Problem:
        """The problem with this case only, in which every number is that of the case."""
        name = problem.objective.name

        def score(outcome: Any, case: Case) -> Mapping[str, float]:
            self._reached = True
            numbers = problem.score(outcome, case)
            return {name: 0.0, **numbers} if self.timed and isinstance(numbers, Mapping) else numbers

        def simulate(table: Any, case: Case) -> Any:
            self._reached = True
            assert problem.simulate is not None
            return problem.simulate(table, case)

        return replace(
            problem,
            cases=[case],
            score=score,
            simulate=simulate if problem.simulate is not None else None,
            objective=Objective(name, problem.objective.direction),
            measures=() if self.timed else problem.measures,
            **ALONE,
        )

    def strict(self, how: Strict, answer: Any, case: Case) -> Reply | None:
        """What the same functions say when run strictly (see `oracles`); None where that tells nothing."""
        if how not in self._strict:
            made = strict_problem(self.problem, how)
            self._strict[how] = made if made is not None and self._agrees(made) else None
        problem = self._strict[how]
        if problem is None:
            return None
        reply = self.ask(answer, case, problem)
        return None if reply.status is Status.UNSCORABLE else reply

    def _agrees(self, other: Problem) -> bool:
        """Whether strict functions score the honest answers as the problem's own do."""
        for one in self.honest:
            reply = self.ask(one.answer, one.case, other)
            if not reply.ok or self.differ(reply.value, one.value):
                return False
        return bool(self.honest)

    # --- certificates

    def certify(self, answer: Any, case: Case) -> tuple[bool, Fraction | None, str]:
        """Whether `certify` calls an answer valid, the value it gives, and a message where it has none."""
        problem, written = self.problem, list[Certificate]()

        def score(outcome: Any, case: Case) -> Mapping[str, float]:
            assert problem.certify is not None
            written.append(problem.certify(outcome, case))
            return dict.fromkeys((problem.objective.name, *problem.supplied), 0.0)

        # In all the time it may have: that it took long on a busy machine is no disagreement with `score`.
        reply = self.ask(answer, case, replace(problem, score=score), problem.score_seconds)
        if not written:
            return False, None, reply.message
        made = written[0]
        try:
            return bool(made.valid), Fraction(made.value), ""
        except (ValueError, TypeError, ZeroDivisionError):
            return bool(made.valid), None, f"its value {made.value!r} is not a number"

    def _compare(self, label: str, answer: Any, case: Case, reply: Reply) -> None:
        valid, value, message = self.certify(answer, case)
        if reply.ok and not valid:
            why = f" ({message})" if message else ""
            self.hit(
                "failed",
                f"{label}: score accepts it for {reply.value:.9g} on case {case.name}, certify does not{why}",
            )
        elif not reply.ok and reply.status is Status.REJECTED and valid:
            self.hit("failed", f"{label}: score rejects it ({reply.message}), certify calls it valid")
        elif reply.ok and value is None:
            self.hit("warning", f"{label}: certify gives no value that can be compared: {message}")
        elif reply.ok and value is not None and not self.timed and self._off(value, reply.value, case):
            self.hit(
                "failed",
                f"{label}: score says {reply.value:.12g} on case {case.name}, certify {float(value):.12g}",
            )

    def compare_outcome(self, who: str, outcome: Any, case: Case, value: float) -> None:
        """Hold what a simulation gave for an honest program against its certificate."""
        assert self.problem.certify is not None
        self.tried += 1
        try:
            made = self.problem.certify(outcome, case)
            off = abs(Fraction(made.value) - Fraction(value)) > Fraction(1, 10**12) * max(
                Fraction(1), abs(Fraction(value))
            )
        except Exception as error:  # noqa: BLE001 - the problem's own function, on an honest outcome
            self.hit(
                "failed", f"certify raised {type(error).__name__} for {who} on case {case.name}: {error}"
            )
            return
        if not made.valid or off:
            said = f"{made.value[:40]}" if made.valid else "invalid"
            self.hit("failed", f"{who}: score says {value:.12g} on case {case.name}, certify {said}")

    def _off(self, exact: Fraction, value: float, case: Case) -> bool:
        """Whether two values differ by more than the rounding of a sum in floats."""
        scale = max(abs(exact), abs(Fraction(value)), Fraction(self.best(case).value) * Fraction(1, 1000))
        return abs(exact - Fraction(value)) > Fraction(1, 10**12) * abs(scale)

    # --- what is honest

    def best(self, case: Case) -> Honest:
        """The best honest answer to a case."""
        own = [one for one in self.honest if one.case.name == case.name]
        return max(own, key=lambda one: self.problem.objective.key(one.value))

    def bests(self) -> Iterator[Honest]:
        """The best honest answer to each case."""
        for case in self.cases:
            yield self.best(case)

    def differ(self, value: float, other: float) -> bool:
        """Whether two values differ by more than rounding."""
        return abs(value - other) > ROUNDING * max(abs(value), abs(other))

    def beats(self, reply: Reply, case: Case, answer: Any = None) -> bool:
        """Whether it scores better than every honest answer; where right is all it can be: is another answer."""
        if not reply.ok:
            return False
        if self.timed:
            return answer is not None and not any(
                same(answer, one.answer) for one in self.honest if one.case.name == case.name
            )
        best = self.best(case).value
        return self.problem.objective.better(reply.value, best) and self.differ(reply.value, best)

    def as_good(self, reply: Reply, case: Case) -> bool:
        """Whether it scores no worse than every honest answer."""
        best = self.best(case).value
        return reply.ok and (reply.value == best or self.problem.objective.better(reply.value, best))

    def sources(self) -> dict[str, str]:
        """The honest programs, by what to call them."""
        return {"the seed": self.problem.block, **self.problem.baselines}

    def _be_honest(self) -> None:
        asker = self._asker()
        try:
            told = [
                (who, *found)
                for who, source in self.sources().items()
                for found in self._answers(source, asker)
            ]
        finally:
            asker.close()
        for who, case, answer in told:
            started = time.monotonic()
            reply = self.ask(answer, case)
            self.slowest = max(self.slowest, time.monotonic() - started)
            if reply.ok:
                self.honest.append(Honest(who, case, answer, reply.value))
            elif who == "the seed":
                self.broken = f"the seed program does not score: {reply.status.value}: {reply.message}"
        self._seconds = min(self.problem.score_seconds, max(_LEAST_SECONDS, _SLOWER * self.slowest))

    def _answers(self, source: str, judge: Judge) -> Iterator[tuple[Case, Any]]:
        """What a program answers, as `returns` lets it through; in form `table`, whole tables."""
        judged = judge.judge(Job(source, detail=True))
        if judged.outcomes is None or judged.evaluation.status is not Status.OK:
            if source == self.problem.block:
                told = f"{judged.evaluation.status.value}: {judged.evaluation.message}"
                self.broken = f"the seed program does not answer: {told}"
            return
        for case in self.cases:
            answer = judged.outcomes[case.name]
            if self.problem.form == "table":
                with contextlib.suppress(ValueError):  # of the wrong shape: scoring it says so
                    answer = np.array(np.broadcast_to(answer, self.problem.grid_of(case).table_shape))
            yield case, answer

    def _asker(self) -> Judge:
        """A judge that only asks programs for their answers."""
        objective = self.problem.objective
        changed: dict[str, Any] = {"cases": self.cases, "measures": ()}
        if self.problem.form == "table":
            changed |= {
                "form": "call",
                "grid": None,
                "simulate": None,
                "returns": Array("f8", None, nan=True),
            }
            changed["cases"] = [
                replace(case, inputs=self.problem.grid_of(case).inputs, grid="") for case in self.cases
            ]
        alone = replace(
            self.problem,
            score=lambda _answer, _case: {objective.name: 0.0},
            objective=Objective(objective.name, objective.direction),
            **ALONE,
            **changed,
        )
        return Judge(alone, self.judge.unsafe)
