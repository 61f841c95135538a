"""attention_cell: lines are read as they are written, the trusted side learns, and nothing is believed."""

import importlib.util
import math
import random
from dataclasses import replace

import numpy as np
import pytest

from evolve.errors import ProblemError
from evolve.evaluator import Job, Judge
from evolve.loader import load
from evolve.problems import attention_cell
from evolve.problems.attention_cell import (
    NAMES,
    PARTS,
    Setting,
    computed,
    leading_to,
    read_lines,
    start,
    streams,
)
from evolve.redteam.attacks import fitting
from evolve.redteam.judge import RedJudge
from evolve.redteam.programs import PROGRAMS
from evolve.spec import Misfit
from evolve.statement import Case, Rejected

SEED = ["t = mul v k", "state = add S t", "u = mul state q", "read = across u"]
HEAD = "def cell(S, k, v, q, a, b):\n    return "


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="torch is not installed")


@pytest.fixture(scope="module")
def problem(torch):
    return load("attention_cell", {"budget": "tiny"})


@pytest.fixture(scope="module")
def judge(problem):
    judge = Judge(problem)
    yield judge
    judge.close()


def lines_of(source):
    namespace = {}
    exec(source, namespace)
    return namespace["cell"](*NAMES)


# -- without torch


def test_without_torch_the_problem_says_what_to_install(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(attention_cell, "find_spec", lambda name: None if name == "torch" else find(name))
    with pytest.raises(ProblemError, match=r"pip install 'evolve-engine\[torch\]'"):
        load("attention_cell")


def test_lines_are_read_in_order_and_what_nothing_needs_is_left_out():
    steps = read_lines(
        ["x = mul a b", "y = exp a", "S = add S x", "state = S", "z = sub 1 y", "read = 2.5e-1"]
    )
    assert [tuple(step) for step in leading_to("state", steps)] == [
        ("x", "mul", ("a", "b")),
        ("S", "add", ("S", "x")),
        ("state", "", ("S",)),
    ]
    assert [tuple(step) for step in leading_to("read", steps)] == [("read", "", (0.25,))]


def test_a_name_that_is_set_twice_is_what_it_was_at_each_use():
    lines = ["t = a", "x = exp t", "t = b", "t = mul t x", "state = t", "read = t", "state = x"]
    steps = read_lines(lines)
    assert len(steps) == 7
    assert [step.name for step in leading_to("state", steps)] == ["t", "x", "state"]
    assert [step.name for step in leading_to("read", steps)] == ["t", "x", "t", "t", "read"]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "x",
        "x =",
        "x = ",
        "x == a",
        "x = exp",
        "x = exp a b",
        "x = mul a",
        "x = a b",
        "x = pow a b",
        "x = exp  a",
        "x  = a",
        " x = a",
        "x = a ",
        "x\t= a",
        "1x = a",
        "x.y = a",
        "x = y",
        "x = x",
        "x = read",
        "x = nan",
        "x = inf",
        "x = -inf",
        "x = 1e7",
        "x = 1e99",
        "x = 1_0",
        "x = +1",
        "x = 0x1",
        "x = ١",
        "x = __import__",
        "x = exp __import__('os')",
    ],
)
def test_what_is_no_line_is_rejected(line):
    with pytest.raises(Rejected, match=r"no line|no name|no number"):
        read_lines([line, *SEED])


@pytest.mark.parametrize("number", ["1", "-2", "0.5", "1.", "2e-05", "1e6", "0.30000000000000004"])
def test_a_number_is_read_as_python_writes_it(number):
    assert read_lines([f"x = {number}", *SEED])[0].parts == (float(number),)


def test_a_cell_that_sets_no_state_or_reads_nothing_is_rejected():
    for lines, missing in ((SEED[:1], "read or state"), (SEED[:3], "read"), (["read = v"], "state")):
        with pytest.raises(Rejected, match=f"no line sets {missing}$"):
            read_lines(lines)


@pytest.mark.parametrize("longer", [1, 2])
def test_answers_are_the_latest_values_of_the_keys_that_are_asked_for(longer):
    setting = Setting(seed=3)
    data = streams(setting, np.random.default_rng(1), 40, longer)
    held, pairs = setting.held * longer, setting.pairs * longer
    assert data.keys.shape == data.values.shape == (40, pairs + held)
    for keys, values, answers, ages in zip(*data, strict=True):
        known, when = {}, {}
        for place in range(pairs):
            known[keys[place]], when[keys[place]] = values[place], place
        assert len(known) == held
        assert sorted(known) == sorted(keys[pairs:])
        assert [known[key] for key in keys[pairs:]] == answers.tolist()
        assert ages.tolist() == [(pairs - 1 - when[key]) / pairs for key in keys[pairs:]]
        assert set(values[pairs:]) == {setting.values}


