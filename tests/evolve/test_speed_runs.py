"""Whole searches for speed: recorded, confirmed, told, resumed; and what of them is judged twice."""

import asyncio
import json
from types import SimpleNamespace

import pytest

import evolve
from evolve import finals, runs, speed_inspection, summary, verifier
from evolve.config import Config
from evolve.engine import Engine
from evolve.evaluator import Job, Judged
from evolve.fastcore import machine
from evolve.fingerprint import fingerprint
from evolve.loader import load
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.records import Evaluation, Status
from evolve.restoring import restore
from evolve.search import Search
from evolve.speed_telling import headline_of_speed, ratio, speed_doubts, spoken

MAKING = {"seed": 0, "config": {}, "init": ()}


@pytest.fixture
def brief(monkeypatch):
    """Confirmations of few pairs; the finals run in this process, the races in their workers."""
    monkeypatch.setattr(finals, "_BRIEF", 6)
    monkeypatch.setattr(verifier, "_PAIRS", 12)


def test_a_run_is_confirmed_told_and_resumed(cli, timed_file, tmp_path, brief, monkeypatch):
    ledger = tmp_path / "a.db"
    words = ["--budget", "8", "--ledger", ledger, "--workers", "2", "--json"]
    code, out, _ = cli("run", timed_file(), *words)
    assert code == 0
    told = json.loads(out)
    best = told["best"]
    assert told["objective"] == {"name": "speedup", "direction": "max", "unit": "x", "baseline": "wasteful"}
    assert told["seed_program"]["value"] > 1.5
    assert best["confirmation"]["confirmed"]
    assert best["confirmation"]["pairs"] >= 12
    assert best["value"] == best["confirmation"]["speedup"]
    assert best["recorded"] > 1.5
    assert told["baselines"]["wasteful"]["confirmation"]["low"] < 1.5
    assert len(told["machines"]) == 1
    assert told["evaluations"] <= 2 * 9  # constants are not tuned by races; would-be elites are raced twice
    assert json.loads(cli("show", ledger, "--json")[1])["best"] == best
    shown = cli("show", ledger)[1]
    assert "faster than wasteful over" in shown
    assert "the content hash names this record only" in " ".join(shown.split())
    _resumed_is_the_fold_of_what_was_recorded(timed_file(), ledger, best["recorded"])
    facts = machine.fingerprint()
    monkeypatch.setattr(machine, "fingerprint", lambda: {**facts, "cpu": "Another CPU"})
    _, out, err = cli("resume", ledger, "--budget", "12", "--workers", "1")
    assert "this is Another CPU" in err
    assert "different machines" in " ".join(out.split())
    again = evolve.open_run(ledger)
    assert again.document["proposals"] == 12
    assert again.best().objective == again.document["best"]["recorded"]
    assert "Another CPU" in again.document["machines"][1]
    with Ledger.read(ledger) as book:
        assert summary.document(book, "killed", {})["best"]["number"] == again.best().number


def _resumed_is_the_fold_of_what_was_recorded(path, ledger, best):
    """Measured figures come from the record: what was in flight is drawn again, the same each time."""
    folds = []
    for _ in range(2):
        with Ledger.read(ledger) as book:
            search = runs._search(load(str(path)), MAKING)
            prepared, _ = restore(book, search, book.fingerprint)
            done = book.commits - 1
        folds.append((search.archive.best(), {number: one.draft.source for number, one in prepared.items()}))
    assert folds[0] == folds[1]
    assert folds[0][0].objective == best
    assert done == 8
    assert len(folds[0][1]) == Config().window


def test_check_and_eval_speak_of_ratios(cli, timed_file, tmp_path):
    # 0.2 ms a run: what a call costs hides a difference.
    path = timed_file({"rng.random(4_000)": "rng.random(4)"})
    code, out, _ = cli("check", path, "--json")
    assert code == 0
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert checks["batch"]["result"] == "warning"
    assert "short: below 1 ms" in checks["batch"]["sentence"]
    assert set(checks["batch"]["case_seconds"]) == {"short", "long"}
    assert "itself the baseline" in checks["baseline"]["sentence"]
    assert "faster than wasteful" in checks["seed"]["sentence"]
    program = tmp_path / "mine.py"
    program.write_text("def total(x):\n    return float(sum(x * x))\n")
    code, out, _ = cli("eval", timed_file(), program)
    assert code == 0
    assert "the speed of wasteful over" in out or "faster than wasteful over" in out
    assert "not in the ratio" in out
    assert "depth  " in out


