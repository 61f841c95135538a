"""Grammars of edits, for every shipped problem: what is drawn is in the grammar's text, and is an edit."""

import ast
import importlib
import json
import random
from collections import Counter
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import pytest

import evolve.problems
from evolve.llm.bnf import Grammar, Ref
from evolve.llm.edits import EditError, apply_choice
from evolve.llm.grammar import EditPlan, plan_edits, sample
from evolve.mutators.survey import map_program
from evolve.mutators.syntactic import derive_vocabulary
from evolve.source import find_entry, parse, to_tree
from evolve.statement import Problem
from evolve.vocabulary import Primitive, Vocabulary

from .ebnf import Recogniser

SHIPPED = sorted(
    path.stem
    for path in Path(next(iter(evolve.problems.__path__))).glob("*.py")
    if not path.stem.startswith("_")
)


@lru_cache
def shipped(name: str) -> Problem:
    made = getattr(importlib.import_module(f"evolve.problems.{name}"), name)()
    assert isinstance(made, Problem)
    return made


def plan_of(block: str, entry: str, primitives: tuple[Primitive, ...] = (), **more: int) -> EditPlan:
    tree = to_tree(block)
    vocabulary = Vocabulary(primitives, True) if primitives else derive_vocabulary(tree)
    own = map_program(tree, entry, vocabulary)
    assert own is not None
    return plan_edits(block, own, vocabulary, **more)


def signature(block: str, entry: str) -> str:
    return ast.unparse(find_entry(parse(block), entry).args)


@pytest.mark.parametrize("name", SHIPPED)
def test_drawn_sentences_are_in_the_grammar_and_are_edits(name: str) -> None:
    problem = shipped(name)
    primitives = tuple(problem.primitives)
    plan = plan_of(problem.block, problem.entry, primitives)
    said = Recogniser(plan.constraint.value)
    rng = random.Random(7)
    outcomes: Counter[str] = Counter()
    for _ in range(150):
        sentence = sample(plan, rng)
        assert said.accepts(sentence)
        assert not said.accepts(sentence + ")")
        assert len(sentence) <= plan.longest <= 400
        try:
            made = apply_choice(sentence, plan)
        except EditError as error:
            outcomes[error.name] += 1
            continue
        outcomes["made"] += 1
        assert signature(made, problem.entry) == signature(problem.block, problem.entry)
    assert set(outcomes) <= {"made", "unchanged"}
    assert outcomes["made"] >= 130


@pytest.mark.parametrize("name", SHIPPED)
def test_edits_of_edits(name: str) -> None:
    problem = shipped(name)
    rng = random.Random(3)
    block, changed = problem.block, 0
    for _ in range(25):
        plan = plan_of(block, problem.entry, tuple(problem.primitives))
        sentence = sample(plan, rng)
        assert Recogniser(plan.constraint.value).accepts(sentence)
        with suppress(EditError):
            block = apply_choice(sentence, plan)
            changed += 1
    assert signature(block, problem.entry) == signature(problem.block, problem.entry)
    assert changed > 15


BLOCK = """\
import numpy as np


def f(item, remaining):
    return item - remaining ** 2
"""
WORDS = (Primitive("np.exp", ("num",), "num"), Primitive("np.where", ("bool", "num", "num"), "num"))


def test_the_grammar_of_a_small_program() -> None:
    plan = plan_of(BLOCK, "f", WORDS)
    said = Recogniser(plan.constraint.value)
    assert plan.constraint.kind == "grammar"
    assert [site.kind for site in plan.sites] == ["num", "num", "num", "num", "exponent"]
    for sentence in (
        "0: remaining",
        "3: np.exp(old)",
        "1: (old * 0.25)",
        "4: 3",
        "0: np.where((item < 2.5), old, item)",
    ):
        assert said.accepts(sentence), sentence
    # What is there already, an unknown site or name, a foreign function, a kind that does not fit, an open end.
    for sentence in (
        "0: item",
        "5: item",
        "0: bin",
        "0: np.log(item)",
        "4: item",
        "0: (item",
        "0: 007",
        "old",
        "",
    ):
        assert not said.accepts(sentence), sentence


def test_the_hole_keeps_what_is_there() -> None:
    plan = plan_of(BLOCK, "f", WORDS)
    assert "return np.exp(item - remaining ** 2)" in apply_choice("3: np.exp(old)", plan)
    assert "return item - (remaining + remaining) ** 2" in apply_choice("1: (old + remaining)", plan)


def test_the_hole_has_a_name_of_its_own() -> None:
    plan = plan_of(BLOCK.replace("item", "old"), "f", WORDS)
    assert plan.hole == "old0"
    assert "return np.exp(old - remaining ** 2)" in apply_choice("3: np.exp(old0)", plan)


def test_every_sentence_of_a_small_grammar_is_an_edit() -> None:
    plan = plan_of("def f(a):\n    return -a\n", "f", (Primitive("abs", ("num",), "num"),), depth=1)
    rules = {**plan.grammar.rules, "float": (("0.5",), ("(-0.5)",)), "exponent": (("2",),)}
    sentences = list(sentences_of(Grammar(rules), Ref("root")))
    outcomes: Counter[str] = Counter()
    for sentence in sentences:
        try:
            apply_choice(sentence, plan)
            outcomes["made"] += 1
        except EditError as error:
            outcomes[error.name] += 1
    assert set(outcomes) <= {"made", "unchanged"}
    assert outcomes["made"] > 50
    assert outcomes["unchanged"] <= 3


