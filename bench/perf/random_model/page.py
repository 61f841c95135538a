"""The page: what was reached, and what the answers were like."""

from collections.abc import Mapping, Sequence
from math import isnan
from statistics import mean, median
from typing import Any, Final

import evolve
from bench.perf.random_model.arms import ARMS, MEMORY, PACKING, PROPOSALS, SEEDS, TASTE, TUNED, Arm, at
from bench.perf.random_model.servers import SLOTS
from evolve.fastcore.machine import fingerprint

MARKS: Final = (10, 30, 100, 300, 1_000)
Courses = Mapping[str, Sequence[Mapping[str, Any]]]


def page(courses: Courses, drawing: str) -> str:
    """The whole page.

    Args:
        courses: figures by arm and seed.
        drawing: name of the file with the curves, beside the page; "" for none.
    """
    machine = fingerprint()
    where = f"{machine.get('cpu', machine['architecture'])}, {machine['kernel']}, Python {machine['python']}"
    digits, opening, old = TASTE
    words = INTRODUCTION.format(
        version=evolve.__version__,
        where=where,
        proposals=PROPOSALS,
        slots=SLOTS,
        digits=digits,
        opening=opening,
        old=old,
        seeds=f"{min(SEEDS)} to {max(SEEDS)}",
    ).strip()
    parts = [words, _outcome(courses)]
    if drawing:
        parts.append(f"![anytime curves]({drawing})")
    for problem, tune in dict.fromkeys((arm.problem, arm.tune) for arm in ARMS):
        arms = [arm for arm in ARMS if (arm.problem, arm.tune) == (problem, tune)]
        parts.append(_reached(arms, courses))
        parts.append(_unseen(arms, courses))
    parts += [_answers(courses), REASONS.format(tuned=TUNED).strip(), _found(courses)]
    return "\n\n".join(parts) + "\n"


def _outcome(courses: Courses) -> str:
    """One line an arm: in how many courses the seed program was improved, and by how much."""
    lines = [
        "## What came of it",
        "",
        "*Better unseen*: courses whose last program beats the seed program on the first of the unseen suites as well "
        "(`same_size`, `weibull_5k`).",
        "",
        f"| problem | tuning | who proposes | better | better unseen | seed program | best after {PROPOSALS:,}: median "
        "(range) |",
        "|---" * 7 + "|",
    ]
    for arm in ARMS:
        told = courses[arm.key]
        values = [at(one, PROPOSALS) for one in told]
        better = sum(len(one["points"]) > 1 for one in told)
        suite = next(iter(told[0]["unseen"]))
        unseen = sum(at(one, PROPOSALS, suite) < at(one, 0, suite) for one in told)
        lines.append(
            f"| `{arm.problem}` | {arm.tune or 'none'} | {arm.name} | **{better}** of {len(told)} | {unseen} | "
            f"{at(told[0], 0):.4g} | {_spread(values)} |"
        )
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    known = [value for value in values if not isnan(value)]
    if len(known) < len(values):
        return f"fails in {len(values) - len(known)} of {len(values)}"
    if min(known) == max(known):
        return f"**{known[0]:.4g}**"
    return f"**{median(known):.4g}** ({min(known):.4g} - {max(known):.4g})"


def _title(arm: Arm) -> str:
    return (
        f"`{arm.problem}`, {f'constants tuned by up to {arm.tune} evaluations' if arm.tune else 'no tuning'}"
    )


def _reached(arms: Sequence[Arm], courses: Courses) -> str:
    lines = [
        f"## {_title(arms[0])}",
        "",
        "Training cases, best so far after so many proposals:",
        "",
        "| who proposes | seed | " + " | ".join(f"{mark:,}" for mark in MARKS) + " |",
        "|---" * (len(MARKS) + 2) + "|",
    ]
    for arm in arms:
        for seed, told in zip(SEEDS, courses[arm.key], strict=True):
            figures = " | ".join(f"{at(told, mark):.4g}" for mark in MARKS)
            lines.append(f"| {arm.name} | {seed} | {figures} |")
        middle = " | ".join(_spread([at(told, mark) for told in courses[arm.key]]) for mark in MARKS)
        lines.append(f"| {arm.name} | median (range) | {middle} |")
    return "\n".join(lines)


def _unseen(arms: Sequence[Arm], courses: Courses) -> str:
    """The programs that were best on the training cases, on cases that no search has met."""
    lines = [
        "Unseen suites, the program that is best on the training cases after so many proposals, median (range):",
        "",
        "| suite | seed program | who proposes | " + " | ".join(f"{mark:,}" for mark in MARKS) + " |",
        "|---" * (len(MARKS) + 3) + "|",
    ]
    for suite in courses[arms[0].key][0]["unseen"]:
        for arm in arms:
            told = courses[arm.key]
            figures = " | ".join(_spread([at(one, mark, suite) for one in told]) for mark in MARKS)
            lines.append(f"| {suite} | {at(told[0], 0, suite):.4g} | {arm.name} | {figures} |")
    return "\n".join(lines)


