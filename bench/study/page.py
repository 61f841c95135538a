"""The page of a study: what was asked and what came out, in sentences and tables, as Markdown.

Knows the document of `results`. All names are shown as text, whatever they hold.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from evolve.bench.study.claims import gained
from evolve.bench.study.plots import said
from evolve.summary import machine_name
from evolve.terminal import number
from evolve.text import clean, plural

__all__ = ["page"]

_TITLES = {
    "final": "training cases",
    "area": "mean of best so far",
    "unseen": "unseen cases",
    "fresh": "fresh draws",
}


def page(document: Mapping[str, Any], plots: Mapping[str, str], against: Sequence[str] = ()) -> str:
    """The page.

    Args:
        document: of the study.
        plots: names of the files of curves, by label.
        against: sentences on another study that this one was held against.
    """
    plan = document["plan"]
    parts = ["# A study of search strategies", ""]
    if document["simulated"]:
        parts += [f"**{document['simulated'].capitalize()}.** {_like(plan['simulated'])}", ""]
    parts += [*_asked(document), "## What it says", ""]
    parts += [f"- {_text(line)}" for line in document["summary"]] or ["- Nothing was to be compared."]
    primary = [one for one in document["questions"] if one["outcome"] == plan["outcome"]]
    parts += ["", *(f"- {_text(one['sentence'])}" for one in primary), ""]
    if document["doubts"]:
        parts += ["Before believing it:", "", *(f"- {_text(line)}" for line in document["doubts"]), ""]
    if against:
        parts += ["## Against another study", "", *(f"- {_text(line)}" for line in against), ""]
    parts += _tables(primary, plan["outcome"])
    for label in document["problems"]:
        parts += _problem(document, label, plots.get(label))
    for outcome in _TITLES:
        others = [one for one in document["questions"] if one["outcome"] == outcome]
        if outcome != plan["outcome"] and others:
            parts += _tables(others, outcome)
    return "\n".join([*parts, *_methods(document)]) + "\n"


def _asked(document: Mapping[str, Any]) -> list[str]:
    plan, engine, spent = document["plan"], document["engine"], document["spent"]
    ((kind, amount),) = plan["budget"].items()
    seeds = plan["seeds"]
    return [
        f"{plural(len(document['problems']), 'problem')}, {plural(len(plan['strategies']), 'strategy')}, "
        f"{plural(len(seeds), 'seed')} ({min(seeds)} to {max(seeds)}), {said(amount, kind)} a run.",
        "",
        f"evolve {engine['version']}, source `{engine['source'][:15]}`; {_text(machine_name(document['machine']))}. "
        f"{spent['runs']} runs took {spent['evaluations']:,} evaluations and {spent['cpu_seconds']:,.0f} CPU seconds.",
        *(
            [
                f"Answers of such a model would have taken {spent['simulated']['tokens']:,} tokens, "
                f"{number(spent['simulated']['seconds'])} s in all and {number(spent['simulated']['money'])} of money."
            ]
            if "simulated" in spent
            else []
        ),
        "",
        "| strategy | what it is |",
        "|---|---|",
        *(f"| {_text(name)} | {_text(about)} |" for name, about in document["about"].items()),
        "",
    ]


def _like(like: Mapping[str, Any]) -> str:
    return "Its dials: " + ", ".join(f"{name} {number(value)}" for name, value in like.items()) + "."


def _tables(questions: Sequence[Mapping[str, Any]], outcome: str) -> list[str]:
    """One outcome, all questions."""
    if not questions:
        return []
    head = ["problem", "question", "better", "worse", "equal", "median gain [95 %]", "mean gain [95 %]"]
    head += ["effect", "p", "p, corrected", ""]
    lines = [f"## Pair by pair: {_TITLES[outcome]}", "", _row(head), _row(["---"] * len(head))]
    for one in questions:
        verdict = one["verdict"]
        told = f"**{verdict}**" if verdict in ("better", "worse") else verdict
        if one["needed"]:
            told += f" (about {one['needed']:,} seeds)"
        lines.append(
            _row(
                [
                    _text(one["problem"]),
                    f"{_text(one['first'])} over {_text(one['second'])}",
                    *(str(one[key]) for key in ("wins", "losses", "ties")),
                    _interval(one, "median"),
                    _interval(one, "mean"),
                    f"{one['effect']:+.2f}",
                    *(f"{one[key]:.3g}" for key in ("p", "p_adjusted")),
                    told,
                ]
            )
        )
    return [*lines, ""]


def _interval(one: Mapping[str, Any], name: str) -> str:
    low, high = one[f"{name}_low"], one[f"{name}_high"]
    return f"{gained(one[name], '')} [{gained(low, '')}, {gained(high, '')}]"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _problem(document: Mapping[str, Any], label: str, plot: str | None) -> list[str]:
    told = document["problems"][label]
    objective = told["objective"]
    title = f"{objective['name']} ({objective['direction']}) {objective['unit']}".strip()
    parts = [f"## {_text(label)}", "", f"{_text(title)}; medians over seeds.", ""]
    if plot is not None:
        parts += [f"![{_text(label)}: best so far]({plot})", ""]
    mine = [one for one in document["figures"] if one["problem"] == label]
    columns = [key for key in _TITLES if any(key in one for one in mine)]
    parts += [_row(["strategy", *(_TITLES[key] for key in columns)]), _row(["---"] * (1 + len(columns)))]
    seed = told["seed_program"]
    suites = _worth(seed)
    parts.append(_row(["*seed program*", *(number(suites.get(key)) for key in columns)]))
    for one in mine:
        cells = [
            number(one[key]) + (f" ({one[f'{key}_failed']} fail)" if one[f"{key}_failed"] else "")
            for key in columns
        ]
        parts.append(_row([_text(one["strategy"]), *cells]))
    baselines = [f"{_text(name)} {number(line['value'])}" for name, line in told["baselines"].items()]
    if baselines:
        parts += ["", f"Its baselines on the training cases: {', '.join(baselines)}."]
    return [*parts, ""]


def _worth(line: Mapping[str, Any]) -> dict[str, float | None]:
    """A program's figures in the columns of the table."""
    found: dict[str, float | None] = {"final": line["value"], "area": line["value"]}
    other = line["elsewhere"]
    for key, values in (("unseen", list(other["unseen"].values())), ("fresh", other["fresh"])):
        if values:
            found[key] = None if None in values else sum(values) / len(values)
    return found


