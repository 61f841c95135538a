"""From paired figures to rows: estimates, exact intervals, tests that cannot contradict them, Holm over the table.

Knows numbers; no program and no clock. Every test is a sign test on the same paired figures as the interval beside
it: a verdict has the direction of its own test, and a p-value is at most 5 % just where the interval leaves out
equality.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolve.bench.compare.orders import Block, Scores
from evolve.bench.compare.records import ALL_CASES, Contender, Row
from evolve.fastcore.stats import geometric_mean, holm, order_rank, rank_interval

__all__ = ["Paired", "corrected", "paired", "rows_of_blocks", "rows_of_scores"]

EQUAL = "no difference"
TOO_FEW = "too few pairs"
_ROUNDING = 1.0 + 1e-9
"""1 - 0.95 is a little more than 1/20 in binary."""


@dataclass(frozen=True, slots=True)
class Paired:
    """What paired figures say about equality.

    Args:
        estimate: their median.
        low, high: interval of the true median, widened by the resolution; None where there are too few.
        p: two-sided, of "the true median is equality, or within the resolution of it".
        above: whether more of them lie beyond equality upwards than downwards.
    """

    estimate: float
    low: float | None
    high: float | None
    p: float
    above: bool


def paired(figures: NDArray[np.float64], equal: tuple[float, float], confidence: float) -> Paired:
    """Test paired figures, and give their interval.

    The interval is the narrowest symmetric pair of order statistics that holds the median with the confidence
    (`stats.order_rank`), widened by the resolution. The test counts the figures beyond what is equal: each lies there
    with probability 1/2 at most where the median is equal. Both are exact whatever the noise, and say the same at
    `1 - confidence`.

    Args:
        figures: f8, shape (n,), independent.
        equal: what counts as equality: (1 / (1 + r), 1 + r) for ratios with resolution r; (0, 0) for differences.
        confidence: between 0 and 1.
    """
    lower, upper = equal
    count = len(figures)
    fewer_above, fewer_below = int((figures <= upper).sum()), int((figures >= lower).sum())
    above = fewer_above < fewer_below
    tail = sum(math.comb(count, hits) for hits in range(min(fewer_above, fewer_below) + 1))
    low, high = rank_interval(figures, order_rank(count, confidence))
    widening = upper if upper > 0.0 else 1.0
    return Paired(
        float(np.median(figures)),
        low / widening + 0.0 if math.isfinite(low) else None,  # no -0.0
        high * widening + 0.0 if math.isfinite(high) else None,
        min(1.0, 2.0 * tail / 2.0**count),
        above,
    )


def rows_of_blocks(
    contender: Contender, blocks: Sequence[Block], resolution: float, confidence: float
) -> list[Row]:
    """Rows of one contender where speed is sought: one a case, and their geometric mean where there are several.

    Each block, which is two fresh processes, gives one figure a case: the median over its rounds of the ratio. What is
    constant in a process is therefore noise, and not mistaken for the program.
    """
    ratios = np.array([np.median(one.seconds[:, 1] / one.seconds[:, 0], axis=0) for one in blocks])
    seconds = np.concatenate([one.seconds[:, 0] for one in blocks])
    about = {
        "disagreement": float(np.median([one.disagreement for one in blocks])),
        "flagged": 2 * sum(one.flagged for one in blocks) > len(blocks),
    }
    equal = 1.0 / (1.0 + resolution), 1.0 + resolution
    rows = [
        _ratio_row(contender, case, paired(ratios[:, place], equal, confidence), len(blocks), about)
        for place, case in enumerate(blocks[0].cases)
    ]
    rows = [replace(row, seconds=tuple(map(float, seconds[:, place]))) for place, row in enumerate(rows)]
    if len(rows) > 1:
        over_all = paired(geometric_mean(ratios, axis=1), equal, confidence)
        rows.append(_ratio_row(contender, ALL_CASES, over_all, len(blocks), about))
    return rows


def _ratio_row(contender: Contender, case: str, found: Paired, pairs: int, about: Mapping[str, Any]) -> Row:
    verdict = "faster" if found.above else "slower"
    return Row(
        *(contender.name, contender.program, case, pairs, verdict),
        **{"p": found.p, "ratio": found.estimate, "low": found.low, "high": found.high, **about},
    )


def rows_of_scores(
    contender: Contender,
    scores: Mapping[str, Scores],
    sign: float,
    resolution: float,
    confidence: float,
) -> list[Row]:
    """Rows of one contender where `score` gives the objective: one a suite, with run time beside it.

    Args:
        contender: whose rows.
        scores: what was found, by suite.
        sign: 1 where more is better, else -1.
        resolution: of ratios of time.
        confidence: of intervals.
    """
    equal = 1.0 / (1.0 + resolution), 1.0 + resolution
    rows = []
    ratios = []
    for suite, one in scores.items():
        spent = np.maximum(one.seconds, 1e-9)
        ratio = spent[:, 1] / spent[:, 0]
        ratios.append(ratio)
        gain = paired(sign * (one.values[:, 0] - one.values[:, 1]), (0.0, 0.0), confidence)
        time = paired(ratio, equal, confidence)
        rows.append(
            Row(
                *(contender.name, contender.program, suite, len(ratio), "better" if gain.above else "worse"),
                p=gain.p,
                ratio=time.estimate,
                low=time.low,
                high=time.high,
                value=float(one.values[:, 0].mean()),
                other=float(one.values[:, 1].mean()),
                gain=gain.estimate,
                gain_low=gain.low,
                gain_high=gain.high,
                seconds=tuple(map(float, one.seconds[:, 0])),
            )
        )
    if len(rows) > 1:
        rows.append(_time_over_all(contender, ratios))
    return rows


def _time_over_all(contender: Contender, ratios: Sequence[NDArray[np.float64]]) -> Row:
    """The geometric mean over suites of the ratio of run times: no objective, so no verdict."""
    middle = [float(np.median(one)) for one in ratios]
    return Row(
        *(contender.name, contender.program, ALL_CASES, sum(map(len, ratios)), "run time only"),
        why="objectives of different suites are not put together",
        ratio=float(geometric_mean(middle)),
    )


def corrected(rows: Sequence[Row], confidence: float) -> list[Row]:
    """Give every row its verdict: a test's direction where it stands after Holm's correction over the table.

    A row whose pairs are too few for any verdict, whatever they say, is no test and takes nothing from the others.
    Rows of the control are tested too, each by itself and uncorrected: it shall cry wolf rather than keep silent.
    """
    error = 1.0 - confidence
    tested = [place for place, row in enumerate(rows) if not row.is_control and _can_tell(row, error)]
    adjusted = dict(zip(tested, map(float, holm([rows[at].p or 0.0 for at in tested])), strict=True))
    return [_ruled(row, adjusted.get(place), error, len(tested)) for place, row in enumerate(rows)]


def _can_tell(row: Row, error: float) -> bool:
    return row.p is not None and _least(row.pairs) <= error * _ROUNDING


def _least(pairs: int) -> float:
    """The least p-value that so many pairs can have."""
    return float(2.0 ** (1 - pairs))


def _ruled(row: Row, adjusted: float | None, error: float, tests: int) -> Row:
    if row.p is None:
        return row
    if not _can_tell(row, error):
        some = "1 pair is" if row.pairs == 1 else f"{row.pairs} pairs are"
        return replace(row, verdict=TOO_FEW, why=f"{some} too few for any verdict; it takes 6")
    decides = row.p if adjusted is None else adjusted
    row = replace(row, p_corrected=adjusted)
    if decides > error * _ROUNDING:
        return _undecided(row, error, tests)
    if row.verdict == "faster" and row.flagged and (row.disagreement or 0.0) > 0.0:
        why = f"the CPU clock is {row.disagreement:.0%} kinder to it than the wall: it is not called faster"
        return replace(row, verdict=EQUAL, why=why)
    return row


def _undecided(row: Row, error: float, tests: int) -> Row:
    assert row.p is not None
    if row.p > error * _ROUNDING:
        return replace(row, verdict=EQUAL)
    if _least(row.pairs) * tests > error:
        enough = 1 + math.ceil(math.log2(tests / error))
        why = f"{row.pairs} pairs are too few among {tests} comparisons; {enough} may do"
        return replace(row, verdict=TOO_FEW, why=why)
    why = f"its own test says {row.verdict} (p {row.p:.2g}), which is not enough among {tests} comparisons"
    return replace(row, verdict=EQUAL, why=why)
