"""Pictures of attention."""

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DRAWN = 80
"""Pieces of either side that a picture shows: more cannot be read."""

LABEL = 28
"""Characters of a word that a picture shows."""

FONT = "DejaVu Sans"
"""Comes with matplotlib."""

BEGIN, END = "beginning", "end"
"""Of sentence."""

GAP = (0.85, 0.90, 0.96)
"""The colour of what lies between words and the ends of their sentence."""

MISSING = "▯"
"""Stands for a character that no font of the machine has."""


def heat_map(weights: Tensor, source: Sequence[str], target: Sequence[str]) -> Figure:
    """Weights (T, S) as a picture in grey, white 1 and black 0, source across and target down (Bahdanau 2015, figure 3).

    Of a long sentence only the beginning is drawn, and the picture says so.
    """
    cut = [f"{name} {DRAWN} of {len(side)}" for name, side in (("source", source), ("target", target)) if len(side) > DRAWN]
    source, target = source[:DRAWN], target[:DRAWN]
    figure = Figure(figsize=(1.5 + 0.32 * len(source), 1.2 + 0.28 * len(target)), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(weights[:DRAWN, :DRAWN].float().cpu().numpy(), cmap="gray", vmin=0.0, vmax=1.0, aspect="auto")
    _label(axes, target, source)
    if cut:
        axes.set_xlabel(f"the first pieces: {', '.join(cut)}")
    return figure


def explanation_picture(values: Tensor, source: Sequence[str], target: Sequence[str], *, kind: str, title: str) -> Figure:
    """What every target word looked at, as a picture of at most 80 words a side; the ends of the sentence stand apart.

    Weights are grey as in `heat_map`, scaled to the largest; signed ones blue where they speak for a word and red where
    against it.

    Args:
        values: (R, C), as a `Map` of that kind has them.
        source: its words.
        target: its words.
        kind: `source`, `prefix` or `encoder`.
        title: what is shown.
    """
    rows, columns = [*(source if kind == "encoder" else target), END], [*source, END]
    if kind == "prefix":
        columns = [BEGIN, *target]
    if len(rows) > DRAWN or len(columns) > DRAWN:
        title += f"\n(of {len(rows)} rows and {len(columns)} columns the first {DRAWN})"
    rows, columns, values = rows[:DRAWN], columns[:DRAWN], values[:DRAWN, :DRAWN]
    gap = 1 if kind == "prefix" else len(columns) - 1
    drawn = values.double().cpu().numpy()
    drawn = np.insert(np.insert(drawn, len(rows) - 1, np.nan, axis=0), gap, np.nan, axis=1)
    rows.insert(len(rows) - 1, "")
    columns.insert(gap, "")
    room = [0.1 * min(max(map(len, labels)), LABEL) for labels in (rows, columns)]  # inches that labels need
    width = max(1.5 + 0.3 * len(columns) + room[0], 5.5)  # of the title
    figure = Figure(figsize=(width, 1.0 + 0.28 * len(rows) + room[1]), layout="constrained")
    axes = figure.add_subplot()
    signed = bool((values < 0).any())
    largest = float(values.abs().max()) or 1.0
    colours = colormaps["RdBu" if signed else "gray"].with_extremes(bad=GAP)
    image = axes.imshow(drawn, cmap=colours, vmin=-largest if signed else 0.0, vmax=largest, aspect="auto")
    _label(axes, rows, columns)
    axes.set_title(title, pad=12)
    figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02)
    return figure


def missing_characters(words: Sequence[str]) -> set[str]:
    """The characters of words that no font of this machine shows."""
    return {character for character in fonts({*"".join(words)})[1] if unicodedata.category(character) not in ("Cc", "Cf")}


def _label(axes: "Axes", rows: Sequence[str], columns: Sequence[str]) -> None:
    families, missing = fonts({*"".join([*rows, *columns])})
    for set_ticks, labels, rotation in ((axes.set_xticks, columns, 90), (axes.set_yticks, rows, 0)):
        places = [n for n, label in enumerate(labels) if label]
        set_ticks(places, labels=_plain([_short(labels[n]) for n in places], missing), rotation=rotation, fontfamily=families)
    axes.xaxis.tick_top()


def fonts(characters: set[str]) -> tuple[list[str], set[str]]:
    """The fonts of this machine that show these characters, the usual one first, and the characters that none shows."""
    families, missing = [FONT], {character for character in characters if not character.isprintable()}
    wanted = _without(characters - missing, [entry.fname for entry in fontManager.ttflist if entry.name == FONT])
    for entry in fontManager.ttflist:
        if not wanted:
            break
        if entry.name in families or entry.name.startswith(("Last Resort", ".")):  # these have no glyphs of their own
            continue
        left = _without(wanted, [entry.fname])
        if left != wanted:
            families.append(entry.name)
            wanted = left
    return families, missing | wanted


def _without(characters: set[str], fonts: Sequence[str]) -> set[str]:
    """The characters that none of the font files has."""
    loaded = [get_font(path) for path in fonts]
    return {character for character in characters if not any(font.get_char_index(ord(character)) for font in loaded)}


def _short(label: str) -> str:
    return label if len(label) <= LABEL else f"{label[: LABEL - 1]}…"


def _plain(pieces: Sequence[str], missing: set[str]) -> list[str]:
    """Labels whose every character is one, and none of matplotlib's formulas."""
    shown = ["".join(MISSING if character in missing else character for character in piece) for piece in pieces]
    return [piece.replace("$", r"\$") for piece in shown]
