"""Questions put to a ledger agree with the same questions put to the commits."""

import json
from collections import Counter

import pytest

from evolve.programs_db import export, lineage
from evolve.programs_db.archive import Archive
from evolve.programs_db.audit import text_hash
from evolve.programs_db.errors import LedgerError
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.records import Commit, Evaluation, Measure, Objective, Program, Proposal, Status

HIGH = Objective("x", "max")
LOW = Objective("x", "min")
BOTH = pytest.mark.parametrize("objective", [HIGH, LOW], ids=["max", "min"])


@pytest.fixture
def ledger(make, commits):
    return make(commits=commits)


def test_ancestors_go_by_the_first_parent_down_to_a_program_without_parents(ledger, commits):
    first = {}
    for commit in commits:
        if commit.program:
            first.setdefault(commit.program.id, commit)
    for start, made in first.items():
        expected, at = [], made
        while True:
            expected.append((at.program.id, at.proposal.number))
            if not at.proposal.parents:
                break
            at = first[at.proposal.parents[0]]
        found = lineage.ancestors(ledger, start)
        assert [(one.program, one.number) for one in found] == expected
    assert found[-1].mutator == "seed"
    assert lineage.ancestors(ledger, "b2:unknown") == []


def test_a_program_that_names_itself_as_parent_has_a_finite_line(make):
    ids = [text_hash(source) for source in "ab"]
    made = [Program(name, source, name, "", 1) for name, source in zip(ids, "ab", strict=True)]
    ledger = make(
        commits=[
            Commit(Proposal(0, 0, "x", parents=(ids[0],), program=ids[0]), made[0]),
            Commit(Proposal(1, 0, "x", parents=(ids[0],), program=ids[1]), made[1]),
            Commit(Proposal(2, 0, "x", parents=(ids[1],), program=ids[0]), made[0]),
        ]
    )
    assert [one.program for one in lineage.ancestors(ledger, ids[1])] == [ids[1], ids[0]]


@BOTH
def test_the_anytime_curve_has_every_improvement_and_its_cost(ledger, commits, objective):
    expected, spent, best = [], 0, None
    for commit in commits:
        spent += commit.proposal.evaluations
        value = commit.evaluation.objective if commit.evaluation else None
        if value is not None and (best is None or objective.better(value, best)):
            best = value
            expected.append(lineage.Point(commit.proposal.number, spent, value, commit.program.id))
    assert lineage.best_so_far(ledger, objective) == expected
    assert len(expected) > 1


@BOTH
def test_what_was_earned_is_counted_by_mutator_and_operator(ledger, commits, objective):
    curve = {point.number for point in lineage.best_so_far(ledger, objective)[1:]}
    found = lineage.earned(ledger, objective)
    assert sum(one.proposals for one in found) == len(commits)
    assert sum(one.improvements for one in found) == len(curve)
    for one in found:
        mine = [
            c.proposal
            for c in commits
            if (c.proposal.mutator, c.proposal.operator) == (one.mutator, one.operator)
        ]
        assert one.proposals == len(mine)
        assert one.programs == sum(p.program is not None for p in mine)
        assert one.improvements == len(curve & {p.number for p in mine})
        assert one.evaluations == sum(p.evaluations for p in mine)
    assert sum(one.over_parent for one in found) >= len(curve) - 1


def test_statuses_and_failures_are_counted_with_a_sample(ledger, commits):
    expected = Counter(commit.evaluation.status.value for commit in commits if commit.evaluation)
    assert lineage.statuses(ledger) == expected
    found = {one.kind: one for one in lineage.failures(ledger)}
    assert set(found) == {"error", "no program"}
    assert (found["error"].count, found["error"].number) == (expected["error"], 5)
    assert found["error"].sample == "ValueError: 5"
    assert found["no program"].sample == "no place to change"
    assert found["no program"].count == sum(commit.program is None for commit in commits)


def test_an_empty_ledger_answers_every_question(make):
    ledger = make()
    assert (lineage.failures(ledger), lineage.statuses(ledger), lineage.top(ledger, HIGH)) == ([], {}, [])
    assert lineage.best_so_far(ledger, HIGH) == lineage.earned(ledger, HIGH) == []
    assert list(export.elite_records(ledger)) == []


@BOTH
def test_the_best_programs_come_once_each(ledger, commits, objective):
    best = {}
    for commit in commits:
        if commit.evaluation and commit.evaluation.objective is not None:
            rank = (objective.key(commit.evaluation.objective), -commit.proposal.number)
            best[commit.program.id] = max(rank, best.get(commit.program.id, rank))
    expected = sorted(best, key=best.get, reverse=True)[:5]
    assert [one.program for one in lineage.top(ledger, objective, 5)] == expected
    assert len(lineage.top(ledger, objective, 1000)) == len(best)


def test_after_a_rescore_a_fingerprint_decides_what_is_best(ledger):
    worst = lineage.top(ledger, LOW, 1)[0]
    ledger.begin_session("fp-2", {}, [], None, rescored=ledger.problem)
    ledger.record_rescore([Evaluation(worst.program, Status.OK, objective=1000.0)])
    assert lineage.top(ledger, HIGH, 1)[0].program != worst.program
    [best] = lineage.top(ledger, HIGH, 3, fingerprint="fp-2")
    assert (best.program, best.objective) == (worst.program, 1000.0)
    assert [p.objective for p in lineage.best_so_far(ledger, HIGH, "fp-2")] == [1000.0]
    assert export.program_record(ledger, best.number, "fp-2")["objective"] == 1000.0


def test_elites_are_exported_from_the_archive_or_from_a_fresh_cache(ledger, writer, tmp_path):
    archive = Archive.replay(ledger.replay(), HIGH, [Measure("k", 0, 4, 4)], 2)
    records = list(export.elite_records(ledger, archive))
    assert len(records) == sum(len(archive.elites(island)) for island in range(2))
    for record in records:
        elite = archive.cells(record["island"])[tuple(record["cell"])]
        assert (record["id"], record["source"]) == (elite.program.id, elite.program.source)
        assert (record["objective"], record["number"]) == (elite.objective, elite.number)
        assert set(record["scores"]) == {"a", "b"}
    with pytest.raises(LedgerError, match="its elites were cached after 0 of 40 commits"):
        list(export.elite_records(ledger))
    before = ledger.content_hash()
    ledger.write_elites(archive)
    ledger.write_elites(archive)
    assert ledger.content_hash() == before
    with Ledger.read(ledger.path) as reader:
        assert list(export.elite_records(reader)) == records
    ledger.record(writer.commit_at(40))
    with pytest.raises(LedgerError, match="after 40 of 41"):
        list(export.elite_records(ledger))
    path = tmp_path / "elites.jsonl"
    assert export.write_json_lines(records, path) == len(records)
    assert [json.loads(line) for line in path.read_text().splitlines()] == records


def test_a_bundle_is_a_folder_of_the_best_blocks_with_an_index(ledger, tmp_path):
    paths = export.bundle(ledger, HIGH, tmp_path / "best", 3)
    index = [json.loads(line) for line in (tmp_path / "best" / "index.jsonl").read_text().splitlines()]
    assert [path.name for path in paths] == [entry["file"] for entry in index]
    for path, entry, ranked in zip(paths, index, lineage.top(ledger, HIGH, 3), strict=True):
        assert text_hash(path.read_text()) == entry["id"] == ranked.program
    with pytest.raises(LedgerError, match="is not empty"):
        export.bundle(ledger, HIGH, tmp_path / "best")
    with pytest.raises(LedgerError, match="proposal 6 made no program"):
        export.program_record(ledger, 6)
