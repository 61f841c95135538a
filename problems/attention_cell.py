"""Find a cell of linear attention: how a layer of a sequence model writes to its memory at a token, and reads from it.

The memory S is a matrix, (d, d), zero at first. At each token the cell gets a row k, (1, d), the key; a column v,
(d, 1), the value; a row q, (1, d), the query; and two numbers a and b, (1, 1). All are learnt linear functions of the
token, without bounds. The cell gives the new S, and a column from which the token's output is made. The seed is linear
attention: the new S is S + v k, and it reads the new S times q.

`cell` computes nothing: it gets names and answers with lines, for instance ["t = mul v k", "state = add S t",
"u = mul state q", "read = across u"]. The class `Tensor` of the block writes them, so a cell reads like arithmetic.
A line is NAME = OPERATION PARTS or NAME = PART; a part is a name or a number up to a million; 64 lines at most.
Operations: add, sub, mul and div, element by element, where (1, d), (d, 1) and (1, 1) broadcast; sigmoid, tanh, exp,
relu, root (of the size plus 1e-6); across and down, the sum of each row as a column, and of each column as a row;
turn, the transpose; unit, the whole divided by the root of the sum of its squares plus 1e-6.

Trusted code trains a tiny model that has this cell, always for the same number of steps, and measures its
cross-entropy in nats on sequences that it was not trained on: the objective, a mean over two seeds. A sequence is a
stream of pairs of a key token and a value token; keys come again with other values, and after all pairs the latest
value of each key is asked for. What is not finite is rejected.

With `budget` small a training takes about half a second on one core; medium and large have larger memories, longer
sequences and more steps, and large uses a GPU where there is one.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import isfinite, log, log2, sqrt
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from evolve import (
    Case,
    Measure,
    Objective,
    Primitive,
    Problem,
    ProblemError,
    Rejected,
    Sequence,
    Stage,
    Text,
    problem,
)

# EVOLVE-BLOCK-START
from functools import partial, partialmethod

written: list[str] = []


class Tensor:
    """What an operation would give: a name, under which a line is written down."""

    def __init__(self, *words):
        self.name = f"t{len(written)}"
        written.append(f"{self.name} = " + " ".join(map(str, words)))

    def __str__(self):
        return self.name

    def then(self, operation, other):
        """Self first."""
        return Tensor(operation, self, other)

    def after(self, operation, other):
        """Self second."""
        return Tensor(operation, other, self)

    def __pow__(self, exponent):
        return self if exponent < 2 else self * self ** (exponent - 1)

    def __neg__(self):
        return 0 - self

    __add__ = __radd__ = partialmethod(then, "add")
    __mul__ = __rmul__ = partialmethod(then, "mul")
    __sub__, __rsub__ = partialmethod(then, "sub"), partialmethod(after, "sub")
    __truediv__, __rtruediv__ = partialmethod(then, "div"), partialmethod(after, "div")


class Lines:
    """A function of tensors, as the lines that it comes to."""

    def __init__(self, function):
        self.function = function

    def __call__(self, *names):
        """The lines, for the names of what the cell gets."""
        written.clear()
        state, read = self.function(*map(Tensor, names))
        return [*written, f"state = {state}", f"read = {read}"]


sigmoid, tanh, exp, relu = (partial(Tensor, name) for name in ("sigmoid", "tanh", "exp", "relu"))
root, unit, across = (partial(Tensor, name) for name in ("root", "unit", "across"))
down, turn = partial(Tensor, "down"), partial(Tensor, "turn")


@Lines
def cell(S, k, v, q, a, b):
    """The new memory, and what is read."""
    state = S + v * k
    read = across(state * q)
    return state, read


# EVOLVE-BLOCK-END

# Why lines and not numbers: a program that trained a model by itself could only report a loss, and one that was asked
# token by token would owe derivatives that nobody could check. Lines are plain data. The trusted side reads them by
# a grammar of one rule, takes derivatives with torch, draws all sequences and measures the loss: nothing is left to
# forge. A cell is the same at every token, so it cannot look ahead, and all cells have the same parameters.

Integers = npt.NDArray[np.int64]
Compute = Callable[..., Any]

NAMES = ("S", "k", "v", "q", "a", "b")
PARTS: Mapping[str, int] = {
    "": 1,  # the same under another name
    **dict.fromkeys(("add", "sub", "mul", "div"), 2),
    **dict.fromkeys(("sigmoid", "tanh", "exp", "relu", "root", "unit", "across", "down", "turn"), 1),
}
"""How many parts an operation has."""

_NUMBER = re.compile(r"-?\d{1,20}(\.\d{0,20})?(e-?\d{1,2})?", re.ASCII)
_LARGEST = 1e6
_TESTED = 256  # sequences


class Line(NamedTuple):
    """A step of a cell; its parts are names and numbers."""

    name: str
    operation: str
    parts: tuple[str | float, ...]


def read_lines(lines: list[str]) -> list[Line]:
    """The steps that lines say.

    Raises:
        Rejected: a line is none, a name is used that is not set, or `state` or `read` is not set.
    """
    known, steps = set(NAMES), []
    for text in lines:
        match text.split(" "):
            case [name, "=", part]:
                operation, parts = "", [part]
            case [name, "=", operation, *parts] if operation:
                pass
            case _:
                name, operation, parts = "", "", []
        if not name.isidentifier() or len(parts) != PARTS.get(operation):
            raise Rejected(f"{text!r} is no line: NAME = OPERATION PARTS, or NAME = PART")
        steps.append(Line(name, operation, tuple(_part(part, known) for part in parts)))
        known.add(name)
    if missing := {"state", "read"} - known:
        raise Rejected(f"no line sets {' or '.join(sorted(missing))}")
    return steps


def _part(word: str, known: set[str]) -> str | float:
    if word in known:
        return word
    if _NUMBER.fullmatch(word) is None or abs(float(word)) > _LARGEST:
        raise Rejected(f"{word!r} is no name that is set above, and no number up to a million")
    return float(word)


def leading_to(wanted: str, steps: list[Line]) -> list[Line]:
    """Those of the steps that a name needs."""
    needed, kept = {wanted}, []
    for step in reversed(steps):
        if step.name in needed:
            needed.discard(step.name)
            needed.update(part for part in step.parts if isinstance(part, str))
            kept.append(step)
    return kept[::-1]


def computed(wanted: str, steps: list[Line]) -> Compute:
    """What a cell gives under a name, as a function of torch's tensors and of any number of sequences at once."""
    import torch

    operations: Mapping[str, Compute] = {
        "": lambda x: x,
        "add": operator.add,
        "sub": operator.sub,
        "mul": operator.mul,
        "div": operator.truediv,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "exp": torch.exp,
        "relu": torch.relu,
        "root": lambda x: torch.sqrt(torch.abs(x) + 1e-6),
        "across": lambda x: x.sum(-1, keepdim=True),
        "down": lambda x: x.sum(-2, keepdim=True),
        "turn": lambda x: x.transpose(-1, -2),
        "unit": lambda x: x * torch.rsqrt(torch.square(x).sum((-1, -2), keepdim=True) + 1e-6),
    }

    steps = leading_to(wanted, steps)

    def compute(*given: Any) -> Any:
        known = dict(zip(NAMES, given, strict=True))
        for name, operation, parts in steps:
            # A number becomes a tensor: most of torch's functions take no numbers.
            found = (
                known[part] if isinstance(part, str) else given[0].new_full((1, 1), part) for part in parts
            )
            known[name] = operations[operation](*found)
        return known[wanted]

    return compute


