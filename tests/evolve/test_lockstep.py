"""In which order proposals are drawn and committed without a model, and what each may see."""

from itertools import chain

import evolve
from evolve.config import Config
from evolve.lockstep import Drawing
from evolve.programs_db.ledger import Ledger


def drawn(config, commits=300):
    drawing = Drawing(config)
    return [list(drawing.after(commit)) for commit in range(commits)]


def test_without_a_ramp_a_proposal_follows_the_commit_a_window_before_it():
    order = drawn(Config(window=5, ramp=0), 50)
    assert order == [[1, 2, 3, 4, 5], *([number + 5] for number in range(1, 50))]


def test_a_window_of_one_is_one_after_the_other():
    assert drawn(Config(window=1), 20) == [[number + 1] for number in range(20)]


def test_a_ramp_widens_from_four_to_the_window_and_leaves_no_number_out():
    config = Config(window=32, ramp=8)
    order = drawn(config)
    assert order[0] == [1, 2, 3, 4]
    numbers = list(chain.from_iterable(order))
    assert numbers == list(range(1, len(numbers) + 1))
    under_way = [sum(map(len, order[: commit + 1])) - commit for commit in range(300)]
    assert under_way == sorted(under_way)
    assert under_way[100] == config.width(100 + under_way[100]) == 18
    assert under_way[-1] == 32


def search(path, ledger, config, **more):
    given = {"workers": 2, "seed": 3, "verify": False, **more}
    return evolve.run(str(path), ledger=ledger, config=config, **given)


def rows(ledger, words):
    with Ledger.read(ledger) as book:
        return [tuple(row.values()) for row in book.query(words)]


def test_a_proposal_sees_what_the_ramp_says(problem_file, tmp_path):
    config = Config(window=12, ramp=4, tune=0)
    search(problem_file(), tmp_path / "a.db", config, proposals=60)
    seen = rows(tmp_path / "a.db", "SELECT number, staleness FROM proposals WHERE number > 0 ORDER BY number")
    assert seen == [(number, min(number, config.width(number)) - 1) for number in range(1, 61)]


def test_a_budget_in_evaluations_ends_at_the_same_commit_with_any_number_of_workers(problem_file, tmp_path):
    path, config = problem_file(), Config(tune=10)
    one, two = (
        search(path, tmp_path / f"{workers}.db", config, budget="150ev", workers=workers).document
        for workers in (1, 2)
    )
    assert one["content_hash"] == two["content_hash"]
    assert one["stopped"] == two["stopped"] == "budget"
    assert 150 <= one["evaluations"] <= 150 + 10
    again = evolve.resume(tmp_path / "1.db", budget="150ev", verify=False).document
    assert again["evaluations"] == one["evaluations"]
    more = evolve.resume(tmp_path / "2.db", budget="260ev", verify=False).document
    whole = search(path, tmp_path / "whole.db", config, budget="260ev").document
    assert more["content_hash"] == whole["content_hash"]


class Meter:
    """Told of CPU seconds."""

    def __init__(self):
        self.told = []

    def on_commit(self, commit, improved):
        pass

    def on_metered(self, cpu_seconds):
        self.told.append(cpu_seconds)


def test_a_budget_in_cpu_seconds_ends_a_run(problem_file, tmp_path):
    meter = Meter()
    told = search(problem_file(), tmp_path / "a.db", Config(), budget="1cpu", observer=meter).document
    assert told["stopped"] == "budget"
    assert told["cpu_seconds"] >= 1.0
    assert meter.told == sorted(meter.told)
    assert meter.told[0] < 1.0 <= meter.told[-1]
    again = evolve.resume(tmp_path / "a.db", verify=False).document
    assert again["proposals"] == told["proposals"]


def parents_of(ledger):
    words = "SELECT p.number, r.program FROM proposals p JOIN parents r ON r.proposal = p.number ORDER BY p.number"
    found = {}
    for number, parent in rows(ledger, words):
        found.setdefault(number, parent)
    return found


def test_every_parent_is_the_seed_program_where_that_is_asked(problem_file, tmp_path):
    run = search(problem_file(), tmp_path / "a.db", Config(root=1.0, mates=0), proposals=40)
    seed = run.document["seed_program"]["program"]
    assert set(parents_of(tmp_path / "a.db").values()) == {seed}


