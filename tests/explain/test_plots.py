"""Pictures of attention, whatever the sentence."""

import io
import logging
import warnings

import pytest
import torch

from nmt.explain.plots import DRAWN, FONT, MISSING, fonts, heat_map


def test_a_long_sentence_is_drawn_from_its_beginning_and_says_so() -> None:
    weights = torch.rand(DRAWN + 5, DRAWN + 70)
    source, target = [f"s{n}" for n in range(DRAWN + 70)], [f"t{n}" for n in range(DRAWN + 5)]
    (axes,) = heat_map(weights, source, target).axes
    assert axes.images[0].get_array().tolist() == weights[:DRAWN, :DRAWN].tolist()
    assert [label.get_text() for label in axes.get_xticklabels()] == source[:DRAWN]
    assert [label.get_text() for label in axes.get_yticklabels()] == target[:DRAWN]
    assert f"source {DRAWN} of {DRAWN + 70}, target {DRAWN} of {DRAWN + 5}" in axes.get_xlabel()
    (whole,) = heat_map(weights[:DRAWN, :DRAWN], source[:DRAWN], target[:DRAWN]).axes
    assert whole.get_xlabel() == ""


def test_characters_without_a_glyph_are_drawn_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    pieces = ["▁你好", "\U000f0000", "नमस्ते", "\n", "\t", "\u200b", "𝔸", "$x^{2$", "\\"]
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        figure = heat_map(torch.rand(len(pieces), len(pieces)), pieces, pieces)
        figure.savefig(io.BytesIO(), format="png")
    assert caplog.records == []
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert [labels[1], labels[3], labels[4]] == [MISSING] * 3


def test_a_second_font_is_asked_only_for_what_the_first_lacks() -> None:
    assert fonts(set("▁Größe мир")) == ([FONT], set())
    families, missing = fonts({"a", "\u23a4", "\U000f0000"})  # the last is of no font's
    assert families[0] == FONT
    assert missing == {"\U000f0000"}
