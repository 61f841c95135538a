"""Islands: which are open, when they gained, and what moves between them."""

from dataclasses import replace

import pytest

from evolve.config import Config
from evolve.islands import Islands
from evolve.programs_db.archive import Archive
from evolve.programs_db.records import Commit, Elite, Evaluation, Event, Objective, Program, Proposal, Status

HIGH = Objective("value", "max")
EVERY = Config(islands=3, migrate=100, reset=1000)


def program(number):
    return Program(f"b2:{number}", f"x = {number}", f"c{number}", f"s{number}", 1)


def commit(number, island=0):
    return Commit(
        Proposal(number, island, "m", program=f"b2:{number}"),
        program(number),
        Evaluation(f"b2:{number}", Status.OK, objective=float(number)),
    )


def islands(config=EVERY, staged=True, values=(), opened=()):
    """Islands of an archive in which each of `values` is the best of the island at its place.

    `opened` has, for each that is open beside the first, after how many evaluations it was.
    """
    archive = Archive(HIGH, (), config.islands)
    archive.add(0, Elite(program(0), 0.0, (), "", 0))
    for island, value in enumerate(values):
        archive.add(island, Elite(program(value), float(value), (), "", value))
    made = Islands(archive, config, staged)
    for evaluations in opened:
        made.moved([], evaluations)
    return made


def test_an_island_is_opened_where_those_that_are_open_gain_no_more_and_none_was_opened_lately():
    one = islands(replace(EVERY, migrate=1000, patience=0.25))
    one.moved([], 999)
    assert one.opened == 1
    one.note(0, 999)
    one.moved([], 1331)
    assert one.opened == 1
    one.moved([], 1332)
    assert (one.opened, one.gained(1)) == (2, 1332)  # which has not waited yet
    one.moved([], 1999)
    assert one.opened == 2
    one.note(0, 1999)  # it is enough that one of them gains
    one.moved([], 2665)
    assert one.opened == 2
    one.moved([], 2666)
    one.moved([], 10**9)
    assert one.opened == 3


@pytest.mark.parametrize(("config", "staged"), [(EVERY, False), (replace(EVERY, patience=0.0), True)])
def test_with_a_model_and_without_patience_all_are_open_from_the_start(config, staged):
    one = islands(config, staged)
    assert (one.opened, [one.gained(island) for island in range(3)]) == (3, [0, 0, 0])


def test_the_seed_program_founds_every_island():
    events = islands().events(0, 1, commit(0))
    assert events == [Event("migration", 1, ("b2:0",)), Event("migration", 2, ("b2:0",))]


def test_open_islands_alone_offer_their_best_to_their_neighbours():
    assert islands(values=(5, 6, 7)).events(399, 400, commit(8)) == []
    one = islands(values=(5, 6, 7), opened=(150,))
    assert one.events(399, 400, commit(8)) == [
        Event("migration", 1, ("b2:5",)),
        Event("migration", 0, ("b2:6",)),
    ]
    assert one.events(401, 402, commit(8)) == []


def test_a_young_island_is_left_alone():
    one = islands(values=(5, 6, 7), opened=(150, 650))
    assert [event.island for event in one.events(699, 700, commit(8))] == [1, 0]
    assert [event.island for event in one.events(799, 800, commit(8))] == [1, 2, 0]
    one.moved([Event("reset", 1, ("b2:0",))], 850)
    assert [event.island for event in one.events(899, 900, commit(8))] == [2, 0]


def test_the_worse_half_starts_again_and_its_wait_with_it():
    one = islands(values=(5, 9, 7), opened=(150, 650))
    events = one.events(999, 1000, commit(8))
    assert events == [Event("reset", 0, ("b2:0",))]
    one.moved(events, 1000)
    assert [one.gained(island) for island in range(3)] == [1000, 150, 650]


@pytest.mark.parametrize(("waited", "restarts"), [(49, False), (50, True)])
def test_an_island_without_gains_starts_again_from_the_seed_program(waited, restarts):
    one = islands(Config(islands=1, restart=50), values=(5,))
    one.note(0, 10)
    events = one.events(10 + waited - 1, 10 + waited, commit(8))
    assert events == ([Event("reset", 0, ("b2:0",))] if restarts else [])
