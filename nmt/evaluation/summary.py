"""An evaluation's breakdowns as tables for a terminal, as plain values, and as a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table

from nmt.evaluation.breakdown import FEW, FrequencyRange, LengthRange
from nmt.evaluation.likelihood import Likelihood, perplexity
from nmt.evaluation.rates import Rates
from nmt.tokenisation import SHOWN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RATES = {"repetition": "repetition", "copy": "copy", "under_translation": "under-translation"}
"""What the rates are called where they are shown."""


@dataclass(frozen=True)
class Breakdown:
    """What an evaluation tells beside its scores.

    Attributes:
        lengths: scores by the length of the source.
        frequencies: how well words were translated, by their frequency in training; or why that is not known.
        rates: of the `hypotheses` and of the `references`.
        leading: the metric that is shown first, and drawn: `bleu` or `chrf`.
    """

    lengths: list[LengthRange]
    frequencies: list[FrequencyRange] | str
    rates: Mapping[str, Rates]
    leading: str = "bleu"

    def as_json(self) -> dict[str, Any]:
        """What `scores.json` holds of it."""
        left_out = isinstance(self.frequencies, str)
        figures = ("precision", "recall", "f1")
        frequencies = [
            asdict(one) | {name: getattr(one, name) for name in figures} for one in self.frequencies if not isinstance(one, str)
        ]
        return {
            "by_length": [asdict(one) for one in self.lengths],
            "by_frequency": None if left_out else frequencies,
            "by_frequency_left_out": self.frequencies if left_out else None,
            "rates": {name: asdict(one) for name, one in self.rates.items()},
        }


def loss_table(found: Likelihood) -> Table:
    """Loss and perplexity of the references."""
    table = _table("references under the model", "loss (nats)", "perplexity", "counted")
    for name, loss, count in (("per token", found.per_token, found.tokens), ("per word", found.per_word, found.words)):
        table.add_row(name, f"{loss:.4f}", f"{perplexity(loss):.2f}", f"{count:,}")
    return table


def tables(breakdown: Breakdown) -> list[Table]:
    """The breakdowns as rich draws them."""
    metrics = sorted(SHOWN, key=lambda metric: metric != breakdown.leading)
    lengths = _table("words of the source", "sentences", *(SHOWN[metric] for metric in metrics))
    for one in breakdown.lengths:
        few = "*" if one.sentences < FEW else ""
        scores = (f"{getattr(one, metric):.2f}" for metric in metrics)
        lengths.add_row(one.words, f"{few}{one.sentences:,}", *scores)
    found = [lengths]
    if any(one.sentences < FEW for one in breakdown.lengths):
        lengths.caption = f"* fewer than {FEW} sentences: chance decides"
    if not isinstance(breakdown.frequencies, str):
        words = _table("target words seen in training", "in references", "precision", "recall", "F1")
        for word in breakdown.frequencies:
            figures = ("–" if value is None else f"{value:.1f}" for value in (word.precision, word.recall, word.f1))
            words.add_row(word.occurrences, f"{word.references:,}", *figures)
        found.append(words)
    shares = _table("% of sentences", *breakdown.rates)
    for key, name in RATES.items():
        shares.add_row(name, *(f"{getattr(one, key):.1f}" for one in breakdown.rates.values()))
    return [*found, shares]


def picture(breakdown: Breakdown) -> "Figure":
    """The leading score by length, F1 by frequency and the rates, side by side."""
    from matplotlib.figure import Figure

    with_words = not isinstance(breakdown.frequencies, str)
    widths = [1.0, 1.3, 1.1] if with_words else [1.0, 1.1]
    figure = Figure(figsize=(4.5 * sum(widths), 4.0), layout="constrained")
    places = list(figure.subplots(1, len(widths), width_ratios=widths))
    _lengths(places[0], breakdown.lengths, breakdown.leading)
    if not isinstance(breakdown.frequencies, str):
        _frequencies(places[1], breakdown.frequencies)
    _rates(places[-1], breakdown.rates)
    for axes in places:
        axes.set_ylim(0, max(1.0, 1.12 * axes.dataLim.ymax))
        axes.tick_params(axis="x", labelsize="small")
        axes.grid(axis="y", alpha=0.3)
        axes.set_axisbelow(True)
    return figure


def _lengths(axes: "Axes", ranges: Sequence[LengthRange], metric: str) -> None:
    names = [f"{one.words}\n({one.sentences:,})" for one in ranges]
    colours = ["C0" if one.sentences >= FEW else "lightgrey" for one in ranges]
    axes.bar_label(axes.bar(names, [getattr(one, metric) for one in ranges], color=colours), fmt="%.1f")
    grey = f"; grey: fewer than {FEW}" if any(one.sentences < FEW for one in ranges) else ""
    axes.set(title=f"{SHOWN[metric]} by length", xlabel=f"words of the source (sentences{grey})")


def _frequencies(axes: "Axes", ranges: Sequence[FrequencyRange]) -> None:
    names = [f"{one.occurrences}\n({one.references:,})" for one in ranges]
    axes.bar_label(axes.bar(names, [one.f1 or 0.0 for one in ranges], color="C2"), fmt="%.0f")
    axes.set(title="F1 of target words by frequency", xlabel="occurrences in training (words of the references)")


def _rates(axes: "Axes", sides: Mapping[str, Rates]) -> None:
    width = 0.4
    for number, (side, one) in enumerate(sides.items()):
        places = [place + (number - 0.5) * width for place in range(len(RATES))]
        bars = axes.bar(places, [getattr(one, key) for key in RATES], width, label=side, color=("C0", "lightgrey")[number % 2])
        axes.bar_label(bars, fmt="%.1f")
    axes.set_xticks(range(len(RATES)), labels=list(RATES.values()))
    axes.set(title="Repetition, copying, under-translation", ylabel="% of sentences")
    axes.legend(fontsize="small")


def _table(first: str, *others: str) -> Table:
    table = Table()
    table.add_column(first, no_wrap=True)
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
