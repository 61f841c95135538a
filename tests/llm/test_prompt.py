"""Prompts: shared text first, room kept, and nothing in them that must not be told."""

import random
import re
from dataclasses import replace

import pytest

from evolve.llm.facts import Facts, Failure, Order, facts_of, statement_of
from evolve.llm.prompt import PromptError, build
from evolve.llm.templates import FORMATS, KINDS, Templates
from evolve.loader import load, shipped

from .prompts import ELITES, FACTS, STATEMENT, fences, order, program

ROOMY = 1_000_000


def whole(prompt):
    return "".join(message.text for message in prompt.request_parts)


def user(prompt):
    return prompt.request_parts[1].text


def words(text):
    return len(text.split())


def common(one, other):
    """Length of the common prefix."""
    both = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(both) if a != b), min(len(one), len(other)))


def test_the_pieces_come_in_the_order_in_which_they_are_shared():
    prompt = build(FACTS, order("crossover"), ROOMY, len)
    assert [message.role for message in prompt.request_parts] == ["system", "user"]
    assert prompt.texts[0] == prompt.request_parts[0].text
    assert "".join(prompt.texts[1:]) == user(prompt)
    marks = [
        "Find the area of a disc.",
        "def area(r):",
        "Pi is near 3.",
        "constants above 3.2 lose",
        "## Program 1: error 1 %",
        "## Program 2: error 2 %",
        "What turns program 2 into program 1:",
        "## Program 4: error 4 %",
        "# Current program: error 2 %",
        "timeout: it took 10 s",
        "error: ZeroDivisionError\nIt printed: half way",
        "# Task",
        "Answer with SEARCH/REPLACE edits",
    ]
    places = [user(prompt).index(mark) for mark in marks]
    assert places == sorted(places)
    assert not prompt.trimmed
    assert "<<<<<<< SEARCH" in prompt.texts[0]
    assert "<<<<<<< SEARCH" not in user(prompt)


def test_scores_are_told_case_by_case_and_changes_as_diffs():
    text = user(build(FACTS, order(), ROOMY, len))
    assert "error by case: small 0.5, large 1.5" in text
    assert "- small: error 1.5\n- large: error 2.5" in text
    assert "-    k = 3.04\n+    k = 3.14\n" in text
    assert "smaller is better" in text


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_parents_share_all_above_them_and_orders_all_above_the_instruction(kind, form):
    first = build(FACTS, order(kind, form), ROOMY, len)
    longer = program(9, 7.0, source="def area(r):\n" + "    r = r + 1\n" * 50 + "    return r\n")
    other = build(
        replace(FACTS, parent=longer, failures=()), order("explore", form, hints=("be bold",)), ROOMY, len
    )
    assert first.stable == other.stable
    assert first.texts[:3] == other.texts[:3]
    shared = common(user(first), user(other))
    assert shared >= user(first).index("# Current program")

    second = build(FACTS, order("improve", form, hints=("a", "b")), ROOMY, len)
    assert second.texts[:5] == first.texts[:5]
    assert common(user(first), user(second)) >= user(first).index("# Task")


def test_the_key_changes_with_what_is_shared_and_with_nothing_else():
    key = build(FACTS, order(), ROOMY, len).stable
    assert key == build(FACTS, order("explore"), ROOMY, len).stable
    assert key != build(FACTS, order(form="block"), ROOMY, len).stable
    assert key != build(replace(FACTS, elites=ELITES[:3]), order(), ROOMY, len).stable
    assert key != build(replace(FACTS, notes="Pi is 3."), order(), ROOMY, len).stable


def test_nothing_above_the_parent_depends_on_its_order_its_numbers_a_clock_or_chance(monkeypatch):
    problem = load("circle_packing")
    elites = [program(k, 2.0, number) for number, k in enumerate("abcdef")]
    elites += [program(k, 1.0 + number, number) for number, k in enumerate("ghi")]
    texts = set()
    for seed in range(6):
        random.Random(seed).shuffle(elites)
        monkeypatch.setattr("time.time", lambda seed=seed: 1e9 * seed)
        twice = [*elites, elites[0]]
        texts.add(build(facts_of(problem, elites[seed], twice), order(), ROOMY, len).texts[:3])
    assert len(texts) == 1
    (head,) = texts
    assert len(re.findall("## Program", head[2])) == 9
    moved = [replace(one, number=one.number + 1000) for one in elites]
    assert build(facts_of(problem, moved[0], moved), order(), ROOMY, len).texts[:3] == head


def test_elites_come_best_first_in_either_direction():
    elites = [program(k, k, k) for k in (1, 3, 2)]
    for name, expected in (("circle_packing", [3, 2, 1]), ("online_bin_packing", [1, 2, 3])):
        facts = facts_of(load(name), elites[0], elites)
        assert [one.objective for one in facts.elites] == expected


