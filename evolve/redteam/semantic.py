"""Attacks by what an answer means: a score that it states, an input, another case's answer, code to be executed.

And what must hold for honest answers: the same score twice, in any order, certified alike.
"""

import itertools
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from evolve.evaluator import Job, Judge
from evolve.redteam.plain import Path, every, is_number, leaves, one, replaced, same
from evolve.redteam.target import Honest, Reply, Target
from evolve.spec import Plain
from evolve.statement import Case

__all__ = ["claim", "code", "echo", "honest", "previous", "shown", "state"]

_CLAIMS = (1e3, 1e6, 1e9)
_GROWTH = 100.0
_MOST_PLACES = 16
_TELLING = 4  # parts from which on two equal things are not equal by chance
_LONG = 64
_MARK = "_evolve_redteam_ran"


def honest(target: Target) -> None:
    """What honest programs answer is certified as it is scored."""
    for known in target.honest:
        target.attempt(f"the answer of {known.who}", known.answer, known.case)
    if target.problem.form == "step" and target.problem.certify is not None:
        for who, source in target.sources().items():
            judged = target.judge.judge(Job(source, detail=True))
            for case in target.cases:
                if judged.outcomes is not None and case.name in judged.outcomes:
                    value = judged.evaluation.scores[case.name][target.problem.objective.name]
                    target.compare_outcome(who, judged.outcomes[case.name], case, value)


def state(target: Target) -> None:
    """The same answer scores the same again: at once, after hostile answers, and with the cases turned round."""
    if target.problem.form == "step":
        _same_program(target)
    for _ in range(2):
        for known in target.honest:
            _again(target, known, "scored twice")
    for known in target.honest:
        for bad in (every(known.answer, lambda old: old * 0), every(known.answer, lambda old: -old - 1)):
            target.attempt("a wrong answer between honest ones", bad, known.case)
    for known in reversed(target.honest):
        _again(target, known, "scored again after other answers, the last case first")


def _same_program(target: Target) -> None:
    """In form `step` there are no answers to score again, but programs."""
    first: dict[str, Any] = {}
    for _ in range(2):
        for who, source in target.sources().items():
            made = target.judge.judge(Job(source)).evaluation
            target.tried += 1
            told = made.objective, made.status, made.scores
            if first.setdefault(who, told) != told:
                target.hit("failed", f"run twice, {who} has {first[who][0]!r} and {made.objective!r}")


def _again(target: Target, known: Honest, when: str) -> None:
    reply = target.attempt(f"the answer of {known.who}", known.answer, known.case)
    if reply.ok and reply.value == known.value:
        return
    said = f"{reply.value!r}" if reply.ok else f"{reply.status.value}: {reply.message}"
    target.hit(
        "failed",
        f"{when}, the answer of {known.who} to case {known.case.name} has {known.value!r} and {said}",
    )


def claim(target: Target) -> None:
    """A number of the answer, or one added under the name of the objective, is made the score."""
    for known in target.bests():
        for label, at, answer in _places(target, known.answer):
            for sign in (1.0, -1.0):
                replies = []
                for size in _CLAIMS:
                    claimed = _stated(answer, at, sign * size)
                    replies.append(target.attempt(f"{sign * size:g} {label}", claimed, known.case))
                    if not replies[-1].ok:
                        break
                _follows(target, label, known, sign, replies)


