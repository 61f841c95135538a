"""Who is compared: programs of a ledger, the problem's baselines, the seed program, and the reference among them.

Reads ledgers; runs nothing.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evolve.bench.compare.records import Contender, Plan, Rules
from evolve.errors import UsageError
from evolve.handle import Run
from evolve.named import named
from evolve.origin import problem_unchanged
from evolve.programs_db.ledger import Ledger
from evolve.rulings import best_of
from evolve.source import text_hash
from evolve.statement import Problem
from evolve.text import clean

__all__ = ["Wanted", "planned", "title_of"]

SEED = "seed"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants compared.

    Args:
        programs: ids of programs, beginnings of them, or numbers of proposals.
        islands: whether the best of each island is wanted too.
        reference: name of a baseline, or "seed"; "" for the baseline that the problem names first.
        seed: of what is drawn; a new one if None.
        rules: how thoroughly.
        unsafe: run programs without a jail where this machine gives none.
    """

    programs: Sequence[str] = ()
    islands: bool = False
    reference: str = ""
    seed: int | None = None
    rules: Rules = field(default_factory=Rules)
    unsafe: bool = False

    def __post_init__(self) -> None:
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise UsageError(f"seed is {self.seed}: a number from 0 to 2**63 - 1")


def planned(ledger: str | Path, wanted: Wanted) -> Plan:
    """Plan a comparison of programs of a ledger.

    Raises:
        LedgerMismatch: the problem has changed since.
        NothingFound: no program has a score.
        UsageError, LedgerError: a program or a baseline that is not there, or the ledger cannot be read.
    """
    with Ledger.read(ledger) as book:
        problem, mark = problem_unchanged(book), book.fingerprint
        found = list(_elites(book, wanted))
    reference = _reference(problem, wanted.reference)
    seed_program = _contender(SEED, problem.block)
    baselines = [_contender(name, source) for name, source in problem.baselines.items()]
    assert problem.origin is not None
    origin = str(problem.origin.path), problem.origin.factory, dict(problem.origin.parameters)
    return Plan(
        title_of(problem),
        origin,
        mark,
        problem.block,
        reference,
        tuple(_different([*found, *baselines, seed_program], reference)),
        secrets.randbits(62) if wanted.seed is None else wanted.seed,
        wanted.rules,
        wanted.unsafe,
    )


def title_of(problem: Problem) -> str:
    """Its name and parameters."""
    given = ", ".join(f"{name}={value}" for name, value in problem.parameters.items())
    return clean(f"{problem.name}({given})" if given else problem.name, 200)


def _contender(name: str, source: str) -> Contender:
    return Contender(clean(name, 60), text_hash(source), source)


def _elites(book: Ledger, wanted: Wanted) -> Iterator[Contender]:
    best = best_of(book)
    yield Contender("best", best, book.program(best).source)
    if wanted.islands:
        archive = Run(book.path).archive
        for island in range(archive.islands):
            elite = archive.best(island)
            if elite is not None:
                yield Contender(f"island {island}", elite.program.id, elite.program.source)
    for word in wanted.programs:
        program = named(book, word)
        name = f"proposal {word}" if word.isdecimal() and len(word) < 12 else program[:15]
        yield Contender(name, program, book.program(program).source)


def _reference(problem: Problem, wanted: str) -> Contender:
    names = list(problem.baselines)
    if not wanted:
        wanted = problem.speed.baseline if problem.speed else names[0] if names else SEED
    if wanted in problem.baselines:
        return _contender(wanted, problem.baselines[wanted])
    if wanted != SEED:
        raise UsageError(
            f"reference {wanted!r}: problem {problem.name!r} has no such baseline; "
            f"there are: {', '.join([*names, SEED])}"
        )
    return _contender(SEED, problem.block)


def _different(found: Sequence[Contender], reference: Contender) -> Iterator[Contender]:
    """Each text once, by its first name, and not the reference's: that is compared with itself anyway."""
    seen = {reference.source}
    for one in found:
        if one.source not in seen:
            seen.add(one.source)
            yield one
