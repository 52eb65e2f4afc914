"""What a comparison looks like: nothing in a text is obeyed by a browser or a terminal, and nothing is lost."""

import io
from html.parser import HTMLParser

from rich.console import Console

from nmt.evaluation.differences import largest_differences
from nmt.evaluation.findings import Findings
from nmt.evaluation.page import as_page
from nmt.evaluation.side_by_side import show
from nmt.evaluation.significance import Comparison, Measured

NASTY = [
    "<script>alert(1)</script>",
    '</p></style><img src="x" onerror="alert(2)">',
    "{{ 7 * 7 }} {% raw %} &amp; &#60; [bold]x[/bold]",
    "one\u2028two\u2029three\u0085four",
    "\x1b[31mred\x1b[0m \x07\r\x9b31m \x00",
    "שלום <b>עולם</b>",
]
SOURCES = [f"source {place}: {line}" for place, line in enumerate(NASTY)]
REFERENCES = [f"{line} indeed" for line in NASTY]
NAMES = ("a <i>&\"'", "\x1bb</title><script>")


class Read(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def nasty() -> Findings:
    baseline, other = NASTY, REFERENCES
    measured = {NAMES[0]: Measured(1.0, 1.0, 0.5, {}), NAMES[1]: Measured(2.0, 2.0, 0.5, {"bs": 0.5})}
    comparison = Comparison("bleu", "BLEU", {"bs": "nrefs:1"}, measured)
    examples = {NAMES[1]: largest_differences(baseline, other, [REFERENCES], SOURCES, 10)}
    return Findings({name: f"{name}/hypotheses.txt" for name in NAMES}, 6, [comparison], {"bs": 50}, examples)


def test_in_a_page_markup_of_a_text_is_shown_and_makes_no_element() -> None:
    page = as_page(nasty())
    read = Read(page)
    assert not {"script", "img", "i", "link", "iframe"} & set(read.tags)
    assert "onerror" not in dict(read.attributes)
    for line in (*NASTY[:3], NASTY[5], *(SOURCES[place] for place in (0, 1, 2, 5))):
        assert line in read.text.replace("\n", "")
    assert "49" not in read.text.replace("{{ 7 * 7 }}", "")


def test_in_a_page_unusual_line_ends_survive_and_control_characters_become_pictures() -> None:
    page = as_page(nasty())
    assert NASTY[3] in page
    assert "␛[31mred␛[0m ␇␍" in page
    assert not {character for character in page if ord(character) < 0x20} - {"\n"}


def test_a_page_needs_nothing_from_elsewhere_and_lets_each_text_have_its_direction() -> None:
    read = Read(as_page(nasty()))
    assert not {"src", "href", "action", "data"} & {name for name, _ in read.attributes}
    assert "http" not in as_page(nasty()).replace("http-equiv", "")
    assert read.attributes.count(("dir", "auto")) == 4 * 6  # source, reference and both translations of every sentence


def test_a_terminal_gets_no_control_character_of_a_text() -> None:
    file = io.StringIO()
    show(nasty(), Console(file=file, width=60, color_system=None))
    printed = file.getvalue()
    assert "red" in printed
    assert not {character for character in printed if ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0} - {"\n"}
    assert not {"\u2028", "\u2029"} & set(printed)
    assert "[bold]x[/bold]" in printed.replace("\n", "")


def test_on_a_terminal_the_table_is_whole_however_narrow_it_is() -> None:
    file = io.StringIO()
    show(nasty(), Console(file=file, width=20, color_system=None))
    assert "2.00 ± 0.50" in file.getvalue()
    assert "␛b</title><script>" in file.getvalue()
