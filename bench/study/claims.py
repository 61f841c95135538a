"""What a study says in sentences: who is better than whom, by how much, how sure, and what would settle the rest.

Knows outcomes and statistics; runs nothing. Of many comparisons each p-value is corrected for being one of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from evolve.bench.study.outcomes import Outcome, value_of
from evolve.bench.study.statistics import ALPHA, LEAST_P, Paired, compared, least_seeds, seeds_needed
from evolve.fastcore.stats import holm
from evolve.programs_db.records import Objective
from evolve.terminal import number
from evolve.text import plural

__all__ = ["Question", "Verdict", "asked", "gained", "paired_gains", "summary", "too_few", "worded"]

Verdict = Literal["better", "worse", "not settled", "equal"]

_WHAT: Final = {
    "final": "",
    "area": " by the mean of the best so far",
    "unseen": " on unseen cases",
    "fresh": " on fresh draws",
}


@dataclass(frozen=True, slots=True)
class Question:
    """Whether one is better than another on a problem.

    Args:
        problem: label.
        first: who is asked to be better.
        second: than whom.
        outcome: by what, see `outcomes.value_of`.
        found: of the pairs.
        p_adjusted: corrected by Holm over all questions of this outcome in the study.
        verdict: "better" or "worse" where that p-value is below 0.05, "equal" where no pair differs.
        needed: seeds that would settle it with 80 % power if the difference is as seen; None where it is settled, or
            no number would, or there are too few to tell.
    """

    problem: str
    first: str
    second: str
    outcome: str
    found: Paired
    p_adjusted: float
    verdict: Verdict
    needed: int | None

    def as_dict(self) -> dict[str, Any]:
        """Plain data, with the sentence."""
        told = asdict(self)
        found = told.pop("found")
        return {**told, **found, "ties": self.found.ties, "sentence": worded(self)}


def paired_gains(
    first: Mapping[int, Outcome], second: Mapping[int, Outcome], objective: Objective, outcome: str
) -> list[float]:
    """By how much the first is better, of each seed that both have; a program that fails is worse than any other.

    Raises:
        KeyError: the problem has no such outcome.
    """
    gains = []
    for seed in sorted(first.keys() & second.keys()):
        one, other = value_of(first[seed], outcome), value_of(second[seed], outcome)
        if one is not None and other is not None:
            gains.append(objective.key(one) - objective.key(other))
        else:
            gains.append(0.0 if one is other else float("inf") if other is None else float("-inf"))
    return gains


def asked(pairs: Sequence[tuple[str, str, str, Sequence[float]]], outcome: str) -> list[Question]:
    """All questions of one outcome, corrected together.

    Args:
        pairs: (problem, first, second, gains).
        outcome: by what.
    """
    found = [compared(gains) for *_, gains in pairs]
    adjusted = [float(p) for p in holm([one.p for one in found])]
    return [
        _question((problem, first, second, outcome), one, p, len(found))
        for (problem, first, second, _), one, p in zip(pairs, found, adjusted, strict=True)
    ]


def _question(key: tuple[str, str, str, str], found: Paired, adjusted: float, family: int) -> Question:
    verdict: Verdict = "not settled"
    if not found.wins and not found.losses:
        verdict = "equal"
    elif adjusted < ALPHA:
        verdict = "better" if found.effect > 0 else "worse"
    needed = None
    if verdict == "not settled":
        # What Holm multiplied this one by; one that is capped at 1 may face the whole family.
        times = family if adjusted >= 1.0 else adjusted / found.p
        needed = seeds_needed(found, ALPHA / max(1.0, times))
    return Question(*key, found, adjusted, verdict, needed)


def worded(one: Question) -> str:
    """The sentence of a question."""
    found = one.found
    where = f"{one.problem}{_WHAT[one.outcome]}"
    if one.verdict == "equal":
        return f"{one.first} and {one.second} are equal on {where}, in each of {found.pairs} pairs of runs."
    ties = f", {found.ties} equal" if found.ties else ""
    seeds = f"{found.wins} of {found.pairs} seeds, {found.losses} worse{ties}{_although(one)}"
    p = f"p {_p(one.p_adjusted)} after correction"
    if one.verdict != "not settled":
        return f"{one.first} is {one.verdict} than {one.second} on {where}: better on {seeds}; {p}."
    if one.needed is not None:
        would = f"about {one.needed:,} seeds would settle it at 80 % power if the difference is as seen"
    elif found.pairs < least_seeds(ALPHA):
        would = "so few seeds do not tell how many would settle it"
    else:
        would = "as far as these seeds show there is no difference that any number of them would settle"
    told = f"{one.first} against {one.second} on {where}: better on {seeds}"
    return f"{told}; {p}: not settled; {would}."


def _although(one: Question) -> str:
    """A test of ranks may side with the fewer seeds, where they differ by more: not without a word."""
    ahead = one.found.wins - one.found.losses
    if one.verdict == "better" and ahead <= 0:
        return ", but by more where it is better"
    return ", but by more where it is worse" if one.verdict == "worse" and ahead >= 0 else ""


def _p(value: float) -> str:
    if value <= LEAST_P:
        return f"< {LEAST_P:.0e}"
    return f"= {value:.1e}" if value < 0.001 else f"= {value:.3g}"


def summary(questions: Sequence[Question]) -> list[str]:
    """A sentence for each pair of strategies, over all problems."""
    told = []
    for first, second in dict.fromkeys((one.first, one.second) for one in questions):
        mine = [one for one in questions if (one.first, one.second) == (first, second)]
        parts = []
        for verdict in ("better", "worse", "equal", "not settled"):
            where = [one.problem for one in mine if one.verdict == verdict]
            if where:
                parts.append(f"{verdict} on {len(where)} of {len(mine)} ({', '.join(where)})")
        if not any(one.verdict == "worse" for one in mine):
            parts.append("worse on none")
        told.append(f"{first} against {second}: {'; '.join(parts)}.")
    return told


def gained(value: float | None, unit: str) -> str:
    """A gain with its sign."""
    return "-" if value is None else f"{'+' if value > 0 else ''}{number(value)} {unit}".rstrip()


def too_few(seeds: int, questions: int) -> str:
    """Why so few seeds can settle nothing, or ""."""
    least = least_seeds(ALPHA / max(1, questions))
    if not questions or seeds >= least:
        return ""
    return (
        f"{plural(seeds, 'seed')} can hardly settle {plural(questions, 'question')}: with fewer than {least}, not even "
        "a strategy that is better on every seed is sure to pass the correction"
    )
