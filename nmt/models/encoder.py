"""Encoders of recurrent models: embedded source to one state per position, and what the decoder starts from."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmt.models.cells import Cell, cell_named, cells_of
from nmt.models.dropout import dropout
from nmt.models.seq2seq import Block, Limit

DIRECTIONS = {"forward": (False,), "backward": (True,), "both": (False, True)}
"""For each `model.encoder.direction` the readings: whether they go from the end of the sentence to its beginning."""


@dataclass(frozen=True)
class DecoderShape:
    """What an encoder may take from the decoder that it serves.

    Attributes:
        embedding_dim: width of the embeddings.
        hidden_dim: width n of the decoder's states.
        layers: of the decoder.
        cell: its unit.
        dropout: probability.
    """

    embedding_dim: int
    hidden_dim: int
    layers: int
    cell: str
    dropout: float


@dataclass(frozen=True)
class Encoded:
    """What an encoder gives.

    Attributes:
        states: one per position, (B, S, key width); those at padding mean nothing.
        summary: of the sentence, (B, R, summary width): one for each of R readings.
        last: the last states of every layer, (B, L, parts · n); None if the encoder is not recurrent.
    """

    states: Tensor
    summary: Tensor
    last: Tensor | None


class Encoder(nn.Module, ABC):
    """Reads a sentence.

    Attributes:
        dim: width of its states.
        summary_dim: width of the summary of one reading.
        readings: R.
    """

    dim: int
    summary_dim: int
    readings: int

    def longest(self) -> Limit | None:
        """Most pieces that it can read; None: any number."""
        return None

    def blocks(self) -> list[Block]:
        """See `Seq2Seq.blocks`."""
        return []

    def attention(self) -> list[nn.Module]:
        """See `Seq2Seq.encoder_attention`."""
        return []

    @abstractmethod
    def forward(self, embedded: Tensor, mask: Tensor) -> Encoded:
        """Encode embeddings (B, S, E), of which those in the mask (B, S) are real."""


class RecurrentEncoder(Encoder):
    """Recurrent layers that read in one direction or in both; a state stands at its piece, whatever the direction.

    `forward` reads as written; `backward` from the end, which is what reversing the source means (Sutskever et al. 2014,
    section 3.3); `both` gives h_j = [→h_j; ←h_j] (Bahdanau et al. 2015, section 3.2) in every layer. The summary holds the
    top layer's last states: →h_S, or ←h_1, or both in this order.

    Args:
        decoder: what null takes its value from.
        direction: `forward`, `backward` or `both`.
        hidden_dim: width of a state, both directions together; null is the decoder's.
        layers: how many; null is the decoder's.
        cell: `gru` or `lstm`; null is the decoder's.
    """

    def __init__(
        self, decoder: DecoderShape, *, direction: str, hidden_dim: int | None, layers: int | None, cell: str | None
    ) -> None:
        super().__init__()
        if direction not in DIRECTIONS:
            raise ValueError(f"model.encoder.direction must be one of {', '.join(DIRECTIONS)}, but is {direction!r}")
        self.dim = decoder.hidden_dim if hidden_dim is None else hidden_dim
        layers = decoder.layers if layers is None else layers
        for name, size in (("hidden_dim", self.dim), ("layers", layers)):
            if size < 1:
                raise ValueError(f"model.encoder.{name} must be at least 1, or null for the decoder's, but is {size}")
        self.backward_readings = DIRECTIONS[direction]
        if self.dim % len(self.backward_readings):
            raise ValueError(
                f"the encoder's hidden_dim ({self.dim}) must be even with model.encoder.direction=both: half for each direction"
            )
        self.readings = len(self.backward_readings)
        self.summary_dim = self.dim // self.readings
        self.dropout = decoder.dropout
        self.unit = decoder.cell if cell is None else cell
        unit = cell_named(self.unit, "model.cell" if cell is None else "model.encoder.cell")
        self.parts = unit.parts
        self.layers = nn.ModuleList(
            nn.ModuleList(unit(self.dim if layer else decoder.embedding_dim, self.summary_dim) for _ in self.backward_readings)
            for layer in range(layers)
        )

    def forward(self, embedded: Tensor, mask: Tensor) -> Encoded:
        states, lasts = embedded, []
        for layer, cells in enumerate(self.layers):
            below = dropout(states, self.dropout, self.training) if layer else states
            readings = [
                _read(cell, below, mask, backward=backward)
                for cell, backward in zip(cells_of(cells), self.backward_readings, strict=True)
            ]
            states = torch.cat([states for states, _ in readings], dim=-1)
            # each part, h and for an LSTM c, has its directions side by side
            lasts.append(torch.cat([last.unflatten(-1, (self.parts, -1)) for _, last in readings], dim=-1).flatten(1))
        summary = torch.stack([last[:, : self.summary_dim] for _, last in readings], dim=1)
        return Encoded(states, summary, torch.stack(lasts, dim=1))


def _read(cell: Cell, x: Tensor, mask: Tensor, *, backward: bool) -> tuple[Tensor, Tensor]:
    """The states of one reading at their pieces, and its last state."""
    zero = x.new_zeros(x.size(0), cell.parts * cell.dim)
    if not backward:
        return cell.read(x, zero, mask)
    states, last = cell.read(x.flip(1), zero, mask.flip(1))
    return states.flip(1), last
