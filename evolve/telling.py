"""Tells a run's document to people: from where to where, on which cases, what failed, and what to doubt.

Knows the document of `summary` and rich; reads no ledger. Figures are shown as what they are.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import ASCII2, SIMPLE_HEAD
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from evolve.programs_db.records import Objective
from evolve.speed_telling import headline_of_speed, is_speed, rows_of_speed, speed_doubts
from evolve.statement import Reference
from evolve.terminal import is_ascii, number, safe
from evolve.text import clean
from evolve.verdict_telling import STYLES, tell_verdict

__all__ = ["cited", "doubts", "headline", "rule", "tell_counts", "tell_source", "tell_unseen", "tell_ways_on"]

_NARROW = 60
Document = Mapping[str, Any]


def rule(console: Console, title: str) -> None:
    """A line across with a title."""
    console.print(Rule(Text(title), characters="-" if is_ascii(console) else "─", style="dim", align="left"))


def _value(document: Document, value: Any) -> str:
    return f"{number(value)} {document['objective']['unit']}".rstrip()


def headline(document: Document) -> Text:
    """The seed program's value, and the best's; of a speed, what was confirmed."""
    if is_speed(document):
        return headline_of_speed(document)
    objective, seed, best = document["objective"], document["seed_program"], document["best"]
    name, direction = objective["name"], objective["direction"]
    if best is None:
        return Text("no valid program was found", style="bold red")
    if seed is None or seed["value"] is None:
        return Text(f"{name} ({direction}): best {_value(document, best['value'])}", style="bold")
    if best["value"] == seed["value"]:
        return Text(
            f"{name} ({direction}): {_value(document, best['value'])}, the seed program's; nothing is better",
            style="bold yellow",
        )
    line = Text(f"{name} ({direction}): seed {_value(document, seed['value'])} -> best ", style="bold")
    verdict = best.get("verdict", "unverified")
    return line.append(f"{_value(document, best['value'])}, {verdict}", style=STYLES[verdict])


def tell_unseen(console: Console, document: Document, references: Sequence[Reference] = ()) -> None:
    """Seed, best and baselines on the training cases and on each unseen suite, side by side."""
    lines = {"seed": document["seed_program"], "best": document["best"], **document["baselines"]}
    lines = {name: line for name, line in lines.items() if line}
    suites = list(dict.fromkeys(suite for line in lines.values() for suite in line.get("unseen", {})))
    unit = document["objective"]["unit"]
    if is_speed(document):
        rule(console, f"speed, {document['objective']['baseline']} = 1.00x; inputs that the search never saw")
        _tabulate(console, rows_of_speed(lines), list(lines))
    elif suites or document["baselines"]:
        rule(console, "training and unseen cases" + (f" ({unit})" if unit else ""))
        rows = [("training", {name: number(line["value"]) for name, line in lines.items()})]
        rows += [
            (suite, {name: number(line.get("unseen", {}).get(suite)) for name, line in lines.items()})
            for suite in suites
        ]
        _tabulate(console, rows, list(lines))
        if suites:
            console.print(
                Text("no selection saw an unseen case; one search, one seed: no error bars", style="dim")
            )
    for name, line in lines.items():
        for suite, why in line.get("failures", {}).items():
            console.print(safe(f"{name} failed on {suite or 'training'}: {why}", 400, "yellow"))
    _tell_references(console, references)


def _tabulate(console: Console, rows: list[tuple[str, dict[str, str]]], names: list[str]) -> None:
    if console.width < _NARROW or sum(len(name) + 3 for name in names) + 16 > console.width:
        for suite, figures in rows:
            console.print(safe(suite, style="cyan"))
            for name in names:
                style = "bold" if name == "best" else ""
                console.print(safe(f"  {name:<14} {figures[name]:>10}", style=style))
        return
    table = Table(box=ASCII2 if is_ascii(console) else SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("cases", style="cyan")
    for name in names:
        table.add_column(safe(name), justify="right", style="bold" if name == "best" else "")
    for suite, figures in rows:
        table.add_row(safe(suite), *(figures[name] for name in names))
    console.print(table)


def _tell_references(console: Console, references: Sequence[Reference]) -> None:
    if not references:
        return
    console.print(
        Text(
            "published figures, most of them on other instances than these; for orientation only:",
            style="dim",
        )
    )
    for one in references:
        line = f"  {one.case}: {one.name} {number(one.value)} ({cited(one.source, one.date)})"
        console.print(safe(line, 400, "dim"))


def cited(source: str, date: str) -> str:
    """Where a figure was published, and when, unless the source ends with that already."""
    return source if not date or source.endswith(date) else f"{source}, {date}"


def tell_counts(console: Console, document: Document) -> None:
    """Proposals, evaluations, failures by kind, isolation."""
    statuses = document["statuses"]
    failed = {kind: count for kind, count in statuses.items() if kind != "ok"}
    parts = [f"{document['proposals']} proposals", f"{document['evaluations']} evaluations"]
    if document.get("duplicates"):
        parts.append(f"{document['duplicates']} of them known already")
    if document.get("invalid"):
        parts.append(f"{document['invalid']} that gave no program")
    console.print(Text(", ".join(parts)))
    console.print(
        Text("failed: " + (", ".join(f"{count} {kind}" for kind, count in failed.items()) or "none"))
    )
    if document.get("model"):
        console.print(Text(_tell_model(document)))
    if document.get("simulated"):
        console.print(Text(_tell_simulation(document["simulated"])))
    # A session that has not ended, or was killed, has not told its CPU time.
    cpu = f", {document['cpu_seconds']:.1f} CPU s" if document["cpu_seconds"] else ""
    console.print(
        Text(
            f"{document['seconds']:.1f} s{cpu}; "
            f"isolation {document['isolation'] or 'unknown'}; "
            f"stopped: {document['stopped']}"
        )
    )
    if is_speed(document):
        told = "speeds differ from run to run, so no run repeats exactly; the content hash names this record only"
        console.print(Text(told, style="dim"))


def _tell_simulation(told: Mapping[str, Any]) -> str:
    """What a simulated model's answers would have cost."""
    cost = told["cost"]
    return (
        f"{told['label']}; {cost['requests']} answers of one like that would take {cost['tokens']} tokens, "
        f"{number(cost['seconds'])} s and {number(cost['money'])} of money"
    )