@dataclass(frozen=True)
class Setting:
    """What is trained, and on what."""

    seed: int = 0  # of the parameters and of all sequences
    width: int = 16  # rows and columns of the memory
    steps: int = 120  # of training
    rate: float = 0.02  # how far the first of them go
    batch: int = 32  # sequences a step
    keys: int = 16  # kinds of key tokens
    values: int = 8  # kinds of value tokens
    held: int = 6  # keys in a sequence
    pairs: int = 14  # in a sequence
    longer: int = 1  # times as many keys and pairs in the sequences on which the loss is measured
    gpu: bool = False  # whether a GPU is used where there is one; the last digits differ there


BUDGETS: Mapping[str, Setting] = {
    "tiny": Setting(steps=8, batch=4),  # for tests: nothing is learnt
    "small": Setting(),
    "medium": Setting(width=32, steps=400, rate=0.01, batch=64, keys=32, values=16, held=12, pairs=28),
    "large": Setting(0, 64, 2_000, 0.005, batch=256, keys=64, values=32, held=24, pairs=56, gpu=True),
}


class Streams(NamedTuple):
    """Sequences: tokens (count, length), the keys that are asked for last, with a blank for a value; what is right, and
    how much came after it, as a share of the pairs (count, held).
    """

    keys: Integers
    values: Integers
    answers: Integers
    ages: npt.NDArray[np.float64]


