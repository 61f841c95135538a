"""Write a commented problem file to start from; it passes `evolve check`, and a short search improves it."""

import argparse
import shlex
from pathlib import Path

from evolve.errors import UsageError
from evolve.template import FORMS, factory_name, template
from evolve.terminal import out, print_json
from evolve.verbs.common import add_json

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """FILE, `--form` and `--json`."""
    parser.add_argument("file", metavar="FILE.py", help="to be written; must not exist")
    parser.add_argument(
        "--form",
        choices=list(FORMS),
        default="call",
        help="call: it answers each case; table: it fills a table once; step: it decides step by step; "
        "speed: it answers each case, and is raced against a baseline",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Write the file, and say what comes next."""
    path = Path(args.file)
    if path.suffix != ".py":
        raise UsageError(f"{path}: a problem file ends in .py; say {path.with_suffix('.py')}")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}; make it")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(template(args.form, factory_name(path)))
    except FileExistsError:
        raise UsageError(f"{path}: the file exists, and is left as it is; choose another name") from None
    name = shlex.quote(str(path))
    ways_on = [f"evolve check {name}", f"evolve run {name} --budget 10s", f"evolve problems {name}"]
    if args.json:
        print_json({"file": str(path), "form": args.form, "next": ways_on})
    else:
        console = out()
        kind = "form call, for speed" if args.form == "speed" else f"form {args.form}"
        console.print(f"wrote {path}, a problem of {kind}; next:", soft_wrap=True)
        for command in ways_on:
            console.print(f"  {command}", soft_wrap=True)
    return 0
