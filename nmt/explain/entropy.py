"""How spread out attention is."""

from collections.abc import Iterable, Sequence

from torch import Tensor

from nmt.explain.maps import Maps


def entropy(weights: Tensor) -> Tensor:
    """H = -Σ_s α_ts log α_ts of weights (…, T, S), in nats (…, T): 0 where all is on one place, log S where it is even.

    Weights that do not sum to 1, those of local attention, are scaled to.
    """
    p = weights / weights.sum(-1, keepdim=True).clamp(min=1e-9)
    return -(p * p.clamp(min=1e-9).log()).sum(-1)


def entropies(read: Sequence[Maps]) -> dict[str, float]:
    """The mean entropy of every head over all rows of sentence pairs, by the name of its curve in TensorBoard."""
    return {
        f"attention_entropy/{kind}_layer_{layer + 1}_head_{head + 1}": value
        for kind in ("encoder", "decoder", "cross")
        for layer, heads in enumerate(_mean([_of(kind, maps) for maps in read]))
        for head, value in enumerate(heads)
    }


def _of(kind: str, maps: Maps) -> list[Tensor]:
    """(H, rows) for each layer."""
    if maps.joint and kind != "cross":
        return [entropy(source if kind == "encoder" else target) for source, target in maps.joint]
    return [entropy(weights) for weights in getattr(maps, kind)]


def _mean(pairs: Sequence[Iterable[Tensor]]) -> list[list[float]]:
    """Over pairs and rows, for each layer and head."""
    layers = zip(*pairs, strict=True)
    return [(sum(one.sum(1) for one in layer) / sum(one.size(1) for one in layer)).tolist() for layer in layers]
