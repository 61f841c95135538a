"""Every cell holds the best ever offered to it since its island's reset, and a replay is the same archive."""

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from evolve.programs_db.archive import Archive
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.records import (
    Commit,
    Elite,
    Evaluation,
    Event,
    Measure,
    Objective,
    Program,
    Proposal,
    Status,
)

ISLANDS = 3
COARSE = (Measure("m", 0.0, 1.0, 3), Measure("k", 0.0, 4.0, 2))
FINE = (Measure("k", 0.0, 4.0, 4), Measure("m", 0.2, 0.8, 7))


def program(name):
    return Program(f"b2:{name}", f"pass  # {name}", f"c{name}", "s", 3)


def elite(name, objective, measures=(), number=0):
    return Elite(program(name), objective, measures, "", number)


def state(archive):
    """All that can be asked of an archive."""
    return [
        (
            dict(archive.cells(i)),
            list(archive.elites(i)),
            archive.best(i),
            archive._islands[i].uses,
            archive.stats(i),
        )
        for i in range(archive.islands)
    ] + [(archive.best(), archive.stats())]


class Model:
    """The same laws, by brute force: what was offered to each island since its reset."""

    def __init__(self, objective, measures):
        self.objective, self.measures = objective, measures
        self.offered = [[] for _ in range(ISLANDS)]

    def cells(self, island):
        cells = {}
        for one in self.offered[island]:
            cell = tuple(m.bin(value) for m, value in zip(self.measures, one.measures, strict=True))
            if cell not in cells or self.objective.better(one.objective, cells[cell].objective):
                cells[cell] = one
        return cells


class ArchiveMachine(RuleBasedStateMachine):
    """Commits and events of any kind against the brute-force model."""

    @initialize(direction=st.sampled_from(["min", "max"]), measures=st.sampled_from([COARSE, FINE, ()]))
    def begin(self, direction, measures):
        self.objective = Objective("x", direction)
        self.archive = Archive(self.objective, measures, ISLANDS)
        self.model = Model(self.objective, measures)
        self.log = []
        self.uses = [{} for _ in range(ISLANDS)]

    @rule(
        island=st.integers(0, ISLANDS - 1),
        objective=st.integers(0, 6),
        m=st.floats(-0.5, 1.5),
        k=st.integers(0, 4),
        ok=st.booleans(),
        again=st.booleans(),
        data=st.data(),
    )
    def commit(self, island, objective, m, k, ok, again, data):
        number = len(self.log)
        made = data.draw(st.sampled_from(self.log)).program if again and self.log else program(number)
        status = Status.OK if ok else Status.TIMEOUT
        measures = {"m": m, "k": k}
        evaluation = Evaluation(
            made.id, status, "", objective if ok else None, {}, measures if ok else {}, "h"
        )
        known = [one.program.id for one in self.log]
        parents = tuple(data.draw(st.lists(st.sampled_from(known), max_size=2))) if known else ()
        for parent in parents:
            self.uses[island][parent] = self.uses[island].get(parent, 0) + 1
        if ok:
            values = tuple(measures[measure.name] for measure in self.model.measures)
            self.model.offered[island].append(Elite(made, objective, values, "h", number))
        commit = Commit(Proposal(number, island, "x", parents=parents, program=made.id), made, evaluation)
        incumbents = self.archive.cells(island).copy()
        status = self.archive.commit(commit)
        self.log.append(commit)
        assert (status is None) == (not ok)
        if status:
            incumbent = incumbents.get(status.cell)
            gain = self.objective.key(objective) - (
                self.objective.key(incumbent.objective) if incumbent else 0
            )
            assert status.value == gain
            assert status.outcome == ("new" if incumbent is None else "improved" if gain > 0 else "kept-out")

    @precondition(lambda self: any(self.archive.best(i) for i in range(ISLANDS)))
    @rule(island=st.integers(0, ISLANDS - 1), kind=st.sampled_from(["reset", "migration"]), data=st.data())
    def event(self, island, kind, data):
        there = [one for i in range(ISLANDS) for one in self.archive.elites(i)]
        chosen = data.draw(st.lists(st.sampled_from(there), max_size=3))
        # An event names programs; of several elites of one program the first island's first is meant.
        named = [next(one for one in there if one.program.id == c.program.id) for c in chosen]
        event = Event(kind, island, tuple(one.program.id for one in named))
        if kind == "reset":
            self.model.offered[island] = []
            self.uses[island] = {}
        self.model.offered[island].extend(named)
        self.archive.move((event,))
        self.log[-1] = dataclasses.replace(self.log[-1], events=(*self.log[-1].events, event))

    @invariant()
    def every_cell_holds_the_best_offered_since_the_reset(self):
        if not hasattr(self, "archive"):
            return
        for island in range(ISLANDS):
            cells = self.model.cells(island)
            assert dict(self.archive.cells(island)) == cells
            ranked = sorted(cells.values(), key=lambda one: (-self.objective.key(one.objective), one.number))
            key = [(one.objective, one.number) for one in self.archive.elites(island)]
            assert key == [(one.objective, one.number) for one in ranked]
            assert self.archive.best(island) == (self.archive.elites(island)[0] if ranked else None)
            for one, times in self.uses[island].items():
                assert self.archive.uses(island, one) == times

    @invariant()
    def a_replay_is_the_same_archive(self):
        if hasattr(self, "archive"):
            replayed = Archive.replay(self.log, self.objective, self.model.measures, ISLANDS)
            assert state(replayed) == state(self.archive)

    @invariant()
    def any_other_bins_can_be_replayed(self):
        if hasattr(self, "archive"):
            founders = {name for commit in self.log for event in commit.events for name in event.programs}
            all_kept = Archive.replay(self.log, self.objective, FINE, ISLANDS)
            some_kept = Archive.replay(self.log, self.objective, FINE, ISLANDS, founders)
            assert state(all_kept) == state(some_kept)


