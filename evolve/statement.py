"""What a researcher states: cases, trusted score, objective, measures, and everything optional around them.

Values only. How a problem file is found is `loader`'s, how a program is run and scored is `evaluator`'s.
"""

import contextlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from evolve.certificate import Certificate, Checker, source_of
from evolve.errors import ProblemError, UsageError
from evolve.fastcore.limits import Limits
from evolve.kinds import mistaken
from evolve.programs_db.records import Measure, Objective
from evolve.source import BlockError, SourceError, cut, find_entry, parse
from evolve.spec import Plain, Spec
from evolve.speed import ON_CASE, Speed, complaints
from evolve.vocabulary import Primitive

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = [
    "STRUCTURAL",
    "Case",
    "Grid",
    "Origin",
    "Problem",
    "ProblemFactory",
    "Reference",
    "Rejected",
    "Stage",
    "problem",
]

# Measures that the evaluator supplies itself, from the program's text.
STRUCTURAL = frozenset({"nodes", "depth"})

Aggregate = Literal["mean", "sum", "min", "max"] | Callable[[Sequence[float]], float]


class Rejected(Exception):  # noqa: N818 - the word a problem file raises, not an error of ours
    """Raised by `score`, `simulate` or `certify`: the answer breaks a rule of the problem. Say which."""


@dataclass(frozen=True, slots=True)
class Case:
    """One instance.

    Args:
        name: unique among the problem's cases.
        inputs: what the program gets (form `call`): plain data and numpy arrays.
        hidden: what it must never see: answers, the rest of a stream. Any object; stays in the trusted process.
        grid: which of the problem's grids (form `table`); the only one if there is one.
        seed: seed of this repeat, where the problem has `repeats`; filled in by the evaluator.
    """

    name: str
    inputs: tuple[Any, ...] = ()
    hidden: Any = None
    grid: str = ""
    seed: int | None = None

    def __post_init__(self) -> None:
        given: object = self.inputs
        if not isinstance(given, tuple | list):
            kind = type(given).__name__
            raise ProblemError(
                f"case {self.name!r}: inputs= is of type {kind}; give a tuple, inputs=(value,)"
            )


