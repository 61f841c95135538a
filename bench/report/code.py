"""Programs and diffs as HTML: highlighted where they are Python, and always text, whatever they hold.

Knows pygments and escaping; nothing of runs.
"""

import re
from collections.abc import Sequence
from typing import Final

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

__all__ = ["changes", "highlighted"]

_KINDS: Final = {"+": "add", "-": "cut", "@": "at"}
_BREAK: Final = re.compile("\r\n?|\n")


def highlighted(source: str) -> Markup:
    """A program, its words marked by classes of pygments."""
    text = highlight(source.strip("\n"), PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
    # The formatter escapes what it is given: tests hold it to that.
    return Markup('<pre class="code" tabindex="0"><code>{}</code></pre>').format(Markup(text))


def changes(diff: Sequence[str]) -> Markup:
    """A unified diff, a line each."""
    if not diff:
        return Markup('<p class="quiet">no line differs</p>')
    rows = [
        Markup('<span class="{}">{}</span>').format(
            _KINDS.get(line[:1], "same"), _BREAK.sub(" ", line) or " "
        )
        for line in diff
    ]
    return Markup('<pre class="code diff" tabindex="0"><code>{}</code></pre>').format(Markup("\n").join(rows))
