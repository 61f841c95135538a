"""What a human sees of models while a run goes on."""

import io

from rich.console import Console

from evolve.budget import Budget
from evolve.llm.pool import Notice
from evolve.panel import _View, tell_asking
from evolve.programs_db.records import Objective
from evolve.watch import Watch

STATE = {"in_flight": 7, "window": 32.0, "waiting": 2, "requests": 10, "tokens": 1500, "money": 0.25}


def watch_of(**limits):
    watch = Watch(Objective("e", "min"), (), 1, Budget(**limits))
    watch.on_asking(lambda: STATE)
    return watch


def test_what_is_left_counts_what_models_have_cost():
    share, words = watch_of(tokens=2000, money=1.0, requests=40).left
    assert share == 0.75
    assert words == "30 requests or 500 tokens or 0.75 money"


def test_notices_that_matter_are_shown_and_no_others():
    watch = watch_of(seconds=10.0)
    for kind in ("retry", "busy", "up", "suspect", "outage", "refused"):
        watch.on_notice(Notice(kind, "http://a/v1" if kind == "refused" else "", f"of {kind}"))
    assert watch.digest() == []
    assert [words for _, words in watch.notices] == ["of outage", "http://a/v1: of refused"]


def test_the_panel_shows_the_traffic_and_the_last_notice_made_safe():
    watch = watch_of(seconds=10.0)
    watch.on_notice(Notice("outage", "", "no endpoint \x1b[31manswers"))
    console = Console(file=io.StringIO(), width=70, force_terminal=False)
    console.print(_View(watch, "title", console)())
    shown = console.file.getvalue()
    assert "7 of 32 answers out, 1500 tokens, 0.2500 of money" in shown
    assert "no endpoint" in shown
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 70


def test_money_is_told_where_there_are_prices():
    assert tell_asking({**STATE, "money": 0.0}) == "7 of 32 answers out, 1500 tokens"
