"""SEARCH/REPLACE hunks: read from a reply, and put into a block where each one fits exactly once.

Knows lines. Whether the result is a program is `edits`' affair. What does not fit is located and reported, never
guessed. A block has at most 64 kB; positions come from substring searches, so no step is quadratic in a reply.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from evolve.llm.replies import EditError, quote

__all__ = ["Hunk", "apply_hunks", "elided", "is_hunk", "read_hunks"]

_SEARCH = re.compile(r"^[ \t]*<{4,}[ \t]*(?:SEARCH|ORIGINAL|OLD|HEAD|BEFORE)\b", re.IGNORECASE)
_DIVIDE = re.compile(r"^[ \t]*={5,}[ \t]*$")
_REPLACE = re.compile(
    r"^[ \t]*>{4,}[ \t]*(?:REPLACE|UPDATED|NEW|AFTER)\b|^[ \t]*>{5,}[ \t]*(?:SEARCH)?[ \t]*$", re.IGNORECASE
)
_FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[ \t]*(\w*)[ \t]*$")
_MARK = re.compile(r"^[ \t]*#[ \t]*EVOLVE-BLOCK-(?:START|END)\b")
_ELIDED = re.compile(
    r"^[ \t]*(?:#|//)?[ \t]*(?:\.\.\.|\u2026)[ \t]*(?:$|.*\b(?:existing|unchanged|rest|remaining|same|previous|"
    r"omitted|before|other code)\b)|^[ \t]*#[ \t]*(?:the )?(?:rest of|existing|remaining)\b.*"
    r"\b(?:code|function|unchanged|same|here|implementation)\b",
    re.IGNORECASE,
)
_LONGEST_MARK = (
    200  # characters of a line that says something to us; also keeps the patterns' backtracking short
)

_MOST_HUNKS = 64
_MOST_PLACES = 20  # that an ambiguous hunk is said to fit
_LONGEST_LINE = 100  # characters of a line that are compared when the closest match is sought


@dataclass(frozen=True, slots=True)
class Hunk:
    """What to look for and what to put there.

    Args:
        number: from 1, in the order of the reply.
        readings: pairs of SEARCH lines and REPLACE lines; several where the divider is not the only such line.
    """

    number: int
    readings: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


def _is(pattern: re.Pattern[str], line: str) -> re.Match[str] | None:
    return pattern.match(line) if len(line) <= _LONGEST_MARK else None


def elided(line: str) -> bool:
    """Whether a line stands for others, like `# ... existing code ...`; a bare `...` does, and is Python, too."""
    return _is(_ELIDED, line) is not None


def is_hunk(text: str) -> bool:
    """Whether some line opens a hunk."""
    return any(_is(_SEARCH, line) for line in text.split("\n"))


# -- reading


def read_hunks(text: str) -> list[Hunk]:
    """The hunks of a reply, in order; fences and prose around them do not matter.

    Raises:
        EditError: "no_block" without any; "malformed" or "truncated" where one is not whole.
    """
    lines = text.split("\n")
    found: list[Hunk] = []
    i = 0
    while i < len(lines):
        if not _is(_SEARCH, lines[i]):
            i += 1
            continue
        while i + 1 < len(lines) and _is(_SEARCH, lines[i + 1]):
            i += 1  # the marker is said twice
        end = _end(lines, i + 1, len(found) + 1)
        found.append(_hunk(lines[i + 1 : end], len(found) + 1))
        if len(found) > _MOST_HUNKS:
            raise EditError("malformed", f"The reply has more than {_MOST_HUNKS} hunks; make fewer changes.")
        i = end
    if not found:
        raise EditError(
            "no_block", "The reply holds no hunk that begins with a line of '<' signs and SEARCH."
        )
    return found


def _end(lines: Sequence[str], start: int, number: int) -> int:
    """Index of the line that ends the hunk: its closing marker, or for want of it the fence that ends the code."""
    divided, closing = False, -1
    for i in range(start, len(lines)):
        if _is(_REPLACE, lines[i]):
            return i
        if _is(_SEARCH, lines[i]):
            break
        if _is(_DIVIDE, lines[i]):
            divided, closing = True, -1
        elif divided and closing < 0 and not _is(_DIVIDE, lines[i - 1]):
            fence = _is(_FENCE, lines[i])
            closing = i if fence and not fence[1] else -1
    else:
        if closing < 0:
            raise EditError(
                "truncated",
                f"The reply ended inside hunk {number}; each hunk needs its closing REPLACE line.",
            )
    if closing < 0:
        raise EditError(
            "malformed",
            f"Hunk {number} has no closing line of '>' signs and REPLACE before the next one begins.",
        )
    return closing


def _hunk(lines: Sequence[str], number: int) -> Hunk:
    every = {i for i, line in enumerate(lines) if _is(_DIVIDE, line)}
    dividers = sorted(i for i in every if i - 1 not in every)  # said twice is said once
    if not dividers:
        raise EditError(
            "malformed",
            f"Hunk {number} has no line of '=' signs between what to look for and what to put there.",
        )
    made = []
    for i in dividers[:8]:
        after = i + 1
        while after < len(lines) and _is(_DIVIDE, lines[after]):
            after += 1
        made.append(_unmarked(_bare(lines[:i]), _bare(lines[after:]), number))
    return Hunk(number, tuple(made))


def _bare(lines: Sequence[str]) -> tuple[str, ...]:
    """Lines without a fence around them."""
    filled = [i for i, line in enumerate(lines) if line.strip()]
    if filled and _is(_FENCE, lines[filled[0]]):
        closed = len(filled) > 1 and _is(_FENCE, lines[filled[-1]])
        return tuple(lines[filled[0] + 1 : filled[-1] if closed else len(lines)])
    if filled and _is(_FENCE, lines[filled[-1]]) and sum(bool(_is(_FENCE, line)) for line in lines) == 1:
        return tuple(lines[: filled[-1]])
    return tuple(lines)


def _unmarked(
    search: tuple[str, ...], replacement: tuple[str, ...], number: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Both sides without the block's own markers, which a hunk may quote but not change."""
    sides = [[line.strip() for line in side if _is(_MARK, line)] for side in (search, replacement)]
    if not sides[0] and not sides[1]:
        return search, replacement
    if sides[0] == sides[1] and len(sides[0]) <= 2 and all(map(_outermost, (search, replacement))):
        return tuple(line for line in search if not _is(_MARK, line)), tuple(
            line for line in replacement if not _is(_MARK, line)
        )
    raise EditError(
        "markers",
        f"Hunk {number} touches the EVOLVE-BLOCK markers; they and all outside of them stay as they are.",
    )


