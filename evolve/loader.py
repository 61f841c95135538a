"""Finds problems: shipped ones by name, a researcher's own by path (`my.py`, `my.py:factory`).

Knows nothing of what a problem means; loading executes the file, which is trusted (its block included).
"""

import contextlib
import difflib
import importlib.util
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evolve.errors import ProblemError, UsageError
from evolve.source import BlockError, cut
from evolve.statement import Origin, Problem, ProblemFactory

__all__ = ["factory_of", "load", "loading", "reload", "shipped"]

_state = threading.local()


def loading() -> bool:
    """Whether a problem file is being executed right now in this thread."""
    return bool(getattr(_state, "depth", 0))


def shipped() -> dict[str, Path]:
    """Names and files of the shipped problems."""
    import evolve.problems

    folders = [Path(folder).resolve() for folder in evolve.problems.__path__]
    files = [
        file for folder in folders for file in sorted(folder.glob("*.py")) if not file.name.startswith("_")
    ]
    return {file.stem: file for file in files}


def load(name: str, parameters: Mapping[str, Any] | None = None) -> Problem:
    """Load a problem.

    Args:
        name: a shipped name, or a path, optionally with `:factory`.
        parameters: values for the factory; strings are turned into the type of its defaults.

    Raises:
        UsageError: no such problem (the nearest name is given) or parameter.
        ProblemError: the file is wrong.
    """
    path, _, factory = _split(name)
    return factory_of(path, factory or None)(**dict(parameters or {}))


def reload(origin: Origin) -> Problem:
    """Make again, in another process, the problem that `origin` describes."""
    return factory_of(origin.path, origin.factory)(**origin.parameters)


def _split(name: str) -> tuple[Path, str, str]:
    files = shipped()
    if name in files:
        return files[name], "", name
    head, separator, factory = name.rpartition(":")
    if not separator or "/" in factory or factory.endswith(".py"):
        head, factory = name, ""
    path = Path(head)
    if path.is_file():
        return path.resolve(), separator, factory
    if path.suffix == ".py" or "/" in head:
        raise UsageError(f"no problem file at {head}; `evolve new {Path(head).stem}.py` writes one")
    near = difflib.get_close_matches(name, files, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"shipped: {', '.join(files)}"
    raise UsageError(f"no problem called {name!r}; {hint} A problem file is given by its path.")


def factory_of(path: Path, name: str | None = None) -> ProblemFactory:
    """Execute a problem file and return its factory.

    Raises:
        ProblemError: the file cannot be read, parsed or executed, or holds no (or several) factories.
    """
    text = _text(path)
    try:
        cut(text, str(path))
    except BlockError as error:
        raise ProblemError(str(error)) from None
    module = _execute(path)
    found = {key: value for key, value in vars(module).items() if isinstance(value, ProblemFactory)}
    found = {key: value for key, value in found.items() if value.function.__module__ == module.__name__}
    if name is not None:
        if name not in found:
            raise ProblemError(f"{path}: no @problem called {name!r}; it has: {', '.join(found) or 'none'}")
        return found[name]
    if len(found) != 1:
        many = (
            f"several ({', '.join(found)}); say which by {path}:NAME"
            if found
            else "none; decorate its factory"
        )
        raise ProblemError(f"{path}: one function decorated with @problem is needed, there are {many}")
    return next(iter(found.values()))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProblemError(f"{path}: cannot be read as UTF-8 text: {error}") from None


def _execute(path: Path) -> Any:
    shipped_name = next((name for name, file in shipped().items() if file == path), None)
    _state.depth = getattr(_state, "depth", 0) + 1
    try:
        if shipped_name is not None:
            return importlib.import_module(f"evolve.problems.{shipped_name}")
        name = f"evolve_problem_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ProblemError(f"{path}: not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        folder = str(path.parent)
        if folder not in sys.path:
            sys.path.append(folder)  # a problem may import its neighbours; appended, so it shadows nothing
        with contextlib.redirect_stdout(sys.stderr):  # stdout belongs to documents
            spec.loader.exec_module(module)
        return module
    except (ProblemError, UsageError) as error:
        raise error if str(path) in str(error) else type(error)(f"{path}: {error}") from None
    except (Exception, SystemExit) as error:
        raise ProblemError(f"{path}: {_where(error, path)}{type(error).__name__}: {error}") from error
    finally:
        _state.depth -= 1


def _where(error: BaseException, path: Path) -> str:
    trace = error.__traceback__
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"line {line}: " if line else ""
