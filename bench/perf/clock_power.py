"""The power of the clock: how often a race tells equal programs apart, and how often it finds x1.05 and x1.02.

Real jailed programs, each in a process of its own; the answer of every run is checked, and holds the number of steps
it took, so that the true ratio of work is known. Each repetition is a new race of new processes. From the same runs,
the two common ways of timing are judged as well: the ratio of the least, and of the mean, of as many wall times.

    python bench/perf/clock_power.py --save idle.json
    python bench/perf/clock_power.py --load 2 --save busy.json
    python bench/perf/clock_power.py --table idle.json busy.json --write docs/clock-power.md

A file that has some repetitions already is continued; `--case` runs one case of the four.
"""

import argparse
import contextlib
import datetime
import json
import re
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from evolve.bench.busy import busy_loops
from evolve.fastcore import wire
from evolve.fastcore.limits import Limits
from evolve.fastcore.machine import fingerprint
from evolve.fastcore.race import Result, Rules, race
from evolve.fastcore.runner import Runner, Session

# The two programs of a race differ in digits of one number: a longer text would move the objects of the program,
# which is worth up to 1 per cent.
SOURCE: Final = """
STEPS = {steps}


def walk(seed):
    state, counts, taken = seed, {{}}, 0
    recent = [0] * 64
    for step in range(STEPS):
        state = (state * 1103515245 + 12345) % 2147483648
        key = (state >> 16) % 97
        counts[key] = counts.get(key, 0) + 1
        recent[step % 64] = state
        taken += 1
    return sum(recent) % 1000003 + counts[0], taken
"""
OTHER_NAMES: Final = (
    ("key", "number"),
    ("counts", "c"),
    ("state", "the_state"),
    ("recent", "seen"),
    ("step", "i"),
)
UNIT: Final = 400
"""Steps in a hundredth of the faster program's work; about 6 ms of CPU a run in all."""
RENEW: Final = 10
"""Repetitions after which both zygotes are new."""
MORE_LOOKS: Final = (6, 10, 16, 26, 42, 64, 100, 160, 230, 300)


class Case(NamedTuple):
    """One question that is put again and again."""

    words: str
    percent: int
    """Work of the baseline, in hundredths of the program's."""
    rules: Rules
    asked: str = ""
    rewritten: bool = False
    """Whether the baseline's text has other names and a docstring, another one in each race."""

    def met(self, faster: int, slower: int, races: int) -> bool:
        """Whether as many races as asked, in proportion, were decided rightly."""
        if self.percent == 100:
            return (faster + slower) * 200 <= 17 * races
        return faster * 200 >= (183 if self.percent == 105 else 176) * races


CASES: Final = {
    "aa": Case("equal programs, called different", 100, Rules(), "at most 17 of 200"),
    "x105": Case("true x1.05, called faster, 64 pairs at most", 105, Rules(), "at least 183 of 200"),
    "x102": Case(
        "true x1.02, called faster, 300 pairs at most", 102, Rules(looks=MORE_LOOKS), "at least 176 of 200"
    ),
    "text": Case("equal work, other text, called different", 100, Rules(), rewritten=True),
}