def test_sequences_and_parameters_follow_from_the_seed():
    one, same, other = (Setting(seed=seed) for seed in (4, 4, 5))
    for made in (start, lambda setting: streams(setting, np.random.default_rng([setting.seed, 1]), 3)):
        first, again, different = made(one), made(same), made(other)
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
        assert not all(np.array_equal(a, b) for a, b in zip(first, different, strict=True))


# -- what lines mean


MEANINGS = {
    "": lambda x: x,
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "tanh": np.tanh,
    "exp": np.exp,
    "relu": lambda x: np.maximum(x, 0.0),
    "root": lambda x: np.sqrt(np.abs(x) + 1e-6),
    "unit": lambda x: x / np.sqrt((x * x).sum() + 1e-6),
    "across": lambda x: x.sum(1)[:, None],
    "down": lambda x: x.sum(0)[None, :],
    "turn": lambda x: x.T,
}


def plainly(lines, given):
    """The cell in numpy, for one sequence."""
    known = dict(given)
    for line in lines:
        name, _, *words = line.split()
        operation, words = (words[0], words[1:]) if len(words) > 1 else ("", words)
        parts = (known[word] if word in known else np.full((1, 1), float(word)) for word in words)
        known[name] = MEANINGS[operation](*parts)
    return known["state"], known["read"]


def test_torch_computes_what_lines_say(torch):
    rng, chance = np.random.default_rng(0), random.Random(0)
    d = 3
    sizes = {"S": (d, d), "k": (1, d), "v": (d, 1), "q": (1, d), "a": (1, 1), "b": (1, 1)}
    seen = set()
    for _ in range(60):
        lines, names = [], list(NAMES)
        for place in range(8):
            operation = chance.choice(list(PARTS))
            parts = [chance.choice([*names, "0.5"]) for _ in range(PARTS[operation])]
            lines.append(" ".join([f"t{place}", "=", *([operation] if operation else []), *parts]))
            names.append(f"t{place}")
            seen.add(operation)
        lines += ["state = t7", "read = across t6"]
        batch = {name: rng.standard_normal((2, *size)) for name, size in sizes.items()}
        given = [torch.tensor(batch[name]) for name in NAMES]
        found = [computed(name, read_lines(lines))(*given) for name in ("state", "read")]
        for one in range(2):
            with np.errstate(all="ignore"):
                wanted = plainly(lines, {name: array[one] for name, array in batch.items()})
            for have, want in zip(found, wanted, strict=True):
                shape = torch.broadcast_shapes(have.shape, (2, 1, 1))
                np.testing.assert_allclose(have.expand(shape)[one].numpy(), want, rtol=1e-7, atol=1e-12)
    assert seen == set(PARTS)


def test_the_block_writes_the_lines_of_its_arithmetic(problem):
    steps = read_lines(lines_of(problem.block))
    assert [step.operation for step in leading_to("read", steps) if step.operation] == [
        "mul",
        "add",
        "mul",
        "across",
    ]
    head, _ = problem.block.split("    state = ")
    body = "    state = -(2 - S) * 0.5 + (1 / exp(a)) ** 3\n    read = across(state - k / 4) + 1\n"
    lines = lines_of(f"{head}{body}    return state, read\n")
    given = {name: np.random.default_rng(5).standard_normal((2, 2)) for name in NAMES}
    state, read = plainly(lines, given)
    np.testing.assert_allclose(state, (given["S"] - 2) * 0.5 + np.exp(-3 * given["a"]))
    np.testing.assert_allclose(read, (state - given["k"] / 4).sum(1)[:, None] + 1)


def test_baselines_are_the_rules_that_they_are_named_for(problem):
    rng = np.random.default_rng(2)
    S, k, v, q, a, b = (
        rng.standard_normal(size) for size in ((4, 4), (1, 4), (4, 1), (1, 4), (1, 1), (1, 1))
    )
    given = dict(zip(NAMES, (S, k, v, q, a, b), strict=True))
    gate, rate = 1.0 / (1.0 + np.exp(-a - 4.0)), 1.0 / (1.0 + np.exp(-b))
    key, query = (row / np.sqrt((row**2).sum() + 1e-6) for row in (k, q))
    kept = gate * S
    wanted = {
        "gated": (kept + v @ k, q),
        "delta_rule": (S + rate * (v - S @ key.T) @ key, query),
        "gated_delta_rule": (kept + rate * (v - kept @ key.T) @ key, query),
    }
    assert wanted.keys() == problem.baselines.keys()
    for name, (state, asked) in wanted.items():
        found = plainly(lines_of(problem.baselines[name]), given)
        np.testing.assert_allclose(found[0], state)
        np.testing.assert_allclose(found[1], state @ asked.T)


# -- training


