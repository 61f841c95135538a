"""What a prompt may say, as frozen values, and how it is read off a problem and its records.

Here it is decided what never enters a prompt: references, unseen cases, `Case.hidden`, the source of `score`,
`simulate` and the baselines, and paths of files are not among the facts.
"""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from evolve import spec
from evolve.fastcore.limits import Limits
from evolve.llm.templates import FORMATS, KINDS
from evolve.programs_db.records import Elite, Evaluation, Measure, Objective
from evolve.source import SourceError, find_entry, parse
from evolve.speed import Speed
from evolve.statement import Problem

__all__ = ["Facts", "Failure", "Order", "Scores", "Shown", "Statement", "facts_of", "shown", "statement_of"]

Scores = tuple[tuple[str, tuple[tuple[str, float], ...]], ...]
"""For each training case its name and the numbers of `score`: ((case, ((name, value), ...)), ...)."""


@dataclass(frozen=True, slots=True)
class Statement:
    """The problem as a prompt tells it.

    Args:
        description: docstring of the problem's module.
        entry: name of the entry function.
        signature: its line, `def entry(...):`.
        docstring: of the entry, in the program that the human wrote.
        form: one or two sentences on how the program is used.
        returns: a sentence on what it must return; may be empty.
        objective: name, direction and unit.
        measures: behaviour axes.
        imports: a sentence on what may be imported.
        primitives: functions that the problem names, one a line; may be empty.
        limits: of one program.
    """

    description: str
    entry: str
    signature: str
    docstring: str
    form: str
    returns: str
    objective: Objective
    measures: tuple[Measure, ...]
    imports: str
    primitives: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class Shown:
    """A program as a prompt shows it.

    Args:
        source: text of its block; untrusted.
        objective: aggregated; None for a program that has none.
        measures: aggregated values by name.
        scores: per training case.
        number: of the proposal it came from; orders equals, and is never shown.
    """

    source: str
    objective: float | None
    measures: tuple[tuple[str, float], ...] = ()
    scores: Scores = ()
    number: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """What became of a near relative of the parent.

    Args:
        status: what kind of failure, for instance "timeout", or the name of an edit that could not be applied.
        message: one sentence; untrusted.
        output: the end of what the program printed; untrusted, may be empty.
    """

    status: str
    message: str
    output: str = ""

    @classmethod
    def of(cls, evaluation: Evaluation) -> "Failure":
        """The failure that an evaluation tells."""
        return cls(str(evaluation.status), evaluation.message, evaluation.output)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the prompts of one island and epoch have in common, and one parent.

    Args:
        statement: the problem.
        parent: the program to change.
        elites: the best first; the same for all prompts of an island and epoch, whichever is the parent.
        failures: of near relatives of the parent, the most telling first.
        notes: of the human; trusted.
        lessons: what a model has condensed so far, one a text; untrusted.
    """

    statement: Statement
    parent: Shown
    elites: tuple[Shown, ...] = ()
    failures: tuple[Failure, ...] = ()
    notes: str = ""
    lessons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """What one request asks for.

    Args:
        kind: one of `KINDS`.
        format: one of `FORMATS`.
        hints: sentences of the engine for this request; trusted.
        failed: for "repair": the program, or the reply, that failed; untrusted.
        failure: for "repair": how it failed.
        mates: for "crossover": what to combine with the parent.
        sites: for format "grammar": the places of the parent that the grammar lets change, by number, one a line
            (`EditPlan.listing`); untrusted.
        hole: for format "grammar": the name that stands for what is at a place now (`EditPlan.hole`).

    Raises:
        ValueError: a kind or format that is not known, or one that lacks what it needs.
    """

    kind: str
    format: str
    hints: tuple[str, ...] = ()
    failed: str = ""
    failure: Failure | None = None
    mates: tuple[Shown, ...] = ()
    sites: str = ""
    hole: str = "old"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"order: kind is {self.kind!r}; say one of: {', '.join(KINDS)}")
        if self.format not in FORMATS:
            raise ValueError(f"order: format is {self.format!r}; say one of: {', '.join(FORMATS)}")
        if self.kind == "repair" and self.failure is None:
            raise ValueError("order: repair needs failure=, how the attempt failed")
        if self.kind == "crossover" and not self.mates:
            raise ValueError("order: crossover needs mates=, at least one program")
        if self.format == "grammar" and not (self.sites.strip() and self.hole.isidentifier()):
            raise ValueError(
                "order: format 'grammar' needs sites=, the places that may change, and a name as hole="
            )


def facts_of(
    problem: Problem,
    parent: Shown,
    elites: Sequence[Shown] = (),
    failures: Sequence[Failure] = (),
    notes: str = "",
    lessons: Sequence[str] = (),
) -> Facts:
    """The facts of a request.

    Args:
        problem: to be solved.
        parent: to be changed, see `shown`.
        elites: of the parent's island, in any order: they come best first, of equals the earlier first, and each
            text once. Give the same ones to all requests of an epoch, or no prefix is shared.
        failures: of near relatives, the most telling first.
        notes: of the human.
        lessons: texts of a model.
    """
    key = problem.objective.key
    ranked = sorted(
        (one for one in elites if one.objective is not None),
        key=lambda one: (-key(one.objective or 0.0), one.number, one.source),
    )
    first: dict[str, Shown] = {}
    for one in ranked:
        first.setdefault(one.source, one)
    return Facts(
        statement=statement_of(problem),
        parent=parent,
        elites=tuple(first.values()),
        failures=tuple(failures),
        notes=notes,
        lessons=tuple(lessons),
    )


def shown(problem: Problem, elite: Elite, scores: Mapping[str, Mapping[str, float]]) -> Shown:
    """An elite with its scores, without any that belong to an unseen case.

    Args:
        problem: that it was scored on; its objective and measures are shown, other numbers of `score` are not.
        elite: as the archive holds it.
        scores: `Evaluation.scores` of its evaluation.
    """
    training = {case.name for case in problem.cases}
    unseen = {case.name for suite in problem.unseen.values() for case in suite} - training
    names = [problem.objective.name, *(measure.name for measure in problem.measures)]
    kept = (
        (case, tuple((name, values[name]) for name in names if name in values))
        for case, values in scores.items()
        if case not in unseen
    )
    measures = zip((measure.name for measure in problem.measures), elite.measures, strict=True)
    return Shown(
        source=elite.program.source,
        objective=elite.objective,
        measures=tuple(measures),
        scores=tuple((case, values) for case, values in kept if values),
        number=elite.number,
    )


def statement_of(problem: Problem) -> Statement:
    """The problem as a prompt tells it."""
    signature, docstring, imported = _entry_of(problem.block, problem.entry)
    return Statement(
        description=problem.description,
        entry=problem.entry,
        signature=signature,
        docstring=docstring,
        form=_form(problem),
        returns=_returns(problem.returns),
        objective=problem.objective,
        measures=tuple(problem.measures),
        imports=_imports(tuple(dict.fromkeys([*imported, *problem.preload])), problem.limits.threads),
        primitives=_primitives(problem),
        limits=problem.limits,
    )


@lru_cache(maxsize=64)
def _entry_of(block: str, entry: str) -> tuple[str, str, tuple[str, ...]]:
    """Signature and docstring of the entry, and the modules that the block imports."""
    try:
        tree = parse(block)
        function = find_entry(tree, entry)
    except SourceError:  # a Problem made without @problem has no block to speak of
        return f"def {entry}(...):", "", ()
    returns = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    imported: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported.append(node.module)
    names = tuple(dict.fromkeys(name.partition(".")[0] for name in imported))
    signature = f"def {entry}({ast.unparse(function.args)}){returns}:"
    return signature, ast.get_docstring(function) or "", names


def _form(problem: Problem) -> str:
    entry = f"`{problem.entry}`"
    if isinstance(problem.objective, Speed):
        return (
            f"{entry} is called with the inputs of one case at a time. Its answer must be right on every case; then "
            f"its CPU time is raced against the baseline {problem.objective.baseline!r}, on fresh inputs in each "
            "run, so nothing can be kept from one call for the next."
        )
    if problem.form == "table":
        return (
            f"{entry} is called once, with numpy arrays that broadcast to a grid of all its possible arguments; the "
            "table that it returns decides everything in a fixed simulator. It sees no case, and must work on "
            "arrays element by element (np.where instead of if)."
        )
    if problem.form == "step":
        return (
            f"{entry} is asked by a fixed simulator for one decision at a time. It sees its arguments and nothing "
            "else of a case, and must keep nothing between calls."
        )
    return f"{entry} is called with the inputs of one case at a time; what it returns is checked and scored."


def _returns(wanted: Any) -> str:
    """The declared form of the answer; nothing for a form of the problem's own, whose text nobody has seen."""
    told = _shape(wanted)
    return f"It must return {told}." if told else ""


