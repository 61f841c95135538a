"""One face for a program that is run: jailed (`fastcore.runner.Session`) or interpreted, without executing it."""

import time
from types import TracebackType
from typing import Any, Protocol, Self

from evolve.fastcore.interpret import InterpretError, Plan
from evolve.fastcore.runner import Failure, Usage

__all__ = ["Interpreted", "Session"]


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
    """

    def __init__(self, plan: Plan, constants: tuple[float, ...] | None = None) -> None:
        self.plan = plan
        self.constants = constants
        self.seconds = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
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
            return self.plan.run(args, self.constants)
        except InterpretError as error:
            raise Failure("error", f"{error.kind}: {error.message}") from None
        finally:
            self.seconds += time.perf_counter() - started

    def finish(self) -> Usage:
        """What it used; memory is not measured."""
        return Usage(self.seconds, self.seconds, 0, "", "interpreted")
