"""What the documentation shows is true: its problem files run, its commands exist.

A block that asks a model at `SERVER` asks a fake one.
"""

import os
import re
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest

import evolve
from evolve.cli import VERBS, main

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "llm"))  # served
SERVER = "http://127.0.0.1:8000/v1"
BLOCKS = [
    pytest.param(text, id=f"{page.name}:{number}")
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for number, text in enumerate(
        re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    )
]


def execute(text):
    exec(compile(text, "<documentation>", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("text", BLOCKS)
def test_python_in_the_documentation_runs(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = re.match(r"# (\w+\.py)\n", text)
    if name is None:
        if "llm=" not in text:
            execute(text)
            return
        from served import served

        with served(latency=0.01) as server:
            assert SERVER in text
            execute(text.replace(SERVER, server.url))
            assert server.counts.answered > 0
        return
    if "Speed(" in text:
        # Batches a tenth as large: sixty races take their time.
        text = re.sub(r"\b(\d+)0_000\b", r"\1_000", text)
    path = tmp_path / name[1]
    path.write_text(text, encoding="utf-8")
    run = evolve.run(str(path), proposals=60, ledger=tmp_path / "a.db", workers=1)
    assert run.document["stopped"] == "budget"
    assert run.document["best"]["value"] != run.document["seed_program"]["value"], (
        "the example does not improve"
    )


def commands_page():
    """docs/commands.md as the command line tells it; `python tests/test_docs.py` writes it."""

    def told(*words):
        page = StringIO()
        with redirect_stdout(page), patch.dict(os.environ, COLUMNS="80", NO_COLOR="1"):
            assert main([*words, "--help"]) == 0
        return page.getvalue().rstrip()

    parts = ["# Commands", "What `evolve VERB --help` says.", f"```text\n{told()}\n```"]
    parts += [f"## evolve {verb}\n\n```text\n{told(verb)}\n```" for verb in VERBS]
    return "\n\n".join(parts) + "\n"


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="argparse words its help otherwise in each Python"
)
def test_the_page_of_commands_is_what_the_command_line_says():
    assert (ROOT / "docs" / "commands.md").read_text(encoding="utf-8") == commands_page()


if __name__ == "__main__":
    (ROOT / "docs" / "commands.md").write_text(commands_page(), encoding="utf-8")
