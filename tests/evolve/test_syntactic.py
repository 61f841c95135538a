"""The syntactic mutator: every proposal is a valid program of the same face; chance is all there is in it."""

import ast
import random
import warnings

import numpy as np
import pytest

from evolve.mutators.bandit import Bandit
from evolve.mutators.base import Context, Draft
from evolve.mutators.crossover import blend
from evolve.mutators.operators import OPERATORS
from evolve.mutators.survey import map_program
from evolve.mutators.syntactic import SyntacticMutator
from evolve.mutators.tuner import tunable
from evolve.mutators.work import Work
from evolve.printing import show
from evolve.source import SourceError, hashes, program_of, to_tree
from evolve.vocabulary import Primitive, Vocabulary, constant_of, number

NUM = ("num",)
PRIMITIVES = (
    Primitive("np.exp", NUM, "num"),
    Primitive("np.abs", NUM, "num"),
    Primitive("np.minimum", NUM * 2, "num"),
    Primitive("np.maximum", NUM * 2, "num"),
    Primitive("np.where", ("bool", "num", "num"), "num"),
)
SMALL = '''import numpy as np


def priority(item, remaining):
    """How much a bin is liked."""
    return item - remaining
'''
LARGER = SMALL.replace(
    "    return item - remaining\n",
    """    gap = remaining - item
    fit = np.exp(-gap / (item + 1.0)) * -2.5
    return np.where(gap < 10.0, fit * item - gap ** 2, np.maximum(remaining, 3) / (1.0 + gap)) + 0.1
""",
)
LOOPS = '''import numpy as np

MARGIN = 0.25


def reach(x: float, y: float = 1.0) -> float:
    return min(x, 1.0 - x) * y


@staticmethod
def pack(n: int, *rest, scale: float = 2.0, **more) -> np.ndarray:
    """Rows (x, y, radius)."""
    discs = np.zeros((n, 3))
    used = [i for i in range(n) if i % 2 == 0]
    count = len(used)
    for i in range(n):
        angle = 2.0 * np.pi * i / n
        discs[i, 0] = 0.5 + 0.3 * np.cos(angle)
        discs[i, 1] = 0.5 + MARGIN * np.sin(angle)
    while count > 0:
        count -= 1
    for i in range(0, n, 1):
        x, y = discs[i, 0], discs[i, 1]
        radius = min(reach(x), y, 1.0 - y)
        for j in range(n):
            if j != i and not (j < 0 or x == y):
                radius = min(radius, 0.5 * np.hypot(x - discs[j, 0], y - discs[j, 1]))
            elif f"{i:>3}" == "abc":
                continue
        discs[i, 2] = radius if radius > 0.0 else 0.0
    try:
        with np.errstate(all="ignore"):
            discs[:, 2] **= 1
    except ValueError:
        pass
    return discs
'''
BLOCKS = [
    pytest.param(SMALL, "priority", PRIMITIVES, id="small"),
    pytest.param(LARGER, "priority", PRIMITIVES, id="larger"),
    pytest.param(LARGER, "priority", (), id="derived"),
    pytest.param(LOOPS, "pack", PRIMITIVES, id="loops"),
    pytest.param(LOOPS, "pack", (), id="loops-derived"),
]


def face(source, entry):
    """What a proposal must keep: name, parameters, annotations, decorators and docstring of the entry."""
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return [
        (f.name, ast.dump(f.args), f.returns and ast.dump(f.returns), list(map(ast.dump, f.decorator_list)),
         ast.get_docstring(f, clean=False))
        for f in functions
    ]  # fmt: skip


def proposals(mutator, source, entry, count, seed=0):
    """A random walk: every proposal that is a program becomes a parent."""
    rng, seen = random.Random(seed), set()
    elites = [program_of(source, entry)]
    for number_ in range(count):
        parent = rng.choice(elites[-40:])
        mates = tuple(rng.choices(elites, k=2))
        draft = mutator.propose(Context(random.Random(number_ << 8 | seed), parent, mates, seen.__contains__))
        yield parent, mates, draft
        if draft.error is None:
            seen.add(draft.canonical)
            elites.append(program_of(draft.source, entry))


