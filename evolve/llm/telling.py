"""Facts told as text: values, scores, sources, what changed, failures. Knows no template and no room."""

import difflib
from collections.abc import Iterable, Mapping
from functools import lru_cache

from evolve.fastcore.limits import Limits
from evolve.llm.facts import Failure, Shown, Statement
from evolve.llm.untrusted import defused, fenced, scrubbed
from evolve.programs_db.records import Objective
from evolve.speed import ALL, Speed

__all__ = [
    "better",
    "tell_change",
    "tell_failed",
    "tell_failure",
    "tell_goal",
    "tell_limits",
    "tell_measures",
    "tell_name",
    "tell_scores",
    "tell_sites",
    "tell_source",
    "tell_trusted",
    "tell_value",
]

_CASES = 16  # cases that are told one by one: the worst of them
_LINES = 400  # a diff of longer programs is no help, and takes its square in time
_MESSAGE = 700  # characters
_OUTPUT = 400
_FAILED = 8_000
_NAME = 60


def better(objective: Objective) -> str:
    """The word for a better value of the objective."""
    return "larger" if objective.direction == "max" else "smaller"


def tell_name(objective: Objective) -> str:
    """Name of the objective."""
    return _line(objective.name)


def tell_goal(objective: Objective) -> str:
    """Name and unit of the objective."""
    return f"{_line(objective.name)} ({_line(objective.unit)})" if objective.unit else _line(objective.name)


def tell_value(objective: Objective, value: float | None) -> str:
    """The objective of a program."""
    name = _line(objective.name)
    return (
        f"no {name}, it failed" if value is None else f"{name} {value:.6g} {_line(objective.unit)}".rstrip()
    )


def tell_scores(objective: Objective, one: Shown, full: bool = False) -> str:
    """Measures of a program, and on each case its objective (with `full` every number); may be empty."""
    lines = ["Measures: " + _numbers(one.measures)] if one.measures else []
    whole = ALL if isinstance(objective, Speed) else None  # no case, but all of them together
    told = {case: dict(values) for case, values in one.scores if case != whole}
    told = {case: values for case, values in told.items() if objective.name in values}
    if len(told) > 1:
        lines.append(_cases(objective, told, full))
    return "\n".join(lines)


def _cases(objective: Objective, told: Mapping[str, Mapping[str, float]], full: bool) -> str:
    """One line a case if `full`, else all in one; of many cases the worst, in the problem's order."""
    worst = set(sorted(told, key=lambda case: objective.key(told[case][objective.name]))[:_CASES])
    kept = {case: values for case, values in told.items() if case in worst}
    more = f" (the worst {_CASES} of {len(told)})" if len(kept) < len(told) else ""
    name = _line(objective.name)
    if full:
        lines = [f"- {_line(case)}: {_numbers(values.items())}" for case, values in kept.items()]
        return "\n".join([f"By case{more}:", *lines])
    values = ", ".join(f"{_line(case)} {values[objective.name]:.6g}" for case, values in kept.items())
    return f"{name} by case{more}: {values}"


def _numbers(values: Iterable[tuple[str, float]]) -> str:
    return ", ".join(f"{_line(name)} {value:.6g}" for name, value in values)


def _line(text: str) -> str:
    """A name of the problem's, on one line."""
    return " ".join(defused(text, _NAME).split())


def tell_measures(statement: Statement) -> str:
    """The behaviour axes; may be empty."""
    if not statement.measures:
        return ""
    axes = ", ".join(f"{_line(one.name)} ({one.low:g} to {one.high:g})" for one in statement.measures)
    return f"Measures, by which different programs are told apart and which are not to be improved: {axes}."


def tell_limits(limits: Limits) -> str:
    """What one program may use."""
    return (
        f"Limits: {limits.seconds:g} s a case, {limits.cpu_seconds:g} s of CPU time in all, "
        f"{limits.setup_seconds:g} s to import, {_bytes(limits.memory)} of memory."
    )


def _bytes(count: int) -> str:
    return f"{count / (1 << 30):.3g} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.3g} MiB"


@lru_cache(maxsize=256)
def _shown_source(source: str) -> str:
    return defused(source).strip("\n")


def tell_source(source: str) -> str:
    """A program between fences."""
    return fenced(_shown_source(source), "python")


@lru_cache(maxsize=256)
def tell_change(worse: str, good: str) -> str:
    """What turns one program into another, as a unified diff between fences; empty if it would be no help."""
    old, new = _shown_source(worse).splitlines(), _shown_source(good).splitlines()
    if max(len(old), len(new)) > _LINES:
        return ""
    lines = list(difflib.unified_diff(old, new, lineterm="", n=1))[2:]
    changed = sum(not line.startswith((" ", "@@")) for line in lines)
    # Nothing changed that is seen, or nearly everything: the two sources say it better.
    if not lines or changed >= 0.8 * (len(old) + len(new)):
        return ""
    return fenced("\n".join(lines), "diff")


def tell_failure(failure: Failure) -> str:
    """A failure between fences: its kind is a word of ours, but nothing here relies on it."""
    said = f"{defused(failure.status, _NAME)}: {defused(scrubbed(failure.message[: 4 * _MESSAGE]), _MESSAGE)}"
    output = defused(scrubbed(failure.output[-4 * _OUTPUT :]), _OUTPUT).strip()
    return fenced(f"{said.strip()}\nIt printed: {output}" if output else said.strip(), "text")


def tell_failed(source: str) -> str:
    """What was tried and failed, between fences: a program, or a reply that is none."""
    return fenced(defused(source, _FAILED).strip("\n"), "text")


def tell_sites(listing: str) -> str:
    """The places that a grammar lets change, between fences."""
    return fenced(defused(listing).strip("\n"), "text")


def tell_trusted(text: str) -> str:
    """Text of the human, as it is but for what would speak to a tokenizer or a terminal."""
    return defused(text).strip()
