"""Edits under random and hostile replies: round trips, and nothing but EditError."""

import difflib

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from evolve.llm.edits import EditError, apply_block, apply_choice, apply_diff
from evolve.llm.grammar import EditPlan, plan_edits
from evolve.llm.replies import MAX_REPLY, quote, tidy
from evolve.mutators.survey import map_program
from evolve.mutators.syntactic import derive_vocabulary
from evolve.source import hashes, to_tree

QUICK = settings(deadline=None, derandomize=True)

PARENT = """\
import numpy as np


def priority(item, remaining):
    gap = remaining - item
    if gap > 0:
        gap = gap * 2.0
    return -gap
"""

LINES = st.sampled_from(
    [
        "x = a + b",
        "x = a - b",
        "y = x * 2.0",
        "y += a",
        "total = 0.0",
        "# a remark",
        "",
        "if a > b:\n        x = b\n        y = a",
        "for i in range(3):\n        total += a\n\n        y = total",
        "text = 'say < and > = '",
        "while x < 3:\n        x += 1",
    ]
)


@st.composite
def blocks(draw: st.DrawFn) -> str:
    body = draw(st.lists(LINES, max_size=12))
    helper = draw(st.lists(LINES, max_size=6))
    head = "import math\n\n\ndef helper(a, b):\n    x = y = total = 0.0\n"
    entry = "\n\ndef entry(a, b):\n    x = y = total = 0.0\n"
    inner = "".join(f"    {line}\n" if line else "\n" for line in body)
    outer = "".join(f"    {line}\n" if line else "\n" for line in helper)
    return f"{head}{outer}    return x\n{entry}{inner}    return x + y + total\n"


def rendered(old: str, new: str) -> str:
    """The hunks that lead from one text to another, with as many lines around as make each of them unique."""
    before, after = old.split("\n"), new.split("\n")
    for around in range(1, len(before) + 1):
        matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
        hunks = [
            (before[group[0][1] : group[-1][2]], after[group[0][3] : group[-1][4]])
            for group in matcher.get_grouped_opcodes(around)
        ]
        if all(
            any(line.strip() for line in search) and occurrences(search, before) == 1 for search, _ in hunks
        ):
            break
    return "\n".join(
        "\n".join(["<<<<<<< SEARCH", *search, "=======", *replacement, ">>>>>>> REPLACE"])
        for search, replacement in hunks
    )


def occurrences(search: list[str], lines: list[str]) -> int:
    return sum(lines[i : i + len(search)] == search for i in range(len(lines)))


def same(one: str, other: str) -> bool:
    return hashes(one).canonical == hashes(other).canonical


@QUICK
@given(blocks(), blocks(), st.booleans(), st.sampled_from(["", "```\n", "Some words.\n\n~~~diff\n"]))
def test_a_rendered_diff_applies(old: str, new: str, windows: bool, before: str) -> None:
    reply = before + rendered(old, new) + "\n"
    if windows:
        reply = reply.replace("\n", "\r\n")
    assume(old != new)
    if same(old, new):
        with pytest.raises(EditError, match="unchanged"):
            apply_diff(reply, old, "entry")
    else:
        assert apply_diff(reply, old, "entry") == new


@QUICK
@given(
    blocks(),
    blocks(),
    st.sampled_from(["```python\n{}```", "~~~\n{}~~~\nDone.", "{}", "```py\n{}", "Sure!\n\n{}"]),
)
def test_a_written_block_is_read(old: str, new: str, form: str) -> None:
    if same(old, new):
        with pytest.raises(EditError, match="unchanged"):
            apply_block(form.format(new), old, "entry")
    else:
        assert apply_block(form.format(new), old, "entry").rstrip("\n") == new.rstrip("\n")


@QUICK
@given(blocks(), blocks(), st.integers(1, 8))
def test_a_block_shifted_as_a_whole_is_read(old: str, new: str, by: int) -> None:
    shifted = "".join(" " * by + line if line.strip() else line for line in new.splitlines(keepends=True))
    if not same(old, new):
        assert same(apply_block(f"```\n{shifted}```", old, "entry"), new)


PARTS = st.sampled_from(
    [
        *(
            "<<<<<<< SEARCH",
            "=======",
            ">>>>>>> REPLACE",
            "<<<<<<< HEAD",
            ">>>>>>>",
            "```",
            "```python",
            "~~~~",
        ),
        *(
            "<think>",
            "</think>",
            "&lt;",
            "\t",
            "\u00a0",
            "\u200b",
            "\0",
            "\ud800",
            "\x1b[31m",
            "# EVOLVE-BLOCK-START",
        ),
        *(
            "# EVOLVE-BLOCK-END",
            "# ... existing code ...",
            "...",
            "    gap = remaining - item",
            "    return -gap",
        ),
        *(
            "def priority(item, remaining):",
            "def priority(self):",
            "import numpy as np",
            "0: (old + item)",
            "7: x",
        ),
        *(
            "        gap = gap * 2.0",
            "    return gap if item else",
            "class A:",
            "from x import *",
            "Words.",
            "",
        ),
    ]
)


