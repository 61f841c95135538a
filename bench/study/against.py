"""Two versions of the engine held against each other: the same problems, strategies and budget, paired by seed.

Knows documents of studies. A search has become worse where the corrected test says so and its interval lies below zero.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Self

from evolve.bench.study.claims import Question, asked, gained, paired_gains, too_few
from evolve.bench.study.outcomes import Outcome
from evolve.bench.study.results import FORMAT, Runs, objective_of
from evolve.errors import UsageError
from evolve.summary import machine_name
from evolve.terminal import number
from evolve.text import clean

__all__ = ["Against", "Other", "held_against"]


@dataclass(frozen=True, slots=True)
class Other:
    """An earlier study.

    Args:
        path: of its document.
        document: what is in it.
        runs: the outcomes that it holds.
    """

    path: Path
    document: Mapping[str, Any]
    runs: Runs

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a folder, or its study.json.

        Raises:
            UsageError: there is none, it is of another format, or lacks something.
        """
        file = path / "study.json" if path.is_dir() else path
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(
                f"--against {path}: {file.name}: {error.strerror}; give the folder or study.json of a study that "
                "has ended"
            ) from None
        except (UnicodeDecodeError, json.JSONDecodeError):
            raise UsageError(f"--against {path}: not the study.json of a study") from None
        if not isinstance(document, Mapping) or document.get("format") != FORMAT:
            raise UsageError(f"--against {path}: not a study of format {FORMAT}; run that one again")
        try:
            return cls(file, document, _checked(document))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(
                f"--against {path}: not a whole study.json ({type(error).__name__}: {clean(str(error), 100)}); run "
                "that study again"
            ) from None

    def expect(self, identity: Mapping[str, Any]) -> None:
        """Make sure that the two can be compared.

        Raises:
            UsageError: other problems, strategies or budgets, or no run of a seed in common.
        """
        there, here = self.document["plan"], identity["plan"]
        for label, mark in identity["fingerprints"].items():
            known = self.document["problems"].get(label)
            if known is None:
                raise UsageError(
                    f"--against {self.path}: it has no problem {label!r}; compare the same problems"
                )
            if known["fingerprint"] != mark:
                raise UsageError(
                    f"--against {self.path}: problem {label!r}, or a library that scores it, is not the same there; "
                    "scores of two problems are not compared"
                )
        strategies = {one["name"]: one for one in there["strategies"]}
        for one in here["strategies"]:
            if strategies.get(one["name"]) != one:
                what = "another" if one["name"] in strategies else "not"
                raise UsageError(
                    f"--against {self.path}: strategy {one['name']!r} is {what} there; compare the same strategies"
                )
        for key in ("budget", "simulated", "llm", "draws"):
            if there.get(key) != here[key]:
                raise UsageError(
                    f"--against {self.path}: its {key} was {_told(there.get(key))}, this one's is {_told(here[key])}; "
                    "compare the same"
                )
        if not set(there["seeds"]) & set(here["seeds"]):
            raise UsageError(f"--against {self.path}: no seed is in both; pairs are runs of equal seeds")
        self._expect_runs(identity)

    def _expect_runs(self, identity: Mapping[str, Any]) -> None:
        plan = identity["plan"]
        searching = [one["name"] for one in plan["strategies"] if one["kind"] == "search"]
        for label, name in product(identity["fingerprints"], searching):
            if not self.runs.get((label, name), {}).keys() & set(plan["seeds"]):
                raise UsageError(
                    f"--against {self.path}: it has no run of {name} on {label} with a seed of this plan; there is "
                    "nothing to compare"
                )


def _checked(document: Mapping[str, Any]) -> Runs:
    """The runs of a document that has all that is read here; KeyError, TypeError or ValueError tell what it lacks."""
    plan, engine = document["plan"], document["engine"]
    for told in document["problems"].values():
        objective_of(told)
        clean(told["fingerprint"])
    for one in plan["strategies"]:
        clean(one["name"])
    for text in (plan["outcome"], engine["version"], engine["source"], machine_name(document["machine"])):
        clean(text)
    if not (set(plan["seeds"]) and dict(plan["budget"])):
        raise ValueError("no seeds, or no budget")
    return _runs(document)


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{number(amount)} {name}" for name, amount in value.items())
    return str(value)