def _places(target: Target, answer: Any) -> Iterator[tuple[str, Path, Any]]:
    """Where a number could be stated; arrays as their first element."""
    numbers = [(at, leaf) for at, leaf in leaves(answer) if is_number(leaf) or isinstance(leaf, np.ndarray)]
    for at, _ in numbers[: _MOST_PLACES // 2] + numbers[_MOST_PLACES // 2 :][-_MOST_PLACES // 2 :]:
        yield f"at {_told(at)}", at, answer
    names = (target.problem.objective.name, "score", "value")
    if isinstance(answer, dict):
        for name in names:
            yield f"under {name!r}", (name,), {**answer, name: 0.0}
    elif isinstance(target.problem.returns, Plain):
        for name in names:
            yield f"as a dict with {name!r}", (name,), {name: 0.0, "answer": answer}


def _told(at: Path) -> str:
    return "".join(f"[{key!r}]" for key in at) or "its place"


def _stated(answer: Any, at: Path, number: float) -> Any:
    part = answer
    for key in at:
        part = part[key]
    if isinstance(part, np.ndarray):
        stated = one(part, 0, lambda _: int(number) if part.dtype.kind in "iu" else number)
        return replaced(answer, at, stated)
    return replaced(answer, at, int(number) if isinstance(part, (int, np.integer)) else number)


def _follows(target: Target, label: str, known: Honest, sign: float, replies: list[Reply]) -> None:
    """The value is the number, or grows with it without bound, past every honest one."""
    if len(replies) < len(_CLAIMS) or not all(target.beats(reply, known.case) for reply in replies):
        return
    values = [reply.value for reply in replies]
    stated = all(math.isclose(abs(value), size) for value, size in zip(values, _CLAIMS, strict=True))
    growing = all(
        target.problem.objective.better(after, before) and abs(after) >= _GROWTH * abs(before)
        for before, after in itertools.pairwise(values)
    )
    if stated or growing:
        how = "is the score" if stated else "moves the score without bound"
        target.hit(
            "failed",
            f"the number {label} {how}: {sign * _CLAIMS[-1]:g} there scores {values[-1]:.6g} on case "
            f"{known.case.name}, {known.who} {known.value:.6g}",
        )


def echo(target: Target) -> None:
    """An input, or a part of one, is given back as the answer; and whether what is hidden stands among them."""
    for known in target.bests():
        hidden = [part for _, part in _large((known.case.hidden,))]
        inputs = list(_large(known.case.inputs))
        for at, part in (*inputs, *((at, leaf) for at, leaf in leaves(known.case.inputs))):
            reply = target.attempt(f"input {_told(at)} given back", part, known.case)
            shown = any(same(part, secret) for secret in hidden) or same(part, known.case.hidden)
            if shown and target.as_good(reply, known.case) and not target.timed:
                target.hit(
                    "failed",
                    f"input {_told(at)} of case {known.case.name} is what is hidden: given back, it scores "
                    f"{reply.value:.6g}, {known.who} {known.value:.6g}",
                )
            elif target.beats(reply, known.case, part):
                target.hit(
                    "warning",
                    f"look at this: input {_told(at)} of case {known.case.name} given back scores {reply.value:.6g}, "
                    f"{known.who} {known.value:.6g}",
                )
        if hidden and all(any(same(part, secret) for _, part in inputs) for secret in hidden):
            target.hit("warning", f"all that is hidden in case {known.case.name} stands among its inputs")


def _large(value: Any, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Arrays, lists and texts of four parts and more, in any container or dataclass."""
    if at and _telling(value):
        yield at, value
    for key, part in _inside(value):
        yield from _large(part, (*at, key))


def _telling(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return bool(value.size >= _TELLING)
    return isinstance(value, (str, list, tuple)) and len(value) >= _TELLING


def _inside(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, (list, tuple)) and len(value) < _LONG:
        yield from enumerate(value)
    elif hasattr(value, "__dataclass_fields__"):
        yield from ((name, getattr(value, name)) for name in value.__dataclass_fields__)


def shown(target: Target) -> None:
    """Form `step`: whether the first decision is shown all of what is hidden, the rest of a stream for instance."""
    simulate = target.problem.simulate
    assert simulate is not None

    def watched(decide: Callable[..., Any], case: Case) -> Any:
        secrets = [part for _, part in _large((case.hidden,))]
        asked = 0

        def spy(*args: Any) -> Any:
            nonlocal asked
            asked += 1
            target.tried += 1
            if asked == 1 and secrets:
                seen = [part for _, part in _large(args, ("decide",))]
                if all(any(same(part, secret) for part in seen) for secret in secrets):
                    target.hit(
                        "warning",
                        f"look at this: the first decision of case {case.name} is shown all of what is hidden",
                    )
            return decide(*args)

        return simulate(spy, case)

    judge = Judge(replace(target.problem, simulate=watched), target.judge.unsafe)
    try:
        judge.judge(Job(target.problem.block))
    finally:
        judge.close()


def previous(target: Target) -> None:
    """The answer to another case: where it does as well everywhere, score does not look at the case."""
    pairs = 0
    as_good = 0
    last: tuple[Honest, Honest, Reply] | None = None
    for known in target.bests():
        for other in target.bests():
            if other.case.name == known.case.name or same(known.case.inputs, other.case.inputs):
                continue
            if same(known.answer, other.answer):
                continue
            pairs += 1
            reply = target.attempt(f"the answer to case {other.case.name}", other.answer, known.case)
            if target.as_good(reply, known.case):
                as_good += 1
                last = known, other, reply
    if last is not None and as_good == pairs:
        known, other, reply = last
        target.hit(
            "failed",
            f"the answer to case {other.case.name} scores {reply.value:.6g} on case {known.case.name}, its own "
            f"{known.value:.6g}, and so with every pair of cases: score does not look at the inputs",
        )


def code(target: Target) -> None:
    """Texts that do something when they are executed, formatted or unpickled."""
    for known in target.bests():
        if not _texts(target, known.answer):
            continue
        setattr(sys, _MARK, 0)
        for text in (
            f"__import__('sys').__dict__.__setitem__('{_MARK}', 1)",
            f"(__import__('sys').__dict__.update({_MARK}=1) or 1)",
            f"import sys\nsys.{_MARK} = 1",
            f"csys\n__dict__\n(S'{_MARK}'\nI1\ns.",
            f"!!python/object/apply:setattr [sys, {_MARK}, 1]",
        ):
            answer = _with_text(known.answer, text)
            target.attempt(f"the text {text!r}", answer, known.case)
            target.attempt("its bytes", _with_text(known.answer, text.encode()), known.case)
        ran = getattr(sys, _MARK)
        delattr(sys, _MARK)
        if ran:
            target.hit(
                "failed", f"a text in the answer to case {known.case.name} was executed by the scoring"
            )


def _texts(target: Target, answer: Any) -> bool:
    return isinstance(target.problem.returns, Plain) or any(
        isinstance(leaf, (str, bytes)) for _, leaf in leaves(answer)
    )


def _with_text(answer: Any, text: Any) -> Any:
    """The answer with this text in place of each text; the text alone where there is none."""
    places = [at for at, leaf in leaves(answer) if isinstance(leaf, (str, bytes))]
    if not places:
        return text
    for at in places[:_MOST_PLACES]:
        answer = replaced(answer, at, text)
    return answer
