"""Two versions of the engine held against each other: worse is an exit code, and what cannot be compared is refused."""

import copy
import json
import sys
from pathlib import Path

import pytest

from evolve.bench.study.against import Other, held_against
from evolve.errors import UsageError

sys.path.insert(0, str(Path(__file__).parent))
from small_study import PLAN, write


def against(document, change, tmp_path, name="then.json"):
    """The document as another version would have made it."""
    other = copy.deepcopy(document)
    change(other)
    path = tmp_path / name
    path.write_text(json.dumps(other), encoding="utf-8")
    return Other.read(path)


def moved(by, seeds=4):
    """Runs of more seeds whose results differ by so much, of another source."""

    def change(document):
        document["engine"]["source"] = "b2:0000000000000000"
        for one in document["runs"]:
            one["final"] += by
            one["content"] = "b2:other"

    return change


@pytest.fixture
def many(made):
    """The finished study, as if it had twelve seeds."""
    _, document = made
    told = copy.deepcopy(document)
    told["plan"]["seeds"] = list(range(12))
    told["runs"] = [{**one, "seed": one["seed"] + 4 * turn} for one in told["runs"] for turn in range(3)]
    return told


def test_a_search_that_has_become_worse_fails(many, tmp_path):
    found = held_against(many, against(many, moved(-0.01), tmp_path))
    assert found.worse
    assert "the search has become worse: " in found.sentences[-1]
    assert any(
        "is worse than it was: better on 0 of 12 seeds, worse on 12" in line for line in found.sentences
    )
    assert any(line.startswith("that version: evolve") and "then.json" in line for line in found.sentences)
    assert "0 of 24 pairs of runs are equal to the last bit." in found.sentences


def test_one_that_has_become_better_does_not(many, tmp_path):
    found = held_against(many, against(many, moved(0.01), tmp_path))
    assert not found.worse
    assert any("is better than it was" in line for line in found.sentences)


def test_so_few_seeds_as_four_accuse_nobody(made, tmp_path):
    _, document = made
    found = held_against(document, against(document, moved(-5.0), tmp_path))
    assert not found.worse
    assert any("4 seeds can hardly settle" in line for line in found.sentences)


def test_the_same_source_is_said_to_be(made, tmp_path):
    folder, document = made
    found = held_against(document, Other.read(folder))
    assert not found.worse
    told = (
        "Both are the same source: what differs is not the engine's doing. 8 of 8 pairs of runs are equal to"
    )
    assert f"{told} the last bit." in found.sentences


def test_the_verb_compares_and_its_exit_code_says_how_it_went(many, made, tmp_path, cli):
    folder, _ = made
    code, out, _ = cli("study", folder.parent / "plan.toml", "-o", folder, "--against", folder)
    assert code == 0
    assert "no search has become worse" in out
    code, out, _ = cli("study", folder.parent / "plan.toml", "-o", folder, "--against", folder, "--json")
    assert code == 0
    assert json.loads(out)["against"]["worse"] is False
    assert "## Against another study" in (folder / "study.md").read_text()


def _problem(document):
    document["problems"]["small"]["fingerprint"] = "b2:x"


def _budget(document):
    document["plan"]["budget"] = {"evaluations": 81}


def _strategy(document):
    document["plan"]["strategies"][1]["dials"] = {"tune": 1}


def _seeds(document):
    document["plan"]["seeds"] = [77]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_problem, "problem 'small', or a library that scores it, is not the same there"),
        (_budget, "its budget was 81 evaluations, this one's is 80 evaluations"),
        (_strategy, "strategy 'tuned' is another there"),
        (_seeds, "no seed is in both"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_runs(made, tmp_path, cli, change, words):
    _, document = made
    other = against(document, change, tmp_path)
    code, _, err = cli("study", write(tmp_path, PLAN), "-o", tmp_path / "new", "--against", other.path)
    assert code == 2
    assert words in err
    assert not (tmp_path / "new").exists()


def test_what_is_no_study_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("[1]")
    for path in (tmp_path, tmp_path / "none", tmp_path / "a.json"):
        with pytest.raises(UsageError, match="--against"):
            Other.read(path)


def _no_plan(document):
    del document["plan"]


def _nothing_ran(document):
    document["runs"] = []


def _no_curve(document):
    del document["runs"][0]["curve"]


def _no_seeds(document):
    document["plan"]["seeds"] = None


def _other_seeds_ran(document):
    for one in document["runs"]:
        one["seed"] += 100


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_no_plan, "not a whole study.json (KeyError: 'plan')"),
        (_no_curve, "not a whole study.json"),
        (_no_seeds, "not a whole study.json"),
        (_nothing_ran, "it has no run of evolution on small"),
        (_other_seeds_ran, "it has no run of evolution on small"),
    ],
)
def test_what_lacks_something_is_refused_and_never_said_to_be_worse_or_not(
    made, tmp_path, cli, change, words
):
    _, document = made
    other = copy.deepcopy(document)
    change(other)
    path = tmp_path / "then.json"
    path.write_text(json.dumps(other), encoding="utf-8")
    code, _, err = cli("study", write(tmp_path, PLAN), "-o", tmp_path / "new", "--against", path)
    assert (code, words in " ".join(err.split())) == (2, True)
    assert not (tmp_path / "new").exists()
