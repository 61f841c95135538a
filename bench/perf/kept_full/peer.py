"""OpenEvolve from PyPI, in a virtual environment of its own, on the same problem and server.

Its settings are its defaults, but for two: as many parallel evaluations as the server has slots (each is a process that
asks the model and then evaluates; `evaluator.parallel_evaluations` of its configs/default_config.yaml), and no cascade,
as its log advises where an evaluator has no stages. With half as many workers again, or whole programs in place of
SEARCH/REPLACE, it was not clearly faster in three runs each at 32 slots, on a machine that others used too: `wide` and
`rewrite` try it again. As in its examples, programs are called within those workers, which is the cheapest; `process`
gives each program a process of its own, forked.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.perf.kept_full.contenders import Job, Launch
from bench.perf.kept_full.settings import block, height

__all__ = ["VERSION", "OpenEvolve", "install"]

VERSION: Final = "0.4.0"

_EVALUATOR: Final = '''"""Runs a program and takes what it returns for its score."""

import importlib.util
import os


def _level(path):
    spec = importlib.util.spec_from_file_location("program", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return float(module.level())


def _apart(path):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, repr(_level(path)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return float(told)


def evaluate(path):
    return {{"combined_score": min(max({function}(path), 0.0), 1.0)}}
'''
# A line of its log for each program that enters its database.
_ENTERED: Final = re.compile(rb"Iteration \d+: Program \S+ \(parent")


def cache() -> Path:
    """Where environments of peers are kept, outside the checkout."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evolve" / "peers"


def install(folder: Path | None = None) -> Path:
    """The environment's `openevolve-run`; the environment is made if it is not there.

    Args:
        folder: where; the cache of the user by default.
    """
    place = folder or cache() / f"openevolve-{VERSION}"
    command = place / "bin" / "openevolve-run"
    if not command.exists():
        print(f"installing OpenEvolve {VERSION} into {place}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        pip = [
            str(place / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        subprocess.run([*pip, f"openevolve=={VERSION}"], check=True)
    return command


@dataclass(frozen=True, slots=True)
class OpenEvolve:
    """The peer.

    Args:
        command: its `openevolve-run`.
        process: whether each program gets a process of its own.
        rewrite: whether the model writes whole programs; SEARCH/REPLACE is its default.
        wide: parallel evaluations for each slot of the server.
    """

    command: Path
    process: bool = False
    rewrite: bool = False
    wide: float = 1.0

    @property
    def name(self) -> str:
        """What differs from its usual settings is said."""
        more = [f"{self.wide:g} workers a slot"] if self.wide != 1.0 else []
        more += ["a process each"] if self.process else []
        more += ["whole programs"] if self.rewrite else []
        return ", ".join([f"OpenEvolve {VERSION}", *more])

    def launch(self, job: Job) -> Launch:
        """The programs that count are those that its log says to have entered the database."""
        program, evaluator, config = (
            job.given / name for name in ("program.py", "evaluator.py", "config.yaml")
        )
        lines = block(height(0), job.setting.busy)
        program.write_text(f"# EVOLVE-BLOCK-START\n{lines}# EVOLVE-BLOCK-END\n")
        evaluator.write_text(_EVALUATOR.format(function="_apart" if self.process else "_level"))
        config.write_text(json.dumps(self._config(job), indent=1))  # JSON is YAML
        out = job.folder / "out"
        command = [
            *(str(self.command), str(program), str(evaluator), "--config", str(config)),
            *("--output", str(out), "--iterations", str(job.programs)),
        ]
        return Launch(command, _entered(out / "logs"))

    def _config(self, job: Job) -> dict[str, Any]:
        return {
            "max_iterations": job.programs,
            "diff_based_evolution": not self.rewrite,
            "llm": {
                "api_base": job.url,
                "api_key": "none",
                "models": [{"name": "fake", "weight": 1.0}],
            },
            "evaluator": {
                "parallel_evaluations": round(self.wide * job.setting.slots),
                "cascade_evaluation": False,
            },
        }


def _entered(logs: Path) -> Callable[[], int]:
    """Counts in its log, reading on from where it was."""
    count, offset = 0, 0

    def made() -> int:
        nonlocal count, offset
        for log in logs.glob("*.log"):
            with log.open("rb") as file:
                file.seek(offset)
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            offset += len(whole)
            count += len(_ENTERED.findall(whole))
        return count

    return made
