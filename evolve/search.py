"""The search as a state machine: what to try next, and what a result changes. No I/O, no clock, no process.

Every state here is a fold over commits in order, so a run that is resumed goes on exactly where it was. Without a
model, proposal n is drawn right after commit n - window, and what was drawn counts as known from then on. With one,
commits come in the order of arrival: a draw sees commits alone (those up to its own `seen`), what is on its way
changes nothing, and of two equal programs the one that is committed last is the duplicate.
"""

import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from evolve.config import Config
from evolve.evaluator import Job, Judged, TuneOrder
from evolve.islands import Islands
from evolve.mutators.bandit import reward_of
from evolve.mutators.base import Context, Draft, Mutator
from evolve.mutators.llm import ModelMutator, Question
from evolve.mutators.screening import Screening, tuning_budget
from evolve.parents import Parents
from evolve.programs_db.archive import AddStatus, Archive
from evolve.programs_db.records import Commit, Elite, Evaluation, Event, Program, Proposal, Status
from evolve.select import choose_mates, key
from evolve.source import SourceError, depth_of, program_of
from evolve.statement import STRUCTURAL, Problem

__all__ = ["Pending", "Search", "Standing", "Tally"]

_FLOOR = 0.8
"""Share of the best speed-up below which a program need not be measured well."""


