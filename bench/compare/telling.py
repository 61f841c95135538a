"""Tells a report to people: the table, what is wrong with it, and whether an earlier one may be held against it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evolve.bench.compare.comparing import Progress
from evolve.bench.compare.records import Report, Row
from evolve.bench.compare.saved import differences, identity
from evolve.summary import machine_name
from evolve.telling import rule
from evolve.terminal import number, safe

__all__ = ["progress_line", "tell", "warnings_of"]

_NARROW, _WIDE = 72, 118
_STYLES = {"faster": "green", "better": "green", "slower": "red", "worse": "red"}
_ORDER = ("faster", "slower", "better", "worse", "no difference")


def tell(console: Console, report: Report, before: Report | None = None) -> None:
    """Print a report.

    Args:
        console: where to.
        report: what was found.
        before: an earlier report, whose ratios stand beside these.
    """
    reference = report.reference["name"]
    rule(console, f"{report.problem}: beside {reference}")
    for gate in report.gates:
        if not gate.passed:
            line = Text.assemble(("not compared: ", "bold red"), safe(f"{gate.contender}: {gate.why}", 700))
            console.print(line, soft_wrap=True)
    console.print(_table(report, before, _layout(report, console.width)))
    for row in report.rows:
        if row.why and not row.is_control and row.verdict == "no difference":
            console.print(safe(f"{row.contender}, {row.case}: {row.why}", 400, "dim"), soft_wrap=True)
    few = [row.why for row in report.rows if row.verdict == "too few pairs" and not row.is_control]
    for why in dict.fromkeys(few):
        console.print(safe(f"too few pairs: {why}", 400, "dim"), soft_wrap=True)
    for warning in (*warnings_of(report), *_against(report, before)):
        console.print(Text.assemble(("warning: ", "bold yellow"), safe(warning, 1_000)), soft_wrap=True)
    for told in _fine_print(report):
        console.print(safe(told, 600, "dim"), soft_wrap=True)


def progress_line(progress: Progress) -> str:
    """How far a comparison is, in words."""
    left = "" if progress.left is None else f", about {progress.left:.0f} s left"
    return f"{progress.what}; {progress.done} of {progress.steps} steps{left}"


def warnings_of(report: Report) -> Iterator[str]:
    """What speaks against believing the figures."""
    failed = report.control_failed
    if failed:
        yield (
            f"the control failed: the reference, compared with itself, seems to differ on {', '.join(failed)}; "
            "something disturbed the measurement, so measure again on a quieter machine, or with more --pairs"
        )
    if report.machine.get("layout") == "random" and report.speed:
        yield (
            f"programs lie at random addresses here, so intervals are widened by {report.resolution:.0%}; "
            "`evolve doctor` says more"
        )


def _against(report: Report, before: Report | None) -> Iterator[str]:
    if before is not None:
        for why in differences(identity(report), identity(before)):
            yield f"this report and the earlier one cannot be compared: {why}"


def _layout(report: Report, width: int) -> tuple[str, ...]:
    """Names of the columns that there is room for."""
    columns = ("ratio", "95 %", "pairs", "clocks") if width >= _NARROW else ("ratio",)
    if report.speed:
        return columns
    if width >= _WIDE:
        return ("objective", "reference", "better by", "95 % ", "ratio", "95 %", "pairs")
    return ("better by", "95 % ", "ratio", "pairs") if width >= _NARROW else ("better by", "ratio")


def _table(report: Report, before: Report | None, columns: Sequence[str]) -> Table:
    old = {} if before is None else {(row.contender, row.case): row for row in before.rows}
    table = Table(box=None, pad_edge=False)
    titles = ("contender", "case", *columns, *(["before"] if before is not None else []), "verdict")
    for title in titles:
        left = title in ("contender", "case", "verdict")
        whole = title.startswith("95 %") or (title == "verdict" and len(columns) > 2)
        justify: Literal["left", "right"] = "left" if left else "right"
        table.add_column(title, justify=justify, header_style="cyan", overflow="fold", no_wrap=whole)
    last = ""
    for row in report.rows:
        told = _cells(row)
        cells = [told[name] for name in columns]
        if before is not None:
            cells.append(_ratio(old.get((row.contender, row.case))))
        name = "" if row.contender == last else row.contender
        last = row.contender
        table.add_row(safe(name), safe(row.case), *map(Text, cells), _verdict(row, report.control_failed))
    return table


def _verdict(row: Row, failed: Sequence[str]) -> Text:
    if row.is_control:
        return Text("control FAILED", "bold red") if row.case in failed else Text("control", "dim")
    return Text(row.verdict, _STYLES.get(row.verdict, "dim"))


def _cells(row: Row) -> dict[str, str]:
    return {
        "objective": number(row.value),
        "reference": number(row.other),
        "better by": "-" if row.gain is None else f"{row.gain:.4g}",
        "95 % ": _interval(row.gain_low, row.gain_high, "{:.3g}"),
        "ratio": _ratio(row),
        "95 %": _interval(row.low, row.high, "{:.3f}"),
        "pairs": str(row.pairs),
        "clocks": "-" if row.disagreement is None else f"{row.disagreement:+.1%}" + "!" * row.flagged,
    }


def _ratio(row: Row | None) -> str:
    return "-" if row is None or row.ratio is None else f"{row.ratio:.3f}"


def _interval(low: float | None, high: float | None, form: str) -> str:
    return "-" if low is None or high is None else f"[{form.format(low)}, {form.format(high)}]"


def _fine_print(report: Report) -> Iterator[str]:
    rules = report.rules
    yield (
        "ratio: CPU time of the reference over that of the contender, above 1 is faster; "
        f"intervals of ratios hold what two texts of the same work may differ by ({report.resolution:.0%})"
    )
    if report.speed:
        yield (
            f"each pair: two fresh processes, {rules['rounds']} timed runs of each, in random order; clocks: CPU time "
            "against the wall"
        )
    else:
        unit = report.objective["unit"]
        name = f"{report.objective['name']} ({report.objective['direction']}{', ' + unit if unit else ''})"
        yield f"objective: {name}, on cases that no selection saw; the verdict is about it, run time is beside it"
    counts = _counted(report.rows)
    yield f"verdicts hold together with {rules['confidence']:.0%} (Holm): {counts}"
    yield f"seed {report.seed}, {report.seconds:.0f} s; {machine_name(report.machine)}"


def _counted(rows: Sequence[Row]) -> str:
    counts: Mapping[str, int] = {
        verdict: sum(row.verdict == verdict and not row.is_control for row in rows) for verdict in _ORDER
    }
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) or "none"
