"""What the documentation shows is true: its problem files run, its commands exist."""

import re
from pathlib import Path

import pytest

import evolve

ROOT = Path(__file__).parents[1]
BLOCKS = [
    pytest.param(text, id=f"{page.name}:{number}")
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for number, text in enumerate(
        re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    )
]


@pytest.mark.parametrize("text", BLOCKS)
def test_python_in_the_documentation_runs(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = re.match(r"# (\w+\.py)\n", text)
    if name is None:
        exec(compile(text, "<documentation>", "exec"), {"__name__": "__main__"})
        return
    path = tmp_path / name[1]
    path.write_text(text, encoding="utf-8")
    run = evolve.run(str(path), proposals=60, ledger=tmp_path / "a.db", workers=1)
    assert run.document["stopped"] == "budget"
    assert run.document["best"]["value"] != run.document["seed_program"]["value"], (
        "the example does not improve"
    )
