"""The tables of a report, made of its facts: the same ones stand on the page, in Markdown and in CSV files."""

from collections.abc import Sequence

from evolve.bench.report.facts import Facts
from evolve.bench.report.judgement import BEST, SEED
from evolve.bench.report.tables import Table, Value, day, figure, short

__all__ = [
    "cases",
    "checks",
    "cost",
    "deeds",
    "failures",
    "gains",
    "improvements",
    "lines",
    "measured",
    "operators",
    "origin",
    "rulings",
    "sessions",
    "steps",
    "tables_of",
    "unit_of",
]

_HOLDS = {True: "holds", False: "does not hold", None: "settles nothing"}


def unit_of(facts: Facts) -> str:
    """The objective's name with its unit."""
    objective = facts.about.objective
    return f"{objective.name} ({objective.unit})" if objective.unit else objective.name


def lines(facts: Facts) -> Table:
    """Seed program, best and baselines side by side."""
    suites = tuple(dict.fromkeys(suite for line in facts.lines for suite in line.unseen))
    names = tuple(line.name for line in facts.lines)
    rows: list[tuple[Value, ...]] = [("training", *(line.value for line in facts.lines))]
    if any(line.interval for line in facts.lines):
        spans = [
            f"{figure(line.interval[0])} to {figure(line.interval[1])}" if line.interval else None
            for line in facts.lines
        ]
        rows = [("all cases", *rows[0][1:]), ("95 % interval", *spans)]
    rows += [(suite, *(line.unseen.get(suite) for line in facts.lines)) for suite in suites]
    wrong = [f"{line.name} on {suite}: {why}" for line in facts.lines for suite, why in line.failures.items()]
    note = "No selection saw an unseen case; one search, one seed: no error bars." if suites else ""
    return Table(
        "comparison",
        f"{unit_of(facts)}, on training and unseen cases",
        ("cases", *names),
        tuple(rows),
        " ".join([note, *(f"Failed: {one}." for one in wrong)]).strip(),
    )


def checks(facts: Facts) -> Table:
    """What each check of the verdict found."""
    rows = tuple((one.name, _HOLDS[one.holds], one.words) for one in facts.ruled.checks)
    return Table("checks", "What the verdict rests on", ("check", "result", "found"), rows)


def cases(facts: Facts) -> Table:
    """The objective of every program on every case."""
    others = [name for case in facts.cases for name in case.values if name not in (SEED, BEST)]
    names = (SEED, BEST, *dict.fromkeys(others))
    rows = tuple(
        (
            case.name,
            case.kind,
            *(case.values.get(name) for name in names),
            *(case.span or (None, None)),
        )
        for case in facts.cases
    )
    columns = ("case", "kind", *names, "best, low", "best, high")
    note = "Low and high: the span of fresh draws, or the 95 % interval where speed is sought."
    return Table("cases", f"{unit_of(facts)}, case by case", columns, rows, note)


def gains(facts: Facts) -> Table:
    """How much better the best is on fresh draws."""
    rows = tuple((one.over, one.theirs, one.gain, one.low, one.high) for one in facts.ruled.gains)
    columns = ("over", "mean of the other", "mean gain", "low", "high")
    note = (
        "Paired on cases that did not exist when the search ran. The interval holds the median of the differences with "
        "at least 95 % confidence, whatever their distribution."
    )
    return Table("fresh_draws", "Gain on fresh draws", columns, rows, note if rows else "")


def steps(facts: Facts) -> Table:
    """The lineage."""
    rows = tuple(
        (place, one.number, one.made_by, one.objective, one.gain, short(one.program))
        for place, one in enumerate(facts.lineage)
    )
    columns = ("step", "proposal", "made by", facts.about.objective.name, "gain", "program")
    return Table("lineage", "Lineage of the best program", columns, rows)


def improvements(facts: Facts) -> Table:
    """The anytime curve."""
    rows = tuple(
        (number, spent, value, short(program)) for number, spent, value, program in facts.improvements
    )
    columns = ("proposal", "evaluations", facts.about.objective.name, "program")
    return Table("curve", "The best so far", columns, rows)


def cost(facts: Facts) -> Table:
    """What it cost."""
    spent = facts.cost
    rows: list[tuple[Value, ...]] = [
        ("proposals", spent.proposals),
        ("evaluations, trials of the tuner included", spent.evaluations),
        ("proposals that were known already", spent.duplicates),
        ("proposals that gave no program", spent.invalid),
        *((f"evaluated: {name}", count) for name, count in spent.statuses.items()),
        ("seconds of searching", spent.seconds),
        ("CPU seconds", spent.cpu_seconds),
    ]
    if spent.requests:
        rows += [("requests to models", spent.requests)]
        rows += [(f"tokens: {name}", count) for name, count in spent.tokens.items()]
        rows += [("money", spent.money)]
    note = "" if spent.cpu_seconds is not None else "A session that has not ended has not told its CPU time."
    return Table("cost", "What it cost", ("what", "amount"), tuple(rows), note)


