"""What the tests of the command line share: the door itself, and a short run of a new problem."""

import pytest

from evolve.cli import main


@pytest.fixture
def cli(capsys):
    """cli("show", path) -> (exit code, stdout, stderr)."""

    def call(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder with a problem from `evolve new`, and a short run of it."""
    folder = tmp_path_factory.mktemp("cli")
    assert main(["new", str(folder / "mine.py")]) == 0
    run = [
        "run",
        str(folder / "mine.py"),
        "--budget",
        "150",
        "--ledger",
        str(folder / "a.db"),
        "--workers",
        "1",
    ]
    assert main([*run, "--quiet"]) == 0
    return folder
