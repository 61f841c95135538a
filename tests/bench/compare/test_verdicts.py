"""Statistics of a report: intervals, tests and verdicts that cannot contradict one another."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evolve.bench.compare.orders import Block, Scores
from evolve.bench.compare.records import ALL_CASES, CONTROL, Contender, Row
from evolve.bench.compare.verdicts import corrected, paired, rows_of_blocks, rows_of_scores

ONE = Contender("best", "b2:1", "")


def row(name="best", p=0.01, verdict="faster", pairs=20, **about):
    return Row(name, "b2:1", "case", pairs, verdict, p=p, **about)


def block(program, reference, rounds=3, disagreement=0.0, flagged=False):
    seconds = np.array([[program, reference]] * rounds)
    return Block(tuple("abc"[: len(program)]), seconds, disagreement, flagged)


def test_an_interval_and_a_p_value_are_those_computed_by_hand():
    # Of 8 figures the least and the greatest hold the median with 1 - 2/256; the third rank would be too much.
    found = paired(np.array([1.2, 1.3, 1.1, 1.4, 1.5, 1.6, 1.7, 1.8]), (1 / 1.01, 1.01), 0.95)
    assert (found.estimate, found.above) == (pytest.approx(1.45), True)
    assert found.low == pytest.approx(1.1 / 1.01)
    assert found.high == pytest.approx(1.8 * 1.01)
    assert found.p == pytest.approx(2 / 256)


def test_five_figures_say_nothing_whatever_they_are():
    found = paired(np.full(5, 9.0), (1 / 1.01, 1.01), 0.95)
    assert (found.low, found.high) == (None, None)
    assert found.p == pytest.approx(2 / 32)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
@given(
    st.lists(st.floats(0.9, 1.1), min_size=6, max_size=40),
    st.sampled_from([0.0, 0.01, 0.03]),
)
def test_a_test_rejects_just_where_its_interval_leaves_out_equality_and_on_the_same_side(figures, resolution):
    found = paired(np.array(figures), (1 / (1 + resolution), 1 + resolution), 0.95)
    rejected = found.p <= 0.05
    outside = found.low > 1.0 + 1e-12 or found.high < 1.0 - 1e-12
    near = abs(found.low - 1.0) < 1e-9 or abs(found.high - 1.0) < 1e-9
    assert near or rejected == outside
    if rejected and not near:
        assert found.above == (found.low > 1.0) == (found.estimate > 1.0)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
@given(st.lists(st.floats(-1.0, 1.0), min_size=6, max_size=40))
def test_differences_of_nothing_are_no_difference(figures):
    found = paired(np.array([*figures, *(-value for value in figures)]), (0.0, 0.0), 0.95)
    assert found.p > 0.05
    assert found.low <= 0.0 <= found.high


def test_holm_corrects_over_the_table_as_by_hand():
    # By hand, with m = 4: 0.01 x 4 = 0.04; 0.02 x 3 = 0.06; 0.03 x 2 = 0.06; 0.4 x 1 = 0.4.
    rows = corrected([row(p=0.02), row(p=0.01), row(p=0.4), row(p=0.03)], 0.95)
    assert [one.p_corrected for one in rows] == pytest.approx([0.06, 0.04, 0.4, 0.06])
    assert [one.verdict for one in rows] == ["no difference", "faster", "no difference", "no difference"]
    assert "not enough among 4 comparisons" in rows[0].why
    assert rows[2].why == ""


def test_the_control_is_not_corrected_and_takes_nothing_from_the_others():
    control, other = corrected([row(CONTROL, p=0.04), row(p=0.04)], 0.95)
    assert control.p_corrected is None
    assert control.verdict == "faster"
    assert other.p_corrected == pytest.approx(0.04)


def test_rows_that_could_never_tell_say_so_and_take_nothing_from_the_others():
    few, enough = corrected([row(p=0.0625, pairs=5), row(p=0.04)], 0.95)
    assert (few.verdict, few.p_corrected) == ("too few pairs", None)
    assert (enough.verdict, enough.p_corrected) == ("faster", pytest.approx(0.04))


def test_too_few_pairs_among_so_many_comparisons_are_named_with_how_many_would_do():
    rows = corrected([row(p=2**-6, pairs=7) for _ in range(10)], 0.95)
    assert {one.verdict for one in rows} == {"too few pairs"}
    assert "9 may do" in rows[0].why  # 2 ** (1 - 9) x 10 = 0.039


def test_whose_clocks_disagree_is_not_called_faster():
    flagged = row(p=1e-6, flagged=True, disagreement=0.4)
    (one,) = corrected([flagged], 0.95)
    assert one.verdict == "no difference"
    assert "40% kinder" in one.why
    (slower,) = corrected([replace(flagged, verdict="slower")], 0.95)
    assert slower.verdict == "slower"


def test_blocks_become_a_row_a_case_and_their_geometric_mean():
    blocks = [block((1.0, 2.0), (2.0, 16.0)) for _ in range(8)]
    first, second, over_all = corrected(rows_of_blocks(ONE, blocks, 0.01, 0.95), 0.95)
    assert [one.case for one in (first, second, over_all)] == ["a", "b", ALL_CASES]
    assert [one.ratio for one in (first, second, over_all)] == pytest.approx([2.0, 8.0, 4.0])
    assert first.verdict == "faster"
    assert len(first.seconds) == 24
    assert over_all.seconds == ()


def test_what_is_constant_in_a_process_is_noise_and_not_the_program():
    """Many rounds in few processes: within a block all agree, between blocks they do not."""
    lucky = [block((1.0,), (1.1,), 100) for _ in range(4)] + [block((1.1,), (1.0,), 100) for _ in range(4)]
    (one,) = corrected(rows_of_blocks(ONE, lucky, 0.01, 0.95), 0.95)
    assert one.verdict == "no difference"


def test_scores_are_compared_in_the_direction_of_the_objective():
    values = np.array([[1.0, 2.0 + place / 10] for place in range(8)])
    scores = {"fresh": Scores(values, np.full((8, 2), 1e-3))}
    for sign, verdict, gain in ((1.0, "worse", -1.35), (-1.0, "better", 1.35)):
        (one,) = corrected(rows_of_scores(ONE, scores, sign, 0.01, 0.95), 0.95)
        assert (one.verdict, one.gain) == (verdict, pytest.approx(gain))
        assert one.ratio == pytest.approx(1.0)
