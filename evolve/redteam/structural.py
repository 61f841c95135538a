"""Attacks by the shape of an answer: too long, too short, nothing, repeated, other kinds of values, other order.

Each takes an honest answer of form `call`, takes it apart, and asks. Knows no particular problem.
"""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from evolve.redteam.plain import (
    Path,
    every,
    has_numbers,
    is_number,
    leaves,
    one,
    pick,
    replaced,
    same,
    series,
    sizes,
)
from evolve.redteam.target import Honest, Reply, Target
from evolve.spec import Plain
from evolve.spec import Sequence as SequenceSpec

__all__ = ["alias", "constant", "duplicates", "flood", "kinds", "length", "rearranged"]

_REPEATS = (2, 3, 8)
_FLOOD = 100_000


def _better(target: Target, reply: Reply, than: float) -> bool:
    return (
        reply.ok and target.problem.objective.better(reply.value, than) and target.differ(reply.value, than)
    )


def length(target: Target) -> None:
    """Nothing, one part only, half of it, one part more or less than the honest answer has."""
    for honest in target.bests():
        for at, part in series(honest.answer):
            for label, places in _cuts(len(part)).items():
                answer = replaced(honest.answer, at, pick(part, places))
                reply = target.attempt(label, answer, honest.case)
                if target.beats(reply, honest.case, answer):
                    _wrong_length(target, label, (len(places), len(part)), honest, reply)


