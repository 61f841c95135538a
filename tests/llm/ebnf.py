"""A recogniser of the EBNF that is sent to a server, written from the dialect's description and nothing else.

Knows rules, quoted texts with escapes, and alternatives: https://xgrammar.mlc.ai/docs (EBNF grammar).
"""

import re

TOKEN = re.compile(r'\s*(?:"((?:[^"\\\n]|\\.)*)"|([A-Za-z_][A-Za-z0-9_.-]*)|(\|))')
ESCAPES = {'\\"': '"', "\\\\": "\\"}


class Recogniser:
    """Tells whether a text is a sentence; keeps nothing between texts but the rules."""

    def __init__(self, grammar: str) -> None:
        self.rules: dict[str, list[list[tuple[str, str]]]] = {}
        for line in grammar.splitlines():
            name, defined, body = line.partition(" ::= ")
            assert defined, line
            assert re.fullmatch(r"[a-z][a-z0-9-]*", name), (
                name
            )  # letters, digits and hyphens: llama.cpp's names, too
            assert name not in self.rules, name
            self.rules[name] = self._alternatives(body)
        assert next(iter(self.rules)) == "root"
        for alternatives in self.rules.values():
            for one in alternatives:
                assert one
                assert all(kind == "text" or value in self.rules for kind, value in one)

    def _alternatives(self, body: str) -> list[list[tuple[str, str]]]:
        made: list[list[tuple[str, str]]] = [[]]
        at = 0
        while at < len(body):
            token = TOKEN.match(body, at)
            assert token, body[at:]
            at = token.end()
            if token[3]:
                made.append([])
            elif token[2]:
                made[-1].append(("rule", token[2]))
            else:
                made[-1].append(("text", re.sub(r"\\.", lambda found: ESCAPES[found[0]], token[1])))
        return made

    def accepts(self, sentence: str) -> bool:
        return len(sentence) in self._ends("root", 0, sentence, {})

    def _ends(
        self, name: str, at: int, sentence: str, known: dict[tuple[str, int], frozenset[int]]
    ) -> frozenset[int]:
        """Where a rule that begins at a place may end."""
        if (name, at) not in known:
            found: set[int] = set()
            for one in self.rules[name]:
                ends = {at}
                for kind, value in one:
                    if kind == "text":
                        ends = {end + len(value) for end in ends if sentence.startswith(value, end)}
                    else:
                        ends = {last for end in ends for last in self._ends(value, end, sentence, known)}
                found |= ends
            known[name, at] = frozenset(found)
        return known[name, at]
