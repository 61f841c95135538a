"""The HTML page of a report: one file that asks for nothing else, and runs nothing.

Every text of the facts is escaped by Markup's `format`, which escapes all that is not Markup already.
"""

from collections.abc import Sequence
from importlib.resources import files

from markupsafe import Markup

from evolve import __version__
from evolve.bench.report import contents, heatmap, plots
from evolve.bench.report.code import changes, highlighted
from evolve.bench.report.facts import Code, Facts, Step
from evolve.bench.report.gathering import difference
from evolve.bench.report.judgement import BEST, SEED
from evolve.bench.report.tables import Table, Value, day, figure, length
from evolve.terminal import number
from evolve.text import plural

__all__ = ["page"]

_FORBIDDING = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_PUBLISHED = "Most of them on other instances than these; for orientation only."
_LONG = 48  # characters, from which on a cell may wrap
_DIFFS = 200  # steps of a lineage whose diffs are shown
_OPEN = 5  # of those with a gain, the last: so many need no click

_PAGE = Markup("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{forbidding}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
""")


def page(facts: Facts) -> str:
    """The whole page.

    Raises:
        UsageError: a library that it is made with is not installed.
    """
    sections = [
        ("program", "The program", _program(facts)),
        ("cases", "Case by case", _cases(facts)),
        ("lineage", "How it was found", _lineage(facts)),
        ("course", "Over the run", _course(facts)),
        ("rate", "Rate of discovery", _rate(facts)),
        ("cost", "What it cost", _cost(facts)),
        ("human", "What a human did", _human(facts)),
        ("again", "How to make it again", _again(facts)),
    ]
    told = [one for one in sections if one[2]]
    body = Markup("\n").join(
        [
            _top(facts, [(name, title) for name, title, _ in told]),
            *(Markup('<section id="{}"><h2>{}</h2>\n{}</section>').format(*one) for one in told),
            _foot(facts),
        ]
    )
    return str(
        _PAGE.format(
            forbidding=_FORBIDDING,
            title=f"{facts.about.problem}, seed {facts.origin.seed}: {facts.ruled.verdict}",
            style=Markup(files(__package__).joinpath("page.css").read_text(encoding="utf-8")),
            body=body,
        )
    )


def _join(parts: Sequence[Markup | None]) -> Markup:
    return Markup("\n").join([part for part in parts if part])


def _quiet(text: str) -> Markup:
    return Markup('<p class="quiet">{}</p>').format(text) if text else Markup("")


def _said(text: str) -> Markup:
    """A sentence, with what stands between backticks as code; none of it is HTML."""
    parts = [
        Markup("<code>{}</code>" if place % 2 else "{}").format(part)
        for place, part in enumerate(text.split("`"))
    ]
    return Markup("").join(parts)


def _top(facts: Facts, sections: Sequence[tuple[str, str]]) -> Markup:
    about = facts.about
    heading = Markup('<header><h1>{}</h1>\n<p class="lead">{}</p>').format(about.problem, facts.headline)
    links = Markup(" ").join(Markup('<a href="#{}">{}</a>').format(*one) for one in sections)
    state = Markup('<p class="care"><b>{}:</b> {}.</p>').format(
        facts.state.word.capitalize(), facts.state.told
    )
    again = Markup('<p class="care"><b>Scored again:</b> {}.</p>').format(_rescored(facts))
    return _join(
        [
            heading,
            state if facts.state.told else None,
            again if facts.state.rescored else None,
            _verdict(facts) if facts.best else None,
            *(Markup('<p class="care"><b>Warning:</b> {}.</p>').format(one) for one in facts.doubts),
            Markup("<p>{}</p>").format(_first(about.description)) if about.description else None,
            _quiet(_key_figures(facts)),
            Markup('<nav aria-label="contents">{}</nav></header>').format(links),
        ]
    )


def _rescored(facts: Facts) -> str:
    words = "the problem has changed since the run began; every figure here is by the scores of now"
    if not facts.state.unscored:
        return words
    return f"{words}, and {plural(facts.state.unscored, 'program')} have none yet"


def _first(description: str) -> str:
    """The first paragraph, as one line."""
    return " ".join(description.split("\n\n", maxsplit=1)[0].split())


def _key_figures(facts: Facts) -> str:
    cost = facts.cost
    parts = [plural(cost.proposals, "proposal"), plural(cost.evaluations, "evaluation"), length(cost.seconds)]
    if cost.cpu_seconds is not None:
        parts.append(f"{length(cost.cpu_seconds)} of CPU")
    if cost.requests:
        parts.append(f"{cost.tokens['prompt'] + cost.tokens['completion'] + cost.tokens['wasted']} tokens")
    began = day(facts.sessions[0].at) if facts.sessions else ""
    return f"{', '.join(parts)}; seed {facts.origin.seed}; begun {began}; ledger {facts.ledger}"


def _verdict(facts: Facts) -> Markup:
    ruled = facts.ruled
    line = Markup('<p class="verdict {}"><b>{}</b>: {}</p>').format(ruled.verdict, ruled.verdict, ruled.why)
    by = f"By {ruled.verifier}, {day(ruled.at)}; seed of the draws {ruled.seed}." if ruled.verifier else ""
    return _join([line, _table(contents.checks(facts)), _quiet(by)])


def _program(facts: Facts) -> Markup:
    best = facts.best
    if best is None:
        return Markup("<p>No program of this run has a score.</p>")
    parts = [
        Markup(
            "<p>Proposal {}, by <code>{}</code>; id <code>{}</code>. A machine wrote it: read it before you run it.</p>"
        ).format(best.number, best.made_by, best.program),
        highlighted(best.source),
        _quiet(
            f"{best.left_out} characters are left out; evolve export writes all of them."
            if best.left_out
            else ""
        ),
    ]
    if facts.seed is not None and facts.seed.program != best.program:
        parts += [_change("What it changes in the seed program", facts.seed, best)]
    parent = facts.parent
    if parent is not None and (facts.seed is None or parent.program != facts.seed.program):
        title = f"What it changes in its parent (proposal {parent.number}, {number(parent.objective)})"
        parts += [_change(title, parent, best)]
    return _join(parts)


def _change(title: str, before: Code, after: Code) -> Markup:
    return Markup("<h3>{}</h3>\n{}").format(title, changes(difference(before.source, after.source, 3)))


def _cases(facts: Facts) -> Markup:
    label = contents.unit_of(facts)
    others = [name for case in facts.cases for name in case.values]
    names = [name for name in dict.fromkeys(others) if name not in (BEST, SEED)]
    drawn = []
    if facts.cases:
        told = (
            f"{facts.about.objective.name}, {_better(facts)}; thick line: span of fresh draws, or an interval"
        )
        drawn.append(_figure(plots.by_case(facts.cases, label, names), told))
    if facts.ruled.gains:
        told = "how much better the best is on the same fresh draws: mean, and 95 % interval of the median"
        drawn.append(_figure(plots.gains(facts.ruled.gains, f"better by, {label}"), told))
    parts = [
        Markup('<div class="plots">{}</div>').format(_join(drawn)) if drawn else None,
        _table(contents.lines(facts)),
        _details("every case as a table", _table(contents.cases(facts))) if facts.cases else None,
        _table(contents.gains(facts)),
    ]
    if facts.references:
        rows = Markup("").join(Markup("<li>{}</li>").format(one) for one in facts.references)
        parts.append(Markup("<h3>Published figures</h3>{}<ul>{}</ul>").format(_quiet(_PUBLISHED), rows))
    return _join(parts)


def _better(facts: Facts) -> str:
    return "larger is better" if facts.about.objective.direction == "max" else "smaller is better"


def _lineage(facts: Facts) -> Markup:
    steps = facts.lineage
    if len(steps) < 2:
        return Markup("")
    gained = sum(map(_gained, steps))
    shown = steps[-_DIFFS:]
    left = len(steps) - len(shown)
    words = f"{plural(len(steps) - 1, 'step')} from the seed program, {gained} of them with a gain."
    if left:
        words += f" The diffs of the last {_DIFFS} follow; all steps are in the CSV files."
    drawn = _figure(
        plots.lineage([step.objective for step in steps], contents.unit_of(facts)),
        f"{facts.about.objective.name} of each ancestor, {_better(facts)}; steps may lead through worse programs",
    )
    opened = [step.number for step in shown if _gained(step)][-_OPEN:]
    diffs = [
        _step(facts, step, step.number in opened) for step in shown if step.gain is not None or step.diff
    ]
    return _join([Markup("<p>{}</p>").format(words), drawn, _table(contents.steps(facts)), *diffs])


def _gained(step: Step) -> bool:
    return step.gain is not None and step.gain > 0


def _step(facts: Facts, step: Step, opened: bool) -> Markup:
    gain = f", gained {number(step.gain)}" if _gained(step) else ", no gain"
    title = (
        f"proposal {step.number}: {facts.about.objective.name} {number(step.objective)}{gain}, {step.made_by}"
    )
    return _details(title, changes(step.diff), opened=opened)


def _course(facts: Facts) -> Markup:
    told = facts.measures
    label = contents.unit_of(facts)
    drawn: list[Markup | None] = []
    if len(told.curve):
        curve = told.curve.evaluations, told.curve.values
        drawn.append(_figure(plots.anytime(curve, told.evaluations, label), f"best so far, {_better(facts)}"))
    drawn += [_map(facts)]
    if len(told.novelty.structure) > 2:
        sample = (
            f" ({len(told.novelty.evaluations)} of {told.novelty.elites} compared)"
            if told.novelty.sampled
            else ""
        )
        words = f"how far each new elite was from the nearest one before it, 0 to 1{sample}"
        drawn.append(_figure(plots.novelty(told.novelty), words))
    if len(told.diversity) > 1:
        words = (
            "how many structures the archive holds in effect, and how far its elites are apart in behaviour"
        )
        drawn.append(_figure(plots.diversity(told.diversity), words))
    return Markup('<div class="plots">{}</div>').format(_join(drawn))


def _map(facts: Facts) -> Markup | None:
    axes, cells = facts.about.measures, facts.cells
    if not axes:
        return _quiet(
            "The problem has no measures: each island keeps one program, and there is no map of the archive."
        )
    if not cells:
        return None
    count = 1
    for measure in axes[:2]:
        count *= measure.bins
    scale = Markup("").join(Markup('<i style="background: {}"></i>').format(one) for one in heatmap.LEVELS)
    words = Markup(
        "{} of {} cells reached; worst tenth {} best tenth of them, each by the best {} ever found there"
    ).format(
        len(cells), count, Markup('<span class="scale">{}</span>').format(scale), facts.about.objective.name
    )
    if len(axes) > 2:
        words += Markup("; {} measures, drawn along the first two").format(len(axes))
    drawn = Markup(heatmap.pictured(cells, axes, facts.about.objective))
    return Markup("<figure>{}<figcaption>{}</figcaption></figure>").format(drawn, words)


def _rate(facts: Facts) -> Markup:
    return _table(contents.measured(facts), titled=False)


def _cost(facts: Facts) -> Markup:
    parts = [
        _table(contents.cost(facts), titled=False),
        _table(contents.operators(facts)),
        _table(contents.failures(facts)),
    ]
    if not facts.operators and facts.state.rescored:
        parts.append(
            _quiet(
                "What operators earned is left out: programs were scored twice, and that must not be mixed."
            )
        )
    return _join(parts)


def _human(facts: Facts) -> Markup:
    if not facts.deeds:
        return Markup("<p>Nothing but to start it: the ledger holds no intervention and no note.</p>")
    return _table(contents.deeds(facts), titled=False)


def _again(facts: Facts) -> Markup:
    known = facts.origin
    return _join(
        [
            Markup('<pre class="code"><code>{}</code></pre>').format(known.command),
            Markup("<p>{}</p>").format(_said(known.repeats)),
            _table(contents.origin(facts)),
            _table(contents.sessions(facts)),
            _table(contents.rulings(facts)),
        ]
    )


def _foot(facts: Facts) -> Markup:
    made = f"Made by evolve {__version__} from {facts.ledger}, {day(facts.at)}."
    words = f"{made} This file asks for nothing else and runs nothing."
    return Markup('<footer class="quiet">{}</footer>').format(words)


def _details(title: str, inside: Markup, opened: bool = False) -> Markup:
    start = Markup("<details open>") if opened else Markup("<details>")
    return start + Markup("<summary>{}</summary>\n{}</details>").format(title, inside)


def _figure(drawn: str, words: str) -> Markup:
    # Made by matplotlib, which escapes the names that it is given: tests hold it to that.
    return Markup("<figure>{}<figcaption>{}</figcaption></figure>").format(Markup(drawn), words)


def _table(table: Table, titled: bool = True) -> Markup:
    """A table in a box of its own, which scrolls where it is too wide; nothing where it has no rows.

    Args:
        table: to be shown.
        titled: whether its title is told: the heading of a section may say the same.
    """
    if not table.rows:
        return Markup("")
    numeric = table.numeric
    head = Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(Markup(' class="n"') if flush else Markup(""), title)
        for title, flush in zip(table.columns, numeric, strict=True)
    )
    rows = Markup("\n").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(_cell(value, flush) for value, flush in zip(row, numeric, strict=True))
        )
        for row in table.rows
    )
    title = Markup("<caption>{}</caption>").format(table.title) if titled else Markup("")
    return Markup(
        '<div class="box" tabindex="0"><table>{}<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>{}'
    ).format(title, head, rows, _quiet(table.note))


def _cell(value: Value, flush: bool) -> Markup:
    text = figure(value)
    kind = "n" if flush else "long" if len(text) > _LONG or "\n" in text else ""
    return Markup('<td class="{}">{}</td>').format(kind, text) if kind else Markup("<td>{}</td>").format(text)
