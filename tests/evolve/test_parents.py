"""Parents: the seed program at first, the incumbent while an island gains, the other elites while it does not."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from evolve.config import Config
from evolve.islands import Islands
from evolve.parents import Parents
from evolve.programs_db.archive import Archive
from evolve.programs_db.records import (
    Commit,
    Evaluation,
    Event,
    Measure,
    Objective,
    Program,
    Proposal,
    Status,
)
from evolve.select import key

HIGH = Objective("value", "max")
PLACE = Measure("place", 0.0, 10.0, bins=10)
SPEED = object()
CONFIG = Config(islands=2, explore=0, pressure=0.0, fatigue=0.0, patience=0.25)


class Run:
    """An archive of cells, its islands and parents, and commits to it."""

    def __init__(self, config=CONFIG, speed=None, repeats=1):
        self.archive = Archive(HIGH, [PLACE], config.islands)
        self.islands = Islands(self.archive, config, staged=True)
        problem = SimpleNamespace(speed=speed, repeats=repeats)
        self.parents = Parents(problem, self.archive, self.islands, config)
        self.number = -1

    def commit(self, value, place, island=0, events=(), behaviour="", nodes=1, parents=()):
        """A program with an objective in a cell; None for one that fails."""
        self.number += 1
        name = f"b2:{self.number}"
        status = Status.OK if value is not None else Status.ERROR
        evaluation = Evaluation(name, status, objective=value, measures={"place": place}, behaviour=behaviour)
        commit = Commit(
            Proposal(self.number, island, "m", program=name, parents=parents),
            Program(name, name, name, name, nodes),
            evaluation,
        )
        self.archive.commit(commit)
        self.archive.move(events)
        self.parents.note(commit, value is not None, events, self.number + 1)

    def drawn(self, evaluations, island=0, count=2000, greedy=None):
        """How often each program is the parent."""
        parents = (
            self.parents.choose(island, evaluations, key(7, number), greedy) for number in range(count)
        )
        return Counter(parent.program.id for parent in parents)


def test_the_incumbent_is_the_latest_program_as_good_as_the_best_though_it_fills_no_cell():
    run = Run(Config(islands=1, explore=0, greedy=1.0))
    for value, place, incumbent in (
        (1.0, 1.0, "b2:0"),
        (2.0, 1.0, "b2:1"),
        (2.0, 1.0, "b2:2"),  # kept out of its cell
        (1.5, 5.0, "b2:2"),
        (None, 0.0, "b2:2"),
        (2.0, 7.0, "b2:5"),
    ):
        run.commit(value, place)
        assert run.drawn(0, count=20) == {incumbent: 20}


def test_of_programs_that_act_the_same_a_larger_one_is_not_the_incumbent():
    run = Run(Config(islands=1, explore=0, greedy=1.0))
    for behaviour, nodes, incumbent in (
        ("one", 9, "b2:0"),
        ("one", 10, "b2:0"),
        ("one", 9, "b2:2"),
        ("two", 30, "b2:3"),
        ("two", 8, "b2:4"),
    ):
        run.commit(1.0, 1.0, behaviour=behaviour, nodes=nodes)
        assert run.drawn(0, count=20) == {incumbent: 20}
    run.commit(2.0, 1.0, behaviour="two", nodes=99)
    assert run.drawn(0, count=20) == {"b2:5": 20}


def test_greed_wanes_to_a_fifth_while_nothing_is_gained():
    run = Run()
    for value in (1.0, 2.0, 3.0):
        run.commit(value, value)
    run.islands.note(0, 1000)
    for evaluations, greedy in ((1000, 0.95), (1143, 0.57), (4000, 0.19)):
        drawn = run.drawn(evaluations)  # the other parents are any of the three
        assert drawn["b2:2"] == pytest.approx(2000 * (greedy + (1.0 - greedy) / 3.0), abs=80)
        assert drawn["b2:0"] == pytest.approx(drawn["b2:1"], abs=80)


@pytest.mark.parametrize(("evaluations", "share"), [(0, 1.0), (100, 0.5), (900, 0.1)])
def test_the_share_of_the_seed_program_falls_with_evaluations(evaluations, share):
    run = Run(Config(islands=1, explore=100, greedy=1.0, patience=0.0))
    run.commit(1.0, 1.0)
    run.commit(2.0, 2.0)
    assert run.drawn(evaluations)["b2:0"] == pytest.approx(2000 * share, abs=80)


@pytest.mark.parametrize(("exhaust", "share"), [(True, 0.4), (False, 1.0)])
def test_the_share_of_the_seed_program_falls_with_what_acts_like_a_program_before(exhaust, share):
    run = Run(Config(islands=1, explore=100, exhaust=exhaust, greedy=1.0, patience=0.0))
    run.commit(1.0, 1.0, behaviour="a")
    run.commit(2.0, 2.0, behaviour="b", parents=("b2:0",))  # new
    run.commit(1.0, 1.0, behaviour="a", parents=("b2:0", "b2:1"))
    run.commit(None, 0.0, parents=("b2:0",))
    run.commit(1.0, 1.0, behaviour="b", parents=("b2:0",))
    run.commit(1.5, 5.0, behaviour="c", parents=("b2:1", "b2:0"))  # of another
    run.commit(1.5, 5.0, behaviour="c", parents=("b2:1",))
    assert run.drawn(0)["b2:0"] == pytest.approx(2000 * share, abs=80)  # (1 + 1 of 4) / (1 + 4)


def test_where_speed_is_sought_or_a_model_asked_the_seed_program_has_its_share_of_config_alone():
    for speed, root, share in ((SPEED, 0.0, 0.0), (SPEED, 0.3, 0.3), (None, 0.0, 0.0), (None, 0.3, 0.3)):
        run = Run(Config(explore=100, greedy=1.0, root=root), speed)
        run.commit(1.0, 1.0)
        run.commit(2.0, 2.0)
        drawn = run.drawn(0, greedy=None if speed else 1.0)
        assert drawn["b2:0"] == pytest.approx(2000 * share, abs=80 if share else 0)


def test_a_model_is_shown_elites_as_greedily_as_it_asks_and_its_greed_does_not_wane():
    run = Run(replace(CONFIG, greedy=0.0))
    run.commit(2.0, 1.0)
    run.commit(2.0, 1.0)  # as good, and kept out
    run.commit(2.0, 5.0)
    run.commit(1.0, 9.0)
    drawn = run.drawn(10**6, greedy=1.0)
    assert set(drawn) == {"b2:0", "b2:2"}
    assert min(drawn.values()) > 800
    assert run.drawn(10**6, greedy=0.4)["b2:3"] == pytest.approx(2000 * 0.6 / 3, abs=80)


@pytest.mark.parametrize(("speed", "repeats"), [(SPEED, 1), (None, 3)])
def test_where_scores_are_partly_chance_the_first_of_equals_stays(speed, repeats):
    run = Run(Config(islands=1, explore=0, greedy=1.0), speed, repeats)
    run.commit(2.0, 1.0, behaviour="one")
    run.commit(2.0, 1.0, behaviour="two")
    assert run.drawn(0, count=20) == {"b2:0": 20}
    run.commit(3.0, 1.0)
    assert run.drawn(0, count=20) == {"b2:2": 20}


def test_a_migrant_becomes_the_incumbent_only_if_it_is_better_and_a_reset_founds_another():
    run = Run(Config(islands=2, explore=0, greedy=1.0))
    run.commit(1.0, 1.0, events=[Event("migration", 1, ("b2:0",))])
    assert run.drawn(0, island=1, count=9) == {"b2:0": 9}
    run.commit(3.0, 3.0)
    run.commit(3.0, 4.0, island=1)
    run.commit(0.5, 9.0, events=[Event("migration", 1, ("b2:1",))])  # as good
    assert run.drawn(0, island=1, count=9) == {"b2:2": 9}
    run.commit(4.0, 3.0)
    run.commit(0.5, 9.0, events=[Event("migration", 1, ("b2:4",))])
    assert run.drawn(0, island=1, count=9) == {"b2:4": 9}
    run.commit(0.5, 9.0, events=[Event("reset", 1, ("b2:0",))])
    assert run.drawn(0, island=1, count=9) == {"b2:0": 9}
    assert run.drawn(0, island=0, count=9) == {"b2:4": 9}
