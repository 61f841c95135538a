"""The pages of the suite: a table for sceptics (docs/suite.md), a gallery for those who look for an example."""

import platform
from collections.abc import Sequence
from statistics import median

import evolve
from bench.suite.runs import SECONDS, SEEDS, Course, Row
from evolve.fastcore.machine import fingerprint
from evolve.speed_telling import spoken
from evolve.statement import Problem

__all__ = ["gallery", "page"]

_GOOD = ("certified", "confirmed")


def page(rows: Sequence[Row]) -> str:
    """docs/suite.md."""
    searched = [row for row in rows if row.courses]
    better = [row for row in searched if _outcome(row) == "better"]
    parts = [
        "# The suite, searched without a model",
        "",
        f"Every shipped problem with its default parameters: the syntactic mutator, {SECONDS} s, two",
        f"workers, seeds {SEEDS[0]} to {SEEDS[-1]}. Written by `python -m bench.suite` from ledgers; nothing here is",
        "typed by hand.",
        "",
        f"evolve {evolve.__version__}, Python {platform.python_version()}, {_machine()}.",
        "",
        f"**{len(better)} of {len(searched)}** problems improve on their seed program: the median of their runs is",
        "better, and that run is certified or confirmed.",
        "",
        "| problem | objective | seed program | best, by seed | median | verdicts | |",
        "|---" * 7 + "|",
        *(_line(row) for row in rows),
        "",
        "*Verdicts* are those that each run ended with, see [verdicts](verify.md): a certificate, or fresh cases that",
        "no search has seen. `no better` names a failure: the search has found nothing; so do `refuted` and",
        "`unverified`: what the run of the median has found does not hold, or is not known to.",
        "",
        "## On unseen cases, beside classical methods",
        "",
        "The best program of each run by seed, and the problem's baselines, on each suite of unseen cases.",
        "",
    ]
    for row in searched:
        parts += _unseen(row)
    parts += ["## What the verdicts rest on", ""]
    for row in searched:
        parts += [f"- `{row.name}`, seed {course.seed}: {_why(course)}" for course in row.courses]
    return "\n".join(parts) + "\n"


def _machine() -> str:
    about = fingerprint()
    return f"{about.get('cpu', 'unknown CPU')}, {about.get('cores', '?')} cores"


def _outcome(row: Row) -> str:
    """What the run of the median came to: "better", or its verdict if that is bad, or "no better"."""
    middle = _middle(row)
    if not _of(row).objective.better(middle.best, row.courses[0].document["seed_program"]["value"]):
        return "no better"
    verdict = str(middle.document["best"]["verdict"])
    return "better" if verdict in _GOOD else verdict


def _of(row: Row) -> Problem:
    assert row.problem is not None
    return row.problem


def _middle(row: Row) -> Course:
    """The run whose best is the median."""
    return sorted(row.courses, key=lambda course: _of(row).objective.key(course.best))[len(row.courses) // 2]


def _line(row: Row) -> str:
    if not row.courses:
        return f"| `{row.name}` | | | not run: {row.missing} | | | |"
    problem = _of(row)
    objective = problem.objective
    seed = row.courses[0].document["seed_program"]["value"]
    found = ", ".join(_number(course.best) for course in row.courses)
    verdicts = ", ".join(course.document["best"]["verdict"] for course in row.courses)
    outcome = _outcome(row)
    told = outcome if outcome == "better" else f"**{outcome}**"
    return (
        f"| `{row.name}` | {objective.name} ({objective.direction}) | {_number(seed)} | {found} | "
        f"{_number(median(course.best for course in row.courses))} | {verdicts} | {told} |"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"


def _unseen(row: Row) -> list[str]:
    problem = _of(row)
    first = row.courses[0].document
    baselines = first["baselines"]
    suites = list(problem.unseen)
    if not suites or problem.speed:
        return []
    lines = [
        f"`{row.name}` ({problem.objective.direction})",
        "",
        "| cases | seed program | " + " | ".join([*(f"best, {s}" for s in SEEDS), *baselines]) + " |",
        "|---" * (2 + len(SEEDS) + len(baselines)) + "|",
    ]
    for suite in suites:
        found = [course.document["best"]["unseen"].get(suite) for course in row.courses]
        others = [line["unseen"].get(suite) for line in baselines.values()]
        figures = [first["seed_program"]["unseen"].get(suite), *found, *others]
        lines.append(f"| {suite} | " + " | ".join(map(_number, figures)) + " |")
    return [*lines, ""]


def _why(course: Course) -> str:
    best = course.document["best"]
    confirmation = best.get("confirmation")
    if confirmation and "speedup" in confirmation:
        return f"{best['verdict']}: {spoken(confirmation)}"
    return f"{best['verdict']}: {best.get('why', 'it was not verified')}"


def gallery(rows: Sequence[Row]) -> str:
    """problems/README.md."""
    parts = [
        "# The problems that ship",
        "",
        "Each is one file; they are also the examples to learn from, see [how to",
        "write one](../docs/write-a-problem.md). `evolve run NAME` searches, `evolve problems NAME` tells more.",
        "The plots show the best so far over two minutes of searching without a model on two cores, three seeds.",
        "Written by `python -m bench.suite`; the figures, verified, are in [the suite's table](../docs/suite.md).",
        "",
    ]
    for row in rows:
        parts += [f"## [{row.name}]({row.name}.py)", ""]
        if row.problem is None:
            parts += [f"Not run: {row.missing}", ""]
            continue
        parts += [_first_sentence(row.problem.description), ""]
        if row.courses:
            parts += [f"![{row.name}](../docs/suite/{row.name}.svg)", "", *_figures(row)]
    return "\n".join(parts)


def _first_sentence(description: str) -> str:
    return " ".join(description.split("\n\n", maxsplit=1)[0].split())


def _figures(row: Row) -> list[str]:
    problem, middle = _of(row), _middle(row)
    objective, document = problem.objective, middle.document
    best = max(row.courses, key=lambda course: objective.key(course.best))
    lines = [
        f"| {objective.name} ({objective.direction}{f', {objective.unit}' if objective.unit else ''}) | |",
        "|---|---|",
        f"| seed program | {_number(document['seed_program']['value'])} |",
        *(
            f"| baseline `{name}` | {_number(line['value'])} |"
            for name, line in document["baselines"].items()
        ),
        f"| best found here, median of {len(row.courses)} | {_number(middle.best)}, {document['best']['verdict']} |",
        f"| best found here | {_number(best.best)}, {best.document['best']['verdict']} |",
    ]
    for one in problem.references:
        where = f" ({one.case})" if one.case else ""
        date = "" if not one.date or one.source.endswith(one.date) else f", {one.date}"
        lines.append(f"| {one.name}{where} | {_number(one.value)} ({one.source}{date}) |")
    return [*lines, ""]