TestArchiveMachine = ArchiveMachine.TestCase
TestArchiveMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-5, 5), st.floats(0, 1)), max_size=30))
def test_islands_stay_apart(offers):
    both = Archive(Objective("x", "max"), [Measure("m", 0, 1, 5)], 2)
    alone = [Archive(Objective("x", "max"), [Measure("m", 0, 1, 5)], 1) for _ in range(2)]
    for number, (island, objective, m) in enumerate(offers):
        one = elite(number, objective, (m,), number)
        assert both.add(island, one) == alone[island].add(0, one)
    for island in range(2):
        assert dict(both.cells(island)) == dict(alone[island].cells(0))


def test_new_bins_replay_from_a_ledger_as_if_they_had_been_there_from_the_start(make, writer):
    commits = []
    objective = Objective("x", "max")
    live = Archive(objective, COARSE, 2)
    for number in range(60):
        commit = writer.commit_at(number)
        if number % 11 == 10:
            names = tuple(one.program.id for one in live.elites(1 - number % 2)[:2])
            commit = dataclasses.replace(commit, events=(Event("reset", number % 2, names),))
        live.commit(commit)
        commits.append(commit)
    ledger = make(commits=commits)
    assert state(Archive.replay(ledger.replay(), objective, COARSE, 2)) == state(live)
    founders = ledger.event_programs()
    assert founders
    ledger.close()
    with Ledger.read(ledger.path) as reader:
        fine = Archive.replay(reader.replay(), objective, FINE, 2, founders)
        assert state(fine) == state(Archive.replay(commits, objective, FINE, 2))
    assert fine.stats().cells == 28


def test_of_equals_the_incumbent_stays():
    archive = Archive(Objective("x", "min"), [], 1)
    assert archive.add(0, elite("a", 2.0)).outcome == "new"
    assert archive.add(0, elite("b", 2.0)) == ("kept-out", 0.0, ())
    assert archive.add(0, elite("c", 1.5)) == ("improved", 0.5, ())
    assert archive.add(0, elite("d", 3.0)) == ("kept-out", -1.5, ())
    assert [one.program.id for one in archive.elites(0)] == ["b2:c"]


def test_the_best_ever_outlives_the_reset_of_its_island():
    archive = Archive(Objective("x", "max"), [], 2)
    archive.add(0, elite("good", 5.0))
    archive.add(1, elite("poor", 1.0, number=1))
    archive.move((Event("reset", 0, ("b2:poor",)),))
    assert archive.best(0).program.id == "b2:poor"
    assert archive.best().program.id == "b2:good"
    assert archive.stats().best.program.id == "b2:poor"


