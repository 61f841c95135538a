"""The Markdown of a report, for a paper's appendix: figures, tables and programs, without plots.

What programs wrote stands in fences that they cannot close, or with every mark of Markdown escaped.
"""

import re
from collections.abc import Sequence
from typing import Final

from evolve import __version__
from evolve.bench.report import contents
from evolve.bench.report.facts import Facts
from evolve.bench.report.gathering import difference
from evolve.bench.report.tables import Table, day, figure, one_line

__all__ = ["escaped", "fenced", "plain"]

_MARKS: Final = re.compile(r"([\\`*_{}\[\]#|~!$@])")
# Of bare addresses many renderers make links.
_LINKS: Final = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)
# Of a list, or the underline of a heading: where a text begins so, or is nothing else.
_START: Final = re.compile(r"^(\d*)([-+.)](?=\s|$)|[-=](?=[-= ]*$))")
_RUNS: Final = re.compile("`+")


def escaped(text: str) -> str:
    """A text as one line of Markdown that shows as it is: no mark in it means anything, and nothing of it is HTML.

    See CommonMark, "Backslash escapes": any ASCII punctuation may have one.
    """
    return _START.sub(r"\1\\\2", _inline(one_line(text)))


def _inline(text: str) -> str:
    text = _LINKS.sub(r"\\", _MARKS.sub(r"\\\1", text))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def fenced(text: str, language: str = "") -> str:
    """A text in a fence that is longer than any run of backticks in it."""
    longest = max((len(run) for run in _RUNS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.strip(chr(10))}\n{fence}"


def _said(text: str) -> str:
    """A sentence, with what stands between backticks as code."""
    parts = one_line(text).split("`")
    return "".join(f"`{part}`" if place % 2 and part else _inline(part) for place, part in enumerate(parts))


def plain(facts: Facts) -> str:
    """The whole text."""
    about, ruled = facts.about, facts.ruled
    parts = [
        f"# {escaped(about.problem)}, seed {facts.origin.seed}",
        f"{escaped(facts.headline)}.",
    ]
    if facts.state.told:
        parts.append(f"**{facts.state.word.capitalize()}**: {_said(facts.state.told)}.")
    if facts.state.rescored:
        parts.append("**Scored again**: every figure here is by the scores of now.")
    if facts.best is not None:
        parts.append(f"**{ruled.verdict}**: {escaped(ruled.why)}.")
    parts += [f"**Warning**: {escaped(one)}." for one in facts.doubts]
    parts += _tables([contents.checks(facts)])
    parts += _programs(facts)
    parts += _section("Case by case", [contents.lines(facts), contents.cases(facts), contents.gains(facts)])
    if facts.references:
        parts.append("Published figures, most of them on other instances than these; for orientation only:")
        parts.append("\n".join(f"- {escaped(one)}" for one in facts.references))
    parts += _section("How it was found", [contents.steps(facts), contents.improvements(facts)])
    parts += _section("Rate of discovery", [contents.measured(facts)])
    costs = [contents.cost(facts), contents.operators(facts), contents.failures(facts)]
    parts += _section("What it cost", costs)
    parts += ["## What a human did", *_deeds(facts)]
    parts += ["## How to make it again", fenced(facts.origin.command, "sh"), _said(facts.origin.repeats)]
    parts += _tables([contents.origin(facts), contents.sessions(facts), contents.rulings(facts)])
    parts.append(
        f"Made by evolve {escaped(__version__)} from {escaped(facts.ledger)}, {escaped(day(facts.at))}."
    )
    return "\n\n".join(parts) + "\n"


def _programs(facts: Facts) -> list[str]:
    best = facts.best
    if best is None:
        return ["No program of this run has a score."]
    parts = [
        "## The program",
        f"Proposal {best.number}, by {escaped(best.made_by)}; id {escaped(best.program)}.",
        fenced(best.source, "python"),
    ]
    if best.left_out:
        parts.append(f"{best.left_out} characters are left out.")
    for title, before in (("seed program", facts.seed), ("parent", facts.parent)):
        if before is not None and before.program != best.program:
            diff = "\n".join(difference(before.source, best.source, 3))
            parts += [f"What it changes in its {title}:", fenced(diff, "diff")]
    return parts


def _deeds(facts: Facts) -> list[str]:
    if not facts.deeds:
        return ["Nothing but to start it: the ledger holds no intervention and no note."]
    parts = []
    for one in facts.deeds:
        when = "" if one.when is None else f", after {one.when} commits"
        parts += [f"{escaped(one.kind)}{when}:", fenced(one.words, "text")]
    return parts


def _section(title: str, tables: Sequence[Table]) -> list[str]:
    told = _tables(tables)
    return [f"## {title}", *told] if told else []


def _tables(tables: Sequence[Table]) -> list[str]:
    parts: list[str] = []
    for table in tables:
        if table.rows:
            parts += [f"{escaped(table.title)}:", _table(table)]
            parts += [escaped(table.note)] if table.note else []
    return parts


def _table(table: Table) -> str:
    flush = ["--:" if numeric else "---" for numeric in table.numeric]
    rows = [[escaped(figure(value)) for value in row] for row in table.rows]
    head = [escaped(column) for column in table.columns]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, flush, *rows))
