"""Laws of the measures of discovery, and their figures on ledgers whose answers can be told by hand."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as some

from evolve.bench.measures import (
    Curve,
    area,
    at,
    claims_of,
    curve_of,
    earliness,
    filling,
    measure,
    rate,
    staleness_of,
)
from evolve.bench.novelty import (
    MOST,
    Watched,
    effective,
    grams,
    novelty_of,
    placed,
    spread,
    structure_novelty,
)
from evolve.programs_db.archive import Archive
from evolve.programs_db.audit import text_hash
from evolve.programs_db.claims import Ruling
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.records import (
    Commit,
    Elite,
    Evaluation,
    Measure,
    Objective,
    Program,
    Proposal,
    Status,
)

numbers = some.floats(-1e6, 1e6)
AXES = (Measure("a", 0.0, 1.0, 4), Measure("b", -1.0, 1.0, 4))


@some.composite
def curves(draw, direction="max"):
    """A curve that improves, and a budget that reaches beyond its first value."""
    steps = draw(some.lists(some.integers(1, 1000), min_size=1, max_size=20))
    gains = draw(some.lists(some.floats(1e-3, 1e3), min_size=len(steps), max_size=len(steps)))
    sign = 1.0 if direction == "max" else -1.0
    values = draw(numbers) + sign * np.cumsum([0.0, *gains[1:]])
    evaluations = np.cumsum(steps).astype(np.int64)
    until = draw(some.integers(int(evaluations[0]), int(evaluations[-1]) + 1000))
    return Curve(evaluations, values), until


def elite(number, objective, measures, source="def f(x):\n    return x\n", structure="s"):
    return Elite(Program(text_hash(source), source, "c", structure, 5), objective, measures, "b", number)


# The anytime curve


def test_the_area_of_a_curve_by_hand():
    curve = Curve(np.array([1, 3]), np.array([10.0, 4.0]))
    # After 1, 2 evaluations nothing is gained, after 3 and 4 it is 6: a mean of 3.
    assert area(curve, 4, "min") == 3.0
    assert earliness(curve, 4, "min") == 0.5
    assert area(curve, 2, "min") == 0.0
    assert earliness(curve, 2, "min") is None
    assert [at(curve, count) for count in (1, 2, 3, 99)] == [10.0, 10.0, 4.0, 4.0]
    assert math.isnan(at(curve, 0))


@given(curves())
def test_an_area_is_the_mean_gain_after_each_evaluation(drawn):
    curve, until = drawn
    slow = [at(curve, count) - curve.first for count in range(int(curve.evaluations[0]), until + 1)]
    assert area(curve, until, "max") == pytest.approx(math.fsum(slow) / len(slow), abs=1e-6, rel=1e-9)


@given(curves())
def test_an_area_lies_between_nothing_and_the_whole_gain_and_grows_with_the_budget(drawn):
    curve, until = drawn
    gained = at(curve, until) - curve.first
    assert 0.0 <= area(curve, until, "max") <= gained * (1 + 1e-12)
    assert area(curve, until, "max") <= area(curve, until + 50, "max") * (1 + 1e-12) + 1e-12
    early = earliness(curve, until, "max")
    assert early is None or 0.0 <= early <= 1.0 + 1e-12


@given(curves(), numbers)
def test_an_area_does_not_depend_on_the_direction_or_on_where_zero_is(drawn, shift):
    curve, until = drawn
    known = area(curve, until, "max")
    assert area(Curve(curve.evaluations, -curve.values), until, "min") == pytest.approx(known)
    shifted = Curve(curve.evaluations, curve.values + shift)
    assert area(shifted, until, "max") == pytest.approx(known, rel=1e-6, abs=1e-6)


@given(curves())
def test_who_gains_the_same_earlier_has_the_larger_area(drawn):
    curve, until = drawn
    assume(len(curve) > 1)
    earlier = curve.evaluations.copy()
    earlier[1:] = np.maximum(earlier[0], earlier[1:] - 5)
    assert area(Curve(earlier, curve.values), until, "max") >= area(curve, until, "max") * (1 - 1e-12)


@pytest.mark.parametrize("until", [0, 4])
def test_there_is_no_area_before_the_first_value(until):
    with pytest.raises(ValueError, match="no area"):
        area(Curve(np.array([5]), np.array([1.0])), until, "max")
    with pytest.raises(ValueError, match="no area"):
        area(Curve(np.array([], dtype=np.int64), np.array([])), until, "max")


@pytest.mark.parametrize("evaluations", [[2, 1], [[1, 2]], [1, 2, 3]])
def test_what_is_no_curve_is_refused(evaluations):
    with pytest.raises(ValueError, match="curve"):
        Curve(np.array(evaluations), np.array([1.0, 2.0]))


# Rates


@given(numbers, numbers, some.integers(1, 10**6), some.floats(0, 1e6), some.integers(0, 10**9))
def test_a_rate_is_the_same_in_either_direction(seed, best, evaluations, seconds, tokens):
    cost = evaluations, seconds, tokens
    up, down = rate((seed, best), "max", cost), rate((-seed, -best), "min", cost)
    assert (up.gain, up.per_evaluation) == (down.gain, down.per_evaluation)
    assert up.log_gain == down.log_gain
    assert (up.per_cpu_second is None) == (seconds == 0.0)
    assert (up.per_thousand_tokens is None) == (tokens == 0)
    if up.log_gain is not None and up.gain:
        assert up.log_gain * up.gain >= 0.0


@given(some.floats(1e-3, 1e3), some.floats(1e-3, 1e3), some.floats(1e-3, 1e3))
def test_a_logarithmic_gain_does_not_depend_on_the_unit_and_the_gain_does(seed, best, unit):
    one, other = rate((seed, best), "min", (1, 1.0, 0)), rate((seed * unit, best * unit), "min", (1, 1.0, 0))
    assert one.log_gain == pytest.approx(other.log_gain, abs=1e-9)
    assert other.gain == pytest.approx(unit * one.gain, rel=1e-6, abs=1e-9)


def test_a_rate_by_hand():
    found = rate((4.0, 1.0), "min", (300, 60.0, 2_000))
    assert (found.gain, found.per_evaluation, found.per_cpu_second) == (3.0, 0.01, 0.05)
    assert found.per_thousand_tokens == 1.5
    assert found.log_gain == pytest.approx(math.log(4.0))
    assert rate((1.0, -1.0), "min", (1, 1.0, 0)).log_gain is None


# The archive


@given(
    some.lists(some.tuples(some.integers(0, 2), numbers, some.floats(0, 1), some.floats(-1, 1)), min_size=1)
)
def test_the_filling_of_an_archive_is_that_of_its_cells(offers):
    archive = Archive(Objective("o", "min"), AXES, 3)
    best = {}
    for number, (island, value, a, b) in enumerate(offers):
        archive.add(island, elite(number, value, (a, b)))
        cell = AXES[0].bin(a), AXES[1].bin(b)
        best[cell] = min(value, best.get(cell, math.inf))
    found = filling(archive, offset=1e6)
    assert (found.cells, found.filled) == (16, len(best))
    assert found.coverage == len(best) / 16
    assert found.qd_score == pytest.approx(sum(1e6 - value for value in best.values()))
    assert found.normalised == pytest.approx(found.qd_score / 16)
    assert found.above == pytest.approx(found.qd_score)
    seed = filling(archive)
    assert seed.offset == offers[0][1]
    assert seed.above >= max(0.0, seed.qd_score) - 1e-6


def test_a_score_of_what_beats_the_seed_does_not_fall_when_a_poor_cell_is_filled():
    archive = Archive(Objective("o", "max"), AXES, 1)
    archive.add(0, elite(0, 5.0, (0.1, 0.1)))
    archive.add(0, elite(1, 7.0, (0.9, 0.1)))
    before = filling(archive)
    archive.add(0, elite(2, -100.0, (0.1, 0.9)))
    after = filling(archive)
    assert after.qd_score < before.qd_score
    assert after.above == before.above == 2.0


# Novelty and diversity


def test_structure_does_not_see_numbers_comments_or_layout():
    one = "def f(x):\n    return x + 1.5  # one\n"
    other = "def f(x):\n\n        return   x + 2\n"
    assert grams(one) == grams(other)
    assert grams(one) != grams(one.replace("+", "-"))
    assert structure_novelty([one, other, one.replace("+", "-")])[0] == 0.0


texts = some.lists(
    some.one_of(some.text(max_size=30), some.sampled_from(["x + 1", "x + y", "f(x)", "("])), max_size=9
)


@given(texts)
def test_structure_novelty_is_the_distance_to_the_nearest_before(sources):
    found = structure_novelty(sources)
    assert len(found) == max(0, len(sources) - 1)
    for place in range(1, len(sources)):
        own = grams(sources[place])
        slow = min(1 - len(own & grams(one)) / len(own | grams(one)) for one in sources[:place])
        assert found[place - 1] == pytest.approx(slow)
    assert ((found >= 0.0) & (found <= 1.0)).all()


@given(texts)
def test_what_was_there_before_is_not_new(sources):
    assume(sources)
    again = structure_novelty([*sources, *sources])
    assert (again[len(sources) - 1 :] == 0.0).all()


@given(some.lists(some.tuples(some.floats(), some.floats()), max_size=12))
def test_no_two_behaviours_are_further_apart_than_one(measures):
    points = placed([elite(n, 1.0, one) for n, one in enumerate(measures)], AXES)
    assert np.isfinite(points).all()
    assert 0.0 <= spread(points) <= 1.0 + 1e-9
    found = novelty_of([(n, elite(n, 1.0, one)) for n, one in enumerate(measures)], AXES)
    assert ((found.behaviour >= 0.0) & (found.behaviour <= 1.0 + 1e-9)).all()


def test_opposite_corners_are_one_apart():
    points = placed([elite(0, 1.0, (0.0, -1.0)), elite(1, 1.0, (1.0, 1.0))], AXES)
    assert spread(points) == pytest.approx(1.0)


@given(some.lists(some.integers(0, 5), min_size=1))
def test_the_effective_number_of_kinds_is_between_one_and_all(kinds):
    assert 1.0 - 1e-9 <= effective(kinds) <= len(set(kinds)) + 1e-9
    assert effective(sorted(set(kinds))) == pytest.approx(len(set(kinds)))


def test_of_very_many_elites_a_sample_is_compared():
    many = [(n, elite(n, 1.0, (n % 7 / 7, 0.0), f"x + {'y + ' * (n % 5)} z")) for n in range(MOST + 500)]
    found = novelty_of(many, AXES)
    assert found.sampled
    assert (found.elites, len(found.evaluations)) == (MOST + 500, MOST)
    assert found.evaluations[[0, -1]].tolist() == [0, MOST + 499]


@given(some.integers(0, 200))
def test_diversity_is_told_at_some_forty_times_however_long_the_run_is(count):
    archive = Watched(Objective("o", "max"), AXES, 1)
    for number in range(count):
        archive.commit(Commit(Proposal(number, 0, "m", evaluations=2)))
    points = archive.diversity()
    assert (len(points) > 0) == (count > 0)
    assert min(count, 20) <= len(points) <= 41
    assert [point.evaluations for point in points] == sorted({point.evaluations for point in points})
    assert not points or points[-1].evaluations == 2 * count


# Of a ledger


@pytest.fixture
def book(tmp_path):
    """Five commits: the seed program at 10, then 12, a failure, 7 and 8; four islands' worth of nothing else."""
    problem = {
        "name": "p",
        "objective": {"name": "o", "direction": "min", "unit": ""},
        "measures": [["a", 0.0, 1.0, 4], ["b", -1.0, 1.0, 4]],
    }
    with Ledger.create(tmp_path / "a.db", problem, {"seed": 0, "config": {"islands": 2}}, "fp") as book:
        book.begin_session("fp", {}, [], {})
        for number, value in enumerate([10.0, 12.0, None, 7.0, 8.0]):
            source = f"def f(x):\n    return x + {number}\n"
            program = Program(text_hash(source), source, text_hash(source), f"s{number % 2}", 5)
            status = Status.OK if value is not None else Status.ERROR
            measures = {"a": number / 4, "b": 0.0} if value is not None else {}
            evaluation = Evaluation(program.id, status, objective=value, measures=measures)
            spent = 1 if number == 0 else 10
            proposal = Proposal(number, 0, "m", "", (), program.id, "c", number, spent)
            book.record(Commit(proposal, program, evaluation))
        book.flush()
        yield book


