"""Sample translations: any text keeps its place in the table and shows as itself."""

import html
import re

import pytest
from sacrebleu.metrics.chrf import CHRF
from tensorboard import plugin_util

from nmt.training.samples import LONGEST, SHOWN, Sample, samples, table

ODD = [
    "a | b \\| c \\",
    "|---|---|",
    "---",
    "<script>alert('x')</script><b>bold</b> &amp; &lt; &#124;",
    "**bold** _it_ `code` [l](http://x.org/a_b_c) ![i](y) ~~s~~ # h",
    "> quote",
    "1. one",
    "$a^2$ :---: {x}",
    "日本語 العربية \u202eabc 😀",
    "",
]


def cells(markdown: str) -> list[list[str]]:
    """The table as TensorBoard shows it."""
    shown = plugin_util.markdown_to_safe_html(markdown)
    rows = re.findall("<tr>(.*?)</tr>", shown, re.DOTALL)
    return [[html.unescape(cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL)] for row in rows]


@pytest.mark.parametrize("text", ODD)
def test_any_text_shows_as_itself_in_its_cell(text: str) -> None:
    head, *rows = cells(table([Sample(text, text, text, 12.34), Sample("s", "r", "t", 0.0)]))
    assert head == ["source", "reference", "translation", "sentence chrF"]
    assert rows == [[text] * 3 + ["12.3"], ["s", "r", "t", "0.0"]]


def test_what_would_end_a_line_or_is_no_character_becomes_a_space() -> None:
    text = "a\nb\r\nc\u2028d\x85e\x00f\x02g\x1b\ud800h\ti"
    shown = cells(table([Sample(text, "r", "t", 1.0)]))[1]
    assert shown == ["a b  c d e f g  h i", "r", "t", "1.0"]


def test_a_long_sentence_is_cut_and_says_so() -> None:
    shown = cells(table([Sample("|" * (LONGEST + 1234), "r", "t", 1.0)]))[1]
    assert shown == ["|" * LONGEST + " … and 1,234 characters", "r", "t", "1.0"]


def test_samples_are_the_first_sentences_with_their_own_scores() -> None:
    references = [f"This is sentence {number} ." for number in range(SHOWN + 2)]
    translations = [references[0], "Quite another thing", *references[2:]]
    shown = samples(["x"] * len(references), references, translations)
    assert [sample.reference for sample in shown] == references[:SHOWN]
    assert [sample.translation for sample in shown] == translations[:SHOWN]
    wanted = [CHRF().corpus_score([t], [[r]]).score for t, r in zip(translations, references, strict=True)]
    assert [sample.chrf for sample in shown] == pytest.approx(wanted[:SHOWN])
    assert shown[0].chrf == pytest.approx(100.0)
    assert shown[1].chrf < 50
