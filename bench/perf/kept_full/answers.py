"""What the fake model says: a new valid program each time, in the format that the prompt asks for."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from bench.perf.kept_full.settings import HEIGHT, block, height

__all__ = ["form_of", "reply"]

# Where prompts say what format they want: at their end. Looking at all of it would cost more than the reply.
_TAIL: Final = 3_000
# The place of the height in the list of places that a grammar lets change.
_PLACE: Final = re.compile(r"^ *height = (\S+)\n +(\d+): \1 ", re.MULTILINE)


def form_of(body: Mapping[str, Any]) -> str:
    """Which format a request wants: "choice", "sentence", "diff" or "block"."""
    constraint = body.get("structured_outputs") or {}
    if "choice" in constraint:
        return "choice"
    tail = body["messages"][-1]["content"][-_TAIL:]
    if constraint or "Answer with one line" in tail:
        return "sentence"
    return "diff" if "SEARCH/REPLACE" in tail else "block"


def reply(body: Mapping[str, Any], number: int, busy: float) -> str:
    """The text of a reply.

    Args:
        body: of the request.
        number: of the reply; another number is another program.
        busy: CPU seconds that a program computes, for whole programs.
    """
    form, new = form_of(body), height(number)
    if form == "choice":
        constraint = body["structured_outputs"]["choice"]
        choices = json.loads(constraint) if isinstance(constraint, str) else constraint
        return str(choices[0])
    prompt = body["messages"][-1]["content"]
    if form == "sentence":
        places = _PLACE.findall(prompt)
        return f"{places[-1][1]}: {new}" if places else f"0: {new}"
    if form == "diff":
        old = _parent(prompt)
        hunk = f"<<<<<<< SEARCH\n    height = {old}\n=======\n    height = {new}\n>>>>>>> REPLACE"
        return f"Another height may do better.\n\n{hunk}\n"
    return f"Another height may do better.\n\n```python\n{block(new, busy)}```\n"


def _parent(prompt: str) -> str:
    """The height of the program that is to be changed: the first behind the last heading that names it."""
    start = max(prompt.rfind("# Current Program"), prompt.rfind("# Current program"), 0)
    found = HEIGHT.search(prompt, start)
    return found[1] if found else height(0)