def _shape(wanted: Any) -> str:
    if isinstance(wanted, spec.Array):
        axes = "any" if wanted.shape is None else _axes(wanted.shape)
        return f"a numpy array ({wanted.dtype}, shape {axes}){_between(wanted.low, wanted.high)}"
    if isinstance(wanted, spec.Real):
        return f"a finite number{_between(wanted.low, wanted.high)}"
    if isinstance(wanted, spec.Integer):
        return f"an int{_between(wanted.low, wanted.high)}"
    if isinstance(wanted, spec.Text):
        return f"a string of at most {wanted.max_length} characters"
    if isinstance(wanted, spec.Sequence):
        of = _shape(wanted.of)
        return f"a list of {wanted.min_length} to {wanted.max_length} items" + (f", each {of}" if of else "")
    return ""


def _axes(shape: tuple[int | None, ...]) -> str:
    inner = ", ".join("any" if length is None else str(length) for length in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


def _between(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f", values from {low:g} to {high:g}"
    if low is not None:
        return f", values of at least {low:g}"
    return f", values of at most {high:g}" if high is not None else ""


def _imports(names: tuple[str, ...], threads: int) -> str:
    known = ", ".join(dict.fromkeys(["numpy", *names]))
    lone = "no threads and no processes" if threads == 1 else "no processes"
    return (
        "The program runs alone: it imports what it uses by itself. "
        f"It may import the standard library and {known}; it may start {lone}."
    )


def _primitives(problem: Problem) -> str:
    lines = []
    for one in problem.primitives:
        if one.args:
            lines.append(f"{one.name}({', '.join(map(str, one.args))}) -> {one.kind}")
        elif one.literal is None:
            lines.append(f"{one.name}: {one.kind}")
    return "\n".join(dict.fromkeys(lines))
