"""Verifies a claim: runs a program again, by other means than the search did, and says what holds.

Knows problems and jobs; knows no ledger. What it finds selects nothing: it flows back into no search.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evolve import __version__
from evolve.certificate import rounded
from evolve.confirmation import Confirmation, ConfirmOrder
from evolve.draws import flaw_of, told_of_draws
from evolve.errors import UsageError
from evolve.evaluator import Evaluator, Job, Judged
from evolve.programs_db.records import Status
from evolve.proving import Proof, VerifyOrder, agree, mark_of
from evolve.statement import Problem

__all__ = ["VERIFIER", "Claim", "Finding", "Rules", "Verdict", "verify"]

VERIFIER = f"evolve {__version__}"
_ELSEWHERE = ("properties", "unseen", "fresh")
"""Checks on other cases than those of the claim."""
_SHOWN = 6  # suites of unseen cases in a sentence
_PAIRS = 200


@dataclass(frozen=True, slots=True)
class Claim:
    """What is to be verified.

    Args:
        source: of the program.
        value: the objective on the training cases, as recorded; None if nothing was.
        seed_value: the same of the seed program: who is no better claims nothing by it.
        seed_unseen: its objective on each suite of unseen cases, where somebody knows; else it is scored.
    """

    source: str
    value: float | None
    seed_value: float | None = None
    seed_unseen: Mapping[str, float | None] | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """How thoroughly.

    Args:
        seed: of all that is drawn afresh; it is recorded.
        draws: how often new cases are drawn.
        examples: how many cases are drawn from the problem's strategy.
        known: cases that were answered wrong before, see `Hunt.kept`.
    """

    seed: int = field(default_factory=lambda: secrets.randbits(62))
    draws: int = 20
    examples: int = 200
    known: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.draws < 6:
            raise UsageError(f"draws is {self.draws}: at least 6; with fewer no interval holds anything")
        if self.examples < 1 or not 0 <= self.seed < 2**63:
            raise UsageError("examples must be at least 1, and seed a number from 0 to 2**63 - 1")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Args:
        name: "rerun", "certificate", "plain", "unseen", "fresh", "properties" or "timing".
        holds: None where it decides nothing.
        words: one sentence; may hold text that a program wrote.
        data: figures behind it, plain data.
    """

    name: str
    holds: bool | None
    words: str
    data: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As in the ledger and in documents."""
        return {"name": self.name, "holds": self.holds, "words": self.words, **self.data}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a claim is worth.

    Args:
        verdict: "certified" (an exact certificate holds), "confirmed" (it holds on cases that nobody has seen),
            "refuted", or "unverified" (nothing speaks against it, and not enough for it).
        why: one sentence.
        findings: of each check that was made.
        seed: of what was drawn afresh.
        seconds: that it took.
    """

    verdict: str
    why: str
    findings: tuple[Finding, ...]
    seed: int
    seconds: float

    def evidence(self) -> dict[str, Any]:
        """Plain data, for the ledger."""
        findings = [finding.as_dict() for finding in self.findings]
        return {"why": self.why, "seed": self.seed, "findings": findings}


async def verify(evaluator: Evaluator, problem: Problem, claim: Claim, rules: Rules | None = None) -> Verdict:
    """Verify what a program is said to be worth.

    Args:
        evaluator: started.
        problem: the problem.
        claim: the program, and its value.
        rules: how thoroughly.

    Raises:
        InfrastructureError: no worker can be kept alive.
    """
    rules = rules or Rules()
    began = time.monotonic()
    work = _Verification(evaluator, problem, claim, rules)
    findings = tuple(await (work.timed() if problem.speed else work.scored()))
    verdict, why = _concluded(problem, claim, findings)
    return Verdict(verdict, why, findings, rules.seed, round(time.monotonic() - began, 3))


def _concluded(problem: Problem, claim: Claim, findings: Sequence[Finding]) -> tuple[str, str]:
    against = [one for one in findings if one.holds is False]
    held = {one.name: one for one in findings if one.holds}
    but = ""
    if problem.certify is not None:  # a construction holds, whatever its program makes of other sizes
        elsewhere = [one for one in against if one.name in _ELSEWHERE]
        against = [one for one in against if one not in elsewhere]
        but = f"; its program is not a general one: {elsewhere[0].words}" if elsewhere else ""
    if against:
        return "refuted", against[0].words
    if "certificate" in held:
        return "certified", f"{held['certificate'].words}{but}"
    left = [one for one in findings if one.holds is None and (one.name != "unseen" or "failures" in one.data)]
    if left:  # what was to be checked and could not be leaves the claim open, whatever else holds
        return "unverified", left[0].words
    worse = [suite for one in findings if one.name == "unseen" for suite in one.data.get("worse", ())]
    but = f"; but on unseen {', '.join(worse)} it is worse than the seed program" if worse else ""
    for name in ("timing", "fresh"):
        if name in held:
            return "confirmed", f"{held[name].words}{but}"
    if claim.source == problem.block:
        return "unverified", "it is the seed program"
    return "unverified", "the problem has neither a certificate nor fresh cases to hold it against"