def _cuts(count: int) -> dict[str, list[int]]:
    """Which parts are left, by what to call it; never as many as there were."""
    cuts: dict[str, list[int]] = {"nothing": []}
    cuts |= {f"part {place} alone": [place] for place in range(min(count, 8))}
    cuts |= {"the first half": list(range(count // 2)), "all but the last part": list(range(count - 1))}
    cuts |= {
        "all and the first again": [0, *range(count)],
        "all and the last again": [*range(count), count - 1],
    }
    return {label: places for label, places in cuts.items() if len(places) != count}


def _wrong_length(target: Target, label: str, lengths: tuple[int, int], honest: Honest, reply: Reply) -> None:
    """Shorter is worse wherever the case says how long an answer is, and nothing is never the best answer."""
    have, count = lengths
    said = (
        f"{label} of an answer of {count} parts scores {reply.value:.6g} on case {honest.case.name}, "
        f"{honest.who} {honest.value:.6g}"
    )
    if have == 0 or (_prescribed(target, count, honest) and have < count):
        target.hit("failed", said)
    elif have == 1 or target.timed:
        target.hit("warning", f"look at this: {said}")


def _prescribed(target: Target, count: int, honest: Honest) -> bool:
    """Whether the case says the length, and every honest answer has it."""
    lengths = {
        len(part)
        for other in target.honest
        if other.case.name == honest.case.name
        for _, part in series(other.answer, 1)
    }
    return count in sizes(*honest.case.inputs, honest.case.hidden) and lengths <= {count}


def duplicates(target: Target) -> None:
    """The same parts again and again: a set that is counted with repetition grows for nothing."""
    for honest in target.bests():
        for at, part in series(honest.answer):
            count = len(part)
            values = []
            for times in _REPEATS:
                answer = replaced(honest.answer, at, pick(part, [*range(count)] * times))
                values.append(target.attempt(f"all of it {times} times", answer, honest.case))
            if _grows(target, values, honest.value) and not target.timed:
                _repeated(target, at, part, honest, values[-1])
            answer = replaced(honest.answer, at, pick(part, [0] * count))
            target.attempt("the first part in every place", answer, honest.case)


def _grows(target: Target, replies: list[Reply], value: float) -> bool:
    for reply in replies:
        if not _better(target, reply, value):
            return False
        value = reply.value
    return True


def _repeated(target: Target, at: Path, part: Any, honest: Honest, reply: Reply) -> None:
    """Order does not matter, honest parts are all different, repetition pays: a set whose members count twice."""
    turned = target.ask(replaced(honest.answer, at, pick(part, range(len(part) - 1, -1, -1))), honest.case)
    distinct = not any(same(part[i], part[j]) for i in range(min(len(part), 60)) for j in range(i))
    is_set = len(part) > 1 and distinct and turned.ok and not target.differ(turned.value, honest.value)
    target.hit(
        "failed" if is_set else "warning",
        f"{'' if is_set else 'look at this: '}the answer repeated {_REPEATS[-1]} times scores {reply.value:.6g} on "
        f"case {honest.case.name}, once {honest.value:.6g}",
    )


def alias(target: Target) -> None:
    """An index below zero, or beyond the end, that Python or a remainder takes for another one."""
    for honest in target.bests():
        extents = sorted(sizes(*honest.case.inputs, honest.case.hidden, numbers=False))[:6]
        for place, other in ((1, 0), (-1, 0), (0, -1), (0, 1)):
            plain = _number(honest.answer, other)
            if plain is None or plain == _number(honest.answer, place):
                continue
            twice = one(honest.answer, place, lambda _, plain=plain: plain, "iu")  # type: ignore[misc]
            refused = target.attempt(f"{plain} in two places", twice, honest.case)
            if refused.ok:
                continue
            for extent in extents:
                for shift in (-extent, extent):
                    if 0 <= plain < extent:
                        _aliased(target, honest, (place, other), plain, shift)


def _aliased(target: Target, honest: Honest, places: tuple[int, int], plain: int, shift: int) -> None:
    """Proof that `plain + shift` is taken for `plain`: it may stand for it, and beside it where `plain` may not."""
    place, own = places
    instead = one(honest.answer, own, lambda _: plain + shift, "iu")
    reply = target.attempt(f"{plain + shift} instead of {plain}", instead, honest.case)
    if not reply.ok or target.differ(reply.value, honest.value):
        return
    answer = one(honest.answer, place, lambda _: plain + shift, "iu")
    reply = target.attempt(f"{plain + shift} beside {plain}", answer, honest.case)
    if reply.ok:
        target.hit(
            "failed",
            f"on case {honest.case.name} {plain} in two places is refused, but {plain} and {plain + shift} are "
            f"accepted for {reply.value:.6g}, and {plain + shift} alone is worth what {plain} is",
        )


def _numbers(answer: Any) -> list[int]:
    found: list[int] = []
    for _, leaf in leaves(answer):
        if isinstance(leaf, np.ndarray) and leaf.dtype.kind in "iu":
            found += [int(number) for number in leaf.flat]
        elif is_number(leaf) and isinstance(leaf, (int, np.integer)):
            found.append(int(leaf))
    return found


def _number(answer: Any, place: int) -> int | None:
    numbers = _numbers(answer)
    return numbers[place] if -len(numbers) <= place < len(numbers) else None


def kinds(target: Target) -> None:
    """Texts, truth values, fractions, None, containers of other kinds, where numbers are meant."""
    for honest in target.bests():
        for label, answer in _other_kinds(honest.answer):
            reply = target.attempt(label, answer, honest.case)
            if target.beats(reply, honest.case, answer) and not target.timed:
                target.hit(
                    "warning",
                    f"look at this: {label} scores {reply.value:.6g} on case {honest.case.name}, "
                    f"{honest.who} {honest.value:.6g}",
                )


def _other_kinds(answer: Any) -> Iterator[tuple[str, Any]]:
    yield "None", None
    yield "an empty text", ""
    yield "True", True
    yield "an empty dict", {}
    yield "a number", 1
    yield "the answer in a list", [answer]
    yield "None in the first place", one(answer, 0, lambda _: None) if not _is_array(answer) else None
    if has_numbers(answer, "iu"):
        yield "halves added to whole numbers", every(answer, lambda old: old + 0.5, "iu")
        yield (
            "truth values",
            every(answer, lambda old: old.astype(bool) if _is_array(old) else bool(old), "iu"),
        )
    yield "numbers as texts", every(answer, lambda old: str(old) if not _is_array(old) else old)
    if _is_array(answer):
        yield "one more axis", answer[None]
        yield "no axes", answer.ravel() if answer.ndim != 1 else answer.reshape(-1, 1)
        yield "complex numbers as text", [str(complex(value)) for value in answer.flat]
    deep: Any = answer
    for _ in range(30):
        deep = [deep]
    yield "thirty lists in one another", deep


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def rearranged(target: Target) -> None:
    """Reversed, sorted, turned round, transposed: other answers, which must be certified like any other."""
    for honest in target.bests():
        for at, part in series(honest.answer):
            for label, answer in _orders(part):
                target.attempt(label, replaced(honest.answer, at, answer), honest.case)


def _orders(part: Any) -> Iterator[tuple[str, Any]]:
    count = len(part)
    yield "reversed", pick(part, range(count - 1, -1, -1))
    yield "turned by one", pick(part, [*range(1, count), 0])
    if isinstance(part, np.ndarray):
        yield "sorted", np.sort(part, axis=0)
        yield "transposed", part.T
        yield "columns reversed", part[..., ::-1]
        yield "negated", -part if part.dtype.kind in "if" else part
    elif all(is_number(item) and math.isfinite(item) for item in part):
        yield "sorted", sorted(part)
        yield "negated", [-item for item in part]


def constant(target: Target) -> None:
    """Zeros, ones, the first number everywhere: answers that need no program."""
    for honest in target.bests():
        first = next(iter(_first(honest.answer)), None)
        for value in dict.fromkeys((0, 1, -1, first)):
            if value is None:
                continue
            answer = every(honest.answer, _all(value))
            told = f"{value}"[:24]
            reply = target.attempt(f"{told} everywhere", answer, honest.case)
            if target.beats(reply, honest.case, answer):
                target.hit(
                    "failed" if target.timed else "warning",
                    f"look at this: {told} everywhere scores {reply.value:.6g} on case {honest.case.name}, better "
                    f"than {honest.who} ({honest.value:.6g})",
                )


def _first(answer: Any) -> Iterator[Any]:
    for _, leaf in leaves(answer):
        if isinstance(leaf, np.ndarray) and leaf.size and leaf.dtype.kind in "iuf":
            yield leaf.flat[0].item()
        elif is_number(leaf):
            yield leaf


def _all(value: Any) -> Any:
    """Put one number everywhere; where a part cannot hold it, it stays."""

    def change(old: Any) -> Any:
        with contextlib.suppress(OverflowError):
            if isinstance(old, np.ndarray):
                return np.full_like(old, value)
            return type(old)(value)
        return old

    return change


def flood(target: Target) -> None:
    """The longest answer that `returns` lets through: what `score` does with it must stay within its time."""
    honest = next(target.bests())
    for at, part in series(honest.answer, 1):
        most = _FLOOD
        spec = target.problem.returns
        if at == () and isinstance(spec, SequenceSpec):
            most = min(most, spec.max_length)
        if at == () and isinstance(part, np.ndarray):
            most = min(most, getattr(spec, "max_size", most)) // max(1, part[0].size)
        for times in (min(most, 3_000), most):
            answer = replaced(honest.answer, at, pick(part, [place % len(part) for place in range(times)]))
            target.attempt(f"{times} parts instead of {len(part)}", answer, honest.case)
    if isinstance(target.problem.returns, Plain):
        target.attempt(
            "a whole number of 3,000 digits", every(honest.answer, lambda _: 10**3_000), honest.case
        )
