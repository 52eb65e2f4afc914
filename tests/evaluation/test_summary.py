"""The tables, the plain values and the picture of a breakdown say the same."""

import json

import pytest
from rich.console import Console

from nmt.evaluation.breakdown import FrequencyRange, LengthRange
from nmt.evaluation.rates import Rates
from nmt.evaluation.summary import Breakdown, picture, tables

LENGTHS = [LengthRange("1–10", 400, 33.456, 51.2), LengthRange("> 40", 7, 12.0, 30.0)]
FREQUENCIES = [FrequencyRange("0", 4, 0, 0), FrequencyRange("≥ 1000", 60, 40, 30)]
RATES = {"hypotheses": Rates(12.5, 3.25, 0.0), "references": Rates(0.5, 0.25, 0.0)}


def shown(breakdown: Breakdown) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        for table in tables(breakdown):
            console.print(table)
    return capture.get()


def test_tables_mark_what_rests_on_few_sentences_and_what_has_no_value() -> None:
    text = shown(Breakdown(LENGTHS, FREQUENCIES, RATES))
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines() if line.startswith("│")]
    assert ["1–10", "400", "33.46", "51.20"] in rows
    assert ["> 40", "*7", "12.00", "30.00"] in rows
    assert "fewer than 30 sentences" in text
    assert ["0", "4", "–", "0.0", "0.0"] in rows
    assert ["≥ 1000", "60", "75.0", "50.0", "60.0"] in rows
    assert ["repetition", "12.5", "0.5"] in rows
    assert "fewer than" not in shown(Breakdown(LENGTHS[:1], FREQUENCIES, RATES))


def test_plain_values_are_unrounded_and_say_what_was_left_out() -> None:
    values = json.loads(json.dumps(Breakdown(LENGTHS, FREQUENCIES, RATES).as_json()))
    assert values["by_length"][0]["bleu"] == 33.456
    assert [one["f1"] for one in values["by_frequency"]] == [0, 60]
    assert values["by_frequency"][0]["precision"] is None
    assert values["rates"]["references"] == {"repetition": 0.5, "copy": 0.25, "under_translation": 0.0}
    without = Breakdown(LENGTHS, "it is gone", RATES).as_json()
    assert (without["by_frequency"], without["by_frequency_left_out"]) == (None, "it is gone")


@pytest.mark.parametrize(
    ("frequencies", "heights"), [(FREQUENCIES, [[33.456, 12.0], [0, 60]]), ("it is gone", [[33.456, 12.0]])]
)
def test_the_bars_are_the_figures(frequencies: "list[FrequencyRange] | str", heights: list[list[float]]) -> None:
    figure = picture(Breakdown(LENGTHS, frequencies, RATES))
    *parts, rates = [[bar.get_height() for bar in axes.patches] for axes in figure.axes]
    assert parts == heights
    assert rates == [12.5, 3.25, 0.0, 0.5, 0.25, 0.0]


def test_the_leading_score_comes_first_and_is_drawn() -> None:
    breakdown = Breakdown(LENGTHS, "it is gone", RATES, leading="chrf")
    text = shown(breakdown)
    assert text.index("chrF") < text.index("BLEU")
    assert ["1–10", "400", "51.20", "33.46"] in [
        [cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines() if line.startswith("│")
    ]
    lengths = picture(breakdown).axes[0]
    assert [bar.get_height() for bar in lengths.patches] == [51.2, 30.0]
    assert lengths.get_title() == "chrF by length"