def _outermost(lines: Sequence[str]) -> bool:
    """Whether markers stand only first and last."""
    filled = [line for line in lines if line.strip()]
    return not any(_is(_MARK, line) for line in filled[1:-1])


# -- applying


@dataclass(frozen=True, slots=True)
class _Place:
    """Lines of the text that a hunk fits: from `first` to before `end`, and how its indentation is to be read."""

    first: int
    end: int
    indents: dict[int, int] | None = None


def apply_hunks(hunks: Sequence[Hunk], block: str) -> str:
    """The block after all hunks, in their order.

    A hunk is looked for in what those before it made; where it fits several places, and only one of them is
    older than this reply, it is meant there.

    Raises:
        EditError: "not_found", "ambiguous", "indentation", "elided", "empty_search" or "malformed".
    """
    lines = block.split("\n")
    fresh = [False] * len(lines)
    for hunk in hunks:
        place, replacement = _fitting(hunk, lines, fresh)
        new = _fitted(replacement, place, lines)
        lines[place.first : place.end] = new
        fresh[place.first : place.end] = [True] * len(new)
    return "\n".join(lines)


def _fitting(hunk: Hunk, lines: list[str], fresh: list[bool]) -> tuple[_Place, tuple[str, ...]]:
    known = {line.strip() for line in lines}
    failure: EditError | None = None
    fitting: list[tuple[_Place, tuple[str, ...]]] = []
    for search, replacement in hunk.readings:
        try:
            _check(hunk.number, search, replacement, known)
            fitting.append((_only(hunk.number, search, lines, fresh), replacement))
        except EditError as error:
            failure = failure or error
    if len(fitting) > 1:
        raise EditError(
            "malformed",
            f"Hunk {hunk.number} has several lines of '=' signs, and can be read in more than one way.",
        )
    if fitting:
        return fitting[0]
    raise failure or EditError("malformed", f"Hunk {hunk.number} cannot be read.")


def _check(number: int, search: Sequence[str], replacement: Sequence[str], known: set[str]) -> None:
    if not any(line.strip() for line in search):
        raise EditError(
            "empty_search",
            f"Hunk {number} has nothing to look for; quote the lines that it changes or stands beside.",
        )
    for line in (*search, *replacement):
        if elided(line) and line.strip() not in known:
            raise EditError(
                "elided",
                f"Hunk {number} leaves lines out ({quote(line)}); write every line that it quotes in full.",
            )


def _only(number: int, search: tuple[str, ...], lines: list[str], fresh: list[bool]) -> _Place:
    """The one place that a hunk fits."""
    places = _exact(search, lines) or _loose(number, search, lines)
    if len(places) > 1:
        older = [place for place in places if not any(fresh[place.first : place.end])]
        if len(older) != 1:
            where = ", ".join(str(place.first + 1) for place in places[:_MOST_PLACES])
            raise EditError(
                "ambiguous",
                f"The SEARCH text of hunk {number} fits {len(places)} places (lines {where}); quote more around it.",
            )
        places = older
    if not places:
        raise EditError("not_found", _closest(number, search, lines))
    return places[0]


def _positions(needle: Sequence[str], hay: Sequence[str]) -> list[int]:
    """Where a run of lines stands among others; each line number costs no more than one search."""
    text, wanted = "\n" + "\n".join(hay) + "\n", "\n" + "\n".join(needle) + "\n"
    found: list[int] = []
    line, counted, at = 0, 0, text.find(wanted)
    while at >= 0 and len(found) < _MOST_PLACES:
        line += text.count("\n", counted, at)
        counted = at
        found.append(line)
        at = text.find(wanted, at + 1)
    return found