def _methods(document: Mapping[str, Any]) -> list[str]:
    plan = document["plan"]
    return [
        "## How it was found out",
        "",
        "Runs of equal seed are a pair. A *gain* is how much better the first of a pair is, in units of the",
        "objective. *Median* and *mean* gain come with percentile bootstrap intervals over pairs (10,000",
        "resamples). *p* is that of the two-sided Wilcoxon signed-rank test, exact (of more than 300 pairs with a",
        "normal sum of ranks), ties by Pratt's method;",
        "corrected by Holm over all questions of the same outcome. *Effect* is the matched-pairs rank biserial",
        "correlation, from -1 (always worse) to 1 (always better). Seeds that would settle a question: Noether's",
        "formula at 80 % power, ties accounted for. The question was judged by",
        f"*{_TITLES[plan['outcome']]}*; the other tables are told for completeness, each corrected within itself.",
        "The mean of the best so far is taken over the whole budget; unseen and fresh figures are of each run's best",
        f"program: the mean over the problem's unseen suites, and over {plan['draws']} fresh draws, the same for all.",
        "A program that fails there is worse than any that does not.",
        "",
    ]


def _text(text: str) -> str:
    """Text that Markdown does not interpret."""
    plain = clean(str(text), 400).replace("\n", " ")
    return re.sub(r"([\\`*_{}\[\]<>#|~$&!])", r"\\\1", plain)