def test_a_brood_has_one_parent_the_best_of_those_before_it(problem_file, tmp_path):
    config = Config(brood=8, islands=1, cells=False, window=1, mates=0, explore=0, tune=0)
    search(problem_file(), tmp_path / "a.db", config, proposals=64)
    parents = parents_of(tmp_path / "a.db")
    for start in range(1, 65, 8):
        assert len({parents[number] for number in range(start, start + 8) if number in parents}) == 1
    assert len(set(parents.values())) > 1


def test_without_cells_an_island_holds_one_program_and_drifts_among_equals(problem_file, tmp_path):
    flat = {'"error": abs(y - case.hidden)': '"error": float(round(abs(y - case.hidden)))'}
    config = Config(cells=False, islands=1, window=1, mates=0, explore=0)
    run = search(problem_file(replace=flat), tmp_path / "a.db", config, proposals=80)
    assert run.archive.stats().filled == run.archive.stats().cells == 1
    parents = list(parents_of(tmp_path / "a.db").values())
    values = dict(rows(tmp_path / "a.db", "SELECT program, objective FROM evaluations"))
    scores = [values[parent] for parent in parents]
    assert scores == sorted(scores, reverse=True)  # a climber never steps down
    assert len(set(parents)) > len(set(scores))  # and takes steps that lose nothing
    [kept] = run.archive.elites(0)
    assert kept.objective == run.best().objective


def test_a_restarted_climber_forgets_what_it_had(problem_file, tmp_path):
    config = Config(cells=False, islands=1, window=1, mates=0, explore=0, restart=20, tune=0)
    run = search(problem_file(), tmp_path / "a.db", config, proposals=120)
    seed = run.document["seed_program"]["program"]
    numbers = [number for number, parent in parents_of(tmp_path / "a.db").items() if parent == seed]
    assert max(numbers) > 40
    resets = rows(tmp_path / "a.db", "SELECT kind FROM events WHERE kind = 'reset'")
    assert resets


def test_a_search_without_cells_is_resumed_exactly(problem_file, tmp_path):
    path = problem_file()
    config = Config(cells=False, islands=2, migrate=30, brood=4, restart=25, root=0.1, tune=8)
    whole = search(path, tmp_path / "whole.db", config, proposals=90).document["content_hash"]
    search(path, tmp_path / "parts.db", config, proposals=31)
    parts = evolve.resume(tmp_path / "parts.db", proposals=90, verify=False)
    assert parts.document["content_hash"] == whole


def test_a_search_that_opens_and_resets_islands_is_resumed_exactly_wherever_it_was_cut(
    problem_file, tmp_path
):
    flat = {'"error": abs(y - case.hidden)': '"error": float(round(abs(y - case.hidden)))'}
    path = problem_file(replace=flat)
    config = Config(
        islands=3, migrate=20, reset=50, patience=0.1, restart=60, window=8, ramp=2, root=0.1, tune=8
    )
    whole = search(path, tmp_path / "whole.db", config, proposals=120).document["content_hash"]
    words = "SELECT DISTINCT kind, island FROM events WHERE proposal > 0"
    assert {kind for kind, _ in rows(tmp_path / "whole.db", words)} == {"reset", "migration"}
    assert rows(tmp_path / "whole.db", "SELECT max(island) FROM proposals") == [(2,)]
    for cut in (23, 77):
        search(path, tmp_path / f"{cut}.db", config, proposals=cut)
        parts = evolve.resume(tmp_path / f"{cut}.db", proposals=120, verify=False)
        assert parts.document["content_hash"] == whole


def test_a_program_that_is_given_is_a_parent_however_short_the_search(problem_file, tmp_path):
    better = "def guess(x):\n    return x + 2.5\n"
    config = Config(explore=0, tune=0)
    given = [better, better.replace("2.5", "2")]
    search(problem_file(), tmp_path / "a.db", config, proposals=40, init=given)
    [(first,), _] = rows(
        tmp_path / "a.db", "SELECT program FROM proposals WHERE mutator = 'init' ORDER BY number"
    )
    assert first in parents_of(tmp_path / "a.db").values()