def sentences_of(grammar: Grammar, part: str | Ref) -> list[str]:
    if isinstance(part, str):
        return [part]
    made: list[str] = []
    for alternative in grammar.rules[part.rule]:
        heads = [""]
        for one in alternative:
            heads = [head + tail for head in heads for tail in sentences_of(grammar, one)]
        made += heads
    return made


def test_the_longest_sentence_is_as_long_as_it_says() -> None:
    plan = plan_of(BLOCK, "f", WORDS, depth=1)
    longest = max(len(sentence) for sentence in (sample(plan, random.Random(i)) for i in range(3_000)))
    assert longest <= plan.longest <= longest + 20


def test_long_sentences_make_it_shallower() -> None:
    deep, short = (
        plan_of(BLOCK, "f", WORDS, depth=4, longest=4_000),
        plan_of(BLOCK, "f", WORDS, depth=4, longest=40),
    )
    assert deep.longest > 400
    assert short.longest <= 40
    with pytest.raises(EditError, match="no_site"):
        plan_of(BLOCK, "f", WORDS, longest=3)


def test_a_program_in_which_nothing_may_change() -> None:
    with pytest.raises(EditError, match="no_site"):
        plan_of("def f():\n    return None\n", "f")


def test_many_sites_and_long_names_stay_bounded() -> None:
    name = "x" * 100
    body = "".join(f"    v{i} = a * {i}.5 + {name}\n" for i in range(300))
    plan = plan_of(f"def f(a, {name}):\n{body}    return v0\n", "f")
    assert 16 <= len(plan.sites) <= 128
    assert 4 <= len(plan.statements) <= 32
    assert plan.longest <= 400
    assert len(plan.constraint.value) <= 200_000
    apply_choice(sample(plan, random.Random(0)), plan)
    assert len(plan.listing()) < 60_000


def test_names_and_literals_of_other_kinds() -> None:
    words = (
        Primitive("v", (), "matrix"),
        Primitive("np.sum", ("matrix", 0), "num"),
        Primitive("-1", (), "index"),
        Primitive("2", (), "index"),
        Primitive("np.roll", ("matrix", "index"), "matrix"),
    )
    block = "import numpy as np\n\n\ndef f(v, größe):\n    return np.sum(np.roll(v, 2), 0) + größe\n"
    plan = plan_of(block, "f", words)
    said = Recogniser(plan.constraint.value)
    drawn = {sample(plan, random.Random(i)) for i in range(400)}
    assert all(said.accepts(one) for one in drawn)
    assert any("np.sum(v, 0)" in one for one in drawn)
    assert any("größe" in one for one in drawn)
    assert any("np.roll(v, (-1))" in one for one in drawn)


def test_draws_are_even_and_follow_the_seed() -> None:
    grammar = Grammar({"b": (("x",), ("y",)), "root": (("a",), (Ref("b"), "!"), ("c", Ref("b")))})
    drawn = Counter(grammar.draw(random.Random(i)) for i in range(6_000))
    assert set(drawn) == {"a", "x!", "y!", "cx", "cy"}
    assert abs(drawn["a"] - 2_000) < 200
    assert all(abs(drawn[one] - 1_000) < 150 for one in ("x!", "y!", "cx", "cy"))
    assert grammar.draw(random.Random(5)) == grammar.draw(random.Random(5))
    assert grammar.longest() == 2


def test_texts_are_escaped() -> None:
    grammar = Grammar({"root": (('say "x\\y"',), ("ü",))})
    said = Recogniser(grammar.text())
    assert said.accepts('say "x\\y"')
    assert said.accepts("ü")
    assert json.loads(grammar.text().partition(" ::= ")[2].partition(" | ")[0]) == 'say "x\\y"'


def test_the_listing_names_each_place() -> None:
    plan = plan_of(BLOCK, "f", WORDS)
    assert plan.listing() == (
        "5: return item - remaining ** 2\n"
        "  0: item  (num)\n"
        "  1: remaining  (num)\n"
        "  2: remaining ** 2  (num)\n"
        "  3: item - remaining ** 2  (num)\n"
        "  4: 2  (exponent)\n"
    )


def test_statements_come_and_go() -> None:
    block = BLOCK.replace(
        "    return item", "    gap = remaining - item\n    gap += item\n    return gap - item"
    )
    plan = plan_of(block, "f", WORDS)
    said = Recogniser(plan.constraint.value)
    first = len(plan.sites)
    # The first assignment binds a name that is read below; what adds to it may go.
    assert not said.accepts(f"{first}: del")
    assert said.accepts(f"{first + 1}: del")
    assert not said.accepts(f"{first + 2}: del")
    assert "gap += item" not in apply_choice(f"{first + 1}: del", plan)
    # Only names that are bound before may get a value, and not their own.
    assert not said.accepts(f"{first}: gap = item")
    assert said.accepts(f"{first + 1}: gap = item")
    assert not said.accepts(f"{first + 1}: gap = gap")
    assert "    gap = item\n    gap += item\n" in apply_choice(f"{first + 1}: gap = item", plan)
