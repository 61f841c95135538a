"""The fingerprint changes with what a score depends on, and with nothing else."""

import pytest

from evolve.fingerprint import digest, fingerprint
from evolve.loader import load


def mark(path):
    return fingerprint(load(str(path)))


@pytest.mark.parametrize(
    "replace",
    [
        {'"""A small problem for tests."""': '"""Other words."""'},
        {"def score(y, case):": 'def score(y, case):\n    """Say more."""'},
        {"def score(y, case):": "# a comment\ndef score(y, case):"},
        {"bins=8), Measure": "bins=16), Measure"},
        {"return 4.5": "return 4.75"},
        {"hidden=10 * k": "hidden=11 * k"},
        {"return x + 1.0": "return x + 2.0"},
    ],
)
def test_words_bins_baselines_unseen_cases_and_the_seed_stay_outside(problem_file, replace):
    before = mark(problem_file())
    assert mark(problem_file(replace=replace)) == before


@pytest.mark.parametrize(
    "replace",
    [
        {"y > 1e6": "y > 1e5"},
        {"hidden=2 * k": "hidden=3 * k"},
        {"seconds=2.0": "seconds=3.0"},
        {"k: float = 3.0": "k: float = 3.5"},
        {'"size": min': '"size": max'},
    ],
)
def test_scoring_cases_limits_and_parameters_are_inside(problem_file, replace):
    before = mark(problem_file())
    assert mark(problem_file(replace=replace)) != before


def test_a_neighbour_that_is_imported_counts(problem_file, tmp_path):
    neighbour = tmp_path / "helper_of_small.py"
    neighbour.write_text("OFFSET = 1.0\n")
    replace = {"def score(y, case):": "import helper_of_small\n\n\ndef score(y, case):"}
    before = mark(problem_file(replace=replace))
    neighbour.write_text("OFFSET = 1.0  # a comment\n")
    assert mark(problem_file(replace=replace)) == before
    neighbour.write_text("OFFSET = 2.0\n")
    assert mark(problem_file(replace=replace)) != before


def test_digest_tells_types_apart():
    assert len({digest(value) for value in (1, 1.0, True, "1", b"1", None, (1,), [1], {"a": 1})}) == 9