def _answers(courses: Courses) -> str:
    lines = [
        "## What the answers were",
        "",
        f"Means over the courses of {PROPOSALS:,} proposals. *Valid*: answers that were a program other than the one",
        "to change. *Bare*: sentences that say one name or one number. *Equal*: evaluated programs that score exactly",
        "as the seed program does. *Stale*: commits that a proposal did not know of. *Cached*: of the prompt tokens,",
        "found in the server's prefix cache. Seconds are wall time, on a machine that did other work as well.",
        "",
        "| problem | tuning | who proposes | valid | bare | equal | evaluations | prompt tokens | cached "
        "| answer tokens | stale | seconds |",
        "|---" * 12 + "|",
    ]
    for arm in ARMS:
        told = courses[arm.key]
        figures = [f"{mean(one[name] for one in told):.1%}" for name in ("valid", "leaves", "same")]
        figures.append(f"{mean(one['evaluations'] for one in told):,.0f}")
        if arm.who == "model":
            prompt, cached, said = (
                sum(one["tokens"][name] for one in told) for name in ("prompt", "cached", "completion")
            )
            figures += [f"{prompt / len(told):,.0f}", f"{cached / prompt:.1%}", f"{said / len(told):,.0f}"]
        else:
            figures += ["", "", ""]
        figures.append(f"{mean(one['staleness'] for one in told):.1f}" if "staleness" in told[0] else "")
        figures.append(f"{mean(one['seconds'] for one in told):.0f}")
        lines.append(f"| `{arm.problem}` | {arm.tune or 'none'} | {arm.name} | {' | '.join(figures)} |")
    return "\n".join(lines)


def _found(courses: Courses) -> str:
    """The best programs that the model has made."""
    parts = ["## The best programs of the model"]
    for problem in (PACKING, MEMORY):
        made = [
            (at(one, PROPOSALS), arm, seed, one["points"][-1][2])
            for arm in ARMS
            if arm.problem == problem and arm.who == "model"
            for seed, one in zip(SEEDS, courses[arm.key], strict=True)
        ]
        value, arm, seed, source = min(made, key=lambda one: one[0])
        told = f"`{problem}`, {value:.4g} ({arm.name}, tuning {arm.tune or 'none'}, seed {seed}):"
        parts += [told, f"```python\n{source.strip()}\n```"]
    return "\n\n".join(parts)


INTRODUCTION = """
# Evolution by a random model

A model of 0.4 million random weights knows nothing. Held to the grammar of edits it still answers each request with a
program, so that a whole run, from the prompt over the server to the archive, can be seen to work without any
knowledge. This page is written by `python -m bench.perf.random_model --write docs/random-model.md`.

evolve {version}, vLLM 0.32.0 on the CPU, on {where}. Each course has {proposals:,} proposals and two workers; seeds
{seeds}. The syntactic mutator and the lessons are off, and edits in the grammar's format are the only ones. The server
makes {slots} answers at once (`--max-num-seqs {slots}`): with its usual 256, a proposal would know little of what came
before it. Temperature and top_p are as the server has them. Runs with a model are not repeated to the last digit by
their seed: answers arrive in another order each time.

- **the model**: `evolve run` through vLLM.
- **the model, biased**: the same with one more dial, a `logit_bias` of {digits:+} for tokens of digits, {opening:+} for
  those that open a parenthesis or a function's name, and {old:+} for those of `old`, the word for what stands at the
  place now. See below for the reason.
- **chance in its place**: the same run, with a server that draws from the grammar of each request; all alternatives
  of a rule are equally likely.
- **independent draws**: as many sentences from the grammar of the seed program, drawn in that way, each of them an edit
  of the seed program. Scored by the same evaluator, tuned by the same tuner (a run gives up tuning what is hopeless;
  here nothing is given up).

Lower is better everywhere.
"""

REASONS = """
## Reading this

**Why the model without a bias does so little.** Its weights are so small that every token is about equally likely: of
2,048, the twentieth likeliest has 1.5 times an even share. Where an expression begins, most of the tokens that the
grammar allows are digits and beginnings of names, so nearly nine sentences in ten say one name or one number (*bare*).
Chance draws among the grammar's alternatives, of which a number is only one. The bias brings the model's sentences near
to chance's. It is the last of those that were tried: on seeds 0 to 2 of `online_bin_packing` -2 for digits, then -2 and
+1.5 for what opens; on seeds 100 to 103, -3 and +2.5, then with +3 for `old`, there and for `memory_rule`. Other dials
do not help: with no bias, on seeds 100 and 101 of `online_bin_packing`, at a temperature of 0.3 or 0.1 or a top_p of
0.5, no run of 1,000 proposals improved the seed program, and 77 to 93 % of the sentences were bare. The context of
8,192 tokens was never short: a prompt has some 2,000 to 3,500.

**Why `online_bin_packing` is hard for whoever begins at best fit.** Ties go to the bin with the least room, so a
program that says the same of all bins is best fit again, and so is much else (*equal*). Such programs fill no new cell,
so that most proposals change the seed program until one falls into another cell. Hence the simpler problem,
`memory_rule`: there few edits are equal, most are worse, and the way up has steps.

**Tuning.** With {tuned} evaluations for constants a course has several times the evaluations of one without; many go to
structures that are best fit whatever their constants.
"""
