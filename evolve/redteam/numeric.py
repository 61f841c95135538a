"""Attacks by the numbers of an answer: not finite, huge, tiny, wrapping around, off by a tolerance.

Each takes an honest answer of form `call`, changes numbers in it, and asks. Knows no particular problem.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from evolve.redteam.plain import every, has_numbers, leaves, one, same
from evolve.redteam.target import Honest, Reply, Target
from evolve.spec import Plain

__all__ = ["denormal", "nonfinite", "overflow", "precision", "tolerance", "wrap"]

Change = Callable[[Any], Any]

_STEPS = (1e-13, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 0.3)
_HALVINGS = 46
_WORTH = 1e-9  # relative gain by a tolerance that no rounding explains


def _set(value: float) -> Change:
    """Put `value` in place of a number, or of all of an array."""

    def change(old: Any) -> Any:
        if isinstance(old, np.ndarray):
            dtype = old.dtype if old.dtype.kind == "f" else np.float64
            with np.errstate(over="ignore"):
                return np.full(old.shape, value, dtype)
        return value

    return change


def _alternating(value: float) -> Change:
    """Its sign changes from number to number, so that sums and differences meet both infinities."""

    def change(old: Any) -> Any:
        if isinstance(old, np.ndarray):
            return np.where(np.arange(old.size) % 2, -value, value).reshape(old.shape)
        return value

    return change


def _spread(answer: Any, value: float) -> Iterator[tuple[str, Any]]:
    """The answer with a number everywhere, first, and last; `everywhere` comes first."""
    yield "everywhere", every(answer, _set(value))
    yield "in the first place", one(answer, 0, lambda _: value)
    yield "in the second place", one(answer, 1, lambda _: value)
    yield "in the last place", one(answer, -1, lambda _: value)


def _careful(target: Target, label: str, answer: Any, honest: Honest, reply: Reply) -> bool:
    """Whether the problem's own comparisons refuse it when NaN fails them."""
    if not reply.ok:
        return False
    strict = target.strict("careful", answer, honest.case)
    if strict is None or strict.ok:
        return False
    target.hit(
        "failed",
        f"{label} is accepted for {reply.value:.6g} on case {honest.case.name}, though the rule is broken: "
        f"a comparison with NaN is false, so `if ...: raise` lets it pass ({strict.message})",
    )
    return True


def nonfinite(target: Target) -> None:
    """NaN and infinities, where `returns` lets them in, and their names where it takes strings."""
    for honest in target.bests():
        for value in (math.nan, math.inf, -math.inf):
            for where, answer in _spread(honest.answer, value):
                label = f"{value} {where}"
                reply = target.attempt(label, answer, honest.case)
                if not _careful(target, label, answer, honest, reply):
                    _not_a_number(target, label, answer, honest, reply)
        if isinstance(target.problem.returns, Plain):
            for text in ("nan", "inf", "1e999"):
                answer = every(honest.answer, lambda _, text=text: text)  # type: ignore[misc]
                reply = target.attempt(f"the text {text!r}", answer, honest.case)
                _not_a_number(target, f"the text {text!r} everywhere", answer, honest, reply)


def _not_a_number(target: Target, label: str, answer: Any, honest: Honest, reply: Reply) -> None:
    whole = target.as_good(reply, honest.case) and label.endswith("everywhere")
    if same(answer, honest.answer):  # it has no numbers
        return
    if whole or target.beats(reply, honest.case, answer):
        target.hit(
            "failed",
            f"{label} scores {reply.value:.6g} on case {honest.case.name}, {honest.who} {honest.value:.6g}",
        )


def overflow(target: Target) -> None:
    """Numbers whose squares or sums are infinite, so that NaN arises inside `score`."""
    for honest in target.bests():
        for size in (1e308, -1e308, 1e200, 1e155, 1e30):
            for where, answer in (
                *_spread(honest.answer, size),
                ("with both signs", every(honest.answer, _alternating(size))),
            ):
                label = f"{size:g} {where}"
                reply = target.attempt(label, answer, honest.case)
                if not _careful(target, label, answer, honest, reply):
                    _look(target, label, answer, honest, reply)


def _look(target: Target, label: str, answer: Any, honest: Honest, reply: Reply) -> None:
    if target.beats(reply, honest.case, answer):
        target.hit(
            "warning",
            f"look at this: {label} scores {reply.value:.6g} on case {honest.case.name}, "
            f"better than {honest.who} ({honest.value:.6g})",
        )


