"""Every attack of TRUST.md, section 4, is here by its number, and is tried in every context."""

import importlib
import inspect
import re
from pathlib import Path

from . import hosts


def chapters():
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if path.stem != "test_all_ninety":
            yield importlib.import_module(f"{__package__}.{path.stem}")


def numbers_of(chapter):
    """Numbers of its tables, and of its tests, `test_<number>_<number>_<name>`."""
    found = {attack.number for attack in getattr(chapter, "ATTACKS", [])}
    found |= {cheat.number for cheat in getattr(chapter, "CHEATS", [])}
    for name in vars(chapter):
        found |= {int(number) for number in re.findall(r"\d+", re.match(r"(test_)?((\d+_)*)", name)[2])}
    return found


def test_each_number_is_tried():
    covered = set().union(*map(numbers_of, chapters()))
    assert covered == set(range(1, 91))


def test_each_is_tried_in_every_context():
    for chapter in chapters():
        for name, function in inspect.getmembers(chapter, inspect.isfunction):
            if name.startswith("test_"):
                assert "host" in inspect.signature(function).parameters, f"{chapter.__name__}.{name}"
    assert list(hosts.CONTEXTS) == ["root", "user", "docker", "abi1", "ctypes"]
