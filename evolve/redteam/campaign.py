"""All attacks on one problem, through supervisors, one after the other: `attacked(problem) -> findings`.

The engine's side. Knows that a supervisor may get stuck or die of the problem's own functions; knows no terminal.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from evolve.fastcore.pool import JudgeError, JudgeStuck, Pool, SupervisorLost
from evolve.redteam.attacks import Attack, fitting
from evolve.redteam.judge import SECONDS, Report, SeedOrder
from evolve.redteam.target import WALL, Hit
from evolve.statement import Problem

__all__ = ["Finding", "attacked", "count_of"]

Result = Literal["ok", "advice", "warning", "failed"]

_ORDER: tuple[Result, ...] = ("ok", "advice", "warning", "failed")
_MOST_TOLD = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one attack.

    Args:
        attack: its name, "seed" for the honest programs before all attacks.
        result: "failed" means that it got through; "warning": look at this; "ok": it was held.
        found: what was found, the worst first, with the mend; untrusted text may be in it.
        tried: answers or programs tried.
        cut: whether the attack's time ran out before all was tried.
        seconds: wall time.
        number: of the attack in the list of known ones; 0 if it has none.
    """

    attack: str
    result: Result
    found: tuple[Hit, ...]
    tried: int = 0
    cut: bool = False
    seconds: float = 0.0
    number: int = 0


def count_of(problem: Problem) -> int:
    """How many attacks fit the problem."""
    return len(fitting(problem.form))


def attacked(
    problem: Problem,
    unsafe: bool = False,
    only: Sequence[str] = (),
    short: bool = False,
    patience: float | None = None,
) -> Iterator[Finding]:
    """Make the attacks that fit; the seed comes first, and where it does not score nothing else is tried.

    Args:
        problem: loaded from a file.
        unsafe: see `Judge`.
        only: names of attacks; all that fit by default.
        short: only the most telling ones, a moment each.
        patience: wall seconds after which an attack is taken for stuck; from the problem's limits by default.
    """
    chosen = [
        attack for attack in fitting(problem.form, short and not only) if not only or attack.name in only
    ]
    with _Supervisor(problem, unsafe, short, patience or _patience(problem)) as supervisor:
        seed = supervisor.ask(SeedOrder())
        if isinstance(seed, str) or seed.hits:
            yield Finding("seed", "failed", (Hit("failed", seed),) if isinstance(seed, str) else seed.hits)
            return
        for attack in chosen:
            yield _finding(attack, supervisor.ask(attack.name))


def _patience(problem: Problem) -> float:
    cases = len(problem.cases) * problem.repeats
    return 30.0 + WALL * SECONDS + 3.0 * problem.score_seconds + cases * min(problem.limits.seconds, 3.0)


class _Supervisor:
    """One supervisor of a pool, asked from ordinary code, so that Ctrl-C is heard between two attacks too."""

    def __init__(self, problem: Problem, unsafe: bool, short: bool, patience: float) -> None:
        if problem.origin is None:
            raise ValueError("this Problem was not made by an @problem factory, so no worker can load it")
        origin = problem.origin
        self.patience = patience
        self.pool = Pool(
            "evolve.redteam.judge:make_judge",
            (str(origin.path), origin.factory, dict(origin.parameters), unsafe, short),
            1,
            hard_seconds=patience,
        )
        self.loop = asyncio.Runner()

    def __enter__(self) -> Self:
        self.loop.__enter__()
        self.loop.run(self.pool.start())
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.run(self.pool.__aexit__(None, None, None))
        self.loop.close()

    def ask(self, payload: Any) -> Report | str:
        """The report, or what became of the supervisor."""
        return self.loop.run(self._ask(payload))

    async def _ask(self, payload: Any) -> Report | str:
        try:
            report: Report = await self.pool.submit(payload)
        except JudgeError as error:
            last = str(error).strip().splitlines()[-1]
            said = f"this attack could not be made, an error of evolve, please report it: {last}"
            return Report((Hit("warning", said),), 0, False, 0.0)
        except SupervisorLost:
            return "the problem's own functions took two workers down with one of these answers"
        except JudgeStuck:
            return f"the problem's own functions were stuck for {self.patience:.0f} s in code that nothing interrupts"
        return report


def _finding(attack: Attack, report: Report | str) -> Finding:
    if isinstance(report, str):
        stuck = (Hit("failed", f"{report}; {attack.mend}"),)
        return Finding(attack.name, "failed", stuck, number=attack.number)
    hits = sorted(report.hits, key=lambda hit: -_ORDER.index(hit.grade))
    worst: Result = hits[0].grade if hits else "ok"
    told = hits[:_MOST_TOLD]
    if len(hits) > _MOST_TOLD:
        told.append(Hit(hits[_MOST_TOLD].grade, f"and {len(hits) - _MOST_TOLD} more of this kind"))
    if worst == "failed":
        told[0] = Hit("failed", f"{told[0].sentence}; {attack.mend}")
    return Finding(attack.name, worst, tuple(told), report.tried, report.cut, report.seconds, attack.number)
