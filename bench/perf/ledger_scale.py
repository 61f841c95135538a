"""How a ledger behaves at scale: size on disk, cost of writing, resuming, asking and sampling parents.

Knows only synthetic programs of realistic size; its figures depend on the machine that it prints.

Run it as `python bench/perf/ledger_scale.py --programs 200000`.
"""

import argparse
import os
import platform
import random
import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from evolve.programs_db import lineage
from evolve.programs_db.archive import Archive
from evolve.programs_db.audit import text_hash
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.records import (
    Commit,
    Elite,
    Evaluation,
    Measure,
    Objective,
    Program,
    Proposal,
    Status,
)

OBJECTIVE = Objective("excess", "min", "%")
MEASURES = (Measure("nodes", 0, 120, 16), Measure("spread", 0.0, 1.0, 16))
ISLANDS = 4
BATCH = 64
FINGERPRINT = text_hash("bench")


def source_of(rng: random.Random) -> str:
    """A priority function of about 250 bytes."""
    terms = [
        f"{rng.uniform(-9, 9):.4f} * {rng.choice(['item', 'bins', 'bins - item', 'np.sqrt(bins)'])}"
        for _ in range(6)
    ]
    body = "".join(f"    score {'+=' if k else '='} {term}\n" for k, term in enumerate(terms))
    return f"def priority(item, bins):\n{body}    return score\n"


def commits(count: int, seed: int = 0) -> Iterator[Commit]:
    """One new program each, of one or two parents; a tenth of them fail."""
    rng = random.Random(seed)
    ids: list[str] = []
    for number in range(count):
        source = source_of(rng)
        program = Program(
            text_hash(source), source, text_hash("c" + source), text_hash(f"s{number % 997}"), 60
        )
        parents = tuple(rng.choice(ids[-500:]) for _ in range(rng.choice((1, 1, 2)))) if ids else ()
        a, b = rng.uniform(0, 9) + 900 / (number + 100), rng.uniform(0, 9)
        if rng.random() < 0.9:
            scores = {"or_1": {"excess": a, "nodes": 60}, "or_2": {"excess": b, "nodes": 60}}
            measures = {"nodes": rng.randrange(20, 110), "spread": rng.random()}
            evaluation = Evaluation(
                *(program.id, Status.OK, "", (a + b) / 2, scores, measures, text_hash(repr(scores)), ""),
                *(rng.random(), rng.random(), 2**25, "interpreted"),
            )
        else:
            evaluation = Evaluation(
                program.id, Status.ERROR, "FloatingPointError: divide by zero", isolation="strict"
            )
        proposal = Proposal(
            *(
                number,
                number % ISLANDS,
                "syntactic",
                rng.choice(("swap", "grow", "constant")),
                parents,
                program.id,
            ),
            *(program.canonical, 4, 1, None, rng.random() * 1e-4),
        )
        ids.append(program.id)
        yield Commit(proposal, program, evaluation)


def write(path: Path, count: int) -> tuple[float, float]:
    """CPU and wall milliseconds a commit of `record` and `flush`, the making of the commits left out."""
    cpu = wall = 0.0
    with Ledger.create(path, {"name": "bench"}, {"seed": 0}, FINGERPRINT) as ledger:
        ledger.begin_session(FINGERPRINT, {}, [], count)
        batch: list[Commit] = []
        source = commits(count)
        while batch := [commit for _, commit in zip(range(BATCH), source, strict=False)]:
            cpu_start, wall_start = time.process_time(), time.perf_counter()
            for commit in batch:
                ledger.record(commit)
            ledger.flush()
            cpu += time.process_time() - cpu_start
            wall += time.perf_counter() - wall_start
    return cpu * 1e3 / count, wall * 1e3 / count


def milliseconds(ask: Callable[[], object], times: int = 5) -> float:
    """The median wall time of a call."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - start)
    return sorted(taken)[times // 2] * 1e3


def sample(archive: Archive, rng: random.Random) -> Elite:
    """A parent by rank, as a selection would draw it: the better, the likelier."""
    elites = archive.elites(rng.randrange(ISLANDS))
    return elites[min(int(rng.expovariate(0.1)), len(elites) - 1)]


def sampling(archive: Archive) -> float:
    """Microseconds for one parent."""
    rng = random.Random(1)
    return milliseconds(lambda: [sample(archive, rng) for _ in range(10_000)]) / 10


def report(folder: Path, count: int) -> None:
    path = folder / "scale.db"
    cpu, wall = write(path, count)
    size = path.stat().st_size
    print(f"write           {cpu:.4f} ms CPU, {wall:.4f} ms wall a commit, batches of {BATCH}")
    print(f"size            {size / 1e6:.1f} MB, {size / count:.0f} bytes a program")

    start = time.perf_counter()
    with Ledger.open(path) as ledger:
        archive = Archive.replay(ledger.replay(), OBJECTIVE, MEASURES, ISLANDS, ledger.event_programs())
        print(f"resume          {time.perf_counter() - start:.2f} s to open and replay into an archive")
        first = list(commits(min(1000, count)))
        small = Archive.replay(first, OBJECTIVE, MEASURES, ISLANDS)
        fresh = Archive(OBJECTIVE, MEASURES, ISLANDS)
        start = time.perf_counter()
        for commit in first:
            fresh.commit(commit)
        print(f"archive         {(time.perf_counter() - start) / len(first) * 1e6:.1f} us a commit")
        few, many = sampling(small), sampling(archive)
        print(f"sampling        {few:.2f} us a parent at {len(first)}, {many:.2f} us at {count}")
        print(f"stats           {milliseconds(archive.stats):.2f} ms, {archive.stats().filled} cells filled")

        last = archive.elites(0)[0].program.id
        names = [elite.program.id for elite in archive.elites(1)]
        depth, deepest = max((len(lineage.ancestors(ledger, name)), name) for name in names)
        fifty = milliseconds(lambda: lineage.ancestors(ledger, deepest, 50))
        print(f"lineage         {fifty:.3f} ms for 50 ancestors, {depth} deep")
        print(f"best's line     {milliseconds(lambda: lineage.ancestors(ledger, last)):.3f} ms")
        print(f"top 10          {milliseconds(lambda: lineage.top(ledger, OBJECTIVE)):.0f} ms")
        print(f"anytime curve   {milliseconds(lambda: lineage.best_so_far(ledger, OBJECTIVE)):.0f} ms")
        print(f"earned          {milliseconds(lambda: lineage.earned(ledger, OBJECTIVE), 1):.0f} ms")
        print(f"failures        {milliseconds(lambda: lineage.failures(ledger)):.0f} ms")
        print(f"elites cache    {milliseconds(lambda: ledger.write_elites(archive)):.1f} ms to write")
        print(f"content hash    {milliseconds(ledger.content_hash, 1) / 1e3:.2f} s")
        print(f"integrity       {milliseconds(ledger.integrity, 1) / 1e3:.2f} s")
    print(f"memory          {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--programs", type=int, default=200_000)
    parser.add_argument(
        "--folder", type=Path, help="where to write the ledger; a temporary folder by default"
    )
    arguments = parser.parse_args()
    versions = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    print(f"{arguments.programs} programs; {versions}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        report(Path(folder), arguments.programs)


if __name__ == "__main__":
    main()
