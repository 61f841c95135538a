"""Write what a run found as one HTML file that needs no network, as Markdown, or as CSV files of its tables.

Works while the run goes on, and after it was killed; changes nothing. The HTML file needs pip install
'evolve-engine[bench]'.
"""

import argparse
import os
from pathlib import Path
from typing import Any

from evolve.bench.report.write import as_document, can_draw, gather, page, plain, tables
from evolve.errors import UsageError
from evolve.terminal import err, out, print_json
from evolve.verbs.common import add_json, may_write, print_text, write_whole

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """LEDGER, and what is written where."""
    parser.add_argument("ledger", metavar="LEDGER", help="of a run")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="the HTML file; LEDGER's name with .html, here, unless only --md or --csv is asked for",
    )
    parser.add_argument("--md", metavar="FILE", help="the same as Markdown, without plots; - is stdout")
    parser.add_argument("--csv", metavar="FOLDER", help="every table as a CSV file, in a folder that is made")
    parser.add_argument("--force", action="store_true", help="write over files that exist")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Gather the facts, then write."""
    ledger = Path(args.ledger)
    wanted = args.output or not (args.md or args.csv)
    html = Path(args.output or f"{ledger.stem}.html") if wanted else None
    printed = _printed(args)
    markdown = Path(args.md) if args.md and not printed else None
    _apart([path for path in (html, markdown, ledger) if path is not None])
    for path in (html, markdown):
        if path is not None:
            may_write(path, args.force)
    folder = Path(args.csv) if args.csv else None
    if folder is not None and os.path.lexists(folder) and not folder.is_dir():  # a link to nowhere, too
        raise UsageError(f"--csv {folder}: no folder; give the name of one")
    if html is not None:
        can_draw()
    facts = gather(ledger)
    files: dict[Path, str] = {}
    if html is not None:
        files[html] = page(facts)
    if markdown is not None:
        files[markdown] = plain(facts)
    if folder is not None:
        files |= _into(folder, tables(facts, folder), args.force)
    for path, text in files.items():
        write_whole(path, text)
    if printed:
        print_text(plain(facts))
    _done(args, as_document(facts), files)
    return 0


def _printed(args: argparse.Namespace) -> bool:
    """Whether Markdown goes to stdout."""
    if args.output == "-":
        raise UsageError("-o -: HTML goes into a file; give its name, or say --md - for Markdown on stdout")
    if args.md == "-" and args.json:
        raise UsageError("--md - and --json both write to stdout; leave one out")
    return bool(args.md == "-")


def _apart(paths: list[Path]) -> None:
    """Make sure that no two names mean one file: with --force the ledger itself would be written over."""
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("LEDGER, -o and --md name one file; give each a name of its own")


def _into(folder: Path, texts: dict[Path, str], force: bool) -> dict[Path, str]:
    if not folder.parent.is_dir():
        raise UsageError(f"{folder}: there is no folder {folder.parent}; make it")
    folder.mkdir(exist_ok=True)
    for path in texts:
        may_write(path, force)
    return texts


def _done(args: argparse.Namespace, document: dict[str, Any], files: dict[Path, str]) -> None:
    if args.json:
        written = {str(path): len(text.encode()) for path, text in files.items()}
        print_json({**document, "files": written})
        return
    console = err() if args.md == "-" else out()
    for path, text in files.items():
        console.print(f"wrote {path} ({len(text.encode()) / 1000:.0f} kB)", soft_wrap=True)
