"""Rows of a comparison as a table for a terminal, as Markdown and as CSV, and as a picture."""

import csv
import io
import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING

from rich.table import Table

from nmt.console import plain
from nmt.evaluation.comparison import Figure, Row
from nmt.tokenisation import SHOWN

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture

Column = tuple[str, str, Callable[[Row], Figure | None]]
"""Of scores: the split, the metric, and what a row has in it."""


def columns(rows: Sequence[Row]) -> list[Column]:
    """The columns of scores: dev by each metric that leads in some row, then test by both, that of the first row first."""
    first = rows[0].leading
    metrics = sorted(SHOWN, key=lambda metric: metric != first)
    led = [metric for metric in metrics if any(row.leading == metric for row in rows)]
    dev: list[Column] = [("dev", metric, partial(_dev, metric)) for metric in led]
    return dev + [("test", metric, attrgetter(f"test_{metric}")) for metric in metrics]


def headings(rows: Sequence[Row]) -> list[str]:
    """Of all columns."""
    scores = [f"{split} {SHOWN[metric]}" for split, metric, _ in columns(rows)]
    return ["setting", "runs", *scores, "p", "parameters", "target tokens/s", "time"]


def for_terminal(rows: Sequence[Row]) -> Table:
    """The rows as rich draws them."""
    table = Table()
    for heading in headings(rows):
        table.add_column(heading, justify="left" if heading == "setting" else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(plain, _cells(row, columns(rows))))
    return table


def as_markdown(rows: Sequence[Row]) -> str:
    """The rows as a table of Markdown."""
    heads = headings(rows)
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1)]
    lines += [[cell.replace("|", r"\|") for cell in _cells(row, columns(rows))] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def as_csv(rows: Sequence[Row]) -> str:
    """The rows unrounded, means and standard deviations in columns of their own."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    shown = columns(rows)
    names = [f"{split}_{metric}_{what}" for split, metric, _ in shown for what in ("mean", "sd")]
    writer.writerow(["setting", "runs", *names, "p", "parameters", "target_tokens_per_second", "seconds"])
    for row in rows:
        scores = [value for _, _, figure in shown for value in _mean_and_deviation(figure(row))]
        writer.writerow([row.label, row.runs, *scores, row.p, row.parameters, row.speed.mean, row.seconds.mean])
    return file.getvalue()


def as_picture(rows: Sequence[Row]) -> "Picture":
    """Test BLEU of each row, test chrF where it leads in any: a dot a run, and their mean ± standard deviation.

    Where not all rows have a test score, it is the dev score.
    """
    from matplotlib.figure import Figure as Picture

    led = {row.leading for row in rows}
    tested = all(row.test_bleu for row in rows)
    shown = ["chrf"] if tested and "chrf" in led else sorted(led)
    name = " or ".join(SHOWN[metric] for metric in shown)
    labels = [textwrap.wrap(row.label.replace("$", r"\$"), 40) for row in rows]
    longest = max(len(line) for lines in labels for line in lines)
    height = max(0.45, 0.2 * max(len(lines) for lines in labels))
    picture = Picture(figsize=(5.0 + 0.08 * longest, 1.0 + height * len(rows)), layout="constrained")
    axes = picture.add_subplot()
    for place, row in enumerate(rows):
        test = row.test_chrf if "chrf" in shown else row.test_bleu
        figure = test if tested and test else row.dev
        axes.errorbar(figure.mean, place, xerr=figure.deviation or 0.0, fmt="o", color="C0", capsize=4, markersize=7, zorder=3)
        axes.scatter(figure.values, [place] * len(figure.values), s=18, color="C1", zorder=4)
        axes.annotate(f"{figure.mean:.2f}", (figure.mean, place), xytext=(0, 8), textcoords="offset points", ha="center")
    axes.set_yticks(range(len(rows)), labels=["\n".join(lines) for lines in labels])
    axes.set_ylim(len(rows) - 0.5, -0.7)
    axes.set_xlabel(f"{'test' if tested else 'dev'} {name}: runs, mean ± standard deviation")
    axes.grid(axis="x", alpha=0.4)
    return picture


def _dev(metric: str, row: Row) -> Figure | None:
    return row.dev if row.leading == metric else None


def _cells(row: Row, shown: Sequence[Column]) -> list[str]:
    return [
        row.label,
        str(row.runs),
        *(_rounded(figure(row)) for _, _, figure in shown),
        "" if row.p is None else f"{row.p:.4f}",
        f"{row.parameters:,}",
        f"{row.speed.mean:,.0f}",
        f"{row.seconds.mean / 60:.1f} min" if row.seconds.mean >= 60 else f"{row.seconds.mean:.0f} s",
    ]


def _rounded(figure: Figure | None) -> str:
    if figure is None:
        return ""
    return f"{figure.mean:.2f}" + ("" if figure.deviation is None else f" ± {figure.deviation:.2f}")


def _mean_and_deviation(figure: Figure | None) -> tuple[float | None, float | None]:
    return (None, None) if figure is None else (figure.mean, figure.deviation)
