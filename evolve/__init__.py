"""Discovers algorithms: a problem file goes in, a better algorithm comes out, with the record of how.

The public face is loaded on first use, so that `import evolve` and `evolve --help` stay quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evolve.certificate import Certificate as Certificate
    from evolve.certificate import certified as certified
    from evolve.config import Config as Config
    from evolve.errors import EvolveError as EvolveError
    from evolve.errors import ProblemError as ProblemError
    from evolve.fastcore.limits import Limits as Limits
    from evolve.loader import load as load
    from evolve.programs_db.records import Measure as Measure
    from evolve.programs_db.records import Objective as Objective
    from evolve.runs import Run as Run
    from evolve.runs import open_run as open_run
    from evolve.runs import resume as resume
    from evolve.runs import run as run
    from evolve.spec import Array as Array
    from evolve.spec import Integer as Integer
    from evolve.spec import Plain as Plain
    from evolve.spec import Real as Real
    from evolve.spec import Sequence as Sequence
    from evolve.spec import Text as Text
    from evolve.speed import Speed as Speed
    from evolve.statement import Case as Case
    from evolve.statement import Grid as Grid
    from evolve.statement import Problem as Problem
    from evolve.statement import Reference as Reference
    from evolve.statement import Rejected as Rejected
    from evolve.statement import Stage as Stage
    from evolve.statement import problem as problem
    from evolve.vocabulary import Primitive as Primitive

__version__ = "0.1.0"

_HOMES = {
    "Array": "evolve.spec",
    "Case": "evolve.statement",
    "Certificate": "evolve.certificate",
    "Config": "evolve.config",
    "EvolveError": "evolve.errors",
    "Grid": "evolve.statement",
    "Integer": "evolve.spec",
    "Limits": "evolve.fastcore.limits",
    "Measure": "evolve.programs_db.records",
    "Objective": "evolve.programs_db.records",
    "Plain": "evolve.spec",
    "Primitive": "evolve.vocabulary",
    "Problem": "evolve.statement",
    "ProblemError": "evolve.errors",
    "Real": "evolve.spec",
    "Reference": "evolve.statement",
    "Rejected": "evolve.statement",
    "Run": "evolve.runs",
    "Sequence": "evolve.spec",
    "Speed": "evolve.speed",
    "Stage": "evolve.statement",
    "Text": "evolve.spec",
    "certified": "evolve.certificate",
    "load": "evolve.loader",
    "open_run": "evolve.runs",
    "problem": "evolve.statement",
    "resume": "evolve.runs",
    "run": "evolve.runs",
}

__all__ = sorted([*_HOMES, "__version__"])  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'evolve' has no attribute {name!r}") from None
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
