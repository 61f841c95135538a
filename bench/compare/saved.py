"""Files of results: read back, and held against each other. Says what makes two of them no comparison.

Knows files and reports; the files themselves are written by pytest-benchmark, with our report inside.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evolve.bench.compare.records import Report
from evolve.errors import UsageError
from evolve.text import clean

__all__ = ["KEY", "differences", "group_of", "identity", "machine_mark", "read"]

KEY = "evolve"
"""Where our report stands in a file of pytest-benchmark."""

_MACHINE = (
    *("host", "cpu", "architecture", "cores", "usable_cores", "threads_per_core", "governor", "boost"),
    *("hypervisor", "memory", "layout", "python", "numpy", "numba"),
)
"""What makes a machine another one, as far as timings go; its load and its kernel's version do not."""


def machine_mark(machine: Mapping[str, Any]) -> str:
    """Eight characters that differ where the machine does."""
    told = repr([(name, machine.get(name)) for name in _MACHINE])
    return hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()


def identity(report: Report) -> dict[str, Any]:
    """What two reports must have in common to be compared."""
    return {
        "problem": report.problem,
        "fingerprint": report.fingerprint,
        "reference": dict(report.reference),
        "machine": {name: report.machine[name] for name in _MACHINE if name in report.machine},
    }


def group_of(known: Mapping[str, Any], case: str) -> str:
    """The group of a benchmark. Where machine, problem or reference differ it is another one, so that
    `pytest-benchmark compare` never puts two lines side by side that cannot be compared.

    Args:
        known: an `identity`.
        case: name of the case.
    """
    reference = known["reference"]
    return (
        f"{known['problem']}: {case} (beside {reference['name']} {reference['program'][3:9]}, "
        f"problem {known['fingerprint'][3:9]}, machine {machine_mark(known['machine'])})"
    )


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    """Sentences: why figures of two reports cannot be compared, from their identities."""
    if one["problem"] != other["problem"]:
        yield f"they are of two problems: {_told(one['problem'])} and {_told(other['problem'])}"
    elif one["fingerprint"] != other["fingerprint"]:
        yield f"the problem {_told(one['problem'])} (its cases, limits or libraries) has changed between them"
    first, second = one["reference"], other["reference"]
    if first["program"] != second["program"]:
        names = f"{_told(first['name'])} and {_told(second['name'])}"
        yield f"their ratios are to two references: {names}, which are other programs"
    machines = one["machine"], other["machine"]
    if machine_mark(machines[0]) != machine_mark(machines[1]):
        told = [
            f"{name} {_told(machines[0].get(name, 'unknown'))} and {_told(machines[1].get(name, 'unknown'))}"
            for name in _MACHINE
            if machines[0].get(name) != machines[1].get(name)
        ]
        yield f"they are from two machines: {'; '.join(told)}"


def _told(value: object) -> str:
    return " ".join(clean(str(value), 80).split())


def read(path: str | Path) -> Report:
    """The report in a file that `evolve bench --save` or the plugin wrote.

    Raises:
        UsageError: it cannot be read, or is no such file.
    """
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
        return Report.from_dict(told[KEY])
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            f"{path}: is no result file of `evolve bench --save`; give one that it has written"
        ) from None