def denormal(target: Target) -> None:
    """The smallest numbers, and minus zero: one over them is infinite."""
    for honest in target.bests():
        for size in (5e-324, -5e-324, -0.0, 1e-310, 1e-160):
            for where, answer in _spread(honest.answer, size):
                label = f"{size:g} {where}"
                reply = target.attempt(label, answer, honest.case)
                _careful(target, label, answer, honest, reply)


def wrap(target: Target) -> None:
    """Whole numbers that leave 64 bits in a sum, a product or a difference."""
    for honest in target.bests():
        if not has_numbers(honest.answer, "iu"):
            continue
        for label, answer in _wrapping(honest.answer):
            reply = target.attempt(label, answer, honest.case)
            if reply.ok and not _wrapped(target, label, answer, honest, reply):
                _look(target, label, answer, honest, reply)


def _wrapping(answer: Any) -> Iterator[tuple[str, Any]]:
    count = sum(np.size(leaf) for _, leaf in leaves(answer))
    sizes = [1 << 31, 1 << 32, 1 << 62, (1 << 63) - 1, -(1 << 63), 1 << 63, 1 << 64, 10**30]
    sizes += [(1 << 63) // max(count, 1) + 1, (1 << 64) // max(count, 1)]
    for size in dict.fromkeys(sizes):
        yield f"{size} everywhere", every(answer, _whole(size), "iu")
        for place, where in ((0, "first"), (1, "second"), (-1, "last")):
            yield f"{size} in the {where} place", one(answer, place, lambda _, size=size: size, "iu")  # type: ignore[misc]
    # The sum is the honest one modulo 2**64.
    for times, step in ((4, 1 << 62), (2, 1 << 63)):
        if count >= times:
            raised = answer
            for place in range(times):
                raised = one(raised, place, lambda old, step=step: int(old) + step, "iu")  # type: ignore[misc]
            yield f"{times} numbers larger by {step}", raised
    if count >= 2:
        opposed = one(answer, 0, lambda old: int(old) + (1 << 62), "iu")
        yield (
            "2**62 moved from one number to another",
            one(opposed, 1, lambda old: int(old) - (1 << 62), "iu"),
        )


def _whole(size: int) -> Change:
    def change(old: Any) -> Any:
        if isinstance(old, np.ndarray):
            if -(1 << 63) <= size < 1 << 63:
                return np.full(old.shape, size, np.int64)
            return np.full(old.shape, size, np.uint64) if 0 <= size < 1 << 64 else [size] * old.size
        return size

    return change


def _wrapped(target: Target, label: str, answer: Any, honest: Honest, reply: Reply) -> bool:
    """Whether the same functions say something else, and worse, of the same numbers when nothing wraps around."""
    exact = target.strict("exact", answer, honest.case)
    if exact is None or (exact.ok and not target.differ(exact.value, reply.value)):
        return False
    if exact.ok and target.problem.objective.better(exact.value, reply.value):
        return False
    instead = f"{exact.value:.6g}" if exact.ok else f"refused ({exact.message})"
    target.hit(
        "failed",
        f"{label} is accepted for {reply.value:.6g} on case {honest.case.name}; with whole numbers that do not "
        f"wrap around it is {instead}",
    )
    return True


def precision(target: Target) -> None:
    """The same numbers in another dtype score the same; in a dtype that cannot hold them, no better."""
    for honest in target.bests():
        for name in ("u1", "i1", "i2", "u4", "u8", "f4", "f8", "b1"):
            answer = every(honest.answer, _same_numbers(name))
            reply = target.attempt(f"the same numbers as {name}", answer, honest.case)
            if target.beats(reply, honest.case, answer):
                target.hit(
                    "failed",
                    f"the same numbers as {name} score {reply.value:.6g} on case {honest.case.name}, "
                    f"as given {honest.value:.6g}",
                )
        if target.timed:
            _rounded(target, honest)


def _same_numbers(name: str) -> Change:
    """Another dtype for an array, where it holds the same numbers."""

    def change(old: Any) -> Any:
        if not isinstance(old, np.ndarray):
            return old
        with np.errstate(all="ignore"):
            new = old.astype(name)
        return new if np.array_equal(new, old) else old

    return change


def _rounded(target: Target, honest: Honest) -> None:
    """In a race, single precision would be a short cut."""
    with np.errstate(over="ignore"):
        answer = every(
            honest.answer, lambda old: old.astype("f4") if isinstance(old, np.ndarray) else old, "f"
        )
    reply = target.attempt("rounded to single precision", answer, honest.case)
    if target.beats(reply, honest.case, answer):
        target.hit(
            "advice",
            f"case {honest.case.name}: numbers rounded to single precision are accepted, so a program may win "
            "the race by computing in it",
        )


def tolerance(target: Target) -> None:
    """Go from an honest answer to the edge of what is accepted, and ask whether a tolerance moved that edge."""
    for honest in target.bests():
        if not has_numbers(honest.answer, "f"):
            continue
        for label, move in _directions(honest.answer):
            _walk(target, label, move, honest)


def _walk(target: Target, label: str, move: Callable[[float], Any], honest: Honest) -> None:
    edge = _edge(lambda step: target.attempt(f"{label} by {step:.3g}", move(step), honest.case))
    if edge is not None:
        _judge_edge(target, label, move, honest, *edge)


def _directions(answer: Any) -> Iterator[tuple[str, Callable[[float], Any]]]:
    """Ways to change numbers by a relative step."""
    ways: list[tuple[str, Callable[[Any, float], Any]]] = [
        ("all numbers raised", lambda old, step: old * (1.0 + step)),
        ("all numbers lowered", lambda old, step: old * (1.0 - step)),
        ("all numbers moved up", lambda old, step: old + step),
        ("all numbers moved down", lambda old, step: old - step),
    ]
    for label, way in ways:
        yield label, lambda step, way=way: every(answer, lambda old: way(old, step), "f")  # type: ignore[misc]
        for place, where in ((0, "first"), (-1, "last")):
            told = label.replace("all numbers", f"the {where} number")
            yield told, lambda step, way=way, place=place: one(answer, place, lambda old: way(old, step), "f")  # type: ignore[misc]
    columns = max((leaf.shape[-1] for _, leaf in leaves(answer) if np.ndim(leaf) == 2), default=0)
    for column in range(min(columns, 6)):
        for sign, word in ((1.0, "raised"), (-1.0, "lowered")):
            yield (
                f"column {column} {word}",
                lambda step, column=column, sign=sign: every(  # type: ignore[misc]
                    answer, lambda old: _column(old, column, 1.0 + sign * step), "f"
                ),
            )


def _column(array: Any, column: int, factor: float) -> Any:
    if np.ndim(array) != 2 or array.shape[1] <= column:
        return array
    made = np.array(array)
    made[:, column] *= factor
    return made


def _edge(ask: Callable[[float], Reply]) -> tuple[float, Reply] | None:
    """The largest step that is accepted, and its reply; None if small steps are refused or none is."""
    low, found, high = 0.0, None, None
    for step in _STEPS:
        reply = ask(step)
        if not reply.ok:
            high = step
            break
        low, found = step, reply
    if high is None or found is None:
        return None
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        reply = ask(middle)
        if reply.ok:
            low, found = middle, reply
        else:
            high = middle
    return low, found


def _judge_edge(
    target: Target, label: str, move: Callable[[float], Any], honest: Honest, edge: float, reply: Reply
) -> None:
    """An edge that lies nearer when tolerances are halved was moved by a tolerance: it is worth the difference."""
    case = honest.case
    strict = target.strict("halved", move(edge), case)
    if strict is None or strict.ok:
        return
    near, inner = _edge_of_half(target, move, honest, edge)
    gain = 2.0 * target.problem.objective.key(reply.value - inner)
    scale = max(abs(reply.value), abs(inner))
    if gain > _WORTH * scale:
        target.hit(
            "failed",
            f"{label} by {edge:.3g} is accepted on case {case.name}, with half the tolerance only {near:.3g}: the "
            f"tolerance is worth {gain:.3g} of {reply.value:.9g}",
        )
    elif target.problem.certify is None:
        # In a race, answers in floats may differ by their rounding.
        target.hit(
            "advice" if target.timed else "warning",
            f"{label} by {edge:.3g} is accepted on case {case.name} thanks to a tolerance in score",
        )


def _edge_of_half(
    target: Target, move: Callable[[float], Any], honest: Honest, edge: float
) -> tuple[float, float]:
    """The largest step that is accepted with half the tolerance, and what it scores."""
    low, high, value = 0.0, edge, honest.value
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        reply = target.strict("halved", move(middle), honest.case)
        if reply is not None and reply.ok:
            low, value = middle, reply.value
        else:
            high = middle
    return low, value
