"""Pictures of attention, whatever the sentence."""

import io
import logging
import warnings

import pytest
import torch

from nmt.explain.plots import DRAWN, FONT, MISSING, explanation_picture, fonts, heat_map


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


@pytest.mark.parametrize(
    ("kind", "rows", "columns", "gap"),
    [
        ("source", ["a", "b", "end"], ["x", "y", "z", "end"], 3),
        ("prefix", ["a", "b", "end"], ["beginning", "a", "b"], 1),
        ("encoder", ["x", "y", "z", "end"], ["x", "y", "z", "end"], 3),
    ],
)
def test_the_ends_of_a_sentence_stand_apart(kind: str, rows: list[str], columns: list[str], gap: int) -> None:
    values = torch.rand(len(rows), len(columns))
    figure = explanation_picture(values, ["x", "y", "z"], ["a", "b"], kind=kind, title="t")
    axes = figure.axes[0]
    drawn = torch.tensor(axes.images[0].get_array().filled(float("nan")))
    assert drawn[len(rows) - 1].isnan().all()
    assert drawn[:, gap].isnan().all()
    kept_rows = [n for n in range(len(rows) + 1) if n != len(rows) - 1]
    kept_columns = [n for n in range(len(columns) + 1) if n != gap]
    torch.testing.assert_close(drawn[kept_rows][:, kept_columns], values.double())
    assert [label.get_text() for label in axes.get_yticklabels()] == rows
    assert [label.get_text() for label in axes.get_xticklabels()] == columns


def test_signed_values_have_zero_in_the_middle_and_others_at_the_bottom() -> None:
    for values, low in ((torch.tensor([[-0.5, 0.1], [0.2, 0.3]]), -0.5), (torch.tensor([[0.5, 0.1], [0.2, 0.3]]), 0.0)):
        image = explanation_picture(values, ["x"], ["a"], kind="source", title="t").axes[0].images[0]
        assert image.get_clim() == (low, 0.5)


def test_forty_words_have_room_and_nothing_is_a_formula() -> None:
    words = [f"$word^{{{n}}}_$" for n in range(40)]
    figure = explanation_picture(torch.rand(41, 41), words, words, kind="source", title="t")
    figure.savefig(io.BytesIO(), format="svg")
    axes = figure.axes[0]
    width, height = axes.get_window_extent().width / 42, axes.get_window_extent().height / 42  # of a cell, in 1/100 inch
    assert min(width, height) > axes.get_yticklabels()[0].get_fontsize() * 100 / 72