@pytest.mark.parametrize(("source", "entry", "primitives"), BLOCKS)
def test_every_proposal_is_a_valid_program_with_the_same_face(source, entry, primitives):
    mutator = SyntacticMutator(source, entry, primitives)
    wanted = face(source, entry)
    for parent, mates, draft in proposals(mutator, source, entry, 250 if source is LOOPS else 800):
        assert draft.error is None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `1 < 2 is ...`: valid all the same
            compile(draft.source, "proposal", "exec")
        assert face(draft.source, entry) == wanted, draft.operator
        found = hashes(draft.source)
        assert (found.id, found.canonical) == (draft.id, draft.canonical)
        assert (found.structure, found.nodes) == (draft.structure, draft.nodes)
        assert draft.canonical != parent.canonical
        assert draft.constants == len(tunable(draft.source, entry))
        assert draft.parents[0] == parent.id
        assert set(draft.parents[1:]) <= {mate.id for mate in mates}
        assert draft.operator in OPERATORS


@pytest.mark.parametrize("name", list(OPERATORS))
def test_every_operator_applies_to_some_block_and_its_result_compiles(name):
    applied = 0
    for source, entry in ((LARGER, "priority"), (LOOPS, "pack")):
        mutator = SyntacticMutator(source, entry, PRIMITIVES)
        own = map_program(to_tree(source), entry, mutator.vocabulary)
        for seed in range(150):
            tree = OPERATORS[name](Work(random.Random(seed), own, (own,), mutator.vocabulary))
            if tree is not None and show(tree) != show(own.tree):
                applied += 1
                compile(show(tree), name, "exec")
    assert applied > 50


class Means(random.Random):
    """Draws that make `blend` take the mean of two answers: 0.23 of the one, 0.77 of the other."""

    def random(self):
        return 0.2


def value_of(source):
    space = {}
    exec(source, space)
    return space["priority"](np.array([3.0]), np.array([5.0, 40.0]))


def mean_of(one, other):
    """The program that `blend` makes of two, as text; None if it makes none."""
    vocabulary = Vocabulary(PRIMITIVES, True)
    own, mate = (map_program(to_tree(text), "priority", vocabulary) for text in (one, other))
    work = Work(Means(1), own, (mate,), vocabulary)
    tree = blend(work)
    assert (tree is None) == (work.grafted is None)
    return None if tree is None else show(tree)


@pytest.mark.parametrize(
    ("own", "mate"),
    [
        ("    return item - remaining\n", "    return item * remaining\n"),
        ("    return item - remaining\n", LARGER.partition('"""\n')[2]),
        (LARGER.partition('"""\n')[2], "    return item - remaining\n"),
        (
            "    gap: float = item\n    return gap - remaining\n",
            "    gap = item\n    gap = gap * gap\n    return gap\n",
        ),
        ("    return item - remaining\n", "    item = item + 1.0\n    return item * remaining\n"),
        ("    return item - remaining\n", "    return np.exp(abs(item)) * remaining\n"),
    ],
    ids=[
        "expressions",
        "locals of the mate",
        "own locals",
        "the same local",
        "a parameter of the mate's",
        "builtins",
    ],
)
def test_the_mean_of_two_programs_is_that_of_their_answers(own, mate):
    one, other = (SMALL.split("    return", maxsplit=1)[0] + body for body in (own, mate))
    text = mean_of(one, other)
    assert text.count("return") == 1
    np.testing.assert_allclose(value_of(text), 0.23 * value_of(one) + 0.77 * value_of(other), rtol=1e-12)


@pytest.mark.parametrize(
    ("own", "mate"),
    [
        ("    return item\n", "    if True:\n        return item\n    return remaining\n"),
        ("    return item\n", "    a, b = item, remaining\n    return a - b\n"),
        ("    return item\n", "    t = item\n" + "    t = t * t + t\n" * 12 + "    return t\n"),
        ("    return item\n", "    return mine(item)\n"),
        ("    item = item * 2.0\n    return item\n", "    return item + remaining\n"),
        ("    other = item * 2.0\n    return item + other\n", "    return item + other\n"),
        ("    return np.sin(item)\n", "    return sin(item)\n"),
        ("    return item\n", "    v = remaining\n    t = sum(v for v in item)\n    return t * 1.0 - v\n"),
        ("    return item\n", "    return (lambda: item)() + remaining\n"),
        ("    return item\n", "    return item\n"),
    ],
    ids=[
        *("a branch", "a tuple", "too large", "an unknown function", "a parameter that was bound again"),
        *("a local that it would read", "an attribute's name", "a comprehension", "a lambda", "the same"),
    ],
)
def test_no_mean_is_taken_of_what_cannot_be_said_as_one_expression_here(own, mate):
    head = SMALL.split("    return", maxsplit=1)[0]
    assert mean_of(head + own, head + mate) is None


