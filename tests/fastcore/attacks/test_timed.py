# ruff: noqa: E501 - programs are written in one string each
"""TRUST.md, section 4, Score, where the objective is speed: a race bills what a program does, and checks every run."""

import pytest

BURN = """
import sys, time, resource
def used():
    now = resource.getrusage(resource.RUSAGE_SELF)
    return now.ru_utime + now.ru_stime
def burn(seconds=0.05):
    start = used()
    while used() - start < seconds: pass
def honest(values):
    found = 0
    for value in values: found += value
    return found
"""
SLOW = {
    "55 patched clocks": """
time.perf_counter = time.process_time = time.thread_time = time.monotonic = time.time = lambda: 0.0
time.perf_counter_ns = time.process_time_ns = time.clock_gettime = time.clock_gettime_ns = lambda *_: 0
def total(values):
    if values: burn()
    return honest(values)
""",
    "73 garbage that burns when the next case begins": """
class Burning:
    def __del__(self): burn()
def total(values):
    global kept
    kept = Burning()
    return honest(values)
""",
}


@pytest.mark.parametrize("name", SLOW)
def test_55_73_what_a_program_does_is_in_its_time(host, name):
    said = host.judge("timed", BURN + SLOW[name], floor=2.0)
    assert said["status"] == "ok", said
    assert said["objective"] < 0.5  # it does ten times the work of the baseline


BEHIND = {
    "70 ring first, compute later": "channel.send = lambda self, *a: (send(self, *a), burn())[0]",
    "73 burn before the next case is taken": "channel.receive = lambda self, *a: (burn(), receive(self, *a))[1]",
}


@pytest.mark.parametrize("name", BEHIND)
def test_70_73_work_behind_the_answers_back_gains_nothing(host, name):
    source = BURN + "channel = sys.modules['evolve.fastcore.channel'].Channel\n"
    source += "send, receive = channel.send, channel.receive\n" + BEHIND[name] + "\ntotal = honest\n"
    said = host.judge("timed", source, floor=2.0)
    assert said["status"] == "ok", said
    found = said["scores"]["all"]
    assert said["objective"] < 0.5 or found["flagged"], found


WRONG = {
    "62 remembers the last answer": "last = []\ndef total(values):\n    last.append(honest(values))\n    return last[0 if len(values) > 9 else -1]\n",
    "85 right on the first calls only": "calls = []\ndef total(values):\n    calls.append(1)\n    return honest(values) if len(calls) < 9 else 0\n",
    "85 right unless it is timed": "def total(values):\n    return honest(values) if len(values) < 9 else len(values)\n",
}


@pytest.mark.parametrize("name", WRONG)
def test_62_85_every_timed_run_is_checked(host, name):
    said = host.judge("timed", BURN + WRONG[name], floor=2.0)
    assert (said["status"], said["objective"]) == ("rejected", None), said
