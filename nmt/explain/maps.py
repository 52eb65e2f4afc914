"""All attention of a model while it reads one sentence pair under forced decoding.

S source pieces and T target pieces, EOS counted on both sides, H heads. Row t of a target is the step that predicts
y_t; column t of the prefix is what that step reads, y_{t-1}, BOS first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.explain.record import Attended, in_order, record_values
from nmt.models.seq2seq import Seq2Seq
from nmt.vocabulary import BOS, EOS


@dataclass(frozen=True)
class Pair:
    """A sentence pair as a model reads it.

    Attributes:
        src: (1, S), EOS last.
        tgt_in: (1, T), BOS first.
        tgt_out: (T,), what each position predicts, EOS last.
    """

    src: Tensor
    tgt_in: Tensor
    tgt_out: Tensor

    @classmethod
    def of(cls, src: Sequence[int], tgt: Sequence[int], device: torch.device) -> "Pair":
        """The pair of ids without BOS and EOS."""
        return cls(
            torch.tensor([[*src, EOS]], device=device),
            torch.tensor([[BOS, *tgt]], device=device),
            torch.tensor([*tgt, EOS], device=device),
        )

    @property
    def src_mask(self) -> Tensor:
        """(1, S): everything is real."""
        return torch.ones_like(self.src, dtype=torch.bool)


@dataclass(frozen=True)
class Maps:
    """Attention, layer by layer: of a recurrent model only `cross`, of a model of one stack `cross` and `joint`.

    Attributes:
        encoder: source to source, (H, S, S).
        decoder: target to prefix, (H, T, T).
        cross: target to source, (H, T, S); of a joint layer its share that goes to the source, scaled to sum to 1.
        joint: of a model of one stack, source to source (H, S, S), and target to source and prefix (H, T, S + T).
    """

    encoder: list[Tensor]
    decoder: list[Tensor]
    cross: list[Tensor]
    joint: list[tuple[Tensor, Tensor]]

    def each(self) -> list[Tensor]:
        """All of them but shares, in a fixed order."""
        if self.joint:
            return [weights for layer in self.joint for weights in layer]
        return [*self.encoder, *self.decoder, *self.cross]

    def with_each(self, tensors: Iterable[Tensor]) -> "Maps":
        """Others in the places of `each`."""
        given = list(tensors)
        if self.joint:
            return Maps([], [], [], list(zip(given[::2], given[1::2], strict=True)))
        first, second = len(self.encoder), len(self.encoder) + len(self.decoder)
        return Maps(given[:first], given[first:second], given[second:], [])


@dataclass(frozen=True)
class Read:
    """A model that has read a pair.

    Attributes:
        features: (T, D).
        maps: its attention.
        computed: the tensors behind `maps.each()`, (1, H, K, S), of a model that attends once: what gradients are taken of.
        values: of every layer that goes to the source what its weights average: (H, S, d).
    """

    features: Tensor
    maps: Maps
    computed: list[Tensor]
    values: list[Tensor]


def read(model: Seq2Seq, pair: Pair) -> Read:
    """Let a model in evaluation mode read a pair, and record all of its attention."""
    groups = [model.encoder_attention(), model.decoder_attention(), model.cross_attention(), model.joint_attention()]
    with record_values([module for group in groups for module in group]) as heard:
        features = model(pair.src, pair.tgt_in, pair.src_mask)
    encoder, decoder, cross = ([_weights(heard[module]) for module in group] for group in groups[:3])
    joint = [(_weights(heard[module][:1]), _weights(heard[module][1:])) for module in groups[3]]
    values = [heard[module][0].values.squeeze(0) for module in groups[2]]
    behind = groups[3] or [*groups[0], *groups[1], *groups[2]]
    return Read(
        features.squeeze(0),
        Maps(encoder, decoder, cross, joint),
        [attended.weights for module in behind for attended in heard[module]],
        [one if one.dim() == 3 else one.unsqueeze(0) for one in values],
    )


def _weights(heard: Sequence[Attended]) -> Tensor:
    """(H, K, S) of all steps."""
    return in_order([one.weights for one in heard]).squeeze(0)