def test_no_mean_is_taken_where_parameters_have_other_names():
    assert mean_of(SMALL, SMALL.replace("item", "thing")) is None


def test_programs_that_are_joined_at_any_part_run():
    vocabulary = Vocabulary(PRIMITIVES, True)
    one, other = (map_program(to_tree(text), "priority", vocabulary) for text in (SMALL, LARGER))
    made = 0
    for seed in range(200):
        for own, mate in ((one, other), (other, one)):
            tree = blend(Work(random.Random(seed), own, (mate,), vocabulary))
            if tree is not None:
                made += 1
                with np.errstate(all="ignore"):
                    assert value_of(show(tree)).shape == (2,)
    assert made > 200


def test_without_mates_nothing_is_joined():
    vocabulary = Vocabulary(PRIMITIVES, True)
    own = map_program(to_tree(LARGER), "priority", vocabulary)
    assert all(blend(Work(random.Random(seed), own, (), vocabulary)) is None for seed in range(20))


def test_a_proposal_follows_from_its_context_and_the_credits_alone():
    def walk(mutator):
        return [draft for _, _, draft in proposals(mutator, LARGER, "priority", 100)]

    def fresh():
        made = SyntacticMutator(LARGER, "priority", PRIMITIVES)
        for i in range(30):
            made.credit(list(OPERATORS)[i % 3], 1.0, 1.0)
        return made

    used = fresh()
    list(proposals(used, LARGER, "priority", 50, seed=9))  # fills caches
    assert walk(fresh()) == walk(used)
    assert walk(fresh()) != walk(SyntacticMutator(LARGER, "priority", PRIMITIVES))


def test_what_is_known_is_proposed_only_when_nothing_else_comes():
    mutator = SyntacticMutator(SMALL, "priority", PRIMITIVES)
    parent = program_of(SMALL)
    known = {draft.canonical for _, _, draft in proposals(mutator, SMALL, "priority", 30)}
    fresh = [
        mutator.propose(Context(random.Random(i), parent, (), known.__contains__)).canonical not in known
        for i in range(300)
    ]
    assert sum(fresh) > 290
    assert mutator.propose(Context(random.Random(1), parent, (), lambda _: True)).error is None


def test_proposals_stay_within_the_size_limit():
    mutator = SyntacticMutator(SMALL, "priority", PRIMITIVES, max_nodes=25)
    sizes = [draft.nodes for _, _, draft in proposals(mutator, SMALL, "priority", 600)]
    assert max(sizes) <= 25 + 1  # the import
    assert max(sizes) > 20
    large = program_of(LARGER)
    for i in range(100):  # a larger parent may change but not grow
        assert mutator.propose(Context(random.Random(i), large)).nodes <= large.nodes


def test_a_walk_does_not_bloat_only():
    mutator = SyntacticMutator(SMALL, "priority", PRIMITIVES)
    sizes = [draft.nodes for _, _, draft in proposals(mutator, SMALL, "priority", 1500)]
    assert min(sizes[-200:]) < 40


def test_kinds_are_kept_so_that_shapes_stay_valid():
    source = "import numpy as np\n\n\ndef f(S, k, v, rate):\n    return S + rate * v * (k - 0.5)\n"
    primitives = [
        Primitive("S", (), "vec"), Primitive("k", (), "vec"), Primitive("v", (), "vec"),
        Primitive("np.tanh", ("vec",), "vec"), Primitive("np.abs", NUM, "num"),
        Primitive("np.where", ("bool", "num", "num"), "num"),
        Primitive("np.dot", ("vec", "vec"), "num"),
    ]  # fmt: skip
    mutator = SyntacticMutator(source, "f", primitives)
    vectors = np.random.default_rng(0).normal(size=(3, 5))
    for _, _, draft in proposals(mutator, source, "f", 500):
        space = {}
        exec(draft.source, space)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                answer = space["f"](*vectors, 0.3)
            except (ZeroDivisionError, OverflowError, UnboundLocalError):
                continue
        assert np.shape(answer) == (5,), draft.source


