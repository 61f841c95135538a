"""What programs, models and files say stands in a report as text, in every format; nothing asks, nothing runs."""

import csv
import http.server
import io
import re
import threading
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as some
from markdown_it import MarkdownIt

from evolve.bench.report.code import changes, highlighted
from evolve.bench.report.plain import escaped, fenced
from evolve.bench.report.plots import drawing
from evolve.bench.report.tables import Table, as_csv

_SHOWN = """
    html head meta title style body main header nav section footer h1 h2 h3 p b a ul li i code pre span
    table caption thead tbody tr th td div figure figcaption details summary
    svg g path defs use text tspan clippath rect line polyline
"""
SHOWN = set(_SHOWN.split())


class Tags(HTMLParser):
    """Every tag with its attributes, and all text."""

    def __init__(self):
        super().__init__()
        self.tags = []
        self.words = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


def read(text):
    tags = Tags()
    tags.feed(text)
    return tags


def must_be_harmless(text):
    found = read(text)
    assert {tag for tag, _ in found.tags} <= SHOWN
    for tag, attributes in found.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("href", "xlink:href", "src", "action", "data", "srcset"):
                assert value.startswith("#"), (tag, name, value)
            if name == "style":
                assert all(one.startswith("url(#") for one in re.findall(r"url\([^)]*", value))
    return found


def test_a_page_of_hostile_text_has_no_tag_that_asks_or_runs(plant, cli, tmp_path):
    assert cli("report", plant(), "-o", tmp_path / "h.html")[0] == 0
    text = (tmp_path / "h.html").read_text(encoding="utf-8")
    found = must_be_harmless(text)
    policies = [
        one["content"] for tag, one in found.tags if one.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]
    # It is all there, as text: in programs, names, notes, verdicts, commands.
    assert "".join(found.words).count("<script>document.title='owned'</script>") > 20
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "me:secret" not in text


def test_markdown_of_hostile_text_has_no_html_no_picture_and_no_link(plant, cli, tmp_path):
    assert cli("report", plant(), "--md", tmp_path / "h.md")[0] == 0
    text = (tmp_path / "h.md").read_text(encoding="utf-8")
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    kinds = {one.type for token in tokens for one in (token, *(token.children or ()))}
    assert not kinds & {"html_block", "html_inline", "image", "link_open"}
    headings = [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"]
    assert headings[1:] == [
        *("The program", "Case by case", "How it was found", "Rate of discovery", "What it cost"),
        *("What a human did", "How to make it again"),
    ]
    fences = [token.content for token in tokens if token.type == "fence"]
    assert any(one.startswith("def f():") and one.rstrip().endswith("'''") for one in fences)


def test_no_cell_of_a_csv_file_is_a_formula(plant, cli, tmp_path):
    assert cli("report", plant(), "--csv", tmp_path / "tables")[0] == 0
    files = sorted((tmp_path / "tables").iterdir())
    assert len(files) > 10
    for path in files:
        for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8"))):
            for cell in row:
                assert not cell.lstrip().startswith(("=", "+", "@")), (path.name, cell)
                if cell.startswith("-"):
                    float(cell)


@given(some.text())
def test_a_text_in_a_table_of_markdown_stays_in_its_cell(text):
    page = f"| a | b |\n| --- | --- |\n| {escaped(text)} | second |\n"
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(page)
    cells = [tokens[at + 1] for at, token in enumerate(tokens) if token.type == "td_open"]
    assert len(cells) == 2
    assert cells[1].content == "second"
    assert {child.type for child in cells[0].children} <= {"text", "text_special", "softbreak"}


@given(some.text(alphabet=some.sampled_from("`~\n a<"), max_size=60))
def test_nothing_leaves_a_fence(text):
    tokens = MarkdownIt("commonmark", {"html": True}).parse(fenced(text, "python") + "\n\nafter\n")
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]
    assert tokens[0].content.strip("\n") == text.strip("\n")


@given(some.text(alphabet=some.characters(codec="utf-8")))
def test_a_program_shows_as_it_is_and_as_text_only(text):
    found = must_be_harmless(str(highlighted(text)))
    assert {tag for tag, _ in found.tags} <= {"pre", "code", "span"}
    kept = re.sub(r"\s+", "", "".join(found.words))
    assert kept == re.sub(r"\s+", "", text)


