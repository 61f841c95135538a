"""Writes a report as a result file of pytest-benchmark: by pytest-benchmark itself, through the plugin.

So that whatever reads such files (`pytest-benchmark compare`, `--benchmark-compare-fail`, histograms) reads this one.
"""

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from evolve.bench.compare.records import Report
from evolve.bench.compare.saved import KEY, read
from evolve.errors import InfrastructureError, UsageError
from evolve.text import clean

__all__ = ["can_save", "save"]

_STEERS = ("PYTEST_ADDOPTS", "PYTEST_XDIST_")


def can_save(path: str | Path) -> None:
    """Make sure that a report could be saved, before it is measured.

    Raises:
        UsageError: pytest-benchmark is not installed, there is no such folder, or the file is none that was saved.
    """
    if find_spec("pytest") is None or find_spec("pytest_benchmark") is None:
        raise UsageError("--save needs pytest-benchmark: pip install 'evolve-engine[bench]'")
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise UsageError(f"--save {path}: there is no folder {folder}; make it first")
    if Path(path).is_dir():
        raise UsageError(f"--save {path}: it is a folder; name a file in it")
    if Path(path).exists() and Path(path).stat().st_size:
        try:
            read(path)
        except UsageError:
            why = "a file that is not of `evolve bench --save`, and is left as it is; choose another name"
            raise UsageError(f"--save {path}: {why}") from None


def save(report: Report, path: str | Path) -> None:
    """Write a report as pytest-benchmark writes its results, with the whole report inside.

    Args:
        report: what was found.
        path: of the file; an earlier one that was saved is overwritten.

    Raises:
        UsageError: see `can_save`.
        InfrastructureError: pytest could not write it.
    """
    can_save(path)
    target = Path(path).resolve()
    with tempfile.TemporaryDirectory(prefix="evolve-bench-") as folder:
        source = Path(folder, "report.json")
        source.write_text(json.dumps({KEY: report.as_dict(seconds=True)}), encoding="utf-8")
        command = [
            *(sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "--noconftest"),
            *("-c", os.devnull, "--rootdir", folder, "-p", "evolve.bench.compare.plugin"),
            *("--evolve-report", str(source), f"--benchmark-json={target}"),
        ]
        if os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
            command += ["-p", "pytest_benchmark.plugin"]
        # What steers another pytest, of which this may be a part, is not for this one.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_STEERS)}
        before = target.stat().st_mtime_ns if target.exists() else 0
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            check=False,
            cwd=folder,
        )
        if not target.exists() or not target.stat().st_size or target.stat().st_mtime_ns == before:
            told = clean((done.stdout + done.stderr).strip(), 3_000)
            raise InfrastructureError(f"{target}: pytest-benchmark did not write the results\n{told}")
