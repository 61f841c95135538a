"""Attacks by tables (form `table`): any table is a policy, so what must not happen is more than a bad score.

The tables go through the problem's own `simulate` and `score`, one case at a time.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from evolve.redteam.target import Reply, Target

__all__ = ["constant_table", "extreme_table", "nonfinite_table", "other_table"]


def _tables(target: Target) -> Iterator[tuple[Any, Any]]:
    for honest in target.bests():
        yield honest, np.array(honest.answer, dtype=np.float64)


def nonfinite_table(target: Target) -> None:
    """NaN (never) and infinities everywhere, in a half, in one place: no better than any policy, or one number."""
    for honest, table in _tables(target):
        constants = [
            target.attempt(f"{value:g} everywhere", made, honest.case) for value, made in _flat(table)
        ]
        for value in (math.nan, math.inf, -math.inf):
            for where, places in (
                ("everywhere", slice(None)),
                ("in the first half", slice(0, table.size // 2)),
                ("in the first place", slice(0, 1)),
                ("in the last place", slice(table.size - 1, None)),
            ):
                made = np.array(table)
                made.reshape(-1)[places] = value
                reply = target.attempt(f"a table with {value} {where}", made, honest.case)
                # Infinity everywhere may mean what one does, and one may happen to be a good policy.
                if (
                    where == "everywhere"
                    and target.beats(reply, honest.case)
                    and _beats(target, reply, constants)
                ):
                    target.hit(
                        "failed",
                        f"a table with {value} everywhere scores {reply.value:.6g} on case {honest.case.name}, better "
                        f"than {honest.who} ({honest.value:.6g}) and than tables of one number",
                    )


def _flat(table: Any) -> Iterator[tuple[float, Any]]:
    for value in (0.0, 1.0, -1.0, 1e300, 5e-324):
        yield value, np.full(table.shape, value)


def _beats(target: Target, reply: Reply, others: Sequence[Reply]) -> bool:
    better = target.problem.objective.better
    return all(
        not other.ok or (better(reply.value, other.value) and target.differ(reply.value, other.value))
        for other in others
    )


def constant_table(target: Target) -> None:
    """One number everywhere: whatever it scores, a simulation's rule for ties has earned it."""
    for honest, table in _tables(target):
        for value, made in _flat(table):
            reply = target.attempt(f"{value:g} everywhere", made, honest.case)
            if target.beats(reply, honest.case):
                target.hit(
                    "warning",
                    f"look at this: a table with {value:g} everywhere scores {reply.value:.6g} on case "
                    f"{honest.case.name}, better than {honest.who} ({honest.value:.6g})",
                )
                break


def extreme_table(target: Target) -> None:
    """The honest order of priorities written in huge and in denormal numbers, and random signs of infinity."""
    rng = np.random.default_rng(0)
    for honest, table in _tables(target):
        _, rank = np.unique(table, return_inverse=True)
        order = rank.reshape(table.shape).astype(np.float64)
        signs = np.where(rng.random(table.shape) < 0.5, 1.0, -1.0)
        for label, made in (
            ("ranks in denormal numbers", order * 5e-324),
            ("ranks in huge numbers", order * (1e308 / max(order.max(), 1.0))),
            ("huge numbers of both signs", signs * 1e308),
            ("infinities of both signs", signs * math.inf),
            ("random numbers", rng.standard_normal(table.shape)),
            ("whole numbers of 62 bits", np.floor(signs * 2.0**62)),
        ):
            target.attempt(label, made, honest.case)


def other_table(target: Target) -> None:
    """Wrong shapes and kinds; the honest table reversed, negated, shuffled, rounded, as truth values."""
    rng = np.random.default_rng(0)
    for honest, table in _tables(target):
        shuffled = rng.permutation(table.reshape(-1)).reshape(table.shape)
        for label, made in (
            ("reversed", table[::-1]),
            ("negated", -table),
            ("shuffled", shuffled),
            ("rounded to single precision", table.astype("f4")),
            ("truth values", table > np.median(table)),
            ("one row too many", np.concatenate([table, table[:1]])),
            ("one row too few", table[:-1]),
            ("one more axis", table[None]),
            ("flat", table.reshape(-1)),
            ("nothing", np.zeros(0)),
            ("a number", 1.0),
            ("a text", "nan"),
            ("None", None),
            ("a list of texts", ["nan"] * table.size),
            ("a dict", {"table": table}),
        ):
            target.attempt(label, made, honest.case)
