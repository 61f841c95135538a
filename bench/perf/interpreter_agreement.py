"""Holds the interpreter to jailed Python, bit for bit, over many random programs, and times each stage.

    python bench/perf/interpreter_agreement.py --programs 100000 --singly 3000

Knows the runner and the interpreter. Most programs are sent to the jail in batches of about 50 kB of text, a
process each; `--singly` of them get a process of their own, as in a search. Exits with 1 on any disagreement.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import random_expressions as programs

from evolve.fastcore.exchange import plain_text
from evolve.fastcore.interpret import (
    InterpretError,
    NotInterpretable,
    Plan,
    compile_expression,
    numpy_functions,
)
from evolve.fastcore.limits import Limits
from evolve.fastcore.runner import Failure, Runner

FUNCTIONS = numpy_functions()
HEAD = f"""from __future__ import annotations
import struct, warnings
from typing import Any
{programs.HEAD}
Outcome = tuple
"""
LIMITS = Limits(seconds=60.0, cpu_seconds=120.0, answer_bytes=1 << 28)
BATCH_BYTES = 50_000
TAIL = """
def batch(sets, which):
    return [in_python(globals()[name], sets[index]) for name, index in which]
"""


@dataclass
class Tally:
    """What happened, and how long each stage took, in seconds."""

    counts: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    shown: int = 0

    def timed(self, stage: str, start: float) -> None:
        """Add the time since `start` to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start

    def compare(self, text: str, found: tuple[str, ...], expected: tuple[str, ...]) -> None:
        """Count an agreement, or show a disagreement."""
        self.counts[f"agreed on {'a value' if found[0] == 'value' else 'an error'}"] += found == expected
        if found == expected:
            return
        self.counts["DISAGREED"] += 1
        self.shown += 1
        if self.shown <= 5:
            print(f"DISAGREEMENT\n{text}\n  interpreter {found}\n  jail        {expected}")


def interpreted(plan: Plan, inputs: tuple[Any, ...], tally: Tally) -> tuple[str, ...] | None:
    """What the interpreter makes of a call; None where it leaves it to the jail."""
    start = time.perf_counter()
    try:
        value = plan.run(inputs)
    except InterpretError as error:
        return ("error", error.kind, error.message)
    except NotInterpretable as error:
        tally.counts[f"left to the jail: {str(error).split()[0]} ..."] += 1
        return None
    finally:
        tally.timed("interpret", start)
    return programs.described(value)


def compiled(text: str, name: str, tally: Tally) -> Plan:
    """A plan, its parse and its reading timed apart."""
    start = time.perf_counter()
    ast.parse(text)
    tally.timed("ast.parse alone", start)
    start = time.perf_counter()
    plan = compile_expression(text, name, FUNCTIONS)
    tally.timed("compile, parse included", start)
    return plan


def in_batches(runner: Runner, writer: programs.Writer, count: int, sets: Any, tally: Tally) -> None:
    """Compare `count` programs, many to a jailed process."""
    helpers = "".join(inspect.getsource(part) for part in (programs.described, programs.in_python))
    texts: list[str] = []
    waiting: list[tuple[str, int, tuple[str, ...]]] = []
    for number in range(count):
        name = f"p{number}"
        text = writer.program(name)
        which = number % len(sets)
        found = interpreted(compiled(programs.HEAD + text, name, tally), sets[which], tally)
        if found is not None:
            texts.append(text)
            waiting.append((name, which, found))
        if waiting and (sum(map(len, texts)) > BATCH_BYTES or number == count - 1):
            start = time.perf_counter()
            with runner.start(f"{HEAD}{helpers}{''.join(texts)}{TAIL}", "batch", LIMITS) as session:
                answers = session.call((sets, [(name, which) for name, which, _ in waiting]))
            tally.timed("jail in batches", start)
            tally.counts["jailed batches"] += 1
            for part, (_, which, found), expected in zip(texts, waiting, answers, strict=True):
                tally.compare(f"{part}  inputs {which}", found, expected)
            texts, waiting = [], []


def singly(runner: Runner, writer: programs.Writer, count: int, sets: Any, tally: Tally) -> None:
    """Compare `count` programs, a jailed process each, as the search would run them."""
    for number in range(count):
        text = programs.HEAD + writer.program()
        inputs = sets[number % len(sets)]
        found = interpreted(compiled(text, "entry", tally), inputs, tally)
        if found is None:
            continue
        if found[0] == "error":
            found = ("error", plain_text(f"{found[1]}: {found[2]}", 2_000))
        start = time.perf_counter()
        try:
            with runner.start(text, "entry", LIMITS) as session:
                expected = programs.described(session.call(inputs))
        except Failure as failure:
            expected = (failure.status, failure.message)
        tally.timed("jail one by one", start)
        tally.counts["jailed singly"] += 1
        tally.compare(text, found, expected)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; 1 if anything disagreed."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--programs", type=int, default=10_000)
    options.add_argument("--singly", type=int, default=500)
    options.add_argument("--size", type=int, default=64, help="elements of an input array")
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args(arguments)
    tally = Tally()
    sets = programs.input_sets(given.size, given.seed)
    writer = programs.Writer(random.Random(given.seed))
    with Runner(preload=("numpy",)) as runner:
        print(f"jail level {runner.warden().level}, {given.programs} programs, {given.size} elements")
        in_batches(runner, writer, given.programs, sets, tally)
        singly(runner, writer, given.singly, sets, tally)
    total = given.programs + given.singly
    for name, count in sorted(tally.counts.items()):
        print(f"{count:>9}  {name}")
    for stage, seconds in tally.seconds.items():
        count = tally.counts["jailed singly"] if stage == "jail one by one" else total
        print(f"{seconds:>9.2f} s  {stage} ({seconds / max(count, 1) * 1e6:.1f} us a program)")
    print(f"{tally.counts['DISAGREED']:>9}  disagreements")
    return 1 if tally.counts["DISAGREED"] else 0


if __name__ == "__main__":
    sys.exit(main())
