"""What a study asks: a frozen Plan, from a TOML file or from flags. Knows words and budgets; runs nothing."""

import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from evolve.bench.study.places import slug
from evolve.bench.study.strategies import SHIPPED, Strategy, strategy_of
from evolve.budget import Budget
from evolve.errors import UsageError
from evolve.loader import load
from evolve.mutators.simulated import Simulated
from evolve.statement import Problem
from evolve.text import clean

__all__ = ["OUTCOMES", "Asked", "Plan", "plan_of", "read_plan", "seeds_of"]

OUTCOMES: Final = ("final", "area", "unseen", "fresh")
"""What runs can be compared by; see `outcomes`."""

_KEYS: Final = (
    *("problems", "strategies", "seeds", "budget", "compare", "outcome", "simulated", "llm", "draws"),
)
_MOST_SEEDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A problem of a plan.

    Args:
        name: shipped, or a path.
        parameters: words, as `-p` takes them.
    """

    name: str
    parameters: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, given: Any, home: Path) -> "Asked":
        """From `"capset n=6"`, or `{name = "capset", n = 6}`.

        Args:
            given: one of these.
            home: where paths begin.

        Raises:
            UsageError: neither.
        """
        if isinstance(given, Mapping) and isinstance(given.get("name"), str):
            rest = {name: str(value) for name, value in given.items() if name != "name"}
            return cls(_placed(str(given["name"]), home), tuple(sorted(rest.items())))
        if not isinstance(given, str) or not given.strip():
            raise UsageError(f"study: problem {given!r} is not understood; say 'capset n=6'")
        try:
            name, *words = shlex.split(given)
        except ValueError as error:
            raise UsageError(f"study: problem {clean(given, 200)!r}: {error}; close it") from None
        pairs = [word.partition("=") for word in words]
        if not all(key and equals for key, equals, _ in pairs) or len({key for key, *_ in pairs}) < len(
            pairs
        ):
            raise UsageError(f"study: problem {clean(given, 200)!r}: say NAME PARAMETER=VALUE ..., each once")
        return cls(_placed(name, home), tuple(sorted((key, value) for key, _, value in pairs)))

    @property
    def label(self) -> str:
        """What it is called in the study."""
        path, _, factory = self.name.rpartition(":")
        plain = factory if path.endswith(".py") else Path(self.name).stem
        return clean(" ".join([plain, *(f"{key}={value}" for key, value in self.parameters)]), 120)

    def load(self) -> Problem:
        """The problem.

        Raises:
            UsageError, ProblemError: as `loader.load`.
        """
        return load(self.name, dict(self.parameters))


def _placed(name: str, home: Path) -> str:
    return str(home / name) if ".py" in name and not Path(name).is_absolute() else name


@dataclass(frozen=True, slots=True)
class Plan:
    """A designed experiment.

    Args:
        problems: at least one.
        strategies: at least one.
        seeds: of the runs of each; runs of equal seeds are a pair.
        budget: of each run, of one kind.
        compare: pairs of strategies, the first of which is asked to be better.
        outcome: by which they are judged, of `OUTCOMES`; the others are told as well.
        simulated: a simulated model that proposes.
        llm: which models are asked, as `--llm`; "" for none.
        draws: fresh draws of cases on which the best of each run is scored.

    Raises:
        UsageError: what cannot be meant.
    """

    problems: tuple[Asked, ...]
    strategies: tuple[Strategy, ...]
    seeds: tuple[int, ...]
    budget: Budget
    compare: tuple[tuple[str, str], ...]
    outcome: str = "final"
    simulated: Simulated | None = None
    llm: str = ""
    draws: int = 2

    def __post_init__(self) -> None:
        for complaint in _complaints(self):
            raise UsageError(f"study: {complaint}")

    @property
    def kind(self) -> str:
        """What the budget counts."""
        return next(iter(self.budget.given))

    @property
    def amount(self) -> float:
        """How much of it."""
        return float(next(iter(self.budget.given.values())))

    @property
    def searching(self) -> tuple[Strategy, ...]:
        """The strategies that search."""
        return tuple(one for one in self.strategies if one.kind == "search")

    def asked(self, label: str) -> Asked:
        """The problem of a label."""
        return next(one for one in self.problems if one.label == label)

    def strategy(self, name: str) -> Strategy:
        """The strategy of a name."""
        return next(one for one in self.strategies if one.name == name)

    def as_dict(self) -> dict[str, Any]:
        """Plain data; what does not change a run (where a problem's file lies) is left out."""
        return {
            "problems": [{"label": one.label, "parameters": dict(one.parameters)} for one in self.problems],
            "strategies": [one.as_dict() for one in self.strategies],
            "seeds": list(self.seeds),
            "budget": self.budget.given,
            "compare": [list(pair) for pair in self.compare],
            "outcome": self.outcome,
            "simulated": None if self.simulated is None else self.simulated.as_dict(),
            "llm": bool(self.llm),
            "draws": self.draws,
        }

    def as_given(self) -> dict[str, Any]:
        """What `plan_of` makes the same plan of, in another process."""
        strategies = [
            {
                "extends": one.kind.replace("search", "evolution"),
                "llm": dict(one.llm),
                "about": one.about,
                **one.dials,
            }
            for one in self.strategies
        ]
        return {
            "problems": [
                shlex.join([one.name, *(f"{name}={value}" for name, value in one.parameters)])
                for one in self.problems
            ],
            "strategies": [
                one.name if SHIPPED.get(one.name) == one else {"name": one.name, **given}
                for one, given in zip(self.strategies, strategies, strict=True)
            ],
            "seeds": list(self.seeds),
            "budget": _word(self.budget),
            "compare": [list(pair) for pair in self.compare],
            "outcome": self.outcome,
            **({} if self.simulated is None else {"simulated": self.simulated.as_dict()}),
            "llm": self.llm,
            "draws": self.draws,
        }


def _word(budget: Budget) -> str:
    """A budget of one kind, as it is said."""
    ((kind, amount),) = budget.given.items()
    units = {"evaluations": "ev", "cpu_seconds": "cpu", "requests": "req", "tokens": "tok", "money": "money"}
    return f"{Decimal(str(amount)):f}{units.get(kind, '')}"  # 1e-05 is no budget


def _complaints(plan: Plan) -> Iterable[str]:
    names, labels = [one.name for one in plan.strategies], [one.label for one in plan.problems]
    kinds = list(plan.budget.given)
    if not labels or not names or not plan.seeds:
        yield "at least one problem, one strategy and one seed is needed"
    for what, given in (("problem", labels), ("strategy", names), ("seed", plan.seeds)):
        twice = [one for place, one in enumerate(given) if one in given[:place]]
        if twice:
            yield f"{what} {twice[0]!r} is given twice; give it once"
    if len({slug(label) for label in labels}) < len(set(labels)):
        yield "the names of two problems differ only in what no file is named after; rename one of them"
    if len(kinds) != 1:
        yield f"the budget limits {', '.join(kinds) or 'nothing'}; all runs are matched by one thing, say '2000ev'"
    if "seconds" in kinds:
        yield "seconds match nothing, where runs share a machine; say '2000ev' (evaluations) or '60cpu' (CPU seconds)"
    if plan.budget.needs_model and plan.simulated is None and not plan.llm:
        yield f"a budget in {kinds[0]} needs a model: say llm, or simulated"
    if plan.llm and plan.simulated is not None:
        yield "a model is asked or simulated; say llm or simulated, not both"
    yield from _more_complaints(plan, names)


def _more_complaints(plan: Plan, names: Sequence[str]) -> Iterable[str]:
    for one in plan.strategies:
        if one.llm and not plan.llm:
            yield (
                f"strategy {one.name!r} ({one.about}) differs only where a model is asked; say llm, or leave it out"
            )
    for pair in plan.compare:
        if len(set(pair)) != 2 or not set(pair) <= set(names):
            yield f"compare {' and '.join(pair)}: two different strategies of {', '.join(names)}"
    if plan.outcome not in OUTCOMES:
        yield f"outcome {plan.outcome!r}; one of {', '.join(OUTCOMES)}"
    if not 0 <= plan.draws <= 100:
        yield f"{plan.draws} draws; from 0 to 100"
    if not plan.searching:
        yield "no strategy searches; give one that does"


def read_plan(path: Path) -> Plan:
    """The plan of a TOML file.

    Raises:
        UsageError: it cannot be read, or says what cannot be meant.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{path}: cannot be read: {why}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not TOML: {error}") from None
    try:
        return plan_of(given, path.resolve().parent)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def plan_of(given: Mapping[str, Any], home: Path) -> Plan:
    """A plan from plain data.

    Args:
        given: the keys of a TOML file.
        home: where paths of problems begin.

    Raises:
        UsageError: what cannot be meant.
    """
    unknown = [key for key in given if key not in _KEYS]
    if unknown:
        raise UsageError(f"study: no key called {clean(unknown[0], 60)!r}; there are: {', '.join(_KEYS)}")
    for key in ("problems", "budget"):
        if key not in given:
            raise UsageError(f"study: {key} is missing; a plan says problems, strategies, seeds and budget")
    compare = _pairs(given.get("compare"))
    strategies = _strategies(given.get("strategies", ["evolution", "independent"]), compare or ())
    names = [one.name for one in strategies]
    like = given.get("simulated")
    if like is not None and not isinstance(like, Mapping):
        raise UsageError("study: simulated is a table of dials, such as [simulated] invalid = 0.1")
    draws = given.get("draws", 2)
    if isinstance(draws, bool) or not isinstance(draws, int):
        raise UsageError(f"study: draws is {draws!r}; a whole number")
    problems = given["problems"]
    if isinstance(problems, str | Mapping) or not isinstance(problems, Sequence):
        raise UsageError("study: problems is a list, such as ['online_bin_packing', 'capset n=6']")
    return Plan(
        problems=tuple(Asked.of(one, home) for one in problems),
        strategies=tuple(strategies),
        seeds=seeds_of(given.get("seeds", "0-9")),
        budget=Budget.parse(str(given["budget"])),
        compare=compare if compare is not None else tuple((names[0], one) for one in names[1:]),
        outcome=str(given.get("outcome", "final")),
        simulated=None if like is None else Simulated.of(like),
        llm=str(given.get("llm", "")),
        draws=draws,
    )


def _pairs(given: Any) -> tuple[tuple[str, str], ...] | None:
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in given):
        raise UsageError(
            "study: compare is a list of pairs, such as [['evolution', 'independent']]; as a flag, "
            "--compare evolution,independent"
        )
    return tuple((str(one), str(other)) for one, other in given)


def _strategies(given: Any, compare: Iterable[tuple[str, str]]) -> list[Strategy]:
    """From a list of names and tables, or from a table by name; shipped ones that are compared are among them."""
    if isinstance(given, Mapping):
        entries = [
            (str(name), dict(table) if isinstance(table, Mapping) else None) for name, table in given.items()
        ]
    elif isinstance(given, list):
        entries = [_entry(one) for one in given]
    else:
        entries = [("", None)]
    found: dict[str, Strategy] = {}
    for name, table in entries:
        if table is None:
            raise UsageError("study: strategies is a list of names, or tables such as [strategies.rare]")
        if name in found:
            raise UsageError(f"study: strategy {clean(name, 60)!r} is given twice; give it once")
        found[name] = strategy_of(name, table, found)
    for name in dict.fromkeys(name for pair in compare for name in pair):
        if name not in found:
            found[name] = strategy_of(name, {}, found)
    return list(found.values())


def _entry(one: Any) -> tuple[str, dict[str, Any] | None]:
    if isinstance(one, str):
        return one, {}
    if isinstance(one, Mapping) and isinstance(one.get("name"), str):
        return one["name"], {key: value for key, value in one.items() if key != "name"}
    return "", None


def seeds_of(given: Any) -> tuple[int, ...]:
    """Seeds from `"0-29"`, `"0,3,5-7"` or a list of numbers.

    Raises:
        UsageError: anything else.
    """
    if isinstance(given, list) and all(isinstance(one, int) and not isinstance(one, bool) for one in given):
        found = tuple(given)
    else:
        found = ()
        for part in str(given).split(","):
            match = re.fullmatch(r"\s*(\d{1,18})\s*(?:-\s*(\d{1,18})\s*)?", part)
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
            if not 0 <= last - first < _MOST_SEEDS:
                raise UsageError(f"study: seeds {given!r} are not understood; say '0-29' or '0,3,5-7'")
            found += tuple(range(first, last + 1))
    if any(not 0 <= seed < 2**63 for seed in found):
        raise UsageError("study: a seed is a number from 0 to 2**63 - 1")
    return found
