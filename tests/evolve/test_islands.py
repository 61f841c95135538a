"""Islands: which are open, when they gained, and what moves between them."""

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


def islands(config=EVERY, staged=True, values=()):
    """Islands of an archive in which each of `values` is the best of the island at its place."""
    archive = Archive(HIGH, (), config.islands)
    archive.add(0, Elite(program(0), 0.0, (), "", 0))
    for island, value in enumerate(values):
        archive.add(island, Elite(program(value), float(value), (), "", value))
    return Islands(archive, config, staged)


def test_islands_are_opened_one_by_one_where_no_model_is_asked():
    assert [islands().opened(evaluations) for evaluations in (0, 99, 100, 250, 10**6)] == [1, 1, 2, 3, 3]
    assert islands(staged=False).opened(0) == 3


def test_an_island_that_opens_has_not_waited_yet():
    assert [islands().gained(island) for island in range(3)] == [0, 100, 200]
    assert [islands(staged=False).gained(island) for island in range(3)] == [0, 0, 0]


def test_the_seed_program_founds_every_island():
    events = islands().events(0, 1, commit(0))
    assert events == [Event("migration", 1, ("b2:0",)), Event("migration", 2, ("b2:0",))]


def test_open_islands_alone_offer_their_best_to_their_neighbours():
    one = islands(values=(5, 6, 7))
    assert one.events(99, 101, commit(8)) == []
    assert one.events(199, 200, commit(8)) == [
        Event("migration", 1, ("b2:5",)),
        Event("migration", 0, ("b2:6",)),
    ]
    assert [event.island for event in one.events(399, 400, commit(8))] == [1, 2, 0]
    assert one.events(401, 402, commit(8)) == []


def test_the_worse_half_starts_again_and_its_wait_with_it():
    one = islands(values=(5, 9, 7))
    events = one.events(999, 1000, commit(8))
    assert events == [Event("reset", 0, ("b2:0",))]
    one.moved(events, 1000)
    assert [one.gained(island) for island in range(3)] == [1000, 100, 200]


@pytest.mark.parametrize(("waited", "restarts"), [(49, False), (50, True)])
def test_an_island_without_gains_starts_again_from_the_seed_program(waited, restarts):
    one = islands(Config(islands=1, restart=50), values=(5,))
    one.note(0, 10)
    events = one.events(10 + waited - 1, 10 + waited, commit(8))
    assert events == ([Event("reset", 0, ("b2:0",))] if restarts else [])
