"""How a session of a run is run, from the keywords of `run` and `resume`: nothing here changes what is searched."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evolve.budget import Budget
from evolve.engine import Observer
from evolve.errors import UsageError
from evolve.llm.endpoints import Endpoint
from evolve.llm.pool import Notice
from evolve.llm.spending import Price
from evolve.mutators.simulated import Simulated
from evolve.programs_db.ledger import Ledger
from evolve.workers import Workers

__all__ = ["Options", "how_of"]


@dataclass(frozen=True, slots=True)
class Options:
    """What does not change a result: how a session is run.

    Args:
        workers: supervisors, one core each; the number of cores by default.
        unsafe: run programs without a jail where this machine gives none.
        observer: told of each commit.
        llm: which models are asked: "auto", URLs, "replay:LEDGER", or endpoints; None for none.
        prices: of a million tokens, by model; "" is for all others.
        patience: seconds without any server after which the run ends.
        notices: told of outages, retries and the like.
        verify: whether what was found is scored on unseen cases and verified at the end.
        simulated: a simulated model that makes the proposals, of a run that begins; it is kept in the ledger.
        kept: workers to run on that outlive the run; by default it starts its own.
    """

    workers: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    unsafe: bool = False
    observer: Observer | None = None
    llm: str | Sequence[Endpoint] | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)
    patience: float = 600.0
    notices: Callable[[Notice], None] | None = None
    verify: bool = True
    simulated: Simulated | None = None
    kept: Workers | None = None

    def __post_init__(self) -> None:
        most = max(16, 4 * len(os.sched_getaffinity(0)))
        if not 1 <= self.workers <= most:
            raise UsageError(
                f"{self.workers} workers; from 1 to {most} on the cores that this process may use"
            )
        if not 0 < self.patience < 1e9:
            raise UsageError(f"patience {self.patience}: seconds, more than nothing")


_KNOWN = (*("budget", "proposals", "seconds"), *Options.__dataclass_fields__)


def how_of(
    how: Mapping[str, Any], book: Ledger | None = None, *, free: bool = False
) -> tuple[Budget, Options]:
    """The budget and the options that keywords name.

    Args:
        how: the keywords.
        book: of a run that goes on: its last budget is the default.
        free: whether there may be none.

    Raises:
        UsageError: a keyword that is not known, or no budget.
    """
    options = dict(how)
    for name in options:
        if name not in _KNOWN:
            raise UsageError(f"run: unknown option {name}; it takes {', '.join(_KNOWN)}")
    given = options.pop("budget", None)
    proposals, seconds = options.pop("proposals", None), options.pop("seconds", None)
    if isinstance(given, str):
        given = Budget.parse(given)
    if given is None and (proposals is not None or seconds is not None):
        given = Budget(proposals, seconds)
    if given is None and book is not None:
        last = book.query("SELECT budget FROM sessions WHERE rescore = 0 ORDER BY id DESC LIMIT 1")
        given = Budget(**json.loads(last[0]["budget"])) if last else None
    if given is None and free:
        given = Budget()
    if given is None:
        raise UsageError("no budget; say budget='60s', proposals=5000 or seconds=60")
    if options.get("workers", 0) is None:
        del options["workers"]
    return given, Options(**options)