@dataclass
class Tally:
    """Counts over all commits."""

    proposals: int = 0
    evaluations: int = 0
    clipped: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Pending:
    """A proposal on its way: what is known before its evaluation.

    Args:
        proposal: as far as it is known.
        draft: the program before tuning, or why there is none.
        job: None if there is nothing to evaluate.
        seen: commits that there were when it was drawn; None for a program that was given.
    """

    proposal: Proposal
    draft: Draft
    job: Job | None
    seen: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What an evaluation must know of the run as it was when its proposal was drawn.

    Args:
        seen: commits that there were.
        bars: of the tuning of a fresh structure.
        floor: speed-up below which a program need not be measured well.
    """

    seen: int
    bars: tuple[float | None, ...]
    floor: float | None


class Search:
    """Proposes, and takes commits.

    Args:
        problem: the problem.
        config: the dials.
        seed: of the run.
        mutator: makes drafts.
        init: sources to start from, after the seed program.
        model: asks models for programs; None for a run without any.
    """

    def __init__(
        self,
        problem: Problem,
        config: Config,
        seed: int,
        mutator: Mutator,
        init: Sequence[str] = (),
        model: ModelMutator | None = None,
    ) -> None:
        self.problem = problem
        self.config = config
        self.seed = seed
        self.mutator = mutator
        self.model = model
        self.init = tuple(init)
        measures = problem.measures if config.cells else ()
        self.archive = Archive(problem.objective, measures, config.islands, drift=not config.cells)
        self.islands = Islands(self.archive, config, staged=model is None)
        self.parents = Parents(problem, self.archive, self.islands, config)
        self.screening = Screening(problem.objective, config.keep)
        self.tally = Tally()
        self._proposed: dict[str, int] = {}  # canonical hash -> number of the proposal that had it first
        self._programs: dict[int, str] = {}  # number -> program, for those a duplicate may point at
        self._structures: dict[
            str, int
        ] = {}  # of what may be tuned: structure -> commits before it was known

    # -- proposing -------------------------------------------------------------------------------------------

    def propose(self, number: int) -> Pending:
        """Decide what proposal `number` is; 0 is the seed program. Call in the order of numbers."""
        if number == 0:
            return self._given(number, "seed", self.problem.block)
        if number <= len(self.init):
            return self._given(number, "init", self.init[number - 1])
        rng = key(self.seed, number)
        island = number % self.islands.opened
        parent, mates = self._chosen(island, rng)
        context = Context(
            rng, parent.program, tuple(mate.program for mate in mates), self._proposed.__contains__
        )
        draft = self.mutator.propose(context)
        proposal = Proposal(
            number=number,
            island=island,
            mutator=self.mutator.name,
            operator=draft.operator,
            parents=draft.parents,
            draft=draft.canonical,
            staleness=number - self.tally.proposals,
            error=draft.error,
        )
        return self._pending(proposal, draft, self.standing())

    def _chosen(
        self, island: int, rng: random.Random, greedy: float | None = None
    ) -> tuple[Elite, tuple[Elite, ...]]:
        """A parent and its mates; `greedy` as for `Parents.choose`."""
        parent = self.parents.choose(island, self.tally.evaluations, rng, greedy)
        return parent, choose_mates(self.archive.elites(island), parent, rng, self.config.mates)

    def ask(self, number: int) -> Question:
        """Decide what a model is asked for proposal `number` and those after it; changes nothing.

        Raises:
            NoQuestion: the parent that was drawn cannot be changed.
            PromptError: the prompt does not fit.
        """
        assert self.model is not None
        rng = key(self.seed, number)
        # By chance and not by number: with n samples a request, numbers of requests share their residues.
        island = rng.randrange(self.islands.opened)
        parent, mates = self._chosen(island, rng, self.model.dials.greedy)
        return self.model.draw(number, self.tally.proposals, island, parent, mates, rng)

    def ask_lessons(self, number: int) -> Question:
        """Decide how a model is asked for lessons, when `number` is the next proposal; changes nothing."""
        assert self.model is not None
        return self.model.draw_lessons(number, self.tally.proposals, key(self.seed, -number - 2))

    def standing(self) -> Standing:
        """What evaluations of proposals drawn now must know."""
        return Standing(self.tally.proposals, self.screening.bars(self._lot()), self._floor())

    def _lot(self) -> random.Random:
        return random.Random(f"bars {self.seed} {self.tally.proposals}")

    def answered(self, number: int, question: Question, draft: Draft, standing: Standing) -> Pending:
        """The proposal that a model's draft is.

        Args:
            number: of the proposal.
            question: that was asked.
            draft: what came, or why nothing did.
            standing: of the run when the question was drawn.
        """
        proposal = Proposal(
            number=number,
            island=question.island,
            mutator=ModelMutator.name,
            operator=draft.operator,
            parents=draft.parents,
            draft=draft.canonical,
            error=draft.error,
        )
        return self._pending(proposal, draft, standing)

    def given_up(self, number: int, draft: Draft, standing: Standing) -> Pending:
        """A number for which nothing could be asked."""
        island = number % self.islands.opened
        proposal = Proposal(number, island, ModelMutator.name, operator=draft.operator, error=draft.error)
        return self._pending(proposal, draft, standing)

    def _given(self, number: int, mutator: str, source: str) -> Pending:
        island = number % self.islands.opened
        try:
            program = program_of(source, self.problem.entry)
        except SourceError as error:
            proposal = Proposal(number, island, mutator, error=str(error))
            return Pending(proposal, Draft.failed(mutator, str(error)), None)
        draft = Draft(program.source, program.canonical, program.structure, program.nodes, mutator)
        proposal = Proposal(number, island, mutator, draft=draft.canonical)
        return self._pending(proposal, draft, None)

    def _order(self, proposal: Proposal, draft: Draft, standing: Standing) -> TuneOrder | None:
        """Constants of a fresh structure are tuned once: untuned scores say little about a structure.

        Not where speed is sought: a trial is a race, and constants seldom decide one.
        """
        most = self._trials(proposal.mutator)
        if not most or not draft.constants or self.problem.speed:
            return None
        if self._structures.get(draft.structure, standing.seen) < standing.seen:
            return None
        seed = (self.seed * 1_000_003 + proposal.number) % 2**31 + 1
        return TuneOrder(most, self.config.tune_each, seed, standing.bars)

    def _trials(self, mutator: str) -> int:
        """Most trials of the constants of what a mutator proposes: a model's answer costs far more than one of ours."""
        return self.model.dials.tune if self.model and mutator == ModelMutator.name else self.config.tune

    def _pending(self, proposal: Proposal, draft: Draft, standing: Standing | None) -> Pending:
        """With what has to be evaluated, if anything; `standing` is None for programs that were given."""
        seen = None if standing is None else standing.seen
        if draft.error:
            return Pending(proposal, draft, None, seen)
        order = None if standing is None else self._order(proposal, draft, standing)
        if self.model is None:
            self._structures.setdefault(draft.structure, -1)
            known = self._proposed.setdefault(draft.canonical, proposal.number)
        else:
            known = self._proposed.get(draft.canonical, proposal.number)
        if known != proposal.number:
            return Pending(proposal, draft, None, seen)
        floor = self._floor() if standing is None else standing.floor
        return Pending(proposal, draft, Job(draft.source, tune=order, floor=floor), seen)

    def _floor(self) -> float | None:
        """What is much slower than the best is given up early: how slow it is exactly decides nothing."""
        best = self.archive.best() if self.problem.speed else None
        return None if best is None else _FLOOR * best.objective

    # -- committing ------------------------------------------------------------------------------------------

    def would_enter(self, pending: Pending, judged: Judged) -> bool:
        """Whether this evaluation would become an elite."""
        commit = self.finished(pending, judged)
        return self.archive.would_enter(commit)

    def finished(self, pending: Pending, judged: Judged | None, elapsed: float = 0.0) -> Commit:
        """Put a proposal and its evaluation together, with the seconds of searching so far. Changes nothing."""
        proposal, draft = pending.proposal, pending.draft
        if self.model is not None and pending.seen is not None:
            proposal = replace(proposal, staleness=self.tally.proposals - pending.seen)
        # Where programs arrive in any order, an equal one may have been committed while this one was judged. Whether
        # it was judged at all depends on the moment, so that is not kept.
        late = (
            self.model is not None and self._proposed.get(draft.canonical, proposal.number) != proposal.number
        )
        if judged is None or late:
            earlier = self._proposed.get(draft.canonical) if not draft.error else None
            known = None if earlier is None else self._programs.get(earlier)
            return Commit(replace(proposal, program=known, elapsed=elapsed))
        if judged.source == draft.source:
            program = Program(draft.id, draft.source, draft.canonical, draft.structure, draft.nodes)
        else:
            program = program_of(judged.source, self.problem.entry)
        evaluation = self.evaluation_of(self.problem, program, judged)
        # The first trial is the program as proposed; what is kept of a tuning is judged once more, on all cases.
        again = judged.source != draft.source or bool(self.problem.stages)
        cost = (len(judged.trials) + again if judged.trials else 1) + judged.retests
        made = replace(proposal, program=program.id, evaluations=cost, elapsed=elapsed)
        return Commit(made, program, evaluation, judged.trials)

    @staticmethod
    def evaluation_of(problem: Problem, program: Program, judged: Judged) -> Evaluation:
        """What a judge said, with the program's id and the structural measures filled in."""
        measures = dict(judged.evaluation.measures)
        if judged.evaluation.status is Status.OK:
            named = STRUCTURAL & {measure.name for measure in problem.measures}
            if "nodes" in named:
                measures["nodes"] = float(program.nodes)
            if "depth" in named:
                measures["depth"] = float(depth_of(program.source, problem.entry))
        return replace(judged.evaluation, program=program.id, measures=measures)

    def commit(self, commit: Commit) -> Commit:
        """Take a finished proposal: grow the archive, decide on events, give credit. Returns it with events."""
        before = self.tally.evaluations
        added = self._absorb(commit)
        events = self.islands.events(before, self.tally.evaluations, commit)
        self._move(commit, added, events)
        return replace(commit, events=tuple(events)) if events else commit

    def replay(self, commit: Commit) -> None:
        """Take a recorded commit, events included; what a rescore has failed since moves no more."""
        if self.model is None:
            self.remember(commit)
        added = self._absorb(commit)
        self._move(commit, added, [event for event in commit.events if self.archive.knows(event)])

    def _move(self, commit: Commit, added: AddStatus | None, events: Sequence[Event]) -> None:
        """Let the events of a commit that was absorbed move what they move."""
        self.archive.move(events)
        self.islands.moved(commit, events, self.tally.evaluations)
        self.parents.note(commit, added is not None, events, self.tally.proposals)

    def remember(self, commit: Commit) -> None:
        """Take note of what a recorded proposal was, as `propose` did when it was made."""
        proposal = commit.proposal
        if commit.evaluation is None:
            return  # what it equals had come before it, if only as what a tuning ended in
        self._proposed.setdefault(proposal.draft, proposal.number)
        if commit.program is not None:
            self._structures.setdefault(commit.program.structure, -1)

    def _absorb(self, commit: Commit) -> AddStatus | None:
        proposal, evaluation, program = commit.proposal, commit.evaluation, commit.program
        self.tally.proposals += 1
        self.tally.evaluations += proposal.evaluations
        best, own = self.archive.best(), self.archive.best(proposal.island)
        added = self.archive.commit(replace(commit, events=()) if commit.events else commit)
        now = self.archive.best(proposal.island)
        if now is not None and (own is None or self.problem.objective.better(now.objective, own.objective)):
            self.islands.note(proposal.island, self.tally.evaluations)
        if evaluation is not None and program is not None:
            self.tally.statuses[evaluation.status.value] += 1
            self._programs[proposal.number] = program.id
            if evaluation.status is Status.TIMEOUT:
                # A time-out may be the machine's fault: it is never passed on to an equal program.
                if self._proposed.get(proposal.draft) == proposal.number:
                    del self._proposed[proposal.draft]
            else:
                self._proposed.setdefault(proposal.draft, proposal.number)
                self._proposed.setdefault(program.canonical, proposal.number)
            self._count_clipped(evaluation)
            most = self._trials(proposal.mutator)
            if most:
                self._structures.setdefault(program.structure, self.tally.proposals - 1)
                constants = len(commit.trials[0].constants) if commit.trials else 0
                self.screening.note(commit, tuning_budget(most, self.config.tune_each, constants))
        reward = self._reward(proposal, added, best)
        if proposal.mutator == self.mutator.name:
            self.mutator.credit(proposal.operator, reward, proposal.evaluations)
        if self.model is not None:
            self.model.note(commit, added, self.archive, reward)
        return added

    def _reward(self, proposal: Proposal, added: AddStatus | None, best: Elite | None) -> float:
        """Worth of a commit for the operator that made it: its rank on its island; all of it for a new best."""
        if added is None or added.outcome in ("kept-out", "tied"):
            return 0.0
        elites, now = self.archive.elites(proposal.island), self.archive.best()
        objective = self.problem.objective
        mine = self.archive.cells(proposal.island)[added.cell]
        rank = bisect_left(
            elites,
            (-objective.key(mine.objective), mine.number),
            key=lambda e: (-objective.key(e.objective), e.number),
        )
        improved = now is not None and (best is None or now.objective != best.objective)
        return reward_of(rank, len(elites), improved)

    def _count_clipped(self, evaluation: Evaluation) -> None:
        if evaluation.status is Status.OK:
            for measure in self.problem.measures:
                if not measure.low <= evaluation.measures[measure.name] <= measure.high:
                    self.tally.clipped[measure.name] += 1