@pytest.mark.parametrize(
    ("replace", "says"),
    [
        ({"y = x * x\n    return": "y = x\n    return"}, "baseline 'wasteful'"),
        ({"return [Case(": "return [Case('all')] + [Case("}, "none 'all'"),
    ],
)
def test_check_and_run_refuse_a_baseline_or_batches_that_do_not_hold(
    cli, timed_file, tmp_path, replace, says
):
    replace = (
        {"for _ in range(500):\n        y = x * x": "y = x"}
        if "y = x * x\n    return" in replace
        else replace
    )
    path = timed_file(replace)
    code, out, _ = cli("check", path)
    assert (code, says in out) == (1, True), out
    code, _, err = cli("run", path, "--budget", "2", "--ledger", tmp_path / "b.db", "--workers", "1")
    assert (code, says in err) == (2, True), err
    assert not (tmp_path / "b.db").exists()


def test_check_refuses_a_batch_that_is_the_same_each_time(cli, timed_file):
    path = timed_file({'Case("long", inputs=(rng.random(6_000),))': 'Case("long", inputs=(np.ones(6_000),))'})
    code, out, _ = cli("check", path)
    out = " ".join(out.split())
    assert (code, "the same inputs in every batch for long; draw them with rng" in out) == (1, True), out


def evaluated(objective, **more):
    return Evaluation("", Status.OK, objective=objective, cpu_seconds=1.0, **more)


def test_the_second_measurement_of_a_would_be_elite_is_the_one_that_counts(timed_file):
    problem = load(str(timed_file()))
    search = Search(problem, Config(), 0, SimpleNamespace(name="none"))
    pending = search.propose(0)
    asked = []

    class Evaluator:
        answer = evaluated(1.5, measures={"speedup:long": 1.4})

        async def evaluate(self, job):
            asked.append(job)
            return Judged(job.source, self.answer)

    engine = Engine(search, None, Evaluator(), None)
    first = Judged(problem.block, evaluated(2.0, measures={"speedup:long": 1.9}))
    again = asyncio.run(engine._retested(pending, first)).evaluation
    assert (again.objective, again.measures["speedup:long"], again.cpu_seconds) == (1.5, 1.4, 2.0)
    assert [job.round for job in asked] == [1]
    Evaluator.answer = Evaluation("", Status.REJECTED, "case short: wrong")
    assert asyncio.run(engine._retested(pending, first)).evaluation.status == "rejected"
    failed = Judged(problem.block, Evaluation("", Status.ERROR, "no"))
    assert asyncio.run(engine._retested(pending, failed)) is failed
    assert len(asked) == 2


def test_a_search_for_speed_asks_for_no_tuning_and_tells_its_races_what_is_too_slow(timed_file):
    path = timed_file({"y = x * x\n    for": "y = 1.5 * x\n    for"})
    problem = load(str(path))
    search = runs._search(problem, MAKING)
    seed = search.propose(0)
    assert seed.job.floor is None
    search.commit(
        search.finished(seed, Judged(problem.block, evaluated(2.0, measures={"speedup:long": 2.0})))
    )
    jobs = [pending.job for pending in map(search.propose, range(1, 30)) if pending.job is not None]
    assert len(jobs) > 5
    assert all(job == Job(job.source, floor=1.6) for job in jobs)


@pytest.mark.parametrize(
    ("replace", "same"),
    [
        ({"for _ in range(500):": "for _ in range(501):"}, False),
        ({"rng.random(4_000)": "rng.random(4_100)"}, False),
        ({"strategies.integers(-9, 9)": "strategies.integers(-8, 9)"}, False),
        ({"fresh=fresh": "fresh=lambda rng: fresh(rng)"}, False),
        (
            {'"wasteful": WASTEFUL}': '"wasteful": WASTEFUL, "other": "def total(x):\\n    return 0.0\\n"}'},
            True,
        ),
        ({"np.full(5, 2.0)": "np.full(6, 2.0)"}, True),
        ({"for _ in range(99)": "for _ in range(98)"}, True),
    ],
)
def test_the_baseline_and_the_fresh_inputs_are_in_the_fingerprint(timed_file, replace, same):
    before = fingerprint(load(str(timed_file())))
    assert (fingerprint(load(str(timed_file(replace)))) == before) is same


def test_versions_of_what_is_preloaded_are_in_the_fingerprint(timed_file, monkeypatch):
    path = timed_file(
        {"        fresh=fresh,": "        fresh=fresh,\n        preload=['colorsys', 'numpy.linalg'],"}
    )
    problem = load(str(path))
    before = fingerprint(problem)
    homes = {"colorsys": ["numpy"]}
    monkeypatch.setattr("evolve.fingerprint.packages_distributions", lambda: homes)
    assert fingerprint(problem) != before