class Stopwatch:
    """A session whose calls are timed on the wall, as one would without a race."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.walls: list[float] = []

    @property
    def pid(self) -> int:
        return self._session.pid

    @property
    def threads(self) -> int:
        return self._session.threads

    def ready(self) -> None:
        self._session.ready()

    def begin_case(self) -> None:
        self._session.begin_case()

    def ask(self, body: Any) -> bytes:
        began = time.perf_counter()
        answer = self._session.ask(body)
        self.walls.append(time.perf_counter() - began)
        return answer


def rewrite(source: str, number: int) -> str:
    """The same work in another text: some names replaced, and a docstring of some length."""
    for bit, (name, other) in enumerate(OTHER_NAMES):
        if number >> bit & 1:
            source = re.sub(rf"\b{name}\b", other, source)
    return source.replace("(seed):\n", f'(seed):\n    """{"Walk. " * (1 + number % 7)}"""\n')


def repetition(runners: tuple[Runner, Runner], case: Case, seed: int) -> dict[str, Any]:
    """Run one race and judge its walls too."""
    limits = Limits(cpu_seconds=600.0)
    steps = {"program": 100 * UNIT, "baseline": case.percent * UNIT}
    rng = np.random.default_rng(seed)

    def deal() -> list[bytes]:
        return [wire.encode((int(rng.integers(1 << 30)),))]

    def check(name: str, _case: int, answer: bytes) -> None:
        _checksum, taken = wire.decode(answer, wire.TRUSTED)
        if taken != steps[name]:
            raise SystemExit(f"{name} took {taken} steps, not {steps[name]}")

    texts = [SOURCE.format(steps=count) for count in steps.values()]
    if case.rewritten:
        texts[1] = rewrite(texts[1], seed)
    with contextlib.ExitStack() as stack:
        program, baseline = (
            Stopwatch(stack.enter_context(runner.start(text, "walk", limits)))
            for text, runner in zip(texts, runners, strict=True)
        )
        result = race(program, baseline, deal, check, case.rules, seed)
    return summary(result, program.walls[-result.pairs :], baseline.walls[-result.pairs :])


def summary(result: Result, walls: Sequence[float], base_walls: Sequence[float]) -> dict[str, Any]:
    """What is kept of one race: plain numbers."""
    spread = np.diff(np.quantile(result.ratios, [0.16, 0.84]))[0] / 2.0
    return {
        "pairs": result.pairs,
        "speedup": result.speedup,
        "low": result.low,
        "high": result.high,
        "verdict": result.verdict,
        "flagged": result.flagged,
        "disagreement": result.disagreement,
        "spread": float(spread),
        "least_wall": min(base_walls) / min(walls),
        "mean_wall": float(np.mean(base_walls) / np.mean(walls)),
        "cpu_ms": 1e3 * result.cpu_seconds / (2 * result.pairs),
    }


def campaign(names: Sequence[str], options: argparse.Namespace) -> dict[str, Any]:
    """Run the repetitions that are missing, keeping what is done after each ten."""
    kept: dict[str, Any] = {"load": options.load, "machine": fingerprint(), "races": {}}
    if options.save and options.save.exists():
        kept = json.loads(options.save.read_text(encoding="utf-8"))
        if kept["load"] != options.load:
            raise SystemExit(
                f"{options.save} was recorded with --load {kept['load']}; continue it with the same"
            )
    with busy_loops(options.load):
        for name in names:
            races = kept["races"].setdefault(name, [])
            while len(races) < options.repetitions:
                with Runner() as one, Runner() as other:
                    for number in range(len(races), min(len(races) + RENEW, options.repetitions)):
                        pair = (one, other) if number % 2 else (other, one)
                        races.append(repetition(pair, CASES[name], seed=number))
                if options.save:
                    options.save.write_text(json.dumps(kept), encoding="utf-8")
                right = sum(line["verdict"] == "faster" for line in races)
                wrong = sum(line["verdict"] == "slower" for line in races)
                print(f"{name}: {len(races)} races, faster {right}, slower {wrong}", file=sys.stderr)
    return kept


def table(campaigns: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of the table: one a case and machine load, ours beside the naive ways."""
    lines = [
        "| busy loops | what | asked | race | least wall | mean wall | pairs, median (most) | noise of a pair |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kept in campaigns:
        for name, races in kept["races"].items():
            lines.extend(rows(kept["load"], CASES[name], races))
    return lines


def rows(load: int, case: Case, races: Sequence[dict[str, Any]]) -> Iterator[str]:
    """One row; two for equal programs, where the naive rule depends on the effect that is sought."""
    faster = sum(line["verdict"] == "faster" for line in races)
    slower = sum(line["verdict"] == "slower" for line in races)
    ours = faster + slower if case.percent == 100 else faster
    word = "" if not case.asked else ", met" if case.met(faster, slower, len(races)) else ", **missed**"
    pairs = sorted(line["pairs"] for line in races)
    middle = f"{pairs[len(pairs) // 2]} ({pairs[-1]})"
    spread = 100 * float(np.median([line["spread"] for line in races]))
    for effect in (5, 2) if case.percent == 100 else (case.percent - 100,):
        naive = [
            sum(called(line[way], effect, case.percent) for line in races)
            for way in ("least_wall", "mean_wall")
        ]
        words = case.words + (f" (walls: by {effect / 2:.1f} %)" if case.percent == 100 else "")
        yield (
            f"| {load} | {words} | {case.asked} | {ours} of {len(races)}{word} | {naive[0]} | {naive[1]} "
            f"| {middle} | {spread:.1f} % |"
        )


def called(ratio: float, effect: int, percent: int) -> bool:
    """The naive rule: different where the ratio is off by more than half the effect that is sought."""
    threshold = 1.0 + effect / 200.0
    return ratio > threshold or (percent == 100 and ratio < 1.0 / threshold)


def page(campaigns: Sequence[dict[str, Any]], date: str) -> str:
    """The section as it stands in the documentation."""
    machine = campaigns[0]["machine"]
    facts = ", ".join(f"{name} {value}" for name, value in machine.items())
    work = np.median(
        [line["cpu_ms"] for kept in campaigns for races in kept["races"].values() for line in races]
    )
    return PAGE.format(
        date=date,
        facts=facts,
        table="\n".join(table(campaigns)),
        work=work,
        resolution=Rules().resolution,
        command=shlex.join(sys.argv),
    )


PAGE: Final = """# The power of the clock

How often races of jailed programs are decided rightly, measured on {date}. Written by `python {command}`.

{table}

A race is called by its interval (95 %, all looks together) of the median ratio of CPU times; {work:.1f} ms of CPU a
run. The two columns beside it are judged on the same runs, by wall time as one would take it by hand: the ratio of the
least, or the mean, of as many runs, called different when it is off by more than half the effect sought. The noise of
a pair is half the range of the middle 68 % of its ratios. "Busy loops" ran beside the races, on as many cores.

Both programs of a race have texts of one length, but in the last case. Other texts of the same work may differ by up to
about 1 %, because the objects of a program lie at other addresses: no number of pairs shows that it is not the work.
Therefore the interval of a race is widened by its resolution, {resolution:.1%}.

Machine: {facts}.
"""


def main() -> None:
    """Measure, or render what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--load", type=int, default=0, help="busy loops beside the races")
    parser.add_argument("--case", choices=tuple(CASES))
    parser.add_argument("--save", type=Path, help="keep the races in this file, and continue it")
    parser.add_argument("--table", type=Path, nargs="+", help="measure nothing; render these files")
    parser.add_argument("--write", type=Path, help="write the page here")
    parser.add_argument("--date", default=datetime.datetime.now(tz=datetime.UTC).date().isoformat())
    options = parser.parse_args()
    if options.table:
        campaigns = [json.loads(path.read_text(encoding="utf-8")) for path in options.table]
    else:
        campaigns = [campaign([options.case] if options.case else list(CASES), options)]
    text = page(campaigns, options.date)
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
