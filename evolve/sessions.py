"""One face for a program that is run: jailed (`fastcore.runner.Session`) or interpreted, without executing it."""

import time
from types import TracebackType
from typing import Any, Protocol, Self

from evolve.fastcore.interpret import Bound, InterpretError, Plan
from evolve.fastcore.runner import Failure, Usage

__all__ = ["Interpreted", "Session"]

_MOST_BOUND = 32


class Session(Protocol):
    """A running program."""

    def begin_case(self) -> None:
        """Start the wall-time budget of a case."""
        ...

    def call(self, args: tuple[Any, ...]) -> Any:
        """The entry's answer as plain data.

        Raises:
            Failure: the program raised, ran out of time or memory, died, or answered garbage.
        """
        ...

    def finish(self) -> Usage:
        """End the program and say what it used."""
        ...


class Interpreted:
    """An expression program: its operations are data, and run here.

    Args:
        plan: the compiled program.
        constants: values for its tunable constants, or None for those in its text.
        bind: keep what does not depend on the constants, for inputs that come again and again.
    """

    def __init__(self, plan: Plan, constants: tuple[float, ...] | None = None, bind: bool = False) -> None:
        self.plan = plan
        self.constants = constants
        self.seconds = 0.0
        self._bounds: dict[int, tuple[tuple[Any, ...], Bound]] | None = {} if bind else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def begin_case(self) -> None:
        """Nothing to start: its length is bounded by its text."""

    def call(self, args: tuple[Any, ...]) -> Any:
        """The entry's answer.

        Raises:
            Failure: what Python would have raised.
            NotInterpretable: only a jailed process can run it.
        """
        started = time.perf_counter()
        try:
            if self._bounds is not None:
                return self._bound(args).run(self.constants)
            return self.plan.run(args, self.constants)
        except InterpretError as error:
            raise Failure("error", f"{error.kind}: {error.message}") from None
        finally:
            self.seconds += time.perf_counter() - started

    def _bound(self, args: tuple[Any, ...]) -> Bound:
        assert self._bounds is not None
        known = self._bounds.get(id(args))
        if known is None or known[0] is not args:  # the tuple is kept, so its id cannot come again
            if len(self._bounds) >= _MOST_BOUND:
                self._bounds.clear()
            known = self._bounds[id(args)] = args, self.plan.bind(args)
        return known[1]

    def finish(self) -> Usage:
        """What it used; memory is not measured."""
        return Usage(self.seconds, self.seconds, 0, "", "interpreted")
