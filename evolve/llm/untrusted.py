"""Makes text that a program or a model wrote fit to stand in a prompt: cleaned, defused, fenced. Knows texts only."""

import re

from evolve.text import clean

__all__ = ["MARK", "defused", "fenced", "scrubbed"]

MARK = "¦"
"""Stands in every sequence that was made harmless, so that the model and the reader see that it was."""

# Tokens by which chat templates tell who speaks: a tokenizer takes them for what they are wherever they stand.
# ChatML and its kin <|...|> (also with the full-width bar of DeepSeek), Gemma, Llama 2, Mistral, reasoning, tools,
# fill-in-the-middle.
_CHAT = re.compile(
    r"<(?=[|\uff5c])|(?<=[|\uff5c])>"
    r"|<(?=/?(?:s|bos|eos|pad|unk|mask|think|start_of_turn|end_of_turn|tools?|tool_call|tool_response"
    r"|unused\d+|extra_id_\d+|reserved_\w+|fim_\w+|file_sep|repo_name|jupyter_\w+|0x[0-9A-Fa-f]{2})>)"
    r"|<(?=</?SYS>>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|THINK|gMASK|sMASK)\])",
    re.IGNORECASE,
)
# The lines of SEARCH/REPLACE edits, in any of the lengths that are read as such.
_EDIT = re.compile(r"^([ \t]*)(?=<{4,}|>{4,}|={4,}[ \t]*$)", re.MULTILINE)
_FENCES = re.compile(r"`+|~+")
# An absolute path of at least two parts; `a/b` and `x / y` are arithmetic.
_PATH = re.compile(r"(?<![\w.)\]}~])~?(?:/[\w.@+~-]+){2,}/?|\b[A-Za-z]:\\[^\s\"']+")
_BREAKS = re.compile(r"\r\n?")


def defused(text: str, limit: int | None = None) -> str:
    r"""`text` without control and invisible characters, and with markers that mean something to others broken.

    Broken by `MARK`: tokens of chat templates (`<|im_start|>` becomes `<¦|im_start|¦>`) and lines that would begin,
    divide or end a SEARCH/REPLACE edit. Ordinary Python comes out as it went in; line ends become "\n".

    Args:
        text: anything.
        limit: most characters, cut in the middle; None for all.
    """
    if limit is not None and len(text) > 4 * limit:  # a message may be as long as its program likes
        text = text[: 2 * limit] + text[-2 * limit :]
    text = _BREAKS.sub("\n", text)
    text = clean(text, len(text) + 16 if limit is None else limit)
    return _EDIT.sub(rf"\1{MARK}", _CHAT.sub(_broken, text))


def _broken(match: re.Match[str]) -> str:
    return MARK + match[0] if match[0] == ">" else match[0] + MARK


def fenced(text: str, kind: str = "") -> str:
    """`text`, defused already, between fences longer than any run of backticks or tildes in it.

    Args:
        text: what shall be shown as data.
        kind: a word behind the opening fence, such as "python".
    """
    longest = max((len(run) for run in _FENCES.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    body = text.rstrip("\n")
    return f"{fence}{kind}\n{body}\n{fence}"


def scrubbed(text: str) -> str:
    """`text` with absolute paths taken out: a message names files of a machine that is nobody's business."""
    return _PATH.sub("[path]", text)