def test_a_cell_that_remembers_learns_and_one_that_cannot_stays_at_chance(problem):
    setting = Setting(seed=2, width=8, steps=90, rate=0.04, batch=16, keys=4, values=2, held=2, pairs=3)
    case = Case("a", inputs=NAMES, hidden=setting)
    delta = attention_cell.score(lines_of(problem.baselines["delta_rule"]), case)
    nothing = attention_cell.score(["state = 0", "read = v"], case)
    assert delta["loss"] < 0.35
    assert nothing["loss"] == pytest.approx(math.log(2.0), abs=0.02)
    assert nothing["size"] == pytest.approx(math.log2(1e-6))


def test_the_loss_is_that_of_an_independent_forward_pass(torch, problem):
    """With no step of training, parameters are those of `start`: numpy can say what the loss is."""
    setting = replace(problem.cases[0].hidden, steps=0, longer=2)
    lines = lines_of(problem.baselines["gated_delta_rule"])
    scored = attention_cell.score(lines, Case("a", inputs=NAMES, hidden=setting))
    d, count = setting.width, 256
    key, value, into, shift, out, bias = (one.astype(float) for one in start(setting))
    data = streams(setting, np.random.default_rng([setting.seed, 2]), count, 2)
    losses = []
    for keys, values, answers, _ in zip(*data, strict=True):
        state = np.zeros((d, d))
        for token, (one, other) in enumerate(zip(keys, values, strict=True)):
            x = (key[one] + value[other]) @ into + shift
            given = (
                state,
                x[None, :d],
                x[d : 2 * d, None],
                x[None, 2 * d : 3 * d],
                x[None, -2:-1],
                x[None, -1:],
            )
            state, read = plainly(lines, dict(zip(NAMES, given, strict=True)))
            if token >= len(keys) - len(answers):
                said = read[:, 0] @ out + bias
                answer = answers[token - len(keys)]
                losses.append(np.log(np.exp(said - said.max()).sum()) + said.max() - said[answer])
    assert scored["loss"] == pytest.approx(np.mean(losses), rel=1e-4)


def test_the_same_cell_scores_the_same_twice_and_measures_lie_in_order(judge):
    first, again = (judge.judge(Job(judge.problem.block)).evaluation for _ in range(2))
    assert first.status == "ok", first
    assert first.scores == again.scores
    assert first.isolation == "strict"
    assert set(first.measures) == {"recency", "size"}
    for suite in judge.problem.unseen:
        assert judge.judge(Job(judge.problem.block, suite=suite)).evaluation.status == "ok"


# -- answers that would like to be better than they are


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("0.0", "an array is asked for|a list is asked for"),
        ("{'loss': 0.0}", "list"),
        ("['state = S', 'read = v', 'loss = 0.0', 'x = nan']", "no number"),
        ("['state = S', 'read = q']", "no column"),
        ("['state = S', 'read = S']", "no column"),
        ("['state = S', 'read = v'] * 40", "at most|allowed"),
        ("['state = S', 'read = ' + 'v' * 100]", "characters"),
        ("['state = S', 7]", "string"),
        (
            "['w = exp v', 'x = exp w', 'y = exp x', 'z = exp y', 'state = exp z', 'read = across state']",
            "not finite|blew up",
        ),
        ("['state = div S a', 'x = sub a a', 'read = div v x']", "not finite|blew up"),
    ],
)
def test_what_is_no_cell_is_rejected(judge, body, says):
    import re

    evaluation = judge.judge(Job(f"{HEAD}{body}\n")).evaluation
    assert evaluation.status == "rejected"
    assert re.search(says, evaluation.message), evaluation.message


def test_numbers_and_kinds_that_are_no_text_are_refused_before_score(problem):
    for answer in (
        None,
        1.0,
        "state = S",
        [b"state = S"],
        [["state = S"]],
        {"state": "S"},
        [None] * 3,
        [float("nan")],
    ):
        with pytest.raises(Misfit):
            problem.returns.check(answer)
    assert problem.returns.check(tuple(SEED)) == SEED


def test_a_program_that_looks_for_torch_and_tokens_finds_nothing(judge):
    hunter = """
def cell(S, k, v, q, a, b):
    found = []
    try:
        import torch
        found.append("torch")
    except ImportError:
        pass
    import gc
    for thing in gc.get_objects():
        if type(thing).__name__ in ("Setting", "Streams", "Case"):
            found.append("case")
    return ["state = S", "read = v"] if not found else found
"""
    assert judge.judge(Job(hunter)).evaluation.status == "ok"


@pytest.mark.parametrize(
    "name", ["nonfinite", "length", "duplicates", "kinds", "echo", "code", "liar", "memo"]
)
def test_attacks_are_held(problem, name):
    one = RedJudge(problem, False, True)
    assert name in {attack.name for attack in fitting("call")} or name in PROGRAMS
    report = one.judge(name)
    one.close()
    assert report.tried > 0
    assert [hit.sentence for hit in report.hits if hit.grade == "failed"] == []


def test_parameters_that_mean_nothing_are_refused(torch):
    with pytest.raises(ProblemError, match="say tiny, small, medium, large"):
        load("attention_cell", {"budget": "huge"})