def test_the_measures_of_a_ledger_by_hand(book):
    curve = curve_of(book)
    assert (curve.evaluations.tolist(), curve.values.tolist()) == ([1, 31], [10.0, 7.0])
    found = measure(book, cpu_seconds=6.0)
    assert found.evaluations == 41
    assert found.area == pytest.approx(3.0 * 11 / 41)
    assert found.earliness == pytest.approx(11 / 41)
    assert (found.rate.gain, found.rate.per_evaluation, found.rate.per_cpu_second) == (3.0, 3.0 / 41, 0.5)
    assert (found.filling.filled, found.filling.offset) == (3, 10.0)  # 7 and 8 share a cell, the outermost
    assert found.filling.qd_score == pytest.approx(0.0 - 2.0 + 3.0)
    assert found.novelty.elites == 3
    assert found.novelty.structure.tolist() == [0.0, 0.0]  # but for a number they are one program
    assert found.novelty.behaviour == pytest.approx(np.array([0.25, 0.5]) / math.sqrt(2.0))
    assert found.diversity[-1].elites == 3
    assert found.staleness.median == 2.5
    assert found.claims.share is None
    assert found.as_dict()["gain"] == 3.0


def test_gains_that_no_number_holds_are_infinite_and_no_error():
    archive = Archive(Objective("o", "max"), AXES, 1)
    for number, value in enumerate([-1.7e308, 1.7e308, 1.6e308]):
        archive.add(0, elite(number, value, (number / 3, 0.0)))
    assert filling(archive, 0.0).above == math.inf
    curve = Curve(np.array([1, 2]), np.array([-1.7e308, 1.7e308]))
    assert area(curve, 2, "max") == math.inf
    assert earliness(curve, 2, "max") is None


def test_claims_count_the_last_word_on_each_program(book):
    first, second = (
        row["program"] for row in book.query("SELECT program FROM proposals ORDER BY number LIMIT 2")
    )
    said = [(first, "confirmed"), (second, "certified"), (first, "refuted")]
    for program, verdict in said:
        book.record_ruling(Ruling(program, "fp", "v", verdict, {"why": "", "findings": []}, 1.0))
    book.record_ruling(Ruling(second, "another", "v", "refuted", {"why": "", "findings": []}, 1.0))
    claims = claims_of(book)
    assert (claims.certified, claims.confirmed, claims.refuted, claims.share) == (1, 0, 1, 0.5)


@given(some.lists(some.integers(0, 1000), min_size=1))
def test_staleness_is_ordered(values):
    found = staleness_of(values)
    assert min(values) <= found.median <= found.high <= found.most == max(values)
    assert staleness_of([]) is None