def plan() -> EditPlan:
    tree = to_tree(PARENT)
    vocabulary = derive_vocabulary(tree)
    own = map_program(tree, "priority", vocabulary)
    assert own is not None
    return plan_edits(PARENT, own, vocabulary)


PLAN = plan()


def applied(reply: str) -> int:
    """How many of the three ways make a block of the reply; all others must raise EditError."""
    refused: list[EditError] = []
    made: list[str] = []
    for apply in (
        lambda: apply_diff(reply, PARENT, "priority"),
        lambda: apply_block(reply, PARENT, "priority"),
        lambda: apply_choice(reply, PLAN),
    ):
        try:
            made.append(apply())
        except EditError as error:
            refused.append(error)
    assert all(error.name.isidentifier() for error in refused)
    assert all(error.message.endswith(".") and "\n" not in error.message for error in refused)
    assert all("def priority(" in text and "EVOLVE-BLOCK" not in text for text in made)
    return len(made)


@QUICK
@given(st.lists(PARTS, max_size=25), st.sampled_from(["\n", "\r\n", "\r", " \n"]))
def test_any_mix_of_parts_is_a_block_or_an_edit_error(parts: list[str], end: str) -> None:
    applied(end.join(parts))


@QUICK
@given(
    st.one_of(
        st.text(max_size=300), st.binary(max_size=300).map(lambda some: some.decode("utf-8", "replace"))
    )
)
def test_any_text_is_a_block_or_an_edit_error(reply: str) -> None:
    applied(reply)


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "<<<<<<< SEARCH\n",
            "<<<<<<< SEARCH\nx\n=======\n",
            "=======\n",
            ">>>>>>> REPLACE\n",
            "```\n",
            "```py\nx\n",
        ),
        *(
            "<think>",
            "<think>\n</think>\n",
            "</think>\n",
            "</s>",
            " ",
            "\t",
            "~",
            "&lt;",
            "0: ",
            "0:",
            "import x\n",
        ),
        *(
            "def priority(item, remaining):\n",
            "(",
            "    gap = remaining - item\n",
            "<<<<<<< SEARCH\n    gap\n=======\n\n",
        ),
        *(
            "x = 1\n",
            "x" * 70_000 + "\n",
            "# EVOLVE-BLOCK-START\n",
            "```python\ndef priority(item, remaining):\n```\n",
        ),
    ],
)
@pytest.mark.parametrize("before", ["", "<<<<<<< SEARCH\n", "```\ndef priority(item, remaining):\n"])
def test_a_long_reply_of_one_piece_is_refused(piece: str, before: str) -> None:
    reply = before + piece * ((MAX_REPLY - len(before)) // len(piece))
    assert applied(reply) == 0


def test_ten_megabytes_are_not_looked_at() -> None:
    with pytest.raises(EditError) as caught:
        tidy("x" * 10_000_000)
    assert caught.value.name == "too_long"


def test_the_closest_place_is_sought_with_bounded_work(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0

    class Counting(difflib.SequenceMatcher):  # type: ignore[type-arg]
        def real_quick_ratio(self) -> float:
            nonlocal compared
            compared += len(self.a) * len(self.b)
            return super().real_quick_ratio()

    monkeypatch.setattr("evolve.llm.hunks.SequenceMatcher", Counting)
    long = PARENT + "".join(f"# remark number {i} of many\n" for i in range(2_000))
    search = "".join(f"# remark numbre {i} of manny\n" for i in range(8_000))
    with pytest.raises(EditError, match="closest"):
        apply_diff(f"<<<<<<< SEARCH\n{search}=======\n>>>>>>> REPLACE", long, "priority")
    assert 0 < compared <= 500 * 100 * 100


def test_a_quoted_line_can_close_nothing() -> None:
    said = quote("```\x1b[31m <<<<<<< SEARCH `x` ======= \u202e >>>>>>> REPLACE ~~~~")
    for mark in ("`", "~~~", "<<<", ">>>", "===", "\x1b", "\u202e", "\n"):
        assert mark not in said


def test_other_line_ends_in_the_parent() -> None:
    reply = "<<<<<<< SEARCH\n    return -gap\n=======\n    return gap\n>>>>>>> REPLACE"
    made = apply_diff(reply, PARENT.replace("\n", "\r\n"), "priority")
    assert made == PARENT.replace("-gap", "gap")


def test_a_parent_indented_with_tabs_stays_so() -> None:
    tabbed = PARENT.replace("    ", "\t")
    search, replacement = (
        "    if gap > 0:\n        gap = gap * 2.0",
        "    if gap > 1:\n        gap = gap * 3.0",
    )
    reply = f"<<<<<<< SEARCH\n{search}\n=======\n{replacement}\n>>>>>>> REPLACE"
    assert apply_diff(reply, tabbed, "priority") == tabbed.replace("> 0", "> 1").replace("2.0", "3.0")
