"""Verifies a program of a ledger, and writes down what came of it; reads no more of the ledger than that takes."""

from dataclasses import dataclass, replace
from pathlib import Path

from evolve.errors import EvolveError
from evolve.evaluator import Evaluator
from evolve.options import Options
from evolve.origin import problem_unchanged
from evolve.programs_db.claims import Ruling
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.lineage import top
from evolve.programs_db.reading import Reading
from evolve.summary import objective_of, seed_value
from evolve.verifier import VERIFIER, Claim, Rules, Verdict, verify
from evolve.waiting import wait

__all__ = ["NothingFound", "Ruled", "best_of", "rule"]


class NothingFound(EvolveError):  # noqa: N818 - what there is to say
    """The run has no valid program."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Ruled:
    """What came of a verification.

    Args:
        program: its id.
        value: as recorded.
        verdict: of now.
        before: what was said last of it, under the same fingerprint; None if nothing was.
    """

    program: str
    value: float | None
    verdict: Verdict
    before: Ruling | None


def best_of(book: Reading) -> str:
    """Id of the best program.

    Raises:
        NothingFound: no program has a score.
    """
    found = top(book, objective_of(book), 1, book.fingerprint)
    if not found:
        raise NothingFound(f"{book.path}: no program of this run has a score, so there is nothing to verify")
    return found[0].program


def rule(
    ledger: str | Path, program: str = "", rules: Rules | None = None, options: Options | None = None
) -> Ruled:
    """Verify one program of a ledger, and record the verdict.

    Args:
        ledger: of a run that no other process writes.
        program: its id; the best by default.
        rules: how thoroughly; what was answered wrong in earlier verifications is asked again in any case.
        options: workers, and whether they may run programs without a jail.

    Raises:
        LedgerMismatch: the problem has changed since.
        NothingFound: no program has a score.
        UsageError, LedgerError, InfrastructureError: as `run`.
    """
    options = options or Options()
    with Ledger.open(ledger) as book:
        problem = problem_unchanged(book)
        program = program or best_of(book)
        said = [one for one in book.rulings(program) if one.fingerprint == book.fingerprint]
        rows = book.query(
            "SELECT objective FROM evaluations WHERE program = :id AND fingerprint = :mark ORDER BY id DESC LIMIT 1",
            {"id": program, "mark": book.fingerprint},
        )
        claim = Claim(book.program(program).source, rows[0]["objective"] if rows else None, seed_value(book))
        rules = replace(rules or Rules(), known=_kept(book))

        async def judged() -> Verdict:
            async with Evaluator(problem, options.workers, options.unsafe) as evaluator:
                return await verify(evaluator, problem, claim, rules)

        verdict = wait(judged())
        mark = book.fingerprint
        evidence = verdict.evidence()
        book.record_ruling(Ruling(program, mark, VERIFIER, verdict.verdict, evidence, verdict.seconds))
        return Ruled(program, claim.value, verdict, said[-1] if said else None)


def _kept(book: Reading) -> tuple[str, ...]:
    """Cases that programs of this run were found to answer wrong, in the order of their finding.

    Only those of the problem as it is: before it was changed, it may have had other cases.
    """
    mark = book.fingerprint
    found = [
        finding["kept"]
        for one in book.rulings()
        if one.fingerprint == mark
        for finding in one.evidence["findings"]
        if finding.get("kept")
    ]
    return tuple(dict.fromkeys(found))
