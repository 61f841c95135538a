"""Options that say which models are asked, how, and what that may cost. Knows the command line, and no server."""

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from evolve.errors import UsageError
from evolve.llm.dials import Dials
from evolve.llm.spending import Price
from evolve.verbs.common import pairs, text_of

__all__ = ["add_asking", "add_servers", "dials_of", "servers_of"]

_OWN = ("models", "templates", "notes")  # have options of their own


def add_servers(parser: argparse.ArgumentParser) -> None:
    """Who is asked, at what price, and for how long it is waited for."""
    group = parser.add_argument_group("models")
    group.add_argument(
        "--llm",
        metavar="WHO",
        help="ask models: auto, those that `evolve serve` runs here; URL[,URL...], OpenAI-compatible endpoints, key "
        "in EVOLVE_LLM_KEY (URL*2 for twice the share, openai+URL for OpenAI's own dialect); serve:MODEL, started "
        "for this run; replay:LEDGER, a recorded run again without any server",
    )
    group.add_argument(
        "--price",
        metavar="[MODEL=]PROMPT,ANSWER[,CACHED]",
        action="append",
        default=[],
        help="of a million tokens, for budgets in money; --price 0.25,1.25,0.03",
    )
    group.add_argument(
        "--patience", type=float, metavar="S", help="seconds to wait while no server answers (600)"
    )


def add_asking(parser: argparse.ArgumentParser) -> None:
    """What models are asked."""
    add_servers(parser)
    group = parser.add_argument_group("what models are asked")
    group.add_argument(
        "--model",
        metavar="NAME",
        action="append",
        default=[],
        help="its name at the server, by default the first that it lists; several compete",
    )
    usual = ", ".join(
        _told(one.name, getattr(Dials(), one.name)) for one in fields(Dials) if one.name not in _OWN
    )
    group.add_argument(
        "--ask",
        metavar="DIAL=VALUE",
        action="append",
        default=[],
        help=f"a dial of the asking; they are (0: as the server says): {usual}",
    )
    group.add_argument(
        "--templates", metavar="DIR", help="your words in the place of evolve's: improve.txt, ..."
    )
    group.add_argument("--notes", metavar="FILE", help="what you know of the problem, told in every prompt")


def _told(name: str, value: Any) -> str:
    """A dial as one would type it."""
    if isinstance(value, bool):
        return f"{name}={'yes' if value else 'no'}"
    if isinstance(value, tuple):
        return f"{name}={','.join(value)}"
    return f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"


def dials_of(args: argparse.Namespace) -> Dials | None:
    """How models are asked; None if none are, or a recording says it.

    Raises:
        UsageError: options of models without `--llm`, or a file that cannot be read.
    """
    given: dict[str, Any] = dict(pairs(args.ask, "--ask"))
    _expect_dials(given)
    if args.model:
        given["models"] = tuple(args.model)
    if args.templates:
        given["templates"] = str(Path(args.templates).resolve())
    if args.notes:
        given["notes"] = text_of(args.notes, "--notes")
    if not args.llm:
        if given or args.price or args.patience:
            raise UsageError("--model, --ask, --templates, --notes, --price and --patience need --llm")
        return None
    if args.llm.startswith("replay:"):
        if given:
            raise UsageError(
                "a replay asks what its recording asked: leave --model, --ask, --templates, --notes out"
            )
        return None
    return Dials.of(given)


def _expect_dials(names: Iterable[str]) -> None:
    known = [one.name for one in fields(Dials) if one.name not in _OWN]
    for name in names:
        if name in _OWN:
            raise UsageError(f"--ask {name}: it has an option of its own")
        if name not in known:
            raise UsageError(f"--ask {name}: no such dial; there are: {', '.join(known)}")


def servers_of(args: argparse.Namespace) -> dict[str, Any]:
    """Keywords of `run` and `resume`."""
    how: dict[str, Any] = {"llm": args.llm, "prices": _prices(args.price)}
    if args.patience is not None:
        how["patience"] = args.patience
    return how


def _prices(words: list[str]) -> Mapping[str, Price]:
    found: dict[str, Price] = {}
    for word in words:
        model, equals, numbers = word.rpartition("=")
        try:
            parts = [float(part) for part in numbers.split(",")]
            price = Price(*parts)
        except (TypeError, ValueError):
            raise UsageError(
                f"--price {word!r} is not understood; say --price 0.25,1.25 or NAME=0.25,1.25"
            ) from None
        if (model if equals else "") in found:
            raise UsageError(f"--price {word!r}: this model has a price already")
        found[model if equals else ""] = price
    return found
