"""Score one hand-written program: a bare block, or a file with markers; `-` reads it from stdin."""

import argparse
import asyncio
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evolve.errors import UsageError
from evolve.evaluator import Evaluator, Job, Judged
from evolve.programs_db.records import Evaluation, Status
from evolve.search import Search
from evolve.source import SourceError, plain, program_of, text_hash
from evolve.speed import ALL
from evolve.speed_telling import raced, ratio, spoken
from evolve.statement import Problem
from evolve.terminal import number, out, print_json, safe
from evolve.text import clean
from evolve.verbs.common import add_json, add_problem, load_problem, needs_jail, read_program, told

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """PROBLEM, FILE, `-p`, `--suite`, `--unsafe` and `--json`."""
    add_problem(parser)
    parser.add_argument("file", metavar="FILE", help="the program; - for stdin")
    parser.add_argument(
        "--suite", default="", metavar="NAME", help="a suite of unseen cases instead of the training cases"
    )
    parser.add_argument("--unsafe", action="store_true", help="run the program without a jail")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Score it; exit code 1 unless it has a score."""
    problem = load_problem(args)
    if args.suite and args.suite not in problem.unseen:
        raise UsageError(
            f"problem {problem.name!r} has no suite {args.suite!r}; "
            f"it has: {', '.join(problem.unseen) or 'none'}"
        )
    needs_jail(args.unsafe)
    source = plain(read_program(args.file))
    judged = asyncio.run(_judge(problem, Job(source, suite=args.suite), args.unsafe))
    evaluation = judged.evaluation
    if args.json:
        about = {"problem": problem.name, "suite": args.suite, "program": text_hash(source)}
        print_json({**about, **told(evaluation), "traceback": clean(judged.traceback, 16_000)})
    else:
        _show(out(), problem, judged)
    return 0 if evaluation.status is Status.OK else 1


async def _judge(problem: Problem, job: Job, unsafe: bool) -> Judged:
    try:
        program = program_of(job.source, problem.entry)
    except SourceError as error:
        return Judged(job.source, Evaluation("", Status.ERROR, str(error)))
    async with Evaluator(problem, 1, unsafe) as evaluator:
        judged = await evaluator.evaluate(job)
    return replace(judged, evaluation=Search.evaluation_of(problem, program, judged))


def _show(console: Console, problem: Problem, judged: Judged) -> None:
    one = judged.evaluation
    if one.status is Status.OK:
        line = f"{problem.objective.name} {number(one.objective)} {problem.objective.unit}".rstrip()
        if problem.speed:
            line = spoken(raced(problem, one))
        console.print(Text.assemble(("ok      ", "green"), (line, "bold")))
    else:
        console.print(Text.assemble((f"{one.status.value:<12}", "bold red"), safe(one.message)))
    if problem.speed:
        _speeds(console, one)
    else:
        _scores(console, one)
    for name, value in one.measures.items():
        measure = problem.bounds(name)
        outside = (
            ""
            if measure.low <= value <= measure.high
            else f"  outside {measure.low:g}..{measure.high:g}: clipped"
        )
        console.print(Text(f"{name}  {number(value)}{outside}", style="yellow" if outside else ""))
    if judged.traceback:
        console.print(safe(judged.traceback.rstrip(), 8_000, "dim"), soft_wrap=True)
    if one.output:
        console.print(Text("it printed:", style="cyan"))
        console.print(safe(one.output.rstrip(), 4_000), soft_wrap=True)
    memory = f", {one.memory / 2**20:.0f} MiB" if one.memory else ""
    console.print(
        Text(
            f"{one.cpu_seconds:.4f} CPU s, {one.wall_seconds:.4f} s{memory}; "
            f"isolation {one.isolation or 'not run'}",
            style="dim",
        )
    )


def _speeds(console: Console, evaluation: Evaluation) -> None:
    for case, found in evaluation.scores.items():
        if case == ALL:
            told = f"set-up {found['setup_cpu']:.3g} CPU s, compiling {found['compile_cpu']:.3g} CPU s"
            console.print(Text(f"{told}: not in the ratio", style="dim"))
            if found["flagged"]:
                told = f"CPU time and wall time disagree by {100 * found['disagreement']:.3g} %"
                console.print(Text(f"{told}: does it sleep, wait, or use other threads?", style="yellow"))
        else:
            console.print(safe(f"{case}  {ratio(found['speedup'])}"))


def _scores(console: Console, evaluation: Evaluation) -> None:
    if not evaluation.scores:
        return
    names = list(dict.fromkeys(name for numbers in evaluation.scores.values() for name in numbers))
    table = Table(box=None, pad_edge=False)
    table.add_column("case", style="cyan")
    for name in names:
        table.add_column(safe(name), justify="right")
    for case, numbers in evaluation.scores.items():
        table.add_row(safe(case), *(number(numbers.get(name)) for name in names))
    console.print(table)