def test_room_takes_the_least_useful_first():
    full = sum(map(words, build(FACTS, order(), ROOMY, words).texts))
    told, last = [], ()
    for room in range(full + 100, 0, -1):
        try:
            prompt = build(FACTS, order(), room, words)
        except PromptError:
            break
        assert sum(map(words, prompt.texts)) <= room
        assert prompt.trimmed[: len(last)] == last, "what went for little room comes back for less"
        last = prompt.trimmed
        told.append(prompt)
        for never in ("def area(r):", "error (%); smaller", "# Current program: error 2 %", "# Task"):
            assert never in user(prompt)
        current = user(prompt).partition("# Current program")[2]
        assert "    k = 3.04\n" in current
    assert told[0].trimmed == ()
    assert last == (
        *("failure 2", "failure 1", "elite 4", "elite 3", "changes", "elite 2", "elite 1"),
        *("lesson 2", "lesson 1", "notes", "primitives", "description"),
    )
    text = user(told[-1])
    gone = ("Pi is near", "constants above", "# Programs", "np.sqrt", "Find the area", "failed")
    assert not [word for word in gone if word in text]


def test_when_nothing_may_go_any_more_the_error_says_what_takes_the_room():
    with pytest.raises(
        PromptError, match=r"needs at least (\d+) tokens .*current program \d+.* room for 50;"
    ) as error:
        build(FACTS, order(), 50, words)
    least = int(re.search(r"least (\d+)", str(error.value))[1])
    assert sum(map(words, build(FACTS, order(), least, words).texts)) == least
    with pytest.raises(PromptError):
        build(FACTS, order(), least - 1, words)


def test_parents_of_about_one_size_share_their_prefix_where_room_is_short():
    parents = [
        program(1, 1.0, source="def area(r):\n" + "    r = r\n" * length + "    return r\n")
        for length in (66, 68, 70, 72)
    ]
    made = [replace(FACTS, parent=parent) for parent in parents]
    prompts = [build(facts, order(), ROOMY, words) for facts in made]
    ends = [words(prompt.texts[3]) + words(prompt.texts[-1]) for prompt in prompts]
    assert len({one // 64 for one in ends}) == 1, "the test's parents are not of about one size"
    assert 256 < ends[0] < ends[-1] < 512
    full = sum(map(words, prompts[0].texts))
    seen = set()
    for room in range(full - 120, full + 64):
        keys = {build(facts, order(), room, words).stable for facts in made}
        assert len(keys) == 1
        seen |= keys
    assert len(seen) >= 3


def test_repair_shows_what_failed_and_how():
    text = user(build(FACTS, order("repair", "block"), ROOMY, len))
    assert (
        text.index("# Task")
        < text.index("k = 1 / 0")
        < text.index("error: ZeroDivisionError", text.index("# Task"))
    )
    assert text.endswith("defines `area` with unchanged parameters.\n")


def test_a_grammar_comes_with_the_places_that_may_change():
    text = user(build(FACTS, order("improve", "grammar", hole="old_2"), ROOMY, len))
    assert (
        text.index("# Task") < text.index("k = 3\n  0: 3  (num)\n```") < text.index("`old_2` is what stands")
    )


def test_a_user_folder_changes_the_words(tmp_path):
    (tmp_path / "improve.txt").write_text("Do better on $objective.\n$ending", encoding="utf-8")
    prompt = build(FACTS, order(), ROOMY, len, Templates.load(tmp_path))
    assert prompt.texts[-1].startswith("Do better on error.\nAnswer with")


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: Order("mend", "diff"), "kind is 'mend'; say one of: improve"),
        (lambda: Order("improve", "json"), "format is 'json'; say one of: diff"),
        (lambda: Order("repair", "diff", failed="x"), "repair needs failure="),
        (lambda: Order("crossover", "diff"), "crossover needs mates="),
        (lambda: Order("improve", "grammar"), "format 'grammar' needs sites="),
        (lambda: Order("improve", "grammar", sites="x", hole="o`"), "a name as hole="),
    ],
)
def test_an_order_that_cannot_be_meant_is_refused(made, told):
    with pytest.raises(ValueError, match=told):
        made()


def test_a_plain_prompt_holds_no_empty_section():
    prompt = build(Facts(replace(STATEMENT, measures=(), primitives=""), ELITES[0]), order(), ROOMY, len)
    outside, _ = fences(user(prompt))
    assert "\n\n\n" not in outside
    assert "Programs so far" not in outside
    assert "Notes" not in outside
    assert "failed" not in outside


@pytest.mark.parametrize("name", shipped())
def test_the_statement_of_a_shipped_problem(name):
    problem = load(name)
    statement = statement_of(problem)
    assert statement.signature.startswith(f"def {problem.entry}(")
    text = user(build(Facts(statement, program(1, 1.0)), order(), ROOMY, len))
    assert problem.description.splitlines()[0] in text
    assert problem.objective.name in text
    assert statement.docstring in text


def test_many_cases_are_told_by_the_worst():
    scores = tuple((f"case_{i}", (("error", float(i)),)) for i in range(40))
    one = replace(ELITES[0], scores=scores)
    text = user(build(replace(FACTS, parent=one, elites=()), order(), ROOMY, len))
    assert "By case (the worst 16 of 40):\n- case_24: error 24\n" in text
    assert "case_23" not in text


def test_a_long_message_is_cut():
    failure = Failure("error", "x" * 1_000_000, "y" * 1_000_000)
    assert len(user(build(replace(FACTS, failures=(failure,)), order(), ROOMY, len))) < 8_000