def streams(setting: Setting, rng: np.random.Generator, count: int, longer: int = 1) -> Streams:
    """Draw sequences: each held key at least once, others of them at random, in random order, with random values."""
    held, pairs, rows = setting.held * longer, setting.pairs * longer, np.arange(count)[:, None]
    bank = np.argsort(rng.random((count, setting.keys)), axis=1)[:, :held]
    every = np.tile(np.arange(held), (count, 1))
    order = rng.permuted(np.hstack([every, rng.integers(0, held, (count, pairs - held))]), axis=1)
    written = rng.integers(0, setting.values, (count, pairs))
    last = np.zeros((count, held), np.int64)
    for place in range(pairs):
        last[rows[:, 0], order[:, place]] = place
    asked = rng.permuted(every, axis=1)
    latest = last[rows, asked]
    return Streams(
        keys=bank[rows, np.hstack([order, asked])],
        values=np.hstack([written, np.full((count, held), setting.values)]),
        answers=written[rows, latest],
        ages=(pairs - 1 - latest) / pairs,
    )


def start(setting: Setting) -> list[npt.NDArray[np.float32]]:
    """Parameters to start from: embeddings of keys and values, the map into the cell, and the one out of it.

    A token's query starts as its key, or nothing is learnt for long.
    """
    d, rng = setting.width, np.random.default_rng([setting.seed, 0])
    key, value = (rng.standard_normal((count, d)) / sqrt(2.0) for count in (setting.keys, setting.values + 1))
    into, out = (rng.standard_normal((d, count)) / sqrt(d) for count in (3 * d + 2, setting.values))
    into[:, 2 * d : 3 * d] = into[:, :d]
    drawn = key, value, into, np.zeros(3 * d + 2), out, np.zeros(setting.values)
    return [one.astype(np.float32) for one in drawn]


def answered(steps: list[Line], parameters: list[Any], setting: Setting, data: Streams) -> tuple[Any, Any]:
    """What the model says of each key that is asked for, (count, held, values), and the last memory.

    Raises:
        Rejected: what is read is no column.
    """
    import torch

    d, (key, value, into, shift, out, bias) = setting.width, parameters
    tokens = key[torch.as_tensor(data.keys)] + value[torch.as_tensor(data.values)]
    split = (tokens @ into + shift).split((d, d, d, 1, 1), dim=2)  # k, v, q, a, b
    columns = [part.unsqueeze(axis).unbind(1) for part, axis in zip(split, (2, 3, 2, 2, 2), strict=True)]
    write, read = computed("state", steps), computed("read", steps)
    state, reads = tokens.new_zeros(len(tokens), d, d), []
    first = tokens.shape[1] - data.answers.shape[1]  # nothing is made of what is read before
    for place, token in enumerate(zip(*columns, strict=True)):
        if place >= first:
            reads.append(read(state, *token))
        state = write(state, *token).expand(len(tokens), d, d)
    if reads[0].shape[-1] != 1:
        raise Rejected("what is read is no column; `across` makes one")
    outputs = torch.stack([one.expand(len(tokens), d, 1)[:, :, 0] for one in reads], 1)
    return outputs @ out + bias, state


def losses(said: Any, data: Streams) -> Any:
    """Cross-entropy of each answer, in nats."""
    import torch

    right = torch.as_tensor(data.answers.ravel(), device=said.device)
    return torch.nn.functional.cross_entropy(said.flatten(0, 1), right, reduction="none")


def train(steps: list[Line], setting: Setting) -> list[Any]:
    """Train the model by Adam, with a falling rate and clipped derivatives; the parameters.

    Raises:
        Rejected: a derivative is not finite.
    """
    import torch

    torch.set_num_threads(1)  # a worker has one core, and sums have one order
    device = "cuda" if setting.gpu and torch.cuda.is_available() else "cpu"
    parameters = [torch.tensor(one, device=device, requires_grad=True) for one in start(setting)]
    adam = torch.optim.Adam(parameters, betas=(0.9, 0.98))
    rng = np.random.default_rng([setting.seed, 1])
    for step in range(setting.steps):
        data = streams(setting, rng, setting.batch)
        adam.zero_grad()
        losses(answered(steps, parameters, setting, data)[0], data).mean().backward()
        if not torch.nn.utils.clip_grad_norm_(parameters, 1.0).isfinite():
            raise Rejected(f"the training blew up at step {step}")
        adam.param_groups[0]["lr"] = setting.rate * (1.0 - step / setting.steps)
        adam.step()
    return parameters


