"""What verbs share: options of a problem, JSON on stdout, a worker to judge one program. Knows no verb."""

import argparse
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evolve.errors import InfrastructureError, UsageError
from evolve.fastcore import jail
from evolve.loader import load
from evolve.programs_db.records import Evaluation
from evolve.source import cut
from evolve.statement import Problem
from evolve.text import clean

__all__ = [
    "add_json",
    "add_problem",
    "add_workers",
    "load_problem",
    "may_write",
    "needs_jail",
    "pairs",
    "print_text",
    "read_program",
    "text_of",
    "write_whole",
]

_SQLITE = b"SQLite format 3\0"  # how each of its files begins: https://www.sqlite.org/fileformat.html


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def add_problem(parser: argparse.ArgumentParser) -> None:
    """PROBLEM and `-p`."""
    parser.add_argument(
        "problem", metavar="PROBLEM", help="a shipped name, or a path: my_problem.py or my_problem.py:factory"
    )
    add_parameters(parser)


def add_parameters(parser: argparse.ArgumentParser) -> None:
    """`-p name=value`."""
    parser.add_argument(
        "-p",
        dest="parameters",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a parameter of the problem",
    )


def add_workers(parser: argparse.ArgumentParser) -> None:
    """`--workers` and `--unsafe`."""
    parser.add_argument("--workers", type=int, metavar="N", help="worker processes (one a core by default)")
    parser.add_argument(
        "--unsafe", action="store_true", help="run programs without a jail, where this machine gives none"
    )


def pairs(words: Sequence[str], option: str) -> dict[str, str]:
    """`name=value` words as a dict.

    Raises:
        UsageError: a word without "=", or a name given twice.
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"{option} {word!r} is not understood; say {option} name=value")
        if name.strip() in found:
            raise UsageError(f"{option} {name.strip()} is given twice; give it once")
        found[name.strip()] = value
    return found


def load_problem(args: argparse.Namespace) -> Problem:
    """The problem that `add_problem`'s options name."""
    return load(args.problem, pairs(args.parameters, "-p"))


def needs_jail(unsafe: bool) -> None:
    """Make sure that programs can be run here at all.

    Raises:
        InfrastructureError: they cannot be confined, and nobody said that this is fine.
    """
    if not unsafe and jail.level() == "none":
        missing = jail.describe()["missing"]
        raise InfrastructureError(
            f"programs cannot be jailed on this machine: {missing}; `evolve doctor` says more, and --unsafe "
            "runs them all the same, with your rights"
        )


def read_program(name: str) -> str:
    """The block of a file: what stands between its markers, or all of it where there are none; `-` is stdin.

    Raises:
        UsageError: the file cannot be read.
        BlockError: it has markers, but not exactly one pair in order.
    """
    text = text_of(name)
    return cut(text, name).block if "EVOLVE-BLOCK-" in text else text


def print_text(text: str) -> None:
    """A file's text on stdout, to the byte."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8"))


def text_of(name: str, option: str = "") -> str:
    """The text of a file; `-` is stdin.

    Args:
        name: of the file.
        option: that it was given by.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{option} {name}: cannot be read: {why}".strip()) from None


def may_write(path: Path, force: bool) -> None:
    """Make sure that a file may be written.

    Raises:
        UsageError: it exists and nobody said --force, or its folder does not.
    """
    if path.is_dir():
        raise UsageError(f"{path}: a folder; give a file")
    if path.exists() and not force:
        raise UsageError(f"{path}: the file exists, and is left as it is; choose another name or say --force")
    if path.is_file() and _is_database(path):
        raise UsageError(
            f"{path}: a database, and perhaps a ledger, is never written over; give another name"
        )
    folder = Path(os.path.realpath(path)).parent  # of what a link points to
    if not folder.is_dir():
        raise UsageError(
            f"{path}: there is no folder {folder if path.is_symlink() else path.parent}; make it"
        )


def _is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except PermissionError:
        return False


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all: what a full disk cuts short would be in the way of the next try.

    A link is followed; a pipe or a device takes the text as it comes.
    """
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    target = Path(os.path.realpath(path))  # which takes a link to itself for a name, where `resolve` fails
    draft = target.with_name(f".{secrets.token_hex(12)}.part")
    with draft.open("x", encoding="utf-8") as file:  # nobody's file is in the way
        try:
            file.write(text)
            file.close()
            draft.replace(target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def told(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as plain data, its texts cleaned."""
    return {
        "status": evaluation.status.value,
        "message": clean(evaluation.message),
        "objective": evaluation.objective,
        "measures": dict(evaluation.measures),
        "scores": {case: dict(numbers) for case, numbers in evaluation.scores.items()},
        "output": clean(evaluation.output, 16_000),
        "cpu_seconds": evaluation.cpu_seconds,
        "wall_seconds": evaluation.wall_seconds,
        "memory": evaluation.memory,
        "isolation": evaluation.isolation,
    }
