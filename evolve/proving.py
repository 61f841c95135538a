"""The judge's part of a verification: new cases, certificates, a plain simulation, a hunt for wrong answers.

Every program is run jailed here, also one that a search has interpreted.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evolve.certificate import Certificate, sound
from evolve.fastcore.wire import WireError, encode
from evolve.fingerprint import digest
from evolve.programs_db.records import Status
from evolve.scoring import Scored, Scorer, Stopped
from evolve.sessions import Session
from evolve.statement import Case, Problem

__all__ = ["AGREE", "Proof", "VerifyOrder", "agree", "fresh_cases", "mark_of", "prove"]

AGREE = 1e-9
"""Relative difference up to which two floats, reached in two ways, are the same figure."""


@dataclass(frozen=True, slots=True)
class VerifyOrder:
    """Ask for a part of a verification.

    Args:
        fresh: seed of new cases, which take the place of the suite's; None for the suite's own.
        prove: make a certificate for each case, and simulate it plainly as well.
        examples: how many cases to draw from the problem's strategy; a wrong answer is shrunk.
        seed: of those.
        known: cases that were answered wrong before, as `Hunt.kept` has them.
    """

    fresh: int | None = None
    prove: bool = False
    examples: int = 0
    seed: int = 0
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proof:
    """What was established beside the score; plain data.

    Args:
        certificates: by case.
        plain: by case, how the plain simulation differs; "" where it does not.
        wrong: what a hunt found, by kind of case.
        counterexample: the simplest inputs that are answered wrong, for people.
        kept: the same, for a later hunt.
        failed: why something could not be established: the problem's own functions failed.
        mark: of the cases, where they were drawn afresh, see `mark_of`.
    """

    certificates: Mapping[str, Certificate] = field(default_factory=dict)
    plain: Mapping[str, str] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)
    counterexample: str = ""
    kept: str = ""
    failed: str = ""
    mark: str = ""


def agree(one: float, other: float) -> bool:
    """Whether two floats are the same figure, up to rounding."""
    return math.isclose(one, other, rel_tol=AGREE, abs_tol=1e-12)


def fresh_cases(scorer: Scorer, seed: int) -> Sequence[Case]:
    """New cases, drawn with a seed.

    Raises:
        Stopped: the problem's `fresh` fails, takes too long, or draws what are no cases of the problem.
    """
    problem = scorer.problem

    def drawn(rng: np.random.Generator, _: Case) -> list[Case]:
        assert problem.fresh is not None
        return list(problem.fresh(rng))

    with scorer.watching():
        cases: list[Case] = scorer.trusted("fresh", drawn, np.random.default_rng(seed), Case("new"))
    for wrong, mend in _mistakes(problem, cases):
        if wrong:
            raise Stopped(Status.UNSCORABLE, f"fresh must give {mend}")
    return cases


def _mistakes(problem: Problem, cases: list[Case]) -> Iterator[tuple[bool, str]]:
    yield not cases or not all(isinstance(case, Case) for case in cases), "a list of one Case or more"
    names = [case.name for case in cases]
    staged = {name for stage in problem.stages for name in stage.cases}
    yield not all(isinstance(name, str) for name in names), "each case a name"
    yield len(set(names)) != len(names), "each case a name of its own"
    yield bool(staged & set(names)), "its cases other names than those of a stage, whose gate is for training"
    if problem.form == "call":
        yield not all(_plain(case.inputs) for case in cases), "cases whose inputs are plain data"
        return
    yield any(case.inputs for case in cases), f"no inputs: form {problem.form!r} gives a program no case"
    grids = problem.grids()
    yield any(case.grid not in grids for case in cases if case.grid), f"cases on the grids {', '.join(grids)}"


def _plain(inputs: object) -> bool:
    try:
        encode(inputs)
    except WireError:
        return False
    return True


def mark_of(cases: Sequence[Case]) -> str:
    """A hash of what cases ask, whatever they are called; "" where they hold something that has none."""
    try:
        return digest([(case.inputs, case.hidden, case.grid) for case in cases])
    except Exception:  # noqa: BLE001 - `hidden` may be any object, also one that cannot be written
        return ""


def prove(scorer: Scorer, session: Session, cases: Sequence[Case], scored: Scored) -> Proof:
    """Certify what a program has answered, and simulate it plainly.

    Args:
        scorer: of the problem.
        session: the running program.
        cases: those that were scored, without repeats.
        scored: what came of it; its outcomes are certified.

    Raises:
        Failure: the program fails when it is asked again.
        Stopped: the problem's functions fail, or reject what they scored before.
    """
    problem = scorer.problem
    certificates: dict[str, Certificate] = {}
    plain: dict[str, str] = {}
    tables: dict[str, object] = {}
    with scorer.watching():
        for case in (one for each in cases for one in scorer.repeated(each)):
            if problem.certify is not None:
                outcome = scored.outcomes[case.name]
                certificates[case.name] = scorer.trusted(
                    "certify", _certificate, problem.certify, outcome, case
                )
            if problem.plain is not None:
                outcome = scorer.outcome(session, case, tables, problem.plain)
                plain[case.name] = _difference(scored.scores[case.name], scorer.score(outcome, case))
    return Proof(certificates, plain)


def _certificate(certify: Callable[[Any, Case], Any], outcome: Any, case: Case) -> Certificate:
    return sound(certify(outcome, case))


def _difference(fast: Mapping[str, float], plain: Mapping[str, float]) -> str:
    """What of the numbers of a case is another one when it is simulated plainly."""
    told = [
        f"{name} is {plain.get(name)} and not {value}"
        for name, value in fast.items()
        if name not in plain or not agree(value, plain[name])
    ]
    return "; ".join(told)
