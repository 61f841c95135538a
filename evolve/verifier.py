"""Verifies a claim: runs a program again, by other means than the search did, and says what holds.

Knows problems and jobs; knows no ledger. What it finds selects nothing: it flows back into no search.
"""

import asyncio
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from statistics import fmean
from typing import Any

from evolve import __version__
from evolve.confirmation import Confirmation, ConfirmOrder
from evolve.evaluator import Evaluator, Job, Judged
from evolve.fastcore.stats import order_interval
from evolve.programs_db.records import Status
from evolve.proving import Proof, VerifyOrder, agree
from evolve.statement import Problem

__all__ = ["VERIFIER", "Claim", "Finding", "Rules", "Verdict", "verify"]

VERIFIER = f"evolve {__version__}"
_CONFIDENCE = 0.95
_PAIRS = 200


@dataclass(frozen=True, slots=True)
class Claim:
    """What is to be verified.

    Args:
        source: of the program.
        value: the objective on the training cases, as recorded; None if nothing was.
        seed_value: the same of the seed program: who is no better claims nothing by it.
    """

    source: str
    value: float | None
    seed_value: float | None = None


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
    if problem.certify is not None:  # a construction holds, whatever its program makes of other sizes
        against = [one for one in against if one.name not in ("unseen", "fresh")]
    if against:
        return "refuted", against[0].words
    held = {one.name: one for one in findings if one.holds}
    if "certificate" in held:
        return "certified", held["certificate"].words
    for name in ("timing", "fresh"):
        if name in held:
            return "confirmed", held[name].words
    deciding = ("rerun", "timing", "fresh")
    left = [one for one in findings if one.holds is None and one.name in deciding]
    if left:
        return "unverified", left[0].words
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
        return list(await asyncio.gather(*(self.evaluator.evaluate(job) for job in jobs)))

    def _rerun(self, judged: Judged) -> Finding:
        evaluation, known = judged.evaluation, self.claim.value
        data = {"value": evaluation.objective, "recorded": known}
        if evaluation.status is not Status.OK:
            told = f"{evaluation.status}: {evaluation.message}"
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
            if not _worth(one.value, scored):
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
        if proof.failed:
            return [Finding("properties", None, proof.failed)]
        if proof.wrong:
            told = f"{next(iter(proof.wrong.values()))}; the smallest such case: {proof.counterexample}"
            kept = {"counterexample": proof.counterexample, "kept": proof.kept}
            return [Finding("properties", False, told, kept)]
        return [Finding("properties", True, f"right on {self.rules.examples} cases that were drawn afresh")]

    async def _unseen(self) -> list[Finding]:
        suites = list(self.problem.unseen)
        if not suites:
            return []
        judged = await self._judged(Job(self.claim.source, suite, verify=VerifyOrder()) for suite in suites)
        values: dict[str, float | None] = {}
        failures: dict[str, str] = {}
        for suite, one in zip(suites, judged, strict=True):
            values[suite] = one.evaluation.objective
            if one.evaluation.status is not Status.OK:
                failures[suite] = f"{one.evaluation.status}: {one.evaluation.message}"
        data = {"values": values, **({"failures": failures} if failures else {})}
        if failures:
            suite, why = next(iter(failures.items()))
            return [Finding("unseen", _blamed(why), f"on unseen cases, {suite}: {why}", data)]
        return [Finding("unseen", None, f"it scores on all {len(suites)} suites of unseen cases", data)]

    async def _fresh(self) -> list[Finding]:
        """New cases, drawn with seeds that did not exist before, beside the seed program and the baselines."""
        problem, rules, value = self.problem, self.rules, self.claim.value
        if problem.fresh is None and problem.repeats < 2:
            return []
        others = {"seed program": problem.block, **problem.baselines}
        values = {"": await self._drawn(self.claim.source)}
        for name, source in others.items():
            values[name] = await self._drawn(source)
        wrong = next((one for one in values[""] if isinstance(one, str)), None)
        if wrong is not None:
            return [Finding("fresh", _blamed(wrong), f"on fresh cases: {wrong}", {"draws": rules.draws})]
        mine = [one for one in values[""] if isinstance(one, float)]
        against = {
            name: _gain(problem, mine, theirs) for name, theirs in values.items() if name and _all(theirs)
        }
        data = {
            "draws": rules.draws,
            "mean": fmean(mine),
            "lowest": min(mine),
            "highest": max(mine),
            "against": against,
            "lucky": value is not None and all(problem.objective.better(value, one) for one in mine),
        }
        return [_fresh_finding(problem, self.claim, data)]

    async def _drawn(self, source: str) -> list[float | str]:
        """The objective for each draw, or what went wrong."""
        jobs = []
        for draw in range(self.rules.draws):
            seed = (self.rules.seed + draw) % 2**63
            order = VerifyOrder(fresh=seed if self.problem.fresh is not None else None)
            jobs.append(Job(source, round=2 + draw if self.problem.fresh is None else 0, verify=order))
        return [
            f"{one.evaluation.status}: {one.evaluation.message}"
            if one.evaluation.objective is None
            else one.evaluation.objective
            for one in await self._judged(jobs)
        ]


