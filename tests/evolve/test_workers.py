"""Workers that outlive a run: nothing of one run is left in the next."""

import evolve
from evolve.config import Config
from evolve.workers import Workers


def test_runs_on_kept_workers_find_what_they_find_on_their_own(problem_file, tmp_path):
    path, other = (
        str(problem_file()),
        str(problem_file("other.py", replace={"k: float = 3.0": "k: float = 5.0"})),
    )
    given = {"config": Config(tune=20), "verify": False, "budget": "150ev"}
    alone = [
        evolve.run(path, seed=seed, ledger=tmp_path / f"a{seed}.db", workers=1, **given) for seed in (1, 2)
    ]
    with Workers() as kept:
        runs = []
        for seed, name in ((1, path), (3, other), (2, path)):
            runs.append(evolve.run(name, seed=seed, ledger=tmp_path / f"k{seed}.db", kept=kept, **given))
        pids = kept._kept[1].pool.pids()
        assert len(pids) == 1
        again = evolve.run(path, seed=1, ledger=tmp_path / "again.db", kept=kept, **given)
        assert kept._kept[1].pool.pids() == pids, "the same problem again starts nothing"
    hashes = [run.document["content_hash"] for run in alone]
    assert [runs[0].document["content_hash"], runs[2].document["content_hash"]] == hashes
    assert again.document["content_hash"] == hashes[0]


def test_cpu_seconds_of_a_run_are_its_own(problem_file, tmp_path):
    given = {"config": Config(tune=20), "verify": False}
    with Workers() as kept:
        evolve.run(str(problem_file()), proposals=200, ledger=tmp_path / "a.db", kept=kept, **given)
        used = kept._kept[1].pool.cpu_seconds()
        second = evolve.run(str(problem_file()), proposals=1, ledger=tmp_path / "b.db", kept=kept, **given)
    assert second.document["cpu_seconds"] < used
