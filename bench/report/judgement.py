"""What is known of the truth of a find: verdicts, and its objective case by case beside the seed program and baselines.

Reads the ledger and the run's document; knows no page.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from evolve.bench.report.facts import Case, Check, Gain, Line, Ruled
from evolve.bench.report.tables import one_line
from evolve.programs_db.claims import Ruling
from evolve.programs_db.export import program_record
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.records import Objective
from evolve.speed import ALL
from evolve.text import clean

__all__ = ["BEST", "SEED", "cases_of", "lines_of", "ruled_of"]

SEED, BEST = "seed program", "best"
_NAME = 120
_WHY = 1_200
_NOBODY = "scored by the problem's own judge; nothing else has checked it"

Document = Mapping[str, Any]


def ruled_of(book: Ledger, best: str) -> tuple[Ruled, tuple[Ruled, ...]]:
    """What was said last of the best program, and all that was said, of scores of the present fingerprint."""
    said = [_ruled(one) for one in book.rulings() if one.fingerprint == book.fingerprint]
    of_best = [one for one in said if one.program == best]
    return of_best[-1] if of_best else Ruled(best, "unverified", _NOBODY), tuple(said)


def _ruled(ruling: Ruling) -> Ruled:
    evidence = ruling.evidence
    findings = {one["name"]: one for one in evidence["findings"]}
    fresh = findings.get("fresh", {})
    return Ruled(
        ruling.program,
        ruling.verdict,
        one_line(clean(evidence["why"], _WHY)),
        clean(ruling.verifier, _NAME),
        clean(str(evidence.get("seed", "")), _NAME),
        ruling.at,
        ruling.seconds,
        tuple(
            Check(clean(one["name"], _NAME), one["holds"], one_line(clean(one["words"], _WHY)))
            for one in evidence["findings"]
        ),
        tuple(
            Gain(clean(name, _NAME), one["mean"], one["gain"], one["low"], one["high"])
            for name, one in fresh.get("against", {}).items()
        ),
        (fresh["mean"], fresh["lowest"], fresh["highest"]) if "mean" in fresh else None,
    )


def lines_of(told: Document) -> tuple[Line, ...]:
    """Seed program, best and baselines, as the run's document has them."""
    named = {SEED: told["seed_program"], BEST: told["best"], **told["baselines"]}
    return tuple(_line(clean(name, _NAME), line) for name, line in named.items() if line)


def _line(name: str, line: Mapping[str, Any]) -> Line:
    found = line.get("confirmation") or {}
    interval = None
    if found.get("low") is not None and found.get("high") is not None:
        interval = found["low"], found["high"]
    return Line(
        name,
        line["program"],
        line["value"],
        interval,
        {clean(suite, _NAME): value for suite, value in (line.get("unseen") or {}).items()}
        | {clean(case, _NAME): value for case, value in found.get("cases", {}).items()},
        {
            clean(suite, _NAME) or "training": one_line(clean(why, 400))
            for suite, why in (line.get("failures") or {}).items()
        },
    )


def cases_of(
    book: Ledger, objective: Objective, best: int | None, known: tuple[Sequence[Line], Ruled]
) -> tuple[Case, ...]:
    """The objective on each training case, each unseen suite, and on fresh draws.

    Args:
        book: the ledger.
        objective: of the problem.
        best: number of the best proposal, None where nothing has a score.
        known: seed program, best and baselines as `lines_of` tells them, and the verdict on the best.
    """
    lines, ruled = known
    trained = {SEED: _scores(book, objective, 0)}
    if best is not None:
        trained[BEST] = _scores(book, objective, best)
    names = dict.fromkeys(case for scores in trained.values() for case in scores)
    found = [
        Case(
            clean(case, _NAME),
            "training",
            {who: scores[case] for who, scores in trained.items() if case in scores},
        )
        for case in names
    ]
    suites = dict.fromkeys(suite for line in lines for suite in line.unseen)
    for suite in suites:
        values = {line.name: value for line in lines if (value := line.unseen.get(suite)) is not None}
        # A race is run on fresh inputs; the training cases of such a problem may have the same names.
        raced = any(line.interval for line in lines)
        found.append(Case(f"{suite} (fresh)" if raced else suite, "fresh" if raced else "unseen", values))
    return (*found, *_fresh(lines, ruled))


def _fresh(lines: Sequence[Line], ruled: Ruled) -> list[Case]:
    """Fresh draws together; where speed is sought, all fresh inputs together with the interval of the ratio."""
    if ruled.draws is not None:
        mean, lowest, highest = ruled.draws
        values = {BEST: mean, **{gain.over: gain.theirs for gain in ruled.gains}}
        return [Case("fresh draws", "fresh", values, (lowest, highest))]
    raced = [line for line in lines if line.interval is not None]
    mine = next((line.interval for line in raced if line.name == BEST), None)
    if mine is None:
        return []
    return [Case("all fresh inputs", "fresh", {line.name: line.value for line in raced if line.value}, mine)]


def _scores(book: Ledger, objective: Objective, number: int) -> dict[str, float]:
    """The objective of one program by training case; {} where it has no score, or none by case."""
    rows = book.query("SELECT program FROM proposals WHERE number = :n", {"n": number})
    if not rows or rows[0]["program"] is None:
        return {}
    scores = program_record(book, number, book.fingerprint)["scores"]
    return {
        case: float(numbers[name])
        for case, numbers in scores.items()
        for name in (objective.name, "speedup")
        if case != ALL and name in numbers
    }
