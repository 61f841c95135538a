"""A pytest plugin: programs of a ledger as parametrised pytest-benchmark tests, grouped by problem and case.

    pytest -p evolve.bench.compare.plugin --evolve-ledger x.db --benchmark-json results.json

Not registered by itself: where nobody asks for it by `-p`, no other pytest run is touched. All contenders are
measured together when the first test runs, block by block, because figures that were taken one after the other cannot
be compared; each test then hands its own CPU seconds to pytest-benchmark, as the readings of a timer.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console

from evolve.bench.compare import ledger_tests
from evolve.bench.compare.comparing import compare, groups_of, machine, problem_of_plan
from evolve.bench.compare.contenders import Wanted, planned
from evolve.bench.compare.records import ALL_CASES, CONTROL, Plan, Report, Rules
from evolve.bench.compare.saved import KEY, differences, group_of, identity, machine_mark, read
from evolve.bench.compare.telling import tell
from evolve.errors import EvolveError
from evolve.fastcore.pool import JudgeError, JudgeStartError
from evolve.fastcore.runner import ZygoteError
from evolve.programs_db.errors import LedgerError

__all__ = ["Comparison", "Figures"]

_FORESEEN = (EvolveError, LedgerError, JudgeError, JudgeStartError, ZygoteError)
_USUAL = Rules()
_STASH = pytest.StashKey["Comparison"]()


class Clock:
    """A timer for pytest-benchmark: it stands at 0 before a run, and at the run's CPU seconds behind it."""

    def __init__(self) -> None:
        self.now = 0.0

    def cpu_seconds(self) -> float:
        """Of the run; 0 before it."""
        return self.now


class Comparison:
    """What is compared in this session of pytest, and what came of it once it was measured.

    Args:
        plan: what to measure; None where a report is shown again.
        report: a report that there is already.
        path: of the ledger, or of the report.
    """

    def __init__(self, plan: Plan | None, report: Report | None, path: Path) -> None:
        self.path = path
        self._plan = plan
        self._report = report
        self._why = ""

    @property
    def known(self) -> dict[str, Any]:
        """What is compared with what, and where, before anything is measured."""
        if self._report is not None:
            return identity(self._report)
        assert self._plan is not None
        plan = self._plan
        reference = {"name": plan.reference.name, "program": plan.reference.program}
        about = {"problem": plan.problem, "fingerprint": plan.fingerprint, "reference": reference}
        return {**about, "machine": machine()}

    @property
    def measured(self) -> Report | None:
        """The report, if there is one by now."""
        return self._report

    def pairs(self) -> list[tuple[str, str]]:
        """Contender and case of each test."""
        if self._plan is None:
            assert self._report is not None
            rows = [(row.contender, row.case) for row in self._report.rows if row.case != ALL_CASES]
            failed = [(gate.contender, ALL_CASES) for gate in self._report.gates if not gate.passed]
            return rows + failed
        cases = groups_of(problem_of_plan(self._plan), self._plan.seed)
        return [
            (name, case) for case in cases for name in (CONTROL, *(one.name for one in self._plan.contenders))
        ]

    def report(self) -> Report:
        """The report, measured now if it was not before.

        Raises:
            EvolveError and others: see `comparing.compare`.
        """
        if self._report is None:
            assert self._plan is not None
            if self._why:
                pytest.fail(self._why, pytrace=False)
            try:
                self._report = compare(self._plan)
            except _FORESEEN as error:
                self._why = str(error)
                pytest.fail(self._why, pytrace=False)
        return self._report


@dataclass(frozen=True, slots=True)
class Figures:
    """What one test has to show."""

    comparison: Comparison
    contender: str
    case: str
    clock: "Clock"

    def show(self, benchmark: Any) -> None:
        """Hand the measured seconds to pytest-benchmark; fail where the program was wrong.

        Args:
            benchmark: the fixture of pytest-benchmark.
        """
        report = self.comparison.report()
        for gate in report.gates:
            if gate.contender == self.contender and not gate.passed:
                benchmark.skipped = True  # it was not used, and that is as it should be
                pytest.fail(f"{gate.contender} ({gate.program[:15]}) is wrong: {gate.why}", pytrace=False)
        (row,) = (one for one in report.rows if (one.contender, one.case) == (self.contender, self.case))
        known = self.comparison.known
        name = f"{self.contender}[{self.case}]"
        benchmark.name, benchmark.fullname = name, f"{report.problem}::{name}"
        benchmark.param, benchmark.params = name, {"contender": self.contender, "case": self.case}
        benchmark.group = group_of(known, self.case)
        benchmark.extra_info.update(row.as_dict())
        benchmark.extra_info.update(
            {
                "reference": dict(report.reference),
                "machine": dict(report.machine),
                "machine_mark": machine_mark(report.machine),
                "problem_fingerprint": report.fingerprint,
                "clock": "CPU seconds of the jailed process, read from outside",
            }
        )
        self._replay(benchmark, row.seconds)

    def _replay(self, benchmark: Any, seconds: Sequence[float]) -> None:
        """Let pytest-benchmark time runs that have been timed already."""
        runs = iter(seconds)

        def rewind() -> None:
            self.clock.now = 0.0

        def run() -> None:
            self.clock.now = next(runs)

        benchmark.pedantic(run, setup=rewind, rounds=len(seconds))


