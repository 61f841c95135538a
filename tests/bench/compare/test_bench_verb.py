"""`evolve bench` as people call it: the table, one document, files, exit codes and bad input."""

import json
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from evolve.bench.compare.records import Gate
from evolve.bench.compare.saving import save
from evolve.bench.compare.telling import tell


def told(report, width=100, before=None):
    page = StringIO()
    tell(Console(file=page, width=width, highlight=False, markup=False), report, before)
    return page.getvalue()


def test_it_measures_saves_and_tells_one_document(runs, cli, tmp_path):
    path = tmp_path / "x.json"
    words = ("--pairs", 6, "--rounds", 2, "--seed", 4, "--save", path, "--json")
    code, out, err = cli("bench", runs["lines"], "0", *words)
    assert code == 0, err
    document = json.loads(out)
    assert document["seed"] == 4
    assert {row["contender"] for row in document["rows"]} >= {"reference", "off"}
    assert document["control"] == {"failed": document["control"]["failed"]}
    assert json.loads(path.read_text(encoding="utf-8"))["evolve"]["seed"] == 4
    assert "comparing" in err
    assert "evolve:" not in out


def test_the_table_shows_every_row_in_a_wide_and_in_a_narrow_terminal(reports):
    for name, report in reports.items():
        for width in (120, 80, 40):
            text = told(report, width)
            assert max(map(len, text.splitlines()[:3])) <= width
            for contender in {row.contender for row in report.rows}:
                assert contender[:4] in text, (name, width)
            assert "control" in text


def test_a_failed_control_is_a_warning(reports):
    report = reports["squares"]
    moved = tuple(replace(row, low=1.2, high=1.3) if row.is_control else row for row in report.rows)
    text = told(replace(report, rows=moved))
    assert "warning: the control failed" in text
    assert "control FAILED" in text
    assert "FAILED" not in told(report)


def test_what_a_program_wrote_cannot_touch_the_terminal(reports):
    gate = Gate("best", "b2:1", False, "error: \x1b[2Jgone [bold]not markup[/bold]\x07")
    text = told(replace(reports["squares"], gates=(gate,)))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[bold]not markup[/bold]" in text


def test_an_earlier_file_stands_beside_and_says_when_it_is_of_another_machine(reports):
    report = reports["squares"]
    there = replace(report, machine={**report.machine, "host": "elsewhere"})
    assert "before" in told(report, before=report)
    assert "cannot be compared" not in told(report, before=report)
    assert "cannot be compared: they are from two machines: host" in told(report, before=there)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--pairs", 5), "--pairs 5: at least 6"),
        (("--rounds", 0), "--rounds 0: at least 1"),
        (("--reference", "none"), "there are: plain, wasteful, seed"),
        (("--seed", -1), "a number from 0"),
        (("--save", "none/x.json"), "there is no folder"),
        (("--against", "none.json"), "none.json: cannot be read"),
        (("zzzzzz",), "there is no such program"),
        (("9" * 25,), "there is no such program"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(runs, cli, words, message):
    code, out, err = cli("bench", runs["squares"], *words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("evolve: error: ")


def test_an_earlier_file_and_its_differences_are_in_the_document(runs, cli, reports, tmp_path):
    save(reports["lines"], tmp_path / "before.json")
    words = (
        "--pairs",
        6,
        "--rounds",
        1,
        "--against",
        tmp_path / "before.json",
        "--json",
        "--reference",
        "off",
    )
    code, out, _ = cli("bench", runs["lines"], *words)
    against = json.loads(out)["against"]
    assert code == 0
    assert against["comparable"] is False
    assert "two references: off and close" in against["why_not"][0]
