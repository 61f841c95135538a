"""Batches of fresh inputs for timed runs: drawn by the problem, encoded once, sent to both contestants of a race.

No race sees a batch twice. The races of different programs may: drawing inputs often costs more than the runs that
they are for, so the first batches of a shared stream are kept, within bounds. Knows problems, and no process.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

import numpy as np

from evolve.fastcore.sealed import Sealed
from evolve.fastcore.wire import TRUSTED, WireError, decode, encode
from evolve.programs_db.records import Status
from evolve.scoring import Scorer, Stopped
from evolve.speed import ALL, ON_CASE
from evolve.statement import Case, Problem

__all__ = ["Batch", "Batches", "Dealer"]

_KEPT_BYTES = 256 << 20
_OBJECT_BYTES = 64  # what a small Python object takes, about


@dataclass(frozen=True, slots=True)
class Batch:
    """One call of `Problem.fresh`.

    Attributes:
        cases: the cases; arrays among their inputs are read-only views of what is sent.
        bodies: the inputs of each as they are sent.
    """

    cases: tuple[Case, ...]
    bodies: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return sum(map(len, self.bodies)) + _size([case.hidden for case in self.cases])


def _size(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return int(value.nbytes) + _OBJECT_BYTES
    if isinstance(value, str | bytes):
        return len(value) + _OBJECT_BYTES
    if isinstance(value, Mapping):
        return _OBJECT_BYTES + sum(_size(key) + _size(item) for key, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return _OBJECT_BYTES + sum(map(_size, value))
    return _OBJECT_BYTES


def _with(case: Case, inputs: tuple[Any, ...]) -> Case:
    return replace(case, inputs=inputs)


class Batches:
    """Where the batches of one problem come from.

    Args:
        problem: with an objective of Speed.
        scorer: calls the problem's functions within their limits.
    """

    def __init__(self, problem: Problem, scorer: Scorer) -> None:
        self.problem = problem
        self.scorer = scorer
        self.names: tuple[str, ...] = ()
        self._shared = 0, secrets.randbits(128)  # a secret, see `Timing`
        self._kept: list[Batch] = []
        self._room = _KEPT_BYTES

    def draw(self, stream: Sequence[int], number: int) -> Batch:
        """Batch `number` of a stream; the same one whenever it is asked for.

        Raises:
            Stopped: `fresh` failed, or its cases are not those that a race needs.
        """

        def fresh(_: Case) -> list[Case]:
            assert self.problem.fresh is not None
            return list(self.problem.fresh(np.random.default_rng([*stream, number])))

        cases = self.scorer.trusted("fresh", fresh, Case(f"of batch {number}"))
        self._check(cases)
        try:
            bodies = tuple(encode(case.inputs) for case in cases)
            inputs = [decode(body, TRUSTED, views=True) for body in bodies]
            return Batch(tuple(map(_with, cases, inputs)), bodies)
        except WireError as error:
            raise Stopped(
                Status.UNSCORABLE, f"fresh() gives inputs that are not plain data: {error}"
            ) from None

    def shared(self, number: int) -> Batch:
        """Batch `number` of the stream that all programs of this judge share; drawn again where there was no room."""
        if number < len(self._kept):
            return self._kept[number]
        batch = self.draw(self._shared, number)
        if number == len(self._kept) and batch.size <= self._room:
            self._kept.append(batch)
            self._room -= batch.size
        return batch

    def _check(self, cases: Sequence[Case]) -> None:
        if not cases or not all(isinstance(case, Case) for case in cases):
            raise Stopped(Status.UNSCORABLE, "fresh() must give a batch: at least one Case, and nothing else")
        names = tuple(case.name for case in cases)
        if not self.names:
            self._check_names(names)
            self.names = names
        if names != self.names:
            told = f"{', '.join(names)} instead of {', '.join(self.names)}"
            raise Stopped(
                Status.UNSCORABLE,
                f"fresh() must give cases of the same names in the same order each time; it gave {told}",
            )

    def _check_names(self, names: tuple[str, ...]) -> None:
        if len(set(names)) != len(names) or ALL in names:
            raise Stopped(
                Status.UNSCORABLE, f"fresh() must name each case of a batch differently, and none {ALL!r}"
            )
        for measure in self.problem.measures:
            if measure.name.startswith(ON_CASE) and measure.name.removeprefix(ON_CASE) not in names:
                raise Stopped(
                    Status.UNSCORABLE,
                    f"measure {measure.name!r} names no case of fresh(); it gives: {', '.join(names)}",
                )


class Dealer:
    """Deals the batches of one stream to one race; as a context manager, it leaves no descriptor open.

    Args:
        batches: where they come from.
        stream: which ones; None for those that all programs of a search share.
    """

    def __init__(self, batches: Batches, stream: Sequence[int] | None) -> None:
        self.batches = batches
        self.stream = stream
        self.cases: tuple[Case, ...] = ()
        self._count = 0
        self._sealed: list[Sealed] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def deal(self) -> list[Sealed]:
        """The next batch, ready to be sent to both contestants; the one before is gone then."""
        self._close()
        batch = (
            self.batches.shared(self._count)
            if self.stream is None
            else self.batches.draw(self.stream, self._count)
        )
        self._count += 1
        self.cases = batch.cases
        self._sealed = [Sealed(body) for body in batch.bodies]
        return self._sealed

    def _close(self) -> None:
        for sealed in self._sealed:
            sealed.close()
        self._sealed = []
