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
        made.moved(commit(8), [], evaluations)
    return made


def test_an_island_is_opened_where_those_that_are_open_gain_no_more_and_none_was_opened_lately():
    one = islands(replace(EVERY, migrate=1000, patience=0.25))

    def opened(evaluations, gains=None):
        if gains is not None:
            one.note(gains, evaluations)
        one.moved(commit(8), [], evaluations)
        return one.opened

    assert opened(999) == 1
    assert opened(1200, gains=0) == 1
    assert opened(1599) == 1
    assert opened(1600) == 2
    assert one.gained(1) == 1600  # which has not waited yet
    assert opened(2599) == 2
    assert opened(2600, gains=0) == 2  # it is enough that one of them gains
    assert opened(3466) == 2
    assert opened(3467) == 3
    assert opened(10**9) == 3


def test_an_island_in_which_something_was_tried_is_open():
    one = islands()
    one.moved(commit(8, island=1), [Event("reset", 2, ("b2:0",))], 7)
    assert (one.opened, [one.gained(island) for island in range(3)]) == (2, [0, 7, 7])
    waits = islands(replace(EVERY, migrate=1000, patience=0.25))
    waits.moved(commit(8, island=1), [], 600)
    for evaluations in (1000, 1599):
        waits.moved(commit(8), [], evaluations)
        assert waits.opened == 2  # none sooner than `migrate` after it
    waits.moved(commit(8), [], 1600)
    assert waits.opened == 3


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
    assert one.events(299, 300, commit(8)) == [
        Event("migration", 1, ("b2:5",)),
        Event("migration", 0, ("b2:6",)),
    ]
    assert one.events(301, 302, commit(8)) == []
    everywhere = islands(staged=False, values=(5, 6, 7))
    assert [event.island for event in everywhere.events(99, 100, commit(8))] == [1, 2, 0]


@pytest.mark.parametrize("overshoot", [0, 41])
def test_an_island_that_has_begun_lately_is_left_alone_once(overshoot):
    one = islands(values=(5, 6, 7), opened=(150, 650))

    def sent(evaluations):
        return [event.island for event in one.events(evaluations - 1, evaluations + overshoot, commit(8))]

    assert sent(700) == [1, 0]
    assert sent(800) == [1, 2, 0]
    one.moved(commit(8), [Event("reset", 1, ("b2:0",))], 800 + overshoot)
    assert sent(900) == [2, 0]
    assert sent(1100) == [1, 2, 0]


def test_the_worse_half_starts_again_and_its_wait_with_it():
    one = islands(values=(5, 9, 7), opened=(150, 650))
    events = one.events(999, 1000, commit(8))
    assert events == [Event("reset", 0, ("b2:0",))]
    one.moved(commit(8), events, 1000)
    assert [one.gained(island) for island in range(3)] == [1000, 150, 650]


@pytest.mark.parametrize(("waited", "restarts"), [(49, False), (50, True)])
def test_an_island_without_gains_starts_again_from_the_seed_program(waited, restarts):
    one = islands(Config(islands=1, restart=50), values=(5,))
    one.note(0, 10)
    events = one.events(10 + waited - 1, 10 + waited, commit(8))
    assert events == ([Event("reset", 0, ("b2:0",))] if restarts else [])
