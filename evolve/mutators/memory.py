"""What prompts tell of a run: elites, failures, what may be repaired, what helped. A fold over commits, in order.

Knows commits and what a model is shown; draws nothing, and asks nobody.
"""

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from evolve.llm.dials import Dials
from evolve.llm.facts import Failure, Shown, shown
from evolve.llm.lessons import Change
from evolve.programs_db.archive import AddStatus, Archive
from evolve.programs_db.records import Commit, Elite, Program, Status
from evolve.statement import Problem

__all__ = ["NAME", "Memory", "Repair"]

NAME: Final = "llm"
"""What proposals of models are recorded under."""

_PARENTS: Final = 1024  # whose failures are remembered
_REPAIRS: Final = 64
_SCORED: Final = 4096
_RECENT: Final = 8
_OUTPUT: Final = 2_000

_HOPELESS: Final = frozenset({"unchanged", "no_reply", "no_site", "empty", "truncated"})
"""Nothing was tried that could be mended."""

Scores = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Repair:
    """A proposal of a model that failed, and may be tried once more.

    Args:
        parent: what was changed.
        failed: the program, or the reply, that failed; untrusted.
        failure: how.
    """

    parent: Program
    failed: str
    failure: Failure


class Memory:
    """What a run has seen, as far as prompts tell it.

    Args:
        problem: that is solved.
        dials: how much of it is kept.

    Attributes:
        lessons: what holds now.
        answers: proposals of models so far.
        repairs: what may be repaired, by number, the latest last.
        helped: the latest changes that made a program better than its parent.
        failed: the latest failures.
    """

    def __init__(self, problem: Problem, dials: Dials) -> None:
        self.problem = problem
        self.dials = dials
        self.lessons: tuple[str, ...] = ()
        self.answers = 0
        self.repairs: OrderedDict[int, Repair] = OrderedDict()
        self.helped: deque[Change] = deque(maxlen=_RECENT)
        self.failed: deque[Failure] = deque(maxlen=_RECENT)
        self._said: dict[int, str] = {}
        self._scores: OrderedDict[str, tuple[Elite, Scores]] = OrderedDict()
        self._failures: OrderedDict[str, deque[Failure]] = OrderedDict()
        self._elites: dict[int, tuple[Shown, ...]] = {}

    def said(self, number: int, text: str) -> None:
        """What a model has written for a proposal that is not committed yet."""
        self._said[number] = text

    def elites(self, island: int) -> tuple[Shown, ...]:
        """What prompts of an island show: the best of it, as they were when the epoch began."""
        return self._elites.get(island, ())

    def failures(self, parent: str) -> tuple[Failure, ...]:
        """What became of changes of a program, the latest first."""
        return tuple(reversed(self._failures.get(parent, ())))[: self.dials.failures]

    def shown(self, elite: Elite) -> Shown:
        """An elite with its scores, if they are remembered."""
        _, scores = self._scores.get(elite.program.id, (elite, {}))
        return shown(self.problem, elite, scores)

    def bare(self, program: Program) -> Shown:
        """A program of which nothing else may be known (it is an elite no more)."""
        known = self._scores.get(program.id)
        return Shown(program.source, None) if known is None else shown(self.problem, *known)

    def note(self, commit: Commit, added: AddStatus | None, archive: Archive) -> None:
        """Take a commit, after the archive has.

        Args:
            commit: any.
            added: what became of it there.
            archive: as it is now.
        """
        proposal = commit.proposal
        said = self._said.pop(proposal.number, "")
        parent = self._scores.get(proposal.parents[0]) if proposal.parents else None
        if parent is not None:
            self._scores.move_to_end(parent[0].program.id)
        if added is not None and added.outcome != "kept-out":
            self._keep(commit, parent)
        if proposal.mutator == NAME:
            self.answers += 1
            failure = _failure_of(commit)
            if failure is not None:
                self._fail(commit, failure, said, parent)
        # The first epoch begins with the programs to start from.
        if proposal.number == 0 or (proposal.mutator == NAME and self.answers % self.dials.epoch == 0):
            best = {island: archive.elites(island)[: self.dials.elites] for island in range(archive.islands)}
            self._elites = {island: tuple(map(self.shown, elites)) for island, elites in best.items()}

    def _keep(self, commit: Commit, parent: tuple[Elite, Scores] | None) -> None:
        """Remember an elite with its scores, and that it is better than its parent if it is."""
        program, evaluation = commit.program, commit.evaluation
        if program is None or evaluation is None or evaluation.objective is None:
            return
        measures = tuple(evaluation.measures[measure.name] for measure in self.problem.measures)
        elite = Elite(program, evaluation.objective, measures, "", commit.proposal.number)
        if parent is not None and self.problem.objective.better(elite.objective, parent[0].objective):
            after = shown(self.problem, elite, evaluation.scores)
            self.helped.append(Change(shown(self.problem, *parent), after))
        self._scores[program.id] = elite, evaluation.scores
        if len(self._scores) > _SCORED:
            self._scores.popitem(last=False)

    def _fail(self, commit: Commit, failure: Failure, said: str, parent: tuple[Elite, Scores] | None) -> None:
        """Remember a failure with its near relatives; once, it may be repaired."""
        proposal = commit.proposal
        self.failed.append(failure)
        if not proposal.parents:
            return
        known = self._failures.setdefault(proposal.parents[0], deque(maxlen=4))
        known.append(failure)
        self._failures.move_to_end(proposal.parents[0])
        if len(self._failures) > _PARENTS:
            self._failures.popitem(last=False)
        tried = commit.program.source if commit.program is not None else said
        if parent is None or not tried or failure.status in _HOPELESS:
            return
        if self.dials.repair and not proposal.operator.startswith("repair:"):
            self.repairs[proposal.number] = Repair(parent[0].program, tried, failure)
            if len(self.repairs) > _REPAIRS:
                self.repairs.popitem(last=False)


def _failure_of(commit: Commit) -> Failure | None:
    """What went wrong, if something did: an edit that could not be applied, or an evaluation."""
    evaluation, error = commit.evaluation, commit.proposal.error
    if error:
        name, _, message = error.partition(": ")
        return Failure(name, message)
    if evaluation is None or evaluation.status is Status.OK:
        return None
    return replace(Failure.of(evaluation), output=evaluation.output[-_OUTPUT:])
