"""The document of a study: everything that came of it, as plain data, from the outcomes of its runs.

Knows outcomes and claims; starts nothing. `study.json` is this document; another study can be held against it.
"""

from collections.abc import Mapping
from statistics import median
from typing import Any, Final

from evolve.bench.study.claims import Question, asked, paired_gains, summary, too_few
from evolve.bench.study.engine import machine_of
from evolve.bench.study.outcomes import Outcome, classical, value_of
from evolve.bench.study.places import Places
from evolve.bench.study.plan import OUTCOMES, Plan
from evolve.errors import UsageError
from evolve.mutators.simulated import SIMULATED
from evolve.programs_db.records import Objective

__all__ = ["FORMAT", "Runs", "objective_of", "results_of", "runs_of"]

FORMAT: Final = 1

Runs = Mapping[tuple[str, str], Mapping[int, Outcome]]
"""Outcomes by seed, of each problem and strategy."""


def objective_of(problem: Mapping[str, Any]) -> Objective:
    """The objective of a problem, as the document has it."""
    told = problem["objective"]
    return Objective(told["name"], told["direction"], told["unit"])


def runs_of(plan: Plan, places: Places, problems: Mapping[str, Any]) -> Runs:
    """All outcomes of a study that has ended; classical methods are the same for each seed."""
    found: dict[tuple[str, str], dict[int, Outcome]] = {}
    for label in problems:
        for strategy in plan.strategies:
            runs = {
                seed: _kept(places, (label, strategy.name, seed))
                if strategy.kind == "search"
                else classical((label, strategy.name, seed), problems[label])
                for seed in plan.seeds
            }
            kept = {seed: one for seed, one in runs.items() if one is not None}
            if kept:
                found[label, strategy.name] = kept
    return found


def _kept(places: Places, key: tuple[str, str, int]) -> Outcome:
    path = places.outcome(*key)
    try:
        return Outcome.of(places.read(path))
    except (KeyError, TypeError, ValueError):
        raise UsageError(f"{path}: not the outcome of a run; remove it, and it is made again") from None


def results_of(plan: Plan, places: Places, identity: Mapping[str, Any]) -> tuple[dict[str, Any], Runs]:
    """The document of a study that has ended, and its outcomes."""
    problems = {
        one.label: places.read(places.given(one.label), "objective", "timed", "seed_program", "baselines")
        for one in plan.problems
    }
    for label, told in problems.items():
        told["fingerprint"] = identity["fingerprints"][label]
    runs = runs_of(plan, places, problems)
    questions = [one for outcome in OUTCOMES for one in _questions(plan, runs, problems, outcome)]
    primary = [one for one in questions if one.outcome == plan.outcome]
    told = {
        "format": FORMAT,
        "plan": identity["plan"],
        "about": {one.name: one.about for one in plan.strategies},
        "simulated": None if plan.simulated is None else SIMULATED,
        "engine": identity["engine"],
        "machine": machine_of(),
        "problems": problems,
        "summary": summary(primary),
        "questions": [one.as_dict() for one in questions],
        "doubts": _doubts(plan, runs, problems, len(primary)),
        "figures": _figures(runs),
        "spent": _spent(plan, runs),
        "runs": [one.as_dict() for by_seed in runs.values() for one in by_seed.values() if one.content],
    }
    return told, runs


def _questions(plan: Plan, runs: Runs, problems: Mapping[str, Any], outcome: str) -> list[Question]:
    pairs = []
    for first, second in plan.compare:
        for label, told in problems.items():
            one, other = runs.get((label, first)), runs.get((label, second))
            if one is None or other is None:
                continue  # the problem has no baseline; `_doubts` says so
            try:
                gains = paired_gains(one, other, objective_of(told), outcome)
            except KeyError:
                continue  # nor has it such cases
            pairs.append((label, first, second, gains))
    return asked(pairs, outcome)


def _figures(runs: Runs) -> list[dict[str, Any]]:
    """Medians of each problem and strategy."""
    told = []
    for (label, strategy), by_seed in runs.items():
        line: dict[str, Any] = {"problem": label, "strategy": strategy, "runs": len(by_seed)}
        for outcome in OUTCOMES:
            try:
                values = [value_of(one, outcome) for one in by_seed.values()]
            except KeyError:
                continue
            known = [value for value in values if value is not None]
            line[outcome] = median(known) if known else None
            line[f"{outcome}_failed"] = len(values) - len(known)
        told.append(line)
    return told


def _spent(plan: Plan, runs: Runs) -> dict[str, Any]:
    every = [one for by_seed in runs.values() for one in by_seed.values() if one.content]
    proposals = sum(one.proposals for one in every)
    told: dict[str, Any] = {
        "runs": len(every),
        "proposals": proposals,
        "evaluations": sum(one.evaluations for one in every),
        "seconds": round(sum(one.seconds for one in every), 1),
        "cpu_seconds": round(sum(one.cpu_seconds for one in every), 1),
    }
    if plan.simulated is not None:
        told["simulated"] = {"label": SIMULATED, **plan.simulated.cost(proposals)}
    return told


def _doubts(plan: Plan, runs: Runs, problems: Mapping[str, Any], questions: int) -> list[str]:
    """What a reader must know before believing the figures, a sentence each."""
    found = []
    if plan.simulated is not None:
        found.append(
            f"this is {SIMULATED}; it says which search policy fits such a model, and nothing of any model"
        )
    few = too_few(len(plan.seeds), questions)
    if few:
        found.append(few)
    for strategy in plan.strategies:
        lacking = [label for label in problems if (label, strategy.name) not in runs]
        if lacking:
            found.append(
                f"{strategy.name} is not there for {', '.join(lacking)}: the problem gives no baseline"
            )
    for (label, name), by_seed in runs.items():
        short = sum(one.proposals > 0 and one.spent < 0.99 * plan.amount for one in by_seed.values())
        # Tokens that are left may be too few for one more answer: that is no end before its time.
        if short and plan.kind == "evaluations":
            found.append(
                f"{short} of {len(by_seed)} runs of {name} on {label} ended before their budget: they found "
                "nothing new to evaluate"
            )
    for label, told in problems.items():
        if told["timed"]:
            found.append(
                f"{label} measures speed: its figures are those of the search, not confirmed, and runs side by side "
                "disturb each other"
            )
    return found