def _tell_model(document: Document) -> str:
    """What models were asked, what it cost, and how full both sides were."""
    model, tokens = document["model"], document["tokens"]
    said = tokens["prompt"] + tokens["completion"] + tokens["wasted"]
    parts = [f"models: {model['requests']} requests, {said} tokens"]
    if tokens["prompt"]:
        parts.append(f"{100 * tokens['cached'] / tokens['prompt']:.0f} % of the prompts' cached")
    if tokens["wasted"]:
        parts.append(f"{100 * tokens['wasted'] / said:.1f} % wasted")
    if model["asked_again"]:
        parts.append(f"{model['asked_again']} asked again")
    lines = [", ".join(parts)]
    if model["proposals"] < document["proposals"]:
        lines.append(f"  {model['proposals']} of {document['proposals']} proposals are theirs")
    if model["failures"]:
        told = ", ".join(f"{count} {clean(name, 40)}" for name, count in list(model["failures"].items())[:6])
        lines.append(f"  answers that gave no program: {told}")
    last = model.get("last_session")
    if last:
        lines.append(
            f"  {last['in_flight']:.1f} answers out on average; models had nothing to do for "
            f"{last['starved_seconds']:.1f} s; evaluators {100 * last['evaluators_busy']:.0f} % busy; "
            f"staleness {model['staleness']:.0f} commits"
        )
    return "\n".join(lines)


def doubts(document: Document) -> list[str]:
    """What a reader must know before believing the figures, a sentence each."""
    found = []
    total = sum(document["statuses"].values())
    unscorable = document["statuses"].get("unscorable", 0)
    if unscorable * 100 > total:
        share = 100 * unscorable / total
        found.append(
            f"{share:.1f} % of the programs were unscorable: the problem's own functions failed on their "
            "answers; `evolve show` has a sample"
        )
    for name, count in document.get("clipped", {}).items():
        found.append(
            f"measure {name!r} lay outside its bounds {count} times and was clipped; widen its bounds"
        )
    if document["isolation"] == "none":
        found.append("programs ran without a jail: any of them could have read or changed what you can")
    if document.get("simulated"):
        found.append(f"this is {document['simulated']['label']}; what it finds says nothing of any model")
    if document.get("model", {}).get("proposals") == 0 and document["proposals"]:
        found.append(
            "no proposal is a model's: others were quicker, or the budget has no room for a request; limit the run in "
            "requests or time, which others do not use up, or say --ask syntactic=no"
        )
    if is_speed(document):
        return found + speed_doubts(document)
    return found + _worse_unseen(document) + _worse_than_known(document)


def _objective(document: Document) -> Objective:
    told = document["objective"]
    return Objective(told["name"], told["direction"], told["unit"])


def _worse_than_known(document: Document) -> list[str]:
    best = document["best"]
    if not best:
        return []
    objective = _objective(document)
    better = [
        name
        for name, line in document["baselines"].items()
        if line.get("value") is not None and objective.better(line["value"], best["value"])
    ]
    return (
        [f"baseline {', '.join(better)} does better than the best program on its training cases"]
        if better
        else []
    )


def _worse_unseen(document: Document) -> list[str]:
    seed, best = document["seed_program"], document["best"]
    if not seed or not best:
        return []
    better = _objective(document).better
    worse = [
        suite
        for suite, value in best.get("unseen", {}).items()
        if value is not None
        and (before := seed.get("unseen", {}).get(suite)) is not None
        and better(before, value)
    ]
    if not worse:
        return []
    return [
        f"on unseen {', '.join(worse)} the best program does worse than the seed: it may have fitted its "
        "training cases"
    ]


def tell_source(console: Console, document: Document, source: str, most: int = 40) -> None:
    """The best program, cut to `most` lines, and what is known of its truth."""
    best = document["best"]
    if not best:
        return
    rule(console, f"best program {best['program'][:15]} (proposal {best.get('number', '?')})")
    lines = source.strip("\n").splitlines()
    console.print(safe("\n".join(lines[:most]), 6_000), soft_wrap=True)
    if len(lines) > most:
        console.print(
            Text(f"... {len(lines) - most} more lines; `evolve export` writes all of them", style="dim")
        )
    verdict = best.get("verdict", "unverified")
    usual = (
        "scored by the problem's own judge; nothing else has checked it" if verdict == "unverified" else ""
    )
    tell_verdict(console, verdict, best.get("why", usual))


def tell_ways_on(console: Console, ledger: str, larger: str) -> None:
    """How to look further; `larger` is a budget, or "" to finish the one that the run had."""
    name = shlex.quote(ledger)
    rule(console, "to look further")
    on = f"evolve resume {name} --budget {larger}" if larger else f"evolve resume {name}"
    for command in (f"evolve show {name}", f"evolve export {name} -o best.py", on):
        console.print(safe(command), soft_wrap=True)
