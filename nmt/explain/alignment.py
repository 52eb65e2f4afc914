"""Word alignment from attention under forced decoding."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.data.links import Link
from nmt.errors import UserError
from nmt.explain.units import merged
from nmt.models.seq2seq import Seq2Seq


@dataclass(frozen=True)
class AlignmentRule:
    """Which attention says what a target word is linked to.

    Attributes:
        layer: of the model's attention to the source, from 1; None: the mean of all.
        head: of that layer, or of each, from 1; None: the mean of all.
        shift: take the step that has read a target word, not the one that predicts it (Chen et al. 2020, section 3.1): it
            knows the word.
        threshold: a smaller weight gives no link.
        end: a word that looks at the end of the source most has no link; False: the end does not count.
    """

    layer: int | None
    head: int | None
    shift: bool
    threshold: float
    end: bool = True

    @classmethod
    def usual(cls, model: Seq2Seq) -> "AlignmentRule":
        """The mean of all layers and heads where a word is predicted: of what was measured (docs/results.md) the best."""
        return cls(layer=1 if len(model.cross_attention()) == 1 else None, head=None, shift=False, threshold=0.0)

    def check(self, layers: Sequence[Tensor]) -> None:
        """Raise `UserError` if the attention of the layers, (H, T, S) each, has not what the rule asks for."""
        if self.layer is not None and not 1 <= self.layer <= len(layers):
            raise UserError(f"layer={self.layer} is not there: this model has {counted(len(layers), 'layer')}, from 1")
        heads = min(len(layer) for layer in self._chosen(layers))
        if self.head is not None and not 1 <= self.head <= heads:
            raise UserError(f"head={self.head} is not there: this layer has {counted(heads, 'head')}, from 1")
        if not 0 <= self.threshold <= 1:
            raise UserError(f"threshold must be from 0 to 1, but is {self.threshold}")

    def weights(self, layers: Sequence[Tensor]) -> Tensor:
        """The attention (T, S) of T target pieces to S source pieces, ends counted, given that of all layers, (H, T + 1, S)."""
        chosen = [layer.mean(0) if self.head is None else layer[self.head - 1] for layer in self._chosen(layers)]
        mean = torch.stack(chosen).mean(0)
        return mean[1:] if self.shift else mean[:-1]

    def _chosen(self, layers: Sequence[Tensor]) -> Sequence[Tensor]:
        return layers if self.layer is None else [layers[self.layer - 1]]


def has_stacks(model: Seq2Seq) -> bool:
    """Whether the decoder has self-attention: then it reads a piece in one step and predicts the next in the same."""
    return bool(model.decoder_attention() or model.joint_attention())


def counted(count: int, what: str) -> str:
    """Such as `1 layer` or `3 layers`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def of_words(weights: Tensor, source: Sequence[int], target: Sequence[int], words: tuple[int, int]) -> Tensor:
    """Attention (T, S + 1) of pieces, that to EOS last, as that of words: (target words, source words + 1); see `merged`.

    Args:
        weights: of pieces.
        source: the word of each source piece, from 0.
        target: the word of each target piece.
        words: how many there are of source and target.
    """
    return merged(weights, target, [*source, words[0]], (words[1], words[0] + 1))


def links_of(weights: Tensor, *, threshold: float = 0.0, end: bool = True) -> list[Link]:
    """Each target word linked to the source word with its largest weight, of `of_words`.

    None where the end of the source has more (unless it does not count), where the weight is below the threshold, or where
    there is none at all.
    """
    best, places = (weights if end else weights[:, :-1]).max(dim=1)
    chosen = zip(places.tolist(), best.tolist(), strict=True)
    last = weights.size(1) - 1
    return [(s, t) for t, (s, weight) in enumerate(chosen) if s != last and weight > 0 and weight >= threshold]
