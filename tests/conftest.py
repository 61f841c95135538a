"""What tests of every room share: problem files made on the spot, and a clean look at processes."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from evolve.cli import main

# What a test may lack in CI: another version of Python, another processor, rights that even root may not have.
_EXCUSED = ("Python", "argparse", "x86-64", "comprehensions", "root")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """With EVOLVE_REQUIRE_ALL set, as in CI, a test that could not run is a failure."""
    report = (yield).get_result()
    if report.skipped and os.environ.get("EVOLVE_REQUIRE_ALL") and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if not any(word in reason for word in _EXCUSED):
            report.outcome, report.longrepr = "failed", f"{item.nodeid} may not be skipped here: {reason}"


def pytest_runtest_setup(item):
    """What is tried with every shipped problem is skipped with the one that needs a library which is not there."""
    drawn = getattr(item, "callspec", None)
    names = [value for value in drawn.params.values() if isinstance(value, str)] if drawn else []
    if "attention_cell" in names and find_spec("torch") is None:
        pytest.skip("torch is not installed")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `-n`, the tests of a file share a process and its fixtures, and those of the real vLLM share one server.

    But for those of `evolve serve`, which start their own: most of a start is one core's work.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            real = file.startswith("tests/llm/real/") and not file.endswith("_command.py")
            return "vllm" if real else file

    return ByFile(config, log)


HEAD = '''"""A small problem for tests."""
from evolve import Array, Case, Limits, Measure, Objective, Problem, Rejected, Real, problem

# EVOLVE-BLOCK-START
{block}
# EVOLVE-BLOCK-END

{body}
'''

LINE = {
    "block": "import numpy as np\n\n\ndef guess(x):\n    return x + 1.0",
    "body": """
def score(y, case):
    if y > 1e6:
        raise Rejected("too large")
    return {"error": abs(y - case.hidden), "size": min(abs(y), 10.0)}


@problem
def small(k: float = 3.0) -> Problem:
    return Problem(
        entry="guess",
        cases=[Case("a", inputs=(1.0,), hidden=k), Case("b", inputs=(2.0,), hidden=2 * k)],
        returns=Real(),
        score=score,
        objective=Objective("error", "min"),
        measures=[Measure("size", 0.0, 10.0, bins=8), Measure("nodes", 0, 64, bins=8)],
        unseen={"far": [Case("c", inputs=(10.0,), hidden=10 * k)]},
        baselines={"constant": "def guess(x):\\n    return 4.5\\n"},
        limits=Limits(seconds=2.0),
    )
""",
}


@pytest.fixture
def cli(capsys):
    """cli("show", path) -> (exit code, stdout, stderr)."""

    def call(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def problem_file(tmp_path: Path):
    """Write a problem file: `problem_file(block=..., body=..., replace={old: new})` returns its path."""

    def write(
        name: str = "small.py", block: str | None = None, body: str | None = None, replace: dict | None = None
    ):
        text = HEAD.format(block=block or LINE["block"], body=body or LINE["body"])
        for old, new in (replace or {}).items():
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write
