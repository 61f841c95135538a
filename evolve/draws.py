"""What fresh draws say of a program beside others that got the same cases. Knows figures and problems; runs nothing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evolve.fastcore.stats import order_interval
from evolve.programs_db.records import Status
from evolve.statement import Problem

__all__ = ["flaw_of", "told_of_draws"]

_CONFIDENCE = 0.95

Told = tuple[bool | None, str, dict[str, Any]]


def flaw_of(marks: Sequence[str], training: str) -> str:
    """Why an interval over draws says nothing, although there is one; "" if nothing is wrong with it.

    Args:
        marks: a hash of the cases of each draw.
        training: the same of the training cases.
    """
    if len(marks) > 1 and len(set(marks)) == 1:
        return "fresh gave the same cases at each draw, so the interval says nothing"
    if marks.count(training) * 2 > len(
        marks
    ):  # where there are few cases at all, one of them may come by chance
        return "fresh gave the training cases again, which are not new"
    return ""


def told_of_draws(
    problem: Problem,
    value: float | None,
    seed_value: float | None,
    values: Mapping[str, Sequence[float | str]],
) -> Told:
    """Whether a claim holds, in words, and the figures.

    Args:
        problem: the problem.
        value: objective on the training cases.
        seed_value: the same of the seed program.
        values: objective at each draw, or what went wrong; of the program under "", of others by name.
    """
    seeds = values["seed program"]
    wrong = [(one, other) for one, other in zip(values[""], seeds, strict=True) if isinstance(one, str)]
    if wrong:
        # Where the seed program fails as well, the case may be none of the problem's.
        alone = [one for one, other in wrong if not isinstance(other, str)]
        faults = [one for one in alone if not one.startswith(f"{Status.UNSCORABLE}:")]
        if faults:
            return False, f"on fresh cases: {faults[0]}", {}
        told = f"on fresh cases: {(alone or [wrong[0][0]])[0]}"
        return None, told if alone else f"{told}; the seed program fails there as well", {}
    mine = [one for one in values[""] if isinstance(one, float | int)]
    against = {
        name: _gain(problem, mine, theirs)
        for name, theirs in values.items()
        if name and not any(isinstance(one, str) for one in theirs)
    }
    data = {
        "mean": _mean(mine),
        "lowest": min(mine),
        "highest": max(mine),
        "against": against,
        "lucky": _is_lucky(problem, mine, value, seeds, seed_value),
    }
    told = (
        f"on {len(mine)} fresh draws {problem.objective.name} is {data['mean']:.6g} "
        f"({data['lowest']:.6g} to {data['highest']:.6g})"
    )
    if data["lucky"]:
        told += f", always less of a gain than on the training cases ({value:.6g})"
    claims = value is not None and seed_value is not None and problem.objective.better(value, seed_value)
    return *_beside_seed(told, against.get("seed program"), claims), data


def _beside_seed(told: str, seed: Mapping[str, Any] | None, claims: bool) -> tuple[bool | None, str]:
    """Who claimed to be better than the seed program, and is worse, is refuted."""
    if seed is None:
        return None, f"{told}; the seed program does not score there"
    told += (
        f", that of the seed program {seed['mean']:.6g}: better by {seed['gain']:.4g} "
        f"[{seed['low']:.4g}, {seed['high']:.4g}]"
    )
    if seed["better"]:
        return True, told
    if seed["high"] < 0.0:
        return False if claims else None, f"{told}, so it is worse"
    return None, f"{told}, which settles nothing"


def _is_lucky(
    problem: Problem,
    mine: Sequence[float],
    value: float | None,
    seeds: Sequence[float | str],
    seed_value: float | None,
) -> bool:
    """Whether the gain over the seed program is smaller on every draw than on the training cases.

    The gain and not the objective: training cases may be harder, or easier, than those that are drawn.
    """
    if value is None or seed_value is None:
        return False
    scored = [pair for pair in zip(mine, seeds, strict=True) if not isinstance(pair[1], str)]
    (claimed,) = _gains(problem, [(value, seed_value)])
    return bool(scored) and claimed > 0.0 and max(_gains(problem, scored)) < claimed


def _gains(problem: Problem, pairs: Iterable[tuple[float, Any]]) -> list[float]:
    """By how much the first of each pair is better."""
    key = problem.objective.key
    return [key(one) - key(other) for one, other in pairs]


def _gain(problem: Problem, mine: Sequence[float], theirs: Sequence[Any]) -> dict[str, Any]:
    """By how much a program is better than another on the same draws.

    The interval holds the median of the paired differences, whatever their distribution: order statistics, see
    `fastcore.stats.order_interval`.
    """
    gains = _gains(problem, zip(mine, theirs, strict=True))
    low, high = order_interval(gains, _CONFIDENCE)
    return {"mean": _mean(theirs), "gain": _mean(gains), "low": low, "high": high, "better": low > 0.0}


def _mean(values: Sequence[float]) -> float:
    """The mean, also where the sum is beyond the largest float."""
    return sum(value / len(values) for value in values)
