"""The contract between a translation model and everything that trains, searches or explains it.

Letters in this package: B sentences, S source length, T target length, K hypotheses of a sentence, D width of the
features, V target vocabulary. Batch first everywhere; a mask is bool and True means *may be attended*.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from nmt.models.linear import linear

Memory = dict[str, Tensor]
"""What the decoder may look at: tensors that begin with (B, …), `mask` (B, S) among them. Hypotheses share it."""

State = dict[str, Tensor]
"""What a hypothesis carries from step to step: tensors that begin with (B, K, …)."""


@dataclass(frozen=True)
class Vocabulary:
    """The numbers of pieces that a model embeds and predicts.

    Attributes:
        src: pieces of the source side.
        tgt: pieces of the target side.
        joint: whether both sides use the same pieces, so that embeddings may be shared.
    """

    src: int
    tgt: int
    joint: bool


class Limit(NamedTuple):
    """A number of pieces that a model cannot exceed, and the key that sets it."""

    key: str
    pieces: int


class Block(NamedTuple):
    """A layer, and the methods by which `forward` calls it from outside."""

    module: nn.Module
    verbs: tuple[str, ...] = ("forward",)


def check_sizes(*, dropout: float, **sizes: int) -> None:
    """Raise `ValueError` for a size below 1 or a dropout that is no probability below 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"model.{name} must be at least 1, but is {size}")
    if not 0 <= dropout < 1:
        raise ValueError(f"model.dropout must be at least 0 and less than 1, but is {dropout}")


class Seq2Seq(nn.Module, ABC):
    """A model of p(target | source) that emits one target piece at a time.

    Attributes:
        src_embedding: a row per source piece.
        tgt_embedding: a row per target piece; it may be the same module.
        output: the last affine map, features to logits, with a row per target piece; training fuses it with the loss.
            Nothing else in a model has the size of a vocabulary.
    """

    src_embedding: nn.Embedding
    tgt_embedding: nn.Embedding
    output: nn.Linear

    @abstractmethod
    def encode(self, src: Tensor, src_mask: Tensor) -> Memory:
        """Read source ids (B, S), of which `src_mask` (B, S) are real, into what the decoder may look at."""

    @abstractmethod
    def forward(self, src: Tensor, tgt_in: Tensor, src_mask: Tensor) -> Tensor:
        """Features (B, T, D) at all positions, given source ids (B, S) and BOS y1 … yn as `tgt_in` (B, T)."""

    @abstractmethod
    def start(self, memory: Memory) -> State:
        """The state before the first target piece, with one hypothesis per sentence (K = 1)."""

    @abstractmethod
    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """Features (B, K, D) and the state after feeding the last piece (B, K) of every hypothesis."""

    @abstractmethod
    def cross_attention(self) -> list[nn.Module]:
        """The modules whose attention goes from target to source, first layer first; none in a model without."""

    def encoder_attention(self) -> list[nn.Module]:
        """The modules whose attention goes from source to source, first layer first; none where the encoder has none."""
        return []

    def decoder_attention(self) -> list[nn.Module]:
        """The modules whose attention goes from target to target, first layer first; none where the decoder has none."""
        return []

    def joint_attention(self) -> list[nn.Module]:
        """The modules of a model of one stack: each attends from source to source, then from target to source and target."""
        return []

    def blocks(self) -> list[Block]:
        """Layers that share no parameter: what gradient checkpointing computes again, and sharding gathers, one at a time."""
        return []

    def longest_source(self) -> Limit | None:
        """Most source pieces, EOS counted, that it can read; None: any number."""
        return None

    def longest_target(self) -> Limit | None:
        """Most target pieces, BOS counted, that it can read; None: any number."""
        return None

    def source_window(self) -> int | None:
        """Source positions that its attention sees at once; None: all."""
        return None

    def project(self, features: Tensor) -> Tensor:
        """Logits (…, V) of features (…, D)."""
        return linear(features, self.output.weight, self.output.bias)
