"""Commits that depend on nothing but their number, and a process that writes them until it is killed.

Loaded by conftest.py, and run as `python writer.py LEDGER COUNT BATCH` by the tests that kill it.
"""

import random
import sys

from evolve.programs_db.audit import text_hash
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.records import Commit, Evaluation, Event, Program, Proposal, Status, Trial

PROBLEM = {"name": "toy", "parameters": {"n": 3}, "description": "a toy", "path": "toy.py", "unit": "%"}
RUN = {"seed": 7, "version": "0.1.0", "workers": 2}


def program_at(number):
    """Every fifth proposal makes the program of the one before it again."""
    kind = number - 1 if number % 5 == 4 else number
    source = f"def f(x):\n    return x + {kind}\n" + f"    # {random.Random(kind).random()}\n" * 4
    return Program(text_hash(source), source, text_hash(source + "c"), text_hash("s"), 12 + kind % 3)


def commit_at(number):
    """Status, parents, trials and events vary with the number; parents are earlier proposals' programs."""
    rng = random.Random(number)
    made = number % 7 != 6
    program = program_at(number) if made else None
    parents = (
        [n for n in sorted({rng.randrange(number), rng.randrange(number)}) if n % 7 != 6] if number else []
    )
    ok = made and number % 6 != 5
    objective = round(rng.uniform(0, 10), 3)
    evaluation = made and Evaluation(
        program.id,
        Status.OK if ok else Status.ERROR,
        "" if ok else f"ValueError: {number}",
        objective if ok else None,
        {"a": {"x": objective, "y": number}, "b": {"x": -objective, "y": float("inf")}} if ok else {},
        {"m": rng.uniform(-0.2, 1.2), "k": number % 4} if ok else {},
        text_hash(str(objective)) if ok else "",
        cpu_seconds=rng.random(),
        wall_seconds=rng.random(),
        memory=rng.randrange(10**6),
        isolation="strict",
    )
    proposal = Proposal(
        number,
        number % 2,
        "seed" if number == 0 else "syntactic",
        rng.choice(["swap", "grow"]),
        tuple(program_at(n).id for n in parents),
        program.id if made else None,
        program.canonical if made else "",
        number % 3,
        int(made),
        None if made else "no place to change",
        rng.random(),
    )
    trials = (Trial((0.1, float(number)), 2.5), Trial((1e-300, -0.0), None)) if number % 10 == 3 else ()
    return Commit(proposal, program, evaluation or None, trials, ())


def event_at(number, program):
    return Event("migration", number % 2, (program,), {"why": ["old", number]})


def write(path, count, batch):
    with Ledger.open(path) as ledger:
        ledger.begin_session("fp-1", {"cpus": 2}, sys.argv, count)
        for number in range(ledger.next_number, count):
            ledger.record(commit_at(number))
            if number % batch == batch - 1:
                ledger.flush()
                print(number, flush=True)


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
