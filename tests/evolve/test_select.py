"""Parents: greed that wanes, ranks that count, parents that tire."""

from collections import Counter
from dataclasses import replace

import pytest

from evolve.config import Config
from evolve.programs_db.records import Elite, Program
from evolve.select import choose_mates, choose_parent, greedy_share, key, root_share

ELITES = [Elite(Program(f"p{i}", "", "", "", 1), float(i), (), "", i) for i in range(10)]


def draws(config, uses=lambda program: 0, greedy=0.0, count=4000, elites=ELITES):
    return Counter(
        choose_parent(elites, uses, key(1, number), config, greedy).program.id for number in range(count)
    )


def test_the_same_proposal_draws_the_same_numbers_and_another_does_not():
    assert key(3, 7).random() == key(3, 7).random()
    assert len({key(seed, number).random() for seed in range(20) for number in range(200)}) == 4000


def test_greed_wanes_to_a_fifth_while_nothing_is_gained():
    config = Config(greedy=0.5, patience=0.25)
    assert greedy_share(config, 0, 0) == 0.5
    shares = [greedy_share(config, 1000, gained) for gained in (1000, 875, 750, 0)]
    assert shares == pytest.approx([0.5, 0.3, 0.1, 0.1])
    assert greedy_share(Config(greedy=0.5, patience=0.0), 10**6, 0) == 0.5


def test_without_pressure_every_cell_is_as_likely_and_with_it_the_best_lead():
    even = draws(Config(uniform=0.0, pressure=0.0))
    assert max(even.values()) < 1.4 * min(even.values())
    steep = draws(Config(uniform=0.0, pressure=4.0))
    assert steep["p0"] > 3 * steep["p5"] > 0


def test_a_parent_that_was_used_often_is_used_less():
    tired = draws(Config(uniform=0.0, pressure=0.0, fatigue=1.0), lambda p: 50 if p == "p0" else 0)
    assert tired["p0"] < 0.3 * tired["p1"]


def test_the_share_of_the_seed_program_falls_with_evaluations_but_not_below_root():
    shares = [root_share(Config(explore=200), evaluations) for evaluations in (0, 200, 600, 19_800)]
    assert shares == pytest.approx([1.0, 0.5, 0.25, 0.01])
    assert root_share(Config(explore=200, root=0.3), 10**6) == 0.3
    assert root_share(Config(explore=0), 0) == 0.0
    assert root_share(Config(explore=0, root=1.0), 0) == 1.0


def test_a_greedy_search_takes_the_best():
    assert draws(Config(), greedy=1.0) == Counter({"p0": 4000})


def test_a_greedy_search_takes_any_that_is_as_good_as_the_best():
    equals = [replace(elite, objective=1.0) for elite in ELITES[:4]] + list(ELITES[4:])
    taken = draws(Config(), greedy=1.0, elites=equals)
    assert set(taken) == {"p0", "p1", "p2", "p3"}
    assert max(taken.values()) < 1.3 * min(taken.values())


def test_one_elite_is_enough():
    assert choose_parent(ELITES[:1], lambda p: 10**6, key(0, 0), Config(), 0.0) is ELITES[0]
    assert choose_mates(ELITES[:1], ELITES[0], key(0, 0), 3) == ()


def test_mates_are_never_the_parent():
    for number in range(200):
        mates = choose_mates(ELITES, ELITES[2], key(0, number), 4)
        assert ELITES[2] not in mates


@pytest.mark.parametrize("greedy", [0.0, 0.95])
def test_every_cell_can_become_a_parent(greedy):
    assert len(draws(Config(), greedy=greedy, count=20_000)) == len(ELITES)
