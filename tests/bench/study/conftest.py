"""A small study that several tests look at."""

import json
import sys
from pathlib import Path

import pytest

from evolve.cli import main

sys.path.insert(0, str(Path(__file__).parent))
from small_study import write


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A study that has ended: its folder (with plan.toml beside it), and its document."""
    home = tmp_path_factory.mktemp("made")
    assert main(["study", str(write(home)), "-o", str(home / "out"), "--jobs", "2", "--yes"]) == 0
    return home / "out", json.loads((home / "out" / "study.json").read_text(encoding="utf-8"))


@pytest.fixture
def cli(capfd):
    """cli("study", ...) -> (exit code, stdout, stderr)."""

    def call(*words):
        code = main([str(word) for word in words])
        out, err = capfd.readouterr()
        return code, out, err

    return call
