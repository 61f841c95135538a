"""Looks for wrong answers of a program: on the unseen cases, on those it has failed before, on cases drawn anew."""

import base64
from collections.abc import Callable, Iterable

from evolve.errors import ProblemError
from evolve.fastcore.runner import Failure
from evolve.fastcore.runner import Session as Jailed
from evolve.fastcore.wire import TRUSTED, WireError, decode, encode
from evolve.programs_db.records import Status
from evolve.properties import falsify, shown
from evolve.scoring import Stopped
from evolve.statement import Case, Problem

__all__ = ["Hunt"]

_SHRINK_SECONDS = 60.0


class Hunt:
    """Looks for wrong answers of one program, which is started afresh each time it has failed.

    Args:
        problem: whose cases they are.
        start: starts the program.
        answer: asks a running program about a case; raises `Stopped` or `Failure` if it is wrong.

    Attributes:
        wrong: for each kind of case on which it failed ("strategy", a suite's name), how.
        counterexample: the simplest inputs that it answers wrong, as Python would write them; "" if there are none.
        kept: the same for `known` of a later hunt; "" where the case hides something that inputs alone do not tell.
        failed: why nothing was established: the problem's own functions failed.
    """

    def __init__(
        self, problem: Problem, start: Callable[[], Jailed], answer: Callable[[Jailed, Case], object]
    ) -> None:
        self.problem = problem
        self.wrong: dict[str, str] = {}
        self.counterexample = ""
        self.kept = ""
        self.failed = ""
        self._start = start
        self._answer = answer
        self._session: Jailed | None = None

    def note(self, kind: str, fault: Stopped | Failure) -> str:
        """Keep what went wrong on a kind of case, and say it; of what is not the program's fault, say so."""
        told = f"{fault.status}: {fault.message}"
        if fault.status == Status.UNSCORABLE:
            self.failed = told
        else:
            self.wrong[kind] = told
        return told

    def suites(self) -> None:
        """The unseen cases, each suite in a process of its own."""
        for name, cases in self.problem.unseen.items():
            for case in cases:
                if fault := self._fault(case):
                    self.note(name, fault)
                    break
            self._end()

    def known(self, kept: Iterable[str]) -> None:
        """Cases that some program has failed before."""
        for text in kept:
            try:
                inputs = decode(base64.b64decode(text, validate=True), TRUSTED)
                case = Case("known", inputs=inputs)
            except (
                WireError,
                ValueError,
                TypeError,
                ProblemError,
            ) as error:  # a ledger may come from anywhere
                self.failed = f"a case that was kept cannot be read: {error}"
                continue
            if fault := self._fault(case):
                self._found(case, fault)
                break
        self._end()

    def strategy(self, examples: int, seed: int) -> None:
        """Cases drawn from the problem's strategy; a wrong answer's case is shrunk."""
        strategy = self.problem.strategy
        if strategy is None:
            return
        faults: dict[str, Stopped | Failure] = {}

        def wrong(case: Case) -> bool:
            fault = self._fault(case)
            if fault is not None:
                faults[shown(case)] = fault
            return fault is not None

        try:
            case = falsify(strategy, wrong, examples, seed, _SHRINK_SECONDS)
        except Exception as error:  # noqa: BLE001 - a strategy is the problem's own code
            self.failed = f"strategy raised {type(error).__name__}: {error}"
        else:
            if case is not None:
                self._found(case, faults[shown(case)])
        finally:
            self._end()

    def _found(self, case: Case, fault: Stopped | Failure) -> None:
        self.counterexample = shown(case)
        if case.hidden is None:
            self.kept = base64.b64encode(encode(case.inputs)).decode("ascii")
        self.note("strategy", fault)

    def _fault(self, case: Case) -> Stopped | Failure | None:
        """What is wrong with the answer to a case."""
        if self._session is None or not self._session.alive:
            self._session = self._start()
        try:
            self._answer(self._session, case)
        except (Stopped, Failure) as fault:
            return fault
        return None

    def _end(self) -> None:
        if self._session is not None:
            self._session.finish()
            self._session = None
