"""Replies as models write them, whole and broken, each with what must come of it; texts in `replies/`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from evolve.llm.edits import EditError, apply_block, apply_choice, apply_diff
from evolve.llm.grammar import plan_edits
from evolve.mutators.survey import map_program
from evolve.mutators.syntactic import derive_vocabulary
from evolve.source import hashes, to_tree
from evolve.text import clean

FOLDER = Path(__file__).parent / "replies"
PARENT = (FOLDER / "parent.txt").read_text("utf-8")
NEW = (FOLDER / "new.txt").read_text("utf-8")
NAMES = {
    "CR": "\r",
    "TAB": "\t",
    "NBSP": "\u00a0",
    "ZW": "\u200b",
    "BOM": "\ufeff",
    "NEW": NEW,
    "PARENT": PARENT,
}
SPECIAL = {  # what blocks come to that are not NEW, by the word after "ok"
    "import": NEW.replace("* x", "* np.abs(x)"),
    "helper": PARENT[PARENT.index("SCALE") : PARENT.index("def priority")]
    + "def priority(item, remaining):\n    return -helper(remaining - item)\n",
    "constant": "SCALE = 2.0\n\n\ndef helper2(x):\n    return SCALE - x\n\n\n"
    "def priority(item, remaining):\n    helper = helper2\n    return -helper(remaining - item)\n",
    "annotations": NEW.replace("(x)", "(x: float) -> float", 1).replace(
        "(item, remaining)", "(item: float, remaining: np.ndarray) -> np.ndarray"
    ),
    "docstring": "def priority(item, remaining):\n    return remaining - item\n",
    "twice": "def priority(item, remaining):\n    return item\n\n\n"
    "def priority(item, remaining):\n    return remaining - item\n",
    "entities": "def priority(item, remaining):\n    return 1.0 if item < 0.5 & 1 else -remaining\n",
}


@dataclass(frozen=True)
class Sample:
    """A reply, and what is to come of it: "ok" or an error's name, and what the result or the message holds."""

    title: str
    outcome: str
    detail: str
    reply: str


def samples(name: str) -> Iterator[Sample]:
    for piece in (FOLDER / f"{name}.txt").read_text("utf-8").split("%%%% ")[1:]:
        head, _, reply = piece.partition("\n")
        title, outcome, *detail = (part.strip() or part for part in head.split(" | ", 2))
        for word, character in NAMES.items():
            reply = reply.replace(f"⟦{word}⟧", character)
        yield Sample(title, outcome, detail[0] if detail else "", reply)


def all_of(name: str) -> pytest.MarkDecorator:
    found = list(samples(name))
    assert len({one.title for one in found}) == len(found)
    return pytest.mark.parametrize("sample", found, ids=[one.title.replace(" ", "_") for one in found])


def edited(detail: str) -> str:
    """The parent with the replacements that a header states, in order."""
    made = PARENT
    for change in detail.split(" && "):
        old, _, new = change.replace("\\n", "\n").partition(" =>")
        new = new.removeprefix(" ")
        assert old in made, change
        head, _, tail = made.rpartition(old)
        made = head + new + tail
    return made


def outcome_of(apply: Callable[[], str], sample: Sample) -> str:
    """The new block; "" after an error that was expected and is checked here."""
    if sample.outcome.startswith("ok"):
        return apply()
    with pytest.raises(EditError) as caught:
        apply()
    assert (caught.value.name, sample.title) == (sample.outcome, sample.title)
    assert sample.detail.lower() in caught.value.message.lower()
    assert sample.detail
    assert caught.value.message == clean(caught.value.message)
    assert not {"\n", "`"} & set(caught.value.message)
    return ""


@all_of("diffs")
def test_diff(sample: Sample) -> None:
    made = outcome_of(lambda: apply_diff(sample.reply, PARENT, "priority"), sample)
    if made:
        assert made == edited(sample.detail)


@all_of("blocks")
def test_block(sample: Sample) -> None:
    made = outcome_of(lambda: apply_block(sample.reply, PARENT, "priority"), sample)
    if made:
        expected = SPECIAL[sample.outcome.split()[1]] if " " in sample.outcome else NEW
        assert hashes(made).canonical == hashes(expected).canonical


@all_of("choices")
def test_choice(sample: Sample) -> None:
    tree = to_tree(PARENT)
    vocabulary = derive_vocabulary(tree)
    own = map_program(tree, "priority", vocabulary)
    assert own is not None
    plan = plan_edits(PARENT, own, vocabulary)
    made = outcome_of(lambda: apply_choice(sample.reply, plan), sample)
    if made:
        assert hashes(made).canonical == hashes(edited(sample.detail)).canonical


def test_there_are_a_hundred() -> None:
    every = [sample for name in ("diffs", "blocks", "choices") for sample in samples(name)]
    assert len(every) >= 100
    assert len({sample.outcome for sample in every}) >= 20