def test_a_name_that_the_block_binds_has_the_kind_that_the_problem_declares():
    source = "import numpy as np\n\n\ndef f(a, k):\n    b = a\n    place = len(b) - k\n    return np.sort(b)[place]\n"
    primitives = [
        Primitive("a", (), "array"), Primitive("b", (), "array"), Primitive("place", (), "index"),
        Primitive("np.sort", ("array",), "ordered"), Primitive("np.partition", ("array", "index"), "ordered"),
    ]  # fmt: skip
    mutator = SyntacticMutator(source, "f", primitives)
    found = [draft.source for _, _, draft in proposals(mutator, source, "f", 600)]
    assert any("np.partition(b, place)[place]" in text for text in found)
    for text in found:
        before = text.partition("place = ")[0]
        assert "place" not in before, text  # it is not bound there


def test_derived_vocabulary_is_what_the_block_uses():
    mutator = SyntacticMutator(LOOPS, "pack")
    assert set(mutator.vocabulary.functions) == {"np.cos", "np.sin", "min", "np.hypot"}
    assert not SyntacticMutator("def f(x):\n    return open(x) + 1\n", "f").vocabulary.functions


def test_names_that_are_not_bound_are_not_used():
    mutator = SyntacticMutator(LARGER, "priority", PRIMITIVES)
    failed = 0
    for _, _, draft in proposals(mutator, LARGER, "priority", 600):
        space = {}
        exec(draft.source, space)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                space["priority"](np.array([3.0]), np.array([5.0, 9.0]))
            except (NameError, TypeError):
                failed += 1
            except (ArithmeticError, ValueError):
                pass
    assert failed == 0


def test_a_parent_that_is_no_program_of_ours_is_a_failed_draft():
    mutator = SyntacticMutator(SMALL, "priority", PRIMITIVES)
    draft = mutator.propose(Context(random.Random(1), program_of("def other():\n    pass\n")))
    assert "does not define 'priority'" in draft.error
    assert draft == Draft.failed("", draft.error, draft.parents)
    with pytest.raises(SourceError):
        SyntacticMutator("def other(): pass\n", "priority")


def test_credit_moves_choices():
    mutator = SyntacticMutator(LARGER, "priority", PRIMITIVES, bandit=Bandit(tuple(OPERATORS), weight=1.0))
    for _ in range(200):
        mutator.credit("constant", 1.0, 1.0)
    operators = [draft.operator for _, _, draft in proposals(mutator, LARGER, "priority", 300)]
    assert operators.count("constant") > 150


def test_primitives_are_checked():
    with pytest.raises(ValueError, match="is no name"):
        Primitive("np.exp(", NUM, "num")
    with pytest.raises(ValueError, match="is no word"):
        Primitive("np.exp", ("a number",), "num")


@pytest.mark.parametrize("value", [1, -3, 0, 2.5, -2.5, 0.0, -0.0, 1e-300])
def test_numbers_are_written_and_read(value):
    node = number(value)
    assert repr(constant_of(node)) == repr(value)
    with pytest.raises(ValueError, match="no literal"):
        number(float("nan"))


def test_constants_of_a_vocabulary_are_round_or_log_uniform():
    vocabulary = Vocabulary(PRIMITIVES)
    drawn = [constant_of(vocabulary.constant("num", random.Random(i))) for i in range(2000)]
    assert sum(value in (0.0, 1.0, 2.0, 3.0) for value in drawn) > 600
    assert min(map(abs, drawn)) == 0.0
    assert max(drawn) <= 100.0
    assert {constant_of(vocabulary.constant("exponent", random.Random(i))) for i in range(99)} == {2, 3}
    assert vocabulary.constant("index", random.Random(0)) is None
