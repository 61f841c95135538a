"""The sentences: each verdict has one, and says no more than the figures do."""

import math
import sys
from pathlib import Path

from evolve.bench.study.claims import asked, paired_gains, summary, too_few, worded
from evolve.programs_db.records import Objective

sys.path.insert(0, str(Path(__file__).parent))
from made_up_outcomes import outcome

MIN = Objective("cost", "min")


def one(gains, others=()):
    pairs = [("capset", "evolution", "hill_climbing", gains), *others]
    return asked(pairs, "final")[0]


def test_a_settled_question_is_said_plainly():
    found = one([1.0] * 18 + [-0.5] * 2)
    assert found.verdict == "better"
    assert worded(found).startswith(
        "evolution is better than hill_climbing on capset: better on 18 of 20 seeds, 2 worse; p = "
    )
    assert "not settled" not in worded(found)


def test_so_is_the_opposite():
    found = one([-1.0] * 12)
    assert found.verdict == "worse"
    assert "evolution is worse than hill_climbing on capset: better on 0 of 12 seeds, 12 worse" in worded(
        found
    )


def test_a_test_that_sides_with_the_fewer_seeds_is_not_told_without_a_word():
    gains = [-0.1 * n for n in range(1, 17)] + [2.0 * n for n in range(1, 15)]
    found = one(gains)
    assert (found.verdict, found.found.wins, found.found.losses) == ("better", 14, 16)
    assert "better on 14 of 30 seeds, 16 worse, but by more where it is better; p = " in worded(found)
    assert "16 of 30 seeds, 14 worse, but by more where it is worse" in worded(one([-gain for gain in gains]))
    assert "but" not in worded(one([1.0] * 12))


def test_what_is_not_settled_says_how_many_seeds_would():
    found = one([1.0, 2.0, -1.0, 3.0, 0.0, 0.5])
    assert found.verdict == "not settled"
    assert found.needed > 6
    told = worded(found)
    assert "against hill_climbing on capset: better on 4 of 6 seeds, 1 worse, 1 equal" in told
    assert f"not settled; about {found.needed} seeds would settle it at 80 % power" in told


def test_of_very_few_seeds_no_number_is_made_up():
    assert "; so few seeds do not tell how many would settle it." in worded(one([1.0, -0.5]))


def test_where_nothing_is_seen_no_number_is_made_up():
    told = worded(one([1.0, -1.0, 2.0, -2.0, 3.0, -3.0]))
    assert "better on 3 of 6 seeds, 3 worse" in told
    assert "no difference that any number of them would settle" in told


def test_equal_runs_are_called_equal():
    assert (
        worded(one([0.0] * 7))
        == "evolution and hill_climbing are equal on capset, in each of 7 pairs of runs."
    )


def test_the_correction_may_leave_open_what_one_question_would_settle():
    alone = one([1.0] * 7)
    among = one([1.0] * 7, [(f"p{n}", "a", "b", [1.0, -2.0, 0.5]) for n in range(9)])
    assert (alone.verdict, among.verdict) == ("better", "not settled")
    assert among.p_adjusted == min(1.0, 10 * alone.found.p)


def test_gains_are_positive_where_less_is_better_and_failures_lose():
    ours = {
        0: outcome(final=1.0, unseen=(1.0,)),
        1: outcome(seed=1, final=5.0, unseen=(None,)),
        2: outcome(seed=2),
    }
    theirs = {0: outcome(final=3.0, unseen=(None,)), 1: outcome(seed=1, final=4.0, unseen=(2.0,))}
    assert paired_gains(ours, theirs, MIN, "final") == [2.0, -1.0]
    assert paired_gains(ours, theirs, MIN, "unseen") == [math.inf, -math.inf]
    assert paired_gains({1: ours[1]}, {1: ours[1]}, MIN, "unseen") == [0.0]


def test_the_summary_counts_problems():
    questions = asked(
        [("a", "x", "y", [1.0] * 9), ("b", "x", "y", [-1.0] * 9), ("c", "x", "y", [1.0, -1.0])], "final"
    )
    assert summary(questions) == [
        "x against y: better on 1 of 3 (a); worse on 1 of 3 (b); not settled on 1 of 3 (c)."
    ]
    assert summary(questions[:1]) == ["x against y: better on 1 of 1 (a); worse on none."]


def test_too_few_seeds_are_said_to_be():
    assert "5 seeds can hardly settle 1 question:" in too_few(5, 1)
    assert too_few(6, 1) == too_few(30, 25) == ""
