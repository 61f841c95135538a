"""CPU microseconds that a question to a model costs before it is sent, by format of its answer.

    python bench/perf/prompt_cost.py --problem online_bin_packing

A search without a model is recorded first. Its commits are then taken again as if a model had proposed them, and after
each a question is drawn as the engine draws it: a parent is chosen, its facts are gathered, the prompt is built.
"""

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import evolve
from evolve.config import Config
from evolve.llm.dials import Dials
from evolve.llm.templates import FORMATS
from evolve.loader import load
from evolve.mutators.llm import ModelMutator
from evolve.mutators.memory import NAME
from evolve.mutators.syntactic import SyntacticMutator
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.records import Commit
from evolve.search import Search
from evolve.statement import Problem

CONTEXT = 32_768


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--problem", default="online_bin_packing")
    parser.add_argument("--programs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    problem = load(options.problem)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.db"
        evolve.run(problem, seed=0, ledger=path, proposals=options.programs)
        with Ledger.read(path) as book:
            commits = list(as_of_a_model(book.replay(book.fingerprint)))
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {problem.name}")
    print("\n| answer | CPU us a question | least, most | bytes of its prompt | CPU us a commit |")
    print("|---|---|---|---|---|")
    for form in FORMATS:
        rows = [asked(problem, commits, Dials(formats=(form,))) for _ in range(options.rounds)]
        questions, taken, sizes = zip(*rows, strict=True)
        print(
            f"| {form} | {statistics.median(questions):.0f} | {min(questions):.0f}, {max(questions):.0f} "
            f"| {sizes[0]:.0f} | {statistics.median(taken):.0f} |"
        )


def as_of_a_model(commits: Iterator[Commit]) -> Iterator[Commit]:
    """The same commits, as if a model had been asked for each."""
    for commit in commits:
        proposal = commit.proposal
        if proposal.number:
            proposal = replace(proposal, mutator=NAME, operator="improve:block")
        yield replace(commit, proposal=proposal)


def asked(problem: Problem, commits: list[Commit], dials: Dials) -> tuple[float, float, float]:
    """CPU microseconds a question, and a commit, and the mean size of a prompt in bytes."""
    model = ModelMutator(problem, dials.resolved(CONTEXT, True))
    mutator = SyntacticMutator(problem.block, problem.entry, problem.primitives)
    search = Search(problem, Config(), 0, mutator, model=model)
    questions = taken = 0.0
    size = 0
    for commit in commits:
        begun = time.process_time()
        search.replay(commit)
        absorbed = time.process_time()
        question = search.ask(commit.proposal.number + 1)
        drawn = time.process_time()
        model.asked(question.kind, question.repairs)
        taken += absorbed - begun
        questions += drawn - absorbed
        size += sum(len(text.encode()) for role, text in question.pieces if role != "grammar")
    return 1e6 * questions / len(commits), 1e6 * taken / len(commits), size / len(commits)


if __name__ == "__main__":
    main()
