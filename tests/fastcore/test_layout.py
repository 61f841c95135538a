"""Processes started within `fixed_layout` have one layout; this process and later ones keep theirs."""

import ctypes
import subprocess
import sys

import pytest

from evolve.fastcore import layout, race
from evolve.fastcore.jail import level
from evolve.fastcore.layout import fixed_layout
from evolve.fastcore.limits import Limits
from evolve.fastcore.runner import Runner

with fixed_layout() as AGREED:
    pass
needs_layout = pytest.mark.skipif(not AGREED, reason="this kernel keeps its random layout")


def addresses(count=3):
    code = "import ctypes; print(id(None), ctypes.addressof(ctypes.c_int()))"
    return {
        subprocess.run([sys.executable, "-S", "-c", code], check=True, capture_output=True).stdout
        for _ in range(count)
    }


@needs_layout
def test_processes_are_alike_inside_and_not_outside():
    with fixed_layout():
        assert len(addresses()) == 1
    assert len(addresses()) == 3


@needs_layout
@pytest.mark.skipif(level() == "none", reason="this machine cannot confine programs")
def test_two_zygotes_put_their_programs_at_the_same_addresses():
    found = set()
    for _ in range(2):
        with (
            Runner() as runner,
            runner.start("def f():\n    return id(None), id(f)", "f", Limits()) as session,
        ):
            found.add(session.call(()))
    assert len(found) == 1


def test_where_the_kernel_refuses_processes_start_all_the_same(monkeypatch):
    class Refusing:
        class Function:
            def __call__(self, persona):
                return 0 if persona == 0xFFFFFFFF else -1

        personality = Function()

    for library in (Refusing, object):
        monkeypatch.setattr(ctypes, "CDLL", lambda name, library=library: library())
        with layout.fixed_layout() as agreed:
            assert not agreed
            assert subprocess.run([sys.executable, "-S", "-c", ""], check=False).returncode == 0


@needs_layout
def test_where_it_can_be_had_races_resolve_one_per_cent():
    assert layout.is_fixed()
    assert race.resolution() == 0.01


def test_where_it_cannot_be_had_they_say_so(monkeypatch):
    monkeypatch.setattr(race, "is_fixed", lambda: False)
    assert race.resolution() == 0.03