@dataclass(frozen=True, slots=True)
class Grid:
    """Where a program of form `table` is evaluated: once, on arguments that do not depend on any case.

    Args:
        inputs: the entry's arguments, usually numpy arrays.
        shape: shape of the table; None for what numpy broadcasting of the inputs gives.
    """

    inputs: tuple[Any, ...]
    shape: tuple[int, ...] | None = None

    @property
    def table_shape(self) -> tuple[int, ...]:
        """Shape of the table."""
        if self.shape is not None:
            return self.shape
        return np.broadcast_shapes(*(np.shape(value) for value in self.inputs))


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of a cascade: score these cases first, and stop a program that does not reach the gate.

    Args:
        cases: names of cases, cheap ones first.
        gate: aggregated objective over the cases scored so far that must be reached.
    """

    cases: tuple[str, ...]
    gate: float


@dataclass(frozen=True, slots=True)
class Reference:
    """A best known value; for reports only, never in a prompt or a score.

    Args:
        name: who or what.
        value: in units of the objective.
        source: paper, page or table.
        date: year, or ISO date.
        case: the (unseen) case or parameter setting it speaks of.
    """

    name: str
    value: float
    source: str
    date: str = ""
    case: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a Problem came from, so that a supervisor can make the same one by itself."""

    path: Path
    factory: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """A problem, as its factory states it. `docs/problems.md` explains each part with an example.

    Args:
        entry: name of the function in the block that is called.
        cases: training cases.
        score: `score(outcome, case) -> {name: number}`; may raise `Rejected`.
        objective: which of those numbers is sought, and in which direction; or `Speed`.
        measures: behaviour axes; names of `score`'s answer, or "nodes" (size of the block's syntax tree), "depth" (of
            the entry's), and with `Speed` "speedup:" and the name of a case of `fresh`.
        form: "call", "table" or "step".
        returns: declared form of the answer (of one decision, in form `step`).
        grid: form `table`: one Grid (or tuple of inputs), or several by name.
        simulate: form `table`: `simulate(table, case)`; form `step`: `simulate(decide, case)`.
        aggregate: how each number is put together over cases; "mean" unless said otherwise.
        unseen: cases that no prompt, archive or selection ever sees, by name of the suite.
        fresh: `fresh(rng) -> cases`, new ones for verification; with `Speed`, one batch of timed cases.
        strategy: form `call`: `strategy() -> hypothesis strategy of Case`, more cases to answer right, drawn when
            something is verified; a wrong answer is one that `score` rejects.
        certify: `certify(outcome, case) -> Certificate`, exact, and independent of `score`; see `certified`.
        check: checks what `certify` has made: one function that needs the standard library alone; it goes to sceptics.
        plain: form `table` or `step`: the same as `simulate`, as simple as can be and sharing no code with it; what is
            found is scored by both.
        stages: a cascade, cheap cases first.
        repeats: how often each case is run with another seed, where the objective is random.
        primitives: what the syntactic mutator may use.
        baselines: source blocks by name.
        references: best known values, for reports.
        limits: of one program.
        score_seconds: wall seconds that `score`, `simulate` and `certify` may take for one case.
        preload: modules that the process which runs programs imports once.
        max_nodes: largest syntax tree of the entry that the syntactic mutator may propose; by the seed's size
            unless said otherwise.
    """

    entry: str
    cases: Sequence[Case]
    score: Callable[[Any, Case], Mapping[str, float]]
    objective: Objective
    measures: Sequence[Measure] = ()
    form: Literal["call", "table", "step"] = "call"
    returns: Spec = field(default_factory=Plain)
    grid: Grid | tuple[Any, ...] | Mapping[str, Grid | tuple[Any, ...]] | None = None
    simulate: Callable[[Any, Case], Any] | None = None
    aggregate: Mapping[str, Aggregate] = field(default_factory=dict)
    unseen: Mapping[str, Sequence[Case]] = field(default_factory=dict)
    fresh: Callable[[np.random.Generator], Sequence[Case]] | None = None
    strategy: "Callable[[], SearchStrategy[Case]] | None" = None
    certify: Callable[[Any, Case], Certificate] | None = None
    check: Checker | None = None
    plain: Callable[[Any, Case], Any] | None = None
    stages: Sequence[Stage] = ()
    repeats: int = 1
    primitives: Sequence[Primitive] = ()
    baselines: Mapping[str, str] = field(default_factory=dict)
    references: Sequence[Reference] = ()
    limits: Limits = field(default_factory=Limits)
    score_seconds: float = 10.0
    preload: Sequence[str] = ()
    max_nodes: int | None = None
    # Filled in by @problem:
    name: str = ""
    block: str = ""
    description: str = ""
    origin: Origin | None = None

    def __post_init__(self) -> None:
        _validate(self)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What the factory was called with."""
        return self.origin.parameters if self.origin else {}

    @property
    def path(self) -> str:
        """Path of the problem file, for messages."""
        return str(self.origin.path) if self.origin else "<problem>"

    def grid_of(self, case: Case) -> Grid:
        """The grid on which the table for `case` is made."""
        return self.grids()[case.grid or next(iter(self.grids()))]

    def grids(self) -> dict[str, Grid]:
        """All grids by name; a single one is called "grid"."""
        if self.grid is None:
            return {}
        named = self.grid if isinstance(self.grid, Mapping) else {"grid": self.grid}
        return {name: grid if isinstance(grid, Grid) else Grid(tuple(grid)) for name, grid in named.items()}

    @property
    def speed(self) -> Speed | None:
        """The objective if it is speed."""
        return self.objective if isinstance(self.objective, Speed) else None

    @property
    def supplied(self) -> list[str]:
        """Names that `score`'s answer must hold: objective and measures that the evaluator does not supply itself."""
        names = [measure.name for measure in self.measures]
        names = [name for name in names if name not in STRUCTURAL and not name.startswith(ON_CASE)]
        return names if self.speed else [self.objective.name, *names]

    def bounds(self, name: str) -> Measure:
        """The measure called `name`."""
        return next(measure for measure in self.measures if measure.name == name)


def _validate(problem: Problem) -> None:
    _refuse(mistaken(problem, Case))
    _refuse(_complaints(problem))  # which takes the kinds for granted


def _refuse(complaints: list[tuple[bool, str]]) -> None:
    for wrong, mend in complaints:
        if wrong:
            raise ProblemError(mend)