def _exact(search: tuple[str, ...], lines: list[str]) -> list[_Place]:
    """Places that hold these very lines."""
    return [_Place(first, first + len(search)) for first in _positions(search, lines)]


def _loose(number: int, search: tuple[str, ...], lines: list[str]) -> list[_Place]:
    """Places that hold these lines but for indentation, blank lines and blanks at their ends."""
    filled = [i for i, line in enumerate(lines) if line.strip()]
    wanted = [line for line in search if line.strip()]
    found = _positions([line.strip() for line in wanted], [lines[i].strip() for i in filled])
    made: list[_Place] = []
    for at in found:
        span = filled[at : at + len(wanted)]
        indents = _indents(wanted, [lines[i] for i in span])
        if indents is not None:
            made.append(_Place(span[0], span[-1] + 1, indents))
    if found and not made:
        raise EditError(
            "indentation",
            f"The SEARCH text of hunk {number} is in line {filled[found[0]] + 1}, but indented otherwise; "
            "indent both sides as the block does.",
        )
    return made


def _depth(line: str) -> int:
    expanded = line.expandtabs(4)
    return len(expanded) - len(expanded.lstrip())


def _indents(wanted: Sequence[str], there: Sequence[str]) -> dict[int, int] | None:
    """What each indentation of the hunk is in the block; None if one of them would be two."""
    made: dict[int, int] = {}
    for mine, theirs in zip(wanted, there, strict=True):
        if made.setdefault(_depth(mine), _depth(theirs)) != _depth(theirs):
            return None
    return made


def _fitted(replacement: tuple[str, ...], place: _Place, lines: list[str]) -> list[str]:
    """The replacement, indented as the block is."""
    tabbed = any(line.startswith("\t") for line in lines)
    if place.indents is None:
        return [line if tabbed else _spaced(line, _depth(line), False) for line in replacement]
    new = list(replacement)
    while new and not new[0].strip():
        del new[0]
    while new and not new[-1].strip():
        new.pop()
    return [_spaced(line, _shifted(_depth(line), place.indents), tabbed) for line in new]


def _shifted(depth: int, indents: dict[int, int]) -> int:
    """The block's indentation for one of the hunk: as its next smaller one that is known, or its smallest."""
    base = max((known for known in indents if known <= depth), default=min(indents))
    return max(0, indents[base] + depth - base)


def _spaced(line: str, depth: int, tabbed: bool) -> str:
    if not line.strip() or (not tabbed and "\t" not in line[:depth] and _depth(line) == depth):
        return line
    lead = "\t" * (depth // 4) + " " * (depth % 4) if tabbed else " " * depth
    return lead + line.lstrip()


# -- what was nearly meant


def _closest(number: int, search: tuple[str, ...], lines: list[str]) -> str:
    """One sentence that says where the hunk nearly fits and what differs there.

    Equal lines vote for the place that they speak for; only if there is none, lines are compared by characters,
    and then the hunk's longest one alone: 500 comparisons of 100 characters at most.
    """
    wanted = [line.strip() for line in search if line.strip()][:200]
    filled = [(i, lines[i].strip()) for i in range(len(lines)) if lines[i].strip()][:2_000]
    said = f"The SEARCH text of hunk {number} is not in the block"
    if not filled:
        return said + "."
    at = _voted(wanted, [line for _, line in filled])
    if at is None:
        at = _similar(wanted, [line for _, line in filled])
    if at is None:
        return f"{said}, nor is anything like its line {quote(wanted[0])}."
    at = max(0, at)
    there = filled[at : at + len(wanted)] or filled[-1:]
    for mine, (i, theirs) in zip(wanted, there, strict=False):
        if mine != theirs:
            where = f"lines {there[0][0] + 1}-{there[-1][0] + 1}"
            return f"{said}; closest are {where}, where line {i + 1} is {quote(theirs)} and yours is {quote(mine)}."
    return f"{said}; it begins like line {there[0][0] + 1}, but goes on past the end of the block."


def _voted(wanted: Sequence[str], there: Sequence[str]) -> int | None:
    where: dict[str, list[int]] = {}
    for i, line in enumerate(there):
        where.setdefault(line, []).append(i)
    votes = Counter(i - j for j, line in enumerate(wanted) for i in where.get(line, ())[:50])
    return max(votes, key=lambda at: (votes[at], -at)) if votes else None


def _similar(wanted: Sequence[str], there: Sequence[str]) -> int | None:
    j = max(range(len(wanted)), key=lambda place: len(wanted[place]))
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted[j][:_LONGEST_LINE])
    best, found = 0.5, None
    for i, line in enumerate(there[:500]):
        matcher.set_seq1(line[:_LONGEST_LINE])
        if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best and matcher.ratio() > best:
            best, found = matcher.ratio(), i - j
    return found
