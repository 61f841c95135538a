"""The words of prompts: what is shipped is usable, a folder overrides it, and each mistake is one clear error."""

import os
import re
from pathlib import Path

import pytest

from evolve.errors import UsageError
from evolve.llm.templates import FORMATS, KINDS, PLACEHOLDERS, TemplateError, Templates


def filled(name):
    return dict.fromkeys(" ".join(PLACEHOLDERS[name]).split(), "VALUE")


def test_every_kind_and_format_has_its_templates():
    names = {*KINDS, *(f"{part}_{one}" for part in ("format", "ending") for one in FORMATS)}
    assert names <= set(PLACEHOLDERS)
    assert set(Templates.load().texts) == set(PLACEHOLDERS)


@pytest.mark.parametrize("name", PLACEHOLDERS)
def test_a_shipped_template_uses_what_it_is_given(name):
    text = Templates.load().render(name, **filled(name))
    assert "$" not in text
    assert max(map(len, text.splitlines())) <= 120
    for required in PLACEHOLDERS[name][0].split():
        assert f"${required}" in Templates.load().texts[name]


def test_a_folder_overrides_some_and_leaves_the_others(tmp_path):
    (tmp_path / "improve.txt").write_text("Mend $entry, ${ending} It costs 5 $$.", encoding="utf-8")
    (tmp_path / "README.md").write_text("$nothing", encoding="utf-8")
    mine = Templates.load(tmp_path)
    assert mine.render("improve", entry="f", ending="now!") == "Mend f, now! It costs 5 $.\n"
    assert mine.texts["explore"] == Templates.load().texts["explore"]
    assert Templates.load().texts["improve"] != mine.texts["improve"]


def test_a_file_of_another_system_is_read_alike(tmp_path):
    (tmp_path / "lessons.txt").write_bytes(b"\xef\xbb\xbfKnown:\r\n\r\n$lessons\r\n")
    assert Templates.load(tmp_path).texts["lessons"] == "Known:\n\n$lessons\n"


def test_a_placeholder_alone_in_its_line_goes_with_an_empty_line(tmp_path):
    (tmp_path / "elite.txt").write_text("a\n\n$scores\n\n${change}\n\n$source\n", encoding="utf-8")
    words = Templates.load(tmp_path)
    assert words.render("elite", scores="", change="", source="S") == "a\n\nS\n"
    assert words.render("elite", scores="x\n\n\n\ny", change="", source="S") == "a\n\nx\n\n\n\ny\n\nS\n"


def test_what_is_filled_in_is_not_filled_in_again():
    text = Templates.load().render("lessons", lessons="$lessons ${notes} $$ $5")
    assert "$lessons ${notes} $$ $5" in text


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("parent.txt", "$source $speed", "unknown placeholder $speed; it may have: $source, $value, $scores"),
        ("ending_diff.txt", "Answer $entry", "unknown placeholder $entry; it may have: none"),
        ("parent.txt", "It is $value.", "placeholder $source is missing"),
        ("parent.txt", "$source\ncosts 5$", ":2: a '$' without a name; write '$$'"),
        ("parrent.txt", "$source", "no template is called so; call it one of: system.txt, "),
        ("parent.txt", b"$source \xff", "byte 8 is not UTF-8"),
        ("parent.txt", "$source" + "x" * 70_000, "longer than 65536 bytes"),
    ],
)
def test_a_wrong_file_is_one_clear_error(tmp_path, name, text, told):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TemplateError, match=re.escape(told)) as caught:
        Templates.load(tmp_path)
    assert str(caught.value).startswith(f"template {path}")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, UsageError)


def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path):
    (tmp_path / "parent.txt").mkdir()
    with pytest.raises(TemplateError, match=r"parent\.txt: Is a directory; make it a file that can be read"):
        Templates.load(tmp_path)


def test_a_link_to_nothing_is_one_clear_error(tmp_path):
    os.symlink(tmp_path / "gone", tmp_path / "parent.txt")
    with pytest.raises(TemplateError, match=r"parent\.txt: No such file or directory"):
        Templates.load(tmp_path)


def test_a_folder_without_templates_is_one_clear_error(tmp_path):
    with pytest.raises(TemplateError, match=r"no \.txt file in it; write one or more of: system\.txt"):
        Templates.load(tmp_path)
    with pytest.raises(TemplateError, match=r"missing: No such file or directory; give a folder"):
        Templates.load(tmp_path / "missing")


def test_the_page_about_prompts_lists_every_template_with_its_placeholders():
    page = (Path(__file__).parents[2] / "docs" / "prompts.md").read_text(encoding="utf-8")
    told, above = {}, ""
    for names, must, may in re.findall(r"^\| (`[^|]*) \|([^|]*)\|([^|]*)\|$", page, re.MULTILINE):
        above = above if may.strip() == "the same" else may
        for name in re.findall(r"`(\w+)`", names):
            told[name] = tuple(set(re.findall(r"\$(\w+)", part)) for part in (must, above))
    known = {}
    for name, (must, may) in PLACEHOLDERS.items():
        known[name] = set(must.split()), set(may.split()) - set(must.split())
    assert told == known