def score(lines: list[str], case: Case) -> dict[str, float]:
    """Loss; how much larger it is for older pairs than for newer ones; the size of the memory, by its logarithm."""
    import torch

    setting: Setting = case.hidden
    steps = read_lines(lines)
    parameters = train(steps, setting)
    data = streams(setting, np.random.default_rng([setting.seed, 2]), _TESTED, setting.longer)
    with torch.no_grad():
        said, state = answered(steps, parameters, setting, data)
        each = losses(said.double(), data).cpu().numpy().reshape(data.answers.shape)
        entry = float(torch.square(state.double()).mean().sqrt())
    loss, old = float(each.mean()), data.ages >= 0.5
    if not isfinite(loss) or not isfinite(entry):
        raise Rejected("the loss or the memory is not finite on other sequences")
    recency = float(each[old].mean() - each[~old].mean())
    return {"loss": loss, "recency": recency, "size": log2(max(entry, 1e-6))}


GATED = """
def cell(S, k, v, q, a, b):
    lines = "c = add a 4; g = sigmoid c; f = mul g S; w = mul v k; state = add f w; u = mul state q; read = across u"
    return lines.split("; ")
"""

DELTA = """
def cell(S, k, v, q, a, b):
    lines = "n = unit k; u = mul S n; p = across u; e = sub v p; w = mul e n; g = sigmoid b; x = mul g w; "
    lines += "state = add S x; m = unit q; y = mul state m; read = across y"
    return lines.split("; ")
"""

GATED_DELTA = """
def cell(S, k, v, q, a, b):
    lines = "c = add a 4; h = sigmoid c; f = mul h S; n = unit k; u = mul f n; p = across u; e = sub v p; "
    lines += "w = mul e n; g = sigmoid b; x = mul g w; state = add f x; m = unit q; y = mul state m; read = across y"
    return lines.split("; ")
"""


def _language() -> list[Primitive]:
    functions = (
        "sigmoid",
        "sigmoid",
        "tanh",
        "exp",
        "relu",
        "root",
        "unit",
        "unit",
        "across",
        "across",
        "down",
        "turn",
    )
    names = [Primitive(name, (), "vec") for name in NAMES]
    # Whole numbers and no others: a cell's numbers are learnt, and each trial of a tuner would be a training.
    numbers = [Primitive(number, (), "num") for number in ("1", "2")]
    return [*names, *numbers, *(Primitive(name, ("vec",), "vec") for name in functions)]


@problem
def attention_cell(budget: str = "small") -> Problem:
    """A cell of linear attention, by the loss of a tiny model that has it."""
    if find_spec("torch") is None:
        raise ProblemError("it trains with torch, which is missing: pip install 'evolve-engine[torch]'")
    if budget not in BUDGETS:
        raise ValueError(f"budget is {budget!r}; say {', '.join(BUDGETS)}")
    usual = BUDGETS[budget]
    doubled = {name: 2 * getattr(usual, name) for name in ("width", "keys", "held", "pairs")}
    wide = replace(usual, rate=usual.rate / 2.0, **doubled)

    def case(name: str, setting: Setting) -> Case:
        return Case(name, inputs=NAMES, hidden=setting)

    def seeded(*seeds: int) -> list[Case]:
        return [case(f"seed_{seed}", replace(usual, seed=seed)) for seed in seeds]

    return Problem(
        entry="cell",
        cases=seeded(0, 1),
        # Knowing nothing costs the logarithm of the number of values: what stays near it is no better on another seed.
        stages=[Stage(("seed_0",), gate=0.9 * log(usual.values))] if budget != "tiny" else [],
        returns=Sequence(Text(80), max_length=64),
        score=score,
        objective=Objective("loss", "min", "nats"),
        measures=[Measure("recency", -0.6, 1.2, bins=12), Measure("size", -6.0, 6.0, bins=12)],
        unseen={
            "other_seeds": seeded(100, 101, 102),
            "longer": [case("longer", replace(usual, seed=200, longer=2))],
            "wider": [case("wider", replace(wide, seed=300))],
        },
        fresh=lambda rng: seeded(*(int(seed) for seed in rng.integers(1_000, 2**31, 3))),
        primitives=_language(),
        baselines={"gated": GATED, "delta_rule": DELTA, "gated_delta_rule": GATED_DELTA},
        score_seconds=max(60.0, usual.steps * usual.width / 16.0),
    )