def _blamed(failure: str) -> bool | None:
    """False where the program has failed; None where the problem's own functions have."""
    return None if failure.startswith(f"{Status.UNSCORABLE}:") else False


def _all(values: Sequence[float | str]) -> bool:
    return all(isinstance(value, float) for value in values)


def _worth(certified: str, scored: float) -> bool:
    """Whether an exact value is what `score` says, up to the rounding of its float."""
    try:
        return agree(float(Fraction(certified)), scored)
    except (ValueError, ZeroDivisionError, OverflowError):
        return False


def _gain(problem: Problem, mine: Sequence[float], theirs: Sequence[Any]) -> dict[str, Any]:
    """By how much a program is better than another on the same draws.

    The interval holds the median of the paired differences, whatever their distribution: order statistics, see
    `fastcore.stats.order_interval`.
    """
    sign = 1.0 if problem.objective.direction == "max" else -1.0
    gains = [sign * (one - other) for one, other in zip(mine, theirs, strict=True)]
    low, high = order_interval(gains, _CONFIDENCE)
    return {"mean": fmean(theirs), "gain": fmean(gains), "low": low, "high": high, "better": low > 0.0}


def _fresh_finding(problem: Problem, claim: Claim, data: Mapping[str, Any]) -> Finding:
    seed = data["against"].get("seed program")
    told = (
        f"on {data['draws']} fresh draws {problem.objective.name} is {data['mean']:.6g} "
        f"({data['lowest']:.6g} to {data['highest']:.6g})"
    )
    if data["lucky"]:
        told += f", always worse than on the training cases ({claim.value:.6g})"
    if seed is None:
        return Finding("fresh", None, f"{told}; the seed program does not score there", data)
    told += (
        f", that of the seed program {seed['mean']:.6g}: better by {seed['gain']:.4g} "
        f"[{seed['low']:.4g}, {seed['high']:.4g}]"
    )
    if seed["better"]:
        return Finding("fresh", True, told, data)
    if seed["high"] < 0.0:
        claimed = claim.value is not None and claim.seed_value is not None
        claimed = claimed and problem.objective.better(claim.value or 0.0, claim.seed_value or 0.0)
        return Finding("fresh", False if claimed else None, f"{told}, so it is worse", data)
    return Finding("fresh", None, f"{told}, which settles nothing", data)


def _raced(claim: Claim, found: Confirmation, value: float | None) -> Finding:
    """What a confirmation of a speed says."""
    data = {**found.as_dict(), "value": value}
    if found.failed:
        return Finding("timing", None, found.failed, data)
    if found.wrong:
        kind, why = next(iter(found.wrong.items()))
        told = f"{kind}: {why}"
        if found.counterexample:
            told += f"; the smallest such case: {found.counterexample}"
        return Finding("timing", False, told, data)
    result = found.result or {}
    high = "?" if result["high"] is None else f"{result['high']:.3f}"
    told = (
        f"{result['verdict']}: {result['speedup']:.3f}x [{result['low']:.3f}, {high}] of {result['baseline']} "
        f"on {result['pairs']} pairs of fresh inputs"
    )
    claimed = claim.value is not None and claim.value > 1.0
    holds = {"faster": True, "slower": False if claimed else None}.get(result["verdict"])
    return Finding("timing", holds, told, data)
