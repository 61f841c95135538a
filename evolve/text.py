"""Words for people; text that a program or a model wrote is made safe to show: bounded, without control characters."""

import re

__all__ = ["clean", "indent", "plural"]

# C0 and C1 controls but for newline and tab, and the marks that reorder or hide text (bidi, zero width, tags).
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f\ud800-\udfff]"
)


def clean(text: str, limit: int = 2_000) -> str:
    """`text` without control characters; cut to `limit` characters with a mark in the middle."""
    text = _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)
    if len(text) <= limit:
        return text
    half = max(1, (limit - 7) // 2)
    return f"{text[:half]} [...] {text[-half:]}"


def indent(text: str, by: str = "    ") -> str:
    """Each line of `text` behind `by`."""
    return "\n".join(by + line for line in text.splitlines())


def plural(count: int, noun: str) -> str:
    """1 step, 2 steps; 1 strategy, 2 strategies."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("gy") else f"{count} {noun}s"
