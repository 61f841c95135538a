"""The words of prompts: files that the package brings, any of which a user's folder may override.

A template is UTF-8 text with placeholders like `$source` (`$$` is a dollar sign). Knows names and placeholders; what
fills them is `prompt`'s.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import Self

from evolve.errors import UsageError

__all__ = ["FORMATS", "KINDS", "PLACEHOLDERS", "TemplateError", "Templates"]

KINDS = ("improve", "explore", "crossover", "repair", "simplify")
"""What a request may ask for; each has a template of that name, the instruction."""

FORMATS = ("diff", "block", "grammar")
"""How the answer may be written; each has two templates, `format_...` and `ending_...`."""

_SHIPPED = Path(__file__).with_name("templates")
_MOST = 64 * 1024
_TASK = "entry objective better value hints ending"

# Placeholders of each template: those it must have, and those it may have.
PLACEHOLDERS: Mapping[str, tuple[str, str]] = {
    "system": ("format", ""),
    "format_diff": ("", ""),
    "format_block": ("", ""),
    "format_grammar": ("", ""),
    "problem": (
        "signature objective better",
        "description entry docstring form returns measures primitives imports limits notes lessons",
    ),
    "notes": ("notes", ""),
    "lessons": ("lessons", ""),
    "elites": ("elites", ""),
    "elite": ("source", "place value scores change"),
    "change": ("diff", "place better_place"),
    "parent": ("source", "value scores entry"),
    "failures": ("failures", ""),
    "failure": ("text", ""),
    "mate": ("source", "place value scores"),
    "improve": ("ending", _TASK),
    "explore": ("ending", _TASK),
    "crossover": ("mates ending", _TASK),
    "repair": ("source error ending", _TASK),
    "simplify": ("ending", _TASK),
    "ending_diff": ("", ""),
    "ending_block": ("", "entry"),
    "ending_grammar": ("sites", "hole"),
    "condense": ("objective better", "description signature changes failures lessons"),
}

# A line that is one placeholder, with the empty line below it: gone when there is nothing to say.
_ALONE = re.compile(r"^\$(?:\{(\w+)\}|(\w+))[ \t]*\n?\n?", re.MULTILINE)


class TemplateError(UsageError):
    """A template that cannot be used; the message names file, thing and mend."""


@dataclass(frozen=True, eq=False)
class Templates:
    """One text for each name of `PLACEHOLDERS`.

    Args:
        texts: by name, checked.
    """

    texts: Mapping[str, str]

    @classmethod
    def load(cls, folder: Path | str | None = None) -> Self:
        """The templates of the package, overridden by the `*.txt` files of a folder.

        Args:
            folder: with one or more files called like templates, for instance `improve.txt`; None for none.

        Raises:
            TemplateError: no such folder or no template in it, a file with a name that no template has, a file
                that cannot be read, or a text with a placeholder unknown, missing or malformed.
        """
        texts = dict(_shipped())
        if folder is not None:
            for path in _files(Path(folder)):
                texts[path.stem] = _read(path)
        return cls(texts)

    def render(self, name: str, **values: str) -> str:
        """The text of a template with its placeholders filled in; values are put in as they are.

        A placeholder alone in its line, whose value is empty, goes with its line and one empty line below.
        """

        def kept(match: re.Match[str]) -> str:
            return match[0] if values[match[1] or match[2]] else ""

        return Template(_ALONE.sub(kept, self.texts[name])).substitute(values)


@cache
def _shipped() -> Mapping[str, str]:
    return {name: _read(_SHIPPED / f"{name}.txt") for name in PLACEHOLDERS}


def _files(folder: Path) -> list[Path]:
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix == ".txt")
    except OSError as error:
        raise TemplateError(
            f"templates {folder}: {error.strerror or error}; give a folder that can be read"
        ) from error
    known = ", ".join(f"{name}.txt" for name in PLACEHOLDERS)
    if not found:
        raise TemplateError(f"templates {folder}: no .txt file in it; write one or more of: {known}")
    for path in found:
        if path.stem not in PLACEHOLDERS:
            raise TemplateError(f"template {path}: no template is called so; call it one of: {known}")
    return found


def _read(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise TemplateError(
            f"template {path}: {error.strerror or error}; make it a file that can be read"
        ) from error
    if len(raw) > _MOST:
        raise TemplateError(f"template {path}: longer than {_MOST} bytes; shorten it")
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise TemplateError(f"template {path}: byte {error.start} is not UTF-8; save it as UTF-8") from None
    _check(path, text)
    return text.rstrip() + "\n"


def _check(path: Path, text: str) -> None:
    required, optional = (names.split() for names in PLACEHOLDERS[path.stem])
    template = Template(text)
    for match in template.pattern.finditer(text):
        if match["invalid"] is not None:
            line = text.count("\n", 0, match.start()) + 1
            raise TemplateError(f"template {path}:{line}: a '$' without a name; write '$$' for a dollar sign")
    used = template.get_identifiers()
    allowed = list(dict.fromkeys([*required, *optional]))
    for name in used:
        if name not in allowed:
            known = ", ".join(f"${one}" for one in allowed) or "none"
            raise TemplateError(
                f"template {path}: unknown placeholder ${name}; it may have: {known} ('$$' is a dollar sign)"
            )
    for name in required:
        if name not in used:
            raise TemplateError(f"template {path}: placeholder ${name} is missing; put it where it belongs")
