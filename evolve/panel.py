"""Shows a run while it goes on: a live panel on a terminal, plain lines elsewhere, or JSON lines of events.

Knows a `Watch` and streams; a thread of its own looks a few times a second, so the engine is never held up.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, Literal

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from evolve.terminal import err, is_ascii, number, plot
from evolve.text import clean
from evolve.watch import Improvement, Watch

__all__ = ["Mode", "emit", "showing"]

Mode = Literal["panel", "lines", "events", "quiet"]

_LOOKS_A_SECOND = 4
_EVERY = 10.0  # seconds between two lines of progress


def emit(event: str, **about: Any) -> None:
    """One event as a line of JSON on stdout."""
    _write(sys.stdout, json.dumps({"event": event, **about}))


def _write(stream: IO[str], line: str) -> None:
    """Write a line; if the reader has gone, interrupt the run, once and cleanly: only the ledger counts."""
    try:
        stream.write(line + "\n")
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        os.kill(os.getpid(), signal.SIGINT)


@contextmanager
def showing(watch: Watch, mode: Mode, title: str, begin: Callable[[], None]) -> Iterator[None]:
    """Show `watch` as long as the body runs.

    Args:
        watch: takes the commits.
        mode: how; "panel" needs a terminal.
        title: of the panel; trusted text.
        begin: called once, when the first commit has come (modes "lines" and "events").
    """
    if mode == "quiet":
        yield
        watch.digest()
        return
    if mode == "panel":
        console = err()
        view = _View(watch, title, console)
        with Live(get_renderable=view, console=console, refresh_per_second=_LOOKS_A_SECOND, transient=True):
            yield
        watch.digest()
        return
    done = threading.Event()
    thread = threading.Thread(target=_tell, args=(watch, mode, begin, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _tell(watch: Watch, mode: Mode, begin: Callable[[], None], done: threading.Event) -> None:
    told, begun, noticed = watch.elapsed, False, 0
    while True:
        last = done.wait(1 / _LOOKS_A_SECOND)
        fresh = watch.digest()
        if watch.commits and not begun:
            begin()
            begun = True
        for improvement in fresh:
            _improved(watch, improvement, mode)
        for elapsed, words in watch.notices[noticed:]:
            _noticed(elapsed, words, mode)
        noticed = len(watch.notices)
        if watch.elapsed - told >= _EVERY:
            told = watch.elapsed
            _progress(watch, mode)
        if last:
            return


def _improved(watch: Watch, improvement: Improvement, mode: Mode) -> None:
    objective = watch.objective
    if mode == "events":
        emit(
            "improved",
            value=improvement.objective,
            proposal=improvement.number,
            evaluations=improvement.evaluations,
            seconds=round(improvement.elapsed, 3),
            program=improvement.program,
            operator=improvement.how,
        )
    else:
        value = f"{objective.name} {number(improvement.objective)} {objective.unit}".rstrip()
        _write(
            sys.stderr,
            f"{improvement.elapsed:7.1f} s  {value}  proposal {improvement.number}, {improvement.how}",
        )


def _noticed(elapsed: float, words: str, mode: Mode) -> None:
    if mode == "events":
        emit("notice", seconds=round(elapsed, 3), words=clean(words, 1_000))
    elif mode != "quiet":
        _write(sys.stderr, f"{elapsed:7.1f} s  {clean(words, 1_000)}")


def tell_asking(state: Mapping[str, float]) -> str:
    """How many questions are out, and what they have cost."""
    told = f"{state['in_flight']:.0f} of {state['window']:.0f} answers out, {state['tokens']:.0f} tokens"
    return told + (f", {state['money']:.4f} of money" if state["money"] else "")


def _progress(watch: Watch, mode: Mode) -> None:
    if mode == "events":
        emit(
            "progress",
            seconds=round(watch.elapsed, 3),
            proposals=watch.proposals,
            evaluations=watch.evaluations,
            rate=round(watch.rate, 1),
            cells=len(watch.reached),
            statuses=dict(watch.statuses),
            best=watch.improvements[-1].objective if watch.improvements else None,
            **({"asking": dict(watch.asking())} if watch.asking is not None else {}),
        )
    else:
        failed = ", ".join(f"{count} {kind}" for kind, count in watch.failures) or "none"
        asking = "" if watch.asking is None else tell_asking(watch.asking()) + "; "
        _write(
            sys.stderr,
            f"{watch.elapsed:7.1f} s  {watch.proposals} proposals, {watch.evaluations} evaluations "
            f"({watch.rate:.0f}/s), {len(watch.reached)} cells, failed: {failed}; {asking}left: {watch.left[1]}",
        )


class _View:
    """Draws the panel, whenever rich asks for it."""

    def __init__(self, watch: Watch, title: str, console: Console) -> None:
        self.watch = watch
        self.title = title
        self.console = console

    def __call__(self) -> RenderableType:
        self.watch.digest()
        plain = is_ascii(self.console)
        width = max(10, self.console.width - 4)
        lines = [
            self._best(),
            *self._curve(width, plain),
            *self._counts(),
            self._islands(),
            self._asking(),
            self._failures(),
            self._left(width, plain),
        ]
        body = [
            Text(text, style=style, no_wrap=style == "green", overflow="fold")  # curves are not wrapped
            for text, style in lines
            if text
        ]
        return Panel(Group(*body), title=Text(self.title), title_align="left", border_style="dim")

    def _best(self) -> tuple[str, str]:
        watch, objective = self.watch, self.watch.objective
        if not watch.improvements:
            return "starting ...", "dim"
        first, last = watch.improvements[0], watch.improvements[-1]
        value = f"{objective.name} {number(last.objective)} {objective.unit}".rstrip()
        return f"{value}  (from {number(first.objective)}; proposal {last.number})", "bold green"

    def _curve(self, width: int, plain: bool) -> list[tuple[str, str]]:
        watch = self.watch
        points = [(float(step.number), step.objective) for step in watch.improvements]
        return [(line, "green") for line in plot(points, float(watch.proposals), width, 3, plain)]

    def _counts(self) -> list[tuple[str, str]]:
        watch = self.watch
        return [
            (f"{watch.rate:.0f} evaluations/s, {watch.evaluations} in all", ""),
            (f"{watch.proposals} proposals, {len(watch.reached)} of {watch.cells} cells reached", ""),
        ]

    def _islands(self) -> tuple[str, str]:
        bests = self.watch.island_bests
        return "islands  " + "  ".join(
            number(bests[island]) for island in sorted(bests)
        ) if bests else "", "dim"

    def _asking(self) -> tuple[str, str]:
        """The traffic with models, and the last that was noticed of them."""
        if self.watch.asking is None:
            return "", ""
        last = self.watch.notices[-1][1] if self.watch.notices else ""
        told = f"models   {tell_asking(self.watch.asking())}"
        return (f"{told}\n         {clean(last, 300)}", "yellow") if last else (told, "")

    def _failures(self) -> tuple[str, str]:
        found = ", ".join(f"{count} {kind}" for kind, count in self.watch.failures)
        return f"failed   {found}" if found else "", "yellow"

    def _left(self, width: int, plain: bool) -> tuple[str, str]:
        share, words = self.watch.left
        room = max(4, min(30, width - len(words) - 8))
        full = round(share * room)
        done, rest = ("#", ".") if plain else ("━", "─")
        return f"{done * full}{rest * (room - full)} {words} left", "cyan"