class LedgerFile(pytest.Module):
    """A ledger as pytest collects it: one test function, once for each contender and case."""

    def _getobj(self) -> ModuleType:
        return ledger_tests


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of a comparison; `evolve bench --help` explains them."""
    group = parser.getgroup("evolve", "programs of a ledger of evolve")
    group.addoption("--evolve-ledger", metavar="LEDGER", help="compare programs of this ledger")
    group.addoption("--evolve-report", metavar="FILE", help="show a result file again, without measuring")
    group.addoption(
        "--evolve-program", metavar="PROGRAM", action="append", default=[], help="one more program"
    )
    group.addoption("--evolve-islands", action="store_true", help="the best of each island as well")
    group.addoption("--evolve-reference", metavar="NAME", default="", help="a baseline, or seed")
    group.addoption("--evolve-seed", metavar="N", type=int, help="of what is drawn")
    group.addoption(
        "--evolve-pairs", metavar="N", type=int, default=_USUAL.pairs, help="paired figures a row"
    )
    group.addoption("--evolve-rounds", metavar="N", type=int, default=_USUAL.rounds, help="runs a process")
    group.addoption("--evolve-unsafe", action="store_true", help="without a jail, where there is none")


def pytest_configure(config: pytest.Config) -> None:
    """Plan the comparison, so that what is wrong with it is said before anything is collected."""
    ledger, shown = config.getoption("evolve_ledger"), config.getoption("evolve_report")
    if not ledger and not shown:
        return
    if not config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError(
            "--evolve-ledger needs pytest-benchmark, and it loaded: pip install 'evolve-engine[bench]'"
        )
    try:
        comparison = _planned(config, ledger, shown)
    except _FORESEEN as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[_STASH] = comparison
    path = str(comparison.path)
    config.args = [path] if config.args_source is not pytest.Config.ArgsSource.ARGS else [*config.args, path]


def _planned(config: pytest.Config, ledger: str, shown: str) -> Comparison:
    if shown:
        path = Path(shown).resolve()
        return Comparison(None, read(path), path)
    option = config.getoption
    wanted = Wanted(
        programs=option("evolve_program"),
        islands=option("evolve_islands"),
        reference=option("evolve_reference"),
        seed=option("evolve_seed"),
        rules=Rules(pairs=option("evolve_pairs"), rounds=option("evolve_rounds")),
        unsafe=option("evolve_unsafe"),
    )
    return Comparison(planned(ledger, wanted), None, Path(ledger).resolve())


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The ledger is a file of tests."""
    comparison = parent.config.stash.get(_STASH, None)
    if comparison is None or file_path != comparison.path:
        return None
    collected: pytest.Collector = LedgerFile.from_parent(parent, path=file_path)
    return collected


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each contender and case."""
    comparison = metafunc.config.stash.get(_STASH, None)
    if comparison is None or metafunc.function is not ledger_tests.test_program:
        return
    clock = Clock()  # one test runs at a time
    timed = pytest.mark.benchmark(timer=clock.cpu_seconds)
    tests = [
        pytest.param(Figures(comparison, contender, case, clock), id=f"{contender}[{case}]", marks=timed)
        for contender, case in comparison.pairs()
    ]
    metafunc.parametrize("evolve_figures", tests)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """What of the machine bears on timings."""
    comparison = config.stash.get(_STASH, None)
    if comparison is not None:
        machine_info[KEY] = identity_of_machine(comparison)


def identity_of_machine(comparison: Comparison) -> dict[str, Any]:
    """The machine that was measured on, which need not be the one on which a report is shown again."""
    found: dict[str, Any] = comparison.known["machine"]
    return {name: value for name, value in found.items() if name != "load"}


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """The whole report, so that the file can be read back and shown again."""
    comparison = config.stash.get(_STASH, None)
    if comparison is not None and comparison.measured is not None:
        output_json[KEY] = comparison.measured.as_dict(seconds=True)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_compare_machine_info(
    config: pytest.Config, benchmarksession: Any, compared_benchmark: dict[str, Any]
) -> None:
    """Say why an earlier file cannot be compared with this one."""
    comparison = config.stash.get(_STASH, None)
    if comparison is None:
        return
    earlier = compared_benchmark.get(KEY)
    if earlier is None:
        benchmarksession.logger.warning("the earlier file is none of evolve's: nothing in it is compared")
        return
    for why in differences(comparison.known, identity(Report.from_dict(earlier))):
        benchmarksession.logger.warning(f"these results cannot be compared: {why}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table, below pytest-benchmark's."""
    comparison = config.stash.get(_STASH, None)
    if comparison is None or comparison.measured is None:
        return
    page = StringIO()
    tell(Console(file=page, width=max(80, shutil.get_terminal_size().columns)), comparison.measured)
    terminalreporter.section("evolve")
    terminalreporter.write(page.getvalue())
    terminalreporter.ensure_newline()
