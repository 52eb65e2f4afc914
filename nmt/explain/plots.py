"""Pictures of attention."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from torch import Tensor


def heat_map(weights: Tensor, source: Sequence[str], target: Sequence[str]) -> Figure:
    """Weights (T, S) as a picture in grey, white 1 and black 0, source across and target down (Bahdanau 2015, figure 3)."""
    figure = Figure(figsize=(1.5 + 0.32 * len(source), 1.2 + 0.28 * len(target)), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(weights.float().cpu().numpy(), cmap="gray", vmin=0.0, vmax=1.0, aspect="auto")
    axes.set_xticks(range(len(source)), labels=_plain(source), rotation=90)
    axes.set_yticks(range(len(target)), labels=_plain(target))
    axes.xaxis.tick_top()
    return figure


def _plain(pieces: Sequence[str]) -> list[str]:
    return [piece.replace("$", r"\$") for piece in pieces]