FOUND = {
    "baseline": "numpy_sort",
    "speedup": 1.834,
    "low": 1.796,
    "high": 1.861,
    "pairs": 200,
    "verdict": "faster",
}


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"confirmed": True}, "speedup: 1.83x [1.80, 1.86] faster than numpy_sort over 200 pairs; confirmed"),
        (
            {"confirmed": False, "speedup": 0.97, "low": 0.95, "high": 0.99, "verdict": "slower"},
            "speedup: none found: best is 0.97x [0.95, 0.99] the speed of numpy_sort",
        ),
        (
            {"confirmed": False, "speedup": 1.0, "low": 0.99, "high": 1.01, "verdict": "no difference"},
            "speedup: not confirmed; no difference: 1.00x [0.99, 1.01] the speed of numpy_sort over 200 pairs",
        ),
        (
            {"confirmed": False, "wrong": {"strategy": "rejected: no"}},
            "not confirmed: the best program is wrong",
        ),
        (
            {"confirmed": False, "failed": "unscorable: score raised"},
            "own functions failed: unscorable: score raised",
        ),
        (None, "speedup: best 1.90x numpy_sort's speed in the search; it was not measured again"),
    ],
)
def test_a_result_is_told_in_words(found, says):
    document = {
        "objective": {"name": "speedup", "baseline": "numpy_sort"},
        "best": {"value": 1.9},
        "baselines": {},
    }
    if found is not None:
        document["best"]["confirmation"] = {**FOUND, **found}
    assert says in headline_of_speed(document).plain
    assert headline_of_speed({**document, "best": None}).plain == "no valid program was found"


def test_what_to_doubt_of_a_speed():
    wrong = {"strategy": "rejected: case drawn: 1.0 instead of 2.0"}
    best = {**FOUND, "wrong": wrong, "counterexample": "([2],)", "flagged": True, "wall_speedup": 1.1}
    document = {
        "best": {"confirmation": best},
        "baselines": {"quicker": {"confirmation": {**FOUND, "low": 2.0}}, "plain": {"confirmation": FOUND}},
        "machines": ["A", "B"],
    }
    told = " ".join(speed_doubts(document))
    for part in (
        wrong["strategy"],
        "wrong for ([2],)",
        "by the wall it is 1.10x",
        "baseline quicker is",
        "(A; B)",
    ):
        assert part in told
    assert speed_doubts({"best": {"confirmation": FOUND}, "baselines": {}}) == []


def test_ratios_are_told_to_the_digits_that_can_be_measured():
    assert [ratio(value) for value in (0.9712, 9.996, 12.34, 1234.5, None, float("inf"))] == [
        "0.97x", "10.00x", "12.3x", "1234x", "?", "?"
    ]  # fmt: skip
    assert spoken({**FOUND, "verdict": "slower", "high": None}).startswith("slower: 1.83x [1.80, ?]")
    few = {**FOUND, "verdict": "too few pairs", "low": 0.0, "high": None}
    assert spoken(few).startswith("too few pairs to tell: 1.83x [0.00, ?] the speed of")


LISTS = '''"""Sums of lists."""
from evolve import Case, Measure, Problem, Real, Rejected, Speed, problem

# EVOLVE-BLOCK-START
def total(x):
    return sum(x)
# EVOLVE-BLOCK-END


def score(answer, case):
    if abs(answer - sum(case.inputs[0])) > 1e-6:
        raise Rejected("not the sum")
    return {}


@problem
def lists() -> Problem:
    return Problem(
        entry="total",
        cases=[Case("few", inputs=([1.0, 2.0],))],
        returns=Real(),
        score=score,
        objective=Speed(baseline="plain"),
        baselines={"plain": "def total(x):\\n    return sum(x)\\n"},
        fresh=lambda rng: [Case("many", inputs=(rng.random(300_000).tolist(),))],
        measures=[Measure("nodes", 0, 50), Measure("depth", 0, 10)],
    )
'''


def test_check_warns_where_calls_cost_more_than_what_is_done_in_them(tmp_path, monkeypatch):
    monkeypatch.setattr(speed_inspection, "_AROUND_SECONDS", 1e9)  # another warning's, on a loaded machine
    path = tmp_path / "lists.py"
    path.write_text(LISTS)
    name, result, sentence, figures = speed_inspection.batch(load(str(path)), False)
    assert (name, result) == ("batch", "warning"), sentence
    assert "of that goes to a call that does nothing" in sentence
    assert figures["carried"] > 0.25