def _complaints(problem: Problem) -> list[tuple[bool, str]]:
    """Everything that can be said against a problem before any program has run."""
    cases = [*problem.cases, *(case for suite in problem.unseen.values() for case in suite)]
    names = [case.name for case in problem.cases]
    measures = [measure.name for measure in problem.measures]
    grids = problem.grids()
    staged = [name for stage in problem.stages for name in stage.cases]
    return [
        (
            problem.form not in ("call", "table", "step"),
            f"form is {problem.form!r}; say 'call', 'table' or 'step'",
        ),
        (
            not problem.entry.isidentifier(),
            f"entry is {problem.entry!r}; give the name of a function in the block",
        ),
        (not problem.cases, "it has no cases; give at least one Case"),
        (len(set(names)) != len(names), "two cases share a name; name each differently"),
        (len(set(measures)) != len(measures), "two measures share a name"),
        (len(problem.measures) > 4, f"it has {len(measures)} measures; the archive grid takes at most 4"),
        (problem.form != "call" and problem.simulate is None, f"form {problem.form!r} needs simulate="),
        (problem.form == "call" and problem.simulate is not None, "form 'call' takes no simulate="),
        (problem.form == "table" and not grids, "form 'table' needs grid="),
        (problem.form != "table" and bool(grids), f"form {problem.form!r} takes no grid="),
        (
            problem.form != "call" and any(case.inputs for case in cases),
            f"form {problem.form!r} gives a program no case: leave Case.inputs empty and put the data in hidden=",
        ),
        (
            any(case.grid and case.grid not in grids for case in cases),
            f"a case names a grid that is not there; grids: {', '.join(grids) or 'none'}",
        ),
        (
            bool(set(staged) - set(names)),
            f"a stage names a case that is not there: {', '.join(sorted(set(staged) - set(names)))}",
        ),
        (
            bool(set(staged) & {case.name for suite in problem.unseen.values() for case in suite}),
            "an unseen case has the name of a case of a stage; name each differently",
        ),
        (problem.repeats < 1, f"repeats is {problem.repeats}; at least 1"),
        (
            problem.repeats > 1 and problem.form == "table",
            "a table is made once a program; repeats belong into simulate's cases there",
        ),
        (
            problem.strategy is not None and problem.form != "call",
            f"form {problem.form!r} takes no strategy=",
        ),
        (
            problem.plain is not None and problem.form == "call",
            "form 'call' takes no plain=: it simulates nothing",
        ),
        (
            problem.check is not None and problem.certify is None,
            "check= needs certify=, which makes what it checks",
        ),
        (problem.score_seconds <= 0, "score_seconds must be positive"),
        *complaints(problem, measures),
    ]


class ProblemFactory:
    """What `@problem` makes of a factory: calling it gives the Problem with block and origin filled in."""

    def __init__(self, function: Callable[..., Problem]) -> None:
        self.function = function
        self.name = function.__name__
        self.signature = inspect.signature(function)
        self.__doc__ = function.__doc__

    def __repr__(self) -> str:
        return f"<problem {self.name}{self.signature}>"

    def __call__(self, **parameters: Any) -> Problem:
        """Make the Problem.

        Raises:
            UsageError: unknown parameter, or a value of the wrong type.
            ProblemError: the file has no usable block, or the Problem contradicts itself.
        """
        given = self._checked(parameters)
        path = Path(self.function.__code__.co_filename)
        if not path.is_file():
            raise ProblemError(
                f"problem {self.name!r} was not defined in a file ({path}), so no worker can load it; "
                "write it to a .py file and load that"
            )
        made = self._made(path, given)
        if not isinstance(made, Problem):
            raise ProblemError(f"problem {path}: {self.name}() returned {type(made).__name__}, not a Problem")
        try:
            piece = cut(path.read_text(encoding="utf-8"), str(path))
            find_entry(parse(piece.block), made.entry)
        except BlockError as error:
            raise ProblemError(str(error)) from None
        except SourceError as error:
            raise ProblemError(f"{path}: {error}; define the entry between the markers") from None
        if made.check is not None:
            try:
                source_of(made.check)
            except ValueError as error:
                raise ProblemError(f"{path}: {error}") from None
        return replace(
            made,
            name=self.name,
            block=piece.block,
            description=inspect.getdoc(inspect.getmodule(self.function)) or self.__doc__ or "",
            origin=Origin(path.resolve(), self.name, given),
        )

    def _made(self, path: Path, given: Mapping[str, Any]) -> Problem:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # stdout belongs to documents
                return self.function(**given)
        except (ProblemError, UsageError) as error:
            raise type(error)(f"{path}: {error}") from None
        except (Exception, SystemExit) as error:  # a factory may raise anything; said with its place
            raise ProblemError(f"{path}: {self.name}() raised {type(error).__name__}: {error}") from error

    def _checked(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        known = self.signature.parameters
        given: dict[str, Any] = {}
        for name, value in parameters.items():
            if name not in known:
                raise UsageError(
                    f"problem {self.name!r} has no parameter {name!r}; it takes: {', '.join(known) or 'none'}"
                )
            given[name] = _cast(self.name, known[name], value)
        for name, parameter in known.items():
            if name not in given:
                if parameter.default is inspect.Parameter.empty:
                    raise ProblemError(
                        f"problem {self.name!r}: parameter {name!r} has no default; give it one"
                    )
                given[name] = parameter.default
        return given


def _cast(problem_name: str, parameter: inspect.Parameter, value: Any) -> Any:
    """Turn the text of `-p name=value` into the type of the parameter's default."""
    wanted = type(parameter.default)
    if not isinstance(value, str) or wanted is str:
        return value
    try:
        if wanted is bool:
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[
                value.lower()
            ]
        return wanted(value)
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            f"problem {problem_name!r}: parameter {parameter.name!r} is {value!r}; "
            f"it takes a value of type {wanted.__name__}, such as {parameter.default!r}"
        ) from None


def problem(function: Callable[..., Problem]) -> ProblemFactory:
    """Decorate the factory of a problem file. Its parameters need defaults: they are what `-p` sets."""
    return ProblemFactory(function)