@given(some.lists(some.text(alphabet=some.characters(codec="utf-8"))))
def test_a_diff_is_text_only(lines):
    found = read(str(changes(lines)))
    assert {tag for tag, _ in found.tags} <= {"pre", "code", "span", "p"}


@given(some.lists(some.tuples(some.text(), some.integers(), some.floats(allow_nan=False)), max_size=5))
def test_csv_gives_back_numbers_to_the_last_digit(rows):
    table = Table("t", "t", ("a", "b", "c"), tuple(rows))
    back = list(csv.reader(io.StringIO(as_csv(table), newline="")))[1:]
    assert [(int(b), float(c)) for _, b, c in back] == [(b, c) for _, b, c in rows]
    for (text, _, _), (cell, _, _) in zip(rows, back, strict=True):
        assert cell in (text, f"'{text}")


@pytest.mark.parametrize(
    "name", ["$x$", "$\\frac{", "a<b>&c", "]]>", "--> <script>", "漢字 é", "%s {x}", "a\nb"]
)
def test_names_in_plots_are_text(name):
    with drawing("test") as (figure, done):
        axes = figure.subplots()
        axes.plot([1, 2], [1, 2], label=name)
        axes.set_xlabel(name)
        axes.set_yticks([1.0], [name])
        figure.legend()
    found = must_be_harmless(done[0])
    assert sum(name.partition("\n")[0] in word for word in found.words) == 3


# In a browser


class Server(http.server.BaseHTTPRequestHandler):
    """Counts who asks it for anything."""

    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    made.asked = []
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    thread.join(10)
    made.server_close()


def test_a_real_browser_asks_for_nothing_and_runs_nothing(plant, cli, server, browser, tmp_path):
    url = f"http://127.0.0.1:{server.server_port}"
    assert cli("report", plant(url), "-o", tmp_path / "h.html")[0] == 0
    dom = browser("--dump-dom", (tmp_path / "h.html").as_uri(), folder=tmp_path)
    assert "<title>owned</title>" not in dom
    assert "seed 5: confirmed</title>" in dom
    assert server.asked == []
    # Were it no text, it would run and ask.
    control = f"<title>calm</title><body><img src='{url}/i'><script>document.title='owned'</script>"
    (tmp_path / "control.html").write_text(control)
    assert "<title>owned</title>" in browser(
        "--dump-dom", (tmp_path / "control.html").as_uri(), folder=tmp_path
    )
    assert server.asked == ["/i"]


def test_even_without_escapes_the_policy_of_the_page_lets_nothing_out(page, server, browser, tmp_path):
    url = f"http://127.0.0.1:{server.server_port}"
    text = page.read_text(encoding="utf-8")
    bad = f"<img src='{url}/i'><link rel=stylesheet href='{url}/l'><script>document.title='owned'</script>"
    (tmp_path / "bad.html").write_text(text.replace("<main>", f"<main>{bad}"), encoding="utf-8")
    assert "<title>owned</title>" not in browser(
        "--dump-dom", (tmp_path / "bad.html").as_uri(), folder=tmp_path
    )
    assert server.asked == []


@pytest.mark.parametrize("wide", [1400, 420])
@pytest.mark.parametrize("which", ["found", "hostile"])
def test_nothing_is_wider_than_the_window(page, plant, cli, browser, tmp_path, wide, which):
    if which == "hostile":
        assert cli("report", plant(), "-o", tmp_path / "h.html")[0] == 0
        page = tmp_path / "h.html"
    text = page.read_text(encoding="utf-8")
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    measuring = (
        "<script>parent.postMessage(document.documentElement.scrollWidth + '/' + innerWidth, '*')</script>"
    )
    (tmp_path / "m.html").write_text(text.replace("</body>", f"{measuring}</body>"), encoding="utf-8")
    # In a frame: no window of the browser's is narrower than 500.
    told = "<script>addEventListener('message', told => { document.title = told.data })</script>"
    frame = f"<title></title>{told}<iframe src=m.html width={wide} height=900 style='border: 0'></iframe>"
    (tmp_path / "frame.html").write_text(frame, encoding="utf-8")
    words = ("--virtual-time-budget=5000", "--dump-dom", (tmp_path / "frame.html").as_uri())
    dom = browser("--window-size=1500,1000", *words, folder=tmp_path)
    needed, given_ = map(int, re.search(r"<title>(\d+)/(\d+)</title>", dom).groups())
    assert given_ == wide
    assert needed <= wide
