"""`evolve redteam`: planted flaws are found, the same problems without them and the shipped ones hold."""

import runpy
from pathlib import Path

import pytest

from evolve.loader import load
from evolve.redteam.attacks import fitting
from evolve.redteam.judge import RedJudge, SeedOrder

_PLANTED = runpy.run_path(str(Path(__file__).with_name("planted.py")))
PLANTED, SHOWN = _PLANTED["PLANTED"], _PLANTED["SHOWN"]
IMPORTS = "from evolve import Integer, Plain, Sequence, Text\n"
CRASHES = "a crash of the process"  # not in the process of the tests
SHIPPED = ["capset", "circle_packing", "memory_rule", "online_bin_packing"]


@pytest.fixture
def attack(problem_file):
    """attack(block, body, names) -> {name: report} of attacks made in this process."""
    judges = []

    def make(block, body, names):
        judges.append(
            RedJudge(load(str(problem_file(block=block, body=IMPORTS + body))), unsafe=False, short=False)
        )
        return {name: judges[-1].judge(name) for name in names}

    yield make
    for judge in judges:
        judge.close()


def through(reports):
    return {
        name: [hit.sentence for hit in report.hits if hit.grade == "failed"]
        for name, report in reports.items()
        if any(hit.grade == "failed" for hit in report.hits)
    }


@pytest.mark.parametrize("flaw", [name for name in PLANTED if name != CRASHES])
def test_a_planted_flaw_is_found_by_its_attack(attack, flaw):
    planted = PLANTED[flaw]
    found = through(attack(planted.block, planted.body.replace("FLAW", planted.flawed), [planted.attack]))
    assert any(planted.says in sentence for sentence in found[planted.attack]), found


@pytest.mark.parametrize("flaw", PLANTED)
def test_without_the_flaw_every_attack_is_held(attack, flaw):
    planted = PLANTED[flaw]
    body = planted.body.replace("FLAW", planted.right)
    form = "table" if 'form="table"' in body else "call"
    names = [one.name for one in fitting(form) if one.run is not None]
    reports = attack(planted.block, body, [SeedOrder(), *names])
    assert through(reports) == {}
    assert reports[planted.attack].tried > 0
