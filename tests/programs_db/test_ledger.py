"""The ledger records exactly, hashes content only, changes no row, and says what is wrong with a file."""

import dataclasses
import math
import sqlite3
import string
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from evolve.programs_db import schema
from evolve.programs_db.audit import text_hash
from evolve.programs_db.errors import LedgerError, LedgerMismatch
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.records import Commit, Evaluation, Event, Program, Proposal, Status, Trial

FINITE = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = st.one_of(FINITE, st.integers(-(2**63), 2**63 - 1))
SCORES = st.one_of(NUMBERS, st.sampled_from([math.inf, -math.inf, 2**80]))
WORDS = st.text(st.characters(codec="utf-8"), max_size=12)
NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=4)
PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), SCORES, WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=5,
)


@st.composite
def programs(draw):
    source = draw(WORDS)
    return Program(text_hash(source), source, text_hash("c" + source), text_hash("s"), len(source))


@st.composite
def evaluations(draw, program):
    status = draw(st.sampled_from(Status))
    return Evaluation(
        program,
        status,
        draw(WORDS),
        draw(NUMBERS) if status is Status.OK else None,
        draw(st.dictionaries(WORDS, st.dictionaries(WORDS, SCORES, max_size=2), max_size=2)),
        draw(st.dictionaries(NAMES, SCORES, max_size=2)),
        draw(WORDS),
        draw(WORDS),
        draw(FINITE),
        draw(FINITE),
        draw(st.integers(0, 2**40)),
        draw(st.sampled_from(["", "interpreted", "strict"])),
    )


@st.composite
def commit_lists(draw, start=0, known=(), count=4):
    """Commits numbered from `start`, whose parents and events name programs that were recorded before."""
    known, made = list(known), []
    for number in range(start, start + draw(st.integers(0, count))):
        earlier = st.lists(st.sampled_from(known), max_size=3).map(tuple) if known else st.just(())
        parents, named = draw(earlier), draw(earlier)
        program = draw(st.one_of(st.none(), programs()))
        evaluation = draw(st.one_of(st.none(), evaluations(program.id))) if program else None
        again = draw(st.sampled_from(known)) if known and program is None and draw(st.booleans()) else None
        proposal = Proposal(
            number,
            draw(st.integers(0, 3)),
            draw(WORDS),
            draw(WORDS),
            parents,
            program.id if program else again,
            draw(st.sampled_from(["", program.canonical if program else "d"])),
            draw(st.integers(0, 9)),
            draw(st.integers(0, 9)),
            draw(st.one_of(st.none(), WORDS)),
            draw(FINITE),
        )
        events = draw(
            st.lists(
                st.builds(
                    Event, WORDS, st.integers(0, 3), st.just(named), st.dictionaries(WORDS, PLAIN, max_size=2)
                ),
                max_size=2,
            )
        )
        trials = draw(
            st.lists(
                st.builds(Trial, st.lists(SCORES, max_size=3).map(tuple), st.one_of(st.none(), NUMBERS)),
                max_size=2,
            )
        )
        made.append(Commit(proposal, program, evaluation, tuple(trials), tuple(events)))
        if program:
            known.append(program.id)
    return made


