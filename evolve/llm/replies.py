"""What a model wrote, taken apart: thinking cut off, line ends made plain, code found among prose and fences.

Knows how models write. Knows neither hunks nor what a block must hold. Every step is linear in the reply.
"""

import html
import re
from dataclasses import dataclass

from evolve.text import clean

__all__ = ["MAX_REPLY", "EditError", "Piece", "mend", "pieces", "quote", "tidy"]

MAX_REPLY = 400_000
"""Characters of a reply that are read; a longer one is refused as a whole."""

_TAG = "(?:think|thinking|thought|reasoning|scratchpad|analysis)"
_OPENS = re.compile(rf"^[ \t]*<{_TAG}>", re.IGNORECASE | re.MULTILINE)
_CLOSES = re.compile(rf"</{_TAG}>", re.IGNORECASE)
_STOPS = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end|>", "</s>", "<eos>", "<end_of_turn>")
_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([^`\n]{0,80})$")
_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|apos|#0?39|#x27|#34|#60|#62|nbsp);", re.IGNORECASE)
_INVISIBLE = re.compile("[\u200b-\u200d\u2060\ufeff]")
_LEADING = re.compile(r"^[ ]*\t[ \t]*", re.MULTILINE)
_RUN = re.compile(r"([<>=`~#])\1{2,}")


class EditError(Exception):
    """A reply that makes no program.

    Args:
        name: stable identifier, for statistics. Of the reply: too_long, empty, truncated, no_block, wrong_format,
            malformed, elided, no_choice. Of where it is to go: not_found, ambiguous, indentation, empty_search,
            unknown_site, outside_grammar, no_site. Of the result: markers, syntax, too_large, entry_missing,
            entry_changed, unchanged.
        message: one sentence for the next prompt; kept without control characters and on one line.
    """

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        self.message = clean(" ".join(message.split()), 600)
        super().__init__(f"{name}: {self.message}")


def quote(line: str, limit: int = 80) -> str:
    """A line of somebody's text, to be put into a sentence: neither a fence nor a hunk's marker survives."""
    short = clean(" ".join(line[: 4 * limit].split()), limit)
    plain = _RUN.sub(r"\1\1", short).replace("`", "'")
    return f"'{plain}'"


def tidy(reply: str) -> str:
    """The answer in a reply: without thinking and stop tokens, every line end a newline.

    Raises:
        EditError: "too_long", "truncated" (the thinking never ended) or "empty".
    """
    if len(reply) > MAX_REPLY:
        raise EditError(
            "too_long", f"The reply has {len(reply)} characters; at most {MAX_REPLY} are read, so be brief."
        )
    text = reply.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    text = _without_thinking(text).rstrip()
    for _ in range(4):  # templates write one or two
        text = text[: text.rindex("<")].rstrip() if text.endswith(_STOPS) else text
    if not text.strip():
        raise EditError("empty", "The reply holds no answer; write the code, and little else.")
    return text + "\n"


def _without_thinking(text: str) -> str:
    at = 0
    closed = _CLOSES.search(text)
    opened = _OPENS.search(text)
    if closed and not (opened and opened.start() < closed.start()) and _ends_line(text, closed.end()):
        at = closed.end()  # the chat template wrote the opening tag itself
    kept: list[str] = []
    while opened := _OPENS.search(text, at):
        kept.append(text[at : opened.start()])
        closed = _CLOSES.search(text, opened.end())
        if closed is None:
            if not "".join(kept).strip():
                raise EditError("truncated", "The reply ended while still thinking; think less, then answer.")
            return "".join(kept)
        at = closed.end()
    return "".join(kept) + text[at:]


def _ends_line(text: str, at: int) -> bool:
    end = text.find("\n", at)
    return not text[at : len(text) if end < 0 else end].strip()


def mend(text: str) -> str:
    """`text` with entities read, no-break spaces and leading tabs made spaces, and invisible characters gone.

    For a second try, where the text as it stands makes no program: any of these may be meant in a string.
    """
    text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    text = _INVISIBLE.sub("", text.replace("\u00a0", " "))
    return _LEADING.sub(lambda found: found[0].expandtabs(4), text)


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines between two fences.

    Args:
        text: without the fences.
        closed: whether there was a closing fence.
    """

    text: str
    closed: bool


@dataclass(slots=True)
class _Fences:
    """Fences met so far, by line; `starts` are those that may open what the next bare fence closes."""

    starts: list[int]
    fence: str = ""


def pieces(text: str) -> list[Piece]:
    """What stands in fences, in order; where fences are nested, every reading of them.

    A fence with a language inside an open one opens another piece, which the same bare fence ends. First comes
    what lies between the outermost fences, if there are more than two: a docstring may hold fences of its own.
    """
    lines = text.split("\n")
    found: list[Piece] = []
    first = last = -1
    count = 0
    now = _Fences([])
    for i, line in enumerate(lines):
        mark = _FENCE.match(line) if len(line) <= 200 else None
        if mark is None:
            continue
        count += 1
        first = i if first < 0 else first
        fence, info = mark[1], mark[2].strip()
        last = last if info else i
        if not now.starts:
            now = _Fences([i], fence)
        elif fence[0] != now.fence[0] or len(fence) < len(now.fence):
            continue
        elif info:
            now.starts = [now.starts[0], i]
        else:
            found += [Piece("\n".join(lines[start + 1 : i]) + "\n", True) for start in now.starts]
            now = _Fences([])
    found += [Piece("\n".join(lines[start + 1 :]), False) for start in now.starts]
    if count > 2 and last > first:
        found.insert(0, Piece("\n".join(lines[first + 1 : last]) + "\n", True))
    return [piece for piece in found if piece.text.strip()]
