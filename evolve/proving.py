"""The judge's part of a verification: new cases, certificates, a plain simulation, a hunt for wrong answers.

Every program is run jailed here, also one that a search has interpreted.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from evolve.certificate import Certificate
from evolve.programs_db.records import Status
from evolve.scoring import Scored, Scorer, Stopped
from evolve.sessions import Session
from evolve.statement import Case, Problem

__all__ = ["AGREE", "Proof", "VerifyOrder", "agree", "fresh_cases", "prove"]

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
    """

    certificates: Mapping[str, Certificate] = field(default_factory=dict)
    plain: Mapping[str, str] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)
    counterexample: str = ""
    kept: str = ""
    failed: str = ""


def agree(one: float, other: float) -> bool:
    """Whether two floats are the same figure, up to rounding."""
    return math.isclose(one, other, rel_tol=AGREE, abs_tol=1e-12)


def fresh_cases(problem: Problem, seed: int) -> Sequence[Case]:
    """New cases, drawn with a seed.

    Raises:
        Stopped: the problem's `fresh` fails.
    """
    assert problem.fresh is not None
    try:
        cases = list(problem.fresh(np.random.default_rng(seed)))
    except Exception as error:  # noqa: BLE001 - it is the problem's own code
        raise Stopped(Status.UNSCORABLE, f"fresh raised {type(error).__name__}: {error}") from None
    if not cases or not all(isinstance(case, Case) for case in cases):
        raise Stopped(Status.UNSCORABLE, "fresh must give a list of one Case or more")
    return cases


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
                made = scorer.trusted("certify", problem.certify, scored.outcomes[case.name], case)
                if not isinstance(made, Certificate):
                    told = f"case {case.name}: certify returned {type(made).__name__}, not a Certificate"
                    raise Stopped(Status.UNSCORABLE, told)
                certificates[case.name] = made
            if problem.plain is not None:
                outcome = scorer.outcome(session, case, tables, problem.plain)
                plain[case.name] = _difference(scored.scores[case.name], scorer.score(outcome, case))
    return Proof(certificates, plain)


def _difference(fast: Mapping[str, float], plain: Mapping[str, float]) -> str:
    """What of the numbers of a case is another one when it is simulated plainly."""
    told = [
        f"{name} is {plain.get(name)} and not {value}"
        for name, value in fast.items()
        if name not in plain or not agree(value, plain[name])
    ]
    return "; ".join(told)
