"""Files of results: pytest-benchmark reads them, a regression fails, and two machines are never compared silently."""

import json
from dataclasses import replace

import pytest

from evolve.bench.compare.records import CONTROL
from evolve.bench.compare.saved import differences, group_of, identity, read
from evolve.bench.compare.saving import save
from evolve.errors import UsageError

PLUGIN = ("-q", "-p", "no:cacheprovider", "-p", "evolve.bench.compare.plugin")


@pytest.fixture(scope="session")
def saved(reports, tmp_path_factory):
    """Result files of both reports, and one of the first with each time 1.3 times as long."""
    folder = tmp_path_factory.mktemp("saved")
    slower = replace(
        reports["squares"],
        rows=tuple(
            replace(row, seconds=tuple(1.3 * second for second in row.seconds))
            for row in reports["squares"].rows
        ),
    )
    for name, report in {**reports, "regressed": slower}.items():
        save(report, folder / f"{name}.json")
    return folder


def elsewhere(report, **facts):
    return replace(report, machine={**report.machine, **facts})


def test_a_file_holds_what_pytest_benchmark_writes_and_each_row_beside_it(saved, reports):
    told = json.loads((saved / "squares.json").read_text(encoding="utf-8"))
    names = {one["fullname"]: one for one in told["benchmarks"]}
    one = names["squares::wasteful[short]"]
    row = next(row for row in reports["squares"].rows if (row.contender, row.case) == ("wasteful", "short"))
    assert one["stats"]["data"] == list(row.seconds)
    assert one["stats"]["rounds"] == len(row.seconds)
    about = one["extra_info"]
    assert about["ratio"] == row.ratio
    assert (about["low"], about["high"], about["pairs"]) == (row.low, row.high, 8)
    assert about["verdict"] == "slower"
    assert about["program"].startswith("b2:")
    assert about["machine"]["python"]
    assert "disagreement" in about
    assert f"squares::{CONTROL}[short]" in names
    assert told["machine_info"]["evolve"]["python"] == about["machine"]["python"]
    assert read(saved / "squares.json") == reports["squares"]


def test_pytest_benchmark_compares_two_files_of_ours(saved, outside):
    found = outside("pytest_benchmark", "compare", saved / "squares.json", saved / "regressed.json", code=0)
    assert found.stdout.count("squares: short (beside plain") == 1
    for name in ("wasteful[short] (", "wasteful[long] (", f"{CONTROL}[short] ("):
        assert found.stdout.count(name) == 2, found.stdout


def test_pytest_benchmark_draws_histograms_of_our_files(saved, outside, tmp_path):
    command = ("pytest_benchmark", "compare", saved / "squares.json", saved / "regressed.json")
    outside(*command, "--histogram=bars", code=0)
    pictures = list(tmp_path.glob("bars-*.svg"))
    assert len(pictures) == 2
    assert all("<svg" in picture.read_text(encoding="utf-8") for picture in pictures)


def test_a_regression_makes_compare_fail_fail_and_none_does_not(saved, outside):
    words = ["--benchmark-compare-fail=mean:5%", "--benchmark-storage=none"]
    before = f"--benchmark-compare={saved / 'squares.json'}"
    worse = outside("pytest", *PLUGIN, "--evolve-report", saved / "regressed.json", before, words[0])
    assert worse.returncode != 0
    assert "Performance has regressed" in worse.stdout + worse.stderr
    assert "wasteful[short]" in worse.stdout + worse.stderr
    same = outside("pytest", *PLUGIN, "--evolve-report", saved / "squares.json", before, words[0])
    assert same.returncode == 0, same.stdout + same.stderr


def test_results_of_two_machines_are_in_other_groups_and_say_so(saved, reports, outside, tmp_path):
    save(elsewhere(reports["squares"], host="elsewhere", cpu="Z80"), tmp_path / "there.json")
    found = outside("pytest_benchmark", "compare", saved / "squares.json", tmp_path / "there.json", code=0)
    assert found.stdout.count("squares: short (beside plain") == 2
    words = ("--evolve-report", saved / "squares.json", f"--benchmark-compare={tmp_path / 'there.json'}")
    told = outside("pytest", *PLUGIN, *words)
    assert "these results cannot be compared: they are from two machines" in told.stdout + told.stderr
    assert "Z80" in told.stdout + told.stderr


def test_why_two_reports_cannot_be_compared_is_said_in_sentences(reports):
    one = identity(reports["squares"])
    assert list(differences(one, identity(reports["squares"]))) == []
    assert list(differences(one, identity(elsewhere(reports["squares"], load=9.0, kernel="other")))) == []
    (told,) = differences(one, identity(elsewhere(reports["squares"], numpy="1.0")))
    assert told.startswith("they are from two machines: numpy ")
    (told,) = differences(one, {**one, "fingerprint": "b2:other"})
    assert "has changed between them" in told
    (told,) = differences(one, {**one, "reference": {"name": "plain", "program": "b2:other"}})
    assert "two references: plain and plain, which are other programs" in told
    assert "two problems" in next(differences(one, identity(reports["lines"])))
    assert group_of(one, "short") != group_of({**one, "fingerprint": "b2:other!"}, "short")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"evolve": {"rows": 3}}', '{"evolve": []}'])
def test_what_is_no_result_file_is_a_plain_error(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="is no result file"):
        read(path)


def test_a_folder_that_is_not_there_is_said_before_anything_is_measured(tmp_path, reports):
    with pytest.raises(UsageError, match="there is no folder"):
        save(reports["squares"], tmp_path / "none" / "x.json")


def test_only_a_file_that_was_saved_is_written_over(runs, reports, tmp_path):
    ledger = tmp_path / "a.db"
    ledger.write_bytes(runs["lines"].read_bytes())
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    for path in (ledger, tmp_path / "notes.txt"):
        before = path.read_bytes()
        with pytest.raises(UsageError, match="left as it is"):
            save(reports["lines"], path)
        assert path.read_bytes() == before
    for name in ("squares", "lines"):
        save(reports[name], tmp_path / "x.json")
    assert read(tmp_path / "x.json") == reports["lines"]