def test_what_was_drawn_before_a_reset_does_not_bring_back_what_went_unless_it_is_the_best_so_far():
    archive = Archive(Objective("x", "max"), [], 1)
    outcomes = []
    for number, (objective, staleness, reset) in enumerate(
        [(1.0, 0, False), (7.0, 0, False), (5.0, 0, True), (6.0, 1, False), (8.0, 2, False), (7.5, 0, False)]
    ):
        name = program(f"p{number}")
        events = (Event("reset", 0, ("b2:p0",)),) if reset else ()
        commit = Commit(
            Proposal(number, 0, "x", program=name.id, staleness=staleness),
            name,
            Evaluation(name.id, Status.OK, objective=objective),
            events=events,
        )
        would = archive.would_enter(commit)
        outcomes.append(getattr(archive.commit(commit), "outcome", None))
        assert would == (outcomes[-1] in ("new", "improved"))
    assert outcomes == ["new", "improved", "kept-out", None, "improved", "kept-out"]
    assert archive.best().program.id == "b2:p4"


def test_two_islands_may_be_reset_at_once_with_each_others_elites():
    archive = Archive(Objective("x", "max"), [], 2)
    a, b = program("a"), program("b")
    archive.commit(Commit(Proposal(0, 0, "x", program=a.id), a, Evaluation(a.id, Status.OK, objective=1.0)))
    archive.commit(
        Commit(
            Proposal(1, 1, "x", program=b.id),
            b,
            Evaluation(b.id, Status.OK, objective=2.0),
            events=(Event("reset", 0, (b.id,)), Event("reset", 1, (a.id,))),
        )
    )
    assert [archive.best(island).program.id for island in range(2)] == ["b2:b", "b2:a"]


def test_what_is_measured_beyond_the_bounds_lies_in_the_outermost_bins_and_is_counted():
    archive = Archive(Objective("x", "max"), [Measure("m", 0, 1, 4)], 1)
    for number, value in enumerate([-math.inf, 0.3, 7.0, 1.0, math.inf]):
        archive.add(0, elite(number, float(number), (value,), number))
    assert set(archive.cells(0)) == {(0,), (1,), (3,)}
    assert archive.stats().clipped == 2


def test_the_qd_score_counts_from_the_seed_unless_told_otherwise():
    archive = Archive(Objective("x", "min"), [Measure("m", 0, 1, 4)], 2)
    assert archive.stats().qd_score == 0
    archive.add(0, elite("seed", 10.0, (0.1,)))
    archive.add(0, elite("a", 7.0, (0.3,), 1))
    archive.add(1, elite("b", 6.0, (0.3,), 2))
    assert (archive.stats().qd_score, archive.stats(0).qd_score) == (4.0, 3.0)
    assert archive.stats(0, offset=20.0).qd_score == 23.0
    assert archive.stats().coverage == 0.5
    assert archive.stats().best.program.id == "b2:b"


def test_what_cannot_be_placed_is_refused_with_its_name():
    archive = Archive(Objective("x", "max"), [Measure("m", 0, 1, 4)], 1)
    one = program("a")
    ok = Evaluation(one.id, Status.OK, objective=1.0, measures={"n": 0.5})
    with pytest.raises(ValueError, match="proposal 3: its evaluation has no measure 'm', only"):
        archive.commit(Commit(Proposal(3, 0, "x", program=one.id), one, ok))
    with pytest.raises(ValueError, match="proposal 3: an ok evaluation without its program"):
        archive.commit(Commit(Proposal(3, 0, "x", program=one.id), None, ok))
    with pytest.raises(ValueError, match="elite with 0 measures in an archive of 1"):
        archive.add(0, elite("a", 1.0))
    with pytest.raises(ValueError, match="names program b2:none, which is no elite"):
        archive.move((Event("migration", 0, ("b2:none",)),))
    with pytest.raises(ValueError, match="event 'flood' of island 0"):
        archive.move((Event("flood", 0),))
    with pytest.raises(ValueError, match="0 islands"):
        Archive(Objective("x", "max"), [], 0)
