"""Who is changed next: an island's incumbent, another of its elites, or the seed program.

Knows when islands gained; does not know what is proposed, nor what moves between islands. A fold over commits.
"""

import random
from collections.abc import Sequence

from evolve.config import Config
from evolve.islands import Islands
from evolve.programs_db.archive import Archive
from evolve.programs_db.records import Commit, Elite, Event
from evolve.select import choose_parent, greedy_share, root_share
from evolve.statement import Problem

__all__ = ["Parents"]


class Parents:
    """Chooses the parents of a search.

    The incumbent of an island is the latest program that is as good as the best of its elites: where scores are few
    and coarse, a step that loses nothing leads on (neutral drift), though it may fill no cell. One that acts as the
    incumbent does, with the same scores on every case, follows it only if it is no larger. Where the objective is
    random or a time, as good is only chance: of equals the first stays. Without cells an island holds one program.

    The seed program's share falls as its neighbourhood is exhausted: it is multiplied by its evolvability, the share of
    what was made of it that acted like nothing before (Mengistu, Lehman and Clune, "Evolvability Search", GECCO 2016).

    Args:
        problem: what is searched for.
        archive: whose elites they are.
        islands: that tell how long each has gained nothing.
        config: the dials.
    """

    def __init__(self, problem: Problem, archive: Archive, islands: Islands, config: Config) -> None:
        self.archive = archive
        self.islands = islands
        self.config = config
        # A run for speed has too few evaluations to stay with the seed program for some hundred of them.
        self._explores = problem.speed is None
        self._drifts = problem.speed is None and problem.repeats == 1
        self._incumbents: list[Elite | None] = [None] * config.islands
        self._brood: list[Elite | None] = [None] * config.islands
        self._acts = {""}  # how programs have acted so far; "" is a failure
        self._made = 0  # of the seed program
        self._new = 0  # of these, how many acted like nothing before

    def choose(self, island: int, evaluations: int, rng: random.Random, greedy: float | None = None) -> Elite:
        """The parent of a proposal that is drawn now.

        Args:
            island: one that has elites.
            evaluations: of the run so far.
            rng: of this proposal.
            greedy: where a model is asked, share of parents that are as good as the best, any of these; the seed
                program is no more than `config.root` of them then.
        """
        config, first = self.config, self.archive.first
        explores = self._explores and greedy is None
        root = root_share(config, evaluations, self._evolvability()) if explores else config.root
        if root and first is not None and rng.random() < root:
            return first
        if config.brood > 1 and (told := self._brood[island]) is not None:
            return told
        if greedy is None:
            incumbent = self._incumbents[island] if config.cells else None
            share = greedy_share(config, evaluations, self.islands.gained(island))
            if incumbent is not None and rng.random() < share:
                return incumbent
            greedy = 0.0
        elites = self.archive.elites(island)
        return choose_parent(elites, lambda program: self.archive.uses(island, program), rng, config, greedy)

    def note(self, commit: Commit, offered: bool, events: Sequence[Event], proposals: int) -> None:
        """The archive has taken a commit and its events.

        Args:
            commit: what was committed.
            offered: whether its program was offered to the elites of its island.
            events: that have moved the archive with it.
            proposals: how many were committed, this one included.
        """
        if self._explores and self.config.exhaust:
            self._note_act(commit)
        elite, island = self.archive.elite_of(commit) if offered else None, commit.proposal.island
        if elite is not None and self._follows(elite, self._incumbents[island]):
            self._incumbents[island] = elite
        for event in events:
            best, incumbent = self.archive.best(event.island), self._incumbents[event.island]
            if event.kind == "reset":
                incumbent = None
            if best is not None and (incumbent is None or self._better(best, incumbent)):
                self._incumbents[event.island] = best
        if self.config.brood > 1 and proposals % self.config.brood == 1:
            self._brood = [self.archive.best(island) for island in range(self.config.islands)]

    def _evolvability(self) -> float:
        """Share of what was made of the seed program that acted like nothing before; 1 while nothing was."""
        return (1 + self._new) / (1 + self._made)

    def _note_act(self, commit: Commit) -> None:
        if commit.evaluation is None:
            return
        act, first = commit.evaluation.behaviour, self.archive.first
        if first is not None and first.program.id in commit.proposal.parents[:1]:
            self._made += 1
            self._new += act not in self._acts
        self._acts.add(act)

    def _follows(self, elite: Elite, incumbent: Elite | None) -> bool:
        """Whether it takes the place of an incumbent: a drift among programs that act the same would only grow them."""
        if incumbent is None or elite.objective != incumbent.objective:
            return incumbent is None or self._better(elite, incumbent)
        acts_otherwise = elite.behaviour != incumbent.behaviour
        return self._drifts and (acts_otherwise or elite.program.nodes <= incumbent.program.nodes)

    def _better(self, elite: Elite, other: Elite) -> bool:
        return self.archive.objective.better(elite.objective, other.objective)
