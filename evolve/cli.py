"""The command line: finds the verb that is asked for, loads only that one, and says how it ended.

Knows names of verbs, exit codes and broken pipes; what a verb does, and its options, is in `evolve.verbs`.
"""

import argparse
import codecs
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from types import ModuleType
from typing import IO, NoReturn, Protocol, cast

import evolve

__all__ = ["VERBS", "main"]

VERBS = {
    "problems": "list the shipped problems, or show one",
    "new": "write a commented problem file to start from",
    "check": "try a problem before searching: seed, baselines, limits, speed",
    "redteam": "attack a problem's own score, and say what gets through",
    "eval": "score one hand-written program",
    "run": "search for better programs",
    "resume": "go on with a run",
    "lessons": "show what models have learnt in a run, or replace it",
    "rescore": "evaluate a run's programs again after its problem has changed",
    "verify": "check a program of a run again, by other means, and rule on it",
    "bench": "compare programs of a run with baselines, in interleaved pairs",
    "show": "tell what a run found, also while it goes on",
    "report": "write what a run found as one HTML file, Markdown or CSV",
    "export": "write a run's best program as a file that needs no evolve",
    "study": "run an experiment over problems, strategies and seeds, and say what it showed",
    "serve": "serve a model with vLLM, watched, for `evolve run --llm auto`",
    "doctor": "say what this machine offers, and what is missing",
}

_EXITS = """\
exit codes: 0 done; 1 nothing valid found, or a check failed; 2 usage;
3 infrastructure (workers, disk, model); 130 interrupted (the ledger is
consistent and can be resumed)"""


class _Verb(Protocol):
    """What a module of `evolve.verbs` holds."""

    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


class _Parser(argparse.ArgumentParser):
    """argparse, but an error is said in our one form."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and leave with exit code 2."""
        sys.stderr.write(f"evolve: error: {message}\n  {self.prog} --help says what it takes\n")
        raise SystemExit(2)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: its words, without the program's name; those of this process by default.

    Returns:
        The exit code.
    """
    _prepare(sys.stdout)
    _prepare(sys.stderr)
    try:
        code = _command(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except SystemExit as leaving:  # argparse: 0 after --help, 2 after an error
        return leaving.code if isinstance(leaving.code, int) else 2
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):
            sys.stderr.write("evolve: interrupted\n")
        return 130
    except BrokenPipeError:
        _let_go()
        return 0
    return code


def _prepare(stream: IO[str]) -> None:
    """Make writing any character safe, and keep to ASCII where the locale says that there is no more."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is None:
        return  # a test's StringIO
    values = map(os.environ.get, ("LC_ALL", "LC_CTYPE", "LANG"))
    locale = next((value for value in values if value), "")
    reconfigure(errors="backslashreplace")
    if locale in ("C", "POSIX") and "PYTHONIOENCODING" not in os.environ:
        # Python itself writes UTF-8 there (PEP 538, PEP 540), which such a terminal shows as garbage.
        codecs.register_error("evolve", _in_ascii)
        reconfigure(encoding="ascii", errors="evolve")


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Escapes, but for the mark of a cut, which takes one column in tables."""
    assert isinstance(error, UnicodeEncodeError)
    lost = error.object[error.start : error.end]
    return "".join(
        "~" if mark == "…" else mark.encode("ascii", "backslashreplace").decode() for mark in lost
    ), error.end


def _let_go() -> None:
    """The reader has gone (`evolve show x.db | head`): nothing more is written, not even at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _command(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(_help())
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        sys.stdout.write(f"evolve {evolve.__version__}\n")
        return 0
    verb = words[0]
    if verb not in VERBS:
        return _unknown(verb)
    with _unseen("pandas"):
        module = cast("_Verb", import_module(f"evolve.verbs.{verb}"))
    parser = _Parser(
        prog=f"evolve {verb}",
        description=_filled(module.__doc__ or ""),
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    own, extra = words[1:], []
    if "--" in own and getattr(module, "PASSES_ON", False):  # argparse would want them right behind the model
        at = own.index("--")
        own, extra = own[:at], own[at + 1 :]
    args = parser.parse_args(own)
    args.extra = extra
    from evolve.verbs.mishaps import guarded

    return guarded(lambda: module.run(args))


@contextlib.contextmanager
def _unseen(name: str) -> Iterator[None]:
    """What could do without a module does: sqlite-utils imports pandas, 0.5 s of CPU, for a type we never store."""
    before = sys.modules.get(name)
    sys.modules.setdefault(name, cast("ModuleType", None))
    try:
        yield
    finally:
        if before is None:
            del sys.modules[name]


def _filled(text: str) -> str:
    """Paragraphs as wide as the terminal, but no wider than one reads."""
    import shutil
    import textwrap

    width = max(20, min(100, shutil.get_terminal_size().columns - 2))
    return "\n\n".join(
        textwrap.fill(part, width, break_on_hyphens=False) for part in text.strip().split("\n\n")
    )


def _help() -> str:
    width = max(map(len, VERBS)) + 2
    verbs = "".join(f"  {verb:<{width}}{what}\n" for verb, what in VERBS.items())
    return (
        "usage: evolve VERB ... [--json]\n\n"
        "Discovers algorithms: a problem file goes in, a better algorithm comes out,\nwith the record of how.\n\n"
        f"verbs:\n{verbs}\n"
        "start with:\n"
        "  evolve new my.py\n"
        "  evolve check my.py\n"
        "  evolve run my.py --budget 10s      and with a model --llm auto, or --llm URL\n\n"
        "`evolve VERB --help` says what a verb takes; `evolve --version` which evolve\nthis is.\n\n"
        f"{_EXITS}\n"
    )


def _unknown(verb: str) -> int:
    import difflib

    near = difflib.get_close_matches(verb, VERBS, n=1, cutoff=0.5)
    hint = f"did you mean `evolve {near[0]}`?" if near else f"there are: {', '.join(VERBS)}"
    sys.stderr.write(f"evolve: error: no verb {verb!r}; {hint}\n")
    return 2
