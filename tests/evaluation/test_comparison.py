"""Means, deviations and p-values against figures worked out by hand."""

import csv
import math
import random
from dataclasses import replace

import pytest

from nmt.evaluation.comparison import Figure, Row, Translations, significance
from nmt.evaluation.tables import as_csv, as_markdown, as_picture

REFERENCES = [
    f"the {a} {b} {c} today ." for a in ("old", "new") for b in ("dog", "cat", "bird") for c in ("sleeps", "eats", "sings")
]


def worse(share: float, seed: int) -> list[str]:
    """Translations of which a share has two words exchanged."""
    draw = random.Random(seed)
    words = [line.split() for line in REFERENCES]
    return [" ".join([w[0], w[2], w[1], *w[3:]] if draw.random() < share else w) for w in words]


def row(label: str, *, runs: int = 3) -> Row:
    scores = [30.0, 31.0, 34.0][:runs]
    return Row(
        label,
        Figure(scores),
        Figure(scores),
        Figure([50.0] * runs),
        1234567,
        Figure([1000.0] * runs),
        Figure([90.0] * runs),
        0.25,
    )


def test_mean_and_sample_standard_deviation() -> None:
    figure = Figure([30.0, 31.0, 34.0])
    assert figure.mean == pytest.approx(95 / 3)
    assert figure.deviation == pytest.approx(math.sqrt(((5 / 3) ** 2 + (2 / 3) ** 2 + (7 / 3) ** 2) / 2))
    assert Figure([30.0]).deviation is None


def test_a_setting_against_itself_is_no_difference() -> None:
    runs = {1: Translations(worse(0.3, 1), REFERENCES)}
    assert significance(runs, runs) == 1.0
    hopeless = {1: Translations(["nothing"] * len(REFERENCES), REFERENCES)}
    same_score = {1: Translations(["nowhere"] * len(REFERENCES), REFERENCES)}
    assert significance(hopeless, same_score) == 1.0


def test_a_large_difference_is_significant_a_small_one_is_not_and_seeds_add_up() -> None:
    good = {seed: Translations(worse(0.1, seed), REFERENCES) for seed in (1, 2, 3)}
    bad = {seed: Translations(worse(0.9, seed + 10), REFERENCES) for seed in (1, 2, 3)}
    alike = {seed: Translations(worse(0.1, seed + 20), REFERENCES) for seed in (1, 2, 3)}
    p = significance(good, bad)
    assert isinstance(p, float)
    assert p < 0.01
    assert significance(good, bad) == p  # the same texts, the same p
    less = significance(good, {1: bad[1]})
    assert isinstance(less, float)
    assert less >= p
    between = significance(good, alike)
    assert isinstance(between, float)
    assert between > 0.05


def test_without_common_seeds_or_with_other_references_there_is_no_p() -> None:
    one, other = {1: Translations(["a"], ["a"])}, {2: Translations(["a"], ["a"])}
    assert significance(one, other) == "no seed in common with the first row"
    assert significance(one, {1: Translations(["a"], ["b"])}) == "other test references than the first row"


def test_markdown_shows_means_deviations_and_no_deviation_of_one_run() -> None:
    lines = as_markdown([row("model=luong"), row("a|b", runs=1)]).splitlines()
    assert lines[2] == "| model=luong | 3 | 31.67 ± 2.08 | 31.67 ± 2.08 | 50.00 ± 0.00 | 0.2500 | 1,234,567 | 1,000 | 1.5 min |"
    assert lines[3].startswith(r"| a\|b | 1 | 30.00 | 30.00 | 50.00 |")
    assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1


def test_csv_has_unrounded_figures_under_their_names() -> None:
    (line,) = csv.DictReader(as_csv([row("model=luong,x")]).splitlines())
    assert line["setting"] == "model=luong,x"
    assert float(line["test_bleu_mean"]) == 95 / 3
    assert float(line["dev_bleu_sd"]) == pytest.approx(2.0816659994661326)
    assert (line["runs"], line["p"], line["parameters"], line["seconds"]) == ("3", "0.25", "1234567", "90.0")


def test_the_picture_has_every_run_and_every_label() -> None:
    rows = [row("model=luong"), row("model=bahdanau", runs=2)]
    (axes,) = as_picture(rows).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["model=luong", "model=bahdanau"]
    dots = [
        dots.get_offsets().tolist() for dots in axes.collections if hasattr(dots, "get_offsets") and len(dots.get_offsets()) > 1
    ]
    assert [[30.0, 0.0], [31.0, 0.0], [34.0, 0.0]] in dots
    assert [[30.0, 1.0], [31.0, 1.0]] in dots
    assert "test BLEU" in axes.get_xlabel()


def test_the_picture_shows_chrf_where_it_leads() -> None:
    rows = [replace(row("a", runs=2), leading="chrf"), row("b", runs=2)]
    (axes,) = as_picture(rows).axes
    assert "test chrF" in axes.get_xlabel()
    (axes,) = as_picture([replace(one, test_bleu=None, test_chrf=None) for one in rows]).axes
    assert "dev bleu or chrf" in axes.get_xlabel().lower()
