"""The pages of the suite say what ledgers say, and name what failed."""

import importlib
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

import evolve
from evolve.loader import load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def suite():
    """Its modules by their names: they are not installed, and lie in the checkout."""
    names = ("runs", "page", "plot")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        yield SimpleNamespace(**{name: importlib.import_module(f"bench.suite.{name}") for name in names})


@pytest.fixture(scope="module")
def found(suite, tmp_path_factory):
    """Two problems with two short runs each, of which one has found nothing, and one that cannot be loaded."""
    folder = tmp_path_factory.mktemp("suite")
    rows = []
    for name, proposals in (("capset", 300), ("sorting_network", 1)):
        for seed in (0, 1):
            evolve.run(name, seed=seed, proposals=proposals, ledger=folder / f"{name}-{seed}.db", workers=1)
        courses = tuple(suite.runs.course_of(folder / f"{name}-{seed}.db", seed) for seed in (0, 1))
        rows.append(suite.runs.Row(name, load(name), courses))
    return [*rows, suite.runs.Row("absent", None, missing="torch is not installed")]


def test_the_table_says_what_ledgers_say(suite, found):
    told = suite.page.page(found)
    capset, network = found[0].courses, found[1].courses
    assert f"| {capset[0].best:g}, {capset[1].best:g} |" in told
    assert "certified, certified" in told
    assert "| `capset` | size (max) | 64 |" in told
    assert "**1 of 2** problems improve" in told
    (line,) = (line for line in told.splitlines() if line.startswith("| `sorting_network`"))
    assert "**no better**" in line
    assert network[0].document["best"]["why"] in told
    assert "| `absent` | | | not run: torch is not installed |" in told


def test_the_gallery_has_seed_baselines_best_and_references(suite, found):
    told = suite.page.gallery(found)
    assert "## [capset](capset.py)" in told
    assert "| seed program | 64 |" in told
    assert "| baseline `fewest_zeros` | 64 |" in told
    assert "| optimum (n6) | 112 (Potechin 2008) |" in told
    assert "![capset](../docs/suite/capset.svg)" in told


def test_a_plot_is_a_drawing_of_every_seed(suite, found):
    root = ElementTree.fromstring(suite.plot.small(found[0]))
    paths = [one for one in root if one.tag.endswith("path")]
    assert len(paths) == 3  # axes, and a line for each seed
    assert all("nan" not in one.attrib["d"] for one in paths)


def test_runs_that_have_ended_are_not_repeated(suite, tmp_path, monkeypatch):
    evolve.run("capset", seed=0, proposals=20, ledger=tmp_path / "capset-0.db", workers=1)
    asked = []
    monkeypatch.setattr(suite.runs, "SEEDS", range(2))
    monkeypatch.setattr(
        suite.runs.subprocess, "run", lambda command, **_: asked.append(command) or _run(tmp_path)
    )

    def _run(folder):
        evolve.run("capset", seed=1, proposals=20, ledger=folder / "capset-1.db", workers=1)

    (row,) = suite.runs.rows(tmp_path, ["capset"])
    assert [course.seed for course in row.courses] == [0, 1]
    (command,) = asked
    assert command[command.index("--seed") + 1] == "1"
