"""Text of a program or a model is made safe to show."""

from hypothesis import given
from hypothesis import strategies as st

from evolve.text import clean


def test_terminal_escapes_and_direction_marks_are_gone():
    shown = clean("a\x1b[31mred\x07 \u202eevil\u202c \x9b0m\ud800 tab\tline\n")
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "tab\tline\n" in shown
    shown.encode("utf-8")


@given(st.text(), st.integers(20, 200))
def test_length_is_bounded_and_nothing_unprintable_is_left(text, limit):
    shown = clean(text, limit)
    assert len(shown) <= limit
    assert all(character in "\n\t" or ord(character) >= 32 for character in shown)
