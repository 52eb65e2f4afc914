"""Pictures of attention."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font
from torch import Tensor

DRAWN = 80
"""Pieces of either side that a picture shows: more cannot be read."""

FONT = "DejaVu Sans"
"""Comes with matplotlib."""

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
    families, missing = fonts({*"".join([*source, *target])})
    axes.set_xticks(range(len(source)), labels=_plain(source, missing), rotation=90, fontfamily=families)
    axes.set_yticks(range(len(target)), labels=_plain(target, missing), fontfamily=families)
    axes.xaxis.tick_top()
    if cut:
        axes.set_xlabel(f"the first pieces: {', '.join(cut)}")
    return figure


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


def _plain(pieces: Sequence[str], missing: set[str]) -> list[str]:
    """Labels whose every character is one, and none of matplotlib's formulas."""
    shown = ["".join(MISSING if character in missing else character for character in piece) for piece in pieces]
    return [piece.replace("$", r"\$") for piece in shown]