@dataclass(frozen=True, slots=True)
class Against:
    """What came of the comparison.

    Args:
        questions: whether this version is better than that one, by problem and strategy.
        sentences: which version is which, and what is said of each question.
        worse: whether any search has become worse beyond its interval.
    """

    questions: tuple[Question, ...]
    sentences: tuple[str, ...]
    worse: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        told = [{**one.as_dict(), "sentence": _worded(one)} for one in self.questions]
        return {"worse": self.worse, "sentences": list(self.sentences), "questions": told}


def held_against(document: Mapping[str, Any], other: Other) -> Against:
    """Compare a study with an earlier one.

    Args:
        document: of this study.
        other: checked by `Other.expect`.
    """
    now, then = _runs(document), other.runs
    outcome = document["plan"]["outcome"]
    pairs, skipped = [], []
    for (label, strategy), runs in now.items():
        before = then[label, strategy]
        try:
            gains = paired_gains(runs, before, objective_of(document["problems"][label]), outcome)
        except KeyError:
            skipped.append(label)
            continue
        pairs.append((label, strategy, strategy, gains))
    questions = tuple(asked(pairs, outcome))
    worse = [one for one in questions if _is_worse(one)]
    sentences = [*_which(document, other), *_equal(document, other, now, then)]
    sentences += [f"{label} has no {outcome} cases and is not compared" for label in dict.fromkeys(skipped)]
    few = too_few(min((one.found.pairs for one in questions), default=0), len(questions))
    sentences += [few] if few else []
    sentences += [_worded(one) for one in questions]
    verdict = (
        f"the search has become worse: {', '.join(f'{one.first} on {one.problem}' for one in worse)}."
        if worse
        else "no search has become worse beyond its interval."
    )
    return Against(questions, (*sentences, verdict), bool(worse))


def _runs(document: Mapping[str, Any]) -> Runs:
    found: dict[tuple[str, str], dict[int, Outcome]] = {}
    for one in document["runs"]:
        found.setdefault((one["problem"], one["strategy"]), {})[one["seed"]] = Outcome.of(one)
    return found


def _is_worse(one: Question) -> bool:
    """Both, as an interval of few seeds is too narrow, and a test alone says nothing of how much."""
    found = one.found
    high = found.mean_high if found.mean_high is not None else found.median_high
    return one.verdict == "worse" and (high is None or high < 0)


def _which(document: Mapping[str, Any], other: Other) -> list[str]:
    told = []
    for name, one in (("this version", document), ("that version", other.document)):
        engine = one["engine"]
        where = "" if one is document else f", {other.path}"
        source, machine = engine["source"][:15], machine_name(one["machine"])
        told.append(clean(f"{name}: evolve {engine['version']}, source {source}, on {machine}{where}."))
    if "cpu_seconds" in document["plan"]["budget"] and document["machine"] != other.document["machine"]:
        told.append(
            "The machines differ, and so does what a CPU second is worth: a difference may be the machine's."
        )
    return told


def _equal(
    document: Mapping[str, Any],
    other: Other,
    now: Runs,
    then: Runs,
) -> list[str]:
    both = [(key, seed) for key, runs in now.items() for seed in runs.keys() & then.get(key, {}).keys()]
    equal = sum(now[key][seed].content == then[key][seed].content for key, seed in both)
    told = f"{equal} of {len(both)} pairs of runs are equal to the last bit."
    if document["engine"]["source"] != other.document["engine"]["source"]:
        return [told]
    same = "Both are the same source: what differs is not the engine's doing"
    return [f"{same}. {told}"]


def _worded(one: Question) -> str:
    found = one.found
    seeds = f"better on {found.wins} of {found.pairs} seeds, worse on {found.losses}"
    by = f"mean gain {gained(found.mean, '')} [{gained(found.mean_low, '')}, {gained(found.mean_high, '')}]"
    told = {
        "better": "is better than it was",
        "worse": "is worse than it was",
        "equal": "finds as good as it did",
        "not settled": "is not known to have changed",
    }[one.verdict]
    if one.verdict == "equal":
        return f"{one.first} on {one.problem} {told}, on each of {found.pairs} seeds."
    return f"{one.first} on {one.problem} {told}: {seeds}; {by}; p = {one.p_adjusted:.2g} after correction."
