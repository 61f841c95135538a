"""What tests of every room share: problem files made on the spot, and a clean look at processes."""

from pathlib import Path

import pytest

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