class _Verification:
    """The checks of one claim."""

    def __init__(self, evaluator: Evaluator, problem: Problem, claim: Claim, rules: Rules) -> None:
        self.evaluator = evaluator
        self.problem = problem
        self.claim = claim
        self.rules = rules

    async def scored(self) -> list[Finding]:
        """Where the objective is a number that `score` gives."""
        rules = self.rules
        order = VerifyOrder(None, True, rules.examples, rules.seed, rules.known)
        (again,) = await self._judged([Job(self.claim.source, verify=order)])
        findings = [self._rerun(again)]
        proof = again.proof or Proof()
        if again.evaluation.status is Status.OK:
            findings += [*self._certificates(again, proof), *self._plainly(proof)]
        findings += self._properties(proof)
        findings += await self._unseen()
        findings += await self._fresh()
        return findings

    async def timed(self) -> list[Finding]:
        """Where the objective is speed: pairs on fresh inputs, and a hunt for wrong answers."""
        rules = self.rules
        order = ConfirmOrder(rules.seed, _PAIRS, rules.examples)
        (judged,) = await self._judged([Job(self.claim.source, confirm=order)])
        assert judged.confirmation is not None
        return [_raced(self.claim, judged.confirmation, judged.evaluation.objective)]

    async def _judged(self, jobs: Iterable[Job]) -> list[Judged]:
        """Judge programs; one that was too slow is asked once more, by itself: the machine may have been busy."""
        jobs = list(jobs)
        judged = list(await asyncio.gather(*(self.evaluator.evaluate(job) for job in jobs)))
        for place, job in enumerate(jobs):
            if judged[place].evaluation.status is Status.TIMEOUT and job.confirm is None:
                judged[place] = await self.evaluator.evaluate(job)
                if judged[place].evaluation.status is Status.TIMEOUT:
                    break  # it is slow
        return judged

    def _rerun(self, judged: Judged) -> Finding:
        evaluation, known = judged.evaluation, self.claim.value
        data = {"value": evaluation.objective, "recorded": known}
        if evaluation.status is not Status.OK:
            told = f"{evaluation.status}: {evaluation.message}"
            if (
                evaluation.status is Status.TIMEOUT and known is not None
            ):  # it was in time once: no rule is broken
                return Finding(
                    "rerun", None, f"run again, twice, it ends as {told}; is the machine busy?", data
                )
            return Finding("rerun", _blamed(told), f"run again, it ends as {told}", data)
        assert evaluation.objective is not None
        if self.problem.repeats > 1:
            return Finding("rerun", True, f"run again, jailed, it scores {evaluation.objective:.9g}", data)
        same = known is None or agree(evaluation.objective, known)
        told = f"run again, jailed, it scores {evaluation.objective:.9g}"
        return Finding("rerun", same, told if same else f"{told}, not {known:.9g} as recorded", data)

    def _certificates(self, judged: Judged, proof: Proof) -> list[Finding]:
        if self.problem.certify is None:
            return []
        name = self.problem.objective.name
        data = {
            "certificates": {
                case: {
                    "valid": one.valid,
                    "value": one.value,
                    "statement": one.statement,
                    "data": dict(one.data),
                }
                for case, one in proof.certificates.items()
            }
        }
        for case, one in proof.certificates.items():
            if not one.valid:
                return [Finding("certificate", False, f"case {case}: {one.statement}", data)]
            scored = judged.evaluation.scores[case][name]
            if not agree(rounded(one.value), scored):
                told = f"case {case}: score says {scored!r}, the certificate {one.value}"
                return [Finding("certificate", False, told, data)]
        statements = [one.statement for one in proof.certificates.values()]
        more = f" (and {len(statements) - 1} more)" if len(statements) > 1 else ""
        return [Finding("certificate", True, statements[0] + more, data)] if statements else []

    def _plainly(self, proof: Proof) -> list[Finding]:
        if self.problem.plain is None:
            return []
        wrong = {case: why for case, why in proof.plain.items() if why}
        if wrong:
            case, why = next(iter(wrong.items()))
            return [Finding("plain", False, f"simulated plainly, case {case}: {why}", {"cases": wrong})]
        told = f"simulated plainly, all {len(proof.plain)} cases score the same"
        return [Finding("plain", True, told)]

    def _properties(self, proof: Proof) -> list[Finding]:
        if self.problem.strategy is None and not self.rules.known:
            return []
        if proof.wrong:
            told = f"{next(iter(proof.wrong.values()))}; the smallest such case: {proof.counterexample}"
            kept = {"counterexample": proof.counterexample, "kept": proof.kept}
            return [Finding("properties", False, told, kept)]
        if proof.failed:
            return [Finding("properties", None, proof.failed)]
        return [Finding("properties", True, f"right on {self.rules.examples} cases that were drawn afresh")]

    async def _unseen(self) -> list[Finding]:
        suites = list(self.problem.unseen)
        if not suites:
            return []
        values, failures = await self._on_suites(self.claim.source)
        data: dict[str, Any] = {"values": values, **({"failures": failures} if failures else {})}
        if failures:
            suite, why = next(iter(failures.items()))
            return [Finding("unseen", _blamed(why), f"on unseen cases, {suite}: {why}", data)]
        objective, seeds = self.problem.objective, self.claim.seed_unseen
        if seeds is None:
            block = self.problem.block
            seeds = values if self.claim.source == block else (await self._on_suites(block))[0]
        data["seed_program"] = dict(seeds)
        data["worse"] = [
            suite
            for suite, value in values.items()
            if value is not None and (seed := seeds[suite]) is not None and objective.better(seed, value)
        ]
        told = [f"{suite} {values[suite]:.5g} ({_seed_told(seeds[suite])})" for suite in suites[:_SHOWN]]
        more = f" and {len(suites) - _SHOWN} more" if len(suites) > _SHOWN else ""
        worse = f"; worse than the seed program on {', '.join(data['worse'])}" if data["worse"] else ""
        return [Finding("unseen", None, f"on unseen cases: {', '.join(told)}{more}{worse}", data)]

    async def _on_suites(self, source: str) -> tuple[dict[str, float | None], dict[str, str]]:
        """Objective on each suite of unseen cases, and what went wrong where something did."""
        suites = list(self.problem.unseen)
        judged = await self._judged(Job(source, suite, verify=VerifyOrder()) for suite in suites)
        values: dict[str, float | None] = {}
        failures: dict[str, str] = {}
        for suite, one in zip(suites, judged, strict=True):
            values[suite] = one.evaluation.objective
            if one.evaluation.status is not Status.OK:
                failures[suite] = f"{one.evaluation.status}: {one.evaluation.message}"
        return values, failures

    async def _fresh(self) -> list[Finding]:
        """New cases, drawn with seeds that did not exist before, beside the seed program and the baselines."""
        problem, claim = self.problem, self.claim
        if problem.fresh is None and problem.repeats < 2:
            return []
        if claim.source == problem.block:
            return [Finding("fresh", None, "it is the seed program, which fresh cases are compared with")]
        order, *orders = self._orders()
        (first,) = await self._judged([order(claim.source)])
        if _blamed(told := _told(first)) is None:  # nor would it score others
            return [Finding("fresh", None, f"on fresh cases: {told}", {"draws": self.rules.draws})]
        judged = [first, *await self._judged([one(claim.source) for one in orders])]
        values = {"": [_told(one) for one in judged]}
        for name, source in {"seed program": problem.block, **problem.baselines}.items():
            values[name] = [
                _told(one) for one in await self._judged([one(source) for one in (order, *orders)])
            ]
        marks = [one.proof.mark for one in judged if one.proof and one.proof.mark]
        holds, words, data = told_of_draws(problem, claim.value, claim.seed_value, values)
        if holds is not None and (flaw := flaw_of(marks, mark_of(problem.cases))):
            holds, words = None, f"{words}; but {flaw}"
        return [Finding("fresh", holds, words, {"draws": self.rules.draws, **data})]

    def _orders(self) -> list[Callable[[str], Job]]:
        """What to ask for each draw: new cases, or, where there is none to draw them, new seeds for the repeats."""
        seed, problem = self.rules.seed, self.problem
        first = 2 + seed % (2**30 // problem.repeats)  # of the rounds; seeds stay within 32 bits

        def order(draw: int) -> Callable[[str], Job]:
            if problem.fresh is None:
                return lambda source: Job(source, round=first + draw, verify=VerifyOrder())
            return lambda source: Job(source, verify=VerifyOrder(fresh=(seed + draw) % 2**63))

        return [order(draw) for draw in range(self.rules.draws)]


def _seed_told(value: float | None) -> str:
    return "the seed program fails" if value is None else f"seed program {value:.5g}"


def _told(judged: Judged) -> float | str:
    """The objective, or what went wrong."""
    evaluation = judged.evaluation
    return (
        f"{evaluation.status}: {evaluation.message}" if evaluation.objective is None else evaluation.objective
    )


def _blamed(failure: float | str) -> bool | None:
    """False where the program has failed; None where the problem's own functions have; True where nothing has."""
    if not isinstance(failure, str):
        return True
    return None if failure.startswith(f"{Status.UNSCORABLE}:") else False


def _raced(claim: Claim, found: Confirmation, value: float | None) -> Finding:
    """What a confirmation of a speed says."""
    data = {**found.as_dict(), "value": value}
    if found.wrong:
        kind, why = next(iter(found.wrong.items()))
        told = f"{kind}: {why}"
        if found.counterexample:
            told += f"; the smallest such case: {found.counterexample}"
        return Finding("timing", False, told, data)
    if found.failed:
        return Finding("timing", None, found.failed, data)
    result = found.result or {}
    high = "?" if result["high"] is None else f"{result['high']:.3f}"
    told = (
        f"{result['verdict']}: {result['speedup']:.3f}x [{result['low']:.3f}, {high}] of {result['baseline']} "
        f"on {result['pairs']} pairs of fresh inputs"
    )
    claimed = claim.value is not None and claim.value > 1.0
    holds = {"faster": True, "slower": False if claimed else None}.get(result["verdict"])
    return Finding("timing", holds, told, data)