def measured(facts: Facts) -> Table:
    """The rate of discovery."""
    told = facts.measures
    unit = facts.about.objective.unit or "of the objective"
    rows: list[tuple[Value, ...]] = []
    if told.rate is not None:
        rows += [
            ("gain over the seed program", told.rate.gain, unit),
            ("logarithm of that ratio", told.rate.log_gain, "where both have one sign"),
            ("gain per evaluation", told.rate.per_evaluation, unit),
            ("gain per CPU second", told.rate.per_cpu_second, unit),
            ("gain per 1,000 tokens", told.rate.per_thousand_tokens, unit),
            ("area under the anytime curve", told.area, f"mean gain over the evaluations, {unit}"),
            ("earliness", told.earliness, "that area over the whole gain, 0 to 1"),
        ]
    filled, novel, claims = told.filling, told.novelty.as_dict(), told.claims
    rows += [
        ("cells filled", filled.filled, f"of {filled.cells}"),
        ("coverage", filled.coverage, "share of the cells"),
        ("QD score", filled.qd_score, f"counted from {figure(filled.offset)}, the seed program's"),
        ("QD score of what beats the seed program", filled.above, unit),
        ("novelty in behaviour", novel["behaviour"], "mean distance to the nearest earlier elite, 0 to 1"),
        ("the same, last half of the elites", novel["behaviour_late"], ""),
        ("novelty in structure", novel["structure"], "mean distance of token trigrams, 0 to 1"),
        ("the same, last half of the elites", novel["structure_late"], ""),
        ("elites of a new structure", novel["new_structure"], f"share of {novel['compared']} compared"),
    ]
    if told.diversity:
        last = told.diversity[-1]
        rows += [
            ("structures in the archive, in effect", last.structures, f"among {last.elites} elites"),
            ("spread of behaviour in the archive", last.spread, "mean distance of two elites, 0 to 1"),
        ]
    asked = claims.certified + claims.confirmed + claims.refuted + claims.unverified
    rows += [("verified claims that hold", claims.share, f"share of {asked} verified")]
    if told.staleness is not None:
        rows += [
            ("staleness, median", told.staleness.median, "commits between choosing parents and committing"),
            ("staleness, 95th percentile", told.staleness.high, "commits"),
        ]
    return Table(
        "measures",
        "Rate of discovery",
        ("measure", "value", "unit"),
        tuple(rows),
        "Formulas and sources: docs/measures.md. One run: what a rate is worth, only several runs can say.",
    )


def operators(facts: Facts) -> Table:
    """What each operator earned."""
    rows = tuple(
        (
            f"{one.mutator}:{one.operator}".rstrip(":"),
            *(one.proposals, one.ok, one.over_parent, one.improvements, one.evaluations),
        )
        for one in facts.operators
    )
    columns = ("operator", "proposals", "ok", "better than parent", "new best", "evaluations")
    return Table("operators", "What each operator earned", columns, rows)


def failures(facts: Facts) -> Table:
    """What failed."""
    rows = tuple((one.kind, one.count, one.number, one.sample) for one in facts.failures if one.count)
    return Table("failures", "What failed", ("kind", "how often", "first proposal", "its message"), rows)


def rulings(facts: Facts) -> Table:
    """Every verdict of the run."""
    rows = tuple(
        (short(one.program), one.verdict, one.why, one.verifier, one.seed, day(one.at), round(one.seconds, 1))
        for one in facts.rulings
    )
    columns = ("program", "verdict", "why", "verifier", "seed of the draws", "when", "seconds")
    return Table("verdicts", "All verdicts", columns, rows)


def sessions(facts: Facts) -> Table:
    """Every session."""
    rows = tuple(
        (
            *(one.number, day(one.at), "rescore" if one.rescore else one.budget),
            *(one.ended or "not told", one.command, one.machine, one.libraries),
        )
        for one in facts.sessions
    )
    columns = ("session", "began", "budget", "ended", "as it was typed", "machine", "libraries")
    return Table("sessions", "Sessions", columns, rows)


def deeds(facts: Facts) -> Table:
    """What came from a human."""
    rows = tuple((one.when, one.kind, one.words) for one in facts.deeds)
    return Table("human", "What a human did", ("after commits", "what", "words"), rows)


def origin(facts: Facts) -> Table:
    """What identifies the run."""
    known = facts.origin
    rows: list[tuple[Value, ...]] = [
        ("problem", facts.about.problem),
        *((f"parameter {name}", value) for name, value in facts.about.parameters.items()),
        ("seed of the run", known.seed),
        ("evolve", known.version),
        ("content hash of the ledger", known.compare),
        ("fingerprint of the scoring", known.fingerprint),
        ("best program", facts.best.program if facts.best else None),
        ("isolation", known.isolation),
        ("dials of the search", ", ".join(f"{name} {value}" for name, value in known.dials.items())),
        ("dials that are not as usual", ", ".join(known.changed) or "none"),
        ("report made", day(facts.at)),
    ]
    return Table("origin", "What it was made with", ("what", "is"), tuple(rows))


def tables_of(facts: Facts) -> Sequence[Table]:
    """All tables that have a row, in the order of the report."""
    made = (lines, checks, cases, gains, steps, improvements, measured, cost, operators, failures)
    later = (rulings, deeds, sessions, origin)
    found = [make(facts) for make in (*made, *later)]
    return [table for table in found if table.rows]