def exact(value):
    """A form in which 1, 1.0, 0.0 and -0.0 differ."""
    if dataclasses.is_dataclass(value):
        return tuple(exact(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [exact(item) for item in value]
    return type(value), repr(value)


def measured_out(commit):
    """The same commit, measured on a slower machine."""
    evaluation = commit.evaluation and dataclasses.replace(
        commit.evaluation, cpu_seconds=9.0, wall_seconds=9.5, memory=99, isolation="strict"
    )
    proposal = dataclasses.replace(commit.proposal, seconds=7.0)
    return dataclasses.replace(commit, proposal=proposal, evaluation=evaluation)


QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(commits=commit_lists(), batch=st.integers(1, 5))
def test_what_was_recorded_comes_back_exactly_also_from_the_file(commits, batch):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        with Ledger.create(path, {"name": "toy"}, {"seed": 1}, "fp") as ledger:
            ledger.begin_session("fp", {}, [], None)
            for count, commit in enumerate(commits):
                ledger.record(commit)
                if count % batch == 0:
                    ledger.flush()
            assert exact(list(ledger.replay())) == exact(commits)
        with Ledger.read(path) as ledger:
            assert exact(list(ledger.replay())) == exact(commits)
            assert ledger.integrity() == []


class LedgerMachine(RuleBasedStateMachine):
    """Record, flush, die, come back, in any order: what was flushed is there, and nothing else is."""

    @initialize()
    def begin(self):
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "a.db"
        self.ledger = Ledger.create(self.path, {"name": "toy"}, {"seed": 1}, "fp")
        self.ledger.begin_session("fp", {}, [], None)
        self.flushed, self.buffered = [], []

    def teardown(self):
        if hasattr(self, "folder"):
            self.ledger.close()
            self.folder.cleanup()

    @rule(data=st.data())
    def record(self, data):
        commits = self.flushed + self.buffered
        known = [commit.program.id for commit in commits if commit.program]
        for commit in data.draw(commit_lists(start=len(commits), known=known, count=2)):
            self.ledger.record(commit)
            self.buffered.append(commit)

    @rule()
    def flush(self):
        self.ledger.flush()
        self.flushed, self.buffered = self.flushed + self.buffered, []

    @rule()
    def another_session(self):
        self.ledger.end_session("budget", {"proposals": 1})
        self.ledger.begin_session("fp", {"cpus": 4}, ["again"], 9)
        self.flushed, self.buffered = self.flushed + self.buffered, []

    @rule()
    def die_and_come_back(self):
        self.ledger._pending.clear()
        self.ledger.close()
        self.ledger = Ledger.open(self.path)
        self.ledger.begin_session("fp", {}, [], None)
        self.buffered = []

    @precondition(lambda self: self.flushed or self.buffered)
    @rule(table=st.sampled_from([table for table in schema.TABLES if table.append_only]))
    def no_row_ever_changes(self, table):
        self.flush()
        for verb in (f"DELETE FROM {table.name}", f"UPDATE {table.name} SET rowid = rowid"):
            if self.ledger.query(f"SELECT count(*) AS n FROM {table.name}")[0]["n"] == 0:
                continue
            if not table.rowid:
                verb = (
                    verb.replace("rowid = rowid", "position = position") if "proposal" in table.body else verb
                )
            with pytest.raises(sqlite3.IntegrityError, match=f"{table.name} is append-only"):
                self.ledger._db.execute(verb)

    @invariant()
    def readers_see_what_was_flushed(self):
        if hasattr(self, "ledger"):
            with Ledger.read(self.path) as reader:
                assert list(reader.replay()) == self.flushed
                assert reader.commits == len(self.flushed)


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=20, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_every_append_only_table_refuses_update_delete_and_replace(make, commits):
    ledger = make(commits=commits)
    for table in schema.TABLES:
        triggers = {
            row["name"]
            for row in ledger.query(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :t", {"t": table.name}
            )
        }
        assert len(triggers) == (2 if table.append_only else 0), table.name
    for sql in (
        "UPDATE proposals SET seconds = 0 WHERE number = 3",
        "DELETE FROM evaluations WHERE id = 1",
        "REPLACE INTO texts (hash, text) SELECT hash, 'x' FROM texts LIMIT 1",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="is append-only"):
            ledger._db.execute(sql)


def test_the_content_hash_is_the_same_for_any_batches_sessions_machine_and_clock(make, commits):
    once = make("a.db", commits, batch=64)
    rows = make("b.db", [], fingerprint="fp-1")
    for number, commit in enumerate(commits):
        if number % 9 == 0:
            rows.end_session("interrupted", {})
            rows.begin_session("fp-1", {"cpus": 64}, ["other"], {"seconds": 3})
        rows.record(measured_out(commit))
        rows.flush()
    assert once.content_hash() == rows.content_hash()
    assert once.content_hash().startswith("b2:")
    with Ledger.read(once.path) as reader:
        assert reader.content_hash() == once.content_hash()


def changed(commit, part, **values):
    return dataclasses.replace(commit, **{part: dataclasses.replace(getattr(commit, part), **values)})


@pytest.mark.parametrize(
    "change",
    [
        lambda c: changed(c, "proposal", island=5),
        lambda c: changed(c, "proposal", mutator="llm"),
        lambda c: changed(c, "proposal", operator="other"),
        lambda c: changed(c, "proposal", parents=()),
        lambda c: changed(c, "proposal", staleness=99),
        lambda c: changed(c, "proposal", evaluations=99),
        lambda c: changed(c, "proposal", draft="b2:00"),
        lambda c: changed(c, "proposal", error="odd"),
        lambda c: changed(c, "evaluation", objective=c.evaluation.objective + 2**-40),
        lambda c: changed(c, "evaluation", scores={}),
        lambda c: changed(c, "evaluation", measures={"m": 0.5, "k": 3.0}),
        lambda c: changed(c, "evaluation", behaviour="b2:00"),
        lambda c: changed(c, "evaluation", output="printed"),
        lambda c: changed(c, "evaluation", origin=0),
        lambda c: changed(c, "program", nodes=1),
        lambda c: changed(c, "program", structure="b2:00"),
        lambda c: dataclasses.replace(c, trials=(Trial((1.0,), 1.0),)),
        lambda c: dataclasses.replace(c, events=(Event("reset", 0, (c.program.id,)),)),
    ],
)
def test_any_change_to_what_is_not_measured_changes_the_content_hash(make, commits, change):
    last = next(
        number
        for number in range(39, 0, -1)
        if commits[number].evaluation
        and commits[number].evaluation.objective
        and commits[number].proposal.parents
        and number % 5 != 4
    )
    commits = commits[: last + 1]
    other = [*commits[:-1], change(commits[-1])]
    assert make("a.db", commits).content_hash() != make("b.db", other).content_hash()


def test_seed_parameters_fingerprint_and_order_are_content(make, writer, commits, tmp_path):
    hashes = {make("a.db", commits[:3]).content_hash()}
    hashes.add(make("b.db", commits[:3], fingerprint="fp-2").content_hash())
    hashes.add(make("c.db", [commits[0], commits[2], commits[1]]).content_hash())
    for name, problem, run in (
        ("d", {**writer.PROBLEM, "parameters": {"n": 4}}, writer.RUN),
        ("e", writer.PROBLEM, {**writer.RUN, "seed": 8}),
    ):
        with Ledger.create(tmp_path / name, problem, run, "fp-1") as ledger:
            ledger.begin_session("fp-1", {}, [], None)
            for commit in commits[:3]:
                ledger.record(commit)
            hashes.add(ledger.content_hash())
    assert len(hashes) == 5


def test_measured_columns_exist(make):
    ledger = make()
    for table in schema.TABLES:
        assert schema.content_columns(ledger._db, table)


def test_commits_replay_in_the_order_of_arrival_and_gaps_are_known(make, commits):
    order = [0, 1, 3, 2, 5, 8]
    ledger = make(commits=[commits[number] for number in order])
    assert [commit.proposal.number for commit in ledger.replay()] == order
    assert ledger.missing() == [4, 6, 7]
    assert ledger.next_number == 9
    assert ledger.commits == 6
    ledger.close()
    with Ledger.open(ledger.path) as again:
        assert (again.missing(), again.next_number) == ([4, 6, 7], 9)


def test_a_commit_that_arrived_is_refused_the_second_time(make, commits):
    ledger = make(commits=commits[:3])
    with pytest.raises(LedgerError, match="proposal 2 was recorded before"):
        ledger.record(commits[2])


def test_a_commit_whose_parts_do_not_belong_together_is_refused(make, commits):
    ledger = make(commits=commits[:3])
    with pytest.raises(LedgerError, match="proposal 7: carries program"):
        ledger.record(changed(commits[7], "proposal", program="b2:ff"))
    with pytest.raises(LedgerError, match="proposal 7: Object of type object"):
        ledger.record(dataclasses.replace(commits[7], events=(Event("reset", 0, (), {"x": object()}),)))
    assert ledger.commits == 3
    assert len(list(ledger.replay())) == 3


def test_an_unknown_parent_costs_only_what_came_after_it(make, commits):
    ledger = make(commits=commits[:3])
    ledger.record(commits[3])
    ledger.record(changed(commits[4], "proposal", parents=("b2:unknown",)))
    ledger.record(commits[5])
    with pytest.raises(LedgerError, match="proposal 4 names a program or proposal that was never recorded"):
        ledger.flush()
    assert list(ledger.replay()) == commits[:4]
    assert ledger.next_number == 4
    ledger.record(commits[4])
    assert list(ledger.replay()) == commits[:5]
    assert ledger.integrity() == []


def test_text_that_is_no_unicode_is_written_as_escapes(make, commits):
    ledger = make(commits=[changed(commits[0], "evaluation", message="a\udc80b\0c", output="é")])
    [commit] = ledger.replay()
    assert commit.evaluation.message == "a\\udc80b\0c"
    assert commit.evaluation.output == "é"


def test_scores_of_numpy_are_recorded_as_plain_numbers(make, commits):
    numpy = pytest.importorskip("numpy")
    scores = {"a": {"x": numpy.float64(0.1), "y": numpy.int64(3), "z": numpy.float32(numpy.inf)}}
    ledger = make(commits=[changed(commits[0], "evaluation", scores=scores, objective=numpy.float64(0.25))])
    [commit] = ledger.replay()
    assert exact(commit.evaluation.scores) == exact({"a": {"x": 0.1, "y": 3, "z": math.inf}})
    assert exact(commit.evaluation.objective) == exact(0.25)


def test_scores_can_be_asked_for_in_sql_infinity_included(make, commits):
    ledger = make(commits=commits)
    rows = ledger.query("SELECT json_extract(scores, '$.b.y') AS y FROM evaluations WHERE status = 'ok'")
    assert {row["y"] for row in rows} == {math.inf}


def test_nothing_is_recorded_without_a_session_or_in_a_reader(make, commits):
    ledger = make()
    ledger.end_session("budget", {"proposals": 0})
    with pytest.raises(LedgerError, match="no session"):
        ledger.record(commits[0])
    with Ledger.read(ledger.path) as reader, pytest.raises(LedgerError, match="read only") as caught:
        reader.record(commits[0])
    assert caught.value.exit_code == 2


def test_a_ledger_knows_its_problem_and_its_run(make, writer):
    ledger = make()
    assert ledger.problem == writer.PROBLEM
    assert ledger.run == writer.RUN
    ledger.expect("toy", {"n": 3})
    with pytest.raises(LedgerMismatch, match="its problem has name 'toy', not 'other'"):
        ledger.expect("other", {"n": 3})
    with pytest.raises(LedgerMismatch, match="parameters"):
        ledger.expect("toy", {"n": 4})


def test_another_fingerprint_needs_a_rescore(make, writer, commits):
    ledger = make(commits=commits)
    with pytest.raises(LedgerMismatch, match="`evolve rescore`"):
        ledger.begin_session("fp-2", {}, [], None)
    now = {**writer.PROBLEM, "measures": [["mass", 0.0, 2.0, 5]], "description": "Changed."}
    assert ledger.begin_session("fp-2", {}, [], None, rescored=now) == 2
    assert ledger.fingerprint == "fp-2"
    assert ledger.problem == now
    assert ledger.integrity() == []


def test_a_rescore_is_replayed_under_its_fingerprint_only(make, writer, commits):
    ledger = make(commits=commits)
    before = ledger.content_hash()
    ledger.begin_session("fp-2", {}, [], None, rescored=writer.PROBLEM)
    todo = list(ledger.unscored("fp-2"))
    assert {program.id for program in todo} == {c.program.id for c in commits if c.evaluation}
    ledger.record_rescore(
        Evaluation(program.id, Status.OK, objective=float(k)) for k, program in enumerate(todo[1:])
    )
    later = writer.commit_at(40)
    ledger.record(later)
    assert list(ledger.replay()) == [*commits, later]
    under = list(ledger.replay("fp-2"))
    assert [c.proposal for c in under] == [c.proposal for c in [*commits, later]]
    assert under[0].evaluation is None
    assert [program.id for program in ledger.unscored("fp-2")] == [todo[0].id]
    assert under[40] == later
    value = {program.id: float(k) for k, program in enumerate(todo[1:])}
    for commit in under[1:40]:
        assert (commit.evaluation is not None) == (commits[commit.proposal.number].evaluation is not None)
        if commit.evaluation:
            assert commit.evaluation.objective == value[commit.program.id]
    assert ledger.content_hash() != before
    assert ledger.integrity() == []
